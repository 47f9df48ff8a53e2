//! The encoder-decoder: latents of a window, and from them the steps ahead.
//!
//! Encoder: LSTM(5 → 64), LSTM(64 → 1), ReLU; one latent for each step. Decoder: the latents and the
//! last values, one after the other in time, through LSTM(1 → 16), LSTM(16 → 1), then all steps through
//! two linear layers without a function between. 22,084 parameters at 48 steps in and 12 out.

use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::lstm::stack::{Stack, StackTape};
use foresail_nn::{Layer, Parameter, Real, Row, named};
use rand_chacha::ChaCha8Rng;

use super::{INPUTS, Shape, Training};

/// Units of the layers of the encoder.
const ENCODER: [usize; 2] = [64, 1];

/// Units of the layers of the decoder.
const DECODER: [usize; 2] = [16, 1];

/// Rows between the linear layers.
const BETWEEN: usize = 32;

/// Dropout of one pass; none where nothing is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Masks<R = f32> {
    /// On the layers of the encoder.
    pub encoder: [Option<Mask<R>>; 2],
    /// On the layers of the decoder.
    pub decoder: [Option<Mask<R>>; 2],
}

impl<R> Default for Masks<R> {
    fn default() -> Self {
        Self {
            encoder: [None, None],
            decoder: [None, None],
        }
    }
}

/// Masks on two layers of `widths`; a layer of one channel has one in the published shape alone.
pub(super) fn draw<R: Real>(
    widths: [usize; 2],
    shape: Shape,
    dropout: f64,
    stream: &mut ChaCha8Rng,
) -> [Option<Mask<R>>; 2] {
    widths.map(|width| {
        let stands = dropout > 0.0 && (width > 1 || shape == Shape::Published);
        stands.then(|| Mask::draw_quickly(width, dropout, stream))
    })
}

/// Masks on the layers of an encoder.
pub(super) fn draw_encoder<R: Real>(
    shape: Shape,
    dropout: f64,
    stream: &mut ChaCha8Rng,
) -> [Option<Mask<R>>; 2] {
    draw(ENCODER, shape, dropout, stream)
}

/// A new encoder.
pub(super) fn encoder<R: Real>(stream: &mut ChaCha8Rng) -> Stack<R> {
    Stack::orthogonal(INPUTS, &ENCODER, stream)
}

/// Both halves.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderDecoder<R = f32> {
    pub(super) encoder: Stack<R>,
    decoder: Stack<R>,
    wide: Linear<R>,
    out: Linear<R>,
    window: usize,
    reach: usize,
    shape: Shape,
    dropout: f64,
}

/// What a pass keeps.
#[derive(Clone, Debug, Default)]
pub struct Tape<R = f32> {
    encoder: StackTape<R>,
    /// Latents, then the last values.
    joined: Vec<Row<R>>,
    decoder: StackTape<R>,
    wide: LinearTape<R>,
    out: LinearTape<R>,
}

impl<R: Real> EncoderDecoder<R> {
    /// Recurrent layers begin as published, linear ones as PyTorch's.
    #[must_use]
    pub fn new(training: &Training, stream: &mut ChaCha8Rng) -> Self {
        let (window, reach) = (training.window, training.reach);
        Self {
            encoder: encoder(stream),
            decoder: Stack::orthogonal(1, &DECODER, stream),
            wide: Linear::new(window + reach, BETWEEN, stream),
            out: Linear::new(BETWEEN, reach, stream),
            window,
            reach,
            shape: training.shape,
            dropout: training.dropout,
        }
    }

    /// The dropout of one pass.
    pub fn draw(&self, stream: &mut ChaCha8Rng) -> Masks<R> {
        Masks {
            encoder: draw_encoder(self.shape, self.dropout, stream),
            decoder: draw(DECODER, self.shape, self.dropout, stream),
        }
    }

    /// The steps ahead, less the oldest step of the window.
    ///
    /// Shapes: `x` is window × 5 rows; the answer has a row for each step ahead.
    pub fn forward<'a>(
        &self,
        x: &[Row<R>],
        masks: &Masks<R>,
        tape: &'a mut Tape<R>,
    ) -> &'a [Row<R>] {
        let latents = self.encoder.forward(x, &masks.encoder, &mut tape.encoder);
        tape.joined.clear();
        tape.joined.extend_from_slice(latents);
        Activation::Relu.forward(&mut tape.joined);
        let last = x.chunks_exact(INPUTS).skip(self.window - self.reach);
        tape.joined.extend(last.map(|step| step[0]));
        let decoded = self
            .decoder
            .forward(&tape.joined, &masks.decoder, &mut tape.decoder);
        let wide = self.wide.forward(decoded, &mut tape.wide);
        self.out.forward(wide, &mut tape.out)
    }

    /// Adds the gradients of all parameters, for the windows of the last forward pass.
    ///
    /// Shapes: `gradient` as the answer; the masks and the tape those of the forward pass.
    pub fn backward(&mut self, gradient: &[Row<R>], masks: &Masks<R>, tape: &mut Tape<R>) {
        let gradient = self.out.backward(gradient, &mut tape.out);
        let gradient = self.wide.backward(&gradient, &mut tape.wide);
        let mut joined = gradient.clone();
        let inputs = Some(joined.as_mut_slice());
        let decoder = &mut tape.decoder;
        self.decoder
            .backward(&gradient, &masks.decoder, decoder, inputs);
        joined.truncate(self.window);
        Activation::Relu.backward(&tape.joined[..self.window], &mut joined);
        self.encoder
            .backward(&joined, &masks.encoder, &mut tape.encoder, None);
    }
}

impl<R: Real> Layer<R> for EncoderDecoder<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let mut all = named("model.encoder.model", self.encoder.parameters());
        all.extend(named("model.decoder.model", self.decoder.parameters()));
        all.extend(named("model.fc1", self.wide.parameters()));
        all.extend(named("model.fc2", self.out.parameters()));
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let mut all = named("model.encoder.model", self.encoder.parameters_mut());
        all.extend(named("model.decoder.model", self.decoder.parameters_mut()));
        all.extend(named("model.fc1", self.wide.parameters_mut()));
        all.extend(named("model.fc2", self.out.parameters_mut()));
        all
    }
}

/// Latents of windows side by side, without dropout: a row for each step.
pub(super) fn latents(encoder: &Stack, x: &[Row<f32>], tape: &mut StackTape) -> Vec<Row<f32>> {
    let mut latents = encoder.forward(x, &[], tape).to_vec();
    Activation::Relu.forward(&mut latents);
    latents
}
