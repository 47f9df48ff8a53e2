//! Ensembles that tell one class of several: a tree for each class and round, on the gradients of
//! the log-loss.
//!
//! Gradients and hessians are summed as whole numbers, so that a sum has no order: the classes of a
//! round are grown at once, with the same bytes as one after another.
//! Sources: Friedman 2001, section 4.6; Ke et al. 2017 and LightGBM 4.7 for the names and meanings of
//! the parameters.

use foresail_core::quantity::units::larger;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bins::{Binned, Bins};
use super::draw::{Bag, Draws};
use super::grow::{Grower, Grown, Limits, Scratch};
use super::loss::{LogLoss, Sums};
use super::parameters::Parameters;
use super::tree::{Leaf, Missing, Split, Tree};
use crate::rng::Seed;

/// The least that a class's share counts as where it has no row; source: LightGBM, `kEpsilon`.
const SHARE_MIN: f64 = 1e-15;

/// The threshold of a split that parts values from missing ones; source: LightGBM, `AvoidInf`.
const THRESHOLD_MAX: f64 = 1e300;

/// Rows to learn from.
#[derive(Clone, Copy, Debug)]
pub struct LabelledRows<'a> {
    /// The bins' edges.
    pub bins: &'a Bins,
    /// Binned features.
    pub features: &'a Binned,
    /// The class of each row, below `classes`.
    pub labels: &'a [u8],
    /// Number of classes.
    pub classes: usize,
    /// The first so many rows are learnt from, the others say when to end.
    pub learnt: usize,
}

/// An ensemble of trees that tells raw scores of classes; their softmax is the probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoftmaxTrees {
    features: usize,
    classes: usize,
    /// Tree `i` belongs to class `i` modulo the classes; where a class starts is in its first tree.
    trees: Vec<Tree>,
}

/// Softmax in place.
pub fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, larger);
    scores.iter_mut().for_each(|s| *s = (*s - top).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
}

/// What came of growing an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The trees up to the best round.
    pub trees: SoftmaxTrees,
    /// Rounds that were grown.
    pub rounds: usize,
    /// Rounds that were kept.
    pub kept: usize,
    /// Log-loss on the rows held out after the kept rounds, in nats a row; `None` without any.
    pub held_out: Option<f64>,
}

impl LabelledRows<'_> {
    fn check(&self) -> Result<(), String> {
        let rows = self.labels.len();
        if self.features.rows() != rows {
            return Err(format!("{rows} labels for {} rows", self.features.rows()));
        }
        if self.learnt == 0 || self.learnt > rows {
            return Err(format!("{} of {rows} rows to learn from", self.learnt));
        }
        if rows > super::loss::ROWS_MAX {
            return Err(format!(
                "{rows} rows, at most {} can be learnt from",
                super::loss::ROWS_MAX
            ));
        }
        if self.classes < 2 || self.labels.iter().any(|l| usize::from(*l) >= self.classes) {
            return Err(format!("labels must be below the {} classes", self.classes));
        }
        Ok(())
    }

    /// Where the score of each class starts: the logarithm of its share of the rows learnt from.
    fn starts(&self) -> Vec<f64> {
        let learnt = &self.labels[..self.learnt];
        let share = |class: usize| {
            let count = learnt.iter().filter(|l| usize::from(**l) == class).count();
            count as f64 / self.learnt as f64
        };
        (0..self.classes)
            .map(|class| larger(share(class), SHARE_MIN).ln())
            .collect()
    }
}

/// One class while it is grown.
#[derive(Debug)]
struct Class {
    /// Raw score of every row.
    scores: Vec<f64>,
    /// Probability of every row in the round.
    shares: Vec<f64>,
    loss: LogLoss,
    scratch: Scratch<Sums>,
    trees: Vec<Tree>,
}

impl Class {
    fn new(start: f64, rows: usize) -> Self {
        Self {
            scores: vec![start; rows],
            shares: vec![0.0; rows],
            loss: LogLoss::default(),
            scratch: Scratch::default(),
            trees: Vec::new(),
        }
    }

