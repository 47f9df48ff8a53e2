//! The conditions of an object after a pass; pure.

use foresail_core::explain::{BasisTold, Explanation};
use foresail_core::guard::GuardName;
use foresail_core::observe::Health;
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::{Mode, SpecProblem};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff;

use super::Shared;
use super::act::Written;
use super::conditions::REASONS;
use super::pilot::{Pilot, mode_of};
use super::rivals::{Claim, Rival};
use super::status::shortened;
use super::tell::{Hold, Story};
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::rival::Scaler;

/// The longest message.
const MESSAGE_BYTES_MAX: usize = 1024;

/// One condition before it has a time.
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    status: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

fn draft(kind: &'static str, status: bool, reason: &str, message: impl Into<String>) -> Draft {
    debug_assert!(
        REASONS
            .iter()
            .any(|r| (r.condition, r.reason, r.status == "True") == (kind, reason, status)),
        "{kind} {status} {reason} is in no table"
    );
    Draft {
        kind,
        status,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// The conditions after a pass; one that did not change keeps its time.
pub(crate) fn of(
    shared: &Shared,
    pilot: &Pilot,
    story: &Story,
    before: &[Condition],
) -> Vec<Condition> {
    let mut drafts = vec![
        ready(pilot, story),
        conflicted(pilot, story),
        suspended(pilot),
    ];
    drafts.extend(hpa_conditions(pilot, story));
    if let Some(told) = &story.told {
        drafts.push(held(shared, pilot, story, told));
        drafts.push(forecast_ready(pilot, told));
    }
    if let Some(vertical) = &pilot.vertical {
        let verdict = &vertical.verdict;
        let message = verdict.message.clone();
        drafts.push(draft(
            "RequestsSized",
            verdict.status,
            verdict.reason,
            message,
        ));
    }
    if let Some(constrained) = constrained(pilot, story) {
        drafts.push(constrained);
    }
    if mode_of(&pilot.object, shared.options.max_mode) == Mode::Auto {
        drafts.push(ladder(pilot));
    }
    drafts.push(features(shared, pilot));
    drafts.push(stored(shared));
    let generation = pilot.object.metadata.generation;
    drafts
        .into_iter()
        .map(|d| finished(d, before, generation, story.now))
        .collect()
}

fn finished(
    draft: Draft,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = if draft.status { "True" } else { "False" };
    let old = before
        .iter()
        .find(|c| c.type_ == draft.kind && c.status == status);
    let nanos = i128::from(now.seconds_floor()) * 1_000_000_000;
    let time = Time(jiff::Timestamp::from_nanosecond(nanos).unwrap_or_default());
    Condition {
        type_: draft.kind.to_owned(),
        status: status.to_owned(),
        reason: draft.reason,
        message: shortened(&draft.message, MESSAGE_BYTES_MAX),
        observed_generation: generation,
        last_transition_time: old.map_or(time, |c| c.last_transition_time.clone()),
    }
}

fn ready(pilot: &Pilot, story: &Story) -> Draft {
    if !pilot.problems.is_empty() {
        return draft(
            "Ready",
            false,
            "ConfigInvalid",
            SpecProblem::joined(&pilot.problems),
        );
    }
    match &story.fault {
        Some(fault @ Fault::NotFound(_)) => {
            draft("Ready", false, "TargetNotFound", fault.to_string())
        }
        Some(fault @ Fault::Forbidden(_)) => draft("Ready", false, "Forbidden", fault.to_string()),
        Some(fault) => draft("Ready", false, "ApiUnavailable", fault.to_string()),
        None if matches!(story.claim, Claim::Rival(_)) => draft(
            "Ready",
            false,
            "Conflicted",
            "another autoscaler scales the target",
        ),
        None => draft("Ready", true, "Reconciled", "the object is being served"),
    }
}

/// The HPA's own conditions in Kubernetes' own words.
fn hpa_conditions(pilot: &Pilot, story: &Story) -> Vec<Draft> {
    let kinds = [
        "AbleToScale",
        "ScalingActive",
        "ScalingLimited",
        "ScaledToZero",
    ];
    let all = kinds.iter().filter_map(|kind| {
        let found = pilot
            .hpa_status
            .conditions
            .iter()
            .find(|c| c.kind == *kind)?;
        let message = match (*kind, &story.written, &story.fault) {
            (
                "AbleToScale",
                Some(
                    Written::Refused(why)
                    | Written::Unknown(why, _)
                    | Written::Stale(why)
                    | Written::Dropped(why),
                ),
                _,
            ) => why.clone(),
            ("AbleToScale", _, Some(fault)) => fault.to_string(),
            ("ScalingActive", ..) => troubles(story),
            _ => String::new(),
        };
        Some(draft(kind, found.status == "True", &found.reason, message))
    });
    let mut drafts: Vec<Draft> = all.collect();
    // A process that began anew has not gone to zero itself; without the condition, nobody would bring the target back from there.
    let is_known = drafts.iter().any(|d| d.kind == "ScaledToZero");
    let at_zero = story.look.as_ref().is_none_or(|l| l.scale.asked == 0);
    if !is_known && at_zero && pilot.telling.was_scaled_to_zero() {
        drafts.push(draft("ScaledToZero", true, "ScaledToZero", String::new()));
    }
    if let Some((until, _, why)) = pilot
        .refused
        .as_ref()
        .filter(|(until, ..)| story.now < *until)
    {
        drafts.retain(|d| d.kind != "AbleToScale");
        let message = format!("{why}; tried again at {until}");
        drafts.push(draft("AbleToScale", false, "FailedUpdateScale", message));
    } else if let Some(open) = &pilot.unresolved {
        drafts.retain(|d| d.kind != "AbleToScale");
        let message = format!(
            "whether {} replicas were written is not known yet; nothing is written before",
            open.to
        );
        drafts.push(draft("AbleToScale", false, "FailedUpdateScale", message));
    }
    drafts
}

fn troubles(story: &Story) -> String {
    let Some(look) = &story.look else {
        return String::new();
    };
    let all: Vec<_> = look
        .metrics
        .iter()
        .filter_map(|m| m.trouble.clone())
        .collect();
    all.join("; ")
}

/// With `hpa` alone the guards stay out, or the equality with Kubernetes would not be exact: what holds
/// a way down then are the HPA's own rules.
fn held(shared: &Shared, pilot: &Pilot, story: &Story, told: &Explanation) -> Draft {
    let unguarded = pilot.engine.as_ref().is_some_and(|e| e.spec().hpa_alone());
    let freely = |why: &str| {
        let message = format!("{why}; with `hpa` alone the HPA's own rules say what goes down");
        draft("Held", false, "NotBinding", message)
    };
    let clock = match &story.hold {
        Hold::Frozen(freeze) => {
            let message = format!("{freeze}; nothing is written");
            return draft("Held", true, "Frozen", message);
        }
        Hold::Astray(ahead) => {
            let seconds = ahead.whole_seconds().unsigned_abs();
            let side = if ahead.is_negative() {
                "behind"
            } else {
                "ahead of"
            };
            let why = format!("the time of day here is {seconds} s {side} the API server's");
            Some((why, "nothing goes down by it".to_owned()))
        }
        Hold::Jumped(until) => Some((
            "the time of day jumped".to_owned(),
            format!("nothing goes down before {until}"),
        )),
        Hold::None => None,
    };
    match clock {
        Some((why, _)) if unguarded => return freely(&why),
        Some((why, then)) => return draft("Held", true, "ClockAstray", format!("{why}; {then}")),
        None => {}
    }
    let ours = |name: &GuardName| {
        matches!(
            name,
            GuardName::Freshness
                | GuardName::Veto
                | GuardName::Budget
                | GuardName::Admission
                | GuardName::Paused
        )
    };
    let limit = told.limits.iter().rev().find(|l| ours(&l.by));
    let Some(limit) = limit else {
        // Without a store no way down can be announced, whoever wishes it.
        if story.health == Health::HoldDown && unguarded && shared.store_usable() {
            return freely("a metric is missing");
        }
        if story.health == Health::HoldDown {
            return draft(
                "Held",
                true,
                "HoldDown",
                "nothing goes down while a metric or the store is missing",
            );
        }
        return draft(
            "Held",
            false,
            "NotBinding",
            "no guard of Foresail's own is binding",
        );
    };
    let reason = match limit.by {
        GuardName::Freshness => "StaleMetric",
        GuardName::Veto => "Vetoed",
        GuardName::Budget => "BudgetExceeded",
        GuardName::Admission => "FleetBudget",
        _ => "Frozen",
    };
    draft(
        "Held",
        true,
        reason,
        format!("{}: {}→{}, {}", limit.by, limit.from, limit.to, limit.why),
    )
}

fn forecast_ready(pilot: &Pilot, told: &Explanation) -> Draft {
    let kind = "ForecastReady";
    if pilot.demand.is_fetching() {
        return draft(
            kind,
            false,
            "FetchingHistory",
            "the past of the demand is being fetched",
        );
    }
    let of_forecast = |b: &BasisTold| matches!(b, BasisTold::Forecast { .. });
    if let Some(proposal) = told.proposals.iter().find(|p| of_forecast(&p.basis)) {
        return match proposal.gate {
            None => draft(
                kind,
                true,
                "Calibrated",
                format!("{} is trusted", proposal.by),
            ),
            Some(gate) => draft(
                kind,
                false,
                "GateFailed",
                format!("{} is dropped: {gate:?}", proposal.by),
            ),
        };
    }
    if let Some(trouble) = &pilot.demand.trouble {
        return draft(kind, false, "DemandUnavailable", trouble.clone());
    }
    for proposal in &told.proposals {
        if let BasisTold::Absent { absent } = &proposal.basis {
            let known = pilot.engine.as_ref().map_or(0, super::pass::points_known);
            let message = format!(
                "{}: {absent:?}; {known} minutes of demand are known",
                proposal.by
            );
            return draft(kind, false, "NoForecast", message);
        }
    }
    draft(kind, false, "NotAsked", "no proposer forecasts")
}

fn conflicted(pilot: &Pilot, story: &Story) -> Draft {
    let kind = "Conflicted";
    if pilot.foreign.holds(story.now) {
        let writers = story.look.as_ref().and_then(|l| l.workload.as_ref());
        let names: Vec<String> = writers.map_or_else(Vec::new, |w| {
            w.writers.iter().map(|w| w.manager.clone()).collect()
        });
        let message = format!(
            "others set the replicas again and again ({}); left alone for 15 min",
            names.join(", ")
        );
        return draft(kind, true, "ReplicasReverted", message);
    }
    match &story.claim {
        Claim::Ours(_) => draft(kind, false, "NoRival", "nobody else scales the target"),
        Claim::Rival(Rival::Other(Scaler::Hpa(name))) => draft(
            kind,
            true,
            "HPAFound",
            format!(
                "the HorizontalPodAutoscaler {name} scales the target; `foresail migrate hpa {name} --cutover` takes over, actuation HPAFloor works beside it"
            ),
        ),
        Claim::Rival(Rival::Other(Scaler::ScaledObject(owner))) => draft(
            kind,
            true,
            "ScaledObjectFound",
            format!("{owner} scales the target; pause or delete it"),
        ),
        Claim::Rival(Rival::Other(Scaler::Autoscaler(name))) => draft(
            kind,
            true,
            "AutoscalerFound",
            format!("the older PredictiveAutoscaler {name} has the same target; delete one"),
        ),
        Claim::Rival(Rival::Unseen(why)) => draft(
            kind,
            true,
            "HPAsUnreadable",
            format!(
                "whether a HorizontalPodAutoscaler scales the target is not known, so nothing is written: {why}"
            ),
        ),
        Claim::Rival(Rival::HpaMissing(name)) => draft(
            kind,
            true,
            "HPAMissing",
            format!(
                "actuation HPAFloor needs the HorizontalPodAutoscaler {name}, which is not there or moves nothing"
            ),
        ),
    }
}

fn suspended(pilot: &Pilot) -> Draft {
    let suspend = &pilot.object.spec.suspend;
    match (suspend.hold_at, suspend.scale_up, suspend.scale_down) {
        (Some(at), ..) => draft(
            "Suspended",
            true,
            "HoldAt",
            format!("held at {at} by spec.suspend.holdAt"),
        ),
        (None, true, true) => draft(
            "Suspended",
            true,
            "Both",
            "spec.suspend holds both directions",
        ),
        (None, true, false) => draft(
            "Suspended",
            true,
            "ScaleUp",
            "spec.suspend holds the way up",
        ),
        (None, false, true) => draft(
            "Suspended",
            true,
            "ScaleDown",
            "spec.suspend holds the way down",
        ),
        (None, false, false) => draft("Suspended", false, "NotSuspended", ""),
    }
}

fn constrained(pilot: &Pilot, story: &Story) -> Option<Draft> {
    let look = story.look.as_ref()?;
    let kind = "CapacityConstrained";
    let failure = look
        .workload
        .as_ref()
        .and_then(|w| w.replica_failure.clone());
    if let Some(failure) = failure {
        return Some(draft(kind, true, "QuotaExceeded", failure));
    }
    let (waiting, why) = look.unschedulable();
    if waiting > 0 {
        let held = match pilot.ceiling {
            Some(ceiling) => format!("; nothing is added above {ceiling} until they run"),
            None => String::new(),
        };
        let message = format!(
            "{waiting} pods find no place{held}: {}",
            why.unwrap_or_default()
        );
        return Some(draft(kind, true, "PodsPending", message));
    }
    Some(draft(kind, false, "Recovered", "every pod has a place"))
}

fn features(shared: &Shared, pilot: &Pilot) -> Draft {
    let kind = "FeaturesPresent";
    let features = shared.world.features();
    if !features.is_new_enough() {
        let message = format!("Kubernetes {}; 1.30 or newer is needed", features.version);
        return draft(kind, false, "KubernetesTooOld", message);
    }
    let behavior = pilot.object.spec.behavior.as_ref();
    let tolerant = behavior.is_some_and(|b| {
        let has = |r: &Option<foresail_adapters::kubernetes::crd::ScalingRules>| {
            r.as_ref().is_some_and(|r| r.tolerance.is_some())
        };
        has(&b.scale_up) || has(&b.scale_down)
    });
    if tolerant && !features.has_tolerance() {
        let message = format!(
            "behavior.*.tolerance counts here, but for no HPA of {}",
            features.version
        );
        return draft(kind, false, "ToleranceUnknownToHPA", message);
    }
    if pilot.object.spec.min_replicas == 0 && !features.scales_to_zero() {
        let message = format!(
            "scaling to zero counts here, but for no HPA of {}",
            features.version
        );
        return draft(kind, false, "ScaleToZeroUnknownToHPA", message);
    }
    draft(kind, true, "AllPresent", features.version)
}

/// Whether the object ran in Shadow before it acts: only then there is a score.
fn ladder(pilot: &Pilot) -> Draft {
    match pilot.telling.status.shadow.is_some() || pilot.scoring.status.is_some() {
        true => draft("LadderSkipped", false, "ShadowPassed", ""),
        false => draft(
            "LadderSkipped",
            true,
            "NoShadowData",
            "it acts without a time in Shadow",
        ),
    }
}

/// Whether decisions are kept.
pub(crate) fn stored(shared: &Shared) -> Draft {
    if let Some(why) = shared.store_trouble() {
        let message = format!("nothing can be kept, so nothing goes down until it can: {why}");
        return draft("Stored", false, "StoreUnusable", message);
    }
    match shared.store_set_aside() {
        Some(aside) => {
            let message = format!("decisions are kept again; what was there lies aside as {aside}");
            draft("Stored", true, "BegunAnew", message)
        }
        None => draft("Stored", true, "Usable", "decisions are kept"),
    }
}
