//! How one tree grows: the leaf whose best split gains most is split next.
//!
//! What is summed and what a split is worth is a [`Rule`]; histograms, subtraction and the order of
//! leaves are the same for all.

use super::bins::{BINS_MAX, Binned, GROUP};

/// Cells of one feature; a bin is one byte, so that no index can be out of them.
const CELLS: usize = BINS_MAX + 1;

/// The least that a split must gain.
const GAIN_MIN: f64 = 1e-9;

/// What one cell of a histogram sums.
pub(super) trait Cell: Copy + Default + Send + Sync {
    fn plus(&mut self, other: Self);
    fn minus(self, other: Self) -> Self;
    fn is_empty(self) -> bool;
}

/// What is summed over rows, and what a split of the sum is worth.
pub(super) trait Rule {
    type Cell: Cell;

    /// What a row adds.
    fn cell(&self, row: u32) -> Self::Cell;

    /// What splitting `whole` gains; minus infinity where a side has too little.
    fn gain(&self, left: Self::Cell, whole: Self::Cell) -> f64;
}

/// Limits of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Leaves at most.
    pub leaves: usize,
    /// Rows of a leaf at least; fewer than twice as many are never split.
    pub rows_min: usize,
    /// Splits from the root to a leaf at most.
    pub depth: usize,
}

/// The best split of a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub gain: f64,
    pub feature: usize,
    /// Bins up to this one go left.
    pub bin: u8,
    /// Whether missing values go left; `None` where the feature has none.
    pub missing_left: Option<bool>,
}

/// A node that was split: the children of the k-th have the numbers 2k + 1 and 2k + 2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    pub node: usize,
    pub split: Split,
}

/// A leaf with its rows.
#[derive(Debug)]
pub(super) struct Leaf {
    pub node: usize,
    pub rows: Vec<u32>,
}

/// A tree that has grown; its root is node 0.
#[derive(Debug)]
pub(super) struct Grown {
    pub parents: Vec<Parent>,
    pub leaves: Vec<Leaf>,
}

/// Sums for each bin of each live feature, group by group.
type Histogram<C> = Vec<[C; GROUP * CELLS]>;

/// A leaf that may still be split.
struct Open<C> {
    node: usize,
    depth: usize,
    rows: Vec<u32>,
    histogram: Histogram<C>,
    best: Option<Split>,
}

/// Memory that is used again from tree to tree.
#[derive(Debug, Default)]
pub(super) struct Scratch<C> {
    spare: Vec<Histogram<C>>,
    ordered: Vec<C>,
    right: Vec<u32>,
}

/// Grows a tree.
#[derive(Debug)]
pub(super) struct Grower<'a, R: Rule> {
    binned: &'a Binned,
    rule: &'a R,
    limits: Limits,
    /// Whether a feature may be split.
    features: &'a [bool],
    scratch: &'a mut Scratch<R::Cell>,
}

impl<'a, R: Rule> Grower<'a, R> {
    /// Shapes: `features` has one entry for each feature.
    pub(super) fn new(
        binned: &'a Binned,
        rule: &'a R,
        limits: Limits,
        features: &'a [bool],
        scratch: &'a mut Scratch<R::Cell>,
    ) -> Self {
        Self {
            binned,
            rule,
            limits,
            features,
            scratch,
        }
    }

    fn histogram(&mut self, rows: &[u32]) -> Histogram<R::Cell> {
        let groups = self.binned.groups();
        let mut histogram = self.scratch.spare.pop().unwrap_or_default();
        histogram.resize(groups.len(), [R::Cell::default(); GROUP * CELLS]);
        // In the order of the leaf's rows: read once, summed into every feature.
        self.scratch.ordered.clear();
        let cells = rows.iter().map(|row| self.rule.cell(*row));
        self.scratch.ordered.extend(cells);
        for (group, sums) in groups.iter().zip(&mut histogram) {
            sums.fill(R::Cell::default());
            for (row, cell) in rows.iter().zip(&self.scratch.ordered) {
                let (cell, bins) = (*cell, group[*row as usize]);
                for (place, bin) in bins.into_iter().enumerate() {
                    sums[place * CELLS + usize::from(bin)].plus(cell);
                }
            }
        }
        histogram
    }

    /// Leaves in `parent` what is left of it once a child is taken away.
    fn subtract(&self, parent: &mut Histogram<R::Cell>, child: &Histogram<R::Cell>) {
        let cells = parent.as_flattened_mut().iter_mut();
        for (parent, child) in cells.zip(child.as_flattened()) {
            *parent = parent.minus(*child);
        }
    }

    fn best(&self, histogram: &Histogram<R::Cell>) -> Option<Split> {
        let mut best: Option<Split> = None;
        let (features, _) = histogram.as_flattened().as_chunks::<CELLS>();
        for (cells, live) in features.iter().zip(self.binned.live()) {
            if self.features[live.feature] {
                let found = best_of(self.rule, &cells[..live.bins], live.missing);
                if let Some((gain, bin, missing_left)) = found
                    && best.is_none_or(|b| gain > b.gain)
                {
                    best = Some(Split {
                        gain,
                        feature: live.feature,
                        bin,
                        missing_left,
                    });
                }
            }
        }
        best
    }

    fn may_split(&self, rows: usize, depth: usize) -> bool {
        rows >= 2 * self.limits.rows_min && rows >= 2 && depth < self.limits.depth
    }

    fn root(&mut self, rows: Vec<u32>) -> Open<R::Cell> {
        let histogram = self.histogram(&rows);
        let best = self.may_split(rows.len(), 0).then(|| self.best(&histogram));
        Open {
            node: 0,
            depth: 0,
            best: best.flatten(),
            rows,
            histogram,
        }
    }

