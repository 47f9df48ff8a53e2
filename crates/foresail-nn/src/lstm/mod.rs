//! Long short-term memory: one layer, and layers on top of each other.
//!
//! A step is one product: the weights stand side by side as [hidden | input | bias], and so do the
//! rows that they meet. Gradients of all weights of a step are one product too.
//! Source: Hochreiter & Schmidhuber 1997; gates, names and shapes as `torch.nn.LSTM`.

pub mod passes;
pub mod stack;
pub(crate) mod step;

use rand_core::Rng;

use crate::dropout::Mask;
use crate::kernel::product::{Packed, columns_max, whole_tiles};
use crate::kernel::{LANES, Row};
use crate::parameter::{Layer, Parameter};
use crate::real::Real;
use step::{Backward, Forward};

/// Blocks of a step's gates, in PyTorch's order: input, forget, cell, output.
const GATES: usize = 4;

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmLayer<R = f32> {
    input: usize,
    hidden: usize,
    /// [4 · hidden, input]
    weight_ih: Parameter<R>,
    /// [4 · hidden, hidden]
    weight_hh: Parameter<R>,
    /// [4 · hidden]
    bias_ih: Parameter<R>,
    /// [4 · hidden]
    bias_hh: Parameter<R>,
}

/// What one layer keeps of a pass over [`LANES`] samples.
#[derive(Clone, Debug, Default)]
pub struct LayerTape<R = f32> {
    steps: usize,
    /// Step by step [h of the step before | x | 1], one step more for the last h.
    inputs: Vec<Row<R>>,
    /// Step by step the four gates, after their functions.
    gates: Vec<Row<R>>,
    /// Cell state before each step, and after the last.
    cells: Vec<Row<R>>,
    /// tanh of the cell state after each step.
    squashed: Vec<Row<R>>,
    weights: Packed<R>,
    /// Hidden and, where they are asked for, input columns turned into rows.
    turned_weights: Packed<R>,
    /// Gradient of [hidden | input | bias], row by row.
    sums: Vec<R>,
}

