//! A forecaster's quantiles, moved until they hold what they promise.
//!
//! Each quantile's distance from the median is stretched by a factor of its own. A value above an
//! upper quantile lengthens it, one below shortens it, in the proportion in which the level promises
//! them; so the share that is held comes to the level whatever comes, shifts included.
//! Source: Gibbs & Candès, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021, in
//! the form of a quantile tracker (Angelopoulos, Candès & Tibshirani, Conformal PID, NeurIPS 2023),
//! on the logarithm of the factor.

use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

/// How far one value moves a factor: a miss of the 95 % quantile lengthens it by a tenth.
const RATE: f64 = 0.1;

/// A distance is made at most this many times longer or shorter: a band that would need more is not
/// the forecaster's any more, and its coverage costs it the trust.
const FACTOR_MAX: f64 = 4.0;

/// Factors of some levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    /// Logarithm of each level's factor, in the order of the levels.
    logs: Vec<f64>,
}

impl Calibrator {
    /// The quantiles of one step as they are to be told, still rising.
    ///
    /// `least` is the shortest distance that is stretched: half a request in a step.
    /// Shapes: `levels` and `quantiles` have equal length. Units: those of demand.
    #[must_use]
    pub fn told(&self, levels: &[f64], quantiles: &[f64], median: f64, least: f64) -> Vec<f64> {
        let one = |(place, quantile): (usize, &f64)| {
            let factor = self.logs.get(place).copied().unwrap_or_default().exp();
            let side = levels[place] - 0.5;
            let far = factor * larger((quantile - median).abs(), least);
            match side {
                s if s > 0.0 => median + far,
                s if s < 0.0 => larger(median - far, 0.0),
                _ => median,
            }
        };
        let mut told: Vec<f64> = quantiles.iter().enumerate().map(one).collect();
        told.sort_by(f64::total_cmp);
        told
    }

    /// Learns from what came, given the quantiles that were told for it.
    pub fn learn(&mut self, levels: &[f64], told: &[f64], came: f64) {
        self.logs.resize(levels.len(), 0.0);
        let most = FACTOR_MAX.ln();
        for ((log, level), quantile) in self.logs.iter_mut().zip(levels).zip(told) {
            let held = if came <= *quantile { 1.0 } else { 0.0 };
            let side = if *level > 0.5 { 1.0 } else { -1.0 };
            *log = (*log + RATE * side * (level - held)).clamp(-most, most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::quantile::normal_quantile;
    use crate::rng::{Seed, child, uniform};

    const LEVELS: [f64; 4] = [0.1, 0.5, 0.9, 0.95];

    /// Share held by each quantile in the last half, where noise is `wider` than was forecast.
    fn held(wider: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut calibrator = Calibrator::default();
        let mut stream = child(Seed(11), "calibrate");
        let mut hits = [0.0; 4];
        let count = 8000;
        for i in 0..count {
            let quantiles = LEVELS.map(|l| 100.0 + 10.0 * normal_quantile(l));
            let told = calibrator.told(&LEVELS, &quantiles, 100.0, 0.5);
            assert!(told.is_sorted());
            let came = 100.0
                + wider(i) * 10.0 * normal_quantile(uniform(&mut stream).clamp(1e-9, 1.0 - 1e-9));
            for (hit, quantile) in hits.iter_mut().zip(&told) {
                *hit += f64::from(i >= count / 2 && came <= *quantile);
            }
            calibrator.learn(&LEVELS, &told, came);
        }
        hits.iter().map(|h| h / (count / 2) as f64).collect()
    }

    #[test]
    fn levels_hold_what_they_promise_whatever_the_noise() {
        let shapes: [fn(usize) -> f64; 4] = [
            |_| 1.0,
            |_| 3.0,
            |_| 0.3,
            |i| {
                if (i / 1000).is_multiple_of(2) {
                    0.5
                } else {
                    2.0
                }
            },
        ];
        for wider in shapes {
            let held = held(wider);
            for (level, share) in LEVELS.iter().zip(&held) {
                assert!((level - share).abs() < 0.02, "{level}: {held:?}");
            }
        }
    }

    #[test]
    fn a_band_without_width_gets_half_a_request_to_begin_with() {
        let told = Calibrator::default().told(&LEVELS, &[7.0; 4], 7.0, 0.5);
        assert_eq!(told, [6.5, 7.0, 7.5, 7.5]);
    }
}
