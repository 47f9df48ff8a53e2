//! Values at equal steps of time, with gaps.

use super::time::{Span, Timestamp};

/// Values from `start` on, one every `step`; a missing value is a gap, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    start: Timestamp,
    step: Span,
    /// NaN marks a gap; never shown outside.
    values: Vec<f64>,
}

impl Series {
    /// A series of `values`; what is not finite becomes a gap.
    #[must_use]
    pub fn new(start: Timestamp, step: Span, mut values: Vec<f64>) -> Self {
        for value in &mut values {
            if !value.is_finite() {
                *value = f64::NAN;
            }
        }
        Self {
            start,
            step,
            values,
        }
    }

    /// Begin of the first step.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Length of one step.
    #[must_use]
    pub fn step(&self) -> Span {
        self.step
    }

    /// Number of steps, gaps included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// `true` without any step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of one step; `None` for a gap and past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<f64> {
        self.values.get(index).copied().filter(|v| !v.is_nan())
    }

    /// Every step in order, gaps as `None`.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.values.iter().map(|v| (!v.is_nan()).then_some(*v))
    }

    /// Number of gaps.
    #[must_use]
    pub fn gaps(&self) -> usize {
        self.values.iter().filter(|v| v.is_nan()).count()
    }

    /// Begin of step `index`.
    #[must_use]
    pub fn time_of(&self, index: usize) -> Timestamp {
        let steps = i64::try_from(index).unwrap_or(i64::MAX);
        self.start + Span::from_nanos(self.step.nanos().saturating_mul(steps))
    }
}
