//! The status of an object and the events that go with a pass; pure.

use foresail_adapters::kubernetes::crd::Metric;
use foresail_adapters::kubernetes::crd::status::{
    DecisionStatus, ForecastPoint, ForecastStatus, GuardStatus, Incumbent, IntentStatus,
    MetricStatus, Phase, PredictiveAutoscalerStatus, ResizeState,
};
use foresail_adapters::kubernetes::event::Note;
use foresail_core::engine::Tick;
use foresail_core::explain::{BasisTold, Explanation};
use foresail_core::hpa::Reading;
use foresail_core::observe::Health;
use foresail_core::propose::demand_quantity;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{Mode, SpecProblem};
use foresail_web::live::model;

use super::Shared;
use super::act::Written;
use super::condition_set;
use super::look::{self, Look};
use super::pilot::{Pilot, mode_of};
use super::tell::Story;
use crate::watch::metric::MetricRead;

fn replicas(
    told: &Explanation,
    of: fn(&Explanation) -> &foresail_core::explain::Told,
) -> Option<i32> {
    of(told).get("replicas").map(|q| q.replicas().as_i32())
}

/// What is decided, as a number.
pub(crate) fn decided(told: &Explanation) -> Option<i32> {
    replicas(told, |t| &t.decided)
}

/// What is asked for at present, as a number.
pub(crate) fn current(told: &Explanation) -> Option<i32> {
    replicas(told, |t| &t.current)
}

