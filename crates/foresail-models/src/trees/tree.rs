//! One tree over values as they are: what LightGBM's text holds of a tree, and no more.

use serde::{Deserialize, Serialize};

/// Splits above one another at most: who walks a tree must not exhaust the stack.
const DEPTH_MAX: usize = 4096;

/// Below it a value counts as zero where zero means missing; source: LightGBM, `kZeroThreshold`.
const ZERO: f64 = 1e-35;

/// What a split takes for a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// Nothing: NaN is taken for zero.
    Never,
    /// Zero, and NaN with it.
    Zero,
    /// NaN.
    Nan,
}

/// A split: values up to the threshold go left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Place of the feature in a row.
    pub feature: u16,
    /// What is missing.
    pub missing: Missing,
    /// Whether a missing value goes left.
    pub missing_left: bool,
    /// The largest value that goes left.
    pub threshold: f64,
    /// The child that a row goes to: a split where not below zero, else the leaf `!child`.
    pub left: i32,
    /// The same for the others.
    pub right: i32,
    /// What the split gained in training.
    pub gain: f64,
    /// Rows that came here in training.
    pub count: u32,
}

/// A leaf.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// What it adds to the raw score of its class.
    pub value: f64,
    /// Rows that came here in training.
    pub count: u32,
    /// Sum of their hessians.
    pub weight: f64,
}

/// One tree: splits with the root first and children after their parents, and leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    splits: Vec<Split>,
    leaves: Vec<Leaf>,
}

impl Missing {
    /// Whether a value is missing.
    #[must_use]
    pub fn is(self, value: f64) -> bool {
        match self {
            Self::Never => false,
            Self::Zero => value.abs() <= ZERO,
            Self::Nan => value.is_nan(),
        }
    }

    /// What a value is taken for: zero for NaN, unless that is missing.
    #[must_use]
    pub fn taken(self, value: f64) -> f64 {
        match self {
            Self::Never | Self::Zero if value.is_nan() => 0.0,
            _ => value,
        }
    }
}

impl Split {
    /// The child that a value goes to.
    #[must_use]
    pub fn child(&self, value: f64) -> i32 {
        let value = self.missing.taken(value);
        let left = if self.missing.is(value) {
            self.missing_left
        } else {
            value <= self.threshold
        };
        if left { self.left } else { self.right }
    }
}

impl Tree {
    /// A tree of its parts.
    ///
    /// # Errors
    /// The text says what does not fit: a child before its parent or out of range, a node that two
    /// splits lead to, a value that is not finite.
    pub fn new(splits: Vec<Split>, leaves: Vec<Leaf>) -> Result<Self, String> {
        let tree = Self { splits, leaves };
        tree.check()?;
        Ok(tree)
    }

    /// A tree of parts that fit together.
    pub(super) fn grown(splits: Vec<Split>, leaves: Vec<Leaf>) -> Self {
        let tree = Self { splits, leaves };
        debug_assert_eq!(tree.check(), Ok(()));
        tree
    }

    /// A tree that says the same of every row.
    #[must_use]
    pub fn constant(value: f64, count: u32) -> Self {
        Self {
            splits: Vec::new(),
            leaves: vec![Leaf {
                value,
                count,
                weight: 0.0,
            }],
        }
    }

    fn check(&self) -> Result<(), String> {
        let (splits, leaves) = (self.splits.len(), self.leaves.len());
        if leaves != splits + 1 || leaves > i32::MAX as usize {
            return Err(format!("{splits} splits and {leaves} leaves"));
        }
        // Children stand after their parents, so that each depth is known when it is asked for.
        let mut depths = vec![0_usize; splits];
        let mut led_to = (vec![splits == 0; splits.max(1)], vec![splits == 0; leaves]);
        for (place, split) in self.splits.iter().enumerate() {
            if split.threshold.is_nan() || split.gain.is_nan() {
                return Err(format!("split {place} has a threshold or gain of NaN"));
            }
            if depths[place] > DEPTH_MAX {
                return Err(format!("split {place} is more than {DEPTH_MAX} deep"));
            }
            for child in [split.left, split.right] {
                if let Some(next) = usize::try_from(child).ok().filter(|next| *next < splits) {
                    depths[next] = depths[place] + 1;
                }
                let known = match usize::try_from(child) {
                    Ok(next) if next > place => led_to.0.get_mut(next),
                    Ok(_) => None,
                    Err(_) => led_to.1.get_mut(!child as usize),
                };
                match known {
                    Some(seen) if !*seen => *seen = true,
                    _ => return Err(format!("split {place} has a child {child} that cannot be")),
                }
            }
        }
        let sound = |leaf: &Leaf| leaf.value.is_finite() && leaf.weight.is_finite();
        match self.leaves.iter().position(|leaf| !sound(leaf)) {
            Some(leaf) => Err(format!("leaf {leaf} has a value that is not finite")),
            None => Ok(()),
        }
    }

