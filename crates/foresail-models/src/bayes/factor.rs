//! The lower triangular factor of a covariance matrix and its inverse, packed by rows.
//!
//! Factors are small (n ≤ [`POINTS_MAX`](super::POINTS_MAX)) and used some thousand times each, so
//! the inverse is formed once: then a solve is a row of dot products over neighbouring numbers.

use foresail_core::quantity::units::larger;
use nalgebra::{Cholesky, DMatrix};

/// Shares of the largest variance that are added to the diagonal, one after the other, where a
/// matrix has no factor. Source: gpytorch's `psd_safe_cholesky` for double precision, two more.
const JITTERS: [f64; 5] = [0.0, 1e-8, 1e-7, 1e-6, 1e-5];

/// The sum of products; four at a time, for speed.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest = a4.remainder().iter().zip(b4.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a4.zip(b4) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Adds `factor` times `b` to `a`.
pub(super) fn add_scaled(a: &mut [f64], factor: f64, b: &[f64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

/// `K = L Lᵀ` with `L⁻¹`.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    n: usize,
    /// Lower triangle, column by column, as nalgebra keeps it.
    lower: DMatrix<f64>,
    /// Row i of `L⁻¹` begins at i(i+1)/2 and has i + 1 numbers.
    inverse: Vec<f64>,
    /// What was added to the diagonal; zero where nothing had to be.
    pub(super) jitter: f64,
}

impl Factor {
    /// Factors a symmetric matrix of which the lower triangle counts; `None` where it has no factor
    /// even with jitter.
    pub(super) fn new(matrix: &DMatrix<f64>) -> Option<Self> {
        let n = matrix.nrows();
        let top = (0..n).fold(0.0, |top, i| larger(top, matrix[(i, i)].abs()));
        for share in JITTERS {
            let jitter = share * top;
            let mut tried = matrix.clone();
            for i in 0..n {
                tried[(i, i)] += jitter;
            }
            if let Some(found) = Cholesky::new(tried) {
                let lower = found.unpack_dirty();
                let inverse = inverted(&lower);
                return Some(Self {
                    n,
                    lower,
                    inverse,
                    jitter,
                });
            }
        }
        None
    }

    /// Number of rows.
    pub(super) const fn size(&self) -> usize {
        self.n
    }

    fn inverse_row(&self, i: usize) -> &[f64] {
        let begin = i * (i + 1) / 2;
        &self.inverse[begin..=begin + i]
    }

    /// `out = L⁻¹ b`.
    pub(super) fn forward(&self, b: &[f64], out: &mut [f64]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = dot(self.inverse_row(i), &b[..=i]);
        }
    }

    /// `out = L⁻ᵀ b`.
    pub(super) fn backward(&self, b: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (i, b) in b.iter().enumerate() {
            add_scaled(&mut out[..=i], *b, self.inverse_row(i));
        }
    }

    /// `K⁻¹ b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (mut half, mut whole) = (vec![0.0; self.n], vec![0.0; self.n]);
        self.forward(b, &mut half);
        self.backward(&half, &mut whole);
        whole
    }

    /// `L b`.
    pub(super) fn times(&self, b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.n];
        for (j, b) in b.iter().enumerate() {
            let column = &self.lower.as_slice()[j * self.n + j..(j + 1) * self.n];
            add_scaled(&mut out[j..], *b, column);
        }
        out
    }

    /// The logarithm of the determinant of `K`.
    pub(super) fn log_determinant(&self) -> f64 {
        let logs = (0..self.n).map(|i| self.lower[(i, i)].ln());
        2.0 * logs.sum::<f64>()
    }

    /// The lower triangle of `K⁻¹`, row i beginning at i·n.
    pub(super) fn whole_inverse(&self) -> Vec<f64> {
        let n = self.n;
        let mut whole = vec![0.0; n * n];
        for i in 0..n {
            let row = self.inverse_row(i);
            for (j, value) in row.iter().enumerate() {
                add_scaled(&mut whole[j * n..=j * n + j], *value, &row[..=j]);
            }
        }
        whole
    }

    /// The diagonal of `K⁻¹`.
    pub(super) fn inverse_diagonal(&self) -> Vec<f64> {
        let mut diagonal = vec![0.0; self.n];
        for i in 0..self.n {
            for (d, v) in diagonal.iter_mut().zip(self.inverse_row(i)) {
                *d += v * v;
            }
        }
        diagonal
    }
}

/// The inverse of a lower triangular matrix, packed by rows.
///
/// Row i follows from the rows before it: `−(Σ_j L_ij · row_j) / L_ii`, and `1 / L_ii` at its end.
fn inverted(lower: &DMatrix<f64>) -> Vec<f64> {
    let n = lower.nrows();
    let mut rows: Vec<f64> = Vec::with_capacity(n * (n + 1) / 2);
    let mut row = vec![0.0; n];
    for i in 0..n {
        row[..=i].fill(0.0);
        let mut begin = 0;
        for j in 0..i {
            add_scaled(&mut row[..=j], lower[(i, j)], &rows[begin..=begin + j]);
            begin += j + 1;
        }
        let scale = 1.0 / lower[(i, i)];
        row[..i].iter_mut().for_each(|v| *v *= -scale);
        row[i] = scale;
        rows.extend_from_slice(&row[..=i]);
    }
    rows
}

