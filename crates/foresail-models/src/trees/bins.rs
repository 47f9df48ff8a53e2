//! Features as small whole numbers: the bin that a value falls into.

use serde::{Deserialize, Serialize};

/// Bins of a feature at most.
pub const BINS_MAX: usize = 255;

/// The edges of every feature's bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Upper edges, rising, the last bin's left out; a value belongs to the first that is not below.
    edges: Vec<Vec<f64>>,
}

/// Binned rows, feature by feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Binned {
    columns: Vec<Vec<u8>>,
    sizes: Vec<usize>,
}

impl Bins {
    /// Bins of about as many rows each. Shapes: `columns` is features × rows; no NaN.
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

    /// Columns binned.
    #[must_use]
    pub fn bin(&self, columns: &[Vec<f64>]) -> Binned {
        let bin = |(edges, column): (&Vec<f64>, &Vec<f64>)| {
            column.iter().map(|v| place(edges, *v)).collect()
        };
        Binned {
            columns: self.edges.iter().zip(columns).map(bin).collect(),
            sizes: self.edges.iter().map(|e| e.len() + 1).collect(),
        }
    }

    /// One row binned.
    #[must_use]
    pub fn row(&self, features: &[f64]) -> Vec<u8> {
        let each = self.edges.iter().zip(features);
        each.map(|(edges, v)| place(edges, *v)).collect()
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

    /// The bins of one feature, row by row, and how many bins it has.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.columns
            .iter()
            .map(Vec::as_slice)
            .zip(self.sizes.iter().copied())
    }

    pub(super) fn bin_of(&self, feature: usize, row: usize) -> u8 {
        self.columns[feature][row]
    }
}

fn place(edges: &[f64], value: f64) -> u8 {
    edges.partition_point(|e| *e < value) as u8
}

fn edges(column: &[f64]) -> Vec<f64> {
    let mut sorted = column.to_vec();
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
