//! A learner and its training as bytes that can run no code; a training goes on bit for bit.
//!
//! A line of JSON, then safetensors of DDPG with its memory, optimizers, noise and chance, and of the
//! meta-learner with its optimizer. (The replication pickles its memory and forgets the meta-learner, so
//! that a resumed run has another embedding.)

use std::collections::BTreeMap;

use foresail_nn::Layer;
use foresail_nn::ddpg::{CheckpointError, Ddpg};
use foresail_nn::safetensors::{self, SafetensorsError};
use serde::{Deserialize, Serialize};

use super::bootstrap::Bootstrapper;
use super::episode::Best;
use super::learner::{Learner, LearnerSettings, Memory};
use super::lifecycle::Lifecycle;
use super::meta::MetaLearner;
use super::training::{Training, TrainingRules};
use crate::envelope::{Broken, open_within, seal};
use crate::rng::{Seed, child};

/// The kind of file.
const KIND: &str = "aware";

/// The most bytes of such a file: a full memory of the paper's size with room.
pub const BYTES_MAX: usize = 1 << 30;

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// Not such a file, cut short, of another version, or PyTorch's pickle.
    #[error("{0}; write one with `foresail aware train`")]
    File(&'static str),
    /// DDPG's part.
    #[error("its agent: {0}")]
    Agent(#[from] CheckpointError),
    /// The meta-learner's part.
    #[error("its meta-learner: {0}")]
    Meta(#[from] SafetensorsError),
    /// Parts that do not belong together.
    #[error("{0}: the parts of this file do not belong together")]
    Parts(&'static str),
}

impl From<Broken> for SavedError {
    fn from(broken: Broken) -> Self {
        Self::File(match broken {
            Broken::Pickle => "PyTorch's pickle, which can run code",
            Broken::Version(_) => "a checkpoint of another version",
            Broken::TooLarge(_) => "larger than any checkpoint",
            Broken::Damaged => "cut short or changed since it was written",
            Broken::Form | Broken::Nested => "no checkpoint of a learner",
        })
    }
}

/// The first line of such a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    settings: LearnerSettings,
    /// One per workload; none in a policy that only serves.
    #[serde(default)]
    trainings: Vec<TrainingHead>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrainingHead {
    label: String,
    rules: TrainingRules,
    boot: Bootstrapper,
    life: Lifecycle,
    episodes: usize,
}

/// What follows the line.
#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    /// The agent with the memory of each workload in turn; at least one, an empty one where there is
    /// no training.
    agents: Vec<Vec<u8>>,
    meta: Vec<u8>,
    /// The meta-learner's optimizer: steps, and both moments of each parameter.
    optimizer: (u64, Vec<[Vec<f32>; 2]>),
    kept: Vec<Kept>,
}

/// What is kept of a workload beside its transitions.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    best: Best,
    embedding: Vec<f32>,
    gradient: Vec<f32>,
}

impl Learner {
    /// Nets with the trainings that are given, one per workload; without any the policy alone, to serve.
    ///
    /// # Errors
    /// [`SavedError`] where the agent cannot be written.
    pub fn save(&self, trainings: &[Training]) -> Result<Vec<u8>, SavedError> {
        let of = |t: &Training| TrainingHead {
            label: t.label.clone(),
            rules: t.rules,
            boot: t.boot.clone(),
            life: t.life.clone(),
            episodes: t.episodes,
        };
        let head = Head {
            settings: self.settings(),
            trainings: trainings.iter().map(of).collect(),
        };
        let with = |t: &Training| self.ddpg.save(&t.memory.replay);
        let mut agents = trainings.iter().map(with).collect::<Result<Vec<_>, _>>()?;
        if agents.is_empty() {
            agents.push(self.ddpg.save(&self.ddpg.replay())?);
        }
        let none = BTreeMap::new();
        let meta = self.meta.as_ref();
        let kept = |t: &Training| Kept {
            best: t.memory.best.clone(),
            embedding: t.memory.embedding.clone(),
            gradient: t.memory.gradient().to_vec(),
        };
        let parts = Parts {
            agents,
            meta: meta.map_or_else(Vec::new, |m| safetensors::write(m.layer(), &none)),
            optimizer: meta.map_or_else(Default::default, |m| m.optimizer().state()),
            kept: trainings.iter().map(kept).collect(),
        };
        let state = postcard::to_allocvec(&parts).unwrap_or_default();
        Ok(seal(KIND, &head, &state))
    }

    /// A learner, and its trainings where the file holds any.
    ///
    /// # Errors
    /// [`SavedError`] names what is wrong; nothing else is changed.
    pub fn load(bytes: &[u8]) -> Result<(Self, Vec<Training>), SavedError> {
        let (head, state) = open_within::<Head>(KIND, bytes, BYTES_MAX)?;
        let damaged = SavedError::File("cut short or changed since it was written");
        let parts: Parts = postcard::from_bytes(state).map_err(|_| damaged)?;
        let Some(first) = parts.agents.first() else {
            return Err(SavedError::Parts("it holds no agent"));
        };
        let (ddpg, _) = Ddpg::load(first, head.settings.ddpg())?;
        let meta = restore_meta(head.settings, &parts)?;
        let learner = Self::of(head.settings, ddpg, meta);
        let count = head.trainings.len();
        if parts.kept.len() != count || (count > 0 && parts.agents.len() != count) {
            return Err(SavedError::Parts("its workloads"));
        }
        let width = learner.memory().embedding.len();
        let mut trainings = Vec::with_capacity(count);
        let each = head
            .trainings
            .into_iter()
            .zip(parts.kept)
            .zip(&parts.agents);
        for ((training, kept), agent) in each {
            if kept.embedding.len() != width || kept.gradient.len() != width {
                return Err(SavedError::Parts("an embedding has another width"));
            }
            let (_, replay) = Ddpg::load(agent, head.settings.ddpg())?;
            trainings.push(Training {
                label: training.label,
                rules: training.rules,
                memory: Memory::of(replay, kept.best, kept.embedding, kept.gradient),
                boot: training.boot,
                life: training.life,
                episodes: training.episodes,
            });
        }
        Ok((learner, trainings))
    }
}

fn restore_meta(
    settings: LearnerSettings,
    parts: &Parts,
) -> Result<Option<MetaLearner>, SavedError> {
    let Some(form) = settings.meta else {
        return Ok(None);
    };
    let features = settings.state + settings.axes * super::axes::MOVES + 1;
    // Every weight is read from the file; the seed is of no account.
    let mut meta = MetaLearner::new(form, features, &mut child(Seed(0), "aware/meta"));
    let file = safetensors::read(&parts.meta)?;
    safetensors::load(meta.layer_mut(), &file)?;
    let (steps, moments) = &parts.optimizer;
    let parameters = meta.layer().parameters();
    let counts = parameters.iter().map(|(_, p)| p.value.len());
    let fits = moments.is_empty()
        || (moments.len() == parameters.len()
            && moments
                .iter()
                .zip(counts)
                .all(|(m, n)| m.iter().all(|v| v.len() == n)));
    if !fits {
        return Err(SavedError::Parts("its optimizer"));
    }
    meta.optimizer_mut().resume((*steps, moments.clone()));
    Ok(Some(meta))
}
