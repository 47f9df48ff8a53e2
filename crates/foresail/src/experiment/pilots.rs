//! The engines of one rehearsed run: who governs, and the HPA that is looked at; and what a turn tells.

use anyhow::Result;
use foresail_core::combine::Chosen;
use foresail_core::engine::{Engine, Tick};
use foresail_core::propose::Basis;
use foresail_core::propose::advice::Advice;
use foresail_core::propose::delta::Record;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Quantity;
use foresail_core::spec::{Spec, SpecProblem};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::fluid::{Asked, Decider, GroupPilot, SeenFluid};

use super::Mode;
use super::exact::{Exact, Watch};
use super::row::{AppliedBy, Simulated};
use super::rules::Rules;
use super::told::Stepped;
use crate::watch::past::live_through;

type Pilot = GroupPilot<'static, Watch>;

/// Who governs.
#[derive(Debug)]
enum Main {
    /// An engine.
    Engine(Box<Pilot>),
    /// The published simulator: what it said last and nobody has carried out.
    Naive(Option<u32>),
    /// A plan, replicas step by step.
    Plan(Vec<u32>),
}

/// Who governs, and beside it an HPA that writes nothing where the governing one is more than that.
#[derive(Debug)]
pub struct Pilots {
    main: Main,
    beside: Option<Pilot>,
    exact: Exact,
    /// Advice on its way, and when it comes.
    coming: Vec<(Timestamp, Advice)>,
    /// Writes of whoever is no engine.
    writes: u64,
}

/// What is known before a run begins.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// Demand, a point a minute, for whoever forecasts.
    pub demand: Vec<(Timestamp, f64)>,
    /// The oracle's plan.
    pub plan: Vec<u32>,
}

fn engine(spec: Spec, seed: Seed) -> Result<Engine> {
    engine_of(spec, seed).map_err(|problems| anyhow::anyhow!("{}", SpecProblem::joined(&problems)))
}

fn pilot(spec: Spec, seed: Seed) -> Result<Pilot> {
    Ok(GroupPilot::of_engine(engine(spec, seed)?, Watch::default()))
}

impl Pilots {
    /// The pilots of a mode.
    ///
    /// # Errors
    /// Where a spec is not valid.
    pub fn new(rules: &Rules, mode: Mode, gated: bool, seed: Seed, before: Before) -> Result<Self> {
        let main = match mode {
            Mode::NaiveHpa => Main::Naive(None),
            Mode::Oracle => Main::Plan(before.plan),
            _ => {
                let mut engine = engine(rules.spec(mode, gated), seed)?;
                live_through(&mut engine, &before.demand);
                let pilot = GroupPilot::of_engine(engine, Watch::default());
                Main::Engine(Box::new(pilot))
            }
        };
        let beside = match mode {
            Mode::HpaOnly => None,
            _ => Some(pilot(rules.beside(), seed)?),
        };
        Ok(Self {
            main,
            beside,
            exact: Exact::new(rules)?,
            coming: Vec::new(),
            writes: 0,
        })
    }

    /// Lets the HPA look. Where it governs, what it asks for is what is asked for.
    pub fn hpa(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        match (&mut self.beside, &mut self.main) {
            (Some(beside), _) => {
                // In the shadow it asks for nothing.
                let _ = beside.decide(seen);
                None
            }
            (None, Main::Engine(main)) => main.decide(seen),
            (None, _) => None,
        }
    }

    /// What the exact HPA says of what it saw last.
    pub fn exact(&mut self, now: Timestamp) -> Option<Simulated> {
        let hpa = match (&mut self.beside, &mut self.main) {
            (Some(beside), _) => beside,
            (None, Main::Engine(main)) => &mut **main,
            (None, _) => return None,
        };
        self.exact.answer(hpa.listener(), now)
    }

