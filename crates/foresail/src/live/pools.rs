//! Pools of functions that are really there: a driver of the engine, minute by minute.
//!
//! The same engine as in the simulator reads the peak of each whole minute and decides; what was
//! written is fed back. A minute that the provider does not tell stays unknown.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use foresail_adapters::provider::{Activity, FunctionSeen, Provider, Steps};
use foresail_core::act::{Outcome, Seq};
use foresail_core::admit::{Admission, Arbiter, Budgets, Decision};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::SpecProblem;
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::function::driver::KeepListener;
use foresail_sim::function::policy::FunctionPolicy;

/// The steps that peaks are counted in.
pub const MINUTE: Span = Span::from_seconds(60);

/// Minutes that are asked for at most: a net's window, and time that was slept through.
const MINUTES_MAX: i64 = 60;

/// What was decided for one function.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The function's place.
    pub place: usize,
    /// The peak of the last whole minute.
    pub peak: Option<f64>,
    /// Containers that are set at present.
    pub before: Option<u32>,
    /// The pool that was decided.
    pub pool: u32,
    /// What is to be set: the pool, and what the keep-alive holds beyond it.
    pub set: u32,
}

/// A tick that waits for what its writes come to.
#[derive(Debug)]
pub struct Minute {
    /// When it was.
    pub at: Timestamp,
    seq: Seq,
    /// Every function.
    pub decided: Vec<Decided>,
    decisions: Vec<Decision>,
}

impl Minute {
    /// What is to be set, function by function; absent = as it is.
    #[must_use]
    pub fn pools(&self) -> Vec<Option<u32>> {
        let set = |d: &Decided| Some(d.set).filter(|set| d.before != Some(*set));
        self.decided.iter().map(set).collect()
    }
}

/// The engine and what it is fed with.
#[derive(Debug)]
pub struct Pools<L> {
    engine: Engine,
    arbiter: Admission,
    targets: Vec<TargetId>,
    /// Up to when minutes are known.
    known: Timestamp,
    /// Peaks of the last keep-alive, newest last, by function.
    peaks: Vec<VecDeque<(Timestamp, f64)>>,
    keep_alive: Span,
    /// `true` where the platform keeps idle containers by itself.
    keeps_idle: bool,
    /// What listens.
    pub listener: L,
}

impl<L: KeepListener> Pools<L> {
    /// Pools of functions with the memory of one container each, in bytes.
    ///
    /// Units: `warm_memory` in bytes, what all pools may hold together; `least` of containers, what a
    /// pool never goes below.
    ///
    /// # Errors
    /// Every problem of the policy's spec.
    pub fn new(
        policy: &FunctionPolicy,
        functions: &[(String, u64)],
        (warm_memory, least): (Option<u64>, u32),
        now: Timestamp,
        (seed, listener): (Seed, L),
    ) -> Result<Self> {
        let mut spec = policy.spec_of(functions, Span::from_seconds(1));
        for pool in spec.targets.iter_mut().filter_map(|t| t.pool.as_mut()) {
            pool.min = Replicas::new(least);
        }
        let engine = engine_of(spec, seed)
            .map_err(|problems| anyhow!("{}", SpecProblem::joined(&problems)))?;
        let bytes = |b: u64| i64::try_from(b).unwrap_or(i64::MAX).saturating_mul(1000);
        let budgets = Budgets {
            warm_memory: warm_memory.map(|b| Quantity::from_milli(bytes(b), Unit::Bytes)),
            ..Budgets::default()
        };
        let targets: Vec<_> = engine
            .spec()
            .targets()
            .iter()
            .map(|t| t.id.clone())
            .collect();
        let mut pools = Self {
            peaks: vec![VecDeque::new(); targets.len()],
            targets,
            engine,
            arbiter: Admission::new(budgets),
            known: whole_minute(now) - Span::from_nanos(MINUTE.nanos().saturating_mul(MINUTES_MAX)),
            keep_alive: Span::ZERO,
            keeps_idle: true,
            listener,
        };
        if let Some(bytes) = &policy.artifact {
            let artifact = pools.engine.store(bytes.clone());
            pools.feed(Input::Installed { artifact });
        }
        Ok(pools)
    }

