//! Whether a forecaster is trusted: its band's coverage, its skill, and what took the trust away.
//!
//! The last [`SCORED_MAX`] forecasts are scored as their time comes. Trust is lost when the 80 % band
//! holds too little, when the last value would have erred less, or when a change is told from
//! outside; it comes back once enough new forecasts were good. Who trips again within the hour must
//! prove itself twice as long.
//! Source of the counts: specs/reliability.md 1.1 S4 (96 points, 65 %) and 1.2 (a time that doubles).

use std::collections::VecDeque;

use foresail_core::propose::{Trip, TripCause};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

/// Forecasts that are scored.
pub const SCORED_MAX: usize = 96;

/// Forecasts that must be good before a new forecaster is trusted: half an hour of minutes.
pub const NEEDED_MIN: u32 = 30;

/// The most that must be good, however often it tripped.
const NEEDED_MAX: u32 = 96;

/// Times the last value's mean error that a single error counts at most.
const OUTLIER: f64 = 4.0;

/// Who trips again this soon must prove itself twice as long, and who is trusted again says so as
/// long.
pub const HOUR: Span = Span::from_seconds(3600);

/// What is asked of a forecaster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demands {
    /// The least coverage of the 80 % band, in percent.
    pub coverage_percent_min: f64,
    /// The most error against the last value's, in percent.
    pub error_percent_max: f64,
}

/// One forecast whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// How much of what came lay in the 80 % band: 0, 1, or between for a value that fills an edge.
    pub covered: f64,
    /// Distance of what came from the median.
    pub error: f64,
    /// Distance of what came from the value that was last when the forecast was made.
    pub of_last: f64,
}

/// Why it is not trusted, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Tripped {
    cause: TripCause,
    since: Timestamp,
}

/// The record of one forecaster on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    scores: VecDeque<Score>,
    tripped: Option<Tripped>,
    needed: u32,
    /// When it was last trusted again, after a trip that was not its first.
    relearnt_at: Option<Timestamp>,
}

/// Share of a value in the band from `low` to `high`, where a value of whole requests fills half a
/// request to each side and the band holds four fifths.
///
/// A band inside the value's own width holds as much of it as it promises: an exact forecast of a
/// constant covers 80 %, not all.
/// Source: the randomised probability integral transform (Czado, Gneiting & Held, Biometrics 2009),
/// its mean instead of a draw.
#[must_use]
pub fn covered(low: f64, high: f64, came: f64, half: f64) -> f64 {
    let (from, to) = (came - half, came + half);
    // Level of a place: a tenth at `low`, nine tenths at `high`, straight between and as far beyond.
    let level = |place: f64| match place {
        p if p < low => (0.1 * (1.0 - (low - p) / larger(half, 1e-12))).clamp(0.0, 0.1),
        p if p > high => (0.9 + 0.1 * (p - high) / larger(half, 1e-12)).clamp(0.9, 1.0),
        p if high > low => 0.1 + 0.8 * (p - low) / (high - low),
        _ => 0.5,
    };
    let (a, b) = (level(from), level(to));
    if b - a < 1e-9 {
        return if came >= low && came <= high {
            1.0
        } else {
            0.0
        };
    }
    (b.clamp(0.1, 0.9) - a.clamp(0.1, 0.9)) / (b - a)
}

