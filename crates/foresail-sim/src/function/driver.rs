//! Function mode as a driver of the engine: one scope over all functions, one arbiter, one memory
//! budget.

use foresail_core::act::Outcome;
use foresail_core::admit::{Admission, Arbiter, Budgets, Decision};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::SpecProblem;
use foresail_models::propose::oracle::NAME;
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

use super::config::{Function, Keep, Platform};
use super::oracle;
use super::policy::{FunctionPolicy, Reads};
use super::run::{FunctionPilot, FunctionSeen};

/// The least time between two points of demand: a series of demand has one a minute.
const MINUTE: Span = Span::from_seconds(60);

/// Takes in what a run tells of its decisions; each method may be left as it is.
pub trait KeepListener {
    /// An input is about to be fed.
    fn input(&mut self, _input: &Input) {}
    /// A setting was changed: of the tick's target at this place.
    fn changed(&mut self, _tick: &Tick, _place: usize, _decision: &Decision, _engine: &Engine) {}
}

impl KeepListener for crate::driver::Deaf {}

/// An engine that keeps the containers of all functions.
#[derive(Debug)]
pub struct KeepPilot<L> {
    engine: Engine,
    arbiter: Admission,
    targets: Vec<TargetId>,
    reads: Reads,
    counted_at: Option<Timestamp>,
    /// Pools of every function that the oracle advises, tick by tick.
    advised: std::vec::IntoIter<Vec<u32>>,
    /// What listens.
    pub listener: L,
}

impl<L: KeepListener> KeepPilot<L> {
    /// A pilot of this policy over these functions.
    ///
    /// Units: `warm_memory` in bytes, what all pools may hold together.
    ///
    /// # Errors
    /// Every problem of the policy's spec.
    pub fn new(
        policy: &FunctionPolicy,
        (platform, functions): (&Platform, &[Function]),
        warm_memory: Option<u64>,
        seed: Seed,
        listener: L,
    ) -> Result<Self, Vec<SpecProblem>> {
        let engine = engine_of(policy.spec(functions, platform), seed)?;
        let advised = match policy.reads {
            Reads::Future => oracle::pools(platform, functions, seed, policy.interval)
                .map_err(|p| vec![SpecProblem::new(p.field.to_owned(), p.message)])?,
            _ => Vec::new(),
        };
        let bytes = |b: u64| i64::try_from(b).unwrap_or(i64::MAX).saturating_mul(1000);
        let budgets = Budgets {
            warm_memory: warm_memory.map(|b| Quantity::from_milli(bytes(b), Unit::Bytes)),
            ..Budgets::default()
        };
        let targets = engine.spec().targets().iter().map(|t| t.id.clone());
        let mut pilot = Self {
            targets: targets.collect(),
            engine,
            arbiter: Admission::new(budgets),
            reads: policy.reads,
            counted_at: None,
            advised: advised.into_iter(),
            listener,
        };
        if let Some(bytes) = &policy.artifact {
            let artifact = pilot.engine.store(bytes.clone());
            pilot.feed(Input::Installed { artifact });
        }
        Ok(pilot)
    }

    /// What the oracle says of the window that begins.
    fn advice(&mut self, now: Timestamp) -> Option<Input> {
        let pools = self.advised.next()?;
        let setting = |pool: u32| Setting {
            pool: Some(Replicas::new(pool)),
            keep_alive: Some(Span::ZERO),
            ..Setting::default()
        };
        let pairs = self.targets.iter().zip(pools);
        let plan = pairs.map(|(id, pool)| (id.clone(), setting(pool)));
        Some(Input::Advice(Advice {
            by: NAME.to_owned(),
            at: now,
            until: now + self.engine.spec().written().interval,
            says: Says::Plan(plan.collect()),
            confidence_percent: None,
            text: String::new(),
        }))
    }

    /// Fits what a tick asked for, and hands it over.
    fn refit(&mut self, tick: &Tick) {
        for input in refit::answer(&mut self.engine, tick) {
            self.feed(input);
        }
    }

    fn feed(&mut self, input: Input) -> Option<Tick> {
        self.listener.input(&input);
        self.engine.feed(input)
    }

