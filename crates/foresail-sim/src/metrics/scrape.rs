//! What an autoscaler gets to see of a pod's CPU: scraped, averaged, lost, late.

use std::collections::VecDeque;

use foresail_core::quantity::time::{Span, Timestamp};

/// One sample of a pod's CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuSample {
    /// Thousandths of a core, the mean over the window.
    pub millicores: i64,
    /// End of the window.
    pub at: Timestamp,
    /// Its length.
    pub window: Span,
}

/// One reading of a pod's CPU counter.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: i64,
    /// Thousandth-core-nanoseconds burnt since the pod's creation.
    burnt: f64,
    lost: bool,
}

/// Recent readings of one pod's counter.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuRing {
    readings: VecDeque<Reading>,
}

impl CpuRing {
    /// Takes in a reading; keeps those that a sample of `keep` ago may still need.
    pub(crate) fn record(&mut self, at: i64, burnt: f64, lost: bool, keep: i64) {
        while self.readings.get(1).is_some_and(|r| r.at < at - keep) {
            self.readings.pop_front();
        }
        self.readings.push_back(Reading { at, burnt, lost });
    }

    /// The newest sample that was taken at `visible` or before; `None` while there is none.
    ///
    /// A sample is the mean between two readings about a window apart, as the kubelet's is.
    pub(crate) fn sample(&self, visible: i64, window: i64) -> Option<(i64, f64, i64)> {
        let kept = || self.readings.iter().filter(|r| !r.lost);
        let last = kept().rev().find(|r| r.at <= visible)?;
        let first = kept().rev().find(|r| r.at <= last.at - window)?;
        let span = last.at - first.at;
        Some((last.at, (last.burnt - first.burnt) / span as f64, span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_mean_over_its_window_and_as_old_as_it_must_be() {
        let mut ring = CpuRing::default();
        for i in 0..10_i64 {
            // A counter that burns 500 for five readings and 1000 from then on.
            let burnt = 500.0 * i as f64 + 500.0 * (i - 5).max(0) as f64;
            ring.record(i, burnt, i == 9, 100);
        }
        assert_eq!(ring.sample(4, 2), Some((4, 500.0, 2)));
        assert_eq!(ring.sample(8, 2), Some((8, 1000.0, 2)));
        assert_eq!(
            ring.sample(9, 2),
            Some((8, 1000.0, 2)),
            "the reading at 9 was lost"
        );
        assert_eq!(ring.sample(1, 2), None, "no window yet");
    }
}