impl Trust {
    /// Nobody is trusted from the begin.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            scores: VecDeque::new(),
            tripped: Some(Tripped {
                cause: TripCause::New,
                since: now,
            }),
            needed: NEEDED_MIN,
            relearnt_at: None,
        }
    }

    /// Takes in a forecast whose time has come.
    pub fn score(&mut self, score: Score) {
        if self.scores.len() >= SCORED_MAX {
            self.scores.pop_front();
        }
        self.scores.push_back(score);
    }

    /// Coverage of the 80 % band over all scored, in percent; `None` while they are too few.
    #[must_use]
    pub fn coverage_percent(&self) -> Option<u8> {
        (self.scores.len() >= SCORED_MAX).then(|| self.coverage().round().clamp(0.0, 100.0) as u8)
    }

    fn coverage(&self) -> f64 {
        let sum: f64 = self.scores.iter().map(|s| s.covered).sum();
        100.0 * sum / self.scores.len().max(1) as f64
    }

    /// Error against the last value's, in percent; 100 where neither errs.
    ///
    /// Single errors count [`OUTLIER`] times the last value's mean at most: a change of demand is
    /// told as one, and a burst is nobody's fault.
    fn error_percent(&self) -> f64 {
        let sum = |of: &dyn Fn(&Score) -> f64| self.scores.iter().map(of).sum::<f64>();
        let most = OUTLIER * sum(&|s| s.of_last) / self.scores.len().max(1) as f64;
        let cut = |error: f64| {
            if most > 0.0 {
                smaller(error, most)
            } else {
                error
            }
        };
        let (error, of_last) = (sum(&|s| cut(s.error)), sum(&|s| cut(s.of_last)));
        match of_last > 0.0 {
            true => 100.0 * error / of_last,
            false if error > 0.0 => f64::INFINITY,
            false => 100.0,
        }
    }

    /// What is wrong with the record, where anything is.
    fn fault(&self, demands: &Demands) -> Option<TripCause> {
        let coverage = self.coverage();
        if coverage < demands.coverage_percent_min {
            return Some(TripCause::Coverage(coverage.clamp(0.0, 100.0) as u8));
        }
        let error = self.error_percent();
        (error > demands.error_percent_max)
            .then_some(TripCause::Skill(smaller(error, 9999.0) as u32))
    }

    /// Judges the record; returns `true` where the trust was lost just now.
    pub fn judge(&mut self, demands: &Demands, now: Timestamp) -> bool {
        let fault = self.fault(demands);
        match self.tripped {
            None if self.scores.len() >= SCORED_MAX => {
                let Some(cause) = fault else { return false };
                self.trip(cause, now);
                true
            }
            Some(tripped) if self.scores.len() >= self.needed as usize && fault.is_none() => {
                self.tripped = None;
                if tripped.cause != TripCause::New {
                    self.relearnt_at = Some(now);
                }
                false
            }
            _ => false,
        }
    }

    /// Takes the trust away; what was scored before counts no more.
    pub fn trip(&mut self, cause: TripCause, now: Timestamp) {
        let soon = self.relearnt_at.is_some_and(|at| now - at < HOUR);
        let needed = if soon { self.needed * 2 } else { NEEDED_MIN };
        // A second cause while it is tripped anyway is told, but does not count twice.
        self.needed = match self.tripped {
            None => needed.min(NEEDED_MAX),
            Some(_) => self.needed,
        };
        self.scores.clear();
        self.tripped = Some(Tripped { cause, since: now });
    }

    /// Scores begin anew, as for a model that was fitted anew; trust stays as it is.
    pub fn forget(&mut self) {
        self.scores.clear();
    }

    /// Why it is not trusted; `None` where it is.
    #[must_use]
    pub fn tripped(&self, now: Timestamp) -> Option<Trip> {
        self.tripped.map(|tripped| Trip {
            cause: tripped.cause,
            ago: now - tripped.since,
            scored: u32::try_from(self.scores.len()).unwrap_or(u32::MAX),
            needed: self.needed,
        })
    }

    /// When it was trusted again, where that was within the hour.
    #[must_use]
    pub fn relearnt_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.relearnt_at
            .filter(|at| self.tripped.is_none() && now - *at < HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMANDS: Demands = Demands {
        coverage_percent_min: 65.0,
        error_percent_max: 110.0,
    };

    const GOOD: Score = Score {
        covered: 0.8,
        error: 1.0,
        of_last: 1.2,
    };

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(60 * minute)
    }

    /// Feeds one score a minute; returns the minute in which the state of trust changed.
    fn feed(trust: &mut Trust, from: i64, count: i64, score: Score) -> Option<i64> {
        let before = trust.tripped(at(from)).is_none();
        let mut changed = None;
        for minute in from..from + count {
            trust.score(score);
            trust.judge(&DEMANDS, at(minute));
            let trusted = trust.tripped(at(minute)).is_none();
            changed = changed.or((trusted != before).then_some(minute));
        }
        changed
    }

    #[test]
    fn trust_is_earned_lost_and_earned_again_at_a_rising_price() {
        let mut trust = Trust::new(at(0));
        assert_eq!(feed(&mut trust, 0, 100, GOOD), Some(29));
        assert_eq!(trust.coverage_percent(), Some(80));
        assert_eq!(
            trust.relearnt_at(at(100)),
            None,
            "the first time is no return"
        );
        trust.trip(TripCause::Change(200), at(100));
        let told = trust.tripped(at(112)).expect("tripped").to_string();
        assert_eq!(
            told,
            "demand at 200 % of forecast 12 min ago, relearning 0 of 30"
        );
        assert_eq!(feed(&mut trust, 100, 40, GOOD), Some(129));
        assert_eq!(trust.relearnt_at(at(140)), Some(at(129)));
        trust.trip(TripCause::Change(50), at(140));
        assert_eq!(feed(&mut trust, 140, 100, GOOD), Some(199), "twice as long");
        assert_eq!(
            trust.relearnt_at(at(260)),
            None,
            "an hour later it is no news"
        );
        trust.trip(TripCause::Change(50), at(300));
        assert_eq!(feed(&mut trust, 300, 100, GOOD), Some(329), "as at first");
    }

    #[test]
    fn a_band_that_holds_too_little_and_errors_above_the_last_values_cost_the_trust() {
        let narrow = Score {
            covered: 0.6,
            ..GOOD
        };
        let worse = Score { error: 1.4, ..GOOD };
        for (bad, cause) in [
            (narrow, TripCause::Coverage(64)),
            (worse, TripCause::Skill(110)),
        ] {
            let mut trust = Trust::new(at(0));
            feed(&mut trust, 0, 96, GOOD);
            assert!(feed(&mut trust, 96, 96, bad).is_some());
            let told = trust.tripped(at(192)).expect("tripped").cause;
            assert_eq!(told, cause);
            assert_eq!(feed(&mut trust, 192, 100, bad), None, "it stays so");
            assert!(
                feed(&mut trust, 300, 96, GOOD).is_some(),
                "until it is good"
            );
        }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "shares are exactly zero or one")]
    fn a_constant_that_is_forecast_exactly_covers_what_is_promised() {
        assert!((covered(7.0, 7.0, 7.0, 0.5) - 0.8).abs() < 1e-9);
        assert!((covered(6.5, 7.5, 7.0, 0.5) - 1.0).abs() < 1e-9);
        assert_eq!(covered(90.0, 110.0, 100.0, 0.5), 1.0);
        assert_eq!(covered(90.0, 110.0, 120.0, 0.5), 0.0);
        assert_eq!(covered(90.0, 110.0, 80.0, 0.5), 0.0);
        let edge = covered(90.0, 110.0, 110.0, 0.5);
        assert!((0.0..1.0).contains(&edge), "{edge}");
    }
}
