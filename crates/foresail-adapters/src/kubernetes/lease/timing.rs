//! How long a lease lasts, and how often it is renewed.

use std::time::Duration;

/// How long a lease lasts, and how often it is renewed.
///
/// Source of the defaults: kubernetes/kubernetes:staging/src/k8s.io/component-base/config/v1alpha1,
/// RecommendedDefaultLeaderElectionConfiguration: 15 s, 10 s, 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// How long others wait after the last change that they saw.
    pub lease: Duration,
    /// How long its holder believes in it after the begin of the last renewal that was granted.
    pub renew_deadline: Duration,
    /// From one try to the next.
    pub retry: Duration,
    /// How long one answer is waited for.
    pub request: Duration,
    /// By how many percent of `retry` those who wait differ at most.
    pub jitter_percent: u32,
}

impl Default for Timing {
    /// Those of Kubernetes' own controllers, with less jitter: a lease that was given back is taken
    /// within 2.5 s and an answer.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            request: Duration::from_secs(5),
            jitter_percent: 25,
        }
    }
}

/// Which times do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimingError {
    /// The holder must stop before others may begin.
    #[error(
        "--renew-deadline is {renew:?} and --lease-duration {lease:?}: the deadline must be shorter by a fifth, or two could lead at once"
    )]
    Overlap {
        /// When the holder stops.
        renew: Duration,
        /// When others begin.
        lease: Duration,
    },
    /// A renewal needs more than one try.
    #[error(
        "--retry-period is {retry:?} and --renew-deadline {renew:?}: the period must be at most a third of the deadline, and not zero"
    )]
    Retry {
        /// From one try to the next.
        retry: Duration,
        /// When the holder stops.
        renew: Duration,
    },
    /// The API keeps whole seconds.
    #[error("--lease-duration is {0:?}: it must be a whole number of seconds from 1 to 3600")]
    Seconds(Duration),
    /// No answer can come.
    #[error("an answer must be waited for, and no longer than --renew-deadline: found {0:?}")]
    Request(Duration),
}

impl Timing {
    /// Checks that the times go together.
    ///
    /// # Errors
    /// [`TimingError`] with the first that does not.
    pub fn check(&self) -> Result<(), TimingError> {
        let (lease, renew, retry) = (self.lease, self.renew_deadline, self.retry);
        if lease.subsec_nanos() != 0 || !(1..=3600).contains(&lease.as_secs()) {
            return Err(TimingError::Seconds(lease));
        }
        // A fifth bridges clocks whose rates differ far more than real ones do.
        if renew > lease - lease / 5 {
            return Err(TimingError::Overlap { renew, lease });
        }
        if retry.is_zero() || retry > renew / 3 {
            return Err(TimingError::Retry { retry, renew });
        }
        if self.request.is_zero() || self.request > renew {
            return Err(TimingError::Request(self.request));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_go_together_are_refused() {
        let good = Timing::default();
        assert_eq!(good.check(), Ok(()));
        let second = Duration::from_secs;
        let bad = [
            Timing {
                lease: second(0),
                ..good
            },
            Timing {
                lease: Duration::from_millis(15_500),
                ..good
            },
            Timing {
                renew_deadline: second(13),
                ..good
            },
            Timing {
                renew_deadline: second(15),
                ..good
            },
            Timing {
                retry: second(4),
                ..good
            },
            Timing {
                retry: second(0),
                ..good
            },
            Timing {
                request: second(0),
                ..good
            },
            Timing {
                request: second(11),
                ..good
            },
        ];
        for timing in bad {
            assert!(timing.check().is_err(), "{timing:?}");
        }
        assert!(
            Timing {
                renew_deadline: second(12),
                ..good
            }
            .check()
            .is_ok()
        );
    }
}
