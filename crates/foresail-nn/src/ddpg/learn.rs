//! A step of learning: critic, actor, targets; and what is done when it runs out of range.

use rand_core::Rng;

use super::replay::Replay;
use super::{Ddpg, width};
use crate::batch_norm::Mode;
use crate::kernel::LANES;
use crate::kernel::norm::lanes_of;
use crate::mlp::{Mlp, Wanted};
use crate::optimize::{Adam, norm, scale_down};
use crate::parameter::Layer;
use crate::real::Real;

/// A value may be this many times what the greatest reward for ever would be worth, and a margin.
const VALUE_TIMES: f64 = 10.0;
const VALUE_MARGIN: f64 = 100.0;

/// How far a loss must stay below the greatest number of the nets: an optimizer keeps the squares of
/// gradients, and one that was infinite once never makes a step again.
const SQUARE_MARGIN: f64 = 1e6;

/// What a step of learning was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learnt {
    /// Mean squared error of the critic against its targets.
    pub critic_loss: f64,
    /// Minus the mean value of what the actor does.
    pub actor_loss: f64,
}

/// Why no step was made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LearnError {
    /// The memory is not filled far enough.
    #[error("{found} transitions are there, learning begins with {needed}")]
    TooFew {
        /// Transitions that are there.
        found: usize,
        /// Those that must be.
        needed: usize,
    },
    /// Of another width.
    #[error(transparent)]
    Width(#[from] super::WidthError),
    /// A transition that is not there.
    #[error("there is no transition {place}, the memory has {len}")]
    Place {
        /// Which was asked for.
        place: usize,
        /// How many there are.
        len: usize,
    },
    /// A loss, a value or a weight ran out of range.
    #[error("learning ran out of range: {what}; roll back to the last good weights")]
    Exploded {
        /// What did.
        what: String,
    },
}

impl<R: Real> Ddpg<R> {
    /// Whether there are enough transitions to learn from.
    #[must_use]
    pub fn is_ready(&self, replay: &Replay<R>) -> bool {
        replay.len() >= self.needed()
    }

    fn needed(&self) -> usize {
        self.settings.warm_up.max(1)
    }

    /// Learns from a batch of transitions drawn with replacement; `context` stands beside each of them.
    ///
    /// # Errors
    /// [`LearnError`]: too few transitions, other widths, or [`LearnError::Exploded`], after which
    /// [`Self::roll_back`] gives back the last good weights.
    pub fn learn(&mut self, replay: &Replay<R>, context: &[R]) -> Result<Learnt, LearnError> {
        if !self.is_ready(replay) {
            return Err(LearnError::TooFew {
                found: replay.len(),
                needed: self.needed(),
            });
        }
        let mut places = std::mem::take(&mut self.room.places);
        places.clear();
        let len = replay.len() as u64;
        // 32 bits times the length, the upper half: even to 2⁻³² of the length.
        let mut draw = || ((u64::from(self.sampling.next_u32()) * len) >> 32) as usize;
        places.extend((0..self.settings.batch).map(|_| draw()));
        let learnt = self.learn_from(replay, &places, context);
        self.room.places = places;
        learnt
    }

    /// As [`Self::learn`], from the transitions at these places.
    ///
    /// # Errors
    /// As [`Self::learn`], and [`LearnError::Place`] for a place that is not there.
    pub fn learn_from(
        &mut self,
        replay: &Replay<R>,
        places: &[usize],
        context: &[R],
    ) -> Result<Learnt, LearnError> {
        let s = &self.settings;
        width("context", context, s.context)?;
        let (state, action) = replay.widths();
        for (part, found, needed) in [("state", state, s.state), ("action", action, s.actions)] {
            if found != needed {
                let error = super::WidthError {
                    part,
                    found,
                    needed,
                };
                return Err(error.into());
            }
        }
        let least = if s.batch_norm { 2 } else { 1 };
        if places.len() < least {
            return Err(LearnError::TooFew {
                found: places.len(),
                needed: least,
            });
        }
        self.room.make(&self.nets, places);
        self.room.fill(replay, places, context)?;
        self.set_targets();
        let critic_loss = self.learn_critic(replay)?;
        let actor_loss = self.learn_actor()?;
        self.nets.follow(self.settings.tau);
        self.steps += 1;
        self.epsilon -= self.settings.epsilon_decay;
        if self.epsilon < 0.0 {
            self.epsilon = 0.0;
        }
        self.keep()?;
        Ok(Learnt {
            critic_loss,
            actor_loss,
        })
    }

    /// The gradient of critic loss plus actor loss by the context, of the last step of learning.
    ///
    /// The targets count as given: no gradient goes through them.
    #[must_use]
    pub fn context_gradient(&self) -> &[R] {
        &self.room.context_gradient
    }

    /// What the critic was told to answer in the last step, one number for each transition.
    #[must_use]
    pub fn critic_targets(&self) -> Vec<R> {
        let count = self.room.critic.count();
        self.room
            .targets
            .iter()
            .flatten()
            .copied()
            .take(count)
            .collect()
    }

    /// Weights, targets and optimizers as they were when everything was last found finite, at most
    /// `keep_every` steps ago; chance, noise and counters go on.
    pub fn roll_back(&mut self) {
        self.nets.copy_from(&self.good);
    }

