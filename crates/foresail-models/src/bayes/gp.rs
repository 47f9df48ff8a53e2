//! An exact Gaussian process: constant mean, Matérn-5/2 kernel, Gaussian noise.

use foresail_core::quantity::units::larger;
use nalgebra::{DMatrix, DVector};
use thiserror::Error;

use super::POINTS_MAX;
use super::factor::{Factor, dot};
use super::kernel::{Kernel, Scaled, correlation, squared_distance};

/// Why a process cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GpError {
    /// There is nothing to condition on.
    #[error("a process needs at least one measured point")]
    NoPoints,
    /// More points than are kept.
    #[error("{0} points: a process takes at most {POINTS_MAX}; leave out the oldest")]
    TooManyPoints(usize),
    /// Shapes do not agree, or a number is none.
    #[error("points, values and noise must have one length and finite numbers")]
    Malformed,
    /// Hyper-parameters that give no covariance matrix.
    #[error("the covariance matrix has no factor; widen the noise floor")]
    NotPositive,
}

/// What was measured: one row per point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Points in the unit box; shape `[n][dimensions]`.
    pub points: Vec<Vec<f64>>,
    /// What was measured at each.
    pub values: Vec<f64>,
    /// By what the variance of the noise is multiplied: one over the number of measurements whose
    /// mean a value is.
    pub shares: Vec<f64>,
    /// Variance that is added to that of the noise: above zero for a value of before a drift.
    pub added: Vec<f64>,
}

impl Rows {
    /// Rows of one measurement each.
    #[must_use]
    pub fn of(points: Vec<Vec<f64>>, values: Vec<f64>) -> Self {
        let n = values.len();
        Self {
            points,
            values,
            shares: vec![1.0; n],
            added: vec![0.0; n],
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Refuses rows that no process can be conditioned on.
    ///
    /// # Errors
    /// None, too many, unequal lengths, or a number that is none.
    pub fn check(&self) -> Result<(), GpError> {
        let n = self.count();
        let Some(first) = self.points.first() else {
            return Err(GpError::NoPoints);
        };
        if n > POINTS_MAX {
            return Err(GpError::TooManyPoints(n));
        }
        let lengths = [self.points.len(), self.shares.len(), self.added.len()];
        let finite = |list: &[f64]| list.iter().all(|v| v.is_finite());
        let sound = lengths.iter().all(|l| *l == n)
            && finite(&self.values)
            && self.shares.iter().all(|s| *s > 0.0 && s.is_finite())
            && self.added.iter().all(|a| *a >= 0.0 && a.is_finite())
            && self
                .points
                .iter()
                .all(|p| p.len() == first.len() && finite(p));
        if sound {
            Ok(())
        } else {
            Err(GpError::Malformed)
        }
    }
}

/// The hyper-parameters of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyper {
    /// Covariance of the noiseless values.
    pub kernel: Kernel,
    /// Variance of the noise of one measurement.
    pub noise: f64,
    /// The constant mean.
    pub mean: f64,
}

/// A mean and a variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The variance, not below zero.
    pub variance: f64,
}

/// A process that is conditioned on what was measured.
///
/// Invariant: its matrix was positive definite, or jitter was added and is told by
/// [`Gp::jitter`].
#[derive(Clone, Debug)]
pub struct Gp {
    pub(super) hyper: Hyper,
    pub(super) rows: Rows,
    pub(super) scaled: Scaled,
    pub(super) factor: Factor,
    /// `(K + noise)⁻¹ (y − mean)`.
    pub(super) weights: Vec<f64>,
}

/// The covariance of scaled points with themselves; the lower triangle only.
pub(super) fn gram(scaled: &Scaled, output_scale: f64, n: usize) -> DMatrix<f64> {
    let mut matrix = DMatrix::zeros(n, n);
    for j in 0..n {
        matrix[(j, j)] = output_scale;
        for i in j + 1..n {
            let squared = squared_distance(scaled.row(i), scaled.row(j));
            matrix[(i, j)] = output_scale * correlation(squared)[0];
        }
    }
    matrix
}

