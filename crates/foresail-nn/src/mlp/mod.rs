//! Linear layers with ReLU between, normalised or not, with a head; a second input may join midway.
//!
//! What a pass reads is in three parts: rows that are normalised where the net normalises, rows that
//! stand beside them and never are, and rows that join at a later layer. Nothing is normalised once
//! they have joined (Lillicrap et al. 2016: "all layers of the Q network prior to the action input").
//! Rows beside are for a number that is the same in a whole batch: normalised by the batch it would be
//! zero, whatever it is, and so would be its gradient.

mod backward;
pub mod head;
mod tape;

pub use backward::Wanted;
pub use head::Head;
pub use tape::MlpTape;

use rand_core::Rng;

use crate::batch_norm::{BatchNorm, Mode, Rows};
use crate::kernel::dense::DenseForward;
use crate::linear::Linear;
use crate::parameter::{Layer, Parameter, named};
use crate::real::Real;

/// Rows that join at the input of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// Which layer reads them; 0 = the first.
    pub layer: usize,
    /// How many.
    pub width: usize,
}

/// The form of a net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the input that are normalised where `batch_norm`.
    pub input: usize,
    /// Rows that stand beside them.
    pub beside: usize,
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// Rows of the answer.
    pub output: usize,
    /// Rows that join.
    pub join: Option<Join>,
    /// Normalised at the input and after each ReLU, up to where rows join.
    pub batch_norm: bool,
}

impl Shape {
    /// Rows that layer `place` reads.
    #[must_use]
    pub fn depth(&self, place: usize) -> usize {
        let below = match place.checked_sub(1) {
            None => self.input + self.beside,
            Some(below) => self.hidden[below],
        };
        below + self.joining(place)
    }

    /// Rows that join at layer `place`.
    fn joining(&self, place: usize) -> usize {
        self.join
            .map_or(0, |j| if j.layer == place { j.width } else { 0 })
    }

    /// Rows that layer `place` gives.
    #[must_use]
    pub fn width(&self, place: usize) -> usize {
        self.hidden.get(place).copied().unwrap_or(self.output)
    }

    fn layers(&self) -> usize {
        self.hidden.len() + 1
    }

    /// Whether what layer `place` reads is normalised.
    fn is_normed(&self, place: usize) -> bool {
        self.batch_norm && self.join.is_none_or(|j| place <= j.layer)
    }

    /// Rows that are normalised before layer `place`.
    fn normed(&self, place: usize) -> usize {
        match place.checked_sub(1) {
            None => self.input,
            Some(below) => self.hidden[below],
        }
    }
}

/// A net of linear layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp<R = f32> {
    shape: Shape,
    head: Head,
    linears: Vec<Linear<R>>,
    /// Of the first layers, as many as are normalised.
    norms: Vec<BatchNorm<R>>,
}

impl<R: Real> Mlp<R> {
    /// Hidden weights and biases uniform in ±1/√(rows that the layer reads), the last layer's in ±`last`.
    ///
    /// Source: Lillicrap et al. 2016, section 7; the width is that of the INPUT.
    pub fn new(shape: Shape, head: Head, last: f64, stream: &mut impl Rng) -> Self {
        let layers = shape.layers();
        let linear = |place: usize| {
            let (depth, width) = (shape.depth(place), shape.width(place));
            if place + 1 == layers {
                Linear::within(depth, width, last, stream)
            } else {
                Linear::new(depth, width, stream)
            }
        };
        let linears = (0..layers).map(linear).collect();
        let normed = (0..layers).take_while(|place| shape.is_normed(*place));
        let norms = normed.map(|place| BatchNorm::new(shape.normed(place)));
        let norms = norms.collect();
        Self {
            shape,
            head,
            linears,
            norms,
        }
    }

