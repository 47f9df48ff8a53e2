//! A straight line through the last points.

use std::collections::VecDeque;

use foresail_core::history::Point;
use foresail_core::quantity::time::{Span, Timestamp};

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    mean_x: f64,
    mean_y: f64,
    /// Rise of y for one of x.
    pub(crate) slope: f64,
}

impl Line {
    /// The least-squares line through points; `None` with fewer than three. Level where all x are
    /// the same.
    pub(crate) fn through(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let count = points.clone().count();
        if count < 3 {
            return None;
        }
        let n = count as f64;
        let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / n;
        let sxx: f64 = points.clone().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let sxy: f64 = points.map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
        Some(Self {
            mean_x,
            mean_y,
            slope,
        })
    }

    /// Its value at `x`.
    pub(crate) fn at(self, x: f64) -> f64 {
        self.mean_y + self.slope * (x - self.mean_x)
    }
}

/// The least-squares line through the points not older than `window`, at `when`, never below zero.
///
/// `None` with fewer than three points. Gaps are simply not there.
/// Units: those of the points.
#[must_use]
pub fn at(points: &VecDeque<Point>, now: Timestamp, when: Timestamp, window: Span) -> Option<f64> {
    let seconds = |at: Timestamp| (at - now).seconds();
    let recent = points.iter().rev().take_while(|p| p.at > now - window);
    let line = Line::through(recent.map(|p| (seconds(p.at), p.value)))?;
    let value = line.at(seconds(when));
    value
        .is_finite()
        .then_some(if value > 0.0 { value } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(slope: f64, intercept: f64) -> VecDeque<Point> {
        let point = |i: i64| Point {
            at: Timestamp::from_seconds(i * 60),
            value: intercept + slope * i as f64,
        };
        (0..30).map(point).collect()
    }

    #[test]
    fn a_straight_line_is_continued() {
        let (now, when) = (
            Timestamp::from_seconds(29 * 60),
            Timestamp::from_seconds(35 * 60),
        );
        let got = at(&line(2.0, 5.0), now, when, Span::from_seconds(1800)).unwrap();
        assert!((got - 75.0).abs() < 1e-9, "{got}");
    }

    #[test]
    fn demand_is_never_below_zero() {
        let (now, when) = (
            Timestamp::from_seconds(29 * 60),
            Timestamp::from_seconds(90 * 60),
        );
        assert_eq!(
            at(&line(-2.0, 60.0), now, when, Span::from_seconds(1800)),
            Some(0.0)
        );
    }
}
