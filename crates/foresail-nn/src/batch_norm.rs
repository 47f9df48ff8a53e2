//! Batch normalisation over samples, and the running statistics that take its place afterwards.
//!
//! Source: Ioffe & Szegedy 2015; names, shapes, eps, momentum and the two kinds of variance as
//! `torch.nn.BatchNorm1d`.

use crate::kernel::norm::{NormBackward, NormForward};
use crate::kernel::{LANES, Row};
use crate::parameter::{Layer, Parameter};
use crate::real::Real;

/// Added to a variance: PyTorch's `eps`.
pub const EPSILON: f64 = 1e-5;

/// Share of a batch in the running statistics: PyTorch's `momentum`.
pub const MOMENTUM: f64 = 0.1;

/// Which statistics normalise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch.
    Train,
    /// The running ones.
    Eval,
}

/// out = weight · (x − mean) / √(variance + eps) + bias, for each row by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm<R = f32> {
    /// [width]
    pub(crate) weight: Parameter<R>,
    pub(crate) bias: Parameter<R>,
    pub(crate) running_mean: Parameter<R>,
    pub(crate) running_var: Parameter<R>,
}

/// What a normalisation keeps of a pass.
#[derive(Clone, Debug, Default)]
pub struct NormTape<R = f32> {
    count: usize,
    mean: Vec<R>,
    /// Of the batch, divided by its count.
    variance: Vec<R>,
    /// 1 / deviation.
    inverse: Vec<R>,
    /// Tiles of `width` rows: (x − mean) / deviation.
    scaled: Vec<Row<R>>,
}

/// Rows of a batch: tiles of [`LANES`] samples one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, R> {
    /// Tiles of `stride` rows.
    pub rows: &'a [Row<R>],
    /// Rows from one tile to the next.
    pub stride: usize,
    /// Samples of the batch; lanes beyond them are nobody's.
    pub count: usize,
}

impl<R: Real> BatchNorm<R> {
    /// As PyTorch begins it: weight and variance one, bias and mean zero.
    #[must_use]
    pub fn new(width: usize) -> Self {
        let mut weight = Parameter::zeros(&[width]);
        weight.value.fill(R::ONE);
        Self {
            weight,
            bias: Parameter::zeros(&[width]),
            running_mean: Parameter::constant(width, R::ZERO),
            running_var: Parameter::constant(width, R::ONE),
        }
    }

    /// Rows that it normalises.
    #[must_use]
    pub fn width(&self) -> usize {
        self.weight.value.len()
    }

    /// Normalises the first `width` rows of each tile of `x` into those of `out`.
    ///
    /// Shapes: `out` is tiles of `out_stride` rows; its other rows are left as they are. The running
    /// statistics stay as they are until [`Self::absorb`].
    pub fn forward(
        &self,
        x: Rows<'_, R>,
        mode: Mode,
        tape: &mut NormTape<R>,
        (out, out_stride): (&mut [Row<R>], usize),
    ) {
        let width = self.width();
        debug_assert!(x.rows.len() / x.stride * LANES >= x.count);
        tape.count = x.count;
        tape.mean.resize(width, R::ZERO);
        tape.variance.resize(width, R::ZERO);
        tape.inverse.resize(width, R::ZERO);
        tape.scaled
            .resize(x.rows.len() / x.stride * width, [R::ZERO; LANES]);
        if mode == Mode::Eval {
            tape.mean.copy_from_slice(&self.running_mean.value);
            tape.variance.copy_from_slice(&self.running_var.value);
        }
        R::norm_forward(NormForward {
            x: x.rows,
            stride: x.stride,
            count: x.count,
            weight: &self.weight.value,
            bias: &self.bias.value,
            mean: &mut tape.mean,
            variance: &mut tape.variance,
            inverse: &mut tape.inverse,
            given: mode == Mode::Eval,
            epsilon: R::of(EPSILON),
            scaled: &mut tape.scaled,
            out,
            out_stride,
        });
    }

    /// Takes the batch of a pass in training into the running statistics.
    ///
    /// Their variance is divided by the count less one, as PyTorch has it; of one sample there is none.
    pub fn absorb(&mut self, tape: &NormTape<R>) {
        if tape.count < 2 {
            return;
        }
        let (share, kept) = (R::of(MOMENTUM), R::of(1.0 - MOMENTUM));
        let unbiased = R::of(MOMENTUM * tape.count as f64 / (tape.count - 1) as f64);
        for (running, mean) in self.running_mean.value.iter_mut().zip(&tape.mean) {
            *running = kept * *running + share * *mean;
        }
        for (running, variance) in self.running_var.value.iter_mut().zip(&tape.variance) {
            *running = kept * *running + unbiased * *variance;
        }
    }

    /// Adds the gradients of weight and bias and turns that of the output into that of the input.
    ///
    /// Shapes: `gradient` is tiles of `stride` rows, zero in lanes beyond the samples, which it stays.
    /// The tape must be that of a pass in training.
    pub fn backward(&mut self, gradient: &mut [Row<R>], stride: usize, tape: &NormTape<R>) {
        R::norm_backward(NormBackward {
            gradient,
            stride,
            count: tape.count,
            scaled: &tape.scaled,
            inverse: &tape.inverse,
            weight: &self.weight.value,
            weight_gradient: &mut self.weight.gradient,
            bias_gradient: &mut self.bias.gradient,
        });
    }
}

impl<R: Real> Layer<R> for BatchNorm<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        vec![
            ("weight".to_owned(), &self.weight),
            ("bias".to_owned(), &self.bias),
        ]
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        vec![
            ("weight".to_owned(), &mut self.weight),
            ("bias".to_owned(), &mut self.bias),
        ]
    }

    fn statistics(&self) -> Vec<(String, &Parameter<R>)> {
        vec![
            ("running_mean".to_owned(), &self.running_mean),
            ("running_var".to_owned(), &self.running_var),
        ]
    }

    fn statistics_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        vec![
            ("running_mean".to_owned(), &mut self.running_mean),
            ("running_var".to_owned(), &mut self.running_var),
        ]
    }
}
