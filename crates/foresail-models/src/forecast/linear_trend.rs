//! A straight line through the last points.

use std::collections::VecDeque;

use foresail_core::history::Point;
use foresail_core::quantity::time::{Span, Timestamp};

/// The least-squares line through the points not older than `window`, at `when`, never below zero.
///
/// `None` with fewer than three points. Gaps are simply not there.
/// Units: those of the points.
#[must_use]
pub fn at(points: &VecDeque<Point>, now: Timestamp, when: Timestamp, window: Span) -> Option<f64> {
    let seconds = |at: Timestamp| (at - now).seconds();
    let recent = || points.iter().rev().take_while(|p| p.at > now - window);
    let count = recent().count();
    if count < 3 {
        return None;
    }
    let n = count as f64;
    let mean_x = recent().map(|p| seconds(p.at)).sum::<f64>() / n;
    let mean_y = recent().map(|p| p.value).sum::<f64>() / n;
    let sxx: f64 = recent().map(|p| (seconds(p.at) - mean_x).powi(2)).sum();
    let sxy: f64 = recent()
        .map(|p| (seconds(p.at) - mean_x) * (p.value - mean_y))
        .sum();
    let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
    let value = mean_y + slope * (seconds(when) - mean_x);
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