    /// Its form.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Answers what was written into the tape; the answer stands there too.
    ///
    /// The running statistics stay as they are until [`Self::absorb`].
    pub fn forward(&self, mode: Mode, tape: &mut MlpTape<R>) {
        debug_assert!(tape.fits(&self.shape));
        let layers = self.linears.len();
        let count = tape.count;
        for place in 0..layers {
            tape.join(place, &self.shape);
            if place == 0 {
                match self.norms.first() {
                    None => tape.copy_input(&self.shape),
                    Some(norm) => {
                        tape.copy_beside(&self.shape);
                        let raw = Rows {
                            rows: &tape.raw,
                            stride: self.shape.input + self.shape.beside,
                            count,
                        };
                        let layer = &mut tape.layers[0];
                        norm.forward(raw, mode, &mut layer.norm, (&mut layer.x, layer.depth));
                    }
                }
            }
            let norm_above = self.norms.get(place + 1).filter(|_| place + 1 < layers);
            let (now, above) = tape.layers.split_at_mut(place + 1);
            let now = &mut now[place];
            let (out, stride) = match (above.first_mut(), norm_above) {
                (None, _) => (&mut tape.out, self.shape.output),
                (Some(above), None) => (&mut above.x, above.depth),
                (Some(_), Some(_)) => (&mut now.out, now.width),
            };
            let linear = &self.linears[place];
            R::dense_forward(DenseForward {
                weight: &linear.weight.value,
                bias: &linear.bias.value,
                x: &now.x,
                depth: now.depth,
                out,
                stride,
                relu: place + 1 < layers,
            });
            if let (Some(norm), Some(above)) = (norm_above, above.first_mut()) {
                let rows = Rows {
                    rows: &now.out,
                    stride: now.width,
                    count,
                };
                norm.forward(rows, mode, &mut above.norm, (&mut above.x, above.depth));
            }
        }
        self.head.forward(&mut tape.out, self.shape.output);
    }

    /// Takes the batch of a pass in training into the running statistics.
    pub fn absorb(&mut self, tape: &MlpTape<R>) {
        for (norm, layer) in self.norms.iter_mut().zip(&tape.layers) {
            norm.absorb(&layer.norm);
        }
    }

    /// Its parameters, one after the other, in the order of their names.
    pub fn each(&self) -> impl Iterator<Item = &Parameter<R>> {
        let linears = self.linears.iter().flat_map(|l| [&l.weight, &l.bias]);
        linears.chain(self.norms.iter().flat_map(|n| [&n.weight, &n.bias]))
    }

    /// The same, to be changed.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut Parameter<R>> {
        let linears = self.linears.iter_mut();
        let linears = linears.flat_map(|l| [&mut l.weight, &mut l.bias]);
        let norms = self.norms.iter_mut();
        linears.chain(norms.flat_map(|n| [&mut n.weight, &mut n.bias]))
    }

    /// Its running statistics, one after the other, in the order of their names.
    pub fn running(&self) -> impl Iterator<Item = &Parameter<R>> {
        let norms = self.norms.iter();
        norms.flat_map(|n| [&n.running_mean, &n.running_var])
    }

    /// The same, to be changed.
    pub fn running_mut(&mut self) -> impl Iterator<Item = &mut Parameter<R>> {
        let norms = self.norms.iter_mut();
        norms.flat_map(|n| [&mut n.running_mean, &mut n.running_var])
    }
}

impl<R: Real> Layer<R> for Mlp<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let mut all = Vec::new();
        for (place, linear) in self.linears.iter().enumerate() {
            all.extend(named(&format!("layers.{place}"), linear.parameters()));
        }
        for (place, norm) in self.norms.iter().enumerate() {
            all.extend(named(&format!("norms.{place}"), norm.parameters()));
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let mut all = Vec::new();
        for (place, linear) in self.linears.iter_mut().enumerate() {
            all.extend(named(&format!("layers.{place}"), linear.parameters_mut()));
        }
        for (place, norm) in self.norms.iter_mut().enumerate() {
            all.extend(named(&format!("norms.{place}"), norm.parameters_mut()));
        }
        all
    }

    fn statistics(&self) -> Vec<(String, &Parameter<R>)> {
        let mut all = Vec::new();
        for (place, norm) in self.norms.iter().enumerate() {
            all.extend(named(&format!("norms.{place}"), norm.statistics()));
        }
        all
    }

    fn statistics_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let mut all = Vec::new();
        for (place, norm) in self.norms.iter_mut().enumerate() {
            all.extend(named(&format!("norms.{place}"), norm.statistics_mut()));
        }
        all
    }

    fn clear_gradients(&mut self) {
        for parameter in self.each_mut() {
            parameter.gradient.fill(R::ZERO);
        }
    }
}
