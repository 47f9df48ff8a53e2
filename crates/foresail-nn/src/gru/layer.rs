//! One layer in one direction.

use rand_core::Rng;

use super::step::{GruBackward, GruForward};
use crate::kernel::dense::{DenseBack, DenseForward, DenseGradient};
use crate::kernel::product::{columns_max, whole_tiles};
use crate::kernel::{LANES, Row};
use crate::parameter::Parameter;
use crate::real::Real;

/// Blocks of a step's gates, in PyTorch's order: reset, update, new.
pub(super) const GATES: usize = 3;

/// One layer that reads in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct GruLayer<R = f32> {
    input: usize,
    hidden: usize,
    /// Whether it reads from the last step to the first.
    reversed: bool,
    /// [3 · hidden, input]
    weight_ih: Parameter<R>,
    /// [3 · hidden, hidden]
    weight_hh: Parameter<R>,
    /// [3 · hidden]
    bias_ih: Parameter<R>,
    /// [3 · hidden]
    bias_hh: Parameter<R>,
}

/// What it keeps of a pass; steps stand in the order of the sequence, not of reading.
#[derive(Clone, Debug, Default)]
pub struct LayerTape<R = f32> {
    pub(super) steps: usize,
    /// The three gates of each step, after their functions.
    pub(super) gates: Vec<Row<R>>,
    /// What the state adds to the gates of the step at hand.
    pub(super) added: Vec<Row<R>>,
    /// What the state adds to the new gate of each step, before the reset.
    pub(super) added_new: Vec<Row<R>>,
    /// State before each step, and after the last.
    pub(super) before: Vec<Row<R>>,
    pub(super) state: Vec<Row<R>>,
    /// Gradient of what input and state add to the gates of each step, whole register tiles.
    pub(super) d_input: Vec<Row<R>>,
    pub(super) d_state: Vec<Row<R>>,
    /// Gradient of the state at hand, and of the one before it.
    pub(super) d_hidden: Vec<Row<R>>,
    pub(super) d_before: Vec<Row<R>>,
    /// Gradient of the inputs.
    back: Vec<Row<R>>,
    turned: Vec<R>,
    sums: Vec<R>,
}

impl<R: Real> LayerTape<R> {
    /// The state after the last step that was read.
    pub(super) fn last(&self) -> &[Row<R>] {
        &self.state
    }
}