    /// Grows the round's tree on the rows of the bag and moves the scores of all rows by it.
    fn step(
        &mut self,
        class: usize,
        rows: &LabelledRows<'_>,
        parameters: &Parameters,
        bag: &Bag,
        features: &[bool],
    ) {
        let labels = rows.labels;
        let is_class = |row: usize| usize::from(labels[row]) == class;
        self.loss
            .follow(&bag.taken, &self.shares, is_class, rows.classes, parameters);
        let limits = Limits {
            leaves: parameters.num_leaves,
            rows_min: parameters.min_data_in_leaf,
            depth: match parameters.max_depth {
                0 => usize::MAX,
                depth => depth,
            },
        };
        let mut grower = Grower::new(
            rows.features,
            &self.loss,
            limits,
            features,
            &mut self.scratch,
        );
        let Some(grown) = grower.grow(bag.taken.clone()) else {
            self.trees.push(Tree::constant(0.0, bag.taken.len() as u32));
            return;
        };
        let tree = tree(&grown, rows, &self.loss, parameters);
        let others = grower.follow(&grown, bag.left_out.clone());
        let each = tree.leaves().iter().zip(grown.leaves.iter().zip(&others));
        for (leaf, (learnt, other)) in each {
            for row in learnt.rows.iter().chain(other) {
                self.scores[*row as usize] += leaf.value;
            }
        }
        self.trees.push(tree);
    }
}

/// A grown tree over values as they are.
fn tree(grown: &Grown, rows: &LabelledRows<'_>, loss: &LogLoss, parameters: &Parameters) -> Tree {
    let leaf = |leaf: &crate::trees::grow::Leaf| {
        let (step, hessian) = loss.step(&leaf.rows);
        Leaf {
            value: parameters.learning_rate * step,
            count: leaf.rows.len() as u32,
            weight: hessian,
        }
    };
    let leaves: Vec<Leaf> = grown.leaves.iter().map(leaf).collect();
    let nodes = 2 * grown.parents.len() + 1;
    let (mut codes, mut counts) = (vec![0_i32; nodes], vec![0_u32; nodes]);
    for (place, leaf) in grown.leaves.iter().enumerate() {
        codes[leaf.node] = !(place as i32);
        counts[leaf.node] = leaves[place].count;
    }
    for (place, parent) in grown.parents.iter().enumerate().rev() {
        codes[parent.node] = place as i32;
        counts[parent.node] = counts[2 * place + 1] + counts[2 * place + 2];
    }
    let split = |(k, parent): (usize, &crate::trees::grow::Parent)| {
        let split = parent.split;
        let (left, right) = (2 * k + 1, 2 * k + 2);
        Split {
            feature: split.feature as u16,
            missing: Missing::Nan,
            // Where training lacked none, missing values go with the most.
            missing_left: split.missing_left.unwrap_or(counts[left] >= counts[right]),
            threshold: rows
                .bins
                .edge(split.feature, split.bin)
                .unwrap_or(THRESHOLD_MAX),
            left: codes[left],
            right: codes[right],
            gain: split.gain,
            count: counts[parent.node],
        }
    };
    let splits = grown.parents.iter().enumerate().map(split).collect();
    Tree::grown(splits, leaves)
}

/// Probabilities of every row.
fn refresh(classes: &mut [Class], rows: usize) {
    let mut scores = vec![0.0; classes.len()];
    for row in 0..rows {
        for (score, class) in scores.iter_mut().zip(&*classes) {
            *score = class.scores[row];
        }
        softmax(&mut scores);
        for (score, class) in scores.iter().zip(&mut *classes) {
            class.shares[row] = *score;
        }
    }
}

/// Mean log-loss of the rows held out; `None` without any.
fn held_out(classes: &[Class], rows: &LabelledRows<'_>) -> Option<f64> {
    let held: Vec<usize> = (rows.learnt..rows.labels.len()).collect();
    let of_row = |row: &usize| {
        let share = classes[usize::from(rows.labels[*row])].shares[*row];
        -larger(share, SHARE_MIN).ln()
    };
    let sum: f64 = held.iter().map(of_row).sum();
    (!held.is_empty()).then(|| sum / held.len() as f64)
}

