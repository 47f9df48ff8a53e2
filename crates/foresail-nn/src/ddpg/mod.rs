//! Deep deterministic policy gradients: an actor, and a critic that tells it which way is better.
//!
//! Knows nothing of what is steered. An agent acts on a state and, where there is one, a context: numbers
//! that stand beside the state and are the same in a whole batch, such as an embedding of the world at
//! hand. A step of learning tells the gradient of both losses by the context, so that whatever made it
//! can be learnt too.
//! Source: Lillicrap et al. 2016, Continuous control with deep reinforcement learning.
//!
//! Five defects of the published FIRM code are tested not to be here: a critic loss between `[B, 1]` and
//! `[B]`, targets that are nets of their own, statistics that the soft update leaves behind, noise that
//! is never reset, and first weights by the width of the output.

mod checkpoint;
mod learn;
mod nets;
mod noise;
mod replay;
mod room;
mod settings;

pub use checkpoint::{CHECKPOINT_BYTES_MAX, CheckpointError, SCHEMA, settings_of};
pub use learn::{LearnError, Learnt};
pub use noise::Noise;
pub use replay::{Replay, ReplayError, Transition};
pub use settings::{NUMBERS_MAX, Ou, Settings, SettingsError};

pub use crate::mlp::Head;

use rand_chacha::ChaCha8Rng;

use crate::batch_norm::Mode;
use crate::kernel::Row;
use crate::mlp::{Mlp, MlpTape};
use crate::real::Real;
use nets::Nets;
use room::Room;

/// Why an agent does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part} has {found} numbers, this agent reads {needed}")]
pub struct WidthError {
    /// What was given.
    pub part: &'static str,
    /// Its numbers.
    pub found: usize,
    /// Those that it must have.
    pub needed: usize,
}

/// An agent.
#[derive(Clone, Debug)]
pub struct Ddpg<R: Real = f32> {
    settings: Settings,
    nets: Nets<R>,
    /// The nets of the last time that everything was finite.
    good: Nets<R>,
    noise: Noise,
    epsilon: f64,
    /// Steps of learning so far.
    steps: u64,
    /// Chance of the noise, and of which transitions are learnt from.
    exploring: ChaCha8Rng,
    sampling: ChaCha8Rng,
    room: Room<R>,
}

impl<R: Real> Ddpg<R> {
    /// An agent that has learnt nothing; all its chance comes from `stream`.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting that an agent cannot have.
    pub fn new(settings: Settings, mut stream: ChaCha8Rng) -> Result<Self, SettingsError> {
        settings.check()?;
        let nets = Nets::new(&settings, &mut stream);
        let own = |number: u64| {
            let mut own = stream.clone();
            own.set_stream(number);
            own.set_word_pos(0);
            own
        };
        let base = stream.get_stream();
        Ok(Self {
            good: nets.clone(),
            nets,
            noise: Noise::new(settings.noise, settings.actions),
            epsilon: settings.epsilon,
            steps: 0,
            exploring: own(base.wrapping_add(1)),
            sampling: own(base.wrapping_add(2)),
            room: Room::new(&settings),
            settings,
        })
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A memory for its transitions.
    #[must_use]
    pub fn replay(&self) -> Replay<R> {
        let s = &self.settings;
        Replay::new(s.state, s.actions, s.buffer)
    }

    /// Steps of learning so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Scale of the noise; never below 0.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The noise of exploration.
    #[must_use]
    pub fn noise(&self) -> &Noise {
        &self.noise
    }

    /// The actor.
    #[must_use]
    pub fn actor(&self) -> &Mlp<R> {
        &self.nets.actor
    }

    /// The actor, to be given other weights.
    pub fn actor_mut(&mut self) -> &mut Mlp<R> {
        &mut self.nets.actor
    }

    /// The critic.
    #[must_use]
    pub fn critic(&self) -> &Mlp<R> {
        &self.nets.critic
    }

    /// The critic, to be given other weights.
    pub fn critic_mut(&mut self) -> &mut Mlp<R> {
        &mut self.nets.critic
    }

    /// The targets of actor and critic.
    #[must_use]
    pub fn targets(&self) -> [&Mlp<R>; 2] {
        [&self.nets.target_actor, &self.nets.target_critic]
    }

    /// The same, to be given other weights.
    pub fn targets_mut(&mut self) -> [&mut Mlp<R>; 2] {
        [&mut self.nets.target_actor, &mut self.nets.target_critic]
    }

    /// Begins an episode: the noise stands at its mean again.
    pub fn begin_episode(&mut self) {
        self.noise.reset();
    }

    /// The best action that it knows.
    ///
    /// # Errors
    /// [`WidthError`] where state or context have other widths than its settings.
    pub fn act(&self, state: &[R], context: &[R]) -> Result<Vec<R>, WidthError> {
        self.check(state, context)?;
        let tape = &mut MlpTape::default();
        Ok(answer(&self.nets.actor, tape, state, context))
    }

    /// The best action that it knows, and noise; a tanh's stays in ±1, shares are left as the noise
    /// makes them, as FIRM has them.
    ///
    /// # Errors
    /// As [`Self::act`]; the noise stands still then.
    pub fn explore(&mut self, state: &[R], context: &[R]) -> Result<Vec<R>, WidthError> {
        self.check(state, context)?;
        let tape = &mut self.room.acting;
        let mut action = answer(&self.nets.actor, tape, state, context);
        let is_limited = self.settings.head == Head::Tanh;
        let noise = self.noise.step(&mut self.exploring);
        for (number, noise) in action.iter_mut().zip(noise) {
            *number += R::of(self.epsilon * noise);
            if is_limited {
                *number = within_one(*number);
            }
        }
        Ok(action)
    }

    /// What the critic expects of an action from a state on.
    ///
    /// # Errors
    /// [`WidthError`] where state, context or action have other widths than its settings.
    pub fn q(&self, state: &[R], context: &[R], action: &[R]) -> Result<R, WidthError> {
        self.check(state, context)?;
        width("action", action, self.settings.actions)?;
        let mut tape = MlpTape::default();
        tape.prepare_to_answer(self.nets.critic.shape(), 1);
        write_one(tape.input_mut(), state.iter().chain(context));
        write_one(tape.joined_mut(), action.iter());
        self.nets.critic.forward(Mode::Eval, &mut tape);
        Ok(tape.output()[0][0])
    }

    fn check(&self, state: &[R], context: &[R]) -> Result<(), WidthError> {
        width("state", state, self.settings.state)?;
        width("context", context, self.settings.context)
    }
}

/// What a net answers to one sample.
fn answer<R: Real>(net: &Mlp<R>, tape: &mut MlpTape<R>, state: &[R], context: &[R]) -> Vec<R> {
    tape.prepare_to_answer(net.shape(), 1);
    write_one(tape.input_mut(), state.iter().chain(context));
    net.forward(Mode::Eval, tape);
    tape.output().iter().map(|row| row[0]).collect()
}

fn width<R>(part: &'static str, numbers: &[R], needed: usize) -> Result<(), WidthError> {
    if numbers.len() == needed {
        return Ok(());
    }
    Err(WidthError {
        part,
        found: numbers.len(),
        needed,
    })
}

/// Writes one sample into the first lane.
fn write_one<'a, R: Real>(rows: &mut [Row<R>], numbers: impl Iterator<Item = &'a R>) {
    for (row, number) in rows.iter_mut().zip(numbers) {
        row[0] = *number;
    }
}

fn within_one<R: Real>(number: R) -> R {
    if number > R::ONE {
        R::ONE
    } else if number < -R::ONE {
        -R::ONE
    } else {
        number
    }
}
