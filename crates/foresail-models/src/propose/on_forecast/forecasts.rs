//! The forecasts of a scope: one memory per target, kept by its name.

use foresail_core::history::TargetHistory;
use foresail_core::propose::plan::TargetId;
use foresail_core::propose::refit::RefitRequest;
use foresail_core::propose::{Absence, Outlook, Reactive, RestoreError};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{ValidSpec, ValidTarget};

use super::ahead::{Ahead, Memory, MemoryState, Reach};
use super::{Settings, Sized};
use crate::propose::one_per_target;

/// What is known of one target at a tick.
#[derive(Debug)]
pub(crate) struct Known {
    /// Demand ahead, or why nothing is told of it.
    pub(crate) ahead: Result<Ahead, Absence>,
    /// Demand that one replica serves, given or learnt, in requests per second.
    pub(crate) capacity: Option<f64>,
    /// Time from asking for a replica now until one asked for at the next decision serves.
    pub(crate) lead: Span,
}

/// The forecasts of every target of a scope.
#[derive(Debug)]
pub(crate) struct Forecasts {
    settings: Settings,
    memories: Vec<Memory>,
    refits: Vec<RefitRequest>,
}

impl Forecasts {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            memories: Vec::new(),
            refits: Vec::new(),
        }
    }

    /// One memory per target, in the order of the spec; those of other targets are forgotten.
    pub(crate) fn fit_to(&mut self, spec: &ValidSpec) {
        let new = |id: &TargetId| Memory::new(id.clone(), &self.settings);
        one_per_target(&mut self.memories, spec, |m| &m.target, new);
    }

    /// Takes in what is new of the target at `place`, asks for the refit that is due, and tells what
    /// is known of it. [`Self::fit_to`] must have been called with its spec.
    pub(crate) fn look(
        &mut self,
        place: usize,
        target: &ValidTarget,
        history: &TargetHistory,
        reactive: Reactive,
        (now, interval): (Timestamp, Span),
    ) -> Known {
        let memory = &mut self.memories[place];
        if let Some(state) = &history.state {
            memory.learnt.look(state, now);
        }
        let startup = target.startup.unwrap_or_else(|| memory.learnt.startup());
        let startup = self.settings.horizon.unwrap_or(startup);
        let reach = Reach { startup, interval };
        let demand = memory.absorb(&self.settings, history, now, reach);
        if let (Some(state), Some(demand)) = (&history.state, demand) {
            memory.learnt.serve(state, reactive, demand);
        }
        self.refits
            .extend(memory.refit(&self.settings, history, now));
        Known {
            ahead: memory.ahead(&self.settings, now, reach),
            capacity: target.capacity.or_else(|| memory.learnt.capacity()),
            lead: startup + interval,
        }
    }

    /// What is ahead as the gate judges it and an explanation tells it.
    pub(crate) fn outlook(
        &self,
        ahead: &Ahead,
        sized: Sized,
        capacity: f64,
        now: Timestamp,
    ) -> Outlook {
        let level = self.settings.levels[self.settings.sizing];
        Outlook {
            forecaster: ahead.forecaster,
            q10: ahead.later.q10,
            q50: ahead.later.q50,
            q90: ahead.later.q90,
            q50_now: ahead.said_of_now.unwrap_or(ahead.later.q50),
            observed: ahead.said_of_now.map(|_| ahead.last),
            made_at: now,
            horizon: ahead.horizon,
            coverage_percent: ahead.coverage_percent,
            level_percent: (level * 100.0).round() as u8,
            demand: sized.demand,
            capacity,
            fitted_at: ahead.fitted_at,
            relearnt_at: ahead.relearnt_at,
        }
    }

    /// Takes in an artifact; returns `true` where a target had asked for it.
    pub(crate) fn install(&mut self, artifact: &[u8]) -> bool {
        let mut taken = false;
        for memory in &mut self.memories {
            taken |= memory.install(artifact);
        }
        taken
    }

    /// The refits that were found due; each is told once.
    pub(crate) fn refits(&mut self) -> Vec<RefitRequest> {
        std::mem::take(&mut self.refits)
    }

    /// The state as bytes; [`Self::read`] takes them back.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.save()).unwrap_or_default()
    }

    /// Takes back what [`Self::bytes`] gave to the proposer of this name.
    pub(crate) fn read(&mut self, state: &[u8], proposer: &str) -> Result<(), RestoreError> {
        let read: Result<Vec<MemoryState>, _> = serde_json::from_slice(state);
        let restored = read
            .map_err(|e| e.to_string())
            .and_then(|states| self.restore(states));
        restored.map_err(|why| RestoreError {
            proposer: proposer.to_owned(),
            why,
        })
    }

    pub(crate) fn save(&self) -> Vec<MemoryState> {
        let states = self.memories.iter().map(|m| m.save(&self.settings));
        states.collect()
    }

    /// Takes back what [`Self::save`] gave; the text says what is wrong with it.
    pub(crate) fn restore(&mut self, states: Vec<MemoryState>) -> Result<(), String> {
        let memories = states
            .into_iter()
            .map(|state| Memory::restore(state, &self.settings));
        self.memories = memories.collect::<Result<_, _>>()?;
        self.refits.clear();
        Ok(())
    }
}
