//! Draws of a process: its noiseless values at every measured point, and by them elsewhere.
//!
//! Given its values at the measured points, a process elsewhere depends on nothing else that was
//! measured. So the values there are drawn once, jointly, and kept; at candidates only a kernel row,
//! one product per draw and one small factor are left to do.

use foresail_core::quantity::units::smaller;
use nalgebra::DMatrix;

use super::factor::{Factor, add_scaled, dot, small_factor, small_factor_back};
use super::gp::{Gp, GpError, gram};
use super::kernel::{Kernel, Scaled, correlation, squared_distance};

/// Variance, as a share of the output scale, that noiseless values have of their own: without it
/// close points have no factor.
const NUGGET: f64 = 1e-6;

/// As much again at candidates.
const CANDIDATE_NUGGET: f64 = 1e-7;

/// A process with draws of its noiseless values at its rows.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    kernel: Kernel,
    mean: f64,
    scaled: Scaled,
    /// Factor of the noiseless covariance.
    factor: Factor,
    /// `K⁻¹ (f_s − mean)` of each draw, one after the other.
    pulls: Vec<f64>,
    /// The drawn values at the rows; shape `[draws][n]`.
    pub(super) values: Vec<Vec<f64>>,
}

/// The values at candidates in every draw, with what their gradient needs.
#[derive(Clone, Debug)]
pub(super) struct AtCandidates {
    candidates: Scaled,
    /// Slopes of the correlation with each row; shape `[q][n]`.
    slopes: Vec<f64>,
    /// `L⁻¹ k` of each candidate; shape `[q][n]`.
    halves: Vec<f64>,
    /// Lower factor of the candidates' covariance; shape `[q][q]`.
    factor: Vec<f64>,
    /// Shape `[draws][q]`.
    pub(super) values: Vec<f64>,
}

impl Drawn {
    /// Draws by standard normal numbers; shape `[draws][n]`.
    ///
    /// With `Σ` the noise less the nugget, `f = (y − Σ α) + chol(Σ − Σ (K + Σ)⁻¹ Σ) z`: the posterior
    /// of the values at the rows, in the form that loses no digits where the noise is small.
    pub(super) fn new(gp: &Gp, normals: &[Vec<f64>]) -> Result<Self, GpError> {
        let (rows, hyper) = (&gp.rows, &gp.hyper);
        let n = rows.count();
        let of_row = |i: usize| hyper.noise * rows.shares[i] + rows.added[i];
        let least = (0..n).map(of_row).fold(f64::INFINITY, smaller);
        let nugget = smaller(NUGGET * hyper.kernel.output_scale, 0.1 * least);
        let noise: Vec<f64> = (0..n).map(|i| of_row(i) - nugget).collect();
        let mut clean = gram(&gp.scaled, hyper.kernel.output_scale, n);
        for i in 0..n {
            clean[(i, i)] += nugget;
        }
        let factor = Factor::new(&clean).ok_or(GpError::NotPositive)?;
        let inverse = gp.factor.whole_inverse();
        let spread = DMatrix::from_fn(n, n, |i, j| {
            let (high, low) = if i > j { (i, j) } else { (j, i) };
            let own = if i == j { noise[i] } else { 0.0 };
            own - noise[i] * inverse[high * n + low] * noise[j]
        });
        let spread = Factor::new(&spread).ok_or(GpError::NotPositive)?;
        let mut pulls = Vec::with_capacity(n * normals.len());
        let mut values = Vec::with_capacity(normals.len());
        for z in normals {
            let moved = spread.times(z);
            let mut pull = factor.solve(&moved);
            add_scaled(&mut pull, 1.0, &gp.weights);
            pulls.extend(pull);
            let one = |i: usize| rows.values[i] - noise[i] * gp.weights[i] + moved[i];
            values.push((0..n).map(one).collect());
        }
        Ok(Self {
            kernel: hyper.kernel.clone(),
            mean: hyper.mean,
            scaled: gp.scaled.clone(),
            factor,
            pulls,
            values,
        })
    }

    /// Dimensions of a point.
    pub(super) const fn dimensions(&self) -> usize {
        self.scaled.dimensions
    }

