//! Features as small whole numbers: the bin that a value falls into.

use serde::{Deserialize, Serialize};

/// Bins of a feature at most; missing values have one more.
pub const BINS_MAX: usize = 255;

/// Features whose bins stand together, row by row.
pub(super) const GROUP: usize = 8;

/// The edges of every feature's bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Upper edges, rising, the last bin's left out; a value belongs to the first that is not below.
    edges: Vec<Vec<f64>>,
}

/// A feature that has more than one bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub feature: usize,
    /// Bins with that of missing values, which is the last.
    pub bins: usize,
    /// Whether a row lacks it.
    pub missing: bool,
}

/// Binned rows, feature by feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Binned {
    columns: Vec<Vec<u8>>,
    /// For each feature the bin of missing values, where a row lacks it.
    missing: Vec<Option<u8>>,
    live: Vec<Live>,
    /// The same bins, live features in groups: one read of memory serves a whole group.
    groups: Vec<Vec<[u8; GROUP]>>,
}

impl Bins {
    /// Bins of about as many rows each. Shapes: `columns` is features × rows; NaN is missing.
    #[must_use]
    pub fn of(columns: &[Vec<f64>]) -> Self {
        Self {
            edges: columns.iter().map(|c| edges(c)).collect(),
        }
    }

    /// Number of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.edges.len()
    }

    /// Columns binned; a missing value has a bin of its own, after all others.
    #[must_use]
    pub fn bin(&self, columns: &[Vec<f64>]) -> Binned {
        let bin = |(edges, column): (&Vec<f64>, &Vec<f64>)| -> Vec<u8> {
            column.iter().map(|v| place(edges, *v)).collect()
        };
        let lacks = |(edges, column): (&Vec<f64>, &Vec<f64>)| {
            let lacks = column.iter().any(|v| v.is_nan());
            lacks.then(|| (edges.len() + 1) as u8)
        };
        let pairs = || self.edges.iter().zip(columns);
        let (columns, missing): (Vec<Vec<u8>>, Vec<_>) =
            (pairs().map(bin).collect(), pairs().map(lacks).collect());
        let each = self.edges.iter().zip(&missing).enumerate();
        let live = each.map(|(feature, (edges, missing))| Live {
            feature,
            bins: edges.len() + 1 + usize::from(missing.is_some()),
            missing: missing.is_some(),
        });
        let live: Vec<Live> = live.filter(|l| l.bins > 1).collect();
        let groups = live.chunks(GROUP).map(|g| group(g, &columns)).collect();
        Binned {
            columns,
            missing,
            live,
            groups,
        }
    }

    /// One row binned.
    #[must_use]
    pub fn row(&self, features: &[f64]) -> Vec<u8> {
        let each = self.edges.iter().zip(features);
        each.map(|(edges, v)| place(edges, *v)).collect()
    }

    /// The upper edge of a bin: values up to it are in this bin or one before. `None` for the last.
    pub(super) fn edge(&self, feature: usize, bin: u8) -> Option<f64> {
        self.edges[feature].get(usize::from(bin)).copied()
    }

    /// Whether what was read back can be used.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let rising = |e: &Vec<f64>| e.len() < BINS_MAX && e.windows(2).all(|w| w[0] < w[1]);
        !self.edges.is_empty() && self.edges.iter().all(rising)
    }
}

impl Binned {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The bins of one feature, row by row.
    pub(super) fn column(&self, feature: usize) -> &[u8] {
        &self.columns[feature]
    }

    /// The bin of the values that a feature lacks; `None` where it lacks none.
    pub(super) fn missing(&self, feature: usize) -> Option<u8> {
        self.missing[feature]
    }

    /// Number of features.
    pub(super) fn features(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = Live> {
        self.live.iter().copied()
    }

    pub(super) fn groups(&self) -> &[Vec<[u8; GROUP]>] {
        &self.groups
    }

    pub(super) fn bin_of(&self, feature: usize, row: usize) -> u8 {
        self.columns[feature][row]
    }
}

/// The bins of a group of features, row by row.
fn group(live: &[Live], columns: &[Vec<u8>]) -> Vec<[u8; GROUP]> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut bins = vec![[0; GROUP]; rows];
    for (place, live) in live.iter().enumerate() {
        for (row, bin) in bins.iter_mut().zip(&columns[live.feature]) {
            row[place] = *bin;
        }
    }
    bins
}

fn place(edges: &[f64], value: f64) -> u8 {
    if value.is_nan() {
        return (edges.len() + 1) as u8;
    }
    edges.partition_point(|e| *e < value) as u8
}

fn edges(column: &[f64]) -> Vec<f64> {
    let values = column.iter().copied().filter(|v| !v.is_nan());
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let middle = |a: f64, b: f64| a + (b - a) / 2.0;
    if distinct.len() <= BINS_MAX {
        return distinct.windows(2).map(|w| middle(w[0], w[1])).collect();
    }
    let at = |bin: usize| sorted[bin * (sorted.len() - 1) / BINS_MAX];
    let mut edges: Vec<f64> = (1..BINS_MAX).map(at).collect();
    edges.dedup();
    edges
}
