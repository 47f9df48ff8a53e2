//! Arrivals as a stream of times: of counts per bin, or of a rate.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use serde::{Deserialize, Serialize};

use super::mmpp::Mmpp;
use crate::config::{ConfigProblem, problem};
use crate::rng::Stream;

/// How the requests of one bin lie within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Within {
    /// As a Poisson process of that count has them: anywhere, independently.
    #[default]
    Poisson,
    /// At equal distances.
    Uniform,
    /// In clusters of about ten within a second.
    Bursty,
}

/// What comes, as data; the same for every policy.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Whole counts per bin; the number of requests in each bin is exact.
    Counts {
        /// Begin of the first bin.
        start: Timestamp,
        /// Length of one bin.
        step: Span,
        /// Requests per bin.
        counts: Vec<u32>,
        /// How they lie within.
        within: Within,
    },
    /// A Poisson process whose rate is a line on each part: steps and ramps.
    Rates {
        /// Begin.
        start: Timestamp,
        /// Parts in order: length, rate at its begin and at its end in requests per second.
        parts: Vec<(Span, f64, f64)>,
    },
    /// A Poisson process whose rate jumps between states, slower or faster on each part.
    Mmpp {
        /// Begin.
        start: Timestamp,
        /// Parts in order: length, and what the rates are multiplied with.
        parts: Vec<(Span, f64)>,
        /// The states.
        process: Mmpp,
    },
}

impl Workload {
    /// A Poisson process of one rate.
    #[must_use]
    pub fn poisson(rate: f64, length: Span) -> Self {
        Self::Rates {
            start: Timestamp::EPOCH,
            parts: vec![(length, rate, rate)],
        }
    }

    /// Begin.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        match self {
            Self::Counts { start, .. } | Self::Rates { start, .. } | Self::Mmpp { start, .. } => {
                *start
            }
        }
    }

    /// Length.
    #[must_use]
    pub fn length(&self) -> Span {
        match self {
            Self::Counts { step, counts, .. } => {
                Span::from_nanos(step.nanos() * counts.len() as i64)
            }
            Self::Rates { parts, .. } => {
                parts.iter().fold(Span::ZERO, |sum, (span, ..)| sum + *span)
            }
            Self::Mmpp { parts, .. } => parts.iter().fold(Span::ZERO, |sum, (span, _)| sum + *span),
        }
    }

    /// Requests that are expected in all.
    #[must_use]
    pub fn expected(&self) -> f64 {
        match self {
            Self::Counts { counts, .. } => counts.iter().map(|c| f64::from(*c)).sum(),
            Self::Rates { parts, .. } => parts
                .iter()
                .map(|(span, from, to)| span.seconds() * (from + to) / 2.0)
                .sum(),
            Self::Mmpp { parts, process, .. } => parts
                .iter()
                .map(|(span, factor)| span.seconds() * factor * process.mean_rate())
                .sum(),
        }
    }

    /// The rate at the begin in requests per second, over the first five steps of counts.
    #[must_use]
    pub fn first_rate(&self) -> f64 {
        match self {
            Self::Counts { step, counts, .. } => {
                let steps = counts.len().min(5);
                let sum: f64 = counts.iter().take(steps).map(|c| f64::from(*c)).sum();
                sum / (step.seconds() * steps.max(1) as f64)
            }
            Self::Rates { parts, .. } => parts.first().map_or(0.0, |p| p.1),
            Self::Mmpp { parts, process, .. } => {
                parts.first().map_or(0.0, |p| p.1 * process.mean_rate())
            }
        }
    }

    /// Mean rate of each step or part, in requests per second.
    #[must_use]
    pub fn step_rates(&self) -> Vec<f64> {
        match self {
            Self::Counts { step, counts, .. } => {
                let rate = |count: &u32| f64::from(*count) / step.seconds();
                counts.iter().map(rate).collect()
            }
            Self::Rates { parts, .. } => parts.iter().map(|p| (p.1 + p.2) / 2.0).collect(),
            Self::Mmpp { parts, process, .. } => {
                parts.iter().map(|p| p.1 * process.mean_rate()).collect()
            }
        }
    }

    /// Checks that it has a length and rates.
    ///
    /// # Errors
    /// [`ConfigProblem`] where a part has no length, or a rate is below zero or not finite.
    pub fn check(&self) -> Result<(), ConfigProblem> {
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        let sound = match self {
            Self::Counts { step, .. } => *step > Span::ZERO,
            Self::Rates { parts, .. } => parts
                .iter()
                .all(|(span, from, to)| *span > Span::ZERO && is_rate(*from) && is_rate(*to)),
            Self::Mmpp { parts, .. } => parts
                .iter()
                .all(|(span, factor)| *span > Span::ZERO && is_rate(*factor)),
        };
        if sound && self.length() > Span::ZERO {
            return Ok(());
        }
        let text = "lengths must be above 0, rates 0 or more";
        Err(problem("workload", text))
    }

    /// The arrival times, drawn from the stream `arrivals` of the seed.
    #[must_use]
    pub fn arrivals(&self, seed: Seed) -> Arrivals<'_> {
        self.arrivals_of(seed, "arrivals")
    }

    /// The arrival times, drawn from the stream of this name: one of many workloads in one run.
    #[must_use]
    pub fn arrivals_of(&self, seed: Seed, stream: &str) -> Arrivals<'_> {
        Arrivals {
            workload: self,
            stream: Stream::of(seed, stream),
            bin: 0,
            begin: 0,
            offsets: Vec::new(),
            given: 0,
            clock: 0.0,
            state: None,
        }
    }
}

