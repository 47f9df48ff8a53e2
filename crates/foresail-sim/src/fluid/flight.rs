//! Fluid mode as a driver of the engine: groups become counted pods, what is decided an action.

use foresail_core::hpa::{Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Replicas;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use rayon::prelude::*;

use super::advised::Adviser;
use super::measure::FluidMeasures;
use super::model::{Decider, Fluid, GroupSeen, SeenFluid, run};
use crate::driver::{EnginePilot, Listener};
use crate::experiment::run::spec_error;
use crate::experiment::{ExperimentError, Item, Policy};

/// What one policy came to on many items.
#[derive(Clone, Debug)]
pub struct Flown<L> {
    /// What was measured, summed over the items.
    pub measures: FluidMeasures,
    /// What listened, one per item in their order.
    pub listeners: Vec<L>,
}

/// An engine that flies counted groups.
struct GroupPilot<'a, L> {
    pilot: EnginePilot<L>,
    adviser: Option<Adviser<'a>>,
    request: i64,
    reads_cpu: bool,
}

impl<L: Listener> GroupPilot<'_, L> {
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
        if self.reads_cpu {
            state.pods.extend(seen.pods.iter().map(pod));
            let reading = |group: &GroupSeen| PodReading {
                request: Some(self.request),
                sample: group.cpu.map(|c| PodSample {
                    value: c.millicores,
                    at: c.at,
                    window: c.window,
                }),
            };
            state.readings = vec![Reading::Pods(seen.pods.iter().map(reading).collect())];
        }
        state
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
        let (health, leading) = (Health::default(), true);
        Samples {
            at: seen.now,
            health,
            leading,
            targets: vec![self.state(seen)],
            values: concurrency.chain(demand).collect(),
        }
    }
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
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<u32> {
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
        setting.replicas.map(Replicas::get)
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
    let request = item.setup.cluster.cpu_request_millicores;
    let mut pilot = GroupPilot {
        pilot: EnginePilot::new(engine, policy.reads_cpu, listener),
        adviser,
        request: i64::from(request),
        reads_cpu: policy.reads_cpu,
    };
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
