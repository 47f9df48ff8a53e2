//! A linear layer: weights times input, plus a bias.

use pulp::Simd;
use rand_core::Rng;

use crate::kernel::product::{
    Packed, add_outer, columns_max, multiply, turn, whole_columns, whole_tiles,
};
use crate::kernel::{Kernel, LANES, Row};
use crate::parameter::{Layer, Parameter};
use crate::real::Real;

/// out = weight · in + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear<R = f32> {
    input: usize,
    output: usize,
    /// [output, input]
    pub(crate) weight: Parameter<R>,
    /// [output]
    pub(crate) bias: Parameter<R>,
}

/// What the layer keeps of a pass.
#[derive(Clone, Debug, Default)]
pub struct LinearTape<R = f32> {
    /// [x | 1]
    input: Vec<Row<R>>,
    output: Vec<Row<R>>,
    weights: Packed<R>,
}

impl<R: Real> LinearTape<R> {
    /// What the layer read in the last pass, and a row of ones behind it.
    #[must_use]
    pub fn input(&self) -> &[Row<R>] {
        &self.input
    }
}

impl<R: Real> Linear<R> {
    /// Weights and bias uniform in ±1/√input, as PyTorch begins them.
    pub fn new(input: usize, output: usize, stream: &mut impl Rng) -> Self {
        Self::within(input, output, 1.0 / (input as f64).sqrt(), stream)
    }

    /// Weights and bias uniform in ±`bound`.
    pub fn within(input: usize, output: usize, bound: f64, stream: &mut impl Rng) -> Self {
        Self {
            input,
            output,
            weight: Parameter::uniform(&[output, input], bound, stream),
            bias: Parameter::uniform(&[output], bound, stream),
        }
    }

    /// Rows that it reads.
    #[must_use]
    pub fn input(&self) -> usize {
        self.input
    }

    /// Rows that it gives.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output
    }

    fn weight(&self, row: usize, column: usize) -> R {
        if column < self.input {
            self.weight.value[row * self.input + column]
        } else {
            self.bias.value[row]
        }
    }

    /// The layer's answer to `input` rows.
    pub fn forward<'a>(&self, x: &[Row<R>], tape: &'a mut LinearTape<R>) -> &'a [Row<R>] {
        debug_assert_eq!(x.len(), self.input);
        tape.input.clear();
        tape.input.extend_from_slice(x);
        tape.input.push([R::ONE; LANES]);
        tape.output.resize(self.output, [R::ZERO; LANES]);
        tape.weights
            .fill(self.output, self.input + 1, |r, c| self.weight(r, c));
        R::multiply(Multiply(&tape.weights, &tape.input, &mut tape.output));
        &tape.output
    }

    /// Adds the gradients of weight and bias, and gives that of the input.
    ///
    /// Shapes: `upstream` is `output` rows. The tape must be that of the forward pass.
    pub fn backward(&mut self, upstream: &[Row<R>], tape: &mut LinearTape<R>) -> Vec<Row<R>> {
        debug_assert_eq!(upstream.len(), self.output);
        let input = self.input;
        let mut rows = upstream.to_vec();
        rows.resize(whole_tiles(self.output), [R::ZERO; LANES]);
        let mut sums = vec![R::ZERO; rows.len() * columns_max(input + 1)];
        let width = R::add_outer(AddOuter(&rows, &tape.input, &mut sums));
        for (r, sums) in sums.chunks_exact(width).take(self.output).enumerate() {
            let gradient = &mut self.weight.gradient[r * input..][..input];
            for (gradient, sum) in gradient.iter_mut().zip(sums) {
                *gradient += *sum;
            }
            self.bias.gradient[r] += sums[input];
        }
        let weights = &mut tape.weights;
        weights.fill(input, self.output, |r, c| self.weight(c, r));
        let mut back = vec![[R::ZERO; LANES]; input];
        R::multiply(Multiply(weights, upstream, &mut back));
        back
    }
}

/// A product of weights and rows.
#[derive(Debug)]
pub struct Multiply<'a, R>(&'a Packed<R>, &'a [Row<R>], &'a mut [Row<R>]);

impl<R: Real> Kernel for Multiply<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        multiply(simd, self.0, self.1, self.2);
    }
}

/// A gradient of weights.
#[derive(Debug)]
pub struct AddOuter<'a, R>(&'a [Row<R>], &'a [Row<R>], &'a mut [R]);

impl<R: Real> Kernel for AddOuter<'_, R> {
    /// Width of a row of the sums.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> usize {
        let Self(rows, input, sums) = self;
        let width = whole_columns::<R, S>(input.len());
        let mut turned = vec![R::ZERO; width * LANES];
        turn(input, width, &mut turned);
        let sums = &mut sums[..rows.len() * width];
        add_outer(simd, rows, &turned, width, sums);
        width
    }
}

impl<R: Real> Layer<R> for Linear<R> {
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
}