    fn samples(&mut self, now: Timestamp, seen: &[FunctionSeen<'_>]) -> Samples {
        let pairs = self.targets.iter().zip(seen);
        let targets = pairs.clone().map(|(id, seen)| state_of(id, seen)).collect();
        let mut values = Vec::new();
        let since = self.counted_at.map(|at| now - at);
        let elapsed = since.filter(|s| *s >= MINUTE);
        for (id, seen) in pairs {
            match self.reads {
                Reads::Nothing | Reads::Future => break,
                Reads::IdleTimes => {
                    values.extend(idle_samples(id, seen));
                    values.extend(elapsed.map(|s| demand_sample(id, now, seen.calls, s)));
                }
                Reads::BusyPeaks => values.extend(elapsed.map(|_| peak_sample(id, now, seen))),
            }
        }
        self.counted_at = Some(now);
        let (health, leading) = (Health::default(), true);
        Samples {
            at: now,
            health,
            leading,
            targets,
            values,
        }
    }
}

fn state_of(id: &TargetId, seen: &FunctionSeen<'_>) -> TargetState {
    let current = Setting {
        pool: Some(Replicas::new(seen.keep.pool)),
        keep_alive: Some(seen.keep.keep_alive),
        ..Setting::default()
    };
    TargetState {
        target: id.clone(),
        current,
        status_replicas: Replicas::new(seen.alive),
        ready: Replicas::new(seen.alive - seen.starting),
        busy: Some(Replicas::new(seen.busy)),
        idle_since: seen.idle_since,
        ..TargetState::default()
    }
}

fn idle_samples<'a>(
    id: &'a TargetId,
    seen: &'a FunctionSeen<'_>,
) -> impl Iterator<Item = Sample> + 'a {
    seen.idle_times.iter().map(|(at, seconds)| Sample {
        target: id.clone(),
        metric: Metric::IdleTime,
        at: *at,
        value: Some(*seconds),
    })
}

fn demand_sample(id: &TargetId, at: Timestamp, calls: u64, elapsed: Span) -> Sample {
    Sample {
        target: id.clone(),
        metric: Metric::Demand,
        at,
        value: Some(calls as f64 / elapsed.seconds()),
    }
}

fn peak_sample(id: &TargetId, at: Timestamp, seen: &FunctionSeen<'_>) -> Sample {
    Sample {
        target: id.clone(),
        metric: Metric::BusyPeak,
        at,
        value: Some(f64::from(seen.busy_peak)),
    }
}

/// What a decision makes of a setting; an axis that it leaves open stays.
fn keep_of(decision: &Decision, before: Keep) -> Keep {
    Keep {
        keep_alive: decision.setting.keep_alive.unwrap_or(before.keep_alive),
        pool: decision.setting.pool.map_or(before.pool, Replicas::get),
    }
}

impl<L: KeepListener> FunctionPilot for KeepPilot<L> {
    fn interval(&self) -> Option<Span> {
        Some(self.engine.spec().written().interval)
    }

    fn reads_idle_times(&self) -> bool {
        self.reads == Reads::IdleTimes
    }

    fn sync(&mut self, now: Timestamp, seen: &[FunctionSeen<'_>]) -> Vec<(usize, Keep)> {
        let samples = self.samples(now, seen);
        self.feed(Input::Samples(samples));
        if let Some(advice) = self.advice(now) {
            self.feed(advice);
        }
        let Some(tick) = self.feed(Input::Tick { now }) else {
            return Vec::new();
        };
        self.refit(&tick);
        let decisions = self.arbiter.admit(&[(self.engine.spec(), &tick)]);
        let mut changes = Vec::new();
        let mut executed = Plan::new();
        for (place, decision) in decisions.into_iter().enumerate() {
            let before = seen[place].keep;
            let keep = keep_of(&decision, before);
            if decision.to_write && keep != before {
                self.listener.changed(&tick, place, &decision, &self.engine);
                changes.push((place, keep));
                executed.push((decision.target, decision.setting));
            }
        }
        if !executed.is_empty() {
            let (seq, outcome) = (tick.seq, Outcome::Applied);
            self.feed(Input::Settled {
                seq,
                outcome,
                executed,
            });
        }
        changes
    }
}
