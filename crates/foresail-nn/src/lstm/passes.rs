//! Many passes of a layer over one sequence, the channels of its input masked otherwise in each.
//!
//! A mask stands still over the steps of a pass (variational dropout), so that what the input adds to
//! the gates is one product for all passes: weight · input of each step and channel, times the masks.
//! Only the recurrence is left for each pass, and a lane is a pass.

use pulp::Simd;

use super::{GATES, LstmLayer};
use crate::dropout::Mask;
use crate::kernel::function::{sigmoid, tanh};
use crate::kernel::product::{Packed, multiply};
use crate::kernel::{Kernel, LANES, Row};
use crate::real::Real;

/// One sequence, ready for passes of one layer.
#[derive(Clone, Debug, Default)]
pub struct Passes<R = f32> {
    hidden: usize,
    steps: usize,
    /// Row by row (step, gate, unit), a column for each channel: weight · input.
    flat: Vec<R>,
    products: Packed<R>,
    /// The weights [hidden | bias].
    recurrent: Packed<R>,
    gates: Vec<Row<R>>,
    /// [h | 1].
    state: Vec<Row<R>>,
    cells: Vec<Row<R>>,
    /// What the state adds to the gates of a step.
    sums: Vec<Row<R>>,
    outputs: Vec<Row<R>>,
}

impl<R: Real> LstmLayer<R> {
    /// Takes in the sequence that passes go over.
    ///
    /// Shapes: `x` is steps × input numbers of one sample, step by step.
    pub fn take(&self, x: &[R], passes: &mut Passes<R>) {
        let (input, hidden) = (self.input, self.hidden);
        debug_assert!(x.len().is_multiple_of(input));
        let zero = [R::ZERO; LANES];
        passes.hidden = hidden;
        passes.steps = x.len() / input;
        passes.flat.clear();
        for x in x.chunks_exact(input) {
            for weights in self.weight_ih.value.chunks_exact(input) {
                let both = weights.iter().zip(x);
                passes.flat.extend(both.map(|(w, x)| *w * *x));
            }
        }
        let rows = passes.steps * GATES * hidden;
        let flat = &passes.flat;
        passes
            .products
            .fill(rows, input, |r, c| flat[r * input + c]);
        let of_state = |r: usize, c: usize| {
            if c < hidden {
                self.weight_hh.value[r * hidden + c]
            } else {
                self.bias_ih.value[r] + self.bias_hh.value[r]
            }
        };
        passes.recurrent.fill(GATES * hidden, hidden + 1, of_state);
        passes.gates.resize(rows, zero);
        passes.state.resize(hidden + 1, zero);
        passes.cells.resize(hidden, zero);
        passes.sums.resize(GATES * hidden, zero);
        passes.outputs.resize(passes.steps * hidden, zero);
    }
}

impl<R: Real> Passes<R> {
    /// Outputs of [`LANES`] passes over the sequence, each from a state of zeros.
    ///
    /// Shapes: `mask` has a row for each channel of the input; the outputs are steps × hidden rows.
    pub fn run(&mut self, mask: &Mask<R>) -> &[Row<R>] {
        R::pass(Pass(self, mask.rows()));
        &self.outputs
    }
}

/// One pass per lane.
#[derive(Debug)]
pub struct Pass<'a, R>(&'a mut Passes<R>, &'a [Row<R>]);

impl<R: Real> Kernel for Pass<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let Self(p, mask) = self;
        let hidden = p.hidden;
        multiply(simd, &p.products, mask, &mut p.gates);
        p.state.fill([R::ZERO; LANES]);
        p.state[hidden] = [R::ONE; LANES];
        p.cells.fill([R::ZERO; LANES]);
        for t in 0..p.steps {
            multiply(simd, &p.recurrent, &p.state, &mut p.sums);
            let gates = &p.gates[t * GATES * hidden..][..GATES * hidden];
            for u in 0..hidden {
                let at = |place: usize| (&gates[place * hidden + u], &p.sums[place * hidden + u]);
                let [(i, si), (f, sf), (g, sg), (o, so)] = [at(0), at(1), at(2), at(3)];
                let (cell, state) = (&mut p.cells[u], &mut p.state[u]);
                for l in 0..LANES {
                    let input = sigmoid::<R, FUSED>(i[l] + si[l]);
                    let forget = sigmoid::<R, FUSED>(f[l] + sf[l]);
                    let new = tanh::<R, FUSED>(g[l] + sg[l]);
                    let output = sigmoid::<R, FUSED>(o[l] + so[l]);
                    cell[l] = forget.times_plus::<FUSED>(cell[l], input * new);
                    state[l] = output * tanh::<R, FUSED>(cell[l]);
                }
            }
            p.outputs[t * hidden..][..hidden].copy_from_slice(&p.state[..hidden]);
        }
    }
}
