//! Idle times of one function, and the windows that follow from them.
//!
//! The rules, in the order in which they are asked: too few idle times → standard keep-alive; most
//! of them beyond the histogram's range → a forecast; bins filled too evenly to say anything →
//! standard keep-alive; else the histogram.

use std::collections::VecDeque;

use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::smaller;
use serde::{Deserialize, Serialize};

/// Seconds of one bin.
const BIN_SECONDS: f64 = 60.0;

/// Idle times that a forecast looks at: out of bounds they come at most six times a day.
const RECENT_MAX: usize = 32;

/// Weights that the smoothing tries, in twentieths.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=20;

/// The rules' numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Bins of one minute.
    pub bins: u32,
    /// Share of idle times that are shorter than the pre-warming window.
    pub head: f64,
    /// Share of idle times at whose end the keep-alive window closes.
    pub tail: f64,
    /// Share by which the head comes earlier and the tail later.
    pub margin: f64,
    /// Coefficient of variation of the bins' counts that a histogram must exceed.
    pub variation_min: f64,
    /// Idle times without which nothing is said.
    pub observations_min: u32,
    /// Share of idle times beyond the range from which on they are forecast.
    pub out_of_bounds: f64,
    /// Share of a forecast that the window opens earlier and closes later.
    pub forecast_margin: f64,
    /// Keep-alive where nothing is said.
    pub standard: Span,
}

/// Which rule the windows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The histogram.
    Histogram,
    /// The standard keep-alive.
    Standard,
    /// A forecast of the next idle time.
    Forecast,
}

/// When a function is loaded, counted from its last execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Until when it is unloaded; zero = it is not unloaded at all.
    pub prewarm: Span,
    /// How long it then stays loaded.
    pub keep_alive: Span,
}

/// Idle times of one function: a histogram of bounded range, and the last ones as they were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdleTimes {
    /// Bins that hold something, with their counts, ascending.
    bins: Vec<(u32, u32)>,
    /// Idle times within the range.
    inside: u64,
    /// Sum of the counts' squares.
    squares: u64,
    /// Idle times beyond the range.
    outside: u64,
    /// The last ones in whole seconds, oldest first.
    recent: VecDeque<u32>,
}

