//! `vpa`: the Vertical Pod Autoscaler, recommender and updater.
//!
//! What pods used goes into its recommender ([`crate::vpa`]); the wish is its target for CPU and
//! memory, within what the target allows, at ticks at which its updater would act. Pods in a group
//! count each. A resource without a sample has no wish: missing is never zero, nor the minimum.
//! Replicas are another's: beside `hpa` this is the pair that Kubernetes itself offers.
//! Source: k8s.io/autoscaler/vertical-pod-autoscaler 1.8.1; see docs/vpa.md.

mod knobs;
mod pods;
#[cfg(test)]
mod tests;

use foresail_core::history::View;
use foresail_core::hpa::{PodReading, Source};
use foresail_core::observe::{MemoryKill, TargetState};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::propose::requests::{Renewal, RequestRange, Requested};
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer, RestoreError};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Unit, larger};
use foresail_core::spec::{ValidSpec, ValidTarget};
use serde::{Deserialize, Serialize};

use crate::propose::one_per_target;
use crate::registry::{Build, Built, Entry};
use crate::vpa::{Aggregate, Aggregation, Estimations, Range, SavedAggregate};
use knobs::{KNOBS, Updating};
use pods::{Pods, Readings, Sink};

/// Ticks between two saves for the case that it breaks down: ten minutes at the default interval.
/// What came since is lost then, as it is when a recommender goes on from a checkpoint.
const TICKS_PER_SAVE: u64 = 40;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "vpa",
    summary: "the Vertical Pod Autoscaler: requests of CPU and memory from what pods used",
    knobs: KNOBS,
    build,
};

fn build(build: &Build<'_>) -> Built {
    Ok(Box::new(Vpa {
        aggregation: knobs::aggregation(build.knobs),
        estimations: knobs::estimations(build.knobs),
        updating: knobs::updating(build.knobs),
        memories: Vec::new(),
    }))
}

/// The resources that it knows, with the unit of their quantities.
const RESOURCES: [(&str, Unit); 2] = [("cpu", Unit::Count), ("memory", Unit::Bytes)];

/// What is remembered of one target.
#[derive(Debug)]
struct Memory {
    target: TargetId,
    aggregate: Aggregate,
    pods: Pods,
    /// The kills that were told last: one list is seen at several ticks.
    kills: Vec<MemoryKill>,
    /// The newest kill, and whether it came soon after a start.
    killed: Option<(Timestamp, bool)>,
}

/// The same as data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedMemory {
    target: TargetId,
    aggregate: SavedAggregate,
    pods: Pods,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kills: Vec<MemoryKill>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    killed: Option<(Timestamp, bool)>,
}

/// Recommends requests by what was used.
#[derive(Debug)]
struct Vpa {
    aggregation: Aggregation,
    estimations: Estimations,
    updating: Updating,
    memories: Vec<Memory>,
}

/// What pods use of a resource, as far as anybody tells it.
fn readings<'a>(target: &ValidTarget, state: &'a TargetState, resource: &str) -> &'a [PodReading] {
    state
        .usage_of(target.rules.metrics(), resource)
        .unwrap_or(&[])
}

/// `true` where the target's HPA reads a resource of pods that may be changed.
fn reads(target: &ValidTarget, resource: &str) -> bool {
    let is_read = |source: &Source| matches!(source, Source::Resource { name, container: None } if name == resource);
    target.allows(resource) && target.rules.metrics().iter().any(|m| is_read(&m.source))
}

/// What a pod asks for: as the driver says, else as the metric's first reading with a request does.
fn request(state: &TargetState, of: &[PodReading], name: &str, unit: Unit) -> Option<Quantity> {
    let read = || of.iter().find_map(|r| r.request);
    let set = state.current.per_pod.get(name);
    set.or_else(|| read().map(|milli| Quantity::from_milli(milli, unit)))
}

