//! Cells of CSV files: times, values, and the errors of the reader.

use foresail_core::quantity::time::Timestamp;

use super::{TraceError, bad_row};

/// What a time may look like, for errors.
pub(crate) const TIME_EXPECTED: &str =
    "a time such as 2026-01-31T08:00:00Z or 2026-01-31, or seconds since 1970";

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

/// Whole seconds since 1970, up to the year 9999.
pub(crate) fn epoch_seconds(seconds: i64) -> Option<Timestamp> {
    (0..253_402_300_800)
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

/// An error of the CSV reader with the place that it names.
pub(crate) fn csv_error(file: &str, error: csv::Error) -> TraceError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => TraceError::io(file, source),
        csv::ErrorKind::Utf8 { err, .. } => {
            bad_row(file, line, &err.field().to_string(), "bytes", "UTF-8 text")
        }
        _ => bad_row(
            file,
            line,
            "all",
            "the row",
            "as many cells as the header has",
        ),
    }
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
        for text in ["", "2014-02-30", "14/02/2014", "-5", "2014-2-14"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
