//! Settings of an agent: forms of its nets, rates, memory, noise; checked before anything is made.

use serde::{Deserialize, Serialize};

use crate::mlp::{Head, Join, Shape};

/// The most numbers of a replay memory, 512 MiB in single precision.
pub const NUMBERS_MAX: usize = 128 << 20;

/// The most rows of a layer, and hidden layers of a net.
const WIDTH_MAX: usize = 4096;
const LAYERS_MAX: usize = 16;

/// Noise that returns to its mean (Ornstein and Uhlenbeck), a step of it for each action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ou {
    /// Where it returns to.
    pub mu: f64,
    /// How far it is pushed, per root of a unit of time.
    pub sigma: f64,
    /// How fast it returns, per unit of time.
    pub theta: f64,
    /// Units of time of a step.
    pub dt: f64,
}

/// What an agent is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Numbers of a state.
    pub state: usize,
    /// Numbers that stand beside the state, the same in a whole batch; 0 = none.
    pub context: usize,
    /// Numbers of an action.
    pub actions: usize,
    /// Hidden layers of the actor.
    pub actor_hidden: Vec<usize>,
    /// Hidden layers of the critic.
    pub critic_hidden: Vec<usize>,
    /// Layer of the critic that reads the action; 0 = the first.
    pub action_joins: usize,
    /// Whether the state and each ReLU are normalised by the batch, the critic up to its action.
    pub batch_norm: bool,
    /// What stands on the actor.
    pub head: Head,
    /// First weights of the last layers are uniform in ± this.
    pub last_weights: f64,
    /// Learning rate of the actor.
    pub actor_rate: f64,
    /// Learning rate of the critic.
    pub critic_rate: f64,
    /// What a reward of the next step is worth today, 0 to below 1.
    pub discount: f64,
    /// Share of the way to the learnt nets that the targets go after each step, above 0 to 1.
    pub tau: f64,
    /// Transitions that are kept.
    pub buffer: usize,
    /// Transitions of a step of learning.
    pub batch: usize,
    /// Transitions that must be there before the first.
    pub warm_up: usize,
    /// Noise of exploration.
    pub noise: Ou,
    /// Its scale at the beginning.
    pub epsilon: f64,
    /// What each step of learning takes off that scale; it ends at 0.
    pub epsilon_decay: f64,
    /// The most that the norm of a net's gradients may be.
    pub gradient_clip: Option<f64>,
    /// Steps of learning from one copy of good weights to the next.
    pub keep_every: u64,
}

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting {field} of the agent is {found}: {mend}")]
pub struct SettingsError {
    /// Its name.
    pub field: &'static str,
    /// What was given.
    pub found: String,
    /// What it must be.
    pub mend: &'static str,
}

impl Settings {
    /// The base learner of FIRM as published: 40-40, normalised, discount 0.9.
    ///
    /// Source: Qiu et al., OSDI 2020, and its code. The rows of `context` are not normalised here, as
    /// in a batch they are all the same.
    #[must_use]
    pub fn firm(state: usize, context: usize, actions: usize) -> Self {
        Self {
            state,
            context,
            actions,
            actor_hidden: vec![40, 40],
            critic_hidden: vec![40, 40],
            action_joins: 1,
            batch_norm: true,
            head: Head::Softmax { group: actions },
            last_weights: 0.003,
            actor_rate: 3e-4,
            critic_rate: 3e-3,
            discount: 0.9,
            tau: 1e-3,
            buffer: 100_000,
            batch: 64,
            warm_up: 70,
            noise: Ou {
                mu: 0.0,
                sigma: 0.2,
                theta: 0.15,
                dt: 0.01,
            },
            epsilon: 1.0,
            epsilon_decay: 1e-6,
            gradient_clip: None,
            keep_every: 500,
        }
    }

    /// The learner of AWARE's paper: discount 0.99, tau 3e-3, a buffer of a million; 64-64, not normalised.
    ///
    /// Source: Qiu et al., ATC 2023, table 2; the widths are those of its published code.
    #[must_use]
    pub fn aware(state: usize, context: usize, actions: usize) -> Self {
        Self {
            actor_hidden: vec![64, 64],
            critic_hidden: vec![64, 64],
            action_joins: 0,
            batch_norm: false,
            discount: 0.99,
            tau: 3e-3,
            buffer: 1_000_000,
            warm_up: 64,
            ..Self::firm(state, context, actions)
        }
    }

    /// The actor's form.
    #[must_use]
    pub fn actor(&self) -> Shape {
        Shape {
            input: self.state,
            beside: self.context,
            hidden: self.actor_hidden.clone(),
            output: self.actions,
            join: None,
            batch_norm: self.batch_norm,
        }
    }

