//! Normalisation over a batch: means and variances of rows, and the gradient through both.

use pulp::Simd;

use super::dense::sum;
use super::{Kernel, LANES, Row};
use crate::real::Real;

/// Samples of each tile of a batch of `count`.
pub(crate) fn lanes_of(tile: usize, count: usize) -> usize {
    count.saturating_sub(tile * LANES).min(LANES)
}

/// `scaled = (x − mean) / deviation` and `out = weight · scaled + bias`, row by row.
#[derive(Debug)]
pub struct NormForward<'a, R> {
    /// Tiles of `stride` rows, of which as many as there are weights count.
    pub(crate) x: &'a [Row<R>],
    pub(crate) stride: usize,
    /// Samples of the batch.
    pub(crate) count: usize,
    pub(crate) weight: &'a [R],
    pub(crate) bias: &'a [R],
    /// Mean, variance (divided by the count) and 1 / deviation of each row.
    pub(crate) mean: &'a mut [R],
    pub(crate) variance: &'a mut [R],
    pub(crate) inverse: &'a mut [R],
    /// Whether the first two are given, or are to be taken from the batch.
    pub(crate) given: bool,
    pub(crate) epsilon: R,
    /// Tiles of as many rows as there are weights.
    pub(crate) scaled: &'a mut [Row<R>],
    pub(crate) out: &'a mut [Row<R>],
    pub(crate) out_stride: usize,
}

impl<R: Real> Kernel for NormForward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        let (width, stride) = (self.weight.len(), self.stride);
        let share = R::of(1.0 / self.count as f64);
        for k in 0..width {
            if !self.given {
                let mean = over(self.x, (stride, k), self.count, |x| x) * share;
                let square = |x: R| (x - mean) * (x - mean);
                self.mean[k] = mean;
                self.variance[k] = over(self.x, (stride, k), self.count, square) * share;
            }
            let inverse = R::ONE / (self.variance[k] + self.epsilon).root();
            self.inverse[k] = inverse;
            let (mean, weight, bias) = (self.mean[k], self.weight[k], self.bias[k]);
            for (tile, x) in self.x.chunks_exact(stride).enumerate() {
                let scaled = &mut self.scaled[tile * width + k];
                let out = &mut self.out[tile * self.out_stride + k];
                for l in 0..LANES {
                    scaled[l] = (x[k][l] - mean) * inverse;
                    out[l] = weight * scaled[l] + bias;
                }
            }
        }
    }
}

/// Sum of a function of row `k` over the samples of a batch.
#[inline(always)]
fn over<R: Real>(
    rows: &[Row<R>],
    (stride, k): (usize, usize),
    count: usize,
    of: impl Fn(R) -> R,
) -> R {
    let mut sums = [R::ZERO; LANES];
    for (tile, rows) in rows.chunks_exact(stride).enumerate() {
        let lanes = lanes_of(tile, count);
        if lanes == LANES {
            for l in 0..LANES {
                sums[l] += of(rows[k][l]);
            }
        } else {
            for l in 0..lanes {
                sums[l] += of(rows[k][l]);
            }
        }
    }
    sum(&sums)
}

/// The gradient through a normalisation by the batch's own mean and variance, in place.
#[derive(Debug)]
pub struct NormBackward<'a, R> {
    /// Tiles of `stride` rows: of the output, then of the input; zero beyond the samples.
    pub(crate) gradient: &'a mut [Row<R>],
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) scaled: &'a [Row<R>],
    pub(crate) inverse: &'a [R],
    pub(crate) weight: &'a [R],
    /// Gradients of weight and bias, added to.
    pub(crate) weight_gradient: &'a mut [R],
    pub(crate) bias_gradient: &'a mut [R],
}

impl<R: Real> Kernel for NormBackward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        let (width, stride) = (self.weight.len(), self.stride);
        let share = R::of(1.0 / self.count as f64);
        for k in 0..width {
            let (mut plain, mut times) = ([R::ZERO; LANES], [R::ZERO; LANES]);
            for (tile, rows) in self.gradient.chunks_exact(stride).enumerate() {
                let (row, scaled) = (&rows[k], &self.scaled[tile * width + k]);
                // Gradients beyond the samples are zero, so that whole rows may be summed.
                for l in 0..LANES {
                    plain[l] += row[l];
                    times[l] += row[l] * scaled[l];
                }
            }
            let (plain, times) = (sum(&plain), sum(&times));
            self.weight_gradient[k] += times;
            self.bias_gradient[k] += plain;
            let factor = self.weight[k] * self.inverse[k];
            let (plain, times) = (plain * share, times * share);
            for (tile, rows) in self.gradient.chunks_exact_mut(stride).enumerate() {
                let (row, scaled) = (&mut rows[k], &self.scaled[tile * width + k]);
                for l in 0..LANES {
                    row[l] = factor * (row[l] - plain - scaled[l] * times);
                }
                row[lanes_of(tile, self.count)..].fill(R::ZERO);
            }
        }
    }
}
