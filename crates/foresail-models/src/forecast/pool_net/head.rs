//! The published prediction network: the next step from the latents of a window and its time.
//!
//! Linear(52 → 64), dropout, ReLU, dropout, Linear(64 → 16), ReLU, dropout, Linear(16 → 1): 4,449
//! parameters at 48 latents. The rate of dropout is the one that is asked for; the published code takes
//! .2 whatever it is told.

use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::{Layer, Parameter, Real, Row, named};
use rand_chacha::ChaCha8Rng;

use super::{FEATURES, Training};

/// Rows behind the first and the second layer.
const WIDTHS: [usize; 2] = [64, 16];

/// Places in the published sequence of layers, functions and dropout.
const NAMES: [&str; 3] = ["model.0", "model.4", "model.7"];

/// Dropout of one pass: before the first ReLU, behind it, behind the second. None = no dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct Masks<R = f32>(pub Option<[Mask<R>; 3]>);

impl<R> Default for Masks<R> {
    fn default() -> Self {
        Self(None)
    }
}

/// The net.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<R = f32> {
    layers: [Linear<R>; 3],
    dropout: f64,
}

/// What a pass keeps.
#[derive(Clone, Debug, Default)]
pub struct Tape<R = f32> {
    layers: [LinearTape<R>; 3],
    /// Outputs of the two ReLUs, before the dropout behind them.
    squashed: [Vec<Row<R>>; 2],
    masked: Vec<Row<R>>,
}

impl<R: Real> Head<R> {
    /// Linear layers as PyTorch begins them.
    #[must_use]
    pub fn new(training: &Training, stream: &mut ChaCha8Rng) -> Self {
        let widths = [
            training.window + FEATURES,
            WIDTHS[0],
            WIDTHS[1],
            training.reach,
        ];
        let layer = |place: usize| Linear::new(widths[place], widths[place + 1], stream);
        Self {
            layers: [0, 1, 2].map(layer),
            dropout: training.dropout,
        }
    }

    /// The dropout of one pass.
    pub fn draw(&self, stream: &mut ChaCha8Rng) -> Masks<R> {
        let mask = |width| Mask::draw_quickly(width, self.dropout, stream);
        let widths = [WIDTHS[0], WIDTHS[0], WIDTHS[1]];
        Masks((self.dropout > 0.0).then(|| widths.map(mask)))
    }

    /// The steps ahead, less the oldest step of the window.
    ///
    /// Shapes: `x` is the latents and the four numbers of the next step's time.
    pub fn forward<'a>(
        &self,
        x: &[Row<R>],
        masks: &Masks<R>,
        tape: &'a mut Tape<R>,
    ) -> &'a [Row<R>] {
        let Tape {
            layers,
            squashed: [first, second],
            masked,
        } = tape;
        let [a, b, c] = layers;
        let keep = |rows: &[Row<R>], kept: &mut Vec<Row<R>>, mask: Option<&Mask<R>>| {
            kept.clear();
            kept.extend_from_slice(rows);
            if let Some(mask) = mask {
                mask.apply(kept);
            }
        };
        let mask = |place: usize| masks.0.as_ref().map(|m| &m[place]);
        keep(self.layers[0].forward(x, a), first, mask(0));
        Activation::Relu.forward(first);
        keep(first, masked, mask(1));
        keep(self.layers[1].forward(masked, b), second, None);
        Activation::Relu.forward(second);
        keep(second, masked, mask(2));
        self.layers[2].forward(masked, c)
    }

    /// Adds the gradients of all parameters, for the windows of the last forward pass.
    ///
    /// Shapes: `gradient` as the answer; the masks and the tape those of the forward pass.
    pub fn backward(&mut self, gradient: &[Row<R>], masks: &Masks<R>, tape: &mut Tape<R>) {
        let [first, second, third] = &mut self.layers;
        let mask = |place: usize, gradient: &mut [Row<R>]| {
            if let Some(masks) = &masks.0 {
                masks[place].apply(gradient);
            }
        };
        let mut gradient = third.backward(gradient, &mut tape.layers[2]);
        mask(2, &mut gradient);
        Activation::Relu.backward(&tape.squashed[1], &mut gradient);
        let mut gradient = second.backward(&gradient, &mut tape.layers[1]);
        mask(1, &mut gradient);
        Activation::Relu.backward(&tape.squashed[0], &mut gradient);
        mask(0, &mut gradient);
        first.backward(&gradient, &mut tape.layers[0]);
    }
}

impl<R: Real> Layer<R> for Head<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let layers = NAMES.iter().zip(&self.layers);
        layers.flat_map(|(n, l)| named(n, l.parameters())).collect()
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let layers = NAMES.iter().zip(&mut self.layers);
        layers
            .flat_map(|(n, l)| named(n, l.parameters_mut()))
            .collect()
    }
}