/// An amount of the recommender as a quantity, and back.
fn quantity(amount: i64, unit: Unit) -> Quantity {
    let milli = if unit == Unit::Bytes {
        amount.saturating_mul(1000)
    } else {
        amount
    };
    Quantity::from_milli(milli, unit)
}

fn amount(quantity: Quantity, unit: Unit) -> i64 {
    if unit == Unit::Bytes {
        quantity.milli() / 1000
    } else {
        quantity.milli()
    }
}

impl Memory {
    fn new(target: &TargetId, aggregation: &Aggregation) -> Self {
        Self {
            target: target.clone(),
            aggregate: Aggregate::new(aggregation),
            pods: Pods::default(),
            kills: Vec::new(),
            killed: None,
        }
    }

    /// Takes in what is new of the target.
    fn look(
        &mut self,
        target: &ValidTarget,
        state: &TargetState,
        (aggregation, updating): (&Aggregation, &Updating),
        now: Timestamp,
    ) {
        let mut into = Sink {
            aggregate: &mut self.aggregate,
            aggregation,
            now,
        };
        let read = Readings {
            cpu: readings(target, state, "cpu"),
            memory: readings(target, state, "memory"),
        };
        self.pods.look(&state.pods, read, &mut into);
        if self.kills != state.kills {
            self.pods.kill(&state.kills, &mut into);
            self.kills.clone_from(&state.kills);
            self.note_kill(state, updating.after_kill);
        }
        if self.aggregate.is_expired(aggregation, now) {
            self.aggregate = Aggregate::new(aggregation);
        }
    }

    /// Remembers the newest kill. A list names no pods, so it came soon after a start where any pod
    /// started, or any container was killed, not long before.
    fn note_kill(&mut self, state: &TargetState, threshold: Span) {
        let Some(newest) = state.kills.iter().map(|k| k.at).max() else {
            return;
        };
        let soon = |start: Timestamp| start < newest && newest - start < threshold;
        let starts = state.pods.iter().filter_map(|p| p.started_at);
        let kills = state.kills.iter().map(|k| k.at);
        let former = self.killed.map(|(at, _)| at);
        let quick = starts.chain(kills).chain(former).any(soon);
        self.killed = Some((newest, quick));
    }

    /// What is recommended for each resource that was seen and may be changed.
    fn ranges(
        &self,
        target: &ValidTarget,
        state: &TargetState,
        by: &Estimations,
    ) -> Vec<(String, RequestRange)> {
        let seen = |name: &str| match name {
            "cpu" => (self.aggregate.samples > 0).then(|| by.cpu(&self.aggregate, 1)),
            _ => (!self.aggregate.memory.is_empty()).then(|| by.memory(&self.aggregate, 1)),
        };
        let range = |(name, unit): &(&str, Unit)| {
            let allowed = target.allows(name).then(|| seen(name))??;
            let bounds = target.resources.get(*name);
            let bounds = bounds.map_or((0, 0), |b| (amount(b.min, *unit), amount(b.max, *unit)));
            let range: Range = allowed.capped(bounds);
            let current = request(state, readings(target, state, name), name, *unit);
            let told = RequestRange {
                current,
                lower: quantity(range.lower, *unit),
                target: quantity(range.target, *unit),
                upper: quantity(range.upper, *unit),
                uncapped: quantity(range.uncapped, *unit),
            };
            Some(((*name).to_owned(), told))
        };
        RESOURCES.iter().filter_map(range).collect()
    }

    /// Why the updater would change the pods' requests, where it would.
    fn renewal(
        &self,
        ranges: &[(String, RequestRange)],
        state: &TargetState,
        updating: &Updating,
        now: Timestamp,
    ) -> Option<Renewal> {
        if ranges.iter().any(|(_, range)| range.is_left()) {
            return Some(Renewal::Outside);
        }
        let change: f64 = ranges.iter().map(|(_, range)| relative_change(range)).sum();
        let soon = |(at, quick): (Timestamp, bool)| quick && now - at < updating.after_kill;
        if self.killed.is_some_and(soon) {
            return (change > 0.0).then_some(Renewal::Killed);
        }
        let oldest = state.pods.iter().filter_map(|p| p.started_at).min();
        let old = oldest.is_some_and(|start| now - start >= updating.lifetime);
        (old && change >= updating.change_min && change > 0.0).then_some(Renewal::Far)
    }
}

