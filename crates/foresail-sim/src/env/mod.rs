//! The simulator as the environment of a learner: fluid mode, the engine within it, a step a minute.
//!
//! The engine ticks at the item's own sync period (15 s); a learner's wish comes in as advice once a
//! step and holds for it. Floor, guards and writes have their say, and what was executed is given
//! back. Without a wish the heuristic of the spec (HPA and VPA) decides. The world is one long flight:
//! an episode is a stretch of it, so that nothing is forgotten between two.

mod worlds;

use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::ValidTarget;
use foresail_models::propose::aware::NAME;
use foresail_models::registry::engine_of;
use foresail_models::rl::axes::{Axes, MOVES, Move, Moves};
use foresail_models::rl::env::{Env, EnvStep, Facts};
use foresail_models::rl::reward::{Reward, StepMeasured, preserved};
use foresail_models::rl::state;
use foresail_models::rng::Seed;

pub use worlds::{World, Worlds};

use crate::cluster::Size;
use crate::config::Pipeline;
use crate::driver::Deaf;
use crate::experiment::run::spec_error;
use crate::experiment::{ExperimentError, Item, Policy};
use crate::fluid::{Fluid, FluidMeasures, GroupPilot, Model};
use crate::metrics::measure::Interval;

/// What a step of the environment is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRules {
    /// How long a step lasts: a whole number of the item's sync periods.
    pub step: Span,
    /// What it is worth.
    pub reward: Reward,
}

impl Default for StepRules {
    fn default() -> Self {
        Self {
            step: Span::from_seconds(60),
            reward: Reward::default(),
        }
    }
}

/// One item as an environment.
#[derive(Debug)]
pub struct FluidEnv<'a> {
    model: Model<'a>,
    pilot: GroupPilot<'a, Deaf>,
    target: ValidTarget,
    id: TargetId,
    axes: Axes,
    rules: StepRules,
    promised: f64,
    ticks: i64,
    before: Moves,
    facts: Facts,
    backlog: f64,
    overruled: u64,
    state: Option<Vec<f32>>,
}

impl<'a> FluidEnv<'a> {
    /// The environment of an item under a policy whose proposers are `aware` and the heuristic, begun
    /// with the policy's replicas; it stands where the first step may begin.
    ///
    /// `pipeline` is what the policy sees; it must outlive the environment as the item does.
    ///
    /// # Errors
    /// [`ExperimentError`] where a knob or the spec is not valid.
    pub fn new(
        item: &'a Item,
        policy: &Policy,
        pipeline: &'a Pipeline,
        rules: StepRules,
        seed: Seed,
    ) -> Result<Self, ExperimentError> {
        let engine = engine_of(policy.spec.clone(), seed)
            .map_err(|problems| spec_error(&policy.name, &problems))?;
        let target = engine.spec().targets()[0].clone();
        let fluid = Fluid {
            backlog: true,
            chance: Some(seed),
        };
        let cluster = &item.setup.cluster;
        let mut model = Model::checked(cluster, pipeline, &item.workload, fluid)?;
        model.begin_with(policy.initial);
        let axes = Axes::of(&target);
        let ticks = (rules.step.nanos() / pipeline.sync.nanos()).max(1);
        let mut env = Self {
            model,
            pilot: GroupPilot::new(engine, true, Deaf, None),
            id: target.id.clone(),
            before: vec![Move::Hold; axes.len()],
            axes,
            target,
            rules,
            promised: cluster.slo.share,
            ticks,
            facts: Facts::default(),
            backlog: 0.0,
            overruled: 0,
            state: None,
        };
        // Until there is something to see the heuristic acts.
        env.model.advance();
        env.see();
        Ok(env)
    }

    /// What is asked for at present.
    #[must_use]
    pub fn setting(&self) -> Setting {
        let (replicas, size) = self.model.asked();
        setting(replicas, size)
    }

    /// What happened so far.
    #[must_use]
    pub fn so_far(&self) -> Facts {
        let mut facts = self.model.so_far();
        facts.overruled = self.overruled;
        facts
    }

    /// What the whole flight was worth.
    #[must_use]
    pub fn finish(self) -> FluidMeasures {
        self.model.finish()
    }

