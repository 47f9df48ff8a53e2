//! A small learner and a world by rule, shared by the tests of learners.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::spec::{ResourceSpec, Spec, ValidSpec};
use foresail_models::rl::axes::{Axes, Joint, MOVES, Move, Moves};
use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::env::{Env, EnvStep, Facts};
use foresail_models::rl::learner::{Learner, LearnerSettings, Preset};
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::training::TrainingRules;
use foresail_models::rng::Seed;

/// Numbers of the embedding.
pub const EMBEDDING: usize = 8;

/// Replicas 1 to 20 and CPU 100 to 1000 m.
pub fn spec() -> Spec {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 20,
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(TargetId::new("default/Deployment/web"), hpa);
    let cpu = ResourceSpec {
        min: "100m".parse().unwrap(),
        max: "1000m".parse().unwrap(),
        step: "100m".parse().unwrap(),
    };
    spec.targets[0].resources.insert("cpu".to_owned(), cpu);
    spec
}

/// Its two axes.
pub fn axes() -> Axes {
    Axes::of(&ValidSpec::new(spec()).unwrap().targets()[0])
}

/// A learner for the scripted world, small and with a meta-learner.
pub fn settings() -> LearnerSettings {
    LearnerSettings {
        preset: Preset::Firm,
        joint: Joint::Each,
        meta: Some(MetaSettings {
            hidden: 8,
            embedding: EMBEDDING,
            episodes: 4,
            ..MetaSettings::default()
        }),
        state: 4,
        axes: axes().len(),
    }
}

pub fn learner(seed: u64) -> Learner {
    Learner::new(settings(), Seed(seed)).unwrap()
}

/// Two episodes of the heuristic, then the learner without being asked for its value.
pub fn rules() -> TrainingRules {
    TrainingRules {
        steps: 40,
        bootstrap: BootstrapRules {
            episodes: 2,
            window: 2,
            hysteresis: 10.0,
            asks_value: false,
            ..BootstrapRules::default()
        },
        ..TrainingRules::default()
    }
}

/// Two places that shall be where two waves are; the heuristic moves towards them.
pub struct Scripted {
    axes: Axes,
    step: usize,
    at: [f64; 2],
    /// What every step is worth in place of how near the places are.
    pub paid: Option<f64>,
}

impl Scripted {
    pub fn new() -> Self {
        Self {
            axes: axes(),
            step: 0,
            at: [0.0; 2],
            paid: None,
        }
    }

    fn wanted(&self) -> [f64; 2] {
        [0.11, 0.07].map(|k| (self.step as f64 * k).sin())
    }

    pub fn seen(&self) -> Vec<f32> {
        let wanted = self.wanted();
        let all = [wanted[0], wanted[1], self.at[0], self.at[1]];
        all.map(|v| v as f32).to_vec()
    }
}

impl Env for Scripted {
    fn axes(&self) -> &Axes {
        &self.axes
    }

    fn state(&self) -> Option<Vec<f32>> {
        Some(self.seen())
    }

    fn legal(&self) -> Vec<bool> {
        vec![true; self.axes.len() * MOVES]
    }

    fn step(&mut self, moves: Option<&[Move]>) -> EnvStep {
        let wanted = self.wanted();
        let towards = |axis: usize| {
            if wanted[axis] > self.at[axis] {
                Move::Up
            } else {
                Move::Down
            }
        };
        let executed: Moves = moves.map_or_else(|| vec![towards(0), towards(1)], <[Move]>::to_vec);
        for (at, one) in self.at.iter_mut().zip(&executed) {
            *at = (*at + 0.1 * f64::from(one.sign())).clamp(-1.0, 1.0);
        }
        self.step += 1;
        let away: f64 = (0..2).map(|i| (wanted[i] - self.at[i]).abs()).sum();
        EnvStep {
            executed,
            reward: self.paid.unwrap_or(2.0 - away),
            state: Some(self.seen()),
            facts: Facts::default(),
        }
    }

    fn is_over(&self) -> bool {
        false
    }
}
