//! Which wishes are trusted: a forecast must be honest, fresh and near what is observed.

use serde::{Deserialize, Serialize};

use crate::observe::Health;
use crate::propose::{Basis, Outlook, Proposal};
use crate::quantity::time::{Span, Timestamp};
use crate::spec::GateSpec;

/// Why a proposal was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Gate {
    /// Not finite.
    NotFinite,
    /// Quantiles out of order.
    Order,
    /// Older than two intervals.
    Stale,
    /// Does not reach as far as a pod needs to start.
    Short,
    /// Its band covers too little or too much of what came.
    Coverage,
    /// Too far from what is observed.
    Ratio,
    /// Less confidence than asked for.
    Confidence,
    /// A trial that costs too much.
    Spend,
    /// A trial under which the SLO broke.
    SloBroken,
    /// The controller allows only the reactive floor.
    Guarded,
}

/// What the gate looks at besides the proposal.
#[derive(Clone, Copy, Debug)]
pub struct GateScene<'a> {
    /// What the user allows.
    pub spec: &'a GateSpec,
    /// Time between two ticks.
    pub interval: Span,
    /// The longest start-up of the scope.
    pub startup: Span,
    /// `true` where the SLO of a target is broken at present.
    pub slo_broken: bool,
    /// What the controller allows itself.
    pub health: Health,
    /// The time of this tick.
    pub now: Timestamp,
}

/// Why a proposal is dropped; `None` where it is trusted.
///
/// Source: specs/reliability.md 1.1 S4 (`fc_nan`, `fc_order`, `fc_stale`, `fc_cover`, `fc_ratio`).
#[must_use]
pub fn judge(proposal: &Proposal, scene: &GateScene<'_>) -> Option<Gate> {
    let reactive = matches!(
        proposal.basis,
        Basis::Hpa { .. } | Basis::Fixed | Basis::Absent(_)
    );
    if scene.health >= Health::Guarded && !reactive {
        return Some(Gate::Guarded);
    }
    if proposal.confidence.as_percent() < scene.spec.confidence_percent_min {
        return Some(Gate::Confidence);
    }
    match &proposal.basis {
        Basis::Forecast(outlook) => judge_outlook(outlook, scene),
        Basis::Trial { spend_milli, .. } => {
            if scene
                .spec
                .spend_milli_max
                .is_some_and(|most| *spend_milli > most)
            {
                Some(Gate::Spend)
            } else {
                scene.slo_broken.then_some(Gate::SloBroken)
            }
        }
        _ => None,
    }
}

fn judge_outlook(outlook: &Outlook, scene: &GateScene<'_>) -> Option<Gate> {
    let numbers = [outlook.q10, outlook.q50, outlook.q90, outlook.q50_now];
    if numbers.iter().any(|q| !q.is_finite() || *q < 0.0) {
        return Some(Gate::NotFinite);
    }
    if outlook.q10 > outlook.q50 || outlook.q50 > outlook.q90 {
        return Some(Gate::Order);
    }
    let age = scene.now - outlook.made_at;
    if age.is_negative() || age > scene.interval + scene.interval {
        return Some(Gate::Stale);
    }
    if outlook.horizon < scene.startup {
        return Some(Gate::Short);
    }
    let honest = scene.spec.coverage_percent_min..=scene.spec.coverage_percent_max;
    if outlook
        .coverage_percent
        .is_some_and(|c| !honest.contains(&c))
    {
        return Some(Gate::Coverage);
    }
    let factor = scene.spec.observed_factor_max;
    // One unit of slack: at a demand near zero a ratio says nothing.
    let far =
        |seen: f64| outlook.q50_now > factor * seen + 1.0 || outlook.q50_now < seen / factor - 1.0;
    outlook.observed.is_some_and(far).then_some(Gate::Ratio)
}
