//! What an expert's errors were of late, and the quantiles that follow.

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

use crate::forecast::score::check;
use crate::forecast::tracked::{LEVELS, Quantiles};

/// Errors that are remembered.
const ERRORS_MAX: usize = 240;

/// Errors without which an expert has no loss.
const ERRORS_MIN: u32 = 20;

/// Weights of the newest error in the quick and in the slow mean.
const SCALE_WEIGHTS: (f64, f64) = (0.04, 0.004);

/// Discounted pinball loss of each level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Losses(pub(super) Quantiles);

impl Losses {
    pub(super) fn add(&mut self, quantiles: &Quantiles, actual: f64, kept: f64) {
        for ((loss, level), quantile) in self.0.iter_mut().zip(LEVELS).zip(quantiles) {
            let pinball = check(level, larger(*quantile, 0.0), actual);
            *loss = *loss * kept + pinball;
        }
    }
}

/// The record of one expert at one horizon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Errors over their scale, in the order of time from `oldest` on, round and round.
    errors: Vec<f64>,
    oldest: usize,
    sorted: Vec<f64>,
    quick: f64,
    slow: f64,
    count: u32,
    /// Quantiles of the errors over their scale.
    spread: Quantiles,
    pub(super) losses: Losses,
}

impl Record {
    /// What the errors are of the size of.
    pub(super) fn scale(&self) -> f64 {
        larger(0.5 * (self.quick + self.slow), 1e-12)
    }

    /// Distances of the quantiles from the point, by the errors of late.
    pub(super) fn offsets(&self, scale: f64) -> Quantiles {
        self.spread.map(|s| scale * s)
    }

    fn spread_of_errors(&self) -> Quantiles {
        let last = (self.sorted.len() - 1) as f64;
        LEVELS.map(|level| {
            // The next error is as likely between any two neighbours.
            let place = (level * (last + 2.0) - 1.0).clamp(0.0, last);
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let (below, above) = (self.sorted[low], self.sorted[high]);
            below + (place - place.floor()) * (above - below)
        })
    }

    /// Takes in what came, where `point` was said and errors were of size `scale`.
    pub(super) fn learn(&mut self, point: f64, scale: f64, actual: f64, kept: f64) {
        if self.count >= ERRORS_MIN {
            let quantiles = self.offsets(scale).map(|o| point + o);
            self.losses.add(&quantiles, actual, kept);
        }
        let error = actual - point;
        let relative = if scale > 1e-11 {
            (error / scale).clamp(-50.0, 50.0)
        } else {
            error.clamp(-1.0, 1.0)
        };
        self.remember(relative);
        self.spread = self.spread_of_errors();
        self.count = self.count.saturating_add(1);
        let nth = 1.0 / f64::from(self.count);
        self.quick += larger(nth, SCALE_WEIGHTS.0) * (error.abs() - self.quick);
        self.slow += larger(nth, SCALE_WEIGHTS.1) * (error.abs() - self.slow);
    }

    fn remember(&mut self, error: f64) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        } else {
            let old = std::mem::replace(&mut self.errors[self.oldest], error);
            self.oldest = (self.oldest + 1) % ERRORS_MAX;
            let place = self.sorted.partition_point(|e| *e < old);
            self.sorted.remove(place.min(self.sorted.len() - 1));
        }
        let place = self.sorted.partition_point(|e| *e < error);
        self.sorted.insert(place, error);
    }

    /// Whether it has enough errors for a loss.
    pub(super) fn is_known(&self) -> bool {
        self.count > ERRORS_MIN
    }

    /// Whether what was read back fits together.
    pub(super) fn is_sound(&self) -> bool {
        let full = self.errors.len() == ERRORS_MAX || self.oldest == 0;
        let sizes = self.errors.len() <= ERRORS_MAX && self.sorted.len() == self.errors.len();
        sizes && full && self.oldest < ERRORS_MAX && self.sorted.is_sorted()
    }
}

/// The share of a mean that an expert gets, for its loss and the least loss of all.
pub(super) fn weight(loss: f64, least: f64) -> f64 {
    /// The higher, the more the best alone counts.
    const SHARPNESS: i32 = 12;
    if loss <= 1e-12 {
        return 1.0;
    }
    let share = smaller(least / loss, 1.0).powi(SHARPNESS);
    larger(share, 1e-9)
}
