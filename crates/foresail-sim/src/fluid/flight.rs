//! Fluid mode as a driver of the engine: groups become counted pods, what is decided an action.

use foresail_core::engine::Engine;
use foresail_core::hpa::{MetricSpec, Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{
    Health, MemoryKill, Metric, ResourceUsage, Sample, Samples, TargetState,
};
use foresail_core::propose::advice::Advice;
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use rayon::prelude::*;

use super::advised::Adviser;
use super::measure::FluidMeasures;
use super::model::{Asked, Decider, Fluid, GroupSeen, Killed, SeenFluid, run};
use crate::cluster::Size;
use crate::driver::{EnginePilot, Listener};
use crate::experiment::run::spec_error;
use crate::experiment::{ExperimentError, Item, Policy};
use crate::metrics::measure::Interval;

/// What one policy came to on many items.
#[derive(Clone, Debug)]
pub struct Flown<L> {
    /// What was measured, summed over the items.
    pub measures: FluidMeasures,
    /// What listened, one per item in their order.
    pub listeners: Vec<L>,
}

/// What one metric of a target's HPA reads of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Cpu,
    Memory,
}

impl Reads {
    const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// Where one metric of a target's HPA comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// From the pods.
    Pods(Reads),
    /// From outside the cluster: what the pilot was told last.
    Outside,
    /// Fluid mode has no reading for it.
    Nowhere,
}

/// What the metrics of a spec's one target read, in their order.
fn reads(metrics: &[MetricSpec]) -> Vec<Source> {
    if metrics.is_empty() {
        return vec![Source::Pods(Reads::Cpu)];
    }
    let of = |metric: &MetricSpec| {
        if metric.external.is_some() {
            return Source::Outside;
        }
        let known = |r: &Reads| metric.resource_name() == Some(r.name());
        let found = Reads::ALL.into_iter().find(known);
        found.map_or(Source::Nowhere, Source::Pods)
    };
    metrics.iter().map(of).collect()
}

/// An engine that flies counted groups.
#[derive(Debug)]
pub struct GroupPilot<'a, L> {
    pilot: EnginePilot<L>,
    adviser: Option<Adviser<'a>>,
    reads: Vec<Source>,
    /// What metrics from outside read, in thousandths; `None` = they cannot be read.
    outside: Option<i64>,
    /// Resources that may be changed and that no metric reads.
    unread: Vec<Reads>,
    sizes: bool,
}

impl<'a, L: Listener> GroupPilot<'a, L> {
    /// A pilot for the one target of the engine's spec; `looks` tells whether it is shown pods.
    pub(crate) fn new(
        engine: Engine,
        looks: bool,
        listener: L,
        adviser: Option<Adviser<'a>>,
    ) -> Self {
        let target = &engine.spec().written().targets[0];
        let reads = reads(&target.hpa.metrics);
        let unread = |r: &Reads| {
            target.resources.contains_key(r.name()) && !reads.contains(&Source::Pods(*r))
        };
        Self {
            unread: Reads::ALL.into_iter().filter(unread).collect(),
            reads: if looks { reads } else { Vec::new() },
            outside: None,
            sizes: !target.resources.is_empty(),
            adviser,
            pilot: EnginePilot::new(engine, looks, listener),
        }
    }

    /// A pilot for the one target of the engine's spec, for callers that step a model themselves.
    #[must_use]
    pub fn of_engine(engine: Engine, listener: L) -> Self {
        Self::new(engine, true, listener, None)
    }

    /// Takes in advice, as it came from outside.
    pub fn advise(&mut self, advice: Advice) {
        self.pilot.advise(advice);
    }

    /// What metrics from outside the cluster read from now on; `None` = they cannot be read.
    pub fn outside(&mut self, value: Option<f64>) {
        self.outside = value.map(|v| Quantity::from_f64(v, Unit::Count).milli());
    }

