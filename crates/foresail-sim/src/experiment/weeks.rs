//! Bootstrap weeks: how much a figure would vary in other weeks like those that were simulated.
//!
//! A bootstrap week is made of seven simulated days drawn with replacement; from two weeks on, each
//! day of it is drawn among the days of its own weekday. All policies get the same draws, so that
//! differences between them are paired. What lasts longer than a day (a deploy, a season of the
//! year) is not varied: the intervals do not hold against it.
//! Source: Efron & Tibshirani, An Introduction to the Bootstrap, chapters 8 and 13 (percentiles).

use foresail_core::quantity::time::Timestamp;
use foresail_models::rng::Seed;

use crate::fluid::FluidMinute;
use crate::metrics::measure::{MinuteRow, is_bad};
use crate::rng::Stream;

/// Minutes of a day.
const DAY: usize = 1440;

/// Days of a week.
const WEEK: usize = 7;

/// Bootstrap weeks that are drawn: the ends of a 95 % interval rest on 50 of them each.
const WEEKS: usize = 2000;

/// The fewest days that give an interval.
pub const DAYS_MIN: usize = 3;

/// One minute of a run, in whichever mode.
pub trait Minute {
    /// Requests that came.
    fn arrivals(&self) -> f64;
    /// Those of them that broke the promise.
    fn violations(&self) -> f64;
    /// Capacity paid for, in replica·minutes.
    fn replica_minutes(&self) -> f64;
}

impl Minute for MinuteRow {
    fn arrivals(&self) -> f64 {
        f64::from(self.arrivals)
    }

    fn violations(&self) -> f64 {
        f64::from(self.violations)
    }

    fn replica_minutes(&self) -> f64 {
        self.replica_minutes
    }
}

impl Minute for FluidMinute {
    fn arrivals(&self) -> f64 {
        self.arrivals
    }

    fn violations(&self) -> f64 {
        self.violations
    }

    fn replica_minutes(&self) -> f64 {
        self.replica_minutes
    }
}

/// What one policy came to on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Requests that came.
    pub arrivals: f64,
    /// Those of them that broke the promise.
    pub violations: f64,
    /// Minutes in which fewer than the promised share were kept.
    pub bad_minutes: f64,
    /// Capacity paid for, in replica·minutes.
    pub replica_minutes: f64,
}

impl Day {
    /// The sum of some minutes; `share` is the promised one.
    fn of(minutes: &[impl Minute], share: f64) -> Self {
        let mut day = Self::default();
        for minute in minutes {
            let (arrivals, violations) = (minute.arrivals(), minute.violations());
            day.arrivals += arrivals;
            day.violations += violations;
            day.bad_minutes += f64::from(u8::from(is_bad(arrivals, violations, share)));
            day.replica_minutes += minute.replica_minutes();
        }
        day
    }

    /// Adds what another run came to on this day.
    pub fn add(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.violations += other.violations;
        self.bad_minutes += other.bad_minutes;
        self.replica_minutes += other.replica_minutes;
    }

    /// Requests that broke the promise, in percent; zero where none came.
    #[must_use]
    pub fn violations_percent(&self) -> f64 {
        if self.arrivals > 0.0 {
            self.violations * 100.0 / self.arrivals
        } else {
            0.0
        }
    }
}

/// The whole days of a run, each 24 hours from its begin on; a rest is left out.
///
/// A run shorter than a day is one. `share` is the promised share of requests.
#[must_use]
pub fn days(minutes: &[impl Minute], share: f64) -> Vec<Day> {
    if minutes.len() < DAY {
        return vec![Day::of(minutes, share)];
    }
    let whole = minutes.chunks_exact(DAY);
    whole.map(|minutes| Day::of(minutes, share)).collect()
}

/// The sum of some days.
#[must_use]
pub fn total(days: &[Day]) -> Day {
    days.iter().fold(Day::default(), |mut sum, day| {
        sum.add(day);
        sum
    })
}

/// A 95 % interval of a statistic over bootstrap weeks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval95 {
    /// 2.5 % quantile.
    pub low: f64,
    /// 97.5 % quantile.
    pub high: f64,
}

/// Drawn weeks, the same for every policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weeks {
    /// Days by their index in the run.
    draws: Vec<[usize; WEEK]>,
    by_weekday: bool,
}