    /// Whether what was read back is a tree over so many features.
    #[must_use]
    pub fn is_sound(&self, features: usize) -> bool {
        let within = |s: &Split| usize::from(s.feature) < features;
        self.check().is_ok() && self.splits.iter().all(within)
    }

    /// Its splits; the first is the root, children come after their parents.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Its leaves.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Adds to every leaf.
    pub(super) fn shift(&mut self, by: f64) {
        self.leaves.iter_mut().for_each(|leaf| leaf.value += by);
    }

    /// What it adds to the score of a row: the plain walk, by which all others are judged.
    #[must_use]
    pub fn at(&self, row: &[f64]) -> f64 {
        let mut node = if self.splits.is_empty() { -1 } else { 0 };
        while let Ok(place) = usize::try_from(node) {
            let split = &self.splits[place];
            node = split.child(row[usize::from(split.feature)]);
        }
        self.leaves[!node as usize].value
    }

    /// Splits on the way to each split, the root's none.
    pub(super) fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.splits.len()];
        for (place, split) in self.splits.iter().enumerate() {
            for child in [split.left, split.right] {
                if let Ok(next) = usize::try_from(child) {
                    depths[next] = depths[place] + 1;
                }
            }
        }
        depths
    }

    /// Rows that came to a node in training.
    pub(super) fn count(&self, node: i32) -> f64 {
        f64::from(match usize::try_from(node) {
            Ok(place) => self.splits[place].count,
            Err(_) => self.leaves[!node as usize].count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(missing: Missing, missing_left: bool) -> Split {
        Split {
            feature: 0,
            missing,
            missing_left,
            threshold: -1.0,
            left: -1,
            right: -2,
            gain: 0.0,
            count: 0,
        }
    }

    #[test]
    fn missing_values_go_as_lightgbm_has_them() {
        let goes = |s: Split, v: f64| s.child(v) == -1;
        assert!(!goes(split(Missing::Never, true), f64::NAN));
        assert!(goes(split(Missing::Zero, true), f64::NAN));
        assert!(goes(split(Missing::Zero, true), -1e-36));
        assert!(!goes(split(Missing::Zero, true), 1e-34));
        assert!(goes(split(Missing::Nan, true), f64::NAN));
        assert!(!goes(split(Missing::Nan, true), 0.0));
        assert!(goes(split(Missing::Nan, false), -1.0));
    }

    #[test]
    fn a_chain_of_splits_that_would_exhaust_the_stack_is_refused() {
        let leaf = Leaf {
            value: 1.0,
            count: 1,
            weight: 1.0,
        };
        let chain = |depth: i32| {
            let link = |place: i32| Split {
                left: if place + 1 < depth { place + 1 } else { !depth },
                right: !place,
                ..split(Missing::Never, false)
            };
            let leaves = vec![leaf; depth as usize + 1];
            Tree::new((0..depth).map(link).collect(), leaves)
        };
        assert!(chain(4000).is_ok());
        assert!(chain(5000).is_err());
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let leaf = Leaf {
            value: 1.0,
            count: 1,
            weight: 1.0,
        };
        let one = split(Missing::Never, false);
        assert!(Tree::new(vec![one], vec![leaf, leaf]).is_ok());
        for (left, right) in [(0, -2), (-1, -1), (-1, -3), (1, -1), (-1, i32::MIN)] {
            let bad = Split { left, right, ..one };
            assert!(Tree::new(vec![bad], vec![leaf, leaf]).is_err());
        }
        assert!(Tree::new(vec![one], vec![leaf]).is_err());
        assert!(Tree::new(Vec::new(), Vec::new()).is_err());
    }
}