impl IdleTimes {
    /// Takes in one idle time. Units: seconds; what is negative or not a number is left out.
    pub fn add(&mut self, bounds: &Bounds, seconds: f64) {
        if !(seconds.is_finite() && seconds >= 0.0) {
            return;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(seconds.round() as u32);
        let bin = (seconds / BIN_SECONDS) as u32;
        if bin >= bounds.bins {
            self.outside += 1;
            return;
        }
        let count = match self.bins.binary_search_by_key(&bin, |b| b.0) {
            Ok(place) => &mut self.bins[place].1,
            Err(place) => {
                self.bins.insert(place, (bin, 0));
                &mut self.bins[place].1
            }
        };
        self.squares += 2 * u64::from(*count) + 1;
        *count += 1;
        self.inside += 1;
    }

    /// The windows that follow, and by which rule.
    ///
    /// Source: Shahrad et al., ATC 2020, section 4.2 (figures 12 and 13).
    #[must_use]
    pub fn windows(&self, bounds: &Bounds) -> (Rule, Windows) {
        let all = self.inside + self.outside;
        let standard = Windows {
            prewarm: Span::ZERO,
            keep_alive: bounds.standard,
        };
        if all < u64::from(bounds.observations_min.max(1)) {
            (Rule::Standard, standard)
        } else if self.outside as f64 >= bounds.out_of_bounds * all as f64 {
            self.forecast_windows(bounds)
                .map_or((Rule::Standard, standard), |w| (Rule::Forecast, w))
        } else if self.variation(bounds.bins) <= bounds.variation_min {
            (Rule::Standard, standard)
        } else {
            (Rule::Histogram, self.histogram_windows(bounds))
        }
    }

    /// Coefficient of variation of the counts of all bins, the empty ones included; 0 where all
    /// bins hold the same, `sqrt(bins − 1)` where one holds everything.
    #[must_use]
    pub fn variation(&self, bins: u32) -> f64 {
        let mean = self.inside as f64 / f64::from(bins);
        if self.inside == 0 {
            return 0.0;
        }
        let variance = self.squares as f64 / f64::from(bins) - mean * mean;
        if variance > 0.0 {
            variance.sqrt() / mean
        } else {
            0.0
        }
    }

    /// The bin in which the share `level` of the idle times within the range is reached.
    fn bin_at(&self, level: f64) -> u32 {
        let rank = (level * self.inside as f64).ceil() as u64;
        let mut sum = 0;
        for (bin, count) in &self.bins {
            sum += u64::from(*count);
            if sum >= rank.max(1) {
                return *bin;
            }
        }
        self.bins.last().map_or(0, |b| b.0)
    }

    /// From the head, rounded down to its bin's begin and less the margin, to the tail, rounded up
    /// to its bin's end and more by the margin.
    fn histogram_windows(&self, bounds: &Bounds) -> Windows {
        let head = f64::from(self.bin_at(bounds.head)) * BIN_SECONDS;
        let tail = f64::from(self.bin_at(bounds.tail) + 1) * BIN_SECONDS;
        between(head * (1.0 - bounds.margin), tail * (1.0 + bounds.margin))
    }

    /// A window of the margin on both sides of the next idle time; `None` without a forecast.
    fn forecast_windows(&self, bounds: &Bounds) -> Option<Windows> {
        let next = self.forecast()?;
        let margin = bounds.forecast_margin;
        Some(between(next * (1.0 - margin), next * (1.0 + margin)))
    }

    /// The next idle time in seconds: simple exponential smoothing, its weight the one of twenty
    /// that would have erred least (squared) on the idle times so far.
    ///
    /// The paper fits an ARIMA model anew after each such idle time. This is its member
    /// ARIMA(0,1,1), fitted by least squares: with at most six idle times a day there is little
    /// to fit more parameters to.
    fn forecast(&self) -> Option<f64> {
        let first = f64::from(*self.recent.front()?);
        let smoothed = |weight: f64| {
            self.recent.iter().fold((first, 0.0), |(level, lost), it| {
                let error = f64::from(*it) - level;
                (level + weight * error, lost + error * error)
            })
        };
        let tried = WEIGHTS.map(|w| smoothed(f64::from(w) / 20.0));
        let best = tried.reduce(|a, b| if b.1 < a.1 { b } else { a });
        best.map(|(level, _)| level)
    }
}

/// From one time after the last execution to another.
fn between(from_seconds: f64, to_seconds: f64) -> Windows {
    let span = |s: f64| Span::from_seconds_f64(smaller(s, 1e9)).unwrap_or(Span::ZERO);
    let (prewarm, end) = (span(from_seconds), span(to_seconds));
    Windows {
        prewarm,
        keep_alive: end - prewarm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            bins: 240,
            head: 0.05,
            tail: 0.99,
            margin: 0.1,
            variation_min: 2.0,
            observations_min: 5,
            out_of_bounds: 0.5,
            forecast_margin: 0.15,
            standard: Span::from_seconds(14_400),
        }
    }

    /// Idle times in minutes with how often each; rule, pre-warming and keep-alive in seconds.
    fn check(times: &[(f64, u32)], want: (Rule, f64, f64)) {
        let mut idle = IdleTimes::default();
        for (minutes, count) in times {
            (0..*count).for_each(|_| idle.add(&bounds(), minutes * 60.0));
        }
        let (rule, windows) = idle.windows(&bounds());
        let got = (windows.prewarm.seconds(), windows.keep_alive.seconds());
        assert_eq!(rule, want.0, "{times:?}");
        assert!(
            (got.0 - want.1).abs() < 1e-6 && (got.1 - want.2).abs() < 1e-6,
            "{times:?}: {got:?}"
        );
    }

