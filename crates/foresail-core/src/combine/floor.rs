//! The reactive floor: the exact HPA's raw proposal on what was accepted.

use crate::hpa::{self, MetricsProposal, Shortcut};
use crate::observe::{TargetState, clean};
use crate::propose::Reactive;
use crate::propose::plan::Resources;
use crate::quantity::time::Timestamp;
use crate::quantity::units::Replicas;
use crate::spec::{ValidSpec, ValidTarget};

/// Where the HPA goes without looking at metrics.
///
/// With other proposers, zero replicas of a target that may have zero are no reason to stay there:
/// they can wake it.
pub(crate) fn shortcut(spec: &ValidSpec, target: &ValidTarget, state: &TargetState) -> Shortcut {
    let current = state.current_replicas().as_i32();
    match hpa::shortcut(&target.rules, current, state.scaled_to_zero) {
        Shortcut::Disabled if !spec.hpa_alone() && target.rules.min() == 0 => Shortcut::Metrics,
        found => found,
    }
}

/// The HPA's metrics pass at given requests.
///
/// With `hpa` alone the readings are taken as they are, as Kubernetes takes them; otherwise stale
/// and implausible samples are missing.
pub(crate) fn metrics_pass(
    spec: &ValidSpec,
    target: &ValidTarget,
    state: &TargetState,
    requests: &Resources,
    now: Timestamp,
) -> MetricsProposal {
    let stale_after = spec.written().guards.stale_after;
    let cleaned;
    let readings = if spec.hpa_alone() {
        state.readings.as_slice()
    } else {
        cleaned = clean(&state.readings, state.read_at, now, stale_after);
        &cleaned
    };
    let seen = state.observed(readings, requests);
    hpa::proposal(&target.rules, &seen, now)
}

/// The floor as proposers and the combine see it.
pub(crate) fn reactive_of(pass: &MetricsProposal) -> Reactive {
    Reactive {
        replicas: pass.replicas.map(|r| Replicas::saturating(i64::from(r))),
        metric: pass.metric.unwrap_or(0),
        ratio_milli: pass.ratio_milli,
    }
}
