//! What each tree is grown from: rows and features drawn by the seed.

use rand_chacha::ChaCha8Rng;

use super::parameters::Parameters;
use super::softmax::LabelledRows;
use crate::rng::{Seed, child, uniform};

/// The rows that a round learns from, and all others.
#[derive(Debug, Default)]
pub(super) struct Bag {
    pub taken: Vec<u32>,
    pub left_out: Vec<u32>,
}

/// Draws rows and features, the same again for the same seed.
#[derive(Debug)]
pub(super) struct Draws {
    learnt: usize,
    rows: usize,
    fraction: f64,
    every: usize,
    /// Features that may be split at all, and how many of them a tree gets.
    live: Vec<usize>,
    features: usize,
    taken: usize,
    of_rows: ChaCha8Rng,
    of_features: ChaCha8Rng,
    pub bag: Bag,
}

impl Draws {
    pub(super) fn new(rows: &LabelledRows<'_>, parameters: &Parameters, seed: Seed) -> Self {
        let live: Vec<usize> = rows.features.live().map(|l| l.feature).collect();
        let taken = (live.len() as f64 * parameters.feature_fraction).round() as usize;
        Self {
            learnt: rows.learnt,
            rows: rows.labels.len(),
            fraction: parameters.bagging_fraction,
            every: parameters.bagging_freq,
            taken: taken.max(1).min(live.len()),
            features: rows.features.features(),
            live,
            of_rows: child(seed, "trees/rows"),
            of_features: child(seed, "trees/features"),
            bag: Bag::default(),
        }
    }

    /// Whether every tree learns from the same rows and features.
    pub(super) fn takes_all(&self) -> bool {
        (self.every == 0 || self.fraction >= 1.0) && self.taken == self.live.len()
    }

    /// Draws the rows of a round where it is due.
    pub(super) fn turn(&mut self, round: usize) {
        let draws = self.every > 0 && self.fraction < 1.0;
        if round > 0 && !(draws && round.is_multiple_of(self.every)) {
            return;
        }
        self.bag.taken.clear();
        self.bag.left_out.clear();
        for row in 0..self.learnt as u32 {
            if !draws || uniform(&mut self.of_rows) < self.fraction {
                self.bag.taken.push(row);
            } else {
                self.bag.left_out.push(row);
            }
        }
        self.bag
            .left_out
            .extend(self.learnt as u32..self.rows as u32);
    }

    /// Which features a tree may split: so many of the live ones, each as likely as the other.
    pub(super) fn features(&mut self) -> Vec<bool> {
        let mut chosen = vec![false; self.features];
        let mut left = self.live.clone();
        for _ in 0..self.taken {
            let place = (uniform(&mut self.of_features) * left.len() as f64) as usize;
            chosen[left.swap_remove(place.min(left.len() - 1))] = true;
        }
        chosen
    }
}
