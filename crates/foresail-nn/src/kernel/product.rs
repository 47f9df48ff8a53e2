//! Matrix products: weights times rows, and the gradient of weights as a sum of outer products.
//!
//! With wide registers a tile of six rows and two registers stays in registers, which loops over
//! arrays do not bring a compiler to. Without them the plain loops are vectorised by the compiler.

use pulp::Simd;

use super::{LANES, Row};
use crate::real::Real;

/// Rows of a register tile. Six rows of two registers leave room for the operands in 16 registers.
pub(crate) const TILE: usize = 6;

/// Numbers of the widest register.
const LANES_MAX: usize = 16;

/// `rows` rounded up to whole tiles.
pub(crate) const fn whole_tiles(rows: usize) -> usize {
    rows.div_ceil(TILE) * TILE
}

/// Numbers that `columns` columns may take, whatever the width of a register.
pub(crate) const fn columns_max(columns: usize) -> usize {
    columns.next_multiple_of(LANES_MAX)
}

/// `columns` rounded up to whole registers.
#[inline(always)]
pub(crate) fn whole_columns<R: Real, S: Simd>(columns: usize) -> usize {
    columns.next_multiple_of(R::lanes::<S>().max(4))
}

/// A matrix in the order in which a product reads it: tile by tile, column by column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed<R> {
    depth: usize,
    tiles: Vec<[R; TILE]>,
}

impl<R: Real> Packed<R> {
    /// Takes in a matrix of `rows` × `depth`, `row(r)` giving row r in parts.
    pub(crate) fn fill(&mut self, rows: usize, depth: usize, at: impl Fn(usize, usize) -> R) {
        self.depth = depth;
        self.tiles.clear();
        for first in (0..rows).step_by(TILE) {
            for column in 0..depth {
                let of_row = |r: usize| {
                    if first + r < rows {
                        at(first + r, column)
                    } else {
                        R::ZERO
                    }
                };
                self.tiles.push(std::array::from_fn(of_row));
            }
        }
    }
}

/// `out = weights · rows`.
///
/// Shapes: `rows` as many as the weights have columns, `out` as many as they have rows.
#[inline(always)]
pub(crate) fn multiply<R: Real, S: Simd>(
    simd: S,
    weights: &Packed<R>,
    rows: &[Row<R>],
    out: &mut [Row<R>],
) {
    debug_assert_eq!(rows.len(), weights.depth);
    let tiles = weights.tiles.chunks_exact(weights.depth);
    for (tile, out) in tiles.zip(out.chunks_mut(TILE)) {
        if S::IS_SCALAR {
            multiply_plain(tile, rows, out);
            continue;
        }
        for place in 0..LANES / (2 * R::lanes::<S>()) {
            let mut sums = [[R::splat(simd, R::ZERO); 2]; TILE];
            for (column, row) in tile.iter().zip(rows) {
                let row = R::vectors::<S>(row);
                let lanes = [row[2 * place], row[2 * place + 1]];
                for r in 0..TILE {
                    let weight = R::splat(simd, column[r]);
                    sums[r][0] = R::multiply_add(simd, weight, lanes[0], sums[r][0]);
                    sums[r][1] = R::multiply_add(simd, weight, lanes[1], sums[r][1]);
                }
            }
            for (row, sums) in out.iter_mut().zip(&sums) {
                let row = R::vectors_mut::<S>(row);
                row[2 * place] = sums[0];
                row[2 * place + 1] = sums[1];
            }
        }
    }
}

#[inline(always)]
fn multiply_plain<R: Real>(tile: &[[R; TILE]], rows: &[Row<R>], out: &mut [Row<R>]) {
    for (r, out) in out.iter_mut().enumerate() {
        let mut sums = [R::ZERO; LANES];
        for (column, row) in tile.iter().zip(rows) {
            for l in 0..LANES {
                sums[l] += column[r] * row[l];
            }
        }
        *out = sums;
    }
}

/// Rows turned round: lane by lane, each with `width` numbers, zeros behind the last row.
#[inline(always)]
pub(crate) fn turn<R: Real>(rows: &[Row<R>], width: usize, out: &mut [R]) {
    debug_assert_eq!(out.len(), width * LANES);
    for (k, row) in rows.iter().enumerate() {
        for (lane, value) in row.iter().enumerate() {
            out[lane * width + k] = *value;
        }
    }
}

