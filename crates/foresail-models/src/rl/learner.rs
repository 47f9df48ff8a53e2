//! What learns: DDPG with an embedding beside the state, one memory per workload.

use foresail_nn::ddpg::{Ddpg, Head, LearnError, Replay, Settings, SettingsError, Transition};
use serde::{Deserialize, Serialize};

use super::axes::{Joint, MOVES, Move, Moves, one_hot};
use super::episode::{Best, Episode, EpisodeStep};
use super::meta::{MetaLearner, MetaSettings};
use crate::rng::{Seed, child};

/// Whose settings of DDPG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Preset {
    /// FIRM's code: 40-40 with normalisation, discount 0.9, τ 1e-3.
    #[default]
    Firm,
    /// AWARE's paper: 64-64, discount 0.99, τ 3e-3.
    Aware,
}

/// What becomes of the embedding; the last two are there to see whether it helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Embedding {
    /// As the meta-learner tells it.
    #[default]
    Told,
    /// Zeros.
    Zeroed,
    /// That of another workload.
    Shuffled,
}

/// The form of a learner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LearnerSettings {
    /// Whose settings of DDPG.
    pub preset: Preset,
    /// How outputs become moves.
    pub joint: Joint,
    /// The meta-learner; absent = none, and no embedding.
    pub meta: Option<MetaSettings>,
    /// Numbers of a state.
    pub state: usize,
    /// Axes.
    pub axes: usize,
}

impl LearnerSettings {
    /// DDPG's settings.
    #[must_use]
    pub fn ddpg(&self) -> Settings {
        let (context, actions) = (self.meta.map_or(0, |m| m.embedding), self.axes * MOVES);
        let settings = match self.preset {
            Preset::Firm => Settings::firm(self.state, context, actions),
            Preset::Aware => Settings::aware(self.state, context, actions),
        };
        let group = self.joint.group(actions);
        Settings {
            head: Head::Softmax { group },
            ..settings
        }
    }
}

/// What is kept of one workload.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Transitions as they were executed.
    pub replay: Replay,
    /// The best episodes.
    pub best: Best,
    /// The embedding of the episode at hand; empty without a meta-learner.
    pub embedding: Vec<f32>,
    /// Gradients by the embedding since the last episode.
    gradient: Vec<f32>,
    /// Transitions that were refused because something of them was no number.
    pub refused: u64,
}

impl Memory {
    /// A memory as it was saved.
    pub(super) fn of(replay: Replay, best: Best, embedding: Vec<f32>, gradient: Vec<f32>) -> Self {
        Self {
            replay,
            best,
            embedding,
            gradient,
            refused: 0,
        }
    }

    /// Gradients by the embedding since the last episode.
    pub(super) fn gradient(&self) -> &[f32] {
        &self.gradient
    }
}

/// What learning came to since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Steps of learning.
    pub steps: u64,
    /// Mean loss of the critic.
    pub critic: f64,
    /// Mean loss of the actor.
    pub actor: f64,
    /// Times that learning ran out of range and went back to the last good weights.
    pub rolled_back: u64,
}

/// Nets that learn; of any number of workloads.
#[derive(Clone, Debug)]
pub struct Learner {
    settings: LearnerSettings,
    /// Actor and critic.
    pub(super) ddpg: Ddpg,
    pub(super) meta: Option<MetaLearner>,
    losses: Losses,
}

impl Learner {
    /// One that has learnt nothing.
    ///
    /// # Errors
    /// [`SettingsError`] names what an agent cannot have.
    pub fn new(settings: LearnerSettings, seed: Seed) -> Result<Self, SettingsError> {
        let ddpg = Ddpg::new(settings.ddpg(), child(seed, "aware/ddpg"))?;
        let features = settings.state + settings.axes * MOVES + 1;
        let mut stream = child(seed, "aware/meta");
        let meta = settings.meta;
        Ok(Self {
            meta: meta.map(|m| MetaLearner::new(m, features, &mut stream)),
            ddpg,
            settings,
            losses: Losses::default(),
        })
    }

    /// The same form with other nets, as they were saved.
    pub(super) fn of(settings: LearnerSettings, ddpg: Ddpg, meta: Option<MetaLearner>) -> Self {
        Self {
            settings,
            ddpg,
            meta,
            losses: Losses::default(),
        }
    }

    /// Its form.
    #[must_use]
    pub fn settings(&self) -> LearnerSettings {
        self.settings
    }

