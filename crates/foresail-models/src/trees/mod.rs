//! Gradient-boosted trees over binned features, grown leaf by leaf.
//!
//! Why our own: docs/decisions/0011-own-trees.md. Bit-deterministic: one thread, sums in the order
//! of the rows.
//! Sources: Ke et al. 2017, LightGBM (histograms, leaf-wise growth); Friedman 2001, greedy function
//! approximation (leaf values by the loss itself).

pub mod bins;
mod grow;

use serde::{Deserialize, Serialize};

use self::bins::{Binned, Bins};
use self::grow::{Tree, grow};
use crate::forecast::quantile::of_values;
use crate::forecast::score::check;

/// How an ensemble is grown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Trees.
    pub rounds: usize,
    /// Leaves of a tree at most.
    pub leaves: usize,
    /// Share of each tree's answer that counts.
    pub rate: f64,
    /// Rows of a leaf at least.
    pub leaf_rows_min: usize,
    /// Rounds without a gain on the rows held out after which it ends.
    pub patience: usize,
}

impl Default for Growth {
    /// LightGBM's defaults for leaves, rate and rows of a leaf.
    fn default() -> Self {
        Self {
            rounds: 100,
            leaves: 31,
            rate: 0.1,
            leaf_rows_min: 20,
            patience: 15,
        }
    }
}

/// An ensemble of trees that tells one quantile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileTrees {
    level: f64,
    /// Where it starts: the quantile of all targets.
    start: f64,
    trees: Vec<Tree>,
}

/// Rows to learn from, in the order of time.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Binned features.
    pub features: &'a Binned,
    /// Targets, one for each row.
    pub targets: &'a [f64],
    /// The first so many rows are learnt from, the others say when to end.
    pub learnt: usize,
}

/// Mean pinball loss of answers.
fn loss(targets: &[f64], told: &[f64], level: f64) -> f64 {
    let pairs = targets.iter().zip(told);
    let each = pairs.map(|(actual, told)| check(level, *told, *actual));
    each.sum::<f64>() / targets.len().max(1) as f64
}

impl QuantileTrees {
    /// Grows an ensemble for the quantile at `level`.
    ///
    /// Each tree follows the gradient of the pinball loss; its leaves then take the quantile of what
    /// is left in them.
    #[must_use]
    pub fn fit(rows: &Rows<'_>, level: f64, growth: &Growth) -> Self {
        let (targets, learnt) = (rows.targets, rows.learnt.min(rows.targets.len()));
        let start = of_values(targets[..learnt].to_vec(), level);
        let mut told = vec![start; targets.len()];
        let mut trees: Vec<Tree> = Vec::new();
        let held_out = |told: &[f64]| loss(&targets[learnt..], &told[learnt..], level);
        let (mut best, mut best_rounds) = (held_out(&told), 0);
        for round in 0..growth.rounds {
            let gradients: Vec<f64> = targets[..learnt]
                .iter()
                .zip(&told)
                .map(|(actual, told)| if actual > told { level } else { level - 1.0 })
                .collect();
            let left = |row: usize| targets[row] - told[row];
            let value = |rows: &[u32]| {
                let left: Vec<f64> = rows.iter().map(|r| left(*r as usize)).collect();
                growth.rate * of_values(left, level)
            };
            let Some(tree) = grow(rows.features, &gradients, growth, &value) else {
                break;
            };
            for (row, told) in told.iter_mut().enumerate() {
                *told += tree.at_binned(rows.features, row);
            }
            trees.push(tree);
            if learnt < targets.len() {
                let loss = held_out(&told);
                if loss < best {
                    (best, best_rounds) = (loss, round + 1);
                } else if round + 1 - best_rounds >= growth.patience {
                    break;
                }
            } else {
                best_rounds = round + 1;
            }
        }
        trees.truncate(best_rounds);
        Self {
            level,
            start,
            trees,
        }
    }

    /// The quantile for a row of features. Units: those of the targets.
    #[must_use]
    pub fn at(&self, bins: &Bins, features: &[f64]) -> f64 {
        let row: Vec<u8> = bins.row(features);
        self.start + self.trees.iter().map(|t| t.at(&row)).sum::<f64>()
    }

    /// The same for a row that is binned already.
    #[must_use]
    pub fn at_row(&self, row: &[u8]) -> f64 {
        self.start + self.trees.iter().map(|t| t.at(row)).sum::<f64>()
    }

    /// The level that it tells.
    #[must_use]
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Number of trees.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    /// `true` where it tells one number for every row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Whether what was read back fits so many features.
    #[must_use]
    pub fn is_sound(&self, features: usize) -> bool {
        self.start.is_finite() && self.trees.iter().all(|t| t.is_sound(features))
    }
}
