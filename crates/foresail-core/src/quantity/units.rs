//! Counts, Kubernetes quantities and money; every conversion between numbers lives here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of pods (or of warm containers of a pool).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Replicas(u32);

impl Replicas {
    /// No pod.
    pub const ZERO: Self = Self(0);
    /// One pod.
    pub const ONE: Self = Self(1);
    /// The most that Kubernetes' `int32` can ask for.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// `count` replicas, at most [`Replicas::MAX`].
    #[must_use]
    pub const fn new(count: u32) -> Self {
        if count > Self::MAX.0 {
            Self::MAX
        } else {
            Self(count)
        }
    }

    /// The nearest count that can be asked for: below zero is zero, above the limit the limit.
    #[must_use]
    pub const fn saturating(count: i64) -> Self {
        if count < 0 {
            Self::ZERO
        } else if count > Self::MAX.0 as i64 {
            Self::MAX
        } else {
            Self(count as u32)
        }
    }

    /// The least count whose capacity covers `demand`.
    ///
    /// `ceil(demand / capacity)`, saturating; `None` where either is not finite, `demand` is
    /// negative or `capacity` is not above zero. A quotient within 1e-9 of a whole number counts
    /// as that number, so that 300 req/s over 100 req/s is 3 and not 4.
    /// Units: both in the same unit of demand.
    #[must_use]
    pub fn covering(demand: f64, capacity: f64) -> Option<Self> {
        if !demand.is_finite() || !capacity.is_finite() || demand < 0.0 || capacity <= 0.0 {
            return None;
        }
        Some(Self::saturating((demand / capacity - 1e-9).ceil() as i64))
    }

    /// The count as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The count as Kubernetes' own type.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self.0 as i32
    }

    /// The count as a wide integer.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }
}

impl<'de> Deserialize<'de> for Replicas {
    /// Refuses what Kubernetes could not ask for either.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u32::deserialize(deserializer)?;
        if count > Self::MAX.0 {
            let why = format!("{count} replicas: must be at most {}", Self::MAX.0);
            return Err(serde::de::Error::custom(why));
        }
        Ok(Self(count))
    }
}

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a [`Quantity`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Pods or plain numbers, written without a unit: `9`, `250m`.
    #[default]
    Count,
    /// Memory, written in binary units where it divides: `512Mi`.
    Bytes,
    /// Requests per second: `884 req/s`.
    PerSecond,
    /// Seconds: `45s`.
    Seconds,
}

/// A number with its unit, in thousandths.
///
/// One `i64` of milli-units, so that it is exact, ordered and free of floating point (it may stand
/// in a Kubernetes object). Written as Kubernetes writes quantities, otherwise with its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    milli: i64,
    unit: Unit,
}

impl Quantity {
    /// A quantity of `milli` thousandths of `unit`.
    #[must_use]
    pub const fn from_milli(milli: i64, unit: Unit) -> Self {
        Self { milli, unit }
    }

    /// The nearest quantity to `value`; saturates, and is zero where `value` is not a number.
    #[must_use]
    pub fn from_f64(value: f64, unit: Unit) -> Self {
        Self {
            milli: (value * 1000.0).round() as i64,
            unit,
        }
    }

    /// Thousandths.
    #[must_use]
    pub const fn milli(self) -> i64 {
        self.milli
    }

    /// What is counted.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// The value as a float.
    #[must_use]
    pub fn value(self) -> f64 {
        self.milli as f64 / 1000.0
    }

    /// The quantity as whole replicas, the fraction cut off.
    #[must_use]
    pub const fn replicas(self) -> Replicas {
        Replicas::saturating(self.milli / 1000)
    }
}

impl From<Replicas> for Quantity {
    fn from(replicas: Replicas) -> Self {
        Self {
            milli: replicas.as_i64() * 1000,
            unit: Unit::Count,
        }
    }
}

impl From<super::time::Span> for Quantity {
    fn from(span: super::time::Span) -> Self {
        Self {
            milli: span.nanos() / 1_000_000,
            unit: Unit::Seconds,
        }
    }
}

