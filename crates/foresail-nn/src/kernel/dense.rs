//! Products of a layer over a whole batch, read from the weights as they lie: nothing is packed.
//!
//! A small net that is learnt by small batches changes its weights after each, so that what a packed
//! copy saves in a product it costs in packing. A batch is tiles of [`LANES`] samples one after the
//! other, each of `stride` rows.

use pulp::Simd;

use super::product::{TILE, add_outer, turn, whole_columns};
use super::{Kernel, LANES, Row};
use crate::real::Real;

/// `out = weight · x + bias` of each tile, below zero cut off where `relu`.
#[derive(Debug)]
pub struct DenseForward<'a, R> {
    /// [outputs, depth]
    pub(crate) weight: &'a [R],
    pub(crate) bias: &'a [R],
    /// Tiles of as many rows as the weights have columns.
    pub(crate) x: &'a [Row<R>],
    pub(crate) depth: usize,
    pub(crate) out: &'a mut [Row<R>],
    pub(crate) stride: usize,
    pub(crate) relu: bool,
}

impl<R: Real> Kernel for DenseForward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (depth, outputs) = (self.depth, self.bias.len());
        let tiles = self.x.chunks_exact(depth);
        for (x, out) in tiles.zip(self.out.chunks_exact_mut(self.stride)) {
            let out = &mut out[..outputs];
            product(simd, self.weight, self.bias, x, out);
            if self.relu {
                for number in out.iter_mut().flatten() {
                    *number = if *number > R::ZERO { *number } else { R::ZERO };
                }
            }
        }
    }
}

/// `out = weight · x + bias` of one tile; as many rows as there are biases.
#[inline(always)]
pub(crate) fn product<R: Real, S: Simd>(
    simd: S,
    weight: &[R],
    bias: &[R],
    x: &[Row<R>],
    out: &mut [Row<R>],
) {
    let (depth, outputs) = (x.len(), bias.len());
    let mut first = 0;
    while first < outputs {
        let weight = &weight[first * depth..];
        let (bias, to) = (&bias[first..], &mut out[first..outputs]);
        first += match outputs - first {
            6.. => forward_rows::<R, S, 6>(simd, weight, bias, x, to),
            4.. => forward_rows::<R, S, 4>(simd, weight, bias, x, to),
            2.. => forward_rows::<R, S, 2>(simd, weight, bias, x, to),
            _ => forward_rows::<R, S, 1>(simd, weight, bias, x, to),
        };
    }
}

/// The first `ROWS` rows of a product; gives their number.
#[inline(always)]
fn forward_rows<R: Real, S: Simd, const ROWS: usize>(
    simd: S,
    weight: &[R],
    bias: &[R],
    x: &[Row<R>],
    out: &mut [Row<R>],
) -> usize {
    let depth = x.len();
    let mut rows = [&weight[..depth]; ROWS];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = &weight[r * depth..][..depth];
    }
    if S::IS_SCALAR {
        for r in 0..ROWS {
            let mut sums = [bias[r]; LANES];
            for (factor, row) in rows[r].iter().zip(x) {
                add_times(&mut sums, *factor, row);
            }
            out[r] = sums;
        }
        return ROWS;
    }
    for place in 0..LANES / (2 * R::lanes::<S>()) {
        let mut sums = [[R::splat(simd, R::ZERO); 2]; ROWS];
        for r in 0..ROWS {
            sums[r] = [R::splat(simd, bias[r]); 2];
        }
        for (column, row) in x.iter().enumerate() {
            let row = R::vectors::<S>(row);
            let lanes = [row[2 * place], row[2 * place + 1]];
            for r in 0..ROWS {
                let factor = R::splat(simd, rows[r][column]);
                sums[r][0] = R::multiply_add(simd, factor, lanes[0], sums[r][0]);
                sums[r][1] = R::multiply_add(simd, factor, lanes[1], sums[r][1]);
            }
        }
        for r in 0..ROWS {
            let row = R::vectors_mut::<S>(&mut out[r]);
            row[2 * place] = sums[r][0];
            row[2 * place + 1] = sums[r][1];
        }
    }
    ROWS
}