    #[test]
    fn a_timer_is_loaded_from_a_tenth_before_its_minute_to_a_tenth_after() {
        // Every 30 minutes: head 30, tail 31 minutes; 0.9·30 = 27, 1.1·31 = 34.1.
        check(&[(30.0, 20)], (Rule::Histogram, 27.0 * 60.0, 7.1 * 60.0));
    }

    #[test]
    fn head_and_tail_leave_out_a_twentieth_and_a_hundredth() {
        // 5 of 100 at 2 min reach the 5th percentile: head 2; 94 at 10 min reach the 99th: tail 11.
        check(
            &[(2.5, 5), (10.2, 94), (100.0, 1)],
            (Rule::Histogram, 108.0, 11.0 * 66.0 - 108.0),
        );
        // 4 of 100 do not reach it: head 10. Two at 100 min push the 99th there: tail 101.
        check(
            &[(2.5, 4), (10.2, 94), (100.0, 2)],
            (Rule::Histogram, 540.0, 101.0 * 66.0 - 540.0),
        );
    }

    #[test]
    fn a_head_in_the_first_bin_is_rounded_down_to_no_unloading() {
        check(&[(0.5, 60), (3.0, 40)], (Rule::Histogram, 0.0, 4.0 * 66.0));
    }

    #[test]
    fn few_idle_times_and_even_bins_keep_the_standard() {
        check(&[], (Rule::Standard, 0.0, 14_400.0));
        check(&[(30.0, 4)], (Rule::Standard, 0.0, 14_400.0));
        let even: Vec<_> = (0..240).map(|m| (f64::from(m) + 0.5, 3)).collect();
        check(&even, (Rule::Standard, 0.0, 14_400.0));
    }

    #[test]
    fn variation_is_0_for_even_bins_and_largest_for_a_single_one() {
        let of = |bins: u32, filled: u32| {
            let mut idle = IdleTimes::default();
            (0..filled).for_each(|m| idle.add(&bounds(), f64::from(m) * 60.0 + 1.0));
            idle.variation(bins)
        };
        assert!(of(240, 240).abs() < 1e-9);
        assert!((of(240, 1) - 239_f64.sqrt()).abs() < 1e-9);
        // k of n bins with one each: sqrt(n/k − 1); 48 of 240 give exactly the threshold.
        assert!((of(240, 48) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn at_the_threshold_a_histogram_does_not_count_and_above_it_does() {
        let spread =
            |k: u32| -> Vec<(f64, u32)> { (0..k).map(|m| (f64::from(m) + 0.5, 1)).collect() };
        check(&spread(48), (Rule::Standard, 0.0, 14_400.0));
        // 47 bins: head in the bin 2 (rank 3), tail in the last.
        check(&spread(47), (Rule::Histogram, 108.0, 47.0 * 66.0 - 108.0));
    }

    #[test]
    fn idle_times_out_of_bounds_are_forecast_with_15_percent_on_each_side() {
        // The paper's example: 5 hours give 4.25 hours unloaded and 1.5 hours loaded.
        check(&[(300.0, 8)], (Rule::Forecast, 4.25 * 3600.0, 1.5 * 3600.0));
        check(
            &[(300.0, 4), (30.0, 5)],
            (Rule::Histogram, 27.0 * 60.0, 7.1 * 60.0),
        );
    }

    #[test]
    fn the_forecast_follows_a_level_that_shifts() {
        let mut idle = IdleTimes::default();
        for minutes in [300.0, 300.0, 300.0, 600.0, 600.0, 600.0, 600.0] {
            idle.add(&bounds(), minutes * 60.0);
        }
        let next = idle.forecast().unwrap() / 60.0;
        assert!((next - 600.0).abs() < 1.0, "{next}");
    }

    #[test]
    fn nonsense_is_left_out() {
        let mut idle = IdleTimes::default();
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            idle.add(&bounds(), bad);
        }
        assert_eq!(idle, IdleTimes::default());
    }
}