    /// What the critic shall answer: reward + discount · (what the targets expect of what follows).
    fn set_targets(&mut self) {
        let (room, nets) = (&mut self.room, &self.nets);
        nets.target_actor
            .forward(Mode::Eval, &mut room.target_actor);
        let actions = room.target_actor.output();
        room.target_critic.joined_mut().copy_from_slice(actions);
        let target_critic = &mut room.target_critic;
        nets.target_critic.forward(Mode::Eval, target_critic);
        let discount = R::of(self.settings.discount);
        for (tile, next) in room.target_critic.output().iter().enumerate() {
            let (rewards, more) = (&room.rewards[tile], &room.more[tile]);
            for l in 0..LANES {
                room.targets[tile][l] = rewards[l] + discount * more[l] * next[l];
            }
        }
    }

    /// One step of the critic down the mean squared error; gives that error.
    fn learn_critic(&mut self, replay: &Replay<R>) -> Result<f64, LearnError> {
        let (room, critic) = (&mut self.room, &mut self.nets.critic);
        critic.clear_gradients();
        critic.forward(Mode::Train, &mut room.critic);
        let count = room.critic.count();
        let (mut loss, mut most) = (0.0, 0.0_f64);
        for tile in 0..count.div_ceil(LANES) {
            for l in 0..lanes_of(tile, count) {
                let value = room.critic.output()[tile][l].wide();
                let error = value - room.targets[tile][l].wide();
                loss += error * error / count as f64;
                if value.abs() > most {
                    most = value.abs();
                }
                let (rows, stride) = room.critic.upstream_mut();
                rows[tile * stride][l] = R::of(2.0 * error / count as f64);
            }
        }
        let worth = replay.reward_most() / (1.0 - self.settings.discount);
        let bound = VALUE_TIMES * worth + VALUE_MARGIN;
        check_finite("the critic's loss", loss)?;
        if !R::of(loss * SQUARE_MARGIN).wide().is_finite() {
            let what =
                format!("a critic's loss of {loss:.3e}, whose gradient has no finite square");
            return Err(LearnError::Exploded { what });
        }
        if most > bound {
            let what = format!("a value of {most:.3e}, where {bound:.3e} is beyond all reason");
            return Err(LearnError::Exploded { what });
        }
        critic.absorb(&room.critic);
        let wanted = Wanted {
            weights: true,
            joined: false,
            beside: self.settings.context > 0,
        };
        critic.backward(wanted, &mut room.critic);
        let shape = critic.shape();
        room.context_gradient.fill(R::ZERO);
        room.critic
            .add_beside_gradient(shape, &mut room.context_gradient);
        let clip = self.settings.gradient_clip;
        descend(
            critic,
            &mut self.nets.critic_adam,
            clip,
            "the critic's gradient",
        )?;
        Ok(loss)
    }

    /// One step of the actor up the critic; gives minus the mean value.
    fn learn_actor(&mut self) -> Result<f64, LearnError> {
        let (room, nets) = (&mut self.room, &mut self.nets);
        nets.actor.clear_gradients();
        nets.actor.forward(Mode::Train, &mut room.actor);
        nets.actor.absorb(&room.actor);
        room.critic
            .joined_mut()
            .copy_from_slice(room.actor.output());
        nets.critic.forward(Mode::Train, &mut room.critic);
        let count = room.critic.count();
        let mut sum = 0.0;
        for tile in 0..count.div_ceil(LANES) {
            let lanes = lanes_of(tile, count);
            let values = &room.critic.output()[tile][..lanes];
            sum += values.iter().map(|v| v.wide()).sum::<f64>();
            let (rows, stride) = room.critic.upstream_mut();
            rows[tile * stride][..lanes].fill(R::of(-1.0 / count as f64));
        }
        let loss = -sum / count as f64;
        check_finite("the actor's loss", loss)?;
        let beside = self.settings.context > 0;
        let through = Wanted {
            weights: false,
            joined: true,
            beside,
        };
        nets.critic.backward(through, &mut room.critic);
        let shape = nets.critic.shape();
        let gradient = &mut room.context_gradient;
        if beside {
            room.critic.add_beside_gradient(shape, gradient);
        }
        let (upstream, stride) = room.actor.upstream_mut();
        let tiles = upstream.chunks_exact_mut(stride);
        for (upstream, rows) in tiles.zip(room.critic.joined_gradient(shape)) {
            upstream[..rows.len()].copy_from_slice(rows);
        }
        let own = Wanted {
            weights: true,
            joined: false,
            beside,
        };
        nets.actor.backward(own, &mut room.actor);
        if beside {
            room.actor.add_beside_gradient(nets.actor.shape(), gradient);
        }
        let clip = self.settings.gradient_clip;
        descend(
            &mut nets.actor,
            &mut nets.actor_adam,
            clip,
            "the actor's gradient",
        )?;
        Ok(loss)
    }

    /// Every so often: are all weights finite? Then they are the ones to roll back to.
    fn keep(&mut self) -> Result<(), LearnError> {
        if !self.steps.is_multiple_of(self.settings.keep_every) {
            return Ok(());
        }
        if !self.nets.is_finite() {
            let what = "a weight is no finite number".to_owned();
            return Err(LearnError::Exploded { what });
        }
        self.good.copy_from(&self.nets);
        Ok(())
    }
}

/// One step of an optimizer, its gradient limited to a norm.
fn descend<R: Real>(
    net: &mut Mlp<R>,
    adam: &mut Adam<R>,
    clip: Option<f64>,
    name: &str,
) -> Result<(), LearnError> {
    if let Some(most) = clip {
        let norm = norm(net.each());
        check_finite(name, norm)?;
        scale_down(net.each_mut(), norm, most);
    }
    adam.step_each(net.each_mut());
    Ok(())
}

fn check_finite(what: &str, number: f64) -> Result<(), LearnError> {
    if number.is_finite() {
        return Ok(());
    }
    Err(LearnError::Exploded {
        what: format!("{what} is {number}"),
    })
}
