//! A learner on one workload: episode after episode, who acts, what is learnt, where it stands.

use serde::{Deserialize, Serialize};

use super::axes::Moves;
use super::bootstrap::{Acting, BootstrapRules, Bootstrapper};
use super::env::{Env, Facts};
use super::episode::{Episode, EpisodeStep};
use super::learner::{Embedding, Learner, Losses, Memory};
use super::lifecycle::{Lifecycle, Stage, Thresholds};

/// The rules of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TrainingRules {
    /// Steps of an episode.
    pub steps: usize,
    /// Who acts.
    pub bootstrap: BootstrapRules,
    /// When the learner serves.
    pub thresholds: Thresholds,
    /// Whether the thresholds are taken as shares of what the heuristic earns on this workload: a
    /// reward of 130 is that of the paper's application alone.
    pub relative: bool,
    /// `false`: the nets stay as they are.
    pub learns: bool,
    /// `true`: the meta-learner learns too; it is frozen when a learner serves.
    pub adapts: bool,
    /// What becomes of the embedding.
    pub embedding: Embedding,
    /// `true`: a learner that serves goes on learning only where its lifecycle sends it back.
    pub retrains: bool,
}

impl Default for TrainingRules {
    fn default() -> Self {
        Self {
            steps: 100,
            bootstrap: BootstrapRules::default(),
            thresholds: Thresholds::default(),
            relative: true,
            learns: true,
            adapts: false,
            embedding: Embedding::default(),
            retrains: true,
        }
    }
}

/// What one episode came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeTold {
    /// Its number, from 0 on.
    pub number: usize,
    /// Who acted.
    pub acted: Acting,
    /// Where the learner stands after it.
    pub stage: Stage,
    /// What it earned.
    pub reward: f64,
    /// What an episode of the learner is thought to earn, where that was judged.
    pub value: Option<f64>,
    /// What the heuristic earns, where it has acted.
    pub baseline: Option<f64>,
    /// What happened in it.
    pub facts: Facts,
    /// What was learnt in it.
    pub losses: Losses,
    /// Steps on which nothing could be seen, so that nobody's wish was asked for.
    pub blind: usize,
}

/// What is kept of a training besides the nets.
#[derive(Clone, Debug)]
pub struct Training {
    /// Which workload it is of, so that it is resumed on no other; empty where nobody says.
    pub label: String,
    /// The rules.
    pub rules: TrainingRules,
    /// The workload's memory.
    pub memory: Memory,
    pub(super) boot: Bootstrapper,
    pub(super) life: Lifecycle,
    pub(super) episodes: usize,
}

impl Training {
    /// At its begin.
    #[must_use]
    pub fn new(learner: &Learner, rules: TrainingRules) -> Self {
        Self {
            label: String::new(),
            memory: learner.memory(),
            boot: Bootstrapper::new(rules.bootstrap),
            life: Lifecycle::default(),
            episodes: 0,
            rules,
        }
    }

    /// Episodes so far.
    #[must_use]
    pub fn episodes(&self) -> usize {
        self.episodes
    }

    /// Where the learner stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.life.stage()
    }

    /// Who acts in the next episode.
    #[must_use]
    pub fn acting(&self) -> Acting {
        self.boot.acting()
    }

    /// Times that the learner was sent back to the heuristic.
    #[must_use]
    pub fn fallbacks(&self) -> u32 {
        self.boot.fallbacks()
    }

    /// One episode.
    ///
    /// `other` is the embedding of another workload, for the arm that is shown a wrong one.
    pub fn episode(
        &mut self,
        learner: &mut Learner,
        env: &mut dyn Env,
        other: Option<&[f32]>,
    ) -> EpisodeTold {
        self.show_embedding(other);
        learner.begin_episode();
        let acted = self.boot.acting();
        let serves = self.life.stage() == Stage::Serving && self.rules.retrains;
        let learns = self.rules.learns && !serves;
        let flown = self.fly(learner, env, (acted, learns));
        let advantage = learner.advantage(&self.memory, &flown.episode.steps);
        let value = self.boot.value(advantage);
        let reward = match (flown.reward, flown.steps) {
            // Of an episode cut short what it would have earned.
            (sum, n) if n > 0 => sum * self.rules.steps as f64 / n as f64,
            (sum, _) => sum,
        };
        let adapts = learns && self.rules.adapts;
        learner.end_episode(&mut self.memory, flown.episode, adapts);
        let thresholds = self.thresholds();
        self.boot
            .episode(reward, value, &mut self.life, &thresholds);
        self.episodes += 1;
        EpisodeTold {
            number: self.episodes - 1,
            acted,
            stage: self.life.stage(),
            reward,
            value,
            baseline: self.boot.baseline(),
            facts: flown.facts,
            losses: learner.losses(),
            blind: flown.blind,
        }
    }

    /// The thresholds in reward, of those that are shares of what the heuristic earns.
    fn thresholds(&self) -> Thresholds {
        let paper = Thresholds::default();
        match self.boot.baseline().filter(|_| self.rules.relative) {
            Some(baseline) => {
                let share = baseline / paper.online;
                Thresholds {
                    online: self.rules.thresholds.online * share,
                    serving: self.rules.thresholds.serving * share,
                    variance: self.rules.thresholds.variance * share,
                    ..self.rules.thresholds
                }
            }
            None => self.rules.thresholds,
        }
    }

    fn show_embedding(&mut self, other: Option<&[f32]>) {
        let embedding = &mut self.memory.embedding;
        match self.rules.embedding {
            Embedding::Told => {}
            Embedding::Zeroed => embedding.fill(0.0),
            Embedding::Shuffled => match other {
                Some(other) if other.len() == embedding.len() => embedding.copy_from_slice(other),
                _ => embedding.fill(0.0),
            },
        }
    }

    fn fly(
        &mut self,
        learner: &mut Learner,
        env: &mut dyn Env,
        (acting, learns): (Acting, bool),
    ) -> Flown {
        let mut flown = Flown::default();
        while flown.steps < self.rules.steps && !env.is_over() {
            flown.steps += 1;
            let seen = env.state();
            let moves = self.moves(learner, env, seen.as_deref(), (acting, learns));
            let told = env.step(moves.as_deref());
            flown.facts.add(&told.facts);
            flown.reward += told.reward;
            let Some(state) = seen else {
                flown.blind += 1;
                continue;
            };
            if let Some(next) = &told.state {
                let what = (state.as_slice(), told.executed.as_slice());
                learner.remember(&mut self.memory, what, told.reward, next);
            }
            if learns {
                learner.learn(&mut self.memory);
            }
            flown.episode.steps.push(EpisodeStep {
                state,
                moves: told.executed,
                reward: told.reward as f32,
            });
        }
        flown
    }

    fn moves(
        &self,
        learner: &mut Learner,
        env: &dyn Env,
        seen: Option<&[f32]>,
        (acting, learns): (Acting, bool),
    ) -> Option<Moves> {
        if acting == Acting::Heuristic {
            return None;
        }
        learner.act(&self.memory, seen?, &env.legal(), learns)
    }
}

/// An episode as it was flown.
#[derive(Debug, Default)]
struct Flown {
    episode: Episode,
    reward: f64,
    facts: Facts,
    steps: usize,
    blind: usize,
}