/// `sums += rows · turnedᵀ`, over all lanes.
///
/// Shapes: `rows` whole tiles; `turned` as [`turn`] gives it, `width` whole columns; `sums` as many
/// rows of `width`.
#[inline(always)]
pub(crate) fn add_outer<R: Real, S: Simd>(
    simd: S,
    rows: &[Row<R>],
    turned: &[R],
    width: usize,
    sums: &mut [R],
) {
    debug_assert_eq!(sums.len(), rows.len() * width);
    let tiles = rows.as_chunks::<TILE>().0;
    for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(TILE * width)) {
        if S::IS_SCALAR {
            add_plain(tile, turned, width, sums);
            continue;
        }
        let vectors = width / R::lanes::<S>();
        for place in 0..vectors / 2 {
            add_tile::<R, S, 2>(simd, tile, turned, width, 2 * place, sums);
        }
        if vectors % 2 == 1 {
            add_tile::<R, S, 1>(simd, tile, turned, width, vectors - 1, sums);
        }
    }
}

/// The part of [`add_outer`] for six rows and the `COUNT` registers from `first` on.
#[inline(always)]
fn add_tile<R: Real, S: Simd, const COUNT: usize>(
    simd: S,
    tile: &[Row<R>; TILE],
    turned: &[R],
    width: usize,
    first: usize,
    sums: &mut [R],
) {
    let mut own = [[R::splat(simd, R::ZERO); COUNT]; TILE];
    for (lane, numbers) in turned.chunks_exact(width).enumerate().take(LANES) {
        let numbers = &R::vectors::<S>(numbers)[first..first + COUNT];
        for r in 0..TILE {
            let factor = R::splat(simd, tile[r][lane]);
            for c in 0..COUNT {
                own[r][c] = R::multiply_add(simd, factor, numbers[c], own[r][c]);
            }
        }
    }
    for (row, own) in sums.chunks_exact_mut(width).zip(&own) {
        let row = &mut R::vectors_mut::<S>(row)[first..first + COUNT];
        for c in 0..COUNT {
            row[c] = R::plus(simd, row[c], own[c]);
        }
    }
}

#[inline(always)]
fn add_plain<R: Real>(tile: &[Row<R>; TILE], turned: &[R], width: usize, sums: &mut [R]) {
    for (row, sums) in tile.iter().zip(sums.chunks_exact_mut(width)) {
        for (factor, numbers) in row.iter().zip(turned.chunks_exact(width)) {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += *factor * *number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernel, dispatch};

    fn number(i: usize) -> f64 {
        ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0
    }

    fn rows(count: usize) -> Vec<Row<f64>> {
        let row = |k: usize| std::array::from_fn(|lane| number(k * 53 + lane * 101));
        (0..count).map(row).collect()
    }

    struct Both<'a>(
        &'a Packed<f64>,
        &'a [Row<f64>],
        &'a mut [Row<f64>],
        &'a mut [f64],
    );

    impl Kernel for Both<'_> {
        type Output = usize;

        #[inline(always)]
        fn run<S: Simd, const FUSED: bool>(self, simd: S) -> usize {
            let Self(weights, rows, out, sums) = self;
            multiply(simd, weights, rows, out);
            let width = whole_columns::<f64, S>(rows.len());
            let mut turned = vec![0.0; width * LANES];
            turn(rows, width, &mut turned);
            add_outer(simd, out, &turned, width, &mut sums[..out.len() * width]);
            width
        }
    }

    fn check(height: usize, depth: usize, run: fn(Both<'_>) -> usize) {
        let mut weights = Packed::default();
        weights.fill(height, depth, |r, c| number(r * 31 + c));
        let x = rows(depth);
        let mut out = vec![[0.0; LANES]; whole_tiles(height)];
        let mut sums = vec![1.0; whole_tiles(height) * columns_max(depth)];
        let width = run(Both(&weights, &x, &mut out, &mut sums));
        for r in 0..height {
            let plain = |l: usize| {
                (0..depth)
                    .map(|c| number(r * 31 + c) * x[c][l])
                    .sum::<f64>()
            };
            for (lane, out) in out[r].iter().enumerate() {
                assert!((out - plain(lane)).abs() < 1e-12);
            }
            for c in 0..depth {
                let plain = 1.0 + (0..LANES).map(|l| out[r][l] * x[c][l]).sum::<f64>();
                assert!((sums[r * width + c] - plain).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn products_equal_the_plain_sums_for_every_rest_of_a_tile() {
        for (height, depth) in [(1, 1), (6, 8), (7, 9), (13, 52), (24, 17), (31, 3)] {
            check(height, depth, |both| dispatch(both));
            check(height, depth, |both| {
                both.run::<pulp::Scalar, false>(pulp::Scalar::new())
            });
        }
    }
}
