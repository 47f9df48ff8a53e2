//! Hyper-parameters by the most likely, with its gradient in closed form.

use nalgebra::DMatrix;

use foresail_core::quantity::units::larger;

use super::factor::{Factor, dot};
use super::gp::{Gp, GpError, Hyper, Rows};
use super::kernel::{Kernel, Scaled, correlation, squared_distance};
use super::prior::Priors;
use crate::optim::lbfgs::{Limits, minimise};

/// Logarithms of length scales and of the output scale further out are refused. A length of e¹⁰
/// boxes is a dimension without influence already, and its gradient nought: the bound only keeps
/// numbers finite and must not be met, since a search stops there.
const LOG_MAX: f64 = 20.0;

/// The logarithm of the noise above its floor below which it is nothing.
const LOG_NOISE_MIN: f64 = -18.0;

/// How far the search goes. BoTorch's own default stops at 2e-9 of the likelihood and 15,000 steps;
/// a likelihood that rises by less than 1e-5 of one unit tells no two fits apart.
const LIMITS: Limits = Limits {
    memory: 10,
    steps: 200,
    tolerance: 1e-5,
    reach: 1.0,
};

/// The likelihood of rows, priors included, over the logarithms of the hyper-parameters.
///
/// Parameters: `ln ℓ_1 … ln ℓ_d, ln v, ln (noise − floor)`. The constant mean is that which makes
/// the rest most likely, `1ᵀK⁻¹y / 1ᵀK⁻¹1`: by the envelope theorem it adds nothing to the gradient.
#[derive(Clone, Debug)]
pub struct Likelihood<'a> {
    rows: &'a Rows,
    priors: &'a Priors,
    dimensions: usize,
}

impl<'a> Likelihood<'a> {
    /// The likelihood of some rows.
    ///
    /// # Errors
    /// Rows that [`Rows::check`] refuses.
    pub fn new(rows: &'a Rows, priors: &'a Priors) -> Result<Self, GpError> {
        rows.check()?;
        Ok(Self {
            rows,
            priors,
            dimensions: rows.points[0].len(),
        })
    }

    /// The parameters of some hyper-parameters; their mean is not among them.
    #[must_use]
    pub fn parameters(&self, hyper: &Hyper) -> Vec<f64> {
        let lengths = hyper.kernel.lengths.iter().map(|l| l.ln());
        let noise = larger(hyper.noise - self.priors.noise_floor, 1e-7).ln();
        lengths
            .chain([hyper.kernel.output_scale.ln(), noise])
            .collect()
    }

    /// The kernel and the noise that parameters stand for.
    fn read(&self, parameters: &[f64]) -> (Kernel, f64) {
        let d = self.dimensions;
        let kernel = Kernel {
            lengths: parameters[..d].iter().map(|t| t.exp()).collect(),
            output_scale: parameters[d].exp(),
        };
        (kernel, self.priors.noise_floor + parameters[d + 1].exp())
    }

    /// The hyper-parameters that parameters stand for, with the most likely mean; `None` where they
    /// give no covariance matrix.
    #[must_use]
    pub fn hyper(&self, parameters: &[f64]) -> Option<Hyper> {
        let (kernel, noise) = self.read(parameters);
        let solved = Solved::new(self.rows, &kernel, noise)?;
        Some(Hyper {
            kernel,
            noise,
            mean: solved.mean,
        })
    }

    /// The logarithm of the likelihood times the priors' densities, negative, and its gradient;
    /// infinity refuses parameters.
    pub fn negative(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let d = self.dimensions;
        let far = parameters[..=d].iter().any(|t| t.abs() > LOG_MAX);
        if far || !(LOG_NOISE_MIN..LOG_MAX).contains(&parameters[d + 1]) {
            return f64::INFINITY;
        }
        let (kernel, noise) = self.read(parameters);
        let Some(solved) = Solved::new(self.rows, &kernel, noise) else {
            return f64::INFINITY;
        };
        solved.gradient(self.rows, &kernel, gradient);
        let mut value = solved.negative;
        for (m, length) in kernel.lengths.iter().enumerate() {
            let [density, slope] = self.priors.length.log_density(*length);
            value -= density;
            gradient[m] -= slope;
        }
        let [density, slope] = self.priors.output_scale.log_density(kernel.output_scale);
        value -= density;
        gradient[d] -= slope;
        // The chain of the floor: d noise / d parameter is what lies above it.
        let above = noise - self.priors.noise_floor;
        let [density, slope] = self.priors.noise.log_density(noise);
        value -= density;
        gradient[d + 1] = above * gradient[d + 1] - slope * above / noise;
        value
    }
}

/// The likelihood at some hyper-parameters, with what its gradient needs.
struct Solved {
    scaled: Scaled,
    /// Slope of the correlation of each pair, lower triangle by rows of n.
    slopes: Vec<f64>,
    factor: Factor,
    weights: Vec<f64>,
    mean: f64,
    noise: f64,
    negative: f64,
}