    /// Steps of learning so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.ddpg.steps()
    }

    /// Room for one workload.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let width = self.settings.meta.map_or(0, |m| m.embedding);
        let episodes = self.settings.meta.map_or(0, |m| m.episodes);
        Memory {
            replay: self.ddpg.replay(),
            best: Best::new(episodes),
            embedding: vec![0.0; width],
            gradient: vec![0.0; width],
            refused: 0,
        }
    }

    /// Room for a workload on which these episodes were flown, with the embedding that they tell.
    #[must_use]
    pub fn memory_of(&self, best: &Best) -> Memory {
        let mut memory = self.memory();
        memory.best = best.at_most(self.settings.meta.map_or(0, |m| m.episodes));
        if let Some(meta) = &self.meta {
            memory.embedding = meta.embedding(&memory.best);
        }
        memory
    }

    /// Begins an episode: the noise stands at its mean again.
    pub fn begin_episode(&mut self) {
        self.ddpg.begin_episode();
    }

    /// The moves that it would make, of those that are legal; with `explores` noise is added.
    ///
    /// `None` where the state is of another width.
    pub fn act(
        &mut self,
        memory: &Memory,
        state: &[f32],
        legal: &[bool],
        explores: bool,
    ) -> Option<Moves> {
        let outputs = if explores {
            self.ddpg.explore(state, &memory.embedding)
        } else {
            self.ddpg.act(state, &memory.embedding)
        };
        Some(self.settings.joint.choose(&outputs.ok()?, legal))
    }

    /// Remembers what was executed; what holds a number that is none is counted and left out.
    pub fn remember(
        &self,
        memory: &mut Memory,
        (state, executed): (&[f32], &[Move]),
        reward: f64,
        next: &[f32],
    ) {
        let action = one_hot(executed);
        let transition = Transition {
            state,
            action: &action,
            reward: reward as f32,
            next,
            done: false,
        };
        if memory.replay.push(&transition).is_err() {
            memory.refused += 1;
        }
    }

    /// One step of learning on the memory of a workload, where that is filled far enough.
    ///
    /// Learning that runs out of range goes back to the last good weights.
    pub fn learn(&mut self, memory: &mut Memory) {
        match self.ddpg.learn(&memory.replay, &memory.embedding) {
            Ok(learnt) => {
                self.losses.steps += 1;
                self.losses.critic += learnt.critic_loss;
                self.losses.actor += learnt.actor_loss;
                let sums = memory.gradient.iter_mut();
                for (sum, g) in sums.zip(self.ddpg.context_gradient()) {
                    *sum += *g;
                }
            }
            Err(LearnError::Exploded { .. }) => {
                self.ddpg.roll_back();
                self.losses.rolled_back += 1;
            }
            Err(_) => {}
        }
    }

    /// Ends an episode: it may be among the best, the meta-learner learns where it `adapts`, and the next
    /// episode gets its embedding.
    pub fn end_episode(&mut self, memory: &mut Memory, episode: Episode, adapts: bool) {
        let Some(meta) = &mut self.meta else {
            return;
        };
        if adapts {
            meta.learn(&memory.best, &memory.gradient);
        }
        memory.gradient.fill(0.0);
        memory.best.insert(episode);
        memory.embedding = meta.embedding(&memory.best);
    }

    /// How much more its own moves are worth than those that were executed, as a ratio of the critic's
    /// values over these steps. Both are by the same critic, so that its slow way to its level (the
    /// targets lag by 1/τ steps of learning) is of no account. Every move counts as legal, and the critic
    /// judges the actor that was trained on it: a value that is rather too good than too bad, for which
    /// the bootstrapper has its way back. `None` without steps, or where the critic expects nothing yet.
    #[must_use]
    pub fn advantage(&self, memory: &Memory, steps: &[EpisodeStep]) -> Option<f64> {
        let (mut own, mut executed) = (0.0, 0.0);
        for step in steps {
            let outputs = self.ddpg.act(&step.state, &memory.embedding).ok()?;
            let moves = self
                .settings
                .joint
                .choose(&outputs, &vec![true; outputs.len()]);
            let q = |moves: &[Move]| self.ddpg.q(&step.state, &memory.embedding, &one_hot(moves));
            own += f64::from(q(&moves).ok()?);
            executed += f64::from(q(&step.moves).ok()?);
        }
        (executed > 0.0).then_some(own / executed)
    }

    /// Mean losses since this was last asked.
    pub fn losses(&mut self) -> Losses {
        let mut losses = std::mem::take(&mut self.losses);
        if losses.steps > 0 {
            losses.critic /= losses.steps as f64;
            losses.actor /= losses.steps as f64;
        }
        losses
    }
}