impl SoftmaxTrees {
    /// Grows an ensemble; the same rows and seed give the same bytes on any number of threads.
    ///
    /// A class without a row keeps a probability of about 1e-15.
    ///
    /// # Errors
    /// Where rows, labels and parameters do not fit together; the text says how.
    pub fn fit(
        rows: &LabelledRows<'_>,
        parameters: &Parameters,
        seed: Seed,
    ) -> Result<Trained, String> {
        parameters.check()?;
        rows.check()?;
        let starts = rows.starts();
        let count = rows.labels.len();
        let mut classes: Vec<Class> = starts.iter().map(|s| Class::new(*s, count)).collect();
        let mut draws = Draws::new(rows, parameters, seed);
        refresh(&mut classes, count);
        let (mut best, mut kept, mut grown) = (held_out(&classes, rows), 1, 0);
        for round in 0..parameters.num_iterations {
            draws.turn(round);
            let features: Vec<Vec<bool>> = starts.iter().map(|_| draws.features()).collect();
            let each = classes.par_iter_mut().zip(&features).enumerate();
            each.for_each(|(k, (class, features))| {
                class.step(k, rows, parameters, &draws.bag, features);
            });
            refresh(&mut classes, count);
            grown = round + 1;
            let loss = held_out(&classes, rows);
            if loss.zip(best).is_none_or(|(loss, best)| loss < best) {
                (best, kept) = (loss, grown);
            } else if parameters.early_stopping_round > 0
                && grown - kept >= parameters.early_stopping_round
            {
                break;
            }
            let learns = |class: &Class| class.trees.last().is_some_and(|t| t.leaves().len() > 1);
            // Without bags the next round would find the same nothing.
            if draws.takes_all() && !classes.iter().any(learns) {
                break;
            }
        }
        for (class, start) in classes.iter_mut().zip(&starts) {
            class.trees[0].shift(*start);
        }
        let trees = (0..kept).flat_map(|round| classes.iter().map(move |c| c.trees[round].clone()));
        Ok(Trained {
            trees: Self {
                features: rows.features.features(),
                classes: starts.len(),
                trees: trees.collect(),
            },
            rounds: grown,
            kept,
            held_out: best,
        })
    }

    /// An ensemble of its trees, class after class in each round.
    ///
    /// # Errors
    /// Where their number is no multiple of the classes or one splits a feature that is not there.
    pub fn new(features: usize, classes: usize, trees: Vec<Tree>) -> Result<Self, String> {
        let whole = Self {
            features,
            classes,
            trees,
        };
        if classes == 0 || !whole.trees.len().is_multiple_of(classes) {
            return Err(format!("{} trees for {classes} classes", whole.trees.len()));
        }
        match whole.trees.iter().position(|t| !t.is_sound(features)) {
            Some(tree) => Err(format!("tree {tree} is none over {features} features")),
            None => Ok(whole),
        }
    }

    /// Whether what was read back can be used.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.classes > 0
            && self.trees.len().is_multiple_of(self.classes)
            && self.trees.iter().all(|t| t.is_sound(self.features))
    }

    /// Number of features of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Its trees; the `i`-th belongs to class `i` modulo the classes.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Raw scores of a row by plain walks. Shapes: `row` has one value for each feature.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0; self.classes];
        for (place, tree) in self.trees.iter().enumerate() {
            scores[place % self.classes] += tree.at(row);
        }
        scores
    }

    /// Probabilities of a row; they sum to one.
    #[must_use]
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        let mut scores = self.scores(row);
        softmax(&mut scores);
        scores
    }

    /// What the splits on each feature gained in training.
    #[must_use]
    pub fn gains(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.features];
        for split in self.trees.iter().flat_map(Tree::splits) {
            gains[usize::from(split.feature)] += split.gain;
        }
        gains
    }
}
