//! From a raw value to what may be written: shortcut, stabilization, rate, bounds.

use super::records::{Records, ScaleEvent, changed_within};
use super::rules::{DirectionRules, Rules};
use super::spec::{Policy, PolicyType, SelectPolicy};
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
        let allowed = direction_limit(&behavior.up, true, records, current, now);
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
        let allowed = direction_limit(&behavior.down, false, records, current, now);
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
    rules: &DirectionRules,
    up: bool,
    records: &Records,
    current: i32,
    now: Timestamp,
) -> (i32, Why) {
    if rules.select == SelectPolicy::Disabled {
        return (current, Why::Disabled);
    }
    let limits = rules
        .policies
        .iter()
        .map(|p| policy_limit(p, up, &records.up, &records.down, current, now));
    // `Max` is the largest change: the largest number on the way up, the smallest on the way down.
    let want_largest = (rules.select == SelectPolicy::Max) == up;
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
    ups: &[ScaleEvent],
    downs: &[ScaleEvent],
    current: i32,
    now: Timestamp,
) -> (i32, Why) {
    let per = Span::from_seconds(i64::from(policy.period_seconds));
    let start =
        i64::from(current) - changed_within(ups, per, now) + changed_within(downs, per, now);
    let value = i64::from(policy.value);
    let share = f64::from(policy.value) / 100.0;
    let limit = match (policy.kind, up) {
        (PolicyType::Pods, true) => start + value,
        (PolicyType::Pods, false) => start - value,
        (PolicyType::Percent, true) => (start as f64 * (1.0 + share)).ceil() as i64,
        (PolicyType::Percent, false) => (start as f64 * (1.0 - share)) as i64,
    };
    let step = Replicas::saturating((limit - start).abs());
    let why = if up {
        Why::RateUp { step, per }
    } else {
        Why::RateDown { step, per }
    };
    (
        i32::try_from(limit).unwrap_or(if limit < 0 { i32::MIN } else { i32::MAX }),
        why,
    )
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
