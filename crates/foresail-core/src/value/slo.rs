//! Promises: a share of requests below a latency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::time::Span;

/// What a promise measures of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Time until it is served.
    Wait,
    /// Time until it is answered.
    Latency,
}

/// A promise: at least a share of the requests stays below a time.
///
/// Written `wait<200ms:99%` or `latency<1s:99.9%`. A request that is never served breaks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    /// What is measured.
    pub measure: Measure,
    /// Below this.
    pub below: Span,
    /// Share of the requests, above 0 and at most 1.
    pub share: f64,
}

/// Why a text is no promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an SLO; write it like wait<200ms:99% or latency<1s:99.9%")]
pub struct SloError(String);

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        let bad = || SloError(text.to_owned());
        let (measure, rest) = text.split_once('<').ok_or_else(bad)?;
        let measure = match measure.trim() {
            "wait" => Measure::Wait,
            "latency" => Measure::Latency,
            _ => return Err(bad()),
        };
        let (below, share) = rest.split_once(':').ok_or_else(bad)?;
        let below: Span = below.trim().parse().map_err(|_| bad())?;
        let percent = share.trim().strip_suffix('%').ok_or_else(bad)?;
        let share = percent.trim().parse::<f64>().map_err(|_| bad())? / 100.0;
        let valid = below > Span::ZERO && share > 0.0 && share <= 1.0;
        valid
            .then_some(Self {
                measure,
                below,
                share,
            })
            .ok_or_else(bad)
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Wait => "wait",
            Measure::Latency => "latency",
        };
        // Rounded: 0.999 · 100 is not exactly 99.9 in binary.
        let percent = (self.share * 1e8).round() / 1e6;
        write!(f, "{measure}<{}:{percent}%", self.below)
    }
}

impl Serialize for Slo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_print_as_they_are_read() {
        for text in ["wait<200ms:99%", "latency<1s:99.9%", "wait<1.5s:95%"] {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_promise_is_refused() {
        for text in [
            "",
            "wait",
            "wait<200ms",
            "wait<0s:99%",
            "wait<1s:0%",
            "wait<1s:101%",
            "cpu<1s:9%",
        ] {
            assert!(text.parse::<Slo>().is_err(), "{text}");
        }
    }
}