    /// Splits a leaf; its children have the numbers `node` and `node + 1`.
    fn split(
        &mut self,
        leaf: Open<R::Cell>,
        split: Split,
        node: usize,
        last: bool,
    ) -> [Open<R::Cell>; 2] {
        let (left, right) = self.parted(leaf.rows, split);
        let depth = leaf.depth + 1;
        let smaller_left = left.len() <= right.len();
        let (small, large) = if smaller_left {
            (left, right)
        } else {
            (right, left)
        };
        let (splits_small, splits_large) = (
            !last && self.may_split(small.len(), depth),
            !last && self.may_split(large.len(), depth),
        );
        let mut of_large = leaf.histogram;
        let mut of_small = Vec::new();
        if splits_small || splits_large {
            of_small = self.histogram(&small);
            self.subtract(&mut of_large, &of_small);
        }
        let (at_small, at_large) = if smaller_left {
            (node, node + 1)
        } else {
            (node + 1, node)
        };
        let open = |node, rows, histogram, splits: bool| Open {
            node,
            depth,
            rows,
            best: splits.then(|| self.best(&histogram)).flatten(),
            histogram,
        };
        let small = open(at_small, small, of_small, splits_small);
        let large = open(at_large, large, of_large, splits_large);
        if smaller_left {
            [small, large]
        } else {
            [large, small]
        }
    }

    /// The rows that go left and those that go right, in their order.
    fn parted(&mut self, mut rows: Vec<u32>, split: Split) -> (Vec<u32>, Vec<u32>) {
        let bins = self.binned.column(split.feature);
        let missing = self.binned.missing(split.feature);
        let missing = missing.filter(|_| split.missing_left == Some(true));
        let right = &mut self.scratch.right;
        if right.len() < rows.len() {
            right.resize(rows.len(), 0);
        }
        let (mut to_left, mut to_right) = (0, 0);
        for place in 0..rows.len() {
            let row = rows[place];
            let bin = bins[row as usize];
            let goes_left = bin <= split.bin || Some(bin) == missing;
            // Written to both sides and kept on one: there is no branch to guess wrong.
            rows[to_left] = row;
            right[to_right] = row;
            to_left += usize::from(goes_left);
            to_right += usize::from(!goes_left);
        }
        rows.truncate(to_left);
        (rows, right[..to_right].to_vec())
    }

    /// The rows of each leaf of a grown tree, of rows that it did not learn from.
    pub(super) fn follow(&mut self, grown: &Grown, rows: Vec<u32>) -> Vec<Vec<u32>> {
        let mut at = vec![rows];
        at.resize(2 * grown.parents.len() + 1, Vec::new());
        for (k, parent) in grown.parents.iter().enumerate() {
            let rows = std::mem::take(&mut at[parent.node]);
            (at[2 * k + 1], at[2 * k + 2]) = self.parted(rows, parent.split);
        }
        let leaves = grown.leaves.iter();
        leaves
            .map(|leaf| std::mem::take(&mut at[leaf.node]))
            .collect()
    }

    /// Grows a tree on `rows`; `None` where nothing is gained by any split.
    pub(super) fn grow(&mut self, rows: Vec<u32>) -> Option<Grown> {
        let mut leaves = vec![self.root(rows)];
        let mut parents: Vec<Parent> = Vec::new();
        while leaves.len() < self.limits.leaves {
            let gain = |leaf: &Open<R::Cell>| leaf.best.map_or(f64::NEG_INFINITY, |b| b.gain);
            let next =
                (0..leaves.len()).max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
            let Some((next, split)) = next.and_then(|n| Some((n, leaves[n].best?))) else {
                break;
            };
            let leaf = leaves.swap_remove(next);
            let last = leaves.len() + 2 == self.limits.leaves;
            let node = 2 * parents.len() + 1;
            parents.push(Parent {
                node: leaf.node,
                split,
            });
            leaves.extend(self.split(leaf, split, node, last));
        }
        let spared = leaves.iter_mut().map(|l| std::mem::take(&mut l.histogram));
        self.scratch.spare.extend(spared.filter(|h| !h.is_empty()));
        let leaf = |open: Open<R::Cell>| Leaf {
            node: open.node,
            rows: open.rows,
        };
        (leaves.len() > 1).then(|| Grown {
            parents,
            leaves: leaves.into_iter().map(leaf).collect(),
        })
    }
}

/// Gain, last bin of the left and the side of missing values of a feature's best split.
///
/// Missing values stand in the last bin: they go right as the bins come, and left in a second pass.
fn best_of<R: Rule>(rule: &R, cells: &[R::Cell], missing: bool) -> Option<(f64, u8, Option<bool>)> {
    let mut whole = R::Cell::default();
    cells.iter().for_each(|c| whole.plus(*c));
    let values = &cells[..cells.len() - usize::from(missing)];
    let (mut best, mut most) = (None, GAIN_MIN);
    let mut scan = |mut left: R::Cell, ends: usize, side: Option<bool>| {
        for (bin, cell) in values.iter().enumerate().take(ends) {
            // An empty bin parts the rows as the bin before it did.
            if cell.is_empty() {
                continue;
            }
            left.plus(*cell);
            let gain = rule.gain(left, whole);
            if gain > most {
                most = gain;
                best = Some((gain, bin as u8, side));
            }
        }
    };
    let none = R::Cell::default();
    if missing {
        // The last cut of all parts values from missing ones.
        scan(none, values.len(), Some(false));
        let last = cells[cells.len() - 1];
        scan(last, values.len().saturating_sub(1), Some(true));
    } else {
        scan(none, values.len().saturating_sub(1), None);
    }
    best
}
