//! What a net keeps of a pass over a batch: its inputs, what each layer read, and its gradients.

use super::Shape;
use crate::batch_norm::NormTape;
use crate::kernel::product::{columns_max, whole_tiles};
use crate::kernel::{LANES, Row};
use crate::real::Real;

/// What one layer keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct LayerTape<R> {
    /// Rows that it reads and gives.
    pub(super) depth: usize,
    pub(super) width: usize,
    /// Tiles of `depth` rows: what it read, normalised and joined.
    pub(super) x: Vec<Row<R>>,
    /// Tiles of `width` rows after the ReLU, where a normalisation stands between it and the next.
    pub(super) out: Vec<Row<R>>,
    /// Of the normalisation before it.
    pub(super) norm: NormTape<R>,
    /// Tiles of whole register tiles: the gradient of what it gives, before the ReLU.
    pub(super) gradient: Vec<Row<R>>,
    /// Tiles of `depth` rows: the gradient of what it read.
    pub(super) back: Vec<Row<R>>,
}

/// Inputs, answer and gradients of a pass over a batch of any number of samples.
///
/// A batch is tiles of [`LANES`] samples one after the other; a tape is used again without any new
/// memory as long as the shape and the number of samples stay.
#[derive(Clone, Debug, Default)]
pub struct MlpTape<R = f32> {
    pub(super) count: usize,
    pub(super) tiles: usize,
    /// Tiles of input and beside.
    pub(super) raw: Vec<Row<R>>,
    /// Tiles of what joins.
    pub(super) joined: Vec<Row<R>>,
    pub(super) layers: Vec<LayerTape<R>>,
    /// Tiles of `output` rows.
    pub(super) out: Vec<Row<R>>,
    pub(super) turned: Vec<R>,
    pub(super) sums: Vec<R>,
}

impl<R: Real> MlpTape<R> {
    /// Makes room for a batch of `count` samples of a net; inputs are zero where nothing is written.
    pub fn prepare(&mut self, shape: &Shape, count: usize) {
        if self.count == count && self.fits(shape) && !self.sums.is_empty() {
            return;
        }
        self.prepare_to_answer(shape, count);
        let tiles = self.tiles;
        let rows = |height: usize| vec![[R::ZERO; LANES]; tiles * height];
        let (mut sums, mut turned) = (0, 0);
        for layer in &mut self.layers {
            layer.gradient = rows(whole_tiles(layer.width));
            layer.back = rows(layer.depth);
            sums = sums.max(whole_tiles(layer.width) * columns_max(layer.depth));
            turned = turned.max(columns_max(layer.depth) * LANES);
        }
        self.sums = vec![R::ZERO; sums];
        self.turned = vec![R::ZERO; turned];
    }

    /// As [`Self::prepare`], for passes after which no gradient is asked for.
    pub fn prepare_to_answer(&mut self, shape: &Shape, count: usize) {
        if self.count == count && self.fits(shape) {
            return;
        }
        let tiles = count.div_ceil(LANES);
        let rows = |height: usize| vec![[R::ZERO; LANES]; tiles * height];
        let layer = |place: usize| {
            let (depth, width) = (shape.depth(place), shape.width(place));
            let is_normed_above = place + 1 < shape.layers() && shape.is_normed(place + 1);
            LayerTape {
                depth,
                width,
                x: rows(depth),
                out: rows(if is_normed_above { width } else { 0 }),
                ..LayerTape::default()
            }
        };
        *self = Self {
            count,
            tiles,
            raw: rows(shape.input + shape.beside),
            joined: rows(shape.join.map_or(0, |j| j.width)),
            layers: (0..shape.layers()).map(layer).collect(),
            out: rows(shape.output),
            ..Self::default()
        };
    }

    /// Whether it is a tape of this shape.
    pub(super) fn fits(&self, shape: &Shape) -> bool {
        let same = |(place, l): (usize, &LayerTape<R>)| {
            l.depth == shape.depth(place) && l.width == shape.width(place)
        };
        self.layers.len() == shape.layers()
            && self.raw.len() == self.tiles * (shape.input + shape.beside)
            && self.joined.len() == self.tiles * shape.join.map_or(0, |j| j.width)
            && self.layers.iter().enumerate().all(same)
    }

    /// Samples of the batch.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Rows of input and beside, tile by tile, to be written before a pass.
    pub fn input_mut(&mut self) -> &mut [Row<R>] {
        &mut self.raw
    }

    /// The same, as they were written.
    #[must_use]
    pub fn input(&self) -> &[Row<R>] {
        &self.raw
    }

    /// Rows that join, tile by tile, to be written before a pass.
    pub fn joined_mut(&mut self) -> &mut [Row<R>] {
        &mut self.joined
    }

    /// The answer, tile by tile.
    #[must_use]
    pub fn output(&self) -> &[Row<R>] {
        &self.out
    }

    /// Where to write the gradient of the answer, and rows from one tile to the next.
    ///
    /// It must be zero in lanes beyond the samples, and in rows beyond the answer's.
    pub fn upstream_mut(&mut self) -> (&mut [Row<R>], usize) {
        match self.layers.last_mut() {
            Some(last) => (&mut last.gradient, whole_tiles(last.width)),
            None => (&mut [], 1),
        }
    }

    /// Gradient of the rows that joined, tile by tile; gives each tile's rows.
    pub fn joined_gradient<'a>(&'a self, shape: &Shape) -> impl Iterator<Item = &'a [Row<R>]> {
        let (place, width) = shape.join.map_or((0, 0), |j| (j.layer, j.width));
        let layer = &self.layers[place];
        let tiles = layer.back.chunks_exact(layer.depth);
        tiles.map(move |tile| &tile[tile.len() - width..])
    }

    /// Gradient of the rows that stand beside, summed over the batch and added to `sums`.
    pub fn add_beside_gradient(&self, shape: &Shape, sums: &mut [R]) {
        let Some(layer) = self.layers.first() else {
            return;
        };
        for tile in layer.back.chunks_exact(layer.depth) {
            let rows = &tile[shape.input..][..shape.beside];
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += crate::kernel::dense::sum(row);
            }
        }
    }

    /// What joins at layer `place` into what it reads.
    pub(super) fn join(&mut self, place: usize, shape: &Shape) {
        let width = shape.joining(place);
        if width > 0 {
            let layer = &mut self.layers[place];
            let tiles = layer.x.chunks_exact_mut(layer.depth);
            for (x, joined) in tiles.zip(self.joined.chunks_exact(width)) {
                x[layer.depth - width..].copy_from_slice(joined);
            }
        }
    }

    /// The whole input into what the first layer reads.
    pub(super) fn copy_input(&mut self, shape: &Shape) {
        self.copy(0, shape);
    }

    /// The rows beside into what the first layer reads.
    pub(super) fn copy_beside(&mut self, shape: &Shape) {
        self.copy(shape.input, shape);
    }

    fn copy(&mut self, first: usize, shape: &Shape) {
        let end = shape.input + shape.beside;
        let layer = &mut self.layers[0];
        let tiles = layer.x.chunks_exact_mut(layer.depth);
        for (x, raw) in tiles.zip(self.raw.chunks_exact(end)) {
            x[first..end].copy_from_slice(&raw[first..]);
        }
    }
}