impl<R: Real> GruLayer<R> {
    /// Weights uniform in ±1/√hidden, as PyTorch begins them.
    pub fn new(input: usize, hidden: usize, reversed: bool, stream: &mut impl Rng) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let rows = GATES * hidden;
        Self {
            input,
            hidden,
            reversed,
            weight_ih: Parameter::uniform(&[rows, input], bound, stream),
            weight_hh: Parameter::uniform(&[rows, hidden], bound, stream),
            bias_ih: Parameter::uniform(&[rows], bound, stream),
            bias_hh: Parameter::uniform(&[rows], bound, stream),
        }
    }

    /// Goes over a sequence from a state of zeros; writes each step's output into `hidden` rows.
    ///
    /// Shapes: `x` is steps × input rows; `out` is steps of `stride` rows, its own from `first` on.
    pub(super) fn forward(
        &self,
        x: &[Row<R>],
        tape: &mut LayerTape<R>,
        (out, stride, first): (&mut [Row<R>], usize, usize),
    ) {
        let (hidden, steps) = (self.hidden, x.len() / self.input);
        let zero = [R::ZERO; LANES];
        tape.steps = steps;
        tape.gates.resize(steps * GATES * hidden, zero);
        tape.added.resize(GATES * hidden, zero);
        tape.added_new.resize(steps * hidden, zero);
        tape.before.resize(steps * hidden, zero);
        tape.state.clear();
        tape.state.resize(hidden, zero);
        R::dense_forward(DenseForward {
            weight: &self.weight_ih.value,
            bias: &self.bias_ih.value,
            x,
            depth: self.input,
            out: &mut tape.gates,
            stride: GATES * hidden,
            relu: false,
        });
        R::gru_forward(GruForward {
            hidden,
            reversed: self.reversed,
            weight: &self.weight_hh.value,
            bias: &self.bias_hh.value,
            tape,
            out,
            stride,
            first,
        });
    }

    /// Adds the gradients of the parameters and leaves those of the inputs for [`Self::back`].
    ///
    /// Shapes: `outputs` is the gradient of the outputs in the form that [`Self::forward`] wrote them;
    /// `last` is that of the state after the last step, `hidden` rows; `x` is what was read.
    pub(super) fn backward(
        &mut self,
        outputs: (&[Row<R>], usize, usize),
        last: Option<&[Row<R>]>,
        x: &[Row<R>],
        tape: &mut LayerTape<R>,
    ) {
        let (input, hidden) = (self.input, self.hidden);
        let zero = [R::ZERO; LANES];
        let padded = whole_tiles(GATES * hidden);
        tape.d_input.resize(tape.steps * padded, zero);
        tape.d_state.resize(tape.steps * padded, zero);
        tape.d_before.resize(hidden, zero);
        tape.d_hidden.clear();
        tape.d_hidden.extend_from_slice(last.unwrap_or(&[]));
        tape.d_hidden.resize(hidden, zero);
        let widest = columns_max(input.max(hidden));
        tape.turned.resize(widest * LANES, R::ZERO);
        tape.sums.resize(padded * widest, R::ZERO);
        R::gru_backward(GruBackward {
            hidden,
            reversed: self.reversed,
            weight: &self.weight_hh.value,
            tape,
            outputs,
        });
        let (d_input, d_state, before) = (&tape.d_input, &tape.d_state, &tape.before);
        let parts = [
            (d_input, x, &mut self.weight_ih, &mut self.bias_ih),
            (d_state, before, &mut self.weight_hh, &mut self.bias_hh),
        ];
        for (upstream, x, weight, bias) in parts {
            R::dense_gradient(DenseGradient {
                upstream,
                upstream_stride: padded,
                x,
                depth: weight.shape[1],
                turned: &mut tape.turned,
                sums: &mut tape.sums,
                weight: &mut weight.gradient,
                bias: &mut bias.gradient,
            });
        }
    }

    /// Gradient of the inputs after [`Self::backward`], steps × input rows.
    pub(super) fn back<'a>(&self, tape: &'a mut LayerTape<R>) -> &'a [Row<R>] {
        let input = self.input;
        tape.back.resize(tape.steps * input, [R::ZERO; LANES]);
        R::dense_back(DenseBack {
            weight: &self.weight_ih.value,
            depth: input,
            upstream: &tape.d_input,
            upstream_stride: whole_tiles(GATES * self.hidden),
            outputs: GATES * self.hidden,
            columns: 0..input,
            out: &mut tape.back,
        });
        &tape.back
    }

    fn names(&self, layer: usize) -> [String; 4] {
        let suffix = if self.reversed { "_reverse" } else { "" };
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|n| format!("{n}_l{layer}{suffix}"))
    }

    /// Its parameters with their names in layer `layer`.
    pub(super) fn at(&self, layer: usize) -> impl Iterator<Item = (String, &Parameter<R>)> {
        let own = [
            &self.weight_ih,
            &self.weight_hh,
            &self.bias_ih,
            &self.bias_hh,
        ];
        self.names(layer).into_iter().zip(own)
    }

    /// The same, to be changed.
    pub(super) fn at_mut(
        &mut self,
        layer: usize,
    ) -> impl Iterator<Item = (String, &mut Parameter<R>)> {
        let names = self.names(layer);
        let own = [
            &mut self.weight_ih,
            &mut self.weight_hh,
            &mut self.bias_ih,
            &mut self.bias_hh,
        ];
        names.into_iter().zip(own)
    }
}

/// `sums += rows`, row by row.
pub(super) fn add_rows<R: Real>(sums: &mut [Row<R>], rows: &[Row<R>]) {
    for (sum, row) in sums.iter_mut().zip(rows) {
        for l in 0..LANES {
            sum[l] += row[l];
        }
    }
}
