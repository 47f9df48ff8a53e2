//! `aapa`: each archetype of demand by a strategy of its own, more careful the less sure it is.
//!
//! An hour of demand is classified every ten minutes. Doubt about the class lowers the strategy's
//! CPU target, and raises its cooldown and the fewest replicas, by Algorithm 1 at every confidence.
//! Below `minConfidencePercent` the safe default decides: the strategy for a level with noise, not
//! below the reactive floor. A cooldown is a part of the wish: the shape step enforces it. Without
//! demand there is no strategy and no wish.
//! Source: AAPA, arXiv 2507.05653; where its published code differs, see docs/aapa-scaling.md and
//! `aapa-published`.

pub(crate) mod force;
mod periodic;
mod ramp;
mod spike;
mod stationary;
pub(crate) mod strategies;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use foresail_core::history::{TargetHistory, View};
use foresail_core::hpa::Target;
use foresail_core::observe::{Metric, TargetState};
use foresail_core::propose::archetype::{Archetype, Classed, Scaled, Turn};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::propose::refit::RefitRequest;
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Proposal, Proposer, Reactive, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Replicas, smaller};
use foresail_core::spec::{SpecProblem, ValidSpec, ValidTarget};
use serde::{Deserialize, Serialize};

use super::on_forecast::{
    FORECASTER, FORECASTER_KNOBS, Forecasts, HISTORY, Known, MemoryState, REFIT, STEP, Settings,
    TICKS_PER_SAVE,
};
use super::predictive::{COVERAGE_MIN, ERROR_MAX, VIOLATION_PRICE, critical_level, demands};
use crate::classify::Classifier;
use crate::knobs::{Kind, Knob};
use crate::propose::one_per_target;
use crate::registry::{Build, DEFAULT_CLASSIFIER, Entry, classifier};
use force::{Force, Memory, Rule};
use strategies::{Scene, Strategies};

/// CPU utilization that a capacity is counted at where the target's HPA aims at none.
///
/// That of Periodic: `targetScalePercent` of the others is their target over this one.
/// Source: specs/product_interface.md C.1, strategy defaults.
const REFERENCE_SHARE: f64 = 0.75;

/// Which classifier.
const CLASSIFIER: Knob = Knob {
    name: "classifier",
    kind: Kind::Name {
        default: DEFAULT_CLASSIFIER,
    },
    doc: "what tells the archetype, by its name",
};

/// How often demand is classified: as often as windows begin.
pub(crate) const RECLASSIFY: Knob = Knob::number(
    "reclassifySeconds",
    [600.0, 60.0, 3600.0],
    "time between two verdicts; an hour is how long one is good for",
);

const MIN_CONFIDENCE: Knob = Knob::number(
    "minConfidencePercent",
    [50.0, 0.0, 100.0],
    "below it the safe default decides: a level with noise, over the reactive floor",
);

/// For studies of what doubt does.
const CONFIDENCE_MAX: Knob = Knob::number(
    "confidencePercentMax",
    [100.0, 0.0, 100.0],
    "a verdict counts for no surer than this",
);

/// Lead with which another archetype takes over at its first win. Own choice: with four classes a
/// lead of 30 points is twice what an even split leaves to each.
pub(crate) const MARGIN: Knob = Knob::number(
    "marginPercent",
    [30.0, 0.0, 100.0],
    "lead in probability with which another archetype takes over at once; else it must win twice",
);

const fn strategy_knob(name: &'static str, doc: &'static str) -> Knob {
    let kind = Kind::Map;
    Knob { name, kind, doc }
}

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "aapa",
    summary: "a strategy for each archetype of demand, more careful the less sure it is",
    knobs: &[
        CLASSIFIER,
        RECLASSIFY,
        MIN_CONFIDENCE,
        CONFIDENCE_MAX,
        MARGIN,
        strategy_knob("spike", "knobs of the strategy for bursts"),
        strategy_knob("periodic", "knobs of the strategy for what recurs"),
        strategy_knob(
            "ramp",
            "knobs of the strategy for what goes on rising or falling",
        ),
        strategy_knob("stationary", "knobs of the strategy for a level with noise"),
        FORECASTER,
        FORECASTER_KNOBS,
        VIOLATION_PRICE,
        HISTORY,
        REFIT,
        COVERAGE_MIN,
        ERROR_MAX,
    ],
    build: |build| {
        let path = format!("{}.classifier", build.path);
        let classifier = classifier(build.knobs.word("classifier"), &path)?;
        Ok(Box::new(Aapa::new(build, classifier)?))
    },
};

