//! Changes of level: when what comes has left what was forecast, on one side, and stays there.
//!
//! Two cumulative sums run over the errors of forecasts made [`LEAD`] steps before, one for each
//! side. Errors are taken where counts and multiplicative noise have the same spread at every level,
//! and divided by a running scale. Because they are a forecaster's errors, a season or a trend that
//! it knows is no change; because the lead is fixed, a forecaster that follows the last value sees
//! the change as well as one that does not. State and work per step are bounded.
//! Source: Page, Continuous Inspection Schemes, Biometrika 1954; the transform is Anscombe's for
//! the negative binomial, Biometrika 1948.

use std::collections::VecDeque;

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

use super::quantile::of_values;

/// Steps between the forecast and the step whose error is looked at: a change is to be found before
/// forecasts that were made after it are looked at.
pub const LEAD: usize = 15;

/// Errors from which the first scale is taken; nothing is found before.
const WARM_UP: usize = 64;

/// Spread of the noise beside that of counts, as a share of the level: below a level of 1/SPREAD²
/// counts rule, above it noise in proportion to the level.
const SPREAD: f64 = 0.1;

/// The least scale: a tenth of the level is two of it, so a smaller shift is never told.
const SCALE_MIN: f64 = 0.5;

/// Slack of the sums in scales: half of a shift of two.
const SLACK: f64 = 1.0;

/// The most that one error adds to a sum in scales: a burst of five steps is no change.
const ERROR_MAX: f64 = 3.0;

/// Sum in scales that tells a change. Normal errors without memory reach it about once in
/// exp(2 · SLACK · 11) steps (Siegmund's approximation); the margin is for those that are neither.
const SUM_MAX: f64 = 11.0;

/// Share of a new error in the running scale, bias and correlation.
const FORGET: f64 = 1.0 / 256.0;

/// The most that errors are taken to resemble the ones before.
const CORRELATION_MAX: f64 = 0.98;

/// A change that was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Steps ago that it began, the step that told it counted as one.
    pub steps_ago: u32,
    /// The level since then over the level that was expected.
    pub factor: f64,
}

/// One error as it is kept until it may move the scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    error: f64,
    /// Logarithm of what came over what was expected.
    ratio: f64,
}

/// A cumulative sum of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    value: f64,
    /// Steps since it was last zero.
    steps: u32,
}

impl Sum {
    fn add(&mut self, scales: f64) {
        self.value = larger(self.value + smaller(scales, ERROR_MAX) - SLACK, 0.0);
        self.steps = if self.value > 0.0 { self.steps + 1 } else { 0 };
    }
}

/// Watches one series of forecasts and what came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// Errors until there is a scale.
    first: Vec<f64>,
    /// The last [`LEAD`] errors: they do not move the scale yet, or a change would hide itself.
    recent: VecDeque<Seen>,
    /// Zero until there is one.
    scale: f64,
    bias: f64,
    /// The last error that moved the scale, in scales, and mean products with itself and the next.
    last: f64,
    square: f64,
    product: f64,
    up: Sum,
    down: Sum,
}

/// Where noise has one spread: `2/φ · asinh(φ √(y + 3/8))`, the square root of counts at first, the
/// logarithm at last.
fn steadied(count: f64) -> f64 {
    2.0 / SPREAD * (SPREAD * (larger(count, 0.0) + 0.375).sqrt()).asinh()
}

impl Detector {
    /// Takes in one step: what was expected [`LEAD`] steps before and what came; a change is told
    /// once, and everything is learnt anew from there on.
    ///
    /// What is not finite is left out. Units: both in counts per step.
    pub fn observe(&mut self, expected: f64, came: f64) -> Option<Change> {
        if !expected.is_finite() || !came.is_finite() {
            return None;
        }
        let error = steadied(came) - steadied(expected);
        let ratio = ((larger(came, 0.0) + 0.5) / (larger(expected, 0.0) + 0.5)).ln();
        if self.scale <= 0.0 {
            self.warm_up(error);
            return None;
        }
        let scales = (error - self.bias) / (self.scale * self.memory().sqrt());
        self.up.add(scales);
        self.down.add(-scales);
        self.recent.push_back(Seen { error, ratio });
        if self.recent.len() > LEAD
            && let Some(old) = self.recent.pop_front()
        {
            self.learn(old.error);
        }
        let sums = [self.up, self.down];
        let told = sums.into_iter().find(|s| s.value > SUM_MAX)?;
        let change = self.change(told.steps);
        *self = Self::default();
        Some(change)
    }