    /// The values at q candidates in every draw.
    ///
    /// `points` has shape `[q · dimensions]`, `normals` `[draws · q]`. `None` where the candidates
    /// have no covariance, as when a number is none.
    pub(super) fn at(&self, points: &[f64], normals: &[f64]) -> Option<AtCandidates> {
        let (n, d) = (self.factor.size(), self.scaled.dimensions);
        let candidates = Scaled::new(&self.kernel, points.chunks_exact(d));
        let q = points.len() / d;
        let scale = self.kernel.output_scale;
        let mut across = vec![0.0; q * n];
        let mut slopes = vec![0.0; q * n];
        let mut halves = vec![0.0; q * n];
        for (j, candidate) in candidates.rows().enumerate() {
            let place = j * n;
            for (i, row) in self.scaled.rows().enumerate() {
                let [value, slope] = correlation(squared_distance(candidate, row));
                across[place + i] = scale * value;
                slopes[place + i] = scale * slope;
            }
            let (across, halves) = (&across[place..place + n], &mut halves[place..place + n]);
            self.factor.forward(across, halves);
        }
        let mut factor = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..=i {
                let squared = squared_distance(candidates.row(i), candidates.row(j));
                let own = if i == j { CANDIDATE_NUGGET } else { 0.0 };
                let known = dot(&halves[i * n..(i + 1) * n], &halves[j * n..(j + 1) * n]);
                factor[i * q + j] = scale * (correlation(squared)[0] + own) - known;
            }
        }
        if !small_factor(&mut factor, q, scale * CANDIDATE_NUGGET) {
            return None;
        }
        let draws = normals.len() / q;
        let mut values = vec![0.0; draws * q];
        for s in 0..draws {
            let pull = &self.pulls[s * n..(s + 1) * n];
            let z = &normals[s * q..(s + 1) * q];
            for j in 0..q {
                let mean = self.mean + dot(pull, &across[j * n..(j + 1) * n]);
                values[s * q + j] = mean + dot(&factor[j * q..=j * q + j], &z[..=j]);
            }
        }
        Some(AtCandidates {
            candidates,
            slopes,
            halves,
            factor,
            values,
        })
    }

    /// Adds to `gradient`, by the candidates' coordinates, what derivatives by the values in every
    /// draw come to; shapes as in [`Drawn::at`].
    pub(super) fn back(
        &self,
        at: &AtCandidates,
        normals: &[f64],
        by_values: &[f64],
        gradient: &mut [f64],
    ) {
        let (n, d) = (self.factor.size(), self.scaled.dimensions);
        let q = gradient.len() / d;
        let mut by_factor = vec![0.0; q * q];
        let mut by_across = vec![0.0; q * n];
        for (s, by) in by_values.chunks_exact(q).enumerate() {
            for (j, by) in by.iter().enumerate().filter(|(_, by)| **by != 0.0) {
                let pull = &self.pulls[s * n..(s + 1) * n];
                add_scaled(&mut by_across[j * n..(j + 1) * n], *by, pull);
                let z = &normals[s * q..=s * q + j];
                add_scaled(&mut by_factor[j * q..=j * q + j], *by, z);
            }
        }
        let by_covariance = small_factor_back(&at.factor, &mut by_factor, q);
        let mut solved = vec![0.0; n];
        for j in 0..q {
            self.factor
                .backward(&at.halves[j * n..(j + 1) * n], &mut solved);
            for i in 0..q {
                let (high, low) = if i > j { (i, j) } else { (j, i) };
                let twice = if i == j { 2.0 } else { 1.0 };
                let by = twice * by_covariance[high * q + low];
                add_scaled(&mut by_across[i * n..(i + 1) * n], -by, &solved);
            }
        }
        self.chain(at, &by_across, &by_covariance, gradient);
    }

    /// From the covariances to the coordinates.
    fn chain(
        &self,
        at: &AtCandidates,
        by_across: &[f64],
        by_covariance: &[f64],
        gradient: &mut [f64],
    ) {
        let (n, d) = (self.factor.size(), self.scaled.dimensions);
        let q = gradient.len() / d;
        let mut scaled = vec![0.0; q * d];
        for (j, candidate) in at.candidates.rows().enumerate() {
            let out = &mut scaled[j * d..(j + 1) * d];
            for (i, row) in self.scaled.rows().enumerate() {
                let by = by_across[j * n + i] * at.slopes[j * n + i];
                for (out, (a, b)) in out.iter_mut().zip(candidate.iter().zip(row)) {
                    *out += by * (a - b);
                }
            }
        }
        for i in 0..q {
            for j in 0..i {
                let (a, b) = (at.candidates.row(i), at.candidates.row(j));
                let slope = correlation(squared_distance(a, b))[1];
                let by = self.kernel.output_scale * slope * by_covariance[i * q + j];
                for m in 0..d {
                    scaled[i * d + m] += by * (a[m] - b[m]);
                    scaled[j * d + m] -= by * (a[m] - b[m]);
                }
            }
        }
        for (m, (out, by)) in gradient.iter_mut().zip(&scaled).enumerate() {
            *out += by / self.kernel.lengths[m % d];
        }
    }
}
