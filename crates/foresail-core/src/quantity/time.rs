//! Points in time and spans, as whole nanoseconds; no clock.
//!
//! A [`Timestamp`] counts nanoseconds since 1970-01-01 UTC in an `i64` (years 1678 to 2262), so
//! that replays are equal to the bit. All arithmetic saturates: a time at the edge of the range is
//! wrong by a bounded amount, never wrapped into the past.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A span of time in nanoseconds; may be negative.
///
/// Units: serialised as a number of seconds, whole where it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span that can be said, 292 years.
    pub const MAX: Self = Self(i64::MAX);

    /// A span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of `seconds` whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// A span of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The span nearest to `seconds`; `None` where it is not finite or out of range.
    #[must_use]
    pub fn from_seconds_f64(seconds: f64) -> Option<Self> {
        let nanos = seconds * 1e9;
        (nanos.is_finite() && nanos.abs() < 9.2e18).then(|| Self(nanos.round() as i64))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds, with their fraction.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Whole seconds, the fraction cut off.
    #[must_use]
    pub const fn whole_seconds(self) -> i64 {
        self.0 / NANOS_PER_SECOND
    }

    /// `true` for a span below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Why a text is no span or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not a number with one of the units.
    #[error("`{0}` is not a span; write a number and a unit: 500ms, 45s, 5m, 2h or 7d")]
    Span(String),
    /// Not RFC 3339.
    #[error("`{0}` is not a time; write RFC 3339, such as 2026-01-31T08:00:00Z")]
    Timestamp(String),
}

impl FromStr for Span {
    type Err = TimeError;

    /// Reads `500ms`, `45s`, `5m`, `2h`, `7d`, with a decimal fraction where wanted.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::Span(text.to_owned());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let seconds_per_unit = match &text[digits.len()..] {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        let number: f64 = digits.parse().map_err(|_| bad())?;
        Self::from_seconds_f64(number * seconds_per_unit).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    /// Writes whole seconds as `45s`, shorter ones in milliseconds, others with their fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % NANOS_PER_SECOND == 0 {
            write!(f, "{}s", self.0 / NANOS_PER_SECOND)
        } else if self.0 % 1_000_000 == 0 && self.0.abs() < NANOS_PER_SECOND {
            write!(f, "{}ms", self.0 / 1_000_000)
        } else {
            write!(f, "{}s", self.seconds())
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % NANOS_PER_SECOND == 0 {
            serializer.serialize_i64(self.0 / NANOS_PER_SECOND)
        } else {
            serializer.serialize_f64(self.seconds())
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Self::from_seconds_f64(seconds)
            .ok_or_else(|| serde::de::Error::custom("a span must be a finite number of seconds"))
    }
}

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Units: shown and serialised as RFC 3339 in UTC, with as many digits as are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The point `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The point `seconds` seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds_floor(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// Year, month, day of a day number since the epoch.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Day number since the epoch of a year, month and day; the inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Parses a fixed-width unsigned decimal field.
fn field(text: &str, from: usize, to: usize) -> Option<i64> {
    let part = text.get(from..to)?;
    part.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| part.parse().ok())?
}

/// Seconds east of UTC of an RFC 3339 offset.
fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = field(zone, 1, 3)?;
    let minutes = field(zone, 4, 6)?;
    (zone.len() == 6 && zone.as_bytes()[3] == b':' && hours < 24 && minutes < 60)
        .then_some(sign * (hours * 3600 + minutes * 60))
}

/// Reads RFC 3339: date, `T` or a space, time, optional fraction, optional zone (UTC where absent).
fn parse_rfc3339(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let bytes = text.as_bytes();
    let punctuated = bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[13] == b':'
        && bytes[16] == b':';
    if !punctuated {
        return None;
    }
    let (year, month, day) = (field(text, 0, 4)?, field(text, 5, 7)?, field(text, 8, 10)?);
    let (h, m, s) = (
        field(text, 11, 13)?,
        field(text, 14, 16)?,
        field(text, 17, 19)?,
    );
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let rest = &text[19..];
    let digits = rest
        .strip_prefix('.')
        .map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
    let (fraction, zone) = if rest.starts_with('.') {
        rest.split_at(digits + 1)
    } else {
        ("", rest)
    };
    if fraction == "." || digits > 9 {
        return None;
    }
    let nanos = fraction
        .get(1..)
        .map_or(Some(0), |d| format!("{d:0<9}").parse().ok())?;
    let east = if zone.is_empty() {
        0
    } else {
        offset_seconds(zone)?
    };
    let seconds = days * SECONDS_PER_DAY + h * 3600 + m * 60 + s - east;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339; a text without a zone is taken as UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_rfc3339(text)
            .map(Self)
            .ok_or_else(|| TimeError::Timestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_and_parse_back() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-24T12:34:56.5Z", 1_795_523_696_500_000_000),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
        ] {
            assert_eq!(
                text.parse::<Timestamp>().map(Timestamp::nanos),
                Ok(nanos),
                "{text}"
            );
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn zones_are_taken_off_and_their_absence_means_utc() {
        let utc: Timestamp = "1998-05-01T10:00:00Z".parse().unwrap();
        assert_eq!("1998-05-01T12:30:00+02:30".parse(), Ok(utc));
        assert_eq!("1998-05-01 10:00:00".parse(), Ok(utc));
    }

    #[test]
    fn nonsense_is_refused_with_the_mend() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00.",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        for text in ["", "5", "5 parsecs", "NaNs", "s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_read_every_unit() {
        for (text, nanos) in [
            ("500ms", 500_000_000),
            ("45s", 45_000_000_000),
            ("1.5m", 90_000_000_000),
            ("2h", 7_200_000_000_000),
        ] {
            assert_eq!(text.parse::<Span>().map(Span::nanos), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates_at_the_edges() {
        assert_eq!(
            Timestamp::from_nanos(i64::MAX) + Span::from_seconds(1),
            Timestamp::from_nanos(i64::MAX)
        );
        assert_eq!(Span::from_seconds(i64::MAX), Span::MAX);
    }
}
