//! A quick walk through all trees of an ensemble, equal bit for bit to the plain one.
//!
//! A value is turned once into its rank among the thresholds of its feature; nodes then compare ranks,
//! so that no threshold loses a bit. A node is eight bytes with both children side by side, a leaf
//! leads to itself, and several trees of equal depth are walked in step, which hides the wait for
//! memory. Leaf values are added in the order of the trees.

use super::SoftmaxTrees;
use super::tree::{Missing, Split, Tree};

/// Trees that are walked in step.
const LANES: usize = 16;

/// Thresholds of a feature at most; one rank above them all is for what always goes right.
const RANKS_MAX: usize = u16::MAX as usize - 1;

/// A split by rank, or a leaf that leads to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    slot: u16,
    /// The largest rank that goes left.
    rank: u16,
    /// The left child; the right one stands after it.
    child: u32,
}

/// How one feature's value becomes a rank: by what is missing and where that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    feature: u16,
    missing: Missing,
    missing_left: bool,
}

/// Trees that take equally many steps, about.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    roots: [u32; LANES],
    /// Place of each tree in the ensemble; lanes without a tree repeat one.
    trees: [u32; LANES],
    steps: usize,
}

/// An ensemble laid out for walking.
#[derive(Clone, Debug)]
pub struct Packed {
    classes: usize,
    trees: usize,
    /// Thresholds of each feature, rising.
    thresholds: Vec<Vec<f64>>,
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// What each node adds where it is a leaf.
    values: Vec<f64>,
    lanes: Vec<Lanes>,
}

impl Packed {
    /// Lays an ensemble out.
    ///
    /// # Errors
    /// Where a feature has more than 65,534 thresholds.
    pub fn new(ensemble: &SoftmaxTrees) -> Result<Self, String> {
        let mut thresholds = vec![Vec::new(); ensemble.features()];
        for split in ensemble.trees().iter().flat_map(Tree::splits) {
            thresholds[usize::from(split.feature)].push(split.threshold);
        }
        for (feature, thresholds) in thresholds.iter_mut().enumerate() {
            thresholds.sort_by(f64::total_cmp);
            // Equal as values are compared: the two zeros part rows alike.
            thresholds.dedup();
            if thresholds.len() > RANKS_MAX {
                let count = thresholds.len();
                return Err(format!(
                    "feature {feature} has {count} thresholds, at most {RANKS_MAX} are walked"
                ));
            }
        }
        let mut packed = Self {
            classes: ensemble.classes(),
            trees: ensemble.trees().len(),
            thresholds,
            slots: Vec::new(),
            nodes: Vec::new(),
            values: Vec::new(),
            lanes: Vec::new(),
        };
        let depth = |tree: &Tree| tree.depths().iter().max().map_or(0, |d| d + 1);
        let steps: Vec<usize> = ensemble.trees().iter().map(depth).collect();
        let roots: Vec<u32> = ensemble.trees().iter().map(|t| packed.place(t)).collect();
        let mut order: Vec<usize> = (0..packed.trees).collect();
        order.sort_by_key(|tree| steps[*tree]);
        for group in order.chunks(LANES) {
            let tree = |lane: usize| group[lane.min(group.len() - 1)];
            packed.lanes.push(Lanes {
                roots: std::array::from_fn(|lane| roots[tree(lane)]),
                trees: std::array::from_fn(|lane| tree(lane) as u32),
                steps: group.iter().map(|tree| steps[*tree]).max().unwrap_or(0),
            });
        }
        Ok(packed)
    }

    /// Lays out one tree, level by level; its root's place.
    fn place(&mut self, tree: &Tree) -> u32 {
        let root = self.nodes.len();
        let first = if tree.splits().is_empty() { -1 } else { 0 };
        let mut level = vec![first];
        self.reserve(1);
        let mut at = root;
        while !level.is_empty() {
            let mut next = Vec::new();
            for node in level {
                match usize::try_from(node) {
                    Ok(place) => {
                        let split = &tree.splits()[place];
                        self.nodes[at] = self.node(split);
                        self.reserve(2);
                        next.extend([split.left, split.right]);
                    }
                    Err(_) => self.values[at] = tree.leaves()[!node as usize].value,
                }
                at += 1;
            }
            level = next;
        }
        root as u32
    }

    /// Adds leaves that add nothing.
    fn reserve(&mut self, count: usize) {
        for _ in 0..count {
            self.nodes.push(Node {
                slot: 0,
                rank: u16::MAX,
                child: self.nodes.len() as u32,
            });
            self.values.push(0.0);
        }
    }

    fn node(&mut self, split: &Split) -> Node {
        let slot = Slot {
            feature: split.feature,
            missing: split.missing,
            missing_left: split.missing_left,
        };
        let known = self.slots.iter().position(|s| *s == slot);
        let slot = known.unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        let thresholds = &self.thresholds[usize::from(split.feature)];
        Node {
            slot: slot as u16,
            rank: thresholds.partition_point(|t| *t < split.threshold) as u16,
            child: self.nodes.len() as u32,
        }
    }

    /// What each slot makes of a row.
    fn ranks(&self, row: &[f64]) -> Vec<u16> {
        let rank = |slot: &Slot| {
            let value = row[usize::from(slot.feature)];
            let taken = slot.missing.taken(value);
            match slot.missing.is(taken) {
                true if slot.missing_left => 0,
                true => u16::MAX,
                false => {
                    let thresholds = &self.thresholds[usize::from(slot.feature)];
                    thresholds.partition_point(|t| *t < taken) as u16
                }
            }
        };
        self.slots.iter().map(rank).collect()
    }

    /// Raw scores of a row. Shapes: `row` has one value for each feature.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let mut ranks = self.ranks(row);
        // The slot that leaves look at, where nothing splits.
        ranks.resize(ranks.len().max(1), 0);
        let mut found = vec![0.0; self.trees];
        for lanes in &self.lanes {
            let mut at = lanes.roots;
            for _ in 0..lanes.steps {
                for place in &mut at {
                    let node = self.nodes[*place as usize];
                    let goes_right = ranks[usize::from(node.slot)] > node.rank;
                    *place = node.child + u32::from(goes_right);
                }
            }
            for (place, tree) in at.iter().zip(lanes.trees) {
                found[tree as usize] = self.values[*place as usize];
            }
        }
        let mut scores = vec![0.0; self.classes];
        for round in found.chunks(self.classes) {
            scores.iter_mut().zip(round).for_each(|(s, v)| *s += v);
        }
        scores
    }
}