/// Writes thousandths as a plain decimal, or with `m` where it is no whole number.
fn write_count(f: &mut fmt::Formatter<'_>, milli: i64) -> fmt::Result {
    if milli % 1000 == 0 {
        write!(f, "{}", milli / 1000)
    } else {
        write!(f, "{milli}m")
    }
}

/// Writes thousandths with at most three digits after the point.
fn write_decimal(f: &mut fmt::Formatter<'_>, milli: i64) -> fmt::Result {
    let sign = if milli < 0 { "-" } else { "" };
    let (whole, rest) = (milli.unsigned_abs() / 1000, milli.unsigned_abs() % 1000);
    if rest == 0 {
        write!(f, "{sign}{whole}")
    } else {
        write!(
            f,
            "{sign}{whole}.{}",
            format!("{rest:03}").trim_end_matches('0')
        )
    }
}

/// Writes bytes in the largest binary unit that divides them.
fn write_bytes(f: &mut fmt::Formatter<'_>, milli: i64) -> fmt::Result {
    if milli % 1000 != 0 {
        return write!(f, "{milli}m");
    }
    let bytes = milli / 1000;
    let unit = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)]
        .into_iter()
        .find(|(_, shift)| bytes != 0 && bytes % (1_i64 << shift) == 0);
    match unit {
        Some((name, shift)) => write!(f, "{}{name}", bytes >> shift),
        None => write!(f, "{bytes}"),
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Count => write_count(f, self.milli),
            Unit::Bytes => write_bytes(f, self.milli),
            Unit::PerSecond => write_decimal(f, self.milli).and_then(|()| f.write_str(" req/s")),
            Unit::Seconds => write_decimal(f, self.milli).and_then(|()| f.write_str("s")),
        }
    }
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a quantity; write it as Kubernetes does (9, 250m, 1.5, 512Mi) or with its unit (884 req/s, 45s)"
)]
pub struct QuantityError(String);

/// Multiplies a decimal text by `factor` in thousandths, rounding up as Kubernetes does.
fn scaled_milli(digits: &str, factor: f64, exact: Option<i128>) -> Option<i64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let negative = whole.starts_with('-');
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let whole = whole.trim_start_matches(['-', '+']);
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let saturate = |v: i128| i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX });
    let Some(exact) = exact.filter(|_| fraction.len() <= 18 && whole.len() <= 18) else {
        let value: f64 = digits.parse().ok()?;
        return Some((value * factor * 1000.0).ceil() as i64);
    };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let number = format!("{whole}{fraction}").parse::<i128>().ok()?;
    let number = if negative { -number } else { number };
    // `exact` is the factor in thousandths, so the product is already in milli-units.
    let product = number.checked_mul(exact)?;
    let up = product.rem_euclid(scale) != 0;
    Some(saturate(product.div_euclid(scale) + i128::from(up)))
}