    fn see(&mut self) {
        let seen = self.model.look(true);
        let now = seen.now;
        self.pilot.see(&seen);
        let engine = self.pilot.engine();
        let view = engine.history().view(engine.spec(), now);
        self.state = state::observe(&view, 0, &self.axes, &self.before, self.promised);
    }

    fn advise(&mut self, wish: Setting) {
        let now = self.model.time();
        let lasts = Span::from_nanos(self.rules.step.nanos() - 1);
        self.pilot.advise(Advice {
            by: NAME.to_owned(),
            at: now,
            until: now + lasts,
            says: Says::Plan(vec![(self.id.clone(), wish)]),
            confidence_percent: None,
            text: String::new(),
        });
    }

    /// Ticks of one step; the first on what was seen already.
    fn fly(&mut self) {
        for tick in 0..self.ticks {
            if self.model.begin_step().is_none() {
                break;
            }
            if tick > 0 {
                let seen = self.model.look(true);
                self.pilot.see(&seen);
            }
            let asked = self.pilot.tick(self.model.asked(), Interval::default());
            self.model.act(asked);
            self.model.advance();
        }
    }

    fn measured(&self, happened: &Facts) -> StepMeasured {
        let share = |(asked, used): (f64, f64)| if asked > 0.0 { used / asked } else { 0.0 };
        let late = if happened.requests > 0.0 {
            happened.violations / happened.requests
        } else {
            0.0
        };
        let of = |axis: &foresail_core::propose::plan::Axis| match axis.to_string().as_str() {
            "perPod.cpu" => Some(share(happened.cores)),
            "perPod.memory" => Some(share(happened.gib)),
            _ => None,
        };
        let grown = self.model.backlog() - self.backlog;
        StepMeasured {
            preserved: preserved(late, self.promised),
            used: self.axes.iter().filter_map(of).collect(),
            lag_growth: if happened.requests > 0.0 {
                grown / happened.requests
            } else {
                grown
            },
        }
    }

    fn is_legal(&self, moves: &[Move]) -> bool {
        let legal = Env::legal(self);
        let place = |(axis, one): (usize, &Move)| {
            let of_move = Move::ALL.iter().position(|m| m == one)?;
            legal.get(axis * MOVES + of_move).copied()
        };
        moves.iter().enumerate().all(|m| place(m) == Some(true))
    }
}

fn setting(replicas: u32, size: Size) -> Setting {
    let mut setting = Setting::replicas(Replicas::new(replicas));
    let cpu = Quantity::from_milli(size.cpu, Unit::Count);
    setting.per_pod.set("cpu", cpu);
    let memory = Quantity::from_milli(size.memory.saturating_mul(1000), Unit::Bytes);
    setting.per_pod.set("memory", memory);
    setting
}

impl Env for FluidEnv<'_> {
    fn axes(&self) -> &Axes {
        &self.axes
    }

    fn state(&self) -> Option<Vec<f32>> {
        self.state.clone()
    }

    fn legal(&self) -> Vec<bool> {
        self.axes.legal(&self.target, &self.setting())
    }

    fn step(&mut self, moves: Option<&[Move]>) -> EnvStep {
        let from = self.setting();
        let legal = moves.is_none_or(|m| self.is_legal(m));
        if let Some(moves) = moves {
            let wish = match legal {
                true => self.axes.wish(&self.target, &from, moves),
                false => from.clone(),
            };
            self.advise(wish);
        }
        self.facts = self.so_far();
        self.backlog = self.model.backlog();
        let before = std::mem::take(&mut self.before);
        self.fly();
        let to = self.setting();
        let executed = self.axes.executed(&from, &to);
        if moves.is_some_and(|m| m != executed) {
            self.overruled += 1;
        }
        let happened = self.so_far().since(&self.facts);
        let measured = self.measured(&happened);
        let reward = if legal {
            self.rules.reward.of(&measured, &executed, &before)
        } else {
            self.rules.reward.illegal
        };
        self.before.clone_from(&executed);
        self.state = None;
        if self.model.begin_step().is_some() {
            self.see();
        }
        EnvStep {
            executed,
            reward,
            state: self.state.clone(),
            facts: happened,
        }
    }

    fn is_over(&self) -> bool {
        self.model.begin_step().is_none()
    }
}