    /// The engine that flies.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.pilot.engine()
    }

    /// What listens.
    pub fn listener(&mut self) -> &mut L {
        &mut self.pilot.listener
    }

    fn state(&self, seen: &SeenFluid<'_>) -> TargetState {
        let count = |ready_alone: bool| {
            let counted = seen.pods.iter().filter(|g| g.ready || !ready_alone);
            Replicas::new(counted.map(|g| g.count).sum())
        };
        let mut state = TargetState {
            target: self.pilot.target().clone(),
            current: Setting::replicas(Replicas::new(seen.current)),
            status_replicas: count(false),
            ready: count(true),
            ..TargetState::default()
        };
        if self.sizes {
            state.current.per_pod.set("cpu", cores(seen.size.cpu));
            state.current.per_pod.set("memory", bytes(seen.size.memory));
        }
        state.kills = seen.kills.iter().flat_map(kills).collect();
        if !self.reads.is_empty() {
            state.pods.extend(seen.pods.iter().map(pod));
            let read = self.reads.iter().map(|source| match source {
                Source::Pods(reads) => Reading::Pods(readings(*reads, seen)),
                Source::Outside => self
                    .outside
                    .map_or(Reading::Failed, |value| Reading::Total(vec![value])),
                Source::Nowhere => Reading::Failed,
            });
            state.readings = read.collect();
            state.usage = self.unread.iter().map(|r| usage(*r, seen)).collect();
        }
        state
    }

    /// Takes in what is new, and what is advised on it, before the decision.
    pub(crate) fn see(&mut self, seen: &SeenFluid<'_>) {
        let samples = self.samples(seen);
        self.pilot.see(samples);
    }

    /// Decides on what was seen.
    pub(crate) fn tick(
        &mut self,
        (current, size): (u32, Size),
        interval: Interval,
    ) -> Option<Asked> {
        let setting = self.pilot.tick(None, interval)?;
        Some(asked((current, size), &setting))
    }

    fn samples(&self, seen: &SeenFluid<'_>) -> Samples {
        let sample = |metric| {
            move |(at, value): &(Timestamp, f64)| Sample {
                target: self.pilot.target().clone(),
                metric,
                at: *at,
                value: Some(*value),
            }
        };
        let concurrency = seen.concurrency.iter().map(sample(Metric::Concurrency));
        let demand = seen.demand.iter().map(sample(Metric::Demand));
        let kept = seen.kept.iter().map(sample(Metric::Kept));
        let (health, leading) = (Health::default(), true);
        Samples {
            at: seen.now,
            health,
            leading,
            targets: vec![self.state(seen)],
            values: concurrency.chain(demand).chain(kept).collect(),
        }
    }
}

fn cores(millicores: i64) -> Quantity {
    Quantity::from_milli(millicores, Unit::Count)
}

fn bytes(bytes: i64) -> Quantity {
    Quantity::from_milli(bytes.saturating_mul(1000), Unit::Bytes)
}

fn kills(killed: &Killed) -> impl Iterator<Item = MemoryKill> {
    let kill = MemoryKill {
        at: killed.at,
        memory: bytes(killed.memory),
    };
    std::iter::repeat_n(kill, killed.count as usize)
}

fn usage(reads: Reads, seen: &SeenFluid<'_>) -> ResourceUsage {
    ResourceUsage {
        resource: reads.name().to_owned(),
        pods: readings(reads, seen),
    }
}

fn readings(reads: Reads, seen: &SeenFluid<'_>) -> Vec<PodReading> {
    let request = match reads {
        Reads::Cpu => seen.size.cpu,
        Reads::Memory => seen.size.memory.saturating_mul(1000),
    };
    let value = |group: &GroupSeen, cpu: i64| match reads {
        Reads::Cpu => Some(cpu),
        Reads::Memory => group.memory.map(|m| m.saturating_mul(1000)),
    };
    let of = |group: &GroupSeen| PodReading {
        request: Some(request),
        sample: group.cpu.and_then(|c| {
            Some(PodSample {
                value: value(group, c.millicores)?,
                at: c.at,
                window: c.window,
            })
        }),
    };
    seen.pods.iter().map(of).collect()
}