impl Solved {
    fn new(rows: &Rows, kernel: &Kernel, noise: f64) -> Option<Self> {
        let n = rows.count();
        let scaled = Scaled::new(kernel, rows.points.iter().map(Vec::as_slice));
        let mut slopes = vec![0.0; n * n];
        let mut matrix = DMatrix::zeros(n, n);
        for i in 0..n {
            for j in 0..i {
                let squared = squared_distance(scaled.row(i), scaled.row(j));
                let [value, slope] = correlation(squared);
                matrix[(i, j)] = kernel.output_scale * value;
                slopes[i * n + j] = slope;
            }
            matrix[(i, i)] = kernel.output_scale + noise * rows.shares[i] + rows.added[i];
        }
        let factor = Factor::new(&matrix)?;
        let ones = factor.solve(&vec![1.0; n]);
        let mean = dot(&ones, &rows.values) / ones.iter().sum::<f64>();
        let centred: Vec<f64> = rows.values.iter().map(|y| y - mean).collect();
        let weights = factor.solve(&centred);
        let constant = n as f64 * std::f64::consts::TAU.ln();
        let negative = 0.5 * (dot(&centred, &weights) + factor.log_determinant() + constant);
        Some(Self {
            scaled,
            slopes,
            factor,
            weights,
            mean,
            noise,
            negative,
        })
    }

    /// The gradient by the logarithms of the length scales and of the output scale, and by the
    /// noise itself.
    ///
    /// `∂(−L)/∂θ = Σ_ij W_ij ∂K_ij/∂θ` with `W = ½ (K⁻¹ − α αᵀ)`.
    /// Source: Rasmussen & Williams 2006, equation 5.9.
    fn gradient(&self, rows: &Rows, kernel: &Kernel, gradient: &mut [f64]) {
        let (n, d) = (rows.count(), kernel.lengths.len());
        let inverse = self.factor.whole_inverse();
        gradient.fill(0.0);
        let (mut by_noise, mut by_rest) = (0.0, 0.0);
        let (by_length, _) = gradient.split_at_mut(d);
        for i in 0..n {
            let a = self.scaled.row(i);
            let weight = self.weights[i];
            for j in 0..i {
                // Twice: the matrix is symmetric.
                let w = inverse[i * n + j] - weight * self.weights[j];
                let pull = -w * kernel.output_scale * self.slopes[i * n + j];
                let pairs = a.iter().zip(self.scaled.row(j));
                for (by, (a, b)) in by_length.iter_mut().zip(pairs) {
                    *by += pull * (a - b) * (a - b);
                }
            }
            let w = 0.5 * (inverse[i * n + i] - weight * weight);
            by_noise += w * rows.shares[i];
            by_rest += w * (self.noise * rows.shares[i] + rows.added[i] + self.factor.jitter);
        }
        // Σ W ∘ K = ½ (n − αᵀ(y − mean)) over the whole matrix; less what is not the kernel's on
        // the diagonal it is the derivative by ln v.
        let centred = rows.values.iter().map(|y| y - self.mean);
        let fitted: f64 = centred.zip(&self.weights).map(|(c, w)| c * w).sum();
        gradient[d] = 0.5 * (n as f64 - fitted) - by_rest;
        gradient[d + 1] = by_noise;
    }
}

/// Fits the hyper-parameters of rows, from each of some beginnings, and conditions on the rows.
///
/// The same rows, priors and beginnings give the same process. A beginning that is refused is left
/// out.
///
/// # Errors
/// Rows that [`Rows::check`] refuses; no beginning with a covariance matrix.
pub fn fit(rows: Rows, priors: &Priors, beginnings: &[Hyper]) -> Result<Gp, GpError> {
    let likelihood = Likelihood::new(&rows, priors)?;
    let mut best: Option<(f64, Vec<f64>)> = None;
    for beginning in beginnings {
        let mut parameters = likelihood.parameters(beginning);
        let end = minimise(&mut parameters, LIMITS, &mut |at, gradient| {
            likelihood.negative(at, gradient)
        });
        let better = best.as_ref().is_none_or(|(value, _)| end.value < *value);
        if end.value.is_finite() && better {
            best = Some((end.value, parameters));
        }
    }
    let (_, parameters) = best.ok_or(GpError::NotPositive)?;
    let hyper = likelihood.hyper(&parameters).ok_or(GpError::NotPositive)?;
    Gp::new(hyper, rows)
}

/// Where a search for hyper-parameters begins if nothing was fitted before: values that vary over
/// half the box with little noise, and over some boxes with more.
#[must_use]
pub fn beginnings(dimensions: usize) -> [Hyper; 2] {
    let one = |length: f64, noise: f64| Hyper {
        kernel: Kernel {
            lengths: vec![length; dimensions],
            output_scale: 1.0,
        },
        noise,
        mean: 0.0,
    };
    [one(0.5, 0.02), one(2.0, 0.2)]
}
