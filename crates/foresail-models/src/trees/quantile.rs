//! Ensembles that tell one quantile: the gradient of the pinball loss, leaves that hold a quantile.

use serde::{Deserialize, Serialize};

use super::bins::{Binned, Bins};
use super::grow::{Cell, Grower, Grown, Limits, Rule, Scratch};
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

/// A split, or a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Node {
    Split {
        feature: u16,
        /// Bins up to this one go left.
        bin: u8,
        left: u16,
        right: u16,
    },
    Leaf(f64),
}

/// One tree; its root is the first node, and children stand after their parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    fn walk(&self, bin: impl Fn(usize) -> u8) -> f64 {
        let mut place = 0;
        loop {
            match self.nodes[place] {
                Node::Leaf(value) => return value,
                Node::Split {
                    feature,
                    bin: last,
                    left,
                    right,
                } => {
                    let goes_left = bin(usize::from(feature)) <= last;
                    place = usize::from(if goes_left { left } else { right });
                }
            }
        }
    }

    fn at(&self, row: &[u8]) -> f64 {
        self.walk(|feature| row[feature])
    }

    fn at_binned(&self, binned: &Binned, row: usize) -> f64 {
        self.walk(|feature| binned.bin_of(feature, row))
    }

    fn is_sound(&self, features: usize) -> bool {
        let count = self.nodes.len();
        let fits = |(place, node): (usize, &Node)| match node {
            Node::Leaf(value) => value.is_finite(),
            Node::Split {
                feature,
                left,
                right,
                ..
            } => {
                let after = |child: u16| usize::from(child) > place && usize::from(child) < count;
                usize::from(*feature) < features && after(*left) && after(*right)
            }
        };
        count > 0 && self.nodes.iter().enumerate().all(fits)
    }
}

/// Sum of gradients and number of rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums(f64, u32);

impl Cell for Sums {
    fn plus(&mut self, other: Self) {
        self.0 += other.0;
        self.1 += other.1;
    }

    fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0, self.1 - other.1)
    }

    fn is_empty(self) -> bool {
        // Where cells were subtracted a sum may be left over no rows.
        self.1 == 0 && self.0.abs() <= 0.0
    }
}

/// Gradients of equal weight: a split gains Σ G²/n over the children minus that of the leaf.
#[derive(Debug)]
struct Pinball<'a> {
    gradients: &'a [f64],
    rows_min: u32,
}

impl Rule for Pinball<'_> {
    type Cell = Sums;

    fn cell(&self, row: u32) -> Sums {
        Sums(self.gradients[row as usize], 1)
    }

    fn gain(&self, left: Sums, whole: Sums) -> f64 {
        let right = whole.minus(left);
        let worth = |sums: Sums| sums.0 * sums.0 / f64::from(sums.1.max(1));
        if left.1 >= self.rows_min && right.1 >= self.rows_min {
            worth(left) + worth(right) - worth(whole)
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// A grown tree whose leaves hold what `value` says of their rows.
fn tree(grown: &Grown, value: &dyn Fn(&[u32]) -> f64) -> Tree {
    let mut nodes = vec![Node::Leaf(0.0); 2 * grown.parents.len() + 1];
    for (k, parent) in grown.parents.iter().enumerate() {
        nodes[parent.node] = Node::Split {
            feature: parent.split.feature as u16,
            bin: parent.split.bin,
            left: (2 * k + 1) as u16,
            right: (2 * k + 2) as u16,
        };
    }
    for leaf in &grown.leaves {
        nodes[leaf.node] = Node::Leaf(value(&leaf.rows));
    }
    Tree { nodes }
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
        let (features, mut scratch) = (vec![true; rows.features.features()], Scratch::default());
        let limits = Limits {
            leaves: growth.leaves,
            rows_min: growth.leaf_rows_min,
            depth: usize::MAX,
        };
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
            let rule = Pinball {
                gradients: &gradients,
                rows_min: growth.leaf_rows_min as u32,
            };
            let mut grower = Grower::new(rows.features, &rule, limits, &features, &mut scratch);
            let Some(grown) = grower.grow((0..learnt as u32).collect()) else {
                break;
            };
            let tree = tree(&grown, &value);
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