/// How far a request is from its target, over the request.
fn relative_change(range: &RequestRange) -> f64 {
    let request = range.current.map_or(0.0, |c| c.milli() as f64);
    let request = larger(request, 1.0);
    (request - range.target.milli() as f64).abs() / request
}

impl Vpa {
    fn fit_to(&mut self, spec: &ValidSpec) {
        let new = |id: &TargetId| Memory::new(id, &self.aggregation);
        one_per_target(&mut self.memories, spec, |m| &m.target, new);
    }

    fn requested(
        &mut self,
        place: usize,
        target: &ValidTarget,
        state: Option<&TargetState>,
        now: Timestamp,
    ) -> Result<Requested, Absence> {
        if !RESOURCES.iter().any(|(name, _)| reads(target, name)) {
            return Err(Absence::NoMetric);
        }
        let state = state.ok_or(Absence::NoHistory)?;
        let memory = &mut self.memories[place];
        memory.look(target, state, (&self.aggregation, &self.updating), now);
        let ranges = memory.ranges(target, state, &self.estimations);
        if ranges.is_empty() {
            return Err(Absence::NoHistory);
        }
        let renewal = memory.renewal(&ranges, state, &self.updating, now);
        Ok(Requested { ranges, renewal })
    }
}

/// The wish of one target: every target at once, as a pod is made anew with all of them.
fn wish(requested: &Requested) -> Option<Setting> {
    requested.renewal?;
    let mut setting = Setting::default();
    for (name, range) in &requested.ranges {
        setting.per_pod.set(name, range.target);
    }
    Some(setting)
}

impl Proposer for Vpa {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        self.fit_to(view.spec);
        let mut plan = Plan::new();
        let mut told = Vec::with_capacity(view.len());
        for (place, target) in view.spec.targets().iter().enumerate() {
            let found = self.requested(place, target, view.state(place), context.now);
            let wished = found.as_ref().ok().and_then(wish);
            plan.extend(wished.map(|setting| (target.id.clone(), setting)));
            told.push((target.id.clone(), found));
        }
        if told.iter().all(|(_, found)| found.is_err()) {
            let first = told.first().and_then(|(_, found)| found.as_ref().err());
            return Proposal::absent(first.copied().unwrap_or(Absence::NoHistory));
        }
        Proposal::certain(plan, Basis::Requests(told))
    }

    fn ticks_per_save(&self) -> u64 {
        TICKS_PER_SAVE
    }

    fn save(&self) -> Vec<u8> {
        let saved = |m: &Memory| SavedMemory {
            target: m.target.clone(),
            aggregate: m.aggregate.save(),
            pods: m.pods.clone(),
            kills: m.kills.clone(),
            killed: m.killed,
        };
        let all: Vec<SavedMemory> = self.memories.iter().map(saved).collect();
        serde_json::to_vec(&all).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |why: String| RestoreError {
            proposer: ENTRY.name.to_owned(),
            why,
        };
        let all: Vec<SavedMemory> =
            serde_json::from_slice(state).map_err(|e| failed(e.to_string()))?;
        let restored = |saved: SavedMemory| {
            let mut memory = Memory::new(&saved.target, &self.aggregation);
            memory.aggregate.restore(&saved.aggregate).map_err(failed)?;
            memory.pods = saved.pods;
            memory.kills = saved.kills;
            memory.killed = saved.killed;
            Ok(memory)
        };
        self.memories = all.into_iter().map(restored).collect::<Result<_, _>>()?;
        Ok(())
    }
}