    /// Takes in what the published simulator says, which governs only where it is the one who does.
    pub fn naive(&mut self, says: Option<Simulated>) {
        if let Main::Naive(wanted) = &mut self.main {
            *wanted = says.map(|s| s.desired);
        }
    }

    /// Sends advice on its way; only an engine that asks for advice gets any.
    pub fn send(&mut self, arrives: Timestamp, advice: Advice) {
        if self.beside.is_some() {
            self.coming.push((arrives, advice));
        }
    }

    /// Lets whoever governs decide, an engine on the advice that has come; where the HPA governs it has
    /// decided already.
    pub fn govern(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        self.beside.as_ref()?;
        let (come, coming) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition::<Vec<_>, _>(|(arrives, _)| *arrives <= seen.now);
        self.coming = coming;
        let wanted = match &mut self.main {
            Main::Engine(main) => {
                for (_, advice) in come {
                    main.advise(advice);
                }
                return main.decide(seen);
            }
            Main::Naive(wanted) => wanted.take(),
            Main::Plan(plan) => plan.get(seen.step).copied(),
        };
        let wanted = wanted.filter(|n| *n != seen.current)?;
        self.writes += 1;
        Some(Asked::replicas(wanted))
    }

    /// Writes of whoever governs so far.
    pub fn writes(&mut self) -> u64 {
        match &mut self.main {
            Main::Engine(main) => main.listener().writes,
            _ => self.writes,
        }
    }

    /// The last turn of the governing engine.
    pub fn last(&mut self) -> Option<&Tick> {
        match &mut self.main {
            Main::Engine(main) => main.listener().tick.as_ref(),
            _ => None,
        }
    }
}

/// Who decided a turn of a mode; `wrote` tells whether it changed something.
#[must_use]
pub fn applied_by(mode: Mode, turn: Option<&Tick>, wrote: bool) -> AppliedBy {
    let chosen = turn.and_then(|t| t.targets.first()?.wanted.chosen);
    match (mode, chosen) {
        (Mode::Comparison, _) => AppliedBy::ObservationOnly,
        (Mode::NaiveHpa, _) => AppliedBy::NaiveHpa,
        (Mode::Oracle, _) => AppliedBy::Oracle,
        (_, None) => AppliedBy::None,
        (Mode::HpaOnly, Some(_)) => AppliedBy::Hpa,
        (Mode::Predictive, Some(Chosen::Proposer(_))) => AppliedBy::Predictive,
        (Mode::Predictive, Some(Chosen::Floor)) => AppliedBy::Hpa,
        (Mode::AiScaler, Some(Chosen::Proposer(0))) if wrote => AppliedBy::Ai,
        (Mode::AiScaler, Some(Chosen::Proposer(0))) => AppliedBy::AiNoChange,
        (Mode::AiScaler, Some(_)) => AppliedBy::Hpa,
    }
}

/// Guards that stepped in in a turn of a mode.
#[must_use]
pub fn guards(mode: Mode, turn: Option<&Tick>) -> Vec<Stepped> {
    let of_mode = matches!(mode, Mode::AiScaler | Mode::Comparison);
    let Some(target) = turn.and_then(|t| t.targets.first()) else {
        return Vec::new();
    };
    let of_adviser = of_mode && target.wanted.chosen == Some(Chosen::Proposer(0));
    let whole = |q: Quantity| q.milli() / 1000;
    let told = |l: &foresail_core::guard::Limit| Stepped {
        by: l.by.to_string(),
        replicas: (whole(l.from), whole(l.to)),
        why: l.why.to_string(),
        of_adviser,
    };
    target.limits.iter().map(told).collect()
}

/// The adviser's record, as a turn had it.
#[must_use]
pub fn record(turn: Option<&Tick>) -> Option<Record> {
    let basis = &turn?.judged.first()?.proposal.basis;
    let Basis::Deltas(deltas) = basis else {
        return None;
    };
    let told = deltas.targets.first()?.1.as_ref().ok()?;
    Some(told.record)
}
