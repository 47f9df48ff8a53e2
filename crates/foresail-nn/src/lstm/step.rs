//! The loops of a layer over the steps of a sequence, forward and backward.

use super::{GATES, LayerTape, Upstream};
use pulp::Simd;

use crate::kernel::function::{sigmoid, tanh};
use crate::kernel::product::{add_outer, multiply, turn, whole_columns, whole_tiles};
use crate::kernel::{Kernel, LANES, Row};
use crate::real::Real;

/// A forward pass; the tape has its inputs and weights.
pub(super) struct Forward<'a, R> {
    pub(super) hidden: usize,
    pub(super) depth: usize,
    pub(super) tape: &'a mut LayerTape<R>,
}

impl<R: Real> Kernel for Forward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (hidden, depth) = (self.hidden, self.depth);
        let tape = self.tape;
        for t in 0..tape.steps {
            let gates = &mut tape.gates[t * GATES * hidden..][..GATES * hidden];
            let (now, next) = tape.inputs[t * depth..].split_at_mut(depth);
            multiply(simd, &tape.weights, now, gates);
            let (before, after) = tape.cells[t * hidden..].split_at_mut(hidden);
            let squashed = &mut tape.squashed[t * hidden..][..hidden];
            for u in 0..hidden {
                let [i, f, g, o] = unit_gates(gates, hidden, u);
                for l in 0..LANES {
                    i[l] = sigmoid::<R, FUSED>(i[l]);
                    f[l] = sigmoid::<R, FUSED>(f[l]);
                    g[l] = tanh::<R, FUSED>(g[l]);
                    o[l] = sigmoid::<R, FUSED>(o[l]);
                }
                let (before, after) = (&before[u], &mut after[u]);
                let (squashed, output) = (&mut squashed[u], &mut next[u]);
                for l in 0..LANES {
                    after[l] = f[l].times_plus::<FUSED>(before[l], i[l] * g[l]);
                    squashed[l] = tanh::<R, FUSED>(after[l]);
                    output[l] = o[l] * squashed[l];
                }
            }
        }
    }
}

/// The four gates of one unit.
#[inline(always)]
fn unit_gates<R>(gates: &mut [Row<R>], hidden: usize, unit: usize) -> [&mut Row<R>; GATES] {
    let (i, rest) = gates.split_at_mut(hidden);
    let (f, rest) = rest.split_at_mut(hidden);
    let (g, o) = rest.split_at_mut(hidden);
    [&mut i[unit], &mut f[unit], &mut g[unit], &mut o[unit]]
}

/// A backward pass; the tape is that of the forward one.
pub(super) struct Backward<'a, R> {
    pub(super) hidden: usize,
    pub(super) depth: usize,
    pub(super) upstream: Upstream<'a, R>,
    pub(super) tape: &'a mut LayerTape<R>,
    pub(super) inputs: Option<&'a mut [Row<R>]>,
}

impl<R: Real> Kernel for Backward<'_, R> {
    /// Width of a row of the sums.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> usize {
        let (hidden, depth) = (self.hidden, self.depth);
        let input = depth - hidden - 1;
        let (tape, mut inputs) = (self.tape, self.inputs);
        let zero = [R::ZERO; LANES];
        let width = whole_columns::<R, S>(depth);
        let mut turned = vec![R::ZERO; width * LANES];
        let mut d_gates = vec![zero; whole_tiles(GATES * hidden)];
        let mut d_cells = vec![zero; hidden];
        // Gradient of [h | x] of a step; what the weights give back.
        let mut back = vec![zero; hidden + if inputs.is_some() { input } else { 0 }];
        let sums = &mut tape.sums[..d_gates.len() * width];
        for t in (0..tape.steps).rev() {
            let outside = match self.upstream {
                Upstream::Every(rows) => Some(&rows[t * hidden..][..hidden]),
                Upstream::Last(rows) => (t + 1 == tape.steps).then_some(rows),
            };
            if let Some(rows) = outside {
                add_rows(&mut back[..hidden], rows);
            }
            let saved = Saved {
                gates: &tape.gates[t * GATES * hidden..][..GATES * hidden],
                before: &tape.cells[t * hidden..][..hidden],
                squashed: &tape.squashed[t * hidden..][..hidden],
            };
            saved.back::<FUSED>(&back[..hidden], &mut d_cells, &mut d_gates);
            turn(&tape.inputs[t * depth..][..depth], width, &mut turned);
            add_outer(simd, &d_gates, &turned, width, sums);
            if t > 0 || inputs.is_some() {
                let d_gates = &d_gates[..GATES * hidden];
                multiply(simd, &tape.turned_weights, d_gates, &mut back);
            }
            if let Some(inputs) = &mut inputs {
                inputs[t * input..][..input].copy_from_slice(&back[hidden..]);
            }
        }
        width
    }
}

#[inline(always)]
fn add_rows<R: Real>(sums: &mut [Row<R>], rows: &[Row<R>]) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        for l in 0..LANES {
            sum[l] += row[l];
        }
    }
}

/// What the forward pass of one step left.
struct Saved<'a, R> {
    gates: &'a [Row<R>],
    before: &'a [Row<R>],
    squashed: &'a [Row<R>],
}

impl<R: Real> Saved<'_, R> {
    /// From the gradient of the output to that of the gates before their functions; `d_cells` goes
    /// from the state after the step to the one before.
    #[inline(always)]
    fn back<const FUSED: bool>(
        &self,
        d_output: &[Row<R>],
        d_cells: &mut [Row<R>],
        d_gates: &mut [Row<R>],
    ) {
        let hidden = d_output.len();
        for u in 0..hidden {
            let gate = |place: usize| &self.gates[place * hidden + u];
            let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
            let (before, squashed) = (&self.before[u], &self.squashed[u]);
            let (d_output, d_cell) = (&d_output[u], &mut d_cells[u]);
            let (d_i, rest) = d_gates.split_at_mut(hidden);
            let (d_f, rest) = rest.split_at_mut(hidden);
            let (d_g, d_o) = rest.split_at_mut(hidden);
            let (d_i, d_f, d_g, d_o) = (&mut d_i[u], &mut d_f[u], &mut d_g[u], &mut d_o[u]);
            for l in 0..LANES {
                let slope = R::ONE - squashed[l] * squashed[l];
                let d = (d_output[l] * o[l]).times_plus::<FUSED>(slope, d_cell[l]);
                d_o[l] = d_output[l] * squashed[l] * o[l] * (R::ONE - o[l]);
                d_i[l] = d * g[l] * i[l] * (R::ONE - i[l]);
                d_f[l] = d * before[l] * f[l] * (R::ONE - f[l]);
                d_g[l] = d * i[l] * (R::ONE - g[l] * g[l]);
                d_cell[l] = d * f[l];
            }
        }
    }
}
