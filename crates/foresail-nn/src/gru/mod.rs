//! Gated recurrent units: layers on top of each other, each in one direction or in both.
//!
//! What the input adds to the gates is one product for all steps; what the state adds is one product a
//! step. A batch is up to [`LANES`] sequences of the same length, each a lane.
//! Source: Cho et al. 2014; gates r, z, n, where n is squashed after its hidden part was multiplied by r,
//! names and shapes as `torch.nn.GRU`.

mod layer;
pub(crate) mod step;

pub use layer::{GruLayer, LayerTape};

use rand_core::Rng;

use crate::kernel::{LANES, Row};
use crate::parameter::{Layer, Parameter};
use crate::real::Real;
use layer::add_rows;

/// Which way sequences are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// That way by one set of units and the other way by another.
    Both,
}

/// The form of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of a step.
    pub input: usize,
    /// Units of a layer in each direction.
    pub hidden: usize,
    /// Layers on top of each other.
    pub layers: usize,
    /// Which way they read.
    pub direction: Direction,
}

/// Layers on top of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru<R = f32> {
    shape: Shape,
    /// Layer by layer, the one that reads backwards second.
    parts: Vec<GruLayer<R>>,
}

/// What layers keep of a pass.
#[derive(Clone, Debug, Default)]
pub struct GruTape<R = f32> {
    parts: Vec<LayerTape<R>>,
    /// What each layer read, step by step, and behind them what the last gave.
    between: Vec<Vec<Row<R>>>,
    /// State of each part after its last step.
    last: Vec<Row<R>>,
    gradient: Vec<Row<R>>,
    below: Vec<Row<R>>,
}

/// Where the gradient of the outputs comes from; both may be given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upstream<'a, R = f32> {
    /// Of the last states, as [`Gru::last`] has them; empty = they are not used.
    pub last: &'a [Row<R>],
    /// Of every output of the last layer, as [`Gru::outputs`] has them; empty = they are not used.
    pub every: &'a [Row<R>],
}

impl<R: Real> Gru<R> {
    /// Weights uniform in ±1/√hidden, as PyTorch begins them.
    pub fn new(shape: Shape, stream: &mut impl Rng) -> Self {
        let directions = directions(shape);
        let part = |place: usize| {
            let input = match place / directions {
                0 => shape.input,
                _ => directions * shape.hidden,
            };
            GruLayer::new(input, shape.hidden, place % directions == 1, stream)
        };
        Self {
            shape,
            parts: (0..shape.layers * directions).map(part).collect(),
        }
    }

    /// Its form.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Rows of a step's output: hidden units of all directions.
    #[must_use]
    pub fn output(&self) -> usize {
        directions(self.shape) * self.shape.hidden
    }

    /// Rows of the last states: layers × directions × hidden.
    #[must_use]
    pub fn states(&self) -> usize {
        self.parts.len() * self.shape.hidden
    }

    /// Goes over sequences, from states of zeros.
    ///
    /// Shapes: `x` is steps × input rows, step by step.
    pub fn forward(&self, x: &[Row<R>], tape: &mut GruTape<R>) {
        let (directions, hidden) = (directions(self.shape), self.shape.hidden);
        let steps = x.len() / self.shape.input;
        let zero = [R::ZERO; LANES];
        tape.parts.resize_with(self.parts.len(), LayerTape::default);
        tape.between.resize_with(self.shape.layers + 1, Vec::new);
        tape.last.resize(self.states(), zero);
        tape.between[0].clear();
        tape.between[0].extend_from_slice(x);
        for layer in 0..self.shape.layers {
            let (below, above) = tape.between.split_at_mut(layer + 1);
            let (x, out) = (&below[layer], &mut above[0]);
            out.resize(steps * directions * hidden, zero);
            for d in 0..directions {
                let place = layer * directions + d;
                let part = &mut tape.parts[place];
                self.parts[place].forward(x, part, (out, directions * hidden, d * hidden));
                tape.last[place * hidden..][..hidden].copy_from_slice(part.last());
            }
        }
    }

    /// States after the last step of each direction, PyTorch's `h_n`: layer by layer, the direction
    /// that reads backwards second, `hidden` rows each.
    #[must_use]
    pub fn last<'a>(&self, tape: &'a GruTape<R>) -> &'a [Row<R>] {
        &tape.last
    }

    /// Outputs of the last layer, steps × [`Self::output`] rows.
    #[must_use]
    pub fn outputs<'a>(&self, tape: &'a GruTape<R>) -> &'a [Row<R>] {
        tape.between.last().map_or(&[], Vec::as_slice)
    }

    /// Adds the gradients of the parameters; gives those of the inputs where `inputs` is given.
    ///
    /// Shapes: `inputs` is steps × input rows. The tape must be that of the forward pass.
    pub fn backward(
        &mut self,
        upstream: Upstream<'_, R>,
        tape: &mut GruTape<R>,
        inputs: Option<&mut [Row<R>]>,
    ) {
        let (directions, hidden) = (directions(self.shape), self.shape.hidden);
        let zero = [R::ZERO; LANES];
        let GruTape {
            parts,
            between,
            gradient,
            below,
            ..
        } = tape;
        gradient.clear();
        gradient.extend_from_slice(upstream.every);
        gradient.resize(between[self.shape.layers].len(), zero);
        for layer in (0..self.shape.layers).rev() {
            let wants_below = layer > 0 || inputs.is_some();
            below.clear();
            below.resize(if wants_below { between[layer].len() } else { 0 }, zero);
            for d in 0..directions {
                let place = layer * directions + d;
                let last = upstream.last.get(place * hidden..(place + 1) * hidden);
                let part = &mut parts[place];
                let outputs = (&gradient[..], directions * hidden, d * hidden);
                self.parts[place].backward(outputs, last, &between[layer], part);
                if wants_below {
                    add_rows(below, self.parts[place].back(part));
                }
            }
            std::mem::swap(gradient, below);
        }
        if let Some(inputs) = inputs {
            inputs.copy_from_slice(gradient);
        }
    }
}

/// Directions in which a net reads.
fn directions(shape: Shape) -> usize {
    match shape.direction {
        Direction::Forward => 1,
        Direction::Both => 2,
    }
}

impl<R: Real> Layer<R> for Gru<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let directions = directions(self.shape);
        let parts = self.parts.iter().enumerate();
        let named = parts.flat_map(|(place, p)| p.at(place / directions));
        named.collect()
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let directions = directions(self.shape);
        let parts = self.parts.iter_mut().enumerate();
        let named = parts.flat_map(|(place, p)| p.at_mut(place / directions));
        named.collect()
    }
}
