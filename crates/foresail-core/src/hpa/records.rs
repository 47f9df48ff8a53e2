//! What the HPA remembers: raw values and scale events, with its own way of forgetting.

use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::quantity::time::{Span, Timestamp};

/// The most entries of one list; an hour's window at one pass a second fits.
const ENTRIES_MAX: usize = 4096;

/// A raw value, before any limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// The value.
    pub replicas: i32,
}

/// A change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleEvent {
    /// When.
    pub at: Timestamp,
    /// By how much, never negative.
    pub change: i32,
    /// Marked for being overwritten.
    #[serde(default)]
    pub outdated: bool,
}

/// All that one HPA remembers; in Kubernetes it lives in memory only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Records {
    /// Raw values; the list is not in the order of time.
    pub recommendations: Vec<Record>,
    /// Changes upwards.
    pub up: Vec<ScaleEvent>,
    /// Changes downwards.
    pub down: Vec<ScaleEvent>,
}

impl Records {
    /// Begins an empty memory with the current number, so that a restart cannot go down at once.
    pub fn seed_if_empty(&mut self, current: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Record {
                at: now,
                replicas: current,
            });
        }
    }
}

/// Puts an entry over the last one that may go, or at the end.
fn overwrite_last<T>(entries: &mut Vec<T>, entry: T, may_go: impl Fn(&T) -> bool) {
    match entries.iter().rposition(may_go) {
        Some(place) => entries[place] = entry,
        None => {
            if entries.len() >= ENTRIES_MAX {
                entries.remove(0);
            }
            entries.push(entry);
        }
    }
}

/// Remembers a raw value.
///
/// It overwrites the last entry that has left every window, else it is appended. Without
/// `behavior` there is one window, with it an entry must have left both.
/// Source: horizontal.go, stabilizeRecommendation and stabilizeRecommendationWithBehaviors.
pub fn record_recommendation(rules: &Rules, records: &mut Records, raw: i32, now: Timestamp) {
    let window = match &rules.behavior {
        None => rules.controller.downscale_stabilization,
        Some(behavior) => behavior.up.window.max(behavior.down.window),
    };
    let cutoff = now - window;
    let entry = Record {
        at: now,
        replicas: raw,
    };
    overwrite_last(&mut records.recommendations, entry, |r| r.at < cutoff);
}

/// Remembers a change that was made; nothing where the object has no `behavior`.
///
/// Events of that direction older than its longest period are marked, and the last marked one is
/// overwritten. Source: horizontal.go, storeScaleEvent and markScaleEventsOutdated.
pub fn record_scale(rules: &Rules, records: &mut Records, from: i32, to: i32, now: Timestamp) {
    let Some(behavior) = &rules.behavior else {
        return;
    };
    let up = to > from;
    let direction = if up { &behavior.up } else { &behavior.down };
    let events = if up {
        &mut records.up
    } else {
        &mut records.down
    };
    let cutoff = now - direction.longest_period();
    for event in events.iter_mut().filter(|e| e.at < cutoff) {
        event.outdated = true;
    }
    let change = (i64::from(to) - i64::from(from)).unsigned_abs();
    let change = i32::try_from(change).unwrap_or(i32::MAX);
    overwrite_last(
        events,
        ScaleEvent {
            at: now,
            change,
            outdated: false,
        },
        |e| e.outdated,
    );
}

/// Replicas changed within `period`: events strictly younger count.
pub(super) fn changed_within(events: &[ScaleEvent], period: Span, now: Timestamp) -> i64 {
    let cutoff = now - period;
    events
        .iter()
        .filter(|e| e.at > cutoff)
        .map(|e| i64::from(e.change))
        .sum()
}