/// Where the gradient of a layer's output comes from.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a, R = f32> {
    /// Only the last step's output is used: `hidden` rows.
    Last(&'a [Row<R>]),
    /// Every step's output is used: steps × `hidden` rows.
    Every(&'a [Row<R>]),
}

impl<R: Real> LstmLayer<R> {
    /// A layer with weights uniform in ±1/√hidden, as PyTorch begins it.
    pub fn new(input: usize, hidden: usize, stream: &mut impl Rng) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let rows = GATES * hidden;
        Self {
            input,
            hidden,
            weight_ih: Parameter::uniform(&[rows, input], bound, stream),
            weight_hh: Parameter::uniform(&[rows, hidden], bound, stream),
            bias_ih: Parameter::uniform(&[rows], bound, stream),
            bias_hh: Parameter::uniform(&[rows], bound, stream),
        }
    }

    /// A layer with orthogonal recurrent weights, Xavier's input weights, and biases of zero but for
    /// the forget gate's, which are one in both biases: two together.
    ///
    /// Source: the layer of the published AQUATOPE code; Jozefowicz et al. 2015 for the forget gate.
    pub fn orthogonal(input: usize, hidden: usize, stream: &mut impl Rng) -> Self {
        let rows = GATES * hidden;
        let mut bias = Parameter::zeros(&[rows]);
        bias.value[hidden..2 * hidden].fill(R::ONE);
        Self {
            input,
            hidden,
            weight_ih: Parameter::xavier([rows, input], stream),
            weight_hh: Parameter::orthogonal([rows, hidden], stream),
            bias_ih: bias.clone(),
            bias_hh: bias,
        }
    }

    /// Rows of a step's input.
    #[must_use]
    pub fn input(&self) -> usize {
        self.input
    }

    /// Rows of a step's output.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Rows that meet the weights in a step.
    fn depth(&self) -> usize {
        self.hidden + self.input + 1
    }

    /// Number of the joint weights [hidden | input | bias].
    fn weight(&self, row: usize, column: usize) -> R {
        match column.checked_sub(self.hidden) {
            None => self.weight_hh.value[row * self.hidden + column],
            Some(c) if c < self.input => self.weight_ih.value[row * self.input + c],
            Some(_) => self.bias_ih.value[row] + self.bias_hh.value[row],
        }
    }

    /// Goes over a sequence, from a state of zeros; the outputs stand in the tape.
    ///
    /// Shapes: `x` is steps × input rows, step by step.
    pub fn forward(&self, x: &[Row<R>], tape: &mut LayerTape<R>) {
        let (hidden, depth) = (self.hidden, self.depth());
        debug_assert!(x.len().is_multiple_of(self.input));
        let steps = x.len() / self.input;
        let zero = [R::ZERO; LANES];
        tape.steps = steps;
        tape.inputs.resize((steps + 1) * depth, zero);
        tape.gates.resize(steps * GATES * hidden, zero);
        tape.cells.resize((steps + 1) * hidden, zero);
        tape.squashed.resize(steps * hidden, zero);
        tape.inputs[..hidden].fill(zero);
        tape.cells[..hidden].fill(zero);
        let blocks = tape.inputs.chunks_exact_mut(depth);
        for (block, x) in blocks.zip(x.chunks_exact(self.input)) {
            block[hidden..depth - 1].copy_from_slice(x);
            block[depth - 1] = [R::ONE; LANES];
        }
        tape.weights
            .fill(GATES * hidden, depth, |r, c| self.weight(r, c));
        R::forward(Forward {
            hidden,
            depth,
            tape,
        });
    }

    /// Adds the gradients of the parameters and gives that of the inputs, where `inputs` is given.
    ///
    /// Shapes: `inputs` is steps × input rows. The tape must be that of the forward pass.
    pub fn backward(
        &mut self,
        upstream: Upstream<'_, R>,
        tape: &mut LayerTape<R>,
        inputs: Option<&mut [Row<R>]>,
    ) {
        let (hidden, depth) = (self.hidden, self.depth());
        let numbers = whole_tiles(GATES * hidden) * columns_max(depth);
        tape.sums.clear();
        tape.sums.resize(numbers, R::ZERO);
        let rows = hidden + if inputs.is_some() { self.input } else { 0 };
        tape.turned_weights
            .fill(rows, GATES * hidden, |r, c| self.weight(c, r));
        let width = R::backward(Backward {
            hidden,
            depth,
            upstream,
            tape,
            inputs,
        });
        self.add(&tape.sums, width);
    }

    /// Adds sums over [hidden | input | bias] to the gradients.
    fn add(&mut self, sums: &[R], width: usize) {
        let (hidden, input) = (self.hidden, self.input);
        for (r, sums) in sums.chunks_exact(width).take(GATES * hidden).enumerate() {
            add_each(&mut self.weight_hh.gradient[r * hidden..][..hidden], sums);
            add_each(
                &mut self.weight_ih.gradient[r * input..][..input],
                &sums[hidden..],
            );
            self.bias_ih.gradient[r] += sums[hidden + input];
            self.bias_hh.gradient[r] += sums[hidden + input];
        }
    }

    fn names(place: usize) -> [String; 4] {
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|n| format!("{n}_l{place}"))
    }
}

fn add_each<R: Real>(sums: &mut [R], more: &[R]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += *more;
    }
}

impl<R: Real> Layer<R> for LstmLayer<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let own = [
            &self.weight_ih,
            &self.weight_hh,
            &self.bias_ih,
            &self.bias_hh,
        ];
        Self::names(0).into_iter().zip(own).collect()
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let own = [
            &mut self.weight_ih,
            &mut self.weight_hh,
            &mut self.bias_ih,
            &mut self.bias_hh,
        ];
        Self::names(0).into_iter().zip(own).collect()
    }
}

impl<R: Real> LayerTape<R> {
    /// Output of each step, step by step, for a layer of `hidden` rows.
    #[must_use]
    pub fn outputs(&self, hidden: usize) -> impl ExactSizeIterator<Item = &[Row<R>]> {
        let depth = self.inputs.len() / (self.steps + 1);
        self.inputs
            .chunks_exact(depth)
            .skip(1)
            .map(move |b| &b[..hidden])
    }

    /// Cell state before each step and after the last, for a layer of `hidden` rows.
    #[must_use]
    pub fn cells(&self, hidden: usize) -> impl ExactSizeIterator<Item = &[Row<R>]> {
        self.cells.chunks_exact(hidden)
    }

    /// Output of the last step, for a layer of `hidden` rows; zeros without any step.
    #[must_use]
    pub fn last(&self, hidden: usize) -> &[Row<R>] {
        let depth = self.inputs.len() / (self.steps + 1);
        &self.inputs[self.steps * depth..][..hidden]
    }
}

/// Layers on top of each other, each reading every step of the one below.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm<R = f32> {
    layers: Vec<LstmLayer<R>>,
}

