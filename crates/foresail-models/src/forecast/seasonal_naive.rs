//! What was a season ago, at the same phase.

use std::collections::VecDeque;

use foresail_core::history::Point;
use foresail_core::quantity::time::{Span, Timestamp};

/// Demand at `when`, taken from one season earlier; `None` where that time is not remembered.
///
/// The value is the mean of the three points around the same phase, so that the noise of a single
/// minute is not taken for the season's shape. A gap there gives no forecast.
/// Units: those of the points.
/// Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.2.
#[must_use]
pub fn at(points: &VecDeque<Point>, when: Timestamp, season: Span, step: Span) -> Option<f64> {
    let earlier = when - season;
    let around = Span::from_nanos(step.nanos().saturating_mul(3) / 2);
    let first = points.partition_point(|p| p.at < earlier - around);
    let near = points
        .range(first..)
        .take_while(|p| p.at <= earlier + around);
    let (sum, count) = near.fold((0.0, 0_u32), |(sum, n), p| (sum + p.value, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterday_at_the_same_time_is_the_answer() {
        let minute = Span::from_seconds(60);
        let points: VecDeque<Point> = (0..1440)
            .map(|i| Point {
                at: Timestamp::from_seconds(i * 60),
                value: i as f64,
            })
            .collect();
        let when = Timestamp::from_seconds(86_400 + 600 * 60);
        let got = at(&points, when, Span::from_seconds(86_400), minute).unwrap();
        assert!((got - 600.0).abs() < 1e-9, "{got}");
    }

    #[test]
    fn before_a_season_has_passed_there_is_no_answer() {
        let points: VecDeque<Point> = VecDeque::from([Point {
            at: Timestamp::EPOCH,
            value: 1.0,
        }]);
        let day = Span::from_seconds(86_400);
        assert_eq!(
            at(
                &points,
                Timestamp::from_seconds(3600),
                day,
                Span::from_seconds(60)
            ),
            None
        );
    }
}