    /// The same on a platform that removes idle containers at once: those that were busy within the
    /// keep-alive are held beyond the pool.
    #[must_use]
    pub fn holding(self, keep_alive: Span) -> Self {
        Self {
            keep_alive,
            keeps_idle: false,
            ..self
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn feed(&mut self, input: Input) -> Option<Tick> {
        self.listener.input(&input);
        self.engine.feed(input)
    }

    /// Reads what is new and decides.
    ///
    /// # Errors
    /// Where the provider does not tell; nothing is decided then.
    pub fn decide(
        &mut self,
        provider: &mut dyn Provider,
        now: Timestamp,
    ) -> Result<Option<Minute>> {
        let until = whole_minute(now);
        let oldest = until - Span::from_nanos(MINUTE.nanos().saturating_mul(MINUTES_MAX));
        let start = self.known.max(oldest);
        let count = (until - start).nanos() / MINUTE.nanos();
        let steps = Steps {
            start,
            step: MINUTE,
            count: usize::try_from(count).unwrap_or(0),
        };
        // Both before anything is fed: half a look is none.
        let seen = provider.look()?;
        let did = match steps.count {
            0 => Vec::new(),
            _ => provider.activity(&steps)?,
        };
        let values = self.values(&did, &steps);
        self.known = until;
        let targets = self.states(&seen);
        self.feed(Input::Samples(Samples {
            at: now,
            health: Health::default(),
            leading: true,
            targets,
            values,
        }));
        let Some(tick) = self.feed(Input::Tick { now }) else {
            return Ok(None);
        };
        for input in refit::answer(&mut self.engine, &tick) {
            self.feed(input);
        }
        let decisions = self.arbiter.admit(&[(self.engine.spec(), &tick)]);
        for (place, decision) in decisions.iter().enumerate() {
            if decision.to_write && decision.setting.pool != decision.current.pool {
                self.listener.changed(&tick, place, decision, &self.engine);
            }
        }
        let pairs = decisions.iter().zip(&seen).enumerate();
        let decided = pairs
            .map(|(place, (decision, seen))| self.decided(place, decision, seen))
            .collect();
        Ok(Some(Minute {
            at: now,
            seq: tick.seq,
            decided,
            decisions,
        }))
    }

    fn values(&mut self, did: &[Activity], steps: &Steps) -> Vec<Sample> {
        let mut values = Vec::new();
        // In the order of time, as an engine remembers.
        for index in 0..steps.count {
            let at = steps.end_of(index);
            for (place, activity) in did.iter().enumerate() {
                let value = activity.peaks.get(index).copied().flatten();
                let kept = &mut self.peaks[place];
                kept.extend(value.map(|v| (at, v)));
                while kept
                    .front()
                    .is_some_and(|(old, _)| at - *old > self.keep_alive.max(MINUTE))
                {
                    kept.pop_front();
                }
                values.push(Sample {
                    target: self.targets[place].clone(),
                    metric: Metric::BusyPeak,
                    at,
                    value,
                });
            }
        }
        values
    }

    fn states(&self, seen: &[FunctionSeen]) -> Vec<TargetState> {
        let pairs = self.targets.iter().zip(seen).zip(&self.peaks);
        let state = |((target, seen), peaks): ((&TargetId, &FunctionSeen), &VecDeque<_>)| {
            let last: Option<&(Timestamp, f64)> = peaks.back();
            // What is busy at this moment is told by neither platform: the peak of the last whole
            // minute stands for it, which is never less than what of it is still there.
            let busy = last.filter(|(at, _)| *at == self.known);
            TargetState {
                target: target.clone(),
                current: Setting {
                    pool: seen.pool.map(Replicas::new),
                    ..Setting::default()
                },
                status_replicas: Replicas::new(seen.ready.or(seen.pool).unwrap_or(0)),
                ready: Replicas::new(seen.ready.unwrap_or(0)),
                busy: busy.map(|(_, peak)| Replicas::saturating(peak.ceil() as i64)),
                ..TargetState::default()
            }
        };
        pairs.map(state).collect()
    }

    fn decided(&self, place: usize, decision: &Decision, seen: &FunctionSeen) -> Decided {
        let before = seen.pool;
        let pool = decision
            .setting
            .pool
            .map(Replicas::get)
            .or(before)
            .unwrap_or(0);
        let peaks = &self.peaks[place];
        let most = peaks.iter().map(|(_, peak)| peak.ceil() as u32).max();
        let peak = peaks
            .back()
            .filter(|(at, _)| *at == self.known)
            .map(|p| p.1);
        let present = before.unwrap_or(0);
        let held = match (self.keeps_idle, peak) {
            // What is not known is no reason to remove anything.
            (_, None) => present,
            (true, Some(_)) => pool,
            // Nothing is added for the keep-alive: only what is there is held.
            (false, Some(_)) => most.unwrap_or(0).min(present),
        };
        let set = match decision.to_write {
            true => pool.max(held),
            false => before.unwrap_or(pool),
        };
        Decided {
            place,
            peak,
            before,
            pool,
            set,
        }
    }

    /// What was written came to this.
    pub fn settle(&mut self, minute: &Minute, applied: bool) {
        let written = minute.pools();
        let pairs = minute.decisions.iter().zip(written);
        let done = pairs.filter(|(_, written)| written.is_some() && applied);
        let executed: Plan = done
            .map(|(d, set)| {
                let setting = Setting {
                    pool: set.map(Replicas::new),
                    ..d.setting.clone()
                };
                (d.target.clone(), setting)
            })
            .collect();
        if applied && executed.is_empty() {
            return;
        }
        let outcome = match applied {
            true => Outcome::Applied,
            false => Outcome::Failed,
        };
        self.feed(Input::Settled {
            seq: minute.seq,
            outcome,
            executed,
        });
    }
}

/// The begin of the minute that a time lies in.
fn whole_minute(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.nanos() - at.nanos().rem_euclid(MINUTE.nanos()))
}
