//! Runs policies on items side by side and adds up what came out, in item order.

use foresail_core::engine::Engine;
use foresail_core::spec::SpecProblem;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use rayon::prelude::*;

use super::policy::{Policy, Setup};
use crate::config::ConfigProblem;
use crate::driver::{EnginePilot, Listener};
use crate::fault::lies;
use crate::metrics::measure::{Elasticity, Measures};
use crate::simulation;
use crate::workload::Workload;

/// One item of a trace as a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name.
    pub id: String,
    /// What comes.
    pub workload: Workload,
    /// What it runs on.
    pub setup: Setup,
}

/// What one policy came to on one item, or on all of them together.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<L> {
    /// What was measured.
    pub measures: Measures,
    /// What listened, one per item in their order.
    pub listeners: Vec<L>,
}

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A knob of the cluster or the pipeline.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// The spec of a policy.
    #[error("policy `{policy}`: {problems}")]
    Spec {
        /// Whose.
        policy: String,
        /// Every problem.
        problems: String,
    },
    /// There is nothing to run.
    #[error("no item has a single request: choose another trace or another part of it")]
    Empty,
}

pub(crate) fn spec_error(policy: &str, problems: &[SpecProblem]) -> ExperimentError {
    ExperimentError::Spec {
        policy: policy.to_owned(),
        problems: SpecProblem::joined(problems),
    }
}

/// The pilot of a policy on an item: what it reads, and the advice that comes to it.
pub fn pilot<L: Listener>(
    item: &Item,
    policy: &Policy,
    engine: Engine,
    listener: L,
) -> EnginePilot<L> {
    let faults = &item.setup.cluster.faults;
    let advice = lies(faults, &item.setup.target, item.workload.start());
    EnginePilot::new(engine, policy.reads_cpu, listener).advised(advice)
}

/// Runs one policy on one item.
///
/// # Errors
/// [`ExperimentError`] where a knob or the spec is not valid.
pub fn run_one<L: Listener>(
    item: &Item,
    policy: &Policy,
    seed: Seed,
    listener: L,
) -> Result<(Measures, L), ExperimentError> {
    let engine = engine_of(policy.spec.clone(), seed).map_err(|p| spec_error(&policy.name, &p))?;
    let mut pilot = pilot(item, policy, engine, listener);
    let mut cluster = item.setup.cluster.clone();
    cluster.initial = policy.initial;
    let measures = simulation::run(&cluster, &policy.pipeline, &item.workload, seed, &mut pilot)?;
    Ok((measures, pilot.listener))
}

/// Runs a policy on every item, side by side, and adds up; `policy_of` makes the item's own policy.
///
/// # Errors
/// [`ExperimentError`] of the first item in order that has one.
pub fn run_all<L: Listener + Send>(
    items: &[Item],
    policy_of: impl Fn(&Item) -> Policy + Sync,
    seed: Seed,
    listener_of: impl Fn(usize) -> L + Sync,
) -> Result<Outcome<L>, ExperimentError> {
    let runs: Vec<_> = items
        .par_iter()
        .enumerate()
        .map(|(i, item)| run_one(item, &policy_of(item), seed, listener_of(i)))
        .collect();
    let mut total: Option<Measures> = None;
    let mut listeners = Vec::with_capacity(items.len());
    for run in runs {
        let (measures, listener) = run?;
        listeners.push(listener);
        match &mut total {
            Some(total) => total.add(&measures),
            None => total = Some(measures),
        }
    }
    let mut measures = total.ok_or(ExperimentError::Empty)?;
    measures.elasticity = measures.elasticity.over(items.len());
    Ok(Outcome {
        measures,
        listeners,
    })
}

impl Elasticity {
    /// Adds another item's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.under_accuracy_percent += other.under_accuracy_percent;
        self.over_accuracy_percent += other.over_accuracy_percent;
        self.under_time_percent += other.under_time_percent;
        self.over_time_percent += other.over_time_percent;
    }

    /// Means of sums over `count` items.
    pub(crate) fn over(self, count: usize) -> Self {
        let n = count.max(1) as f64;
        Self {
            under_accuracy_percent: self.under_accuracy_percent / n,
            over_accuracy_percent: self.over_accuracy_percent / n,
            under_time_percent: self.under_time_percent / n,
            over_time_percent: self.over_time_percent / n,
        }
    }
}

impl Measures {
    /// Adds another item's; elasticity is summed and divided by the caller.
    fn add(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.requests, &other.requests);
        mine.arrived += theirs.arrived;
        mine.served += theirs.served;
        mine.rejected += theirs.rejected;
        mine.timed_out += theirs.timed_out;
        mine.crashed += theirs.crashed;
        mine.in_service += theirs.in_service;
        mine.waiting += theirs.waiting;
        self.wait.merge(&other.wait);
        self.latency.merge(&other.latency);
        self.violations += other.violations;
        self.violation_minutes += other.violation_minutes;
        self.cold_starts += other.cold_starts;
        self.replica_minutes += other.replica_minutes;
        self.node_minutes += other.node_minutes;
        self.cost += other.cost;
        self.crashes += other.crashes;
        self.actions += other.actions;
        self.flaps += other.flaps;
        self.mean_in_system += other.mean_in_system;
        self.elasticity.add(&other.elasticity);
        for (row, add) in self.minutes.iter_mut().zip(&other.minutes) {
            row.arrivals += add.arrivals;
            row.violations += add.violations;
            row.cold_starts += add.cold_starts;
            row.current += add.current;
            row.ready += add.ready;
            row.capacity += add.capacity;
            row.replica_minutes += add.replica_minutes;
        }
    }
}
