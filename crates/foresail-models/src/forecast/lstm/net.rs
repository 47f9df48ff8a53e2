//! The net itself: LSTM layers, then one or two linear layers.

use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::lstm::{Lstm as Layers, LstmTape, Upstream};
use foresail_nn::{Layer, Parameter, Row, named};
use rand_chacha::ChaCha8Rng;

use super::Lstm;

/// LSTM, dropout, and a linear layer or two with a ReLU between.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Net {
    lstm: Layers,
    head: Vec<Linear>,
    dropout: f64,
}

/// What a pass keeps.
#[derive(Debug, Default)]
pub(super) struct Tape {
    lstm: LstmTape,
    head: Vec<LinearTape>,
    masks: Masks,
    /// Outputs of the ReLU.
    between: Vec<Row<f32>>,
    out: Vec<Row<f32>>,
}

/// Dropout of a pass: between layers the same at each step, and on the last output.
#[derive(Debug, Default)]
struct Masks {
    layers: Vec<Mask>,
    last: Option<Mask>,
}

impl Net {
    pub(super) fn new(settings: &Lstm, stream: &mut ChaCha8Rng) -> Self {
        let outputs = settings.anchors().len();
        let lstm = Layers::new(1, settings.hidden, settings.layers, stream);
        let widths = match settings.between {
            0 => vec![(settings.hidden, outputs)],
            between => vec![(settings.hidden, between), (between, outputs)],
        };
        let linear = |(input, output)| Linear::new(input, output, stream);
        Self {
            lstm,
            head: widths.into_iter().map(linear).collect(),
            dropout: settings.dropout,
        }
    }

    fn draw(&self, stream: &mut ChaCha8Rng) -> Masks {
        if self.dropout <= 0.0 {
            return Masks::default();
        }
        let hidden = self.lstm.hidden();
        let mut mask = || Mask::draw(hidden, self.dropout, stream);
        let layers = (1..self.lstm.layers().len()).map(|_| mask()).collect();
        let last = Some(mask());
        Masks { layers, last }
    }

    /// Outputs for windows side by side, without dropout.
    pub(super) fn predict<'a>(&self, x: &[Row<f32>], tape: &'a mut Tape) -> &'a [Row<f32>] {
        tape.masks = Masks::default();
        self.lstm.forward(x, &[], &mut tape.lstm);
        self.finish(tape)
    }

    /// Outputs with dropout; what backward needs stays in the tape.
    pub(super) fn forward<'a>(
        &self,
        x: &[Row<f32>],
        stream: &mut ChaCha8Rng,
        tape: &'a mut Tape,
    ) -> &'a [Row<f32>] {
        tape.masks = self.draw(stream);
        self.lstm.forward(x, &tape.masks.layers, &mut tape.lstm);
        self.finish(tape)
    }

    /// One more draw of dropout for the windows of the last pass.
    ///
    /// With one layer dropout stands behind all recurrence, and the layer is not run again.
    pub(super) fn again<'a>(
        &self,
        x: &[Row<f32>],
        stream: &mut ChaCha8Rng,
        tape: &'a mut Tape,
    ) -> &'a [Row<f32>] {
        if self.lstm.layers().len() > 1 {
            return self.forward(x, stream, tape);
        }
        tape.masks = self.draw(stream);
        self.finish(tape)
    }

    fn finish<'a>(&self, tape: &'a mut Tape) -> &'a [Row<f32>] {
        let mut rows = self.lstm.last(&tape.lstm).to_vec();
        if let Some(mask) = &tape.masks.last {
            mask.apply(&mut rows);
        }
        tape.head.resize_with(self.head.len(), LinearTape::default);
        for (place, (linear, tape_of)) in self.head.iter().zip(&mut tape.head).enumerate() {
            let out = linear.forward(&rows, tape_of);
            rows.clear();
            rows.extend_from_slice(out);
            if place + 1 < self.head.len() {
                Activation::Relu.forward(&mut rows);
                tape.between.clone_from(&rows);
            }
        }
        tape.out = rows;
        &tape.out
    }

    /// Adds the gradients of all parameters, for the windows of the last forward pass.
    pub(super) fn backward(&mut self, gradient: &[Row<f32>], tape: &mut Tape) {
        let mut gradient = gradient.to_vec();
        let count = self.head.len();
        for (place, linear) in self.head.iter_mut().enumerate().rev() {
            if place + 1 < count {
                Activation::Relu.backward(&tape.between, &mut gradient);
            }
            gradient = linear.backward(&gradient, &mut tape.head[place]);
        }
        if let Some(mask) = &tape.masks.last {
            mask.apply(&mut gradient);
        }
        let upstream = Upstream::Last(&gradient);
        let masks = &tape.masks.layers;
        self.lstm.backward(upstream, masks, &mut tape.lstm, None);
    }

    /// Name of a linear layer: `fc` alone, `fc.0` and `fc.2` around a ReLU as in `nn.Sequential`.
    fn head_name(&self, place: usize) -> String {
        if self.head.len() == 1 {
            "fc".to_owned()
        } else {
            format!("fc.{}", 2 * place)
        }
    }
}

impl Layer for Net {
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut all = named("lstm", self.lstm.parameters());
        for (place, linear) in self.head.iter().enumerate() {
            all.extend(named(&self.head_name(place), linear.parameters()));
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter)> {
        let names: Vec<_> = (0..self.head.len()).map(|p| self.head_name(p)).collect();
        let mut all = named("lstm", self.lstm.parameters_mut());
        for (name, linear) in names.iter().zip(&mut self.head) {
            all.extend(named(name, linear.parameters_mut()));
        }
        all
    }
}
