//! Readings without what is no measurement: stale, from the future, negative.

use std::borrow::Cow;

use super::FUTURE_MAX;
use crate::hpa::Reading;
use crate::quantity::time::{Span, Timestamp};

/// The readings with every implausible or stale sample taken for missing.
///
/// A pod without a usable sample is missing (never zero); a total with an implausible or stale
/// value is a metric that could not be read. Nothing is copied where nothing has to go.
/// Source: specs/reliability.md 1.1 S1 and S2.
pub(crate) fn clean<'a>(
    readings: &'a [Reading],
    read_at: Option<Timestamp>,
    now: Timestamp,
    stale_after: Span,
) -> Cow<'a, [Reading]> {
    let usable = |at: Timestamp| at <= now + FUTURE_MAX && now - at <= stale_after;
    let good = |value: i64, at: Timestamp| value >= 0 && usable(at);
    let total_good = |values: &[i64]| read_at.is_none_or(usable) && values.iter().all(|v| *v >= 0);
    let is_clean = |reading: &Reading| match reading {
        Reading::Pods(pods) => pods
            .iter()
            .filter_map(|p| p.sample)
            .all(|s| good(s.value, s.at)),
        Reading::Total(values) => total_good(values),
        Reading::Failed => true,
    };
    if readings.iter().all(is_clean) {
        return Cow::Borrowed(readings);
    }
    let cleaned = readings.iter().map(|reading| match reading {
        Reading::Pods(pods) => {
            let keep = |mut pod: crate::hpa::PodReading| {
                pod.sample = pod.sample.filter(|s| good(s.value, s.at));
                pod
            };
            Reading::Pods(pods.iter().copied().map(keep).collect())
        }
        Reading::Total(values) if !total_good(values) => Reading::Failed,
        other => other.clone(),
    });
    Cow::Owned(cleaned.collect())
}
