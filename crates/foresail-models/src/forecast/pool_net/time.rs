//! What the net sees of a time; one function for training and for serving.

use std::f64::consts::TAU;

use foresail_core::quantity::time::Timestamp;

/// Numbers of a time.
pub const FEATURES: usize = 4;

const DAY: i64 = 86_400;

/// Sine and cosine of the hour of the day, then of the day of the week; in UTC.
///
/// The hour is whole, 0 to 23 over 24; the weekday is ISO's, Monday 1 to Sunday 7 over 7. The published
/// scheduler took the day of the month where training took the weekday: here both call this.
/// Source: the published AQUATOPE code, its data pipeline.
#[must_use]
pub fn features(time: Timestamp) -> [f64; FEATURES] {
    let seconds = time.seconds_floor();
    let hour = seconds.rem_euclid(DAY) / 3600;
    // Day 0, 1 January 1970, was a Thursday.
    let weekday = (seconds.div_euclid(DAY) + 3).rem_euclid(7) + 1;
    let (hour, weekday) = (TAU * hour as f64 / 24.0, TAU * weekday as f64 / 7.0);
    [hour.sin(), hour.cos(), weekday.sin(), weekday.cos()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time: &str, want: [f64; FEATURES]) {
        let told = features(time.parse().unwrap());
        for (told, want) in told.iter().zip(want) {
            assert!((told - want).abs() < 1e-6, "{time}: {told} {want}");
        }
    }

    #[test]
    fn monday_at_six_and_the_same_by_any_clock_and_before_1970() {
        let (sin, cos) = (0.781_831, 0.623_490);
        check("2026-01-05T06:00:00Z", [1.0, 0.0, sin, cos]);
        check("2026-01-05T06:59:59.9Z", [1.0, 0.0, sin, cos]);
        check("2026-01-05T08:30:00+02:00", [1.0, 0.0, sin, cos]);
        check("1969-12-29T06:00:00Z", [1.0, 0.0, sin, cos]);
        check("2026-01-04T18:00:00Z", [-1.0, 0.0, 0.0, 1.0]);
        // The same weekday in another week of the month is the same: no day of the month inside.
        check("2026-01-26T06:00:00Z", [1.0, 0.0, sin, cos]);
    }
}
