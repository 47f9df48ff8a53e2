//! The engines of a live run: who governs, and the exact HPA beside it.

use anyhow::Result;
use foresail_core::act::Outcome;
use foresail_core::admit::{Admission, Decision, admit_one};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::advice::Advice;
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::{Spec, SpecProblem};
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::driver::Listener;

use super::super::Mode;
use super::super::exact::{Exact, Watch};
use super::super::row::Simulated;
use super::super::rules::Rules;
use crate::watch::past;

/// One engine and what it saw and decided last.
#[derive(Debug)]
struct Flown {
    engine: Engine,
    arbiter: Admission,
    watch: Watch,
}

impl Flown {
    fn new(spec: Spec) -> Result<Self> {
        // Nothing in these specs draws a number.
        let engine = engine_of(spec, Seed(0));
        let engine = engine.map_err(|p| anyhow::anyhow!("{}", SpecProblem::joined(&p)))?;
        Ok(Self {
            engine,
            arbiter: Admission::default(),
            watch: Watch::default(),
        })
    }

    fn feed(&mut self, input: Input) -> Option<Tick> {
        self.watch.input(&input);
        self.engine.feed(input)
    }

    fn decide(
        &mut self,
        state: TargetState,
        demand: &[(Timestamp, f64)],
        (now, health): (Timestamp, Health),
    ) -> Option<Decision> {
        let values = past::samples(&state.target, demand);
        self.feed(Input::Samples(Samples {
            at: now,
            health,
            leading: true,
            targets: vec![state],
            values,
        }));
        let tick = self.feed(Input::Tick { now })?;
        self.watch.ticked(&tick, &self.engine);
        for installed in refit::answer(&mut self.engine, &tick) {
            self.feed(installed);
        }
        admit_one(&mut self.arbiter, &self.engine, &tick)
            .into_iter()
            .next()
    }
}

/// The engines of a mode.
#[derive(Debug)]
pub struct Engines {
    main: Flown,
    beside: Option<Flown>,
    exact: Exact,
}

impl Engines {
    /// The engines of a mode by its rules; forecasters live through the demand before the run.
    ///
    /// # Errors
    /// Where a spec is not valid.
    pub fn new(
        rules: &Rules,
        mode: Mode,
        gated: bool,
        before: &[(Timestamp, f64)],
    ) -> Result<Self> {
        // Where the HPA governs it is the cluster's own, and ours only looks on.
        let (main, beside) = match mode {
            Mode::HpaOnly => (rules.beside(), None),
            _ => (rules.spec(mode, gated), Some(Flown::new(rules.beside())?)),
        };
        let mut main = Flown::new(main)?;
        past::live_through(&mut main.engine, before);
        Ok(Self {
            main,
            beside,
            exact: Exact::new(rules)?,
        })
    }

    /// Lets the exact HPA look, and gives what it says.
    pub fn hpa(&mut self, state: &TargetState, now: Timestamp) -> Option<Simulated> {
        let hpa = self.beside.as_mut().unwrap_or(&mut self.main);
        // In the shadow its decision is never written.
        let _ = hpa.decide(state.clone(), &[], (now, Health::default()));
        self.exact.answer(&hpa.watch, now)
    }

    /// Lets the governing engine decide on the advice and the demand that have come; where the HPA
    /// governs it has looked already.
    pub fn govern(
        &mut self,
        state: TargetState,
        (advice, demand): (Vec<Advice>, &[(Timestamp, f64)]),
        (now, health): (Timestamp, Health),
    ) -> Option<Decision> {
        self.beside.as_ref()?;
        for one in advice {
            self.main.feed(Input::Advice(one));
        }
        self.main.decide(state, demand, (now, health))
    }

    /// Tells the governing engine what its decision came to.
    pub fn settle(&mut self, decision: &Decision, outcome: Outcome) {
        let applied = outcome == Outcome::Applied;
        let executed = (decision.target.clone(), decision.setting.clone());
        self.main.feed(Input::Settled {
            seq: decision.seq,
            outcome,
            executed: applied.then_some(executed).into_iter().collect(),
        });
    }

    /// The governing engine's last turn.
    #[must_use]
    pub const fn last(&self) -> Option<&Tick> {
        self.main.watch.tick.as_ref()
    }
}
