//! Gradients and hessians of the log-loss as whole numbers.
//!
//! Each tree has a unit of its own, a power of two so small that no sum over its rows can overflow:
//! sums have no order and subtraction is exact.

use foresail_core::quantity::units::larger;

use super::grow::{Cell, Rule};
use super::parameters::Parameters;

/// Bits of a cell that count rows; the others of that word sum hessians.
const COUNT_BITS: u32 = 24;

/// Rows at most that a cell can count.
pub(super) const ROWS_MAX: usize = (1 << COUNT_BITS) - 1;

/// Bits that a sum of gradients and one of hessians may fill; below the words' own for the rounding.
const BITS: (i32, i32) = (61, 38);

/// Sum of gradients, two's complement; sum of hessians and number of rows in one word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums([u64; 2]);

impl Sums {
    fn rows(self) -> u64 {
        self.0[1] & ROWS_MAX as u64
    }
}

impl Cell for Sums {
    fn plus(&mut self, other: Self) {
        self.0[0] = self.0[0].wrapping_add(other.0[0]);
        self.0[1] = self.0[1].wrapping_add(other.0[1]);
    }

    fn minus(self, other: Self) -> Self {
        Self([
            self.0[0].wrapping_sub(other.0[0]),
            self.0[1].wrapping_sub(other.0[1]),
        ])
    }

    fn is_empty(self) -> bool {
        self.rows() == 0
    }
}

/// The log-loss of one class against all others, second order.
#[derive(Debug, Default)]
pub(super) struct LogLoss {
    cells: Vec<Sums>,
    /// What one of a gradient's and of a hessian's whole numbers is worth.
    units: (f64, f64),
    rows_min: u64,
    hessian_min: f64,
    lambda: f64,
}

/// The power of two in whose units a sum fills at most so many bits.
fn unit(sum: f64, bits: i32) -> f64 {
    let exponent = larger(sum, f64::MIN_POSITIVE).log2().ceil() as i32;
    2_f64.powi(exponent - bits)
}

impl LogLoss {
    /// Takes the gradients p − y and hessians K/(K−1) · p(1 − p) of the rows `taken`.
    ///
    /// Shapes: `shares` has the probability p of every row; `is_class` says whether y is one.
    pub(super) fn follow(
        &mut self,
        taken: &[u32],
        shares: &[f64],
        is_class: impl Fn(usize) -> bool,
        classes: usize,
        parameters: &Parameters,
    ) {
        let factor = classes as f64 / (classes as f64 - 1.0);
        let both = |row: usize| {
            let p = shares[row];
            let y = f64::from(u8::from(is_class(row)));
            (p - y, factor * p * (1.0 - p))
        };
        let add = |(g, h): (f64, f64), row: &u32| {
            let (gradient, hessian) = both(*row as usize);
            (g + gradient.abs(), h + hessian)
        };
        let (gradients, hessians) = taken.iter().fold((0.0, 0.0), add);
        let units = (unit(gradients, BITS.0), unit(hessians, BITS.1));
        let (per_gradient, per_hessian) = (1.0 / units.0, 1.0 / units.1);
        self.cells.resize(shares.len(), Sums::default());
        for row in taken {
            let (gradient, hessian) = both(*row as usize);
            let gradient = (gradient * per_gradient) as i64;
            let hessian = (hessian * per_hessian + 0.5) as i64;
            self.cells[*row as usize] = Sums([gradient as u64, (hessian as u64) << COUNT_BITS | 1]);
        }
        self.units = units;
        self.rows_min = parameters.min_data_in_leaf as u64;
        self.hessian_min = larger(parameters.min_sum_hessian_in_leaf, f64::MIN_POSITIVE);
        self.lambda = parameters.lambda_l2;
    }

    fn gradient(&self, sums: Sums) -> f64 {
        sums.0[0] as i64 as f64 * self.units.0
    }

    /// Sum of the hessians.
    pub(super) fn hessian(&self, sums: Sums) -> f64 {
        (sums.0[1] >> COUNT_BITS) as i64 as f64 * self.units.1
    }

    /// The step of a leaf that lowers the loss most: −G/(H + λ).
    pub(super) fn step(&self, sums: Sums) -> f64 {
        -self.gradient(sums) / larger(self.hessian(sums) + self.lambda, f64::MIN_POSITIVE)
    }
}

impl Rule for LogLoss {
    type Cell = Sums;

    fn cell(&self, row: u32) -> Sums {
        self.cells[row as usize]
    }

    fn gain(&self, left: Sums, whole: Sums) -> Option<f64> {
        let right = whole.minus(left);
        if left.rows() < self.rows_min || right.rows() < self.rows_min {
            return None;
        }
        let (h_left, h_right) = (self.hessian(left), self.hessian(right));
        if h_left < self.hessian_min || h_right < self.hessian_min {
            return None;
        }
        let (g_left, g_right) = (self.gradient(left), self.gradient(right));
        let (a, b) = (h_left + self.lambda, h_right + self.lambda);
        let whole = self.gradient(whole).powi(2) / (self.hessian(whole) + self.lambda);
        // G²/a of both sides over one denominator: one division a bin.
        Some((g_left * g_left * b + g_right * g_right * a) / (a * b) - whole)
    }
}