impl Weeks {
    /// Draws weeks among `days` days of a run; `None` with fewer than [`DAYS_MIN`].
    #[must_use]
    pub fn draw(start: Timestamp, days: usize, seed: Seed) -> Option<Self> {
        if days < DAYS_MIN {
            return None;
        }
        let by_weekday = days >= 2 * WEEK;
        let mut stream = Stream::of(seed, "weeks");
        let first = usize::try_from(start.seconds_floor().div_euclid(86_400).rem_euclid(7));
        let first = first.unwrap_or(0);
        let mut one = |weekday: usize| {
            let uniform = stream.uniform();
            if !by_weekday {
                return (uniform * days as f64) as usize;
            }
            let offset = (weekday + WEEK - first) % WEEK;
            let count = (days - offset).div_ceil(WEEK);
            offset + WEEK * (uniform * count as f64) as usize
        };
        let draws = (0..WEEKS).map(|_| std::array::from_fn(&mut one)).collect();
        Some(Self { draws, by_weekday })
    }

    /// `true` where each day of a week was drawn among those of its own weekday.
    #[must_use]
    pub fn by_weekday(&self) -> bool {
        self.by_weekday
    }

    /// The 95 % interval of what `of` makes of each week's days, given by index.
    #[must_use]
    pub fn interval(&self, of: impl Fn(&[usize; WEEK]) -> f64) -> Interval95 {
        let mut values: Vec<f64> = self.draws.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |level: f64| values[(level * (values.len() - 1) as f64).round() as usize];
        Interval95 {
            low: at(0.025),
            high: at(0.975),
        }
    }

    /// The share of weeks for which `holds`, in percent.
    #[must_use]
    pub fn share_percent(&self, holds: impl Fn(&[usize; WEEK]) -> bool) -> f64 {
        let count = self.draws.iter().filter(|week| holds(week)).count();
        count as f64 * 100.0 / self.draws.len() as f64
    }
}

/// One week of a policy: the sum of its drawn days.
#[must_use]
pub fn week(days: &[Day], drawn: &[usize; WEEK]) -> Day {
    let mut sum = Day::default();
    for index in drawn {
        sum.add(&days[*index]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(violations: f64) -> Day {
        Day {
            arrivals: 100.0,
            violations,
            bad_minutes: 0.0,
            replica_minutes: 1440.0,
        }
    }

    #[test]
    fn from_two_weeks_on_a_monday_is_drawn_among_mondays() {
        // 5 January 2026 is a Monday; the epoch's first day was a Thursday.
        let start = Timestamp::from_seconds(1_767_571_200);
        let weeks = Weeks::draw(start, 15, Seed(1)).unwrap();
        let weekday = |index: usize| (start.seconds_floor() / 86_400 + index as i64) % 7;
        for drawn in &weeks.draws {
            let found: Vec<_> = drawn.iter().map(|i| weekday(*i)).collect();
            assert_eq!(found, [0, 1, 2, 3, 4, 5, 6], "{drawn:?}");
        }
        let seen = |index| weeks.draws.iter().any(|w| w.contains(&index));
        assert!((0..15).all(seen), "every day has its chance");
    }

    /// The mean of seven independent days: its standard error is known.
    #[test]
    fn the_interval_is_that_of_the_mean_of_seven_days() {
        let days: Vec<Day> = (0..100).map(|i| day(f64::from(i % 10))).collect();
        let weeks = Weeks::draw(Timestamp::EPOCH, 13, Seed(2)).unwrap();
        assert!(!weeks.by_weekday());
        let days = &days[..10];
        let weeks = Weeks::draw(Timestamp::EPOCH, days.len(), Seed(2)).unwrap();
        let got = weeks.interval(|w| week(days, w).violations_percent());
        // Uniform on 0..9: mean 4.5, standard deviation 2.872; of seven days 1.0856.
        let want = (4.5 - 1.96 * 1.0856, 4.5 + 1.96 * 1.0856);
        assert!((got.low - want.0).abs() < 0.15, "{got:?} {want:?}");
        assert!((got.high - want.1).abs() < 0.15, "{got:?} {want:?}");
    }

    #[test]
    fn two_days_give_no_interval() {
        assert_eq!(Weeks::draw(Timestamp::EPOCH, 2, Seed(1)), None);
    }
}
