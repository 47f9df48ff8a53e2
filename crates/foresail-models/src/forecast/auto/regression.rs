//! Recursive least squares with forgetting: one linear equation, corrected by each value.
//!
//! Source: Haykin, Adaptive Filter Theory, chapter 10 (exponentially weighted recursive least
//! squares); errors beyond four mean errors count less, as Huber's do.

use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

/// Errors beyond so many mean errors count less.
const OUTLIER: f64 = 4.0;

/// Trace of the inverse over its width above which nothing is forgotten: what is not excited any
/// more would grow without end.
const TRACE_MAX: f64 = 10.0;

/// One linear equation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Regression {
    weights: Vec<f64>,
    /// Inverse of the discounted sum of products; width × width.
    inverse: Vec<f64>,
    /// Mean absolute error.
    error: f64,
    count: u32,
}

impl Regression {
    /// An equation that begins as the feature at `first` alone.
    pub(super) fn new(width: usize, first: usize) -> Self {
        let mut weights = vec![0.0; width];
        weights[first] = 1.0;
        Self {
            weights,
            inverse: identity(width),
            error: 0.0,
            count: 0,
        }
    }

    /// What follows from the features.
    pub(super) fn at(&self, features: &[f64]) -> f64 {
        self.weights.iter().zip(features).map(|(w, f)| w * f).sum()
    }

    /// Corrects the weights; `kept` is what is left of the past at this step.
    pub(super) fn learn(&mut self, features: &[f64], actual: f64, kept: f64) {
        let width = self.weights.len();
        let error = actual - self.at(features);
        self.count = self.count.saturating_add(1);
        self.error += larger(1.0 / f64::from(self.count), 0.01) * (error.abs() - self.error);
        let limit = OUTLIER * self.error;
        let trust = if error.abs() > limit {
            limit / error.abs()
        } else {
            1.0
        };
        let rows = self.inverse.chunks(width);
        let gain: Vec<f64> = rows
            .map(|row| row.iter().zip(features).map(|(p, f)| p * f).sum())
            .collect();
        let along: f64 = gain.iter().zip(features).map(|(g, f)| g * f).sum();
        let divisor = kept / trust + along;
        if !(divisor.is_finite() && divisor > 0.0 && error.is_finite()) {
            self.inverse = identity(width);
            return;
        }
        for (weight, gain) in self.weights.iter_mut().zip(&gain) {
            *weight += gain / divisor * error;
        }
        let trace: f64 = (0..width).map(|i| self.inverse[i * width + i]).sum();
        let kept = if trace < TRACE_MAX * width as f64 {
            kept
        } else {
            1.0
        };
        for (row, left) in self.inverse.chunks_mut(width).zip(&gain) {
            let left = left / divisor;
            for (p, right) in row.iter_mut().zip(&gain) {
                *p = (*p - left * right) / kept;
            }
        }
    }

    /// Whether what was read back fits together.
    pub(super) fn is_sound(&self, width: usize) -> bool {
        let finite = self
            .weights
            .iter()
            .chain(&self.inverse)
            .all(|v| v.is_finite());
        self.weights.len() == width && self.inverse.len() == width * width && finite
    }
}

fn identity(width: usize) -> Vec<f64> {
    let entry = |i: usize| f64::from(u8::from(i.is_multiple_of(width + 1)));
    (0..width * width).map(entry).collect()
}