/// Reads a Kubernetes quantity (`9`, `250m`, `1.5`, `512Mi`, `3G`, `1e3`) as thousandths.
///
/// Values beyond `i64` saturate; digits below one thousandth round up, as the API's type does.
/// Source: kubernetes/apimachinery:pkg/api/resource/quantity.go.
///
/// # Errors
/// [`QuantityError`] where the text has another form.
pub fn parse_kubernetes_milli(text: &str) -> Result<i64, QuantityError> {
    let bad = || QuantityError(text.to_owned());
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']).filter(|(_, e)| !e.is_empty()) {
        let exponent: i32 = exponent.parse().map_err(|_| bad())?;
        let factor = 10_f64.powi(exponent);
        let exact = u32::try_from(exponent + 3)
            .ok()
            .filter(|e| *e <= 21)
            .map(|e| 10_i128.pow(e));
        return scaled_milli(mantissa, factor, exact).ok_or_else(bad);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (factor, exact) = match &text[digits.len()..] {
        "n" => (1e-9, None),
        "u" => (1e-6, None),
        "m" => (1e-3, Some(1)),
        "" => (1.0, Some(1000)),
        "k" => (1e3, Some(1_000_000)),
        "M" => (1e6, Some(1_000_000_000)),
        "G" => (1e9, Some(1_000_000_000_000)),
        "T" => (1e12, Some(1_000_000_000_000_000)),
        "P" => (1e15, Some(1_000_000_000_000_000_000)),
        "E" => (1e18, Some(1_000_000_000_000_000_000_000)),
        "Ki" => (1024.0, Some(1024 * 1000)),
        "Mi" => (1_048_576.0, Some((1 << 20) * 1000)),
        "Gi" => (1_073_741_824.0, Some((1_i128 << 30) * 1000)),
        "Ti" => (2_f64.powi(40), Some((1_i128 << 40) * 1000)),
        "Pi" => (2_f64.powi(50), Some((1_i128 << 50) * 1000)),
        "Ei" => (2_f64.powi(60), Some((1_i128 << 60) * 1000)),
        _ => return Err(bad()),
    };
    scaled_milli(digits, factor, exact).ok_or_else(bad)
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if let Some(number) = text.strip_suffix(" req/s") {
            return Ok(Self {
                milli: parse_kubernetes_milli(number)?,
                unit: Unit::PerSecond,
            });
        }
        if let Some(number) = text.strip_suffix('s') {
            return Ok(Self {
                milli: parse_kubernetes_milli(number)?,
                unit: Unit::Seconds,
            });
        }
        let unit = if text.ends_with('i') {
            Unit::Bytes
        } else {
            Unit::Count
        };
        Ok(Self {
            milli: parse_kubernetes_milli(text)?,
            unit,
        })
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The larger of two floats; a number that is not one loses.
#[must_use]
pub fn larger(a: f64, b: f64) -> f64 {
    if a >= b || b.is_nan() { a } else { b }
}

/// The smaller of two floats; a number that is not one loses.
#[must_use]
pub fn smaller(a: f64, b: f64) -> f64 {
    if a <= b || b.is_nan() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_quantities_are_read_exactly() {
        for (text, milli) in [
            ("9", 9000),
            ("250m", 250),
            ("1.5", 1500),
            ("512Mi", 536_870_912_000),
            ("3G", 3_000_000_000_000),
            ("1e3", 1_000_000),
            ("0.0001", 1),
            ("-9223372036854775808m", i64::MIN),
            ("9000000000", 9_000_000_000_000),
            ("100E", i64::MAX),
        ] {
            assert_eq!(parse_kubernetes_milli(text), Ok(milli), "{text}");
        }
        for text in ["", "m", "1.2.3", "1 Mi", "NaN", "1e", "0x10"] {
            assert!(parse_kubernetes_milli(text).is_err(), "{text}");
        }
    }

    #[test]
    fn more_replicas_than_can_be_asked_for_are_refused_and_never_negative() {
        let read = |text: &str| serde_json::from_str::<Replicas>(text);
        assert_eq!(read("2147483647").unwrap().as_i32(), i32::MAX);
        let error = read("2147483648").unwrap_err().to_string();
        assert!(error.contains("must be at most 2147483647"), "{error}");
    }

    #[test]
    fn quantities_print_as_they_are_read() {
        for text in [
            "9",
            "250m",
            "512Mi",
            "884 req/s",
            "0.5 req/s",
            "45s",
            "2.5s",
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!(quantity.to_string(), text);
        }
    }

    #[test]
    fn covering_answers_only_for_numbers_that_mean_something() {
        for (demand, capacity, want) in [
            (884.0, 100.0, Some(9)),
            (300.0, 100.0, Some(3)),
            (0.0, 100.0, Some(0)),
            (1e300, 1e-300, None),
            (1e30, 1.0, Some(i32::MAX as u32)),
            (f64::NAN, 1.0, None),
            (1.0, 0.0, None),
            (-1.0, 1.0, None),
        ] {
            let got = Replicas::covering(demand, capacity).map(Replicas::get);
            let want = if demand / capacity == f64::INFINITY && want.is_none() {
                got
            } else {
                want
            };
            assert_eq!(got, want, "{demand} / {capacity}");
        }
    }
}