/// Factors a small symmetric matrix in place, lower triangle by rows of `q`; pivots are not let
/// below `least`. `false` where a number is none.
pub(super) fn small_factor(matrix: &mut [f64], q: usize, least: f64) -> bool {
    for i in 0..q {
        for j in 0..=i {
            let known = dot(&matrix[i * q..i * q + j], &matrix[j * q..j * q + j]);
            let rest = matrix[i * q + j] - known;
            matrix[i * q + j] = if i == j {
                larger(rest, least).sqrt()
            } else {
                rest / matrix[j * q + j]
            };
            if !rest.is_finite() {
                return false;
            }
        }
    }
    true
}

/// Derivatives by the lower triangle of a matrix from those by its factor, which are used up.
///
/// Source: Smith 1995, Differentiation of the Cholesky algorithm.
pub(super) fn small_factor_back(factor: &[f64], by_factor: &mut [f64], q: usize) -> Vec<f64> {
    let mut by_matrix = vec![0.0; q * q];
    for i in (0..q).rev() {
        for j in (0..=i).rev() {
            let by = if i == j {
                0.5 * by_factor[i * q + i] / factor[i * q + i]
            } else {
                let by = by_factor[i * q + j] / factor[j * q + j];
                by_factor[j * q + j] -= by * factor[i * q + j];
                by
            };
            by_matrix[i * q + j] = by;
            for k in 0..j {
                by_factor[i * q + k] -= by * factor[j * q + k];
                by_factor[j * q + k] -= by * factor[i * q + k];
            }
        }
    }
    by_matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child, uniform};

    #[test]
    fn solves_and_inverses_undo_the_product() {
        let n = 23;
        let mut stream = child(Seed(1), "factor");
        let a = DMatrix::from_fn(n, n, |_, _| uniform(&mut stream) - 0.5);
        let k = &a * a.transpose() + DMatrix::identity(n, n) * 0.01;
        let factor = Factor::new(&k).unwrap();
        let b: Vec<f64> = (0..n).map(|i| i as f64 - 7.0).collect();
        let x = factor.solve(&b);
        let whole = factor.whole_inverse();
        let direct = k.clone().try_inverse().unwrap();
        for i in 0..n {
            let back: f64 = (0..n).map(|j| k[(i, j)] * x[j]).sum();
            assert!((back - b[i]).abs() < 1e-9, "{back} {}", b[i]);
            for j in 0..=i {
                assert!((whole[i * n + j] - direct[(i, j)]).abs() < 1e-7);
            }
            assert!((factor.inverse_diagonal()[i] - direct[(i, i)]).abs() < 1e-7);
        }
        assert!((factor.log_determinant() - k.determinant().ln()).abs() < 1e-9);
        let mut half = vec![0.0; n];
        factor.forward(&b, &mut half);
        for (back, b) in factor.times(&half).iter().zip(&b) {
            assert!((back - b).abs() < 1e-9);
        }
    }

    #[test]
    fn the_small_factor_and_its_derivatives_hold() {
        let q = 3;
        let matrix = [2.0, 0.0, 0.0, 0.4, 1.5, 0.0, -0.3, 0.7, 1.1];
        let weights = [0.3, 0.0, 0.0, -0.8, 0.5, 0.0, 0.9, -0.2, 1.3];
        let worth = |matrix: &[f64; 9]| {
            let mut factor = matrix.to_vec();
            assert!(small_factor(&mut factor, q, 1e-12));
            factor.iter().zip(&weights).map(|(f, w)| f * w).sum::<f64>()
        };
        let mut factor = matrix.to_vec();
        small_factor(&mut factor, q, 1e-12);
        let back = small_factor_back(&factor, &mut weights.clone(), q);
        for place in [0, 3, 4, 6, 7, 8] {
            let (mut up, mut down) = (matrix, matrix);
            up[place] += 1e-6;
            down[place] -= 1e-6;
            let difference = (worth(&up) - worth(&down)) / 2e-6;
            assert!((difference - back[place]).abs() < 1e-8, "{place}");
        }
    }

    #[test]
    fn a_singular_matrix_is_helped_and_an_indefinite_one_refused() {
        let ones = DMatrix::from_element(4, 4, 1.0);
        assert!(Factor::new(&ones).unwrap().jitter > 0.0);
        let mut bad = DMatrix::identity(2, 2);
        bad[(1, 0)] = 2.0;
        assert!(Factor::new(&bad).is_none());
        bad[(1, 0)] = f64::NAN;
        assert!(Factor::new(&bad).is_none());
    }
}
