//! The meta-learner: a recurrent net that reads the best episodes on a workload and tells what kind of
//! world it is, as an embedding beside the state of actor and critic.
//!
//! A bidirectional GRU of two layers reads each episode along time; the mean of its last states over the
//! episodes goes through a linear layer and tanh. (Published with ReLU: learnt on two dozen workloads all
//! of its numbers were zero for every world, and a zero has no gradient to come back by.) It is learnt through the gradients of both losses by
//! the embedding. (The published code lays its tensor out with time where the features belong, has a net
//! for every actor and critic, and does not save it.)
//! Source: AWARE (ATC 2023) 3.3 and its artifact's `rnn.py`; specs/hpa_aware_studies.md 2.5.

use foresail_nn::activation::Activation;
use foresail_nn::gru::{Direction, Gru, GruTape, Shape, Upstream};
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::optimize::{Adam, clip};
use foresail_nn::{LANES, Layer, Parameter, Row, named};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::episode::{Best, Episode, EpisodeStep};

/// Layers of the recurrent net.
const LAYERS: usize = 2;

/// The most that the norm of its gradients may be.
const NORM_MAX: f64 = 1.0;

/// The form of a meta-learner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetaSettings {
    /// Units of a layer in each direction: 64, or the paper's 256.
    pub hidden: usize,
    /// Numbers of the embedding: 16 as the replication's checkpoint has them, or the paper's 64.
    pub embedding: usize,
    /// Episodes that are read, at most 32.
    pub episodes: usize,
    /// Learning rate.
    pub rate: f64,
}

impl Default for MetaSettings {
    fn default() -> Self {
        Self {
            hidden: 64,
            embedding: 16,
            episodes: 20,
            rate: 3e-4,
        }
    }
}

/// The net.
#[derive(Clone, Debug)]
struct Net {
    gru: Gru,
    out: Linear,
}

impl Layer for Net {
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut all = named("gru", self.gru.parameters());
        all.extend(named("fc", self.out.parameters()));
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter)> {
        let mut all = named("gru", self.gru.parameters_mut());
        all.extend(named("fc", self.out.parameters_mut()));
        all
    }
}

/// A meta-learner with its optimizer.
#[derive(Clone, Debug)]
pub struct MetaLearner {
    settings: MetaSettings,
    features: usize,
    net: Net,
    adam: Adam,
}

/// What a pass keeps.
#[derive(Clone, Debug, Default)]
struct Tape {
    gru: GruTape,
    out: LinearTape,
    embedding: Vec<Row<f32>>,
    episodes: usize,
}

impl MetaLearner {
    /// A net that has learnt nothing and reads `features` numbers a step.
    #[must_use]
    pub fn new(settings: MetaSettings, features: usize, stream: &mut ChaCha8Rng) -> Self {
        let shape = Shape {
            input: features,
            hidden: settings.hidden,
            layers: LAYERS,
            direction: Direction::Both,
        };
        let gru = Gru::new(shape, stream);
        let out = Linear::new(gru.states(), settings.embedding, stream);
        Self {
            settings,
            features,
            net: Net { gru, out },
            adam: Adam::new(settings.rate),
        }
    }

    /// Its form.
    #[must_use]
    pub fn settings(&self) -> MetaSettings {
        self.settings
    }

    /// The net by name, to be saved.
    #[must_use]
    pub fn layer(&self) -> &impl Layer {
        &self.net
    }

    /// The net by name, to be given other weights.
    pub fn layer_mut(&mut self) -> &mut impl Layer {
        &mut self.net
    }

    /// Its optimizer.
    #[must_use]
    pub fn optimizer(&self) -> &Adam {
        &self.adam
    }

    /// Its optimizer, to be resumed.
    pub fn optimizer_mut(&mut self) -> &mut Adam {
        &mut self.adam
    }

    /// What kind of world these episodes were flown in; zeros while there is none.
    ///
    /// Episodes shorter than the longest are left out (of the first steps of a world not all can be seen),
    /// and those of another width.
    #[must_use]
    pub fn embedding(&self, best: &Best) -> Vec<f32> {
        let mut tape = Tape::default();
        self.forward(best, &mut tape);
        tape.embedding.iter().map(|row| row[0]).collect()
    }