#[inline(always)]
fn add_times<R: Real>(sums: &mut Row<R>, factor: R, row: &Row<R>) {
    for l in 0..LANES {
        sums[l] += factor * row[l];
    }
}

/// Gradient of a layer's input: `out = weightᵀ · upstream` of each tile, some columns of it.
#[derive(Debug)]
pub struct DenseBack<'a, R> {
    /// [outputs, depth]
    pub(crate) weight: &'a [R],
    pub(crate) depth: usize,
    /// Tiles of `upstream_stride` rows, of which the first `outputs` count.
    pub(crate) upstream: &'a [Row<R>],
    pub(crate) upstream_stride: usize,
    pub(crate) outputs: usize,
    /// Which columns of the weights; the others' rows are left as they are.
    pub(crate) columns: std::ops::Range<usize>,
    /// Tiles of `depth` rows.
    pub(crate) out: &'a mut [Row<R>],
}

impl<R: Real> Kernel for DenseBack<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let depth = self.depth;
        let tiles = self.upstream.chunks_exact(self.upstream_stride);
        for (upstream, out) in tiles.zip(self.out.chunks_exact_mut(depth)) {
            let upstream = &upstream[..self.outputs];
            turned_product(simd, self.weight, self.columns.clone(), upstream, out);
        }
    }
}

/// Rows `columns` of `weightᵀ · upstream` of one tile; `out` has as many rows as the weights columns.
#[inline(always)]
pub(crate) fn turned_product<R: Real, S: Simd>(
    simd: S,
    weight: &[R],
    columns: std::ops::Range<usize>,
    upstream: &[Row<R>],
    out: &mut [Row<R>],
) {
    let (depth, end) = (out.len(), columns.end);
    let mut first = columns.start;
    while first < end {
        let to = &mut out[first..end];
        first += match end - first {
            6.. => back_columns::<R, S, 6>(simd, weight, (first, depth), upstream, to),
            4.. => back_columns::<R, S, 4>(simd, weight, (first, depth), upstream, to),
            2.. => back_columns::<R, S, 2>(simd, weight, (first, depth), upstream, to),
            _ => back_columns::<R, S, 1>(simd, weight, (first, depth), upstream, to),
        };
    }
}

/// `COLUMNS` columns from `first` on; gives their number.
#[inline(always)]
fn back_columns<R: Real, S: Simd, const COLUMNS: usize>(
    simd: S,
    weight: &[R],
    (first, depth): (usize, usize),
    upstream: &[Row<R>],
    out: &mut [Row<R>],
) -> usize {
    if S::IS_SCALAR {
        for c in 0..COLUMNS {
            let mut sums = [R::ZERO; LANES];
            for (weights, row) in weight.chunks_exact(depth).zip(upstream) {
                add_times(&mut sums, weights[first + c], row);
            }
            out[c] = sums;
        }
        return COLUMNS;
    }
    for place in 0..LANES / (2 * R::lanes::<S>()) {
        let mut sums = [[R::splat(simd, R::ZERO); 2]; COLUMNS];
        for (weights, row) in weight.chunks_exact(depth).zip(upstream) {
            let weights = &weights[first..first + COLUMNS];
            let row = R::vectors::<S>(row);
            let lanes = [row[2 * place], row[2 * place + 1]];
            for c in 0..COLUMNS {
                let factor = R::splat(simd, weights[c]);
                sums[c][0] = R::multiply_add(simd, factor, lanes[0], sums[c][0]);
                sums[c][1] = R::multiply_add(simd, factor, lanes[1], sums[c][1]);
            }
        }
        for c in 0..COLUMNS {
            let row = R::vectors_mut::<S>(&mut out[c]);
            row[2 * place] = sums[c][0];
            row[2 * place + 1] = sums[c][1];
        }
    }
    COLUMNS
}

