//! What the exact HPA says of a turn, metric by metric.

use anyhow::Result;
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::hpa::{self, MetricSpec, Rules};
use foresail_core::observe::TargetState;
use foresail_core::propose::plan::Resources;
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::{SpecProblem, ValidSpec};
use foresail_sim::driver::{Listener, Story};

use super::row::{Action, Simulated};

/// Hears what one engine saw and decided last, and counts what it wrote.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// What it saw.
    pub state: Option<TargetState>,
    /// Its last turn.
    pub tick: Option<Tick>,
    /// Writes so far.
    pub writes: u64,
}

impl Listener for Watch {
    fn input(&mut self, input: &Input) {
        if let Input::Samples(samples) = input {
            self.state = samples.targets.first().cloned();
        }
    }

    fn ticked(&mut self, tick: &Tick, _engine: &Engine) {
        self.tick = Some(tick.clone());
    }

    fn told(&mut self, story: &Story<'_>) {
        self.writes += u64::from(story.outcome.is_some());
    }
}

/// The HPA's rules, one metric at a time.
#[derive(Clone, Debug)]
pub struct Exact {
    cpu: Rules,
    memory: Rules,
    bounds: (u32, u32),
}

impl Exact {
    /// One metric at a time by the experiment's rules.
    ///
    /// # Errors
    /// Where the HPA is not valid.
    pub fn new(by: &super::rules::Rules) -> Result<Self> {
        let of = |place: usize| -> Result<Rules> {
            let mut spec = by.beside();
            let metrics: &mut Vec<MetricSpec> = &mut spec.targets[0].hpa.metrics;
            let one = metrics.swap_remove(place);
            *metrics = vec![one];
            let valid = ValidSpec::new(spec);
            let valid = valid.map_err(|p| anyhow::anyhow!("{}", SpecProblem::joined(&p)))?;
            Ok(valid.targets()[0].rules.clone())
        };
        Ok(Self {
            cpu: of(0)?,
            memory: of(1)?,
            bounds: (by.options.min, by.options.max),
        })
    }

    /// What the HPA that `watch` heard says; `None` where it could not read its metrics.
    #[must_use]
    pub fn answer(&self, watch: &Watch, now: Timestamp) -> Option<Simulated> {
        let (state, tick) = (watch.state.as_ref()?, watch.tick.as_ref()?);
        let target = tick.targets.first()?;
        let raw = target.pass.as_ref()?.replicas?;
        let whole = |n: i32| u32::try_from(n).ok();
        let one = |place: usize, rules: &Rules| {
            let readings = state.readings.get(place..=place)?;
            let requests = Resources::NONE;
            let told = hpa::proposal(rules, &state.observed(readings, &requests), now);
            Some((whole(told.replicas?)?, told.ratio_milli as f64 / 1000.0))
        };
        let (cpu, memory) = (one(0, &self.cpu), one(1, &self.memory));
        let current = state.current_replicas().get();
        let desired = target.decided.replicas.map_or(current, |r| r.get());
        Some(Simulated {
            desired,
            // Within the bounds, as the published column has it.
            raw: Some(whole(raw)?.clamp(self.bounds.0, self.bounds.1)),
            cpu: cpu.map(|c| c.0),
            memory: memory.map(|m| m.0),
            action: Action::of(current, desired),
            cpu_ratio: cpu.map(|c| c.1),
            memory_ratio: memory.map(|m| m.1),
        })
    }
}
