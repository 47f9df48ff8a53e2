//! What each feature of a row added to a score: exact Shapley values of trees.
//!
//! Source: Lundberg, Erion & Lee 2018, algorithm 2, with the rows of training as weights of the
//! branches: LightGBM's `pred_contrib`.

use super::SoftmaxTrees;
use super::tree::Tree;

/// One feature on the way to a node.
#[derive(Clone, Copy, Debug)]
struct Step {
    feature: Option<u16>,
    /// Share of the ways that get here where the feature is not known, and where it is.
    zero: f64,
    one: f64,
    /// Weight of the sets of features of this size.
    weight: f64,
}

/// Adds a feature to the way.
fn extend(way: &mut Vec<Step>, zero: f64, one: f64, feature: Option<u16>) {
    let depth = way.len();
    way.push(Step {
        feature,
        zero,
        one,
        weight: if depth == 0 { 1.0 } else { 0.0 },
    });
    let size = (depth + 1) as f64;
    for i in (0..depth).rev() {
        way[i + 1].weight += one * way[i].weight * (i + 1) as f64 / size;
        way[i].weight *= zero * (depth - i) as f64 / size;
    }
}

/// The weights of a way without one of its features.
fn unwound(way: &[Step], place: usize) -> Vec<f64> {
    let depth = way.len() - 1;
    let size = (depth + 1) as f64;
    let Step { zero, one, .. } = way[place];
    let mut weights: Vec<f64> = way.iter().map(|s| s.weight).collect();
    let mut next = weights[depth];
    for i in (0..depth).rev() {
        if one > 0.0 {
            let kept = weights[i];
            weights[i] = next * size / ((i + 1) as f64 * one);
            next = kept - weights[i] * zero * (depth - i) as f64 / size;
        } else {
            weights[i] = weights[i] * size / (zero * (depth - i) as f64);
        }
    }
    weights.truncate(depth);
    weights
}

/// Takes a feature out of the way.
fn unwind(way: &mut Vec<Step>, place: usize) {
    let weights = unwound(way, place);
    way.remove(place);
    for (step, weight) in way.iter_mut().zip(weights) {
        step.weight = weight;
    }
}

/// A walk that follows both children of every split.
struct Walk<'a> {
    tree: &'a Tree,
    row: &'a [f64],
    shares: &'a mut [f64],
}

impl Walk<'_> {
    fn visit(&mut self, node: i32, mut way: Vec<Step>, [zero, one]: [f64; 2], by: Option<u16>) {
        extend(&mut way, zero, one, by);
        let Ok(place) = usize::try_from(node) else {
            return self.leaf(&way, self.tree.leaves()[!node as usize].value);
        };
        let split = self.tree.splits()[place];
        let (mut zero, mut one) = (1.0, 1.0);
        let before = way.iter().position(|s| s.feature == Some(split.feature));
        if let Some(before) = before {
            (zero, one) = (way[before].zero, way[before].one);
            unwind(&mut way, before);
        }
        let taken = split.child(self.row[usize::from(split.feature)]);
        let all = self.tree.count(node);
        for child in [split.left, split.right] {
            let known = if child == taken { one } else { 0.0 };
            let share = zero * self.tree.count(child) / all;
            // No row of training went there, nor does this one: nothing to weigh.
            if share > 0.0 || known > 0.0 {
                self.visit(child, way.clone(), [share, known], Some(split.feature));
            }
        }
    }

    fn leaf(&mut self, way: &[Step], value: f64) {
        for (place, step) in way.iter().enumerate() {
            if let Some(feature) = step.feature {
                let weight: f64 = unwound(way, place).iter().sum();
                self.shares[usize::from(feature)] += weight * (step.one - step.zero) * value;
            }
        }
    }
}

/// Mean of a tree over the rows of its training.
fn expected(tree: &Tree) -> f64 {
    let whole: f64 = tree.leaves().iter().map(|l| f64::from(l.count)).sum();
    if tree.splits().is_empty() || whole <= 0.0 {
        return tree.leaves()[0].value;
    }
    let each = tree.leaves().iter();
    each.map(|l| f64::from(l.count) / whole * l.value).sum()
}

impl SoftmaxTrees {
    /// What each feature of a row adds to the raw score of a class, and what stands before any is
    /// known; together they are the score.
    ///
    /// Shapes: one number for each feature of `row`. A model without the rows of its nodes (counts of
    /// zero) gives shares of zero beyond the way of the row.
    #[must_use]
    pub fn contributions(&self, row: &[f64], class: usize) -> (Vec<f64>, f64) {
        let (mut shares, mut start) = (vec![0.0; self.features()], 0.0);
        for tree in self.trees().iter().skip(class).step_by(self.classes()) {
            start += expected(tree);
            if !tree.splits().is_empty() {
                let shares = &mut shares;
                Walk { tree, row, shares }.visit(0, Vec::new(), [1.0, 1.0], None);
            }
        }
        (shares, start)
    }
}
