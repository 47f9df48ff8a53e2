//! The oracle's plan as advice, flown by the engine in either mode.

use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_models::propose::oracle::NAME;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

use super::flight::fly_advised;
use super::measure::FluidMeasures;
use super::model::Fluid;
use crate::driver::{EnginePilot, Listener};
use crate::experiment::run::spec_error;
use crate::experiment::{ExperimentError, Item, Policy, policy};
use crate::metrics::measure::Measures;
use crate::simulation::{self, Pilot, Seen};

/// A plan and the clock that it goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adviser<'a> {
    pub(crate) plan: &'a [u32],
    pub(crate) start: Timestamp,
    pub(crate) sync: Span,
}

impl Adviser<'_> {
    /// What is to be said at the begin of a step: only where the plan changes, and at first.
    pub(crate) fn at(&self, step: usize, target: &TargetId) -> Option<Advice> {
        let replicas = *self.plan.get(step)?;
        let says_so = step.checked_sub(1).and_then(|before| self.plan.get(before));
        if step > 1 && says_so == Some(&replicas) {
            return None;
        }
        let rest = &self.plan[step..];
        let lasts = rest.iter().take_while(|n| **n == replicas).count();
        let time = |step: usize| self.start + Span::from_nanos(self.sync.nanos() * step as i64);
        let until = if lasts == rest.len() {
            Timestamp::from_nanos(i64::MAX)
        } else {
            time(step + lasts) - Span::from_nanos(1)
        };
        let setting = Setting::replicas(Replicas::new(replicas));
        Some(Advice {
            by: NAME.to_owned(),
            at: time(step),
            until,
            says: Says::Plan(vec![(target.clone(), setting)]),
            confidence_percent: None,
            text: "the cheapest plan of one who knows all demand to come".to_owned(),
        })
    }
}

/// An engine in event mode that is advised before each decision.
struct AdvisedPilot<'a, L> {
    pilot: EnginePilot<L>,
    adviser: Adviser<'a>,
    step: usize,
}

impl<L: Listener> Pilot for AdvisedPilot<'_, L> {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        self.step += 1;
        if let Some(advice) = self.adviser.at(self.step, self.pilot.target()) {
            self.pilot.advise(advice);
        }
        self.pilot.sync(seen)
    }
}

fn adviser<'a>(item: &Item, plan: &'a [u32]) -> Adviser<'a> {
    Adviser {
        plan,
        start: item.workload.start(),
        sync: item.setup.pipeline.sync,
    }
}

fn policy_of(item: &Item, plan: &[u32]) -> Policy {
    policy::oracle(&item.setup, plan.first().copied().unwrap_or(item.setup.min))
}

/// Flies a plan of the oracle in event mode, where it is a reference and no bound.
///
/// # Errors
/// [`ExperimentError`] where a knob is not valid.
pub fn fly_plan<L: Listener>(
    item: &Item,
    plan: &[u32],
    seed: Seed,
    listener: L,
) -> Result<(Measures, L), ExperimentError> {
    let policy = policy_of(item, plan);
    let engine = match engine_of(policy.spec, seed) {
        Ok(engine) => engine,
        Err(problems) => return Err(spec_error(&policy.name, &problems)),
    };
    let mut cluster = item.setup.cluster.clone();
    cluster.initial = policy.initial;
    let mut pilot = AdvisedPilot {
        pilot: EnginePilot::new(engine, false, listener),
        adviser: adviser(item, plan),
        step: 0,
    };
    let (pipeline, workload) = (&policy.pipeline, &item.workload);
    let measures = simulation::run(&cluster, pipeline, workload, seed, &mut pilot)?;
    Ok((measures, pilot.pilot.listener))
}

/// Flies a plan of the oracle in fluid mode, through the engine as any policy.
///
/// # Errors
/// [`ExperimentError`] where a knob is not valid.
pub fn fly_plan_fluid<L: Listener>(
    item: &Item,
    plan: &[u32],
    fluid: Fluid,
    seed: Seed,
    listener: L,
) -> Result<(FluidMeasures, L), ExperimentError> {
    let policy = policy_of(item, plan);
    fly_advised(
        item,
        policy,
        fluid,
        seed,
        listener,
        Some(adviser(item, plan)),
    )
}