/// Arrival times as nanoseconds since the begin, ascending; one bin is in memory at a time.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    workload: &'a Workload,
    stream: Stream,
    /// The next bin or part to be opened.
    bin: usize,
    /// Begin of the open one.
    begin: i64,
    /// Arrivals of the open bin, ascending.
    offsets: Vec<i64>,
    given: usize,
    /// Seconds into the open part.
    clock: f64,
    /// The state of a process that jumps.
    state: Option<usize>,
}

impl Arrivals<'_> {
    fn next_counted(&mut self, step: i64, counts: &[u32], within: Within) -> Option<i64> {
        while self.given >= self.offsets.len() {
            let count = *counts.get(self.bin)?;
            self.begin = step * self.bin as i64;
            self.bin += 1;
            self.given = 0;
            self.fill(count, step, within);
        }
        let at = self.begin + self.offsets[self.given];
        self.given += 1;
        Some(at)
    }

    fn fill(&mut self, count: u32, step: i64, within: Within) {
        self.offsets.clear();
        match within {
            Within::Uniform => {
                let gap = step as f64 / f64::from(count);
                self.offsets
                    .extend((0..count).map(|i| ((f64::from(i) + 0.5) * gap) as i64));
            }
            Within::Poisson => self.fill_sorted(count, step),
            Within::Bursty => self.fill_bursty(count, step),
        }
    }

    /// Sorted uniforms without sorting: partial sums of exponentials over their total.
    fn fill_sorted(&mut self, count: u32, step: i64) {
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(count as usize);
        for _ in 0..count {
            sum += self.stream.exponential();
            sums.push(sum);
        }
        sum += self.stream.exponential();
        let scale = step as f64 / sum;
        self.offsets
            .extend(sums.iter().map(|s| ((s * scale) as i64).min(step - 1)));
    }

    fn fill_bursty(&mut self, count: u32, step: i64) {
        let mut left = count;
        // A cluster lies within a second, and begins early enough to end within the step.
        let length = step.min(1_000_000_000);
        let latest = (step - length) as f64;
        while left > 0 {
            let size = (1 + self.stream.poisson(9.0) as u32).min(left);
            let begin = self.stream.uniform() * latest;
            for _ in 0..size {
                let at = begin + self.stream.uniform() * length as f64;
                self.offsets.push((at as i64).min(step - 1));
            }
            left -= size;
        }
        self.offsets.sort_unstable();
    }

    fn next_of_rate(&mut self, parts: &[(Span, f64, f64)]) -> Option<i64> {
        loop {
            let (span, from, to) = *parts.get(self.bin)?;
            let slope = (to - from) / span.seconds();
            // The integrated rate from `clock` on grows by an exponential: a quadratic to solve.
            let need = self.stream.exponential();
            let rate = from + slope * self.clock;
            let ahead = if slope.abs() < 1e-12 {
                need / rate
            } else {
                ((rate * rate + 2.0 * slope * need).sqrt() - rate) / slope
            };
            if ahead.is_finite() && ahead >= 0.0 && self.clock + ahead < span.seconds() {
                self.clock += ahead;
                return Some(self.begin + (self.clock * 1e9) as i64);
            }
            self.open_next(span);
        }
    }

    /// No memory: at the edge of a part the process begins anew.
    fn open_next(&mut self, span: Span) {
        self.begin += span.nanos();
        self.bin += 1;
        self.clock = 0.0;
    }

    fn next_of_states(&mut self, parts: &[(Span, f64)], process: &Mmpp) -> Option<i64> {
        loop {
            let (span, factor) = *parts.get(self.bin)?;
            let state = match self.state {
                Some(state) => state,
                None => process.begin(&mut self.stream),
            };
            let (ahead, jump) = process.step(state, factor, &mut self.stream);
            self.state = Some(state);
            if self.clock + ahead >= span.seconds() {
                self.open_next(span);
                continue;
            }
            self.clock += ahead;
            match jump {
                Some(next) => self.state = Some(next),
                None => return Some(self.begin + (self.clock * 1e9) as i64),
            }
        }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        if self.given < self.offsets.len() {
            let at = self.begin + self.offsets[self.given];
            self.given += 1;
            return Some(at);
        }
        match self.workload {
            Workload::Counts {
                step,
                counts,
                within,
                ..
            } => self.next_counted(step.nanos(), counts, *within),
            Workload::Rates { parts, .. } => self.next_of_rate(parts),
            Workload::Mmpp { parts, process, .. } => self.next_of_states(parts, process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(within: Within) -> Vec<i64> {
        let step = Span::from_seconds(60);
        let workload = Workload::Counts {
            start: Timestamp::EPOCH,
            step,
            counts: vec![100, 0, 3000],
            within,
        };
        workload.arrivals(Seed(1)).collect()
    }

    #[test]
    fn every_bin_holds_its_count_in_order() {
        for within in [Within::Poisson, Within::Uniform, Within::Bursty] {
            let times = counted(within);
            let minute = 60_000_000_000;
            let in_bin = |bin| times.iter().filter(|t| **t / minute == bin).count();
            assert_eq!(
                [in_bin(0), in_bin(1), in_bin(2)],
                [100, 0, 3000],
                "{within:?}"
            );
            assert!(times.is_sorted(), "{within:?}");
        }
    }

    #[test]
    fn clusters_end_within_their_step_and_do_not_pile_up_at_its_end() {
        let counts = vec![600; 200];
        let step = Span::from_seconds(60);
        let workload = Workload::Counts {
            start: Timestamp::EPOCH,
            step,
            counts,
            within: Within::Bursty,
        };
        let into = |at: i64| step.nanos() - at % step.nanos();
        let times = workload.arrivals(Seed(9)).map(into).collect::<Vec<_>>();
        let last = |nanos| times.iter().filter(|left| **left <= nanos).count();
        assert_eq!(times.len(), 120_000);
        assert!(last(1000) < 3, "{} in the last microsecond", last(1000));
        // 120,000 over 60 s: 2,000 a second, and half of that in the last, where none begins.
        let second = last(1_000_000_000);
        assert!((600..1800).contains(&second), "{second}");
    }

    /// Index of dispersion of counts per second: 0 for equal distances, 1 for Poisson.
    #[test]
    fn bursty_is_burstier_than_poisson_and_poisson_than_uniform() {
        let spread = |within| {
            let mut seconds = [0.0_f64; 60];
            for at in counted(within).iter().filter(|t| **t >= 120_000_000_000) {
                seconds[(at / 1_000_000_000 - 120) as usize] += 1.0;
            }
            let mean = seconds.iter().sum::<f64>() / 60.0;
            seconds.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 60.0 / mean
        };
        let [uniform, poisson, bursty] =
            [Within::Uniform, Within::Poisson, Within::Bursty].map(spread);
        assert!(
            uniform < 0.05 && (0.5..1.6).contains(&poisson) && bursty > 3.0,
            "{uniform} {poisson} {bursty}"
        );
    }

    #[test]
    fn ramps_and_steps_have_the_expected_number() {
        let parts = vec![
            (Span::from_seconds(1000), 0.0, 20.0),
            (Span::from_seconds(1000), 20.0, 20.0),
            (Span::from_seconds(1000), 20.0, 0.0),
        ];
        let workload = Workload::Rates {
            start: Timestamp::EPOCH,
            parts,
        };
        let times: Vec<_> = workload.arrivals(Seed(3)).collect();
        let expected = workload.expected();
        assert!((expected - 40_000.0).abs() < 1e-6);
        assert!(
            (times.len() as f64 - expected).abs() < 4.0 * expected.sqrt(),
            "{}",
            times.len()
        );
        let first_half = times.iter().filter(|t| **t < 500_000_000_000).count() as f64;
        assert!(
            (first_half - 2500.0).abs() < 4.0 * 50.0,
            "a quarter of the first ramp: {first_half}"
        );
    }
}
