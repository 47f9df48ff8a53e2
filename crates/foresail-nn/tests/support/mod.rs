//! A small net for tests: an LSTM whose last output goes through a linear layer.

#![allow(dead_code, reason = "each test file uses its part")]

use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::loss::Loss;
use foresail_nn::lstm::{Lstm, LstmTape, Upstream};
use foresail_nn::{Layer, Parameter, Row, named};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Net {
    pub(crate) lstm: Lstm,
    pub(crate) fc: Linear,
}

impl Net {
    /// Shape: input, hidden, layers, output.
    pub(crate) fn new([input, hidden, layers, output]: [usize; 4], seed: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        Self {
            lstm: Lstm::new(input, hidden, layers, &mut stream),
            fc: Linear::new(hidden, output, &mut stream),
        }
    }

    pub(crate) fn predict(&self, x: &[Row<f32>]) -> Vec<Row<f32>> {
        let mut tape = LstmTape::default();
        self.lstm.forward(x, &[], &mut tape);
        let last = self.lstm.last(&tape);
        self.fc.forward(last, &mut LinearTape::default()).to_vec()
    }

    /// Loss of the first `lanes` lanes; its gradients are added.
    pub(crate) fn learn(
        &mut self,
        x: &[Row<f32>],
        y: &[Row<f32>],
        lanes: usize,
        loss: Loss,
    ) -> f64 {
        let (mut tape, mut head) = (LstmTape::default(), LinearTape::default());
        self.lstm.forward(x, &[], &mut tape);
        let out = self.fc.forward(self.lstm.last(&tape), &mut head);
        let mut gradient = Vec::new();
        let value = loss.measure(out, y, (lanes, lanes * y.len()), &mut gradient);
        let back = self.fc.backward(&gradient, &mut head);
        self.lstm
            .backward(Upstream::Last(&back), &[], &mut tape, None);
        value
    }
}

impl Layer for Net {
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut all = named("lstm", self.lstm.parameters());
        all.extend(named("fc", self.fc.parameters()));
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter)> {
        let mut all = named("lstm", self.lstm.parameters_mut());
        all.extend(named("fc", self.fc.parameters_mut()));
        all
    }
}