/// A gradient back through a ReLU: it passes where the output was above zero.
#[derive(Debug)]
pub struct DenseCut<'a, R> {
    /// Tiles of `depth` rows, of which the first `width` count.
    pub(crate) back: &'a [Row<R>],
    pub(crate) depth: usize,
    /// What the ReLU gave: tiles of `out_stride` rows.
    pub(crate) out: &'a [Row<R>],
    pub(crate) out_stride: usize,
    /// Tiles of `stride` rows.
    pub(crate) to: &'a mut [Row<R>],
    pub(crate) stride: usize,
    pub(crate) width: usize,
}

impl<R: Real> Kernel for DenseCut<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        let (from, out) = (
            self.back.chunks_exact(self.depth),
            self.out.chunks_exact(self.out_stride),
        );
        let tiles = self.to.chunks_exact_mut(self.stride);
        for ((to, from), out) in tiles.zip(from).zip(out) {
            for ((to, from), out) in to[..self.width].iter_mut().zip(from).zip(out) {
                for l in 0..LANES {
                    to[l] = if out[l] > R::ZERO { from[l] } else { R::ZERO };
                }
            }
        }
    }
}

/// Gradients of weights and biases, added up over the tiles of a batch.
#[derive(Debug)]
pub struct DenseGradient<'a, R> {
    /// Tiles of `upstream_stride` rows, whole register tiles; zero in rows that are none.
    pub(crate) upstream: &'a [Row<R>],
    pub(crate) upstream_stride: usize,
    /// Tiles of `depth` rows.
    pub(crate) x: &'a [Row<R>],
    pub(crate) depth: usize,
    /// Room for one tile turned round and for the sums.
    pub(crate) turned: &'a mut [R],
    pub(crate) sums: &'a mut [R],
    /// [outputs, depth]
    pub(crate) weight: &'a mut [R],
    pub(crate) bias: &'a mut [R],
}

impl<R: Real> Kernel for DenseGradient<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (depth, stride) = (self.depth, self.upstream_stride);
        debug_assert!(stride.is_multiple_of(TILE));
        let width = whole_columns::<R, S>(depth);
        let turned = &mut self.turned[..width * LANES];
        let sums = &mut self.sums[..stride * width];
        sums.fill(R::ZERO);
        let tiles = self.upstream.chunks_exact(stride);
        for (upstream, x) in tiles.zip(self.x.chunks_exact(depth)) {
            turn(x, width, turned);
            add_outer(simd, upstream, turned, width, sums);
        }
        let rows = self.weight.chunks_exact_mut(depth);
        for (row, sums) in rows.zip(sums.chunks_exact(width)) {
            for (gradient, sum) in row.iter_mut().zip(sums) {
                *gradient += *sum;
            }
        }
        for (r, bias) in self.bias.iter_mut().enumerate() {
            let mut lanes = [R::ZERO; LANES];
            for upstream in self.upstream.chunks_exact(stride) {
                add_times(&mut lanes, R::ONE, &upstream[r]);
            }
            *bias += sum(&lanes);
        }
    }
}