    fn forward(&self, best: &Best, tape: &mut Tape) {
        let zero = [0.0; LANES];
        let read = self.readable(best);
        tape.episodes = read.len();
        tape.embedding.clear();
        tape.embedding.resize(self.settings.embedding, zero);
        let Some(steps) = read.first().map(|e| e.steps.len()) else {
            return;
        };
        let mut x = vec![zero; steps * self.features];
        for (lane, episode) in read.iter().enumerate() {
            for (step, rows) in episode.steps.iter().zip(x.chunks_mut(self.features)) {
                for (row, feature) in rows.iter_mut().zip(step.features()) {
                    row[lane] = feature;
                }
            }
        }
        self.net.gru.forward(&x, &mut tape.gru);
        let count = read.len();
        let mean = |row: &Row<f32>| {
            let mut mean = zero;
            mean[0] = row[..count].iter().sum::<f32>() / count as f32;
            mean
        };
        let states: Vec<Row<f32>> = self.net.gru.last(&tape.gru).iter().map(mean).collect();
        let told = self.net.out.forward(&states, &mut tape.out);
        tape.embedding.copy_from_slice(told);
        Activation::Tanh.forward(&mut tape.embedding);
    }

    /// The episodes that one pass can read together.
    fn readable<'a>(&self, best: &'a Best) -> Vec<&'a Episode> {
        let most = self.settings.episodes.min(LANES);
        let longest = best.episodes().map(|e| e.steps.len()).max();
        let fits = |s: &EpisodeStep| s.features().len() == self.features;
        let readable =
            |e: &&Episode| Some(e.steps.len()) == longest && e.steps.first().is_some_and(fits);
        best.episodes().filter(readable).take(most).collect()
    }

    /// One step down the gradient by the embedding of these episodes; `false` where there is nothing to
    /// learn from, or the gradient is not finite.
    pub fn learn(&mut self, best: &Best, gradient: &[f32]) -> bool {
        let usable =
            gradient.len() == self.settings.embedding && gradient.iter().all(|g| g.is_finite());
        let mut tape = Tape::default();
        if usable {
            self.forward(best, &mut tape);
        }
        if tape.episodes == 0 {
            return false;
        }
        self.net.clear_gradients();
        let mut upstream = vec![[0.0; LANES]; self.settings.embedding];
        for (row, g) in upstream.iter_mut().zip(gradient) {
            row[0] = *g;
        }
        Activation::Tanh.backward(&tape.embedding, &mut upstream);
        let of_states = self.net.out.backward(&upstream, &mut tape.out);
        let count = tape.episodes;
        let spread = |row: &Row<f32>| {
            let mut each = [0.0; LANES];
            each[..count].fill(row[0] / count as f32);
            each
        };
        let last: Vec<Row<f32>> = of_states.iter().map(spread).collect();
        let upstream = Upstream {
            last: &last,
            every: &[],
        };
        self.net.gru.backward(upstream, &mut tape.gru, None);
        let norm = clip(&mut self.net, NORM_MAX);
        if !norm.is_finite() {
            return false;
        }
        self.adam.step(&mut self.net);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::axes::Move;
    use super::*;
    use crate::rng::{Seed, child};

    pub(crate) fn episodes(kind: f32, count: usize) -> Best {
        let mut best = Best::new(20);
        for n in 0..count {
            let step = |t: usize| EpisodeStep {
                state: vec![kind * (t as f32 / 3.0).sin(), 0.1 * n as f32],
                moves: vec![Move::ALL[(t + n) % 3]],
                reward: 1.0 + 0.01 * n as f32,
            };
            best.insert(Episode {
                steps: (0..12).map(step).collect(),
            });
        }
        best
    }

    fn meta(embedding: usize) -> MetaLearner {
        let settings = MetaSettings {
            hidden: 8,
            embedding,
            ..MetaSettings::default()
        };
        MetaLearner::new(settings, 6, &mut child(Seed(3), "meta"))
    }

    #[test]
    fn embeddings_have_their_size_are_the_same_again_and_tell_worlds_apart() {
        for size in [16, 64] {
            let (one, other) = (meta(size), meta(size));
            let calm = one.embedding(&episodes(0.1, 5));
            assert_eq!(calm.len(), size);
            assert!(calm.iter().all(|e| e.is_finite()));
            assert_eq!(calm, other.embedding(&episodes(0.1, 5)), "the same seed");
            assert_ne!(calm, one.embedding(&episodes(3.0, 5)), "other episodes");
        }
        assert_eq!(meta(4).embedding(&Best::new(20)), [0.0; 4]);
    }

    /// A step down the gradient of e·g makes e·g smaller, by finite difference in the right measure.
    #[test]
    fn learning_moves_the_embedding_against_the_gradient() {
        let best = episodes(1.0, 4);
        let mut meta = meta(16);
        let before = meta.embedding(&best);
        let gradient: Vec<f32> = before
            .iter()
            .map(|e| if *e > 0.0 { 1.0 } else { 0.0 })
            .collect();
        assert!(gradient.iter().any(|g| *g > 0.0));
        for _ in 0..20 {
            assert!(meta.learn(&best, &gradient));
        }
        let after = meta.embedding(&best);
        assert!(after.iter().sum::<f32>() < before.iter().sum::<f32>());
        assert!(!meta.learn(&best, &[f32::NAN; 16]));
        assert!(!meta.learn(&Best::new(3), &gradient));
    }
}
