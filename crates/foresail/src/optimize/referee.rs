//! The engine that every trial passes: one scope whose targets are the stages.
//!
//! A trial is advice like any other. The gate holds it against the spend cap and the SLO, the
//! guards against a pause; what is decided is what is applied, and all of it is in the flight
//! record. Time is what the measurements took: nothing here reads a clock.

use anyhow::{Result, anyhow};
use foresail_core::act::Outcome;
use foresail_core::combine::gate::Gate;
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::hpa::{HpaSpec, MetricSpec};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::advice::{Advice, Says, Trial};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{Floor, ProposerSpec, Spec, SpecProblem, TargetSpec};
use foresail_models::propose::trial::NAME;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

use crate::record::Recorder;

/// How long advice is good: no measurement takes as long.
const GOOD_FOR: Span = Span::from_seconds(366 * 86_400);

/// Utilization that the stages' floor would be asked for; it is off, as sizes are searched and not
/// replicas.
const PERCENT: i32 = 80;

/// What is decided of a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// It may be applied.
    Go,
    /// The gate dropped it.
    Dropped(Gate),
    /// A guard holds it; the text says why.
    Held(String),
}

/// Feeds one engine and tells what it decides.
#[derive(Debug)]
pub struct Referee {
    engine: Engine,
    recorder: Option<Recorder>,
    now: Timestamp,
    last: Option<Tick>,
}

/// The scope of a search: the stages, no replicas, a cap on what is spent.
#[must_use]
pub fn spec(targets: &[TargetId], spend_milli_max: Option<u64>) -> Spec {
    let hpa = || HpaSpec {
        min_replicas: Some(1),
        max_replicas: 1,
        metrics: vec![MetricSpec::cpu_utilization(PERCENT)],
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(TargetId::default(), hpa());
    let target = |id: &TargetId| TargetSpec {
        id: id.clone(),
        hpa: hpa(),
        capacity: None,
        pool: None,
        ..TargetSpec::default()
    };
    spec.targets = targets.iter().map(target).collect();
    spec.proposers = vec![ProposerSpec::named(NAME)];
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    spec.combine.gate.spend_milli_max = spend_milli_max;
    spec
}

impl Referee {
    /// A referee of this scope; `record` begins a flight record of its engine.
    ///
    /// # Errors
    /// Where the scope is not valid, or the record cannot be begun.
    pub fn new(
        spec: Spec,
        seed: Seed,
        record: impl FnOnce(&Engine) -> Result<Option<Recorder>>,
    ) -> Result<Self> {
        let told = |problems: Vec<SpecProblem>| anyhow!("{}", SpecProblem::joined(&problems));
        let engine = engine_of(spec, seed).map_err(told)?;
        Ok(Self {
            recorder: record(&engine)?,
            engine,
            now: Timestamp::from_seconds(0),
            last: None,
        })
    }

    /// So many seconds went by.
    pub fn pass(&mut self, seconds: f64) {
        if let Some(span) = Span::from_seconds_f64(seconds) {
            self.now = self.now + span;
        }
    }

    fn feed(&mut self, input: Input) -> Option<Tick> {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(&input);
        }
        let tick = self.engine.feed(input)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.tick(&tick, self.engine.spec());
        }
        Some(tick)
    }

    fn advise(&mut self, says: Says, text: &str) {
        self.feed(Input::Advice(Advice {
            by: NAME.to_owned(),
            at: self.now,
            until: self.now + GOOD_FOR,
            says,
            confidence_percent: None,
            text: text.to_owned(),
        }));
    }

    fn look(&mut self, current: &Plan, slo_broken: bool) {
        let state = |(target, setting): &(TargetId, Setting)| TargetState {
            target: target.clone(),
            current: setting.clone(),
            slo_broken,
            ..TargetState::default()
        };
        self.feed(Input::Samples(Samples {
            at: self.now,
            health: Health::default(),
            leading: true,
            targets: current.iter().map(state).collect(),
            values: Vec::new(),
        }));
    }

    fn decide(&mut self, wished: Option<&Plan>) -> Ruling {
        let Some(tick) = self.feed(Input::Tick { now: self.now }) else {
            return Ruling::Held("nothing was decided".to_owned());
        };
        let ruling = ruling(&tick, wished);
        self.last = Some(tick);
        ruling
    }

    /// May this trial be run, where `current` is in force?
    pub fn trial(&mut self, trial: &Trial, current: &Plan) -> Ruling {
        self.advise(Says::Trial(trial.clone()), "");
        self.look(current, false);
        self.decide(Some(&trial.plan))
    }

    /// May this plan be put in force, where `current` is?
    pub fn settle_on(&mut self, plan: &Plan, current: &Plan, why: &str) -> Ruling {
        self.advise(Says::Plan(plan.clone()), why);
        self.look(current, false);
        self.decide(Some(plan))
    }

    /// What was decided last was applied, or was not.
    pub fn settled(&mut self, plan: &Plan, applied: bool) {
        let Some(tick) = self.last.take() else { return };
        let (outcome, executed) = if applied {
            (Outcome::Applied, plan.clone())
        } else {
            (Outcome::Failed, Plan::new())
        };
        let seq = tick.seq;
        self.feed(Input::Settled {
            seq,
            outcome,
            executed,
        });
    }

    /// The promise broke by far under what is in force: the engine drops the trial.
    pub fn broke(&mut self, current: &Plan) {
        self.look(current, true);
        self.decide(None);
    }

    /// A trial is over.
    pub fn end(&mut self, number: u64) {
        self.advise(Says::TrialEnded(number), "");
    }

    /// Ends the flight record.
    ///
    /// # Errors
    /// The first thing that could not be written.
    pub fn finish(self) -> Result<()> {
        self.recorder.map_or(Ok(()), Recorder::finish)
    }
}

/// What a tick says of a wish: only what is decided as it was wished may be run.
fn ruling(tick: &Tick, wished: Option<&Plan>) -> Ruling {
    if let Some(gate) = tick.judged.iter().find_map(|j| j.gate) {
        return Ruling::Dropped(gate);
    }
    let limits = tick.targets.iter().flat_map(|t| &t.limits);
    let held: Vec<String> = limits
        .map(|l| format!("{}: {} {}→{} by {}", l.target, l.axis, l.from, l.to, l.by))
        .collect();
    let pairs = wished.into_iter().flatten().zip(&tick.targets);
    let differs = pairs.filter(|((_, want), got)| want.per_pod != got.decided.per_pod);
    if differs.count() > 0 {
        return Ruling::Held(held.join("; "));
    }
    Ruling::Go
}
