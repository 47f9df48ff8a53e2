//! Cells of CSV files: times, values, and the errors of the reader.

use foresail_core::quantity::time::Timestamp;

/// What a time may look like, for errors.
pub(crate) const TIME_EXPECTED: &str =
    "a time from 1678 to 2261 such as 2026-01-31T08:00:00Z or 2026-01-31, or seconds since 1970";

/// What a value may look like, for errors.
pub(crate) const VALUE_EXPECTED: &str = "a number of 0 or more, or nothing where it is missing";

/// Reads RFC 3339 (UTC where no zone stands), a date alone, or whole seconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let date = || {
        let dashes = text.len() == 10 && text.as_bytes()[4] == b'-';
        dashes.then(|| format!("{text}T00:00:00Z").parse().ok())?
    };
    let seconds = || epoch_seconds(text.parse().ok()?);
    text.parse().ok().or_else(date).or_else(seconds)
}

/// Whole seconds since 1970, up to the last that a [`Timestamp`] holds, in April 2262.
pub(crate) fn epoch_seconds(seconds: i64) -> Option<Timestamp> {
    (0..=i64::MAX / 1_000_000_000)
        .contains(&seconds)
        .then(|| Timestamp::from_seconds(seconds))
}

/// A cell as a value, NaN for nothing; `None` for what is no count.
pub(crate) fn parse_value(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(f64::NAN);
    }
    text.parse::<f64>()
        .ok()
        .filter(|v| v.is_finite() && *v >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_no_zone_no_time_of_day_or_be_seconds() {
        for (text, want) in [
            ("2014-02-14 14:30:00", 1_392_388_200),
            ("2014-02-14", 1_392_336_000),
            ("1392336000", 1_392_336_000),
        ] {
            assert_eq!(
                parse_time(text),
                Some(Timestamp::from_seconds(want)),
                "{text}"
            );
        }
        for text in [
            "",
            "2014-02-30",
            "14/02/2014",
            "-5",
            "2014-2-14",
            "9999-01-01",
            "253370764800",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