/// What a stack keeps of a pass.
#[derive(Clone, Debug, Default)]
pub struct LstmTape<R = f32> {
    layers: Vec<LayerTape<R>>,
    /// Output of the layer below and its gradient, between two layers.
    between: Vec<Row<R>>,
    gradient: Vec<Row<R>>,
}

impl<R: Real> Lstm<R> {
    /// `layers` layers; the first reads `input` rows, the others `hidden`.
    pub fn new(input: usize, hidden: usize, layers: usize, stream: &mut impl Rng) -> Self {
        let width = |place: usize| if place == 0 { input } else { hidden };
        let layer = |place| LstmLayer::new(width(place), hidden, stream);
        Self {
            layers: (0..layers).map(layer).collect(),
        }
    }

    /// Rows of an output.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.layers.last().map_or(0, LstmLayer::hidden)
    }

    /// The layers, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[LstmLayer<R>] {
        &self.layers
    }

    /// Goes over a sequence, from a state of zeros.
    ///
    /// Shapes: `x` is steps × input rows, step by step. `masks` stand on the outputs of all layers but
    /// the last, one for each; a mask of `hidden` rows is the same at each step (variational), one of
    /// steps × hidden rows is not; none = no dropout.
    pub fn forward(&self, x: &[Row<R>], masks: &[Mask<R>], tape: &mut LstmTape<R>) {
        tape.layers
            .resize_with(self.layers.len(), LayerTape::default);
        for (place, layer) in self.layers.iter().enumerate() {
            let Some(below) = place.checked_sub(1) else {
                layer.forward(x, &mut tape.layers[0]);
                continue;
            };
            tape.between.clear();
            for output in tape.layers[below].outputs(self.layers[below].hidden) {
                tape.between.extend_from_slice(output);
            }
            if let Some(mask) = masks.get(below) {
                mask.apply(&mut tape.between);
            }
            layer.forward(&tape.between, &mut tape.layers[place]);
        }
    }

    /// Adds the gradients of the parameters; those of the inputs where `inputs` is given.
    ///
    /// Shapes: as in [`Self::forward`], with the same masks and tape; `inputs` is steps × input rows.
    pub fn backward(
        &mut self,
        upstream: Upstream<'_, R>,
        masks: &[Mask<R>],
        tape: &mut LstmTape<R>,
        mut inputs: Option<&mut [Row<R>]>,
    ) {
        let LstmTape {
            layers: tapes,
            between: above,
            gradient,
        } = tape;
        let top = self.layers.len().saturating_sub(1);
        for (place, layer) in self.layers.iter_mut().enumerate().rev() {
            let own = &mut tapes[place];
            let upstream = if place == top {
                upstream
            } else {
                Upstream::Every(above)
            };
            let Some(below) = place.checked_sub(1) else {
                layer.backward(upstream, own, inputs.take());
                continue;
            };
            gradient.clear();
            gradient.resize(own.steps * layer.input, [R::ZERO; LANES]);
            layer.backward(upstream, own, Some(gradient.as_mut_slice()));
            if let Some(mask) = masks.get(below) {
                mask.apply(gradient);
            }
            std::mem::swap(gradient, above);
        }
    }

    /// Output of the last step of the last layer.
    #[must_use]
    pub fn last<'a>(&self, tape: &'a LstmTape<R>) -> &'a [Row<R>] {
        tape.layers.last().map_or(&[], |t| t.last(self.hidden()))
    }

    /// Outputs of the last layer, step by step.
    pub fn outputs<'a>(
        &self,
        tape: &'a LstmTape<R>,
    ) -> impl Iterator<Item = &'a [Row<R>]> + use<'a, R> {
        let hidden = self.hidden();
        tape.layers
            .last()
            .into_iter()
            .flat_map(move |t| t.outputs(hidden))
    }
}

impl<R: Real> Layer<R> for Lstm<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let mut all = Vec::new();
        for (place, l) in self.layers.iter().enumerate() {
            let own = [&l.weight_ih, &l.weight_hh, &l.bias_ih, &l.bias_hh];
            all.extend(LstmLayer::<R>::names(place).into_iter().zip(own));
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let mut all = Vec::new();
        for (place, l) in self.layers.iter_mut().enumerate() {
            let own = [
                &mut l.weight_ih,
                &mut l.weight_hh,
                &mut l.bias_ih,
                &mut l.bias_hh,
            ];
            all.extend(LstmLayer::<R>::names(place).into_iter().zip(own));
        }
        all
    }
}