/// Steps between two verdicts, and what it takes to change an archetype, by the shared knobs.
pub(crate) fn rule(build: &Build<'_>) -> Rule {
    Rule {
        stride: (build.knobs.number("reclassifySeconds") / STEP.seconds()) as i64,
        margin: build.knobs.number("marginPercent") / 100.0,
    }
}

/// The CPU utilization that a target's HPA aims at, as a share of the request.
pub(crate) fn hpa_share(target: &ValidTarget) -> f64 {
    let percent = target.rules.metrics().iter().find_map(|m| match m.target {
        Target::Utilization(percent) if m.is_cpu() => Some(percent),
        _ => None,
    });
    percent.map_or(REFERENCE_SHARE, |p| f64::from(p.max(1)) / 100.0)
}

/// The demand that the pods' usage stands for, in requests per second.
///
/// Only while all that was asked for has been ready for as long as a reading may be old: a reading
/// of fewer pods told of all would grow by its own answers, and what is still waiting keeps all of
/// them busy.
fn usage(seen: &Seen<'_>, state: &TargetState, capacity: f64, now: Timestamp) -> Option<f64> {
    seen.reactive.replicas?;
    let last = seen.history.changes().back();
    let settled = last.is_none_or(|change| now - change.at >= seen.known.lead + STEP);
    let ratio = seen.reactive.ratio_milli as f64 / 1000.0;
    let steady = settled && state.ready == state.current_replicas();
    steady.then(|| ratio * f64::from(state.ready.get()) * capacity)
}

/// One memory per target, in the order of the spec; those of other targets are forgotten.
pub(crate) fn fit_memories(memories: &mut Vec<Memory>, spec: &ValidSpec) {
    one_per_target(memories, spec, |m| &m.target, |id| Memory::new(id.clone()));
}

/// Wishes what each target's archetype asks for.
#[derive(Debug)]
struct Aapa {
    classifier: Arc<dyn Classifier>,
    rule: Rule,
    min_confidence: f64,
    confidence_max: f64,
    strategies: Strategies,
    forecasts: Forecasts,
    memories: Vec<Memory>,
}

/// The state as data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    targets: Vec<Memory>,
    forecasts: Vec<MemoryState>,
}

/// What is known of one target at a tick.
struct Seen<'a> {
    target: &'a ValidTarget,
    history: &'a TargetHistory,
    reactive: Reactive,
    known: Known,
}

impl Aapa {
    fn new(build: &Build<'_>, classifier: Arc<dyn Classifier>) -> Result<Self, Vec<SpecProblem>> {
        let level = critical_level(build.knobs.number("violationPrice"));
        let settings = Settings::new(build, level)?.watched(demands(build));
        Ok(Self {
            classifier,
            rule: rule(build),
            min_confidence: build.knobs.number("minConfidencePercent") / 100.0,
            confidence_max: build.knobs.number("confidencePercentMax") / 100.0,
            strategies: Strategies::read(|name| build.knobs.map(name), build.path)?,
            forecasts: Forecasts::new(settings),
            memories: Vec::new(),
        })
    }

    /// The archetype of the target at `place`, and the replicas that follow from it.
    fn classed(
        &mut self,
        place: usize,
        seen: &Seen<'_>,
        now: Timestamp,
    ) -> Result<(Classed, Option<Replicas>), Absence> {
        let points = seen.history.points(Metric::Demand);
        let force = self.memories[place].look(points, &*self.classifier, self.rule);
        if let Err(Absence::NoMetric) = seen.known.ahead {
            return Err(Absence::NoMetric);
        }
        let Force {
            archetype,
            confidence,
        } = force.ok_or(Absence::NoHistory)?;
        let confidence = smaller(confidence, self.confidence_max);
        let found = if archetype == Archetype::Idle {
            None
        } else {
            Some(self.scaled(archetype, confidence, seen, now)?)
        };
        let (scaled, replicas) = found.unzip();
        let classed = Classed {
            archetype: Some(archetype),
            confidence,
            scaled,
        };
        Ok((classed, replicas))
    }

