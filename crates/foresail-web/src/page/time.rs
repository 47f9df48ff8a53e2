//! Ticks of a time axis: round times of the day and round days, in UTC.

use foresail_core::quantity::time::Timestamp;

/// Distances of ticks in seconds: seconds, minutes, hours, days, a week, four weeks, a year.
const STEPS: [i64; 24] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    2 * 3600,
    3 * 3600,
    6 * 3600,
    12 * 3600,
    86_400,
    2 * 86_400,
    7 * 86_400,
    14 * 86_400,
    28 * 86_400,
    91 * 86_400,
    365 * 86_400,
];

/// Times and texts of at most about `most` ticks of a span that begins at `begin`.
///
/// Units: both in seconds; the times since 1970. A tick at midnight among times of the day shows its
/// day.
#[must_use]
pub fn ticks(begin: i64, length: i64, most: i64) -> Vec<(i64, String)> {
    let longest = STEPS[STEPS.len() - 1];
    let fits = |step: &i64| length / step <= most;
    let step = STEPS.into_iter().find(fits).unwrap_or(longest);
    let first = (begin + step - 1).div_euclid(step) * step;
    let text = |at: i64| {
        let whole = Timestamp::from_seconds(at).to_string();
        let part = match step {
            _ if step >= 91 * 86_400 => 0..10,
            _ if step >= 86_400 || at.rem_euclid(86_400) == 0 => 5..10,
            _ if step >= 60 => 11..16,
            _ => 11..19,
        };
        whole.get(part).unwrap_or_default().to_owned()
    };
    (first..=begin + length)
        .step_by(step as usize)
        .map(|at| (at, text(at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_round_times_and_midnight_is_its_day() {
        // 2026-01-31T20:10:00Z and ten hours on.
        let got = ticks(1_769_890_200, 36_000, 8);
        let texts: Vec<&str> = got.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(texts, ["22:00", "02-01", "02:00", "04:00", "06:00"]);
        let seconds = ticks(1_769_890_200, 20, 8);
        assert_eq!(seconds[1].1, "20:10:05");
        let years = ticks(0, 4_000 * 86_400, 12);
        assert!(years.len() < 13 && years[1].1.len() == 10, "{years:?}");
    }
}
