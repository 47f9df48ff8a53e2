//! Matrix products: weights times rows, and the gradient of weights as a sum of outer products.

use super::{LANES, Row};
use crate::real::Real;

/// Rows of a register tile. Six rows of two registers leave room for the operands in 16 registers.
pub(crate) const TILE: usize = 6;

/// The least columns of a register tile of [`add_outer`].
const COLUMNS_MIN: usize = 8;

/// `rows` rounded up to whole tiles.
pub(crate) const fn whole_tiles(rows: usize) -> usize {
    rows.div_ceil(TILE) * TILE
}

/// `columns` rounded up to whole columns of a tile.
pub(crate) const fn whole_columns(columns: usize) -> usize {
    columns.div_ceil(COLUMNS_MIN) * COLUMNS_MIN
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
pub(crate) fn multiply<R: Real, const FUSED: bool, const WIDTH: usize>(
    weights: &Packed<R>,
    rows: &[Row<R>],
    out: &mut [Row<R>],
) {
    debug_assert_eq!(rows.len(), weights.depth);
    let tiles = weights.tiles.chunks_exact(weights.depth);
    for (tile, out) in tiles.zip(out.chunks_mut(TILE)) {
        for place in 0..LANES / WIDTH {
            let mut sums = [[R::ZERO; WIDTH]; TILE];
            for (column, row) in tile.iter().zip(rows) {
                let lanes = &row.as_chunks::<WIDTH>().0[place];
                for r in 0..TILE {
                    for l in 0..WIDTH {
                        sums[r][l] = column[r].times_plus::<FUSED>(lanes[l], sums[r][l]);
                    }
                }
            }
            for (row, sums) in out.iter_mut().zip(&sums) {
                row.as_chunks_mut::<WIDTH>().0[place] = *sums;
            }
        }
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
pub(crate) fn add_outer<R: Real, const FUSED: bool, const WIDTH: usize>(
    rows: &[Row<R>],
    turned: &[R],
    width: usize,
    sums: &mut [R],
) {
    debug_assert_eq!(sums.len(), rows.len() * width);
    let tiles = rows.as_chunks::<TILE>().0;
    for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(TILE * width)) {
        let mut first = 0;
        while first + WIDTH <= width {
            add_tile::<R, FUSED, WIDTH>(tile, turned, width, first, sums);
            first += WIDTH;
        }
        if WIDTH > 16 && first + 16 <= width {
            add_tile::<R, FUSED, 16>(tile, turned, width, first, sums);
            first += 16;
        }
        if WIDTH > 8 && first + 8 <= width {
            add_tile::<R, FUSED, 8>(tile, turned, width, first, sums);
        }
    }
}

#[inline(always)]
fn add_tile<R: Real, const FUSED: bool, const WIDTH: usize>(
    tile: &[Row<R>; TILE],
    turned: &[R],
    width: usize,
    first: usize,
    sums: &mut [R],
) {
    let mut own = [[R::ZERO; WIDTH]; TILE];
    for (lane, numbers) in turned.chunks_exact(width).enumerate().take(LANES) {
        let numbers = &numbers[first..first + WIDTH];
        for r in 0..TILE {
            for c in 0..WIDTH {
                own[r][c] = tile[r][lane].times_plus::<FUSED>(numbers[c], own[r][c]);
            }
        }
    }
    for (row, own) in sums.chunks_exact_mut(width).zip(&own) {
        for (sum, own) in row[first..first + WIDTH].iter_mut().zip(own) {
            *sum += *own;
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
        type Output = ();

        #[inline(always)]
        fn run<const FUSED: bool, const WIDTH: usize>(self) {
            let Self(weights, rows, out, sums) = self;
            multiply::<f64, FUSED, WIDTH>(weights, rows, out);
            let width = whole_columns(rows.len());
            let mut turned = vec![0.0; width * LANES];
            turn(rows, width, &mut turned);
            add_outer::<f64, FUSED, WIDTH>(out, &turned, width, sums);
        }
    }

    #[test]
    fn products_equal_the_plain_sums_for_every_rest_of_a_tile() {
        for (height, depth) in [(1, 1), (6, 8), (7, 9), (13, 52), (24, 17), (31, 3)] {
            let mut weights = Packed::default();
            weights.fill(height, depth, |r, c| number(r * 31 + c));
            let x = rows(depth);
            let mut out = vec![[0.0; LANES]; whole_tiles(height)];
            let width = whole_columns(depth);
            let mut sums = vec![1.0; whole_tiles(height) * width];
            dispatch(Both(&weights, &x, &mut out, &mut sums));
            for r in 0..height {
                let plain = |l: usize| {
                    (0..depth)
                        .map(|c| number(r * 31 + c) * x[c][l])
                        .sum::<f64>()
                };
                for lane in 0..LANES {
                    assert!((out[r][lane] - plain(lane)).abs() < 1e-12);
                }
                for c in 0..depth {
                    let plain = 1.0 + (0..LANES).map(|l| out[r][l] * x[c][l]).sum::<f64>();
                    assert!((sums[r * width + c] - plain).abs() < 1e-12);
                }
            }
        }
    }
}