    /// The critic's form.
    #[must_use]
    pub fn critic(&self) -> Shape {
        let join = Join {
            layer: self.action_joins,
            width: self.actions,
        };
        Shape {
            input: self.state,
            beside: self.context,
            hidden: self.critic_hidden.clone(),
            output: 1,
            join: Some(join),
            batch_norm: self.batch_norm,
        }
    }

    /// Numbers of a transition: state, action, next state, reward, and whether it was the last.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.state
            .saturating_mul(2)
            .saturating_add(self.actions)
            .saturating_add(2)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`SettingsError`] names the first that an agent cannot have.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.check_shapes()?;
        self.check_memory()?;
        self.check_numbers()
    }

    fn check_shapes(&self) -> Result<(), SettingsError> {
        let width = |n: usize| (1..=WIDTH_MAX).contains(&n);
        let hidden = |h: &[usize]| h.len() <= LAYERS_MAX && h.iter().all(|n| width(*n));
        let mend = "give 1 to 4096";
        let layers = "give at most 16 widths of 1 to 4096";
        need(width(self.state), "state", &self.state, mend)?;
        need(width(self.actions), "actions", &self.actions, mend)?;
        let context = self.context <= WIDTH_MAX;
        need(context, "context", &self.context, "give 0 to 4096")?;
        let (actor, critic) = (&self.actor_hidden, &self.critic_hidden);
        need(hidden(actor), "actor_hidden", &show(actor), layers)?;
        need(hidden(critic), "critic_hidden", &show(critic), layers)?;
        need(
            self.action_joins <= critic.len(),
            "action_joins",
            &self.action_joins,
            "give the number of a layer of the critic, from 0",
        )?;
        if let Head::Softmax { group } = self.head {
            need(
                group > 0 && self.actions.is_multiple_of(group),
                "head",
                &format!("softmax of {group}"),
                "give groups into which the actions can be divided",
            )?;
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<(), SettingsError> {
        let numbers = self.buffer.saturating_mul(self.numbers());
        need(
            self.buffer > 0 && numbers <= NUMBERS_MAX,
            "buffer",
            &self.buffer,
            "give at least 1 and at most 134217728 numbers in all, a transition having two states, an action and 2",
        )?;
        let least = if self.batch_norm { 2 } else { 1 };
        need(
            (least..=4096).contains(&self.batch),
            "batch",
            &self.batch,
            "give 1 to 4096, and at least 2 where the batch normalises",
        )?;
        need(
            self.warm_up <= self.buffer,
            "warm_up",
            &self.warm_up,
            "give no more than the buffer holds",
        )?;
        need(self.keep_every > 0, "keep_every", &0, "give at least 1")
    }

    fn check_numbers(&self) -> Result<(), SettingsError> {
        let rate = |r: f64| r.is_finite() && r >= 0.0;
        let mend = "give a finite number of at least 0";
        need(rate(self.actor_rate), "actor_rate", &self.actor_rate, mend)?;
        need(
            rate(self.critic_rate),
            "critic_rate",
            &self.critic_rate,
            mend,
        )?;
        need(rate(self.epsilon), "epsilon", &self.epsilon, mend)?;
        let decay = self.epsilon_decay;
        need(rate(decay), "epsilon_decay", &decay, mend)?;
        let last = self.last_weights;
        need(rate(last), "last_weights", &last, mend)?;
        let (discount, tau) = (self.discount, self.tau);
        let in_range = (0.0..1.0).contains(&discount);
        need(in_range, "discount", &discount, "give 0 to below 1")?;
        need(
            tau > 0.0 && tau <= 1.0,
            "tau",
            &tau,
            "give above 0, at most 1",
        )?;
        let Ou {
            mu,
            sigma,
            theta,
            dt,
        } = self.noise;
        need(
            mu.is_finite() && rate(sigma) && rate(theta) && rate(dt) && theta * dt <= 1.0,
            "noise",
            &format!("mu {mu}, sigma {sigma}, theta {theta}, dt {dt}"),
            "give finite numbers, none but mu below 0, and theta times dt at most 1",
        )?;
        let clip = self.gradient_clip;
        need(
            clip.is_none_or(|c| c.is_finite() && c > 0.0),
            "gradient_clip",
            &clip.unwrap_or_default(),
            "give a finite number above 0, or none",
        )
    }
}

fn show(widths: &[usize]) -> String {
    format!("{widths:?}")
}

fn need(
    is_good: bool,
    field: &'static str,
    found: &dyn ToString,
    mend: &'static str,
) -> Result<(), SettingsError> {
    if is_good {
        return Ok(());
    }
    Err(SettingsError {
        field,
        found: found.to_string(),
        mend,
    })
}