    /// By the archetype's strategy; by the safe default's where doubt is too large, or where the
    /// strategy cannot tell.
    fn scaled(
        &self,
        archetype: Archetype,
        confidence: f64,
        seen: &Seen<'_>,
        now: Timestamp,
    ) -> Result<(Scaled, Replicas), Absence> {
        let capacity = seen.known.capacity.ok_or(Absence::NoCapacity)?;
        let state = seen.history.state.as_ref().ok_or(Absence::NoMetric)?;
        let scene = Scene {
            history: seen.history,
            full_capacity: capacity / hpa_share(seen.target),
            usage: usage(seen, state, capacity, now),
            current: state.current_replicas(),
            known: &seen.known,
            now,
        };
        let doubted = confidence < self.min_confidence;
        let own = (!doubted).then_some(archetype);
        let scale = |by| self.strategies.scale(by, confidence, &scene);
        if let Some(found) = own.and_then(scale) {
            return Ok(found);
        }
        let (mut scaled, mut replicas) = scale(Archetype::Stationary).ok_or(Absence::NoMetric)?;
        if let Some(floor) = seen.reactive.replicas.filter(|floor| *floor > replicas) {
            scaled.turn = Some(Turn::Floor);
            replicas = floor;
        }
        Ok((scaled, replicas))
    }
}

impl Proposer for Aapa {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.forecasts.fit_to(view.spec);
        fit_memories(&mut self.memories, view.spec);
        let times = (context.now, view.spec.written().interval);
        let mut told = Told::default();
        for (place, target) in view.spec.targets().iter().enumerate() {
            let Some(history) = view.target(place) else {
                continue;
            };
            let reactive = context.reactive[place];
            let known = self.forecasts.look(place, target, history, reactive, times);
            let seen = Seen {
                target,
                history,
                reactive,
                known,
            };
            told.add(target, self.classed(place, &seen, context.now), true);
        }
        told.proposal()
    }

    fn install(&mut self, artifact: &[u8]) -> bool {
        self.forecasts.install(artifact)
    }

    fn refits(&mut self) -> Vec<RefitRequest> {
        self.forecasts.refits()
    }

    fn ticks_per_save(&self) -> u64 {
        TICKS_PER_SAVE
    }

    fn save(&self) -> Vec<u8> {
        let state = State {
            targets: self.memories.clone(),
            forecasts: self.forecasts.save(),
        };
        serde_json::to_vec(&state).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |why: String| RestoreError {
            proposer: ENTRY.name.to_owned(),
            why,
        };
        let state: State = serde_json::from_slice(state).map_err(|e| failed(e.to_string()))?;
        self.forecasts.restore(state.forecasts).map_err(failed)?;
        self.memories = state.targets;
        Ok(())
    }
}

/// What is told of all targets together.
#[derive(Debug, Default)]
pub(crate) struct Told {
    plan: Plan,
    cooldowns: Vec<(TargetId, Span)>,
    all: Vec<(TargetId, Result<Classed, Absence>)>,
}

impl Told {
    /// Adds a target; `cools` where its wish is to be held by the strategy's cooldown.
    pub(crate) fn add(
        &mut self,
        target: &ValidTarget,
        found: Result<(Classed, Option<Replicas>), Absence>,
        cools: bool,
    ) {
        let id = &target.id;
        if let Ok((classed, Some(replicas))) = &found {
            self.plan.push((id.clone(), Setting::replicas(*replicas)));
            let scaled = classed.scaled.as_ref().filter(|_| cools);
            let cooldown = scaled.map(|s| (id.clone(), s.adjusted.cooldown));
            self.cooldowns.extend(cooldown);
        }
        self.all
            .push((id.clone(), found.map(|(classed, _)| classed)));
    }

    /// All wishes as one proposal, as sure as the least sure of them.
    pub(crate) fn proposal(self) -> Proposal {
        let classed = self.all.iter().filter_map(|(_, found)| found.as_ref().ok());
        let least = classed.map(|c| c.confidence).min_by(f64::total_cmp);
        let Some(least) = least else {
            let first = self.all.first().and_then(|(_, found)| found.as_ref().err());
            return Proposal::absent(first.copied().unwrap_or(Absence::NoHistory));
        };
        Proposal {
            plan: self.plan,
            interval: None,
            confidence: Confidence::percent((least * 100.0).round() as u8),
            ratio_milli: None,
            cooldowns: self.cooldowns,
            basis: Basis::Archetypes(self.all),
        }
    }
}