/// The sum over lanes, halved and halved again: fast, and in one order on every machine.
#[inline(always)]
pub(crate) fn sum<R: Real>(row: &Row<R>) -> R {
    let mut half = [R::ZERO; LANES / 2];
    for l in 0..LANES / 2 {
        half[l] = row[l] + row[l + LANES / 2];
    }
    let mut quarter = [R::ZERO; LANES / 4];
    for l in 0..LANES / 4 {
        quarter[l] = half[l] + half[l + LANES / 4];
    }
    let mut eighth = [R::ZERO; LANES / 8];
    for l in 0..LANES / 8 {
        eighth[l] = quarter[l] + quarter[l + LANES / 8];
    }
    (eighth[0] + eighth[2]) + (eighth[1] + eighth[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dispatch;
    use crate::kernel::product::{columns_max, whole_tiles};

    fn number(i: usize) -> f64 {
        ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0
    }

    fn rows(count: usize) -> Vec<Row<f64>> {
        let row = |k: usize| std::array::from_fn(|lane| number(k * 53 + lane * 101));
        (0..count).map(row).collect()
    }

    /// Products of two tiles on both kinds of registers against plain sums.
    fn check(outputs: usize, depth: usize, is_scalar: bool) {
        let weight: Vec<f64> = (0..outputs * depth).map(number).collect();
        let bias: Vec<f64> = (0..outputs).map(|i| number(i + 7)).collect();
        let (x, stride) = (rows(2 * depth), outputs + 1);
        let mut out = vec![[0.0; LANES]; 2 * stride];
        let forward = DenseForward {
            weight: &weight,
            bias: &bias,
            x: &x,
            depth,
            out: &mut out,
            stride,
            relu: true,
        };
        run(forward, is_scalar);
        let padded = whole_tiles(outputs);
        let mut upstream = rows(2 * padded);
        for tile in upstream.chunks_mut(padded) {
            tile[outputs..].fill([0.0; LANES]);
        }
        let mut back = vec![[0.0; LANES]; 2 * depth];
        let columns = depth / 3..depth;
        let kernel = DenseBack {
            weight: &weight,
            depth,
            upstream: &upstream,
            upstream_stride: padded,
            outputs,
            columns: columns.clone(),
            out: &mut back,
        };
        run(kernel, is_scalar);
        let (mut d_weight, mut d_bias) = (vec![1.0; outputs * depth], vec![1.0; outputs]);
        let gradient = DenseGradient {
            upstream: &upstream,
            upstream_stride: padded,
            x: &x,
            depth,
            turned: &mut vec![0.0; columns_max(depth) * LANES],
            sums: &mut vec![0.0; padded * columns_max(depth)],
            weight: &mut d_weight,
            bias: &mut d_bias,
        };
        run(gradient, is_scalar);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-11, "{outputs} × {depth}: {a} {b}");
        for (tile, lane) in [(0, 0), (0, 31), (1, 5)] {
            for r in 0..outputs {
                let sum = (0..depth).map(|c| weight[r * depth + c] * x[tile * depth + c][lane]);
                let plain = bias[r] + sum.sum::<f64>();
                let cut = if plain > 0.0 { plain } else { 0.0 };
                close(out[tile * stride + r][lane], cut);
            }
            for c in 0..depth {
                let sum = (0..outputs)
                    .map(|r| weight[r * depth + c] * upstream[tile * padded + r][lane])
                    .sum::<f64>();
                let plain = if columns.contains(&c) { sum } else { 0.0 };
                close(back[tile * depth + c][lane], plain);
            }
        }
        for r in 0..outputs {
            let over = |of: &dyn Fn(usize, usize) -> f64| {
                let tiles = (0..2).flat_map(|t| (0..LANES).map(move |l| (t, l)));
                1.0 + tiles.map(|(t, l)| of(t, l)).sum::<f64>()
            };
            close(d_bias[r], over(&|t, l| upstream[t * padded + r][l]));
            for c in 0..depth {
                let product =
                    |t: usize, l: usize| upstream[t * padded + r][l] * x[t * depth + c][l];
                close(d_weight[r * depth + c], over(&product));
            }
        }
    }

    fn run<K: Kernel<Output = ()>>(kernel: K, is_scalar: bool) {
        if is_scalar {
            kernel.run::<pulp::Scalar, false>(pulp::Scalar::new());
        } else {
            dispatch(kernel);
        }
    }

    #[test]
    fn products_and_gradients_equal_plain_sums_for_every_rest_of_a_tile() {
        for (outputs, depth) in [(1, 1), (2, 3), (5, 7), (6, 12), (13, 26), (15, 41), (9, 4)] {
            check(outputs, depth, false);
            check(outputs, depth, true);
        }
    }
}
