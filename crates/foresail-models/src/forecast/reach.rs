//! How far from what was seen a forecast may go.

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

/// Widths of what was seen that a forecast may go beyond it, to each side.
///
/// A slope that is followed for a week of minutes, and a random walk's band, know no bound; demand
/// has one. Four widths: a band of five deviations around noise stays far inside.
const WIDTHS: f64 = 4.0;

/// The least and the greatest value that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    low: f64,
    high: f64,
}

impl Reach {
    /// Of the values of a history; `None` without a finite one.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let finite = values.iter().filter(|v| v.is_finite());
        finite.fold(None, |reach: Option<Self>, value| {
            let mut reach = reach.unwrap_or(Self {
                low: *value,
                high: *value,
            });
            reach.widen(*value);
            Some(reach)
        })
    }

    /// Takes in one more value.
    pub fn widen(&mut self, value: f64) {
        self.low = smaller(self.low, value);
        self.high = larger(self.high, value);
    }

    /// The value, or the edge that it lies beyond; the middle of what was seen for NaN.
    ///
    /// The edges lie four widths of what was seen below its least and above its greatest value.
    #[must_use]
    pub fn limit(&self, value: f64) -> f64 {
        let width = self.high - self.low;
        if value.is_nan() {
            return self.low + width / 2.0;
        }
        let (low, high) = (self.low - WIDTHS * width, self.high + WIDTHS * width);
        larger(low, smaller(high, value))
    }

    /// `true` where both ends are finite and in order.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.low.is_finite() && self.high.is_finite() && self.low <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_widths_are_left_to_each_side() {
        let mut reach = Reach::of(&[f64::NAN, 4.0, 2.0]).expect("two values");
        assert_eq!((reach.limit(100.0), reach.limit(-100.0)), (12.0, -6.0));
        assert_eq!((reach.limit(f64::NAN), reach.limit(5.5)), (3.0, 5.5));
        reach.widen(12.0);
        assert_eq!(reach.limit(1e9), 52.0);
        assert_eq!(Reach::of(&[f64::NAN]), None);
    }
}
