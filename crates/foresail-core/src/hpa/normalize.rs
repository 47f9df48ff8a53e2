//! From a raw value to what may be written: shortcut, stabilization, rate, bounds.

use super::records::{Records, changed_within};
use super::rules::{DirectionRules, Rules};
use super::spec::{Overflow, Policy, PolicyType, SelectPolicy};
use crate::explain::why::Why;
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::Replicas;

/// Where the HPA goes without looking at metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Nowhere: zero replicas that no autoscaler asked for.
    Disabled,
    /// To the maximum, at once.
    AboveMax,
    /// To the minimum, at once.
    BelowMin,
    /// It has to look.
    Metrics,
}

/// Whether the metrics have to be looked at.
///
/// Source: horizontal.go, reconcileAutoscaler.
#[must_use]
pub fn shortcut(rules: &Rules, current: i32, scaled_to_zero: bool) -> Shortcut {
    if current == 0 {
        let woken = rules.zero_gate() && scaled_to_zero;
        let may_wake = woken && (rules.min() != 0 || rules.has_total_metric());
        return if may_wake {
            Shortcut::Metrics
        } else {
            Shortcut::Disabled
        };
    }
    if current > rules.max() {
        Shortcut::AboveMax
    } else if current < rules.min() {
        Shortcut::BelowMin
    } else {
        Shortcut::Metrics
    }
}

/// A value after stabilization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stabilized {
    /// The value.
    pub replicas: i32,
    /// Kubernetes' reason for condition AbleToScale.
    pub reason: &'static str,
}

/// Holds a raw value by those of the windows; records nothing.
///
/// Without `behavior`: the greatest of the last 300 s, an entry of exactly that age included. With
/// it: between the least of the up window and the greatest of the down window, an entry of exactly
/// a window's age excluded.
#[must_use]
pub fn stabilize(
    rules: &Rules,
    records: &Records,
    current: i32,
    raw: i32,
    now: Timestamp,
) -> Stabilized {
    let recorded = || records.recommendations.iter();
    let Some(behavior) = &rules.behavior else {
        let cutoff = now - rules.controller.downscale_stabilization;
        let most = recorded()
            .filter(|r| r.at >= cutoff)
            .map(|r| r.replicas)
            .fold(raw, i32::max);
        let reason = if most == raw {
            "ReadyForNewScale"
        } else {
            "ScaleDownStabilized"
        };
        return Stabilized {
            replicas: most,
            reason,
        };
    };
    let within = |window: Span| {
        recorded()
            .filter(move |r| r.at > now - window)
            .map(|r| r.replicas)
    };
    let least = within(behavior.up.window).fold(raw, i32::min);
    let most = within(behavior.down.window).fold(raw, i32::max);
    let replicas = current.max(least).min(most);
    let reason = match (replicas == raw, raw >= current) {
        (true, _) => "ReadyForNewScale",
        (false, true) => "ScaleUpStabilized",
        (false, false) => "ScaleDownStabilized",
    };
    Stabilized { replicas, reason }
}

/// A value after the rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// The value.
    pub replicas: i32,
    /// Which rule moved it; `None` where none did.
    pub why: Option<Why>,
}

/// Lets no step be larger than the policies allow.
///
/// Source: horizontal.go, convertDesiredReplicasWithBehaviorRate, calculateScaleUpLimit and
/// calculateScaleDownLimit.
#[must_use]
pub fn rate_limit(
    rules: &Rules,
    records: &Records,
    current: i32,
    value: i32,
    now: Timestamp,
) -> RateLimited {
    let free = RateLimited {
        replicas: value,
        why: None,
    };
    let Some(behavior) = &rules.behavior else {
        let limit = current.saturating_mul(2).max(4);
        let why = Why::RateUpLegacy(Replicas::saturating(i64::from(limit)));
        return if value > limit {
            RateLimited {
                replicas: limit,
                why: Some(why),
            }
        } else {
            free
        };
    };
    if value > current {
        let allowed = direction_limit(rules, &behavior.up, true, records, current, now);
        let limit = allowed.0.max(current);
        if value > limit {
            RateLimited {
                replicas: limit,
                why: Some(allowed.1),
            }
        } else {
            free
        }
    } else if value < current {
        let allowed = direction_limit(rules, &behavior.down, false, records, current, now);
        let limit = allowed.0.min(current);
        if value < limit {
            RateLimited {
                replicas: limit,
                why: Some(allowed.1),
            }
        } else {
            free
        }
    } else {
        free
    }
}

