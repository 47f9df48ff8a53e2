//! `random`: uniform points, the baseline that a tuner must beat.

use foresail_core::propose::advice::{Best, Measurement, Trial, Tuner};
use rand_chacha::ChaCha8Rng;

use super::space::Space;
use super::{TRIALS, TunerBuilt, TunerEntry};
use crate::knobs::Knobs;
use crate::rng::{Seed, child, uniform};
use crate::tune::told::Told;

/// The registry's entry.
pub const ENTRY: TunerEntry = TunerEntry {
    name: "random",
    summary: "uniform points of the box",
    knobs: &[TRIALS],
    build,
};

fn build(knobs: &Knobs, space: &Space, seed: Seed) -> TunerBuilt {
    Ok(Box::new(Random {
        space: space.clone(),
        stream: child(seed, "tune random"),
        left: knobs.whole("trials"),
        asked: 0,
        told: Told::default(),
    }))
}

/// Asks for one uniform point at a time.
#[derive(Debug)]
struct Random {
    space: Space,
    stream: ChaCha8Rng,
    left: u64,
    asked: u64,
    told: Told,
}

impl Tuner for Random {
    fn ask(&mut self) -> Vec<Trial> {
        if self.left == 0 {
            return Vec::new();
        }
        self.left -= 1;
        self.asked += 1;
        let draw = |_| uniform(&mut self.stream);
        let point: Vec<f64> = (0..self.space.dimensions()).map(draw).collect();
        vec![Trial {
            number: self.asked,
            plan: self.space.plan(&point),
            spend_milli: 0,
        }]
    }

    fn tell(&mut self, trial: &Trial, measurement: &Measurement) {
        self.told.add(trial, measurement);
    }

    fn best(&self) -> Option<Best> {
        self.told.best()
    }

    fn reopen(&mut self, trials: u64) {
        self.left += trials;
    }
}
