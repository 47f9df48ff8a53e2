//! The loops of a layer over the steps of a sequence, forward and backward.

use pulp::Simd;

use super::layer::{GATES, LayerTape};
use crate::kernel::dense::{product, turned_product};
use crate::kernel::function::{sigmoid, tanh};
use crate::kernel::product::whole_tiles;
use crate::kernel::{Kernel, LANES, Row};
use crate::real::Real;

/// Place of the step that is read as number `t`.
fn place(t: usize, steps: usize, reversed: bool) -> usize {
    if reversed { steps - 1 - t } else { t }
}

/// A forward pass; the gates of the tape hold what the inputs add to them.
#[derive(Debug)]
pub struct GruForward<'a, R> {
    pub(super) hidden: usize,
    pub(super) reversed: bool,
    /// [3 · hidden, hidden]
    pub(super) weight: &'a [R],
    pub(super) bias: &'a [R],
    pub(super) tape: &'a mut LayerTape<R>,
    /// Steps of `stride` rows; a step's output goes to the rows from `first` on.
    pub(super) out: &'a mut [Row<R>],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl<R: Real> Kernel for GruForward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (hidden, tape) = (self.hidden, self.tape);
        for t in 0..tape.steps {
            let at = place(t, tape.steps, self.reversed);
            let gates = &mut tape.gates[at * GATES * hidden..][..GATES * hidden];
            product(simd, self.weight, self.bias, &tape.state, &mut tape.added);
            tape.before[at * hidden..][..hidden].copy_from_slice(&tape.state);
            let (r, rest) = gates.split_at_mut(hidden);
            let (z, n) = rest.split_at_mut(hidden);
            let out = &mut self.out[at * self.stride + self.first..][..hidden];
            let added_new = &mut tape.added_new[at * hidden..][..hidden];
            for u in 0..hidden {
                let (r, z, n) = (&mut r[u], &mut z[u], &mut n[u]);
                let added = &tape.added;
                let (a_r, a_z, a_n) = (&added[u], &added[hidden + u], &added[2 * hidden + u]);
                let (state, out) = (&mut tape.state[u], &mut out[u]);
                for l in 0..LANES {
                    r[l] = sigmoid::<R, FUSED>(r[l] + a_r[l]);
                    z[l] = sigmoid::<R, FUSED>(z[l] + a_z[l]);
                    n[l] = tanh::<R, FUSED>(r[l].times_plus::<FUSED>(a_n[l], n[l]));
                    state[l] = z[l].times_plus::<FUSED>(state[l] - n[l], n[l]);
                    out[l] = state[l];
                }
                added_new[u] = *a_n;
            }
        }
    }
}

/// A backward pass; the tape is that of the forward one.
#[derive(Debug)]
pub struct GruBackward<'a, R> {
    pub(super) hidden: usize,
    pub(super) reversed: bool,
    pub(super) weight: &'a [R],
    pub(super) tape: &'a mut LayerTape<R>,
    /// Gradient of the outputs: steps of some rows, its own from some row on.
    pub(super) outputs: (&'a [Row<R>], usize, usize),
}

impl<R: Real> Kernel for GruBackward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (hidden, tape) = (self.hidden, self.tape);
        let padded = whole_tiles(GATES * hidden);
        let (outputs, stride, first) = self.outputs;
        for t in (0..tape.steps).rev() {
            let at = place(t, tape.steps, self.reversed);
            let outside = &outputs[at * stride + first..][..hidden];
            let gates = &tape.gates[at * GATES * hidden..][..GATES * hidden];
            let (d_input, d_state) = (
                &mut tape.d_input[at * padded..][..padded],
                &mut tape.d_state[at * padded..][..padded],
            );
            for u in 0..hidden {
                let (r, z, n) = (&gates[u], &gates[hidden + u], &gates[2 * hidden + u]);
                let (before, added) = (
                    &tape.before[at * hidden + u],
                    &tape.added_new[at * hidden + u],
                );
                let (d_hidden, outside) = (&mut tape.d_hidden[u], &outside[u]);
                for l in 0..LANES {
                    let d = d_hidden[l] + outside[l];
                    let d_new = d * (R::ONE - z[l]) * (R::ONE - n[l] * n[l]);
                    let d_reset = d_new * added[l] * r[l] * (R::ONE - r[l]);
                    let d_update = d * (before[l] - n[l]) * z[l] * (R::ONE - z[l]);
                    d_input[u][l] = d_reset;
                    d_input[hidden + u][l] = d_update;
                    d_input[2 * hidden + u][l] = d_new;
                    d_state[2 * hidden + u][l] = d_new * r[l];
                    d_hidden[l] = d * z[l];
                }
                d_state[u] = d_input[u];
                d_state[hidden + u] = d_input[hidden + u];
            }
            let d_state = &d_state[..GATES * hidden];
            turned_product(simd, self.weight, 0..hidden, d_state, &mut tape.d_before);
            for (sum, row) in tape.d_hidden.iter_mut().zip(&tape.d_before) {
                for l in 0..LANES {
                    sum[l] += row[l];
                }
            }
        }
    }
}