fn pod(group: &GroupSeen) -> Pod {
    Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(group.created_at),
        ready: if group.ready {
            Ready::True
        } else {
            Ready::False
        },
        ready_changed_at: group.ready_changed_at,
        count: group.count,
    }
}

impl<L: Listener> Decider for GroupPilot<'_, L> {
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        let advice = self
            .adviser
            .and_then(|a| a.at(seen.step, self.pilot.target()));
        if let Some(advice) = advice {
            self.pilot.advise(advice);
        }
        let samples = self.samples(seen);
        let usage = |g: &GroupSeen| g.cpu.map(|c| c.millicores * i64::from(g.count));
        let cpu = seen.pods.iter().filter_map(usage).reduce(|a, b| a + b);
        let setting = self.pilot.decide(samples, cpu, seen.interval.clone())?;
        Some(asked((seen.current, seen.size), &setting))
    }
}

/// What a setting asks for, where so many replicas of this size are there.
fn asked((current, size): (u32, Size), setting: &Setting) -> Asked {
    let resized = size.with(&setting.per_pod);
    Asked {
        replicas: setting.replicas.map_or(current, Replicas::get),
        size: (resized != size).then_some(resized),
    }
}

/// A policy as fluid mode flies it: every policy decides once a step, that of the setup's pipeline.
#[must_use]
pub fn fluid_policy(item: &Item, mut policy: Policy) -> Policy {
    let sync = item.setup.pipeline.sync;
    policy.pipeline.sync = sync;
    policy.spec.interval = sync;
    policy
}

/// Flies one policy on one item; it decides once a step, as [`fluid_policy`] has it, on what it
/// sees by the chance of `seed`.
///
/// # Errors
/// [`ExperimentError`] where a knob or the spec is not valid.
pub fn fly<L: Listener>(
    item: &Item,
    policy: Policy,
    fluid: Fluid,
    seed: Seed,
    listener: L,
) -> Result<(FluidMeasures, L), ExperimentError> {
    fly_advised(item, policy, fluid, seed, listener, None)
}

/// Flies one policy on one item, with somebody who advises it.
pub(crate) fn fly_advised<L: Listener>(
    item: &Item,
    policy: Policy,
    fluid: Fluid,
    seed: Seed,
    listener: L,
    adviser: Option<Adviser<'_>>,
) -> Result<(FluidMeasures, L), ExperimentError> {
    let policy = fluid_policy(item, policy);
    let fluid = Fluid {
        chance: Some(seed),
        ..fluid
    };
    let engine = match engine_of(policy.spec, seed) {
        Ok(engine) => engine,
        Err(problems) => return Err(spec_error(&policy.name, &problems)),
    };
    let mut pilot = GroupPilot::new(engine, policy.reads_cpu, listener, adviser);
    let mut cluster = item.setup.cluster.clone();
    cluster.initial = policy.initial;
    let measures = run(
        &cluster,
        &policy.pipeline,
        &item.workload,
        fluid,
        &mut pilot,
    )?;
    Ok((measures, pilot.pilot.listener))
}

/// Flies a policy on every item, side by side, and adds up in item order.
///
/// # Errors
/// [`ExperimentError`] of the first item in order that has one.
pub fn fly_all<L: Listener + Send>(
    items: &[Item],
    policy_of: impl Fn(&Item) -> Policy + Sync,
    fluid: Fluid,
    seed: Seed,
    listener_of: impl Fn(usize) -> L + Sync,
) -> Result<Flown<L>, ExperimentError> {
    let runs: Vec<_> = items
        .par_iter()
        .enumerate()
        .map(|(i, item)| fly(item, policy_of(item), fluid, seed, listener_of(i)))
        .collect();
    let mut measures = FluidMeasures::default();
    let mut listeners = Vec::with_capacity(items.len());
    for run in runs {
        let (of_item, listener) = run?;
        measures.add(&of_item);
        listeners.push(listener);
    }
    Ok(Flown {
        measures,
        listeners,
    })
}
