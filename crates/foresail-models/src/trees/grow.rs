//! One tree: the leaf whose best split gains most is split next.

use serde::{Deserialize, Serialize};

use super::Growth;
use super::bins::{BINS_MAX, Binned};

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
pub(super) struct Tree {
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

    pub(super) fn at(&self, row: &[u8]) -> f64 {
        self.walk(|feature| row[feature])
    }

    pub(super) fn at_binned(&self, binned: &Binned, row: usize) -> f64 {
        self.walk(|feature| binned.bin_of(feature, row))
    }

    pub(super) fn is_sound(&self, features: usize) -> bool {
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

/// Sum of gradients and number of rows, for each bin of each feature.
#[derive(Clone, Debug)]
struct Histogram {
    cells: Vec<(f64, u32)>,
}

/// The best split of a leaf.
#[derive(Clone, Copy, Debug)]
struct Split {
    gain: f64,
    feature: usize,
    bin: u8,
}

/// A leaf that may still be split.
struct Open {
    node: usize,
    rows: Vec<u32>,
    histogram: Histogram,
    best: Option<Split>,
}

fn histogram(binned: &Binned, gradients: &[f64], rows: &[u32]) -> Histogram {
    let mut cells = Vec::new();
    for (column, _) in binned.columns() {
        let mut sums = [(0.0, 0_u32); BINS_MAX + 1];
        for row in rows {
            let cell = &mut sums[usize::from(column[*row as usize])];
            cell.0 += gradients[*row as usize];
            cell.1 += 1;
        }
        cells.extend(sums);
    }
    Histogram { cells }
}

/// What is left of a parent once one child is taken away.
fn without(parent: &Histogram, child: &Histogram) -> Histogram {
    let minus = |(p, c): (&(f64, u32), &(f64, u32))| (p.0 - c.0, p.1 - c.1);
    let cells = parent.cells.iter().zip(&child.cells).map(minus).collect();
    Histogram { cells }
}

/// The split that gains most: Σ G²/n over the children minus that of the leaf.
fn best_split(histogram: &Histogram, binned: &Binned, rows_min: usize) -> Option<Split> {
    let mut best: Option<Split> = None;
    let per_feature = histogram.cells.chunks(BINS_MAX + 1);
    for (feature, (cells, (_, bins))) in per_feature.zip(binned.columns()).enumerate() {
        let (sum, count) = cells.iter().fold((0.0, 0), |(g, n), c| (g + c.0, n + c.1));
        let whole = sum * sum / f64::from(count.max(1));
        let (mut left_sum, mut left_count) = (0.0, 0);
        for (bin, cell) in cells.iter().enumerate().take(bins.saturating_sub(1)) {
            left_sum += cell.0;
            left_count += cell.1;
            let right_count = count - left_count;
            if (left_count as usize) < rows_min || (right_count as usize) < rows_min {
                continue;
            }
            let right_sum = sum - left_sum;
            let gain = left_sum * left_sum / f64::from(left_count)
                + right_sum * right_sum / f64::from(right_count)
                - whole;
            if gain > 1e-9 && best.is_none_or(|b| gain > b.gain) {
                let bin = bin as u8;
                best = Some(Split { gain, feature, bin });
            }
        }
    }
    best
}

/// Grows a tree on the rows that have gradients; `None` where nothing is gained by any split.
pub(super) fn grow(
    binned: &Binned,
    gradients: &[f64],
    growth: &Growth,
    value: &dyn Fn(&[u32]) -> f64,
) -> Option<Tree> {
    let open = |node: usize, rows: Vec<u32>, histogram: Histogram| Open {
        node,
        best: best_split(&histogram, binned, growth.leaf_rows_min),
        rows,
        histogram,
    };
    let rows: Vec<u32> = (0..gradients.len() as u32).collect();
    let whole = histogram(binned, gradients, &rows);
    let mut leaves = vec![open(0, rows, whole)];
    let mut nodes = vec![Node::Leaf(0.0)];
    while leaves.len() < growth.leaves {
        let gain = |leaf: &Open| leaf.best.map_or(f64::NEG_INFINITY, |b| b.gain);
        let next = (0..leaves.len()).max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
        let Some((next, split)) = next.and_then(|n| Some((n, leaves[n].best?))) else {
            break;
        };
        let leaf = leaves.swap_remove(next);
        let goes_left = |row: &u32| binned.bin_of(split.feature, *row as usize) <= split.bin;
        let (left, right): (Vec<u32>, Vec<u32>) = leaf.rows.iter().partition(|r| goes_left(r));
        let smaller_left = left.len() <= right.len();
        let small = histogram(binned, gradients, if smaller_left { &left } else { &right });
        let large = without(&leaf.histogram, &small);
        let (of_left, of_right) = if smaller_left {
            (small, large)
        } else {
            (large, small)
        };
        let places = (nodes.len(), nodes.len() + 1);
        nodes[leaf.node] = Node::Split {
            feature: split.feature as u16,
            bin: split.bin,
            left: places.0 as u16,
            right: places.1 as u16,
        };
        nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
        leaves.push(open(places.0, left, of_left));
        leaves.push(open(places.1, right, of_right));
    }
    if leaves.len() < 2 {
        return None;
    }
    for leaf in leaves {
        nodes[leaf.node] = Node::Leaf(value(&leaf.rows));
    }
    Some(Tree { nodes })
}