/// The number that the policies of one direction allow, and the policy that decided.
fn direction_limit(
    rules: &Rules,
    direction: &DirectionRules,
    up: bool,
    records: &Records,
    current: i32,
    now: Timestamp,
) -> (i32, Why) {
    if direction.select == SelectPolicy::Disabled {
        return (current, Why::Disabled);
    }
    let overflow = rules.controller.overflow;
    let limits = direction
        .policies
        .iter()
        .map(|p| policy_limit(p, up, overflow, records, current, now));
    // `Max` is the largest change: the largest number on the way up, the smallest on the way down.
    let want_largest = (direction.select == SelectPolicy::Max) == up;
    let better = |a: i32, b: i32| if want_largest { a > b } else { a < b };
    let best = limits.reduce(|best, next| if better(next.0, best.0) { next } else { best });
    best.unwrap_or((current, Why::Disabled))
}

/// The number that one policy allows.
///
/// In double precision for percent, as Kubernetes does: 100 + 10 % gives 111, 10 − 90 % gives 0.
fn policy_limit(
    policy: &Policy,
    up: bool,
    overflow: Overflow,
    records: &Records,
    current: i32,
    now: Timestamp,
) -> (i32, Why) {
    let per = Span::from_seconds(i64::from(policy.period_seconds));
    let added = changed_within(&records.up, per, now);
    let removed = changed_within(&records.down, per, now);
    let start = overflow.narrow(i64::from(current) - added + removed);
    let value = i64::from(policy.value);
    let share = f64::from(policy.value) / 100.0;
    let limit = match (policy.kind, up) {
        (PolicyType::Pods, true) => overflow.narrow(i64::from(start) + value),
        (PolicyType::Pods, false) => overflow.narrow(i64::from(start) - value),
        (PolicyType::Percent, true) => overflow.to_i32((f64::from(start) * (1.0 + share)).ceil()),
        (PolicyType::Percent, false) => overflow.to_i32(f64::from(start) * (1.0 - share)),
    };
    let step = Replicas::saturating((i64::from(limit) - i64::from(start)).abs());
    let why = if up {
        Why::RateUp { step, per }
    } else {
        Why::RateDown { step, per }
    };
    (limit, why)
}

/// Whether rate or bounds limit a stabilized value, and Kubernetes' reason.
///
/// `rated` is the value after [`rate_limit`]. The lift to the minimum of a target that wakes comes
/// after this condition and does not show in it.
/// Source: horizontal.go, convertDesiredReplicasWithRules and
/// convertDesiredReplicasWithBehaviorRate.
#[must_use]
pub(super) fn limiting(
    rules: &Rules,
    current: i32,
    stabilized: i32,
    rated: i32,
) -> (bool, &'static str) {
    let (min, max, older) = (rules.min(), rules.max(), rules.behavior.is_none());
    if older && stabilized < min {
        (true, "TooFewReplicas")
    } else if rated < stabilized {
        let reason = if max > rated {
            "ScaleUpLimit"
        } else {
            "TooManyReplicas"
        };
        (true, reason)
    } else if rated > stabilized {
        let reason = if min < rated {
            "ScaleDownLimit"
        } else {
            "TooFewReplicas"
        };
        (true, reason)
    } else if stabilized > max && (older || stabilized > current) {
        (true, "TooManyReplicas")
    } else if stabilized < min && stabilized < current {
        (true, "TooFewReplicas")
    } else {
        (false, "DesiredWithinRange")
    }
}

/// Keeps a value within the bounds, and wakes a target that an autoscaler put to sleep.
///
/// With `behavior` only the side of the change is looked at; a value equal to `current` passes.
#[must_use]
pub fn bound(rules: &Rules, current: i32, value: i32, scaled_to_zero: bool) -> i32 {
    let (min, max) = (rules.min(), rules.max());
    let bounded = match rules.behavior {
        None => value.min(max).max(min),
        Some(_) if value > current => value.min(max),
        Some(_) if value < current => value.max(min),
        Some(_) => value,
    };
    let wakes = current == 0 && min != 0 && scaled_to_zero && bounded < min;
    if wakes { min } else { bounded }
}
