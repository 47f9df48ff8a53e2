//! What a learner sees of one target: a few numbers around one, none of them in a unit.
//!
//! FIRM's state (usage over limit of each resource, the SLO preserved, the change of the rate) with what
//! a joint action needs besides: how many replicas there are and start, where each request lies
//! between its bounds, and the moves before, since a reversal costs.
//! Source: FIRM (OSDI 2020) 3.4; specs/hpa_aware_studies.md 2.2.

use foresail_core::history::{TargetHistory, View};
use foresail_core::hpa::PodReading;
use foresail_core::observe::Metric;
use foresail_core::propose::plan::{Axis, Setting};
use foresail_core::quantity::units::{larger, smaller};

use super::axes::{Axes, Move};
use super::reward::preserved;

/// The most that a share may be: beyond it more says no more.
const SHARE_MAX: f64 = 2.0;

/// Minutes whose mean the last minute's demand is held against, for the two changes of the rate.
const BEFORE: [usize; 2] = [5, 30];

/// Numbers of a state for so many axes, at least one.
#[must_use]
pub fn width_of(axes: usize) -> usize {
    let resources = axes.saturating_sub(1);
    1 + BEFORE.len() + 2 + 2 * resources + axes
}

/// Numbers of a state for these axes.
#[must_use]
pub fn width(axes: &Axes) -> usize {
    width_of(axes.len())
}

/// The share used of each resource that may be changed; `None` where one of them is not known.
#[must_use]
pub fn used(view: &View<'_>, index: usize, axes: &Axes) -> Option<Vec<f64>> {
    let (state, target) = (view.state(index)?, view.spec.targets().get(index)?);
    let of = |axis: &Axis| match axis {
        Axis::PerPod(resource) => {
            let pods = state.usage_of(target.rules.metrics(), resource)?;
            let counts = state.pods.iter().map(|p| f64::from(p.count));
            share(pods, counts)
        }
        _ => None,
    };
    axes.iter().skip(1).map(of).collect()
}

/// Usage over request, over all pods that have both.
fn share(pods: &[PodReading], counts: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut used, mut asked) = (0.0, 0.0);
    for (pod, count) in pods.iter().zip(counts) {
        if let (Some(request), Some(sample)) = (pod.request, pod.sample) {
            used += sample.value as f64 * count;
            asked += request as f64 * count;
        }
    }
    (asked > 0.0).then(|| used / asked)
}

/// The SLO preserved in the last minute of which it is known; 1 where nobody has broken it yet.
#[must_use]
pub fn slo_preserved(history: &TargetHistory, promised: f64) -> f64 {
    let last = history.points(Metric::Kept).back();
    last.map_or(1.0, |p| preserved(1.0 - p.value, promised))
}

/// The state of one target, [`width`] numbers; `None` where something of it is not known: what is
/// missing is not zero, and a learner does not act on it.
///
/// `promised` is the share of requests that is promised to be in time, 0 to 1.
#[must_use]
pub fn observe(
    view: &View<'_>,
    index: usize,
    axes: &Axes,
    before: &[Move],
    promised: f64,
) -> Option<Vec<f32>> {
    let (history, target) = (view.target(index)?, view.spec.targets().get(index)?);
    let state = history.state.as_ref()?;
    let mut seen = Vec::with_capacity(width(axes));
    let mut put = |value: f64| seen.push(value as f32);
    for share in used(view, index, axes)? {
        put(smaller(share, SHARE_MAX));
    }
    put(slo_preserved(history, promised));
    for minutes in BEFORE {
        put(rate_change(history, minutes)?);
    }
    let most = f64::from(target.rules.max().max(1));
    let replicas = f64::from(state.current.replicas?.get());
    put((1.0 + replicas).ln() / (1.0 + most).ln());
    let existing = f64::from(state.status_replicas.get());
    let ready = f64::from(state.ready.get());
    put(if existing > 0.0 {
        larger(existing - ready, 0.0) / existing
    } else {
        0.0
    });
    for axis in axes.iter().skip(1) {
        put(place(target, &state.current, axis)?);
    }
    for place in 0..axes.len() {
        put(f64::from(
            before.get(place).copied().unwrap_or_default().sign(),
        ));
    }
    Some(seen)
}

/// Where a request lies between its bounds, 0 to 1.
fn place(target: &foresail_core::spec::ValidTarget, current: &Setting, axis: &Axis) -> Option<f64> {
    let Axis::PerPod(resource) = axis else {
        return None;
    };
    let (now, bounds) = (current.get(axis)?, target.resources.get(resource)?);
    let span = bounds.max.value() - bounds.min.value();
    let above = now.value() - bounds.min.value();
    Some(if span > 0.0 { above / span } else { 0.0 })
}

/// The logarithm (base 2, −2 to 2) of the last minute's demand over the mean of those before.
fn rate_change(history: &TargetHistory, minutes: usize) -> Option<f64> {
    let demand = history.points(Metric::Demand);
    let last = demand.back()?.value;
    let before = demand.iter().rev().skip(1).take(minutes);
    let (sum, count) = before.fold((0.0, 0.0), |(s, n), p| (s + p.value, n + 1.0));
    if count < 1.0 {
        return Some(0.0);
    }
    // A hundredth of a request a second, so that silence has a logarithm.
    let ratio = (last + 0.01) / (sum / count + 0.01);
    Some(larger(smaller(ratio.log2(), 2.0), -2.0))
}