impl Gp {
    /// Conditions a process on rows.
    ///
    /// # Errors
    /// Rows that [`Rows::check`] refuses; hyper-parameters without a covariance matrix.
    pub fn new(hyper: Hyper, rows: Rows) -> Result<Self, GpError> {
        rows.check()?;
        let n = rows.count();
        let scaled = Scaled::new(&hyper.kernel, rows.points.iter().map(Vec::as_slice));
        let mut matrix = gram(&scaled, hyper.kernel.output_scale, n);
        for i in 0..n {
            matrix[(i, i)] += hyper.noise * rows.shares[i] + rows.added[i];
        }
        let factor = Factor::new(&matrix).ok_or(GpError::NotPositive)?;
        let centred: Vec<f64> = rows.values.iter().map(|y| y - hyper.mean).collect();
        let weights = factor.solve(&centred);
        Ok(Self {
            hyper,
            rows,
            scaled,
            factor,
            weights,
        })
    }

    /// Its hyper-parameters.
    #[must_use]
    pub const fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// What it is conditioned on.
    #[must_use]
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What had to be added to the diagonal of its matrix; zero as a rule.
    #[must_use]
    pub const fn jitter(&self) -> f64 {
        self.factor.jitter
    }

    /// Covariances of a scaled point with the measured ones.
    fn across(&self, scaled: &[f64]) -> Vec<f64> {
        let one = |row: &[f64]| {
            let squared = squared_distance(scaled, row);
            self.hyper.kernel.output_scale * correlation(squared)[0]
        };
        self.scaled.rows().map(one).collect()
    }

    /// Mean and variance of the noiseless value at a point; shape `[dimensions]`.
    ///
    /// Source: Rasmussen & Williams 2006, equations 2.25 and 2.26.
    #[must_use]
    pub fn posterior(&self, point: &[f64]) -> Moments {
        let across = self.across(&self.hyper.kernel.scaled(point));
        let mut half = vec![0.0; across.len()];
        self.factor.forward(&across, &mut half);
        Moments {
            mean: self.hyper.mean + dot(&across, &self.weights),
            variance: larger(self.hyper.kernel.output_scale - dot(&half, &half), 0.0),
        }
    }

    /// Means and covariance of the noiseless values at some points; shapes `[m]` and `[m, m]`.
    #[must_use]
    pub fn joint(&self, points: &[Vec<f64>]) -> (DVector<f64>, DMatrix<f64>) {
        let (n, m) = (self.rows.count(), points.len());
        let asked = Scaled::new(&self.hyper.kernel, points.iter().map(Vec::as_slice));
        let mut means = DVector::zeros(m);
        let mut halves = vec![vec![0.0; n]; m];
        for (i, row) in asked.rows().enumerate() {
            let across = self.across(row);
            means[i] = self.hyper.mean + dot(&across, &self.weights);
            self.factor.forward(&across, &mut halves[i]);
        }
        let mut covariance = gram(&asked, self.hyper.kernel.output_scale, m);
        for i in 0..m {
            for j in 0..=i {
                covariance[(i, j)] -= dot(&halves[i], &halves[j]);
                covariance[(j, i)] = covariance[(i, j)];
            }
        }
        (means, covariance)
    }

    /// The logarithm of the marginal likelihood.
    ///
    /// Source: Rasmussen & Williams 2006, equation 2.30.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        let centred: Vec<f64> = self
            .rows
            .values
            .iter()
            .map(|y| y - self.hyper.mean)
            .collect();
        let n = self.rows.count() as f64;
        -0.5 * (dot(&centred, &self.weights)
            + self.factor.log_determinant()
            + n * std::f64::consts::TAU.ln())
    }

    /// What each measurement would have been held for, had it not been made: its noise included.
    ///
    /// `μ_i = y_i − [K⁻¹ (y − mean)]_i / [K⁻¹]_ii`, `σ²_i = 1 / [K⁻¹]_ii`: all at once, without a
    /// fit for each.
    /// Source: Rasmussen & Williams 2006, equation 5.12.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<Moments> {
        let diagonal = self.factor.inverse_diagonal();
        let rows = self.rows.values.iter().zip(&self.weights).zip(&diagonal);
        let one = |((y, weight), d): ((&f64, &f64), &f64)| Moments {
            mean: y - weight / d,
            variance: 1.0 / d,
        };
        rows.map(one).collect()
    }
}