/// A value without its nulls, as an API object holds it.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let some = fields.into_iter().filter(|(_, v)| !v.is_null());
            Value::Object(some.map(|(k, v)| (k, without_nulls(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// An explanation as a status holds it.
pub(crate) fn as_value(told: &Explanation) -> Option<serde_json::Value> {
    serde_json::to_value(told).map(without_nulls).ok()
}

fn phase(pilot: &Pilot, story: &Story, mode: Mode) -> Phase {
    let suspended = &pilot.object.spec.suspend;
    if !pilot.problems.is_empty() || story.fault.is_some() || story.health == Health::Frozen {
        return Phase::Degraded;
    }
    if story.told.is_none() && mode != Mode::Off {
        return Phase::Pending;
    }
    if suspended.hold_at.is_some() || (suspended.scale_up && suspended.scale_down) {
        return Phase::Suspended;
    }
    match mode {
        Mode::Off => Phase::Suspended,
        _ if pilot.demand.is_fetching() => Phase::Learning,
        Mode::Shadow => Phase::Shadow,
        Mode::Advise => Phase::Advising,
        Mode::Auto if story.health == Health::HoldDown => Phase::Degraded,
        Mode::Auto => Phase::Active,
    }
}

/// The status after a pass, but for its last decision, which is added where it is written.
pub(crate) fn of(shared: &Shared, pilot: &Pilot, story: &Story) -> PredictiveAutoscalerStatus {
    let before = &pilot.telling.status;
    let mode = mode_of(&pilot.object, shared.options.max_mode);
    let mut next = PredictiveAutoscalerStatus {
        observed_generation: pilot.object.metadata.generation,
        target_ref: Some(pilot.object.target().short()),
        phase: Some(phase(pilot, story, mode)),
        last_scale_time: pilot.wrote_at.or(before.last_scale_time),
        shadow: pilot
            .scoring
            .status
            .clone()
            .or_else(|| before.shadow.clone()),
        decisions: before.decisions.clone(),
        ..PredictiveAutoscalerStatus::default()
    };
    if let Some(look) = &story.look {
        observed(&mut next, pilot, look, story);
    }
    if let Some(told) = &story.told {
        explained(&mut next, pilot, told, story.tick.as_ref());
    }
    next.vertical = pilot.vertical.as_ref().map(|v| v.status.clone());
    next.guard = Some(guard(pilot, story));
    next.conditions = condition_set::of(shared, pilot, story, &before.conditions);
    next
}

fn observed(next: &mut PredictiveAutoscalerStatus, pilot: &Pilot, look: &Look, story: &Story) {
    next.current_replicas = Some(look.scale.asked);
    next.ready_replicas = i32::try_from(look.ready()).ok();
    next.incumbent = look.hpa.as_ref().map(|(name, hpa)| Incumbent {
        kind: Some("HorizontalPodAutoscaler".to_owned()),
        name: Some(name.clone()),
        desired_replicas: hpa.wanted,
    });
    next.startup_seconds = startup(look);
    next.metrics = metrics(pilot, look, story);
}

/// The time that pods needed from creation to readiness: the 95 % quantile of those that serve.
pub(crate) fn startup(look: &Look) -> Option<i32> {
    let mut took: Vec<Span> = look.pods.iter().filter_map(|p| p.startup()).collect();
    took.sort_unstable();
    let place = (took.len() * 95).div_ceil(100).checked_sub(1)?;
    i32::try_from(took.get(place)?.whole_seconds()).ok()
}

fn text(milli: i64) -> String {
    Quantity::from_milli(milli, Unit::Count).to_string()
}

fn metrics(pilot: &Pilot, look: &Look, story: &Story) -> Vec<MetricStatus> {
    let stale_after = i64::from(pilot.object.spec.guardrails.stale_after_seconds);
    let target = pilot.engine.as_ref().map(|e| &e.spec().targets()[0]);
    let names = target.map(|t| t.metric_names.clone()).unwrap_or_default();
    let proposals = story
        .tick
        .as_ref()
        .and_then(|t| t.targets.first()?.pass.clone());
    let written: Vec<_> = look::reactive_metrics(&pilot.object).collect();
    let one = |(place, read): (usize, &MetricRead)| {
        let current = match &read.reading {
            Reading::Failed => None,
            Reading::Total(all) => Some(text(all.iter().fold(0, |s, v| s.saturating_add(*v)))),
            Reading::Pods(pods) => {
                let samples = pods.iter().filter_map(|p| p.sample).map(|s| s.value);
                Some(text(samples.fold(0, i64::saturating_add)))
            }
        };
        let stale = read
            .at
            .map(|at| story.now - at > Span::from_seconds(stale_after));
        MetricStatus {
            name: names
                .get(place)
                .cloned()
                .unwrap_or_else(|| format!("metric-{place}")),
            current,
            target: written.get(place).and_then(|m| target_text(m)),
            sample_time: read.at,
            stale,
            proposed_replicas: proposals
                .as_ref()
                .filter(|p| p.metric == Some(place))
                .and_then(|p| p.replicas),
            why: read.trouble.as_ref().map(|t| shortened(t, 256)),
        }
    };
    look.metrics.iter().enumerate().map(one).collect()
}

/// What a metric aims at, as it is written.
fn target_text(metric: &Metric) -> Option<String> {
    let targets = [
        metric.resource.as_ref().map(|m| &m.target),
        metric.container_resource.as_ref().map(|m| &m.target),
        metric.pods.as_ref().map(|m| &m.target),
        metric.object.as_ref().map(|m| &m.target),
        metric.external.as_ref().map(|m| &m.target),
        metric.prometheus.as_ref().map(|m| &m.target),
    ];
    let target = targets.into_iter().flatten().next()?;
    let percent = target.average_utilization.map(|p| format!("{p}%"));
    let average = target
        .average_value
        .as_ref()
        .map(|a| format!("{} per pod", a.text()));
    percent
        .or(average)
        .or_else(|| target.value.as_ref().map(|a| a.text()))
}

/// A text of at most so many bytes, cut at a character.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn explained(
    next: &mut PredictiveAutoscalerStatus,
    pilot: &Pilot,
    told: &Explanation,
    tick: Option<&Tick>,
) {
    next.desired_replicas = decided(told);
    next.reactive_replicas = told.reactive.map(Replicas::as_i32);
    next.archetype = told.archetype.map(|a| a.to_string());
    forecast(next, pilot, told, tick);
    let keep = usize::try_from(pilot.object.spec.explain.keep_decisions).unwrap_or(0);
    if told.decided != told.current {
        let id = DecisionStatus {
            id: told.id.clone(),
            at: Some(told.at),
            current: current(told),
            decided: decided(told),
            binding: told.binding().map(|g| g.to_string()),
            outcome: told.outcome.map(|o| format!("{o:?}")),
        };
        next.decisions.push(id);
    }
    let over = next.decisions.len().saturating_sub(keep);
    next.decisions.drain(..over);
}

/// A forecast whose quantiles are all numbers, as a point of the status.
fn point(forecast: model::ForecastPoint) -> Option<ForecastPoint> {
    let text = |value: Option<f64>| value.map(|v| demand_quantity(v).to_string());
    Some(ForecastPoint {
        offset_seconds: (forecast.at - forecast.made_at).whole_seconds(),
        p10: text(forecast.p10)?,
        p50: text(forecast.p50)?,
        p90: text(forecast.p90)?,
    })
}

fn forecast(
    next: &mut PredictiveAutoscalerStatus,
    pilot: &Pilot,
    told: &Explanation,
    tick: Option<&Tick>,
) {
    let ahead = tick.and_then(model::ForecastPoint::of).and_then(point);
    for proposal in &told.proposals {
        let BasisTold::Forecast {
            forecaster,
            horizon_seconds,
            capacity,
            coverage_percent,
            ..
        } = &proposal.basis
        else {
            continue;
        };
        next.predicted_replicas = proposal.wish.get("replicas").map(|q| q.replicas().as_i32());
        next.capacity = Some(capacity.to_string());
        let trained_at = told
            .fitted_ago_seconds
            .map(|ago| told.at - Span::from_seconds(ago));
        next.forecast = Some(ForecastStatus {
            model: Some(forecaster.clone()),
            made_at: Some(told.at),
            trained_at,
            lead_time_seconds: i32::try_from(*horizon_seconds).ok(),
            coverage_percent: coverage_percent.map(i32::from),
            target_coverage_percent: Some(80),
            points: ahead.clone().into_iter().collect(),
            why: proposal.gate.map(|g| format!("{g:?}")),
        });
    }
    if next.forecast.is_none() && pilot.demand.is_fetching() {
        next.forecast = Some(ForecastStatus {
            why: Some("the past of the demand is being fetched".to_owned()),
            ..ForecastStatus::default()
        });
    }
}

fn guard(pilot: &Pilot, story: &Story) -> GuardStatus {
    let intent = pilot.unresolved.as_ref().map(|open| IntentStatus {
        id: open.id.clone(),
        from: open.from,
        to: open.to,
        resource_version: Some(open.version.clone()),
        expires: Some(open.at + Span::from_seconds(15)),
    });
    let kept = story.look.as_ref().and_then(|l| l.hpa.as_ref());
    let kept = kept.and_then(|(_, hpa)| hpa.annotations.get(super::act::HPA_MIN)?.parse().ok());
    GuardStatus {
        epoch: i64::try_from(pilot.identity.epoch).ok(),
        intent,
        outcome: story
            .told
            .as_ref()
            .and_then(|t| t.outcome)
            .map(|o| format!("{o:?}")),
        health: Some(format!("{:?}", story.health)),
        hpa_min_before: kept,
    }
}

/// `true` where something changed that somebody waits for.
pub(crate) fn matters(
    before: &PredictiveAutoscalerStatus,
    next: &PredictiveAutoscalerStatus,
) -> bool {
    let conditions = |s: &PredictiveAutoscalerStatus| -> Vec<(String, String, String)> {
        let all = s.conditions.iter();
        all.map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()))
            .collect()
    };
    let health = |s: &PredictiveAutoscalerStatus| {
        let guard = s.guard.clone().unwrap_or_default();
        (guard.health, guard.intent, guard.epoch)
    };
    let resizes = |s: &PredictiveAutoscalerStatus| -> Vec<Option<ResizeState>> {
        let all = s.vertical.iter().flat_map(|v| &v.containers);
        all.map(|c| c.resize).collect()
    };
    before.desired_replicas != next.desired_replicas
        || resizes(before) != resizes(next)
        || before.current_replicas != next.current_replicas
        || before.phase != next.phase
        || before.observed_generation != next.observed_generation
        || before.decisions.len() != next.decisions.len()
        || health(before) != health(next)
        || conditions(before) != conditions(next)
}

/// Events of a pass.
pub(crate) fn notes(pilot: &Pilot, story: &Story) -> Vec<Note> {
    let mut notes = Vec::new();
    if let (Some(written), Some(told)) = (&story.written, &story.told) {
        notes.extend(write_note(written, told));
    }
    let was = |kind: &str| {
        let mut all = pilot.telling.status.conditions.iter();
        all.find(|c| c.type_ == kind).map(|c| c.status == "True")
    };
    let is_told = |reason: &str| {
        let mut all = pilot.telling.status.conditions.iter();
        all.any(|c| c.type_ == "Ready" && c.reason == reason)
    };
    if !pilot.problems.is_empty() && !is_told("ConfigInvalid") {
        notes.push(Note {
            warning: true,
            reason: "ConfigInvalid".to_owned(),
            text: SpecProblem::joined(&pilot.problems),
            action: "Validate",
        });
    }
    if let super::rivals::Claim::Rival(rival) = &story.claim
        && was("Conflicted") != Some(true)
    {
        notes.push(Note {
            warning: true,
            reason: "ConflictDetected".to_owned(),
            text: format!("another autoscaler scales the target: {rival}; nothing is written"),
            action: "Hold",
        });
    }
    notes
}

/// What is told once when the store fails, or had to begin anew.
pub(crate) fn store_note(shared: &Shared, pilot: &Pilot) -> Option<Note> {
    let told = condition_set::stored(shared);
    let mut before = pilot.telling.status.conditions.iter();
    let known = before.any(|c| c.type_ == told.kind && c.reason == told.reason);
    let worth = told.reason == "StoreUnusable" || told.reason == "BegunAnew";
    (worth && !known).then(|| Note {
        warning: true,
        reason: format!("Store{}", told.reason.trim_start_matches("Store")),
        text: told.message,
        action: "Keep",
    })
}

fn write_note(written: &Written, told: &Explanation) -> Option<Note> {
    let note = |warning, reason: &str, text: String| Note {
        warning,
        reason: reason.to_owned(),
        text,
        action: "Scale",
    };
    match written {
        Written::Applied(_) if told.decided == told.current => {
            Some(note(false, "FloorMoved", format!("{told} [{}]", told.id)))
        }
        Written::Applied(_) => Some(note(false, "Scaled", format!("{told} [{}]", told.id))),
        Written::Refused(why) => Some(note(true, "FailedRescale", format!("{told}: {why}"))),
        Written::Unknown(why, _) => Some(note(true, "WriteUnknown", format!("{told}: {why}"))),
        Written::Stale(_) | Written::Dropped(_) | Written::Busy(..) | Written::NotLeading(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use foresail_core::quantity::time::Timestamp;

    use super::*;

    #[test]
    fn a_point_of_the_status_has_all_its_quantiles() {
        let made_at = Timestamp::from_seconds(1_700_000_000);
        let whole = model::ForecastPoint {
            at: made_at + Span::from_seconds(45),
            made_at,
            p10: Some(500.0),
            p50: Some(570.5),
            p90: Some(655.0),
            level: 655.0,
            level_percent: 90,
        };
        let told = point(whole).unwrap();
        assert_eq!(told.offset_seconds, 45);
        let unit = demand_quantity(1.0).to_string().replace('1', "");
        let texts = ["500", "570.5", "655"].map(|n| format!("{n}{unit}"));
        assert_eq!([told.p10, told.p50, told.p90], texts);
        let p50 = None;
        assert_eq!(point(model::ForecastPoint { p50, ..whole }), None);
    }
}