    /// `true` once a change would be found.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.scale > 0.0
    }

    fn change(&self, steps: u32) -> Change {
        let skipped = self.recent.len().saturating_sub(steps as usize);
        let ratios = self.recent.iter().skip(skipped).map(|s| s.ratio);
        Change {
            steps_ago: steps,
            factor: of_values(ratios.collect(), 0.5).exp(),
        }
    }

    /// The first scale is robust: a burst within the first errors must not make it large.
    fn warm_up(&mut self, error: f64) {
        self.first.push(error);
        if self.first.len() < WARM_UP {
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.bias = of_values(first.clone(), 0.5);
        let off = first.iter().map(|e| (e - self.bias).abs()).collect();
        // A normal distribution's deviation is 1.4826 of its median absolute deviation.
        self.scale = larger(1.4826 * of_values(off, 0.5), SCALE_MIN);
        for error in first {
            self.measure(error, 1.0 / WARM_UP as f64);
        }
    }

    /// Moves scale, bias and correlation by one error.
    fn learn(&mut self, error: f64) {
        let most = ERROR_MAX * self.scale;
        let off = (error - self.bias).clamp(-most, most);
        self.bias += FORGET * off;
        // A normal distribution's deviation is 1.2533 of its mean absolute deviation.
        let scale = self.scale + FORGET * (1.2533 * off.abs() - self.scale);
        self.scale = larger(scale, SCALE_MIN);
        self.measure(error, FORGET);
    }

    fn measure(&mut self, error: f64, share: f64) {
        let scales = ((error - self.bias) / self.scale).clamp(-ERROR_MAX, ERROR_MAX);
        self.square += share * (scales * scales - self.square);
        self.product += share * (scales * self.last - self.product);
        self.last = scales;
    }

    /// How much farther sums wander because errors resemble the ones before: the long-run variance
    /// of a first-order autoregression over its variance. Its root is what one error counts less.
    fn memory(&self) -> f64 {
        if self.square <= 0.0 {
            return 1.0;
        }
        let correlation = (self.product / self.square).clamp(0.0, CORRELATION_MAX);
        (1.0 + correlation) / (1.0 - correlation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child, uniform};

    /// A detector that has seen `count` steps of noise of ±`half` around `level`.
    fn calm(level: f64, half: f64, count: usize) -> Detector {
        let mut detector = Detector::default();
        let mut stream = child(Seed(3), "calm");
        for _ in 0..count {
            let came = level + half * (2.0 * uniform(&mut stream) - 1.0);
            assert_eq!(detector.observe(level, came), None);
        }
        detector
    }

    #[test]
    fn a_change_is_told_once_with_its_begin_and_its_factor() {
        let mut detector = calm(600.0, 120.0, 500);
        let told = (1..=15).find_map(|i| detector.observe(600.0, 1500.0).map(|c| (i, c)));
        let (steps, change) = told.expect("a change");
        assert!((6..=8).contains(&steps), "{steps}");
        assert!((steps..steps + 4).contains(&change.steps_ago), "{change:?}");
        assert!((change.factor - 2.5).abs() < 0.01, "{change:?}");
        assert!(!detector.is_ready(), "it learns anew");
    }

    #[test]
    fn a_burst_of_five_steps_and_one_absurd_value_are_no_change() {
        let mut detector = calm(50.0, 12.0, 300);
        assert_eq!(detector.observe(50.0, 1e9), None);
        for came in [
            50.0, 51.0, 500.0, 400.0, 300.0, 250.0, 200.0, 48.0, 52.0, 49.0,
        ] {
            assert_eq!(detector.observe(50.0, came), None, "{came}");
        }
    }

    #[test]
    fn a_season_that_the_forecaster_knows_is_no_change() {
        let mut detector = Detector::default();
        let mut stream = child(Seed(5), "season");
        for i in 0..20_000 {
            let level = 300.0 + 280.0 * (f64::from(i) / 1440.0 * std::f64::consts::TAU).sin();
            let came = level * (0.8 + 0.4 * uniform(&mut stream));
            assert_eq!(detector.observe(level, came), None, "{i}");
        }
    }

    #[test]
    fn a_constant_is_calm_and_its_small_wobble_too() {
        let mut detector = calm(100.0, 0.0, 200);
        for i in 0..500 {
            let came = if i % 2 == 0 { 104.0 } else { 97.0 };
            assert_eq!(detector.observe(100.0, came), None);
        }
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut detector = calm(50.0, 12.0, 200);
        let before = detector.clone();
        for (expected, came) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            assert_eq!(detector.observe(expected, came), None);
        }
        assert_eq!(detector, before);
    }
}
