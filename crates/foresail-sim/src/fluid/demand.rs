//! Demand as a rate: how many requests are expected between two times.

use crate::workload::Workload;

/// Walks a workload forward and tells the requests of each stretch.
///
/// Of counts the requests of a bin lie evenly in it; of rates the line is integrated.
#[derive(Clone, Debug)]
pub(crate) struct Flow<'a> {
    workload: &'a Workload,
    /// Nanoseconds since the begin up to which all was told.
    at: i64,
    /// The bin or part in which that lies, and its begin.
    bin: usize,
    begin: i64,
}

impl<'a> Flow<'a> {
    /// At the workload's begin.
    pub(crate) fn new(workload: &'a Workload) -> Self {
        Self {
            workload,
            at: 0,
            bin: 0,
            begin: 0,
        }
    }

    /// Requests from where it stands up to `to`, and stands there then.
    ///
    /// Units: `to` in nanoseconds since the workload's begin.
    pub(crate) fn take(&mut self, to: i64) -> f64 {
        let mut sum = 0.0;
        while self.at < to {
            let Some(length) = self.length_of_bin() else {
                self.at = to;
                break;
            };
            let end = self.begin + length;
            let until = to.min(end);
            sum += self.within(self.at - self.begin, until - self.begin, length);
            self.at = until;
            if until == end {
                self.bin += 1;
                self.begin = end;
            }
        }
        sum
    }

    fn length_of_bin(&self) -> Option<i64> {
        match self.workload {
            Workload::Counts { step, counts, .. } => {
                (self.bin < counts.len()).then_some(step.nanos())
            }
            Workload::Rates { parts, .. } => parts.get(self.bin).map(|(span, ..)| span.nanos()),
            Workload::Mmpp { parts, .. } => parts.get(self.bin).map(|(span, _)| span.nanos()),
        }
    }

    /// Requests of the present bin between two offsets into it.
    fn within(&self, from: i64, to: i64, length: i64) -> f64 {
        let share = (to - from) as f64 / length as f64;
        match self.workload {
            Workload::Counts { counts, .. } => f64::from(counts[self.bin]) * share,
            Workload::Rates { parts, .. } => {
                let (span, begin, end) = parts[self.bin];
                let middle = (from + to) as f64 / 2.0 / length as f64;
                (begin + (end - begin) * middle) * span.seconds() * share
            }
            Workload::Mmpp { parts, process, .. } => {
                let (span, factor) = parts[self.bin];
                factor * process.mean_rate() * span.seconds() * share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Within;
    use foresail_core::quantity::time::{Span, Timestamp};

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn counts_are_told_whole_and_in_parts() {
        let workload = Workload::Counts {
            start: Timestamp::EPOCH,
            step: Span::from_seconds(60),
            counts: vec![60, 0, 120],
            within: Within::default(),
        };
        let mut flow = Flow::new(&workload);
        let told: Vec<_> = [15, 60, 130, 180, 500]
            .map(|s| flow.take(s * SECOND))
            .to_vec();
        assert_eq!(told, [15.0, 45.0, 20.0, 100.0, 0.0]);
    }

    #[test]
    fn a_ramp_is_integrated() {
        let parts = vec![
            (Span::from_seconds(100), 0.0, 10.0),
            (Span::from_seconds(100), 10.0, 10.0),
        ];
        let workload = Workload::Rates {
            start: Timestamp::EPOCH,
            parts,
        };
        let mut flow = Flow::new(&workload);
        assert!((flow.take(50 * SECOND) - 125.0).abs() < 1e-9);
        assert!((flow.take(150 * SECOND) - 875.0).abs() < 1e-9);
        assert!((flow.take(200 * SECOND) - 500.0).abs() < 1e-9);
    }
}
