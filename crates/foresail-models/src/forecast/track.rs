//! The record of a forecaster: what it said, what came, and the band that follows from its errors.

use std::collections::VecDeque;

use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::quantile::of_sorted;

/// Errors that are remembered; the band's coverage is told over as many.
/// Source: specs/reliability.md 1.1 S4 ("over the last 96 points").
pub const ERRORS_MAX: usize = 96;

/// Errors without which there is no band.
pub const ERRORS_MIN: usize = 24;

/// Forecasts whose time has not come yet.
const PENDING_MAX: usize = 512;

/// A forecast that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    when: Timestamp,
    point: f64,
    /// The 80 % band, where there was one.
    band: Option<(f64, f64)>,
}

/// The record of one forecaster on one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    pending: VecDeque<Said>,
    /// What came minus what was said, oldest first.
    errors: VecDeque<f64>,
    /// Whether what came lay in the 80 % band, oldest first.
    inside: VecDeque<bool>,
}

/// Distances of the 10 %, 50 % and 90 % quantiles from a forecaster's point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offsets {
    low: f64,
    middle: f64,
    high: f64,
}

impl Offsets {
    /// The band around a point, never below zero. Units: those of demand.
    #[must_use]
    pub fn around(self, point: f64) -> Banded {
        let edge = |offset: f64| {
            if point + offset > 0.0 {
                point + offset
            } else {
                0.0
            }
        };
        Banded {
            q10: edge(self.low),
            q50: edge(self.middle),
            q90: edge(self.high),
        }
    }
}

/// A forecast with its 80 % band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Banded {
    /// Lower edge: 10 % quantile.
    pub q10: f64,
    /// Median.
    pub q50: f64,
    /// Upper edge: 90 % quantile.
    pub q90: f64,
}

/// Remembers a value, and forgets the oldest where there would be more than `most`.
pub(crate) fn remember<T>(ring: &mut VecDeque<T>, value: T, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(value);
}

impl Track {
    /// Settles every forecast whose time has come with what was measured then.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        while let Some(said) = self.pending.front().copied().filter(|s| s.when <= at) {
            self.pending.pop_front();
            if said.when == at {
                remember(&mut self.errors, value - said.point, ERRORS_MAX);
                if let Some((low, high)) = said.band {
                    let inside = (low..=high).contains(&value);
                    remember(&mut self.inside, inside, ERRORS_MAX);
                }
            }
        }
    }

    /// Where the band lies around a point, by the errors so far; `None` while there are too few.
    ///
    /// Each edge and the median are the same quantile of the errors.
    #[must_use]
    pub fn offsets(&self) -> Option<Offsets> {
        if self.errors.len() < ERRORS_MIN {
            return None;
        }
        let mut sorted: Vec<f64> = self.errors.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let [low, middle, high] = [0.1, 0.5, 0.9].map(|level| of_sorted(&sorted, level));
        Some(Offsets { low, middle, high })
    }

    /// Remembers a forecast for `when` until it can be settled.
    pub fn say(&mut self, when: Timestamp, point: f64, band: Option<Banded>) {
        let band = band.map(|b| (b.q10, b.q90));
        remember(&mut self.pending, Said { when, point, band }, PENDING_MAX);
    }

    /// Mean absolute error so far; `None` while there are too few.
    #[must_use]
    pub fn mean_error(&self) -> Option<f64> {
        let count = self.errors.len();
        (count >= ERRORS_MIN)
            .then(|| self.errors.iter().map(|e| e.abs()).sum::<f64>() / count as f64)
    }

    /// Share of what came that lay in the band, in percent; `None` while there are too few.
    #[must_use]
    pub fn coverage_percent(&self) -> Option<u8> {
        let hits = self.inside.iter().filter(|i| **i).count() * 100;
        let full = self.inside.len() >= ERRORS_MAX;
        full.then(|| u8::try_from(hits / self.inside.len()).unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_holds_four_fifths_of_the_errors() {
        let mut track = Track::default();
        for i in 0..ERRORS_MAX as i64 {
            let at = Timestamp::from_seconds(i * 60);
            track.say(at, 100.0, None);
            track.observe(at, 100.0 + i as f64);
        }
        let band = track.offsets().unwrap().around(200.0);
        assert!(
            (band.q10 - 209.5).abs() < 1e-9 && (band.q50 - 247.5).abs() < 1e-9,
            "{band:?}"
        );
        assert!((band.q90 - 285.5).abs() < 1e-9, "{band:?}");
    }

    #[test]
    fn a_forecast_whose_minute_is_missing_says_nothing_of_the_error() {
        let mut track = Track::default();
        track.say(Timestamp::from_seconds(60), 5.0, None);
        track.observe(Timestamp::from_seconds(120), 9.0);
        assert_eq!(track.errors.len(), 0);
    }
}
