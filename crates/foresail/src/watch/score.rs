//! The running score: what shadow and incumbent cost, and how long they were short.

use foresail_core::quantity::time::Span;
use serde::Serialize;

/// What one of the two came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Capacity paid for.
    pub replica_minutes: f64,
    /// Minutes in which demand was above what the ready replicas serve.
    pub short_minutes: f64,
}

/// Replicas of one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pods {
    /// Those paid for.
    pub paid: u32,
    /// Those that serve.
    pub ready: u32,
}

/// The score so far; time in which demand or the incumbent was unknown is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Demand that one replica serves, in requests per second.
    pub capacity: f64,
    /// Minutes that were counted.
    pub minutes: f64,
    /// Syncs without a usable sample, left out.
    pub left_out: u64,
    /// What the shadow came to.
    pub shadow: Side,
    /// What the incumbent came to.
    pub incumbent: Side,
}

impl Side {
    fn add(&mut self, minutes: f64, demand: f64, capacity: f64, pods: Pods) {
        self.replica_minutes += minutes * f64::from(pods.paid);
        if demand > capacity * f64::from(pods.ready) {
            self.short_minutes += minutes;
        }
    }

    /// Share of the minutes in which it was not short, in percent; `None` before the first.
    #[must_use]
    pub fn kept_percent(&self, minutes: f64) -> Option<f64> {
        (minutes > 0.0).then(|| 100.0 * (1.0 - self.short_minutes / minutes))
    }
}

impl Score {
    /// Nothing counted yet. Units: `capacity` in requests per second.
    #[must_use]
    pub fn new(capacity: f64) -> Self {
        Self {
            capacity,
            minutes: 0.0,
            left_out: 0,
            shadow: Side::default(),
            incumbent: Side::default(),
        }
    }

    /// Counts the time up to a sync; `span` is `None` for the first one and after a pause.
    ///
    /// Units: `demand` in requests per second.
    pub fn add(
        &mut self,
        span: Option<Span>,
        demand: Option<f64>,
        shadow: Pods,
        incumbent: Option<Pods>,
    ) {
        let (Some(demand), Some(incumbent)) = (demand, incumbent) else {
            self.left_out += 1;
            return;
        };
        let Some(span) = span else { return };
        let minutes = span.seconds() / 60.0;
        self.minutes += minutes;
        self.shadow.add(minutes, demand, self.capacity, shadow);
        self.incumbent
            .add(minutes, demand, self.capacity, incumbent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(n: u32) -> Pods {
        Pods { paid: n, ready: n }
    }

    #[test]
    fn cost_and_shortness_are_counted_for_both_alike() {
        let mut score = Score::new(100.0);
        let minute = Some(Span::from_seconds(60));
        score.add(None, Some(250.0), both(3), Some(both(2)));
        assert!(score.minutes <= 0.0);
        score.add(minute, Some(250.0), both(3), Some(both(2)));
        score.add(
            minute,
            Some(200.0),
            Pods { paid: 3, ready: 1 },
            Some(both(2)),
        );
        assert_eq!((score.minutes, score.left_out), (2.0, 0));
        assert_eq!(
            score.shadow,
            Side {
                replica_minutes: 6.0,
                short_minutes: 1.0
            }
        );
        assert_eq!(
            score.incumbent,
            Side {
                replica_minutes: 4.0,
                short_minutes: 1.0
            }
        );
        assert_eq!(score.shadow.kept_percent(score.minutes), Some(50.0));
    }

    #[test]
    fn what_is_unknown_is_left_out_and_counted_never_zero() {
        let mut score = Score::new(100.0);
        let minute = Some(Span::from_seconds(60));
        score.add(minute, None, both(3), Some(both(2)));
        score.add(minute, Some(1e9), both(3), None);
        assert_eq!((score.minutes, score.left_out), (0.0, 2));
        assert_eq!(
            (score.shadow, score.incumbent),
            (Side::default(), Side::default())
        );
    }
}
