//! Gradients and hessians of the log-loss, summed as whole numbers.
//!
//! A cell is one word: gradients, hessians and the number of rows side by side. Each tree has units of
//! its own, powers of two so small that no sum over its rows can overflow; what lies below a unit is
//! rounded by a fixed dither, so that sums are not biased. Sums have no order then and subtraction is
//! exact. Only the search for splits sees them: leaves take their values from the numbers as they are.
//! After Shi et al. 2022, quantized training of gradient boosting decision trees, with more bits.

use foresail_core::quantity::units::larger;

use super::grow::{Cell, Rule};
use super::parameters::Parameters;

/// Rows at most: a cell counts them in 20 bits at the most.
pub const ROWS_MAX: usize = (1 << 20) - 1;

/// Gradients in the highest bits, two's complement, then hessians, then the number of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums(u64);

impl Cell for Sums {
    fn plus(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    fn is_empty(self) -> bool {
        // A row that adds nothing still counts.
        self.0 == 0
    }
}

/// The log-loss of one class against all others, second order.
#[derive(Debug, Default)]
pub(super) struct LogLoss {
    cells: Vec<Sums>,
    /// Gradient and hessian of each row.
    rows: Vec<(f64, f64)>,
    /// Bits below the hessians and below the gradients.
    shifts: (u32, u32),
    /// What one of a gradient's and of a hessian's whole numbers is worth.
    units: (f64, f64),
    rows_min: u64,
    hessian_min: f64,
    lambda: f64,
}

/// The power of two in whose units a sum fills at most so many bits.
fn unit(sum: f64, bits: u32) -> f64 {
    let exponent = larger(sum, f64::MIN_POSITIVE).log2().ceil() as i32;
    2_f64.powi(exponent - bits as i32)
}

/// A number from 0 to 1 that hangs on the row alone, evenly spread over rows that follow each other.
fn dither(row: u32) -> f64 {
    f64::from(row.wrapping_mul(0x9E37_79B9)) * 2_f64.powi(-32)
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
        self.cells.resize(shares.len(), Sums::default());
        self.rows.resize(shares.len(), (0.0, 0.0));
        let mut sums = (0.0, 0.0);
        for row in taken {
            let row = *row as usize;
            let p = shares[row];
            let gradient = p - f64::from(u8::from(is_class(row)));
            let hessian = factor * p * (1.0 - p);
            self.rows[row] = (gradient, hessian);
            sums = (sums.0 + gradient.abs(), sums.1 + hessian);
        }
        let count_bits = usize::BITS - taken.len().leading_zeros();
        let hessian_bits = (u64::BITS - count_bits) / 2 - 1;
        self.shifts = (count_bits, count_bits + hessian_bits);
        // A bit for the sign, and one each for what rounding adds.
        let gradient_bits = u64::BITS - self.shifts.1 - 2;
        self.units = (unit(sums.0, gradient_bits), unit(sums.1, hessian_bits - 1));
        let per = (1.0 / self.units.0, 1.0 / self.units.1);
        for row in taken {
            let (gradient, hessian) = self.rows[*row as usize];
            let dither = dither(*row);
            // Rounded down: moved up and truncated, which is quicker than `floor`.
            let moved = f64::from(1_u32 << gradient_bits);
            let gradient = (gradient * per.0 + dither + moved) as i64 - (1_i64 << gradient_bits);
            let hessian = (hessian * per.1 + dither) as i64;
            let word = (gradient as u64) << self.shifts.1 | (hessian as u64) << self.shifts.0 | 1;
            self.cells[*row as usize] = Sums(word);
        }
        self.rows_min = parameters.min_data_in_leaf as u64;
        self.hessian_min = larger(parameters.min_sum_hessian_in_leaf, f64::MIN_POSITIVE);
        self.lambda = parameters.lambda_l2;
    }

    fn gradient(&self, sums: Sums) -> f64 {
        (sums.0 as i64 >> self.shifts.1) as f64 * self.units.0
    }

    fn hessian(&self, sums: Sums) -> f64 {
        let above = u64::BITS - self.shifts.1;
        (sums.0 << above >> (above + self.shifts.0)) as i64 as f64 * self.units.1
    }

    fn count(&self, sums: Sums) -> u64 {
        sums.0 & ((1 << self.shifts.0) - 1)
    }

    /// The step of a leaf that lowers the loss most, −G/(H + λ), and H.
    pub(super) fn step(&self, rows: &[u32]) -> (f64, f64) {
        let add = |(g, h): (f64, f64), row: &u32| {
            let (gradient, hessian) = self.rows[*row as usize];
            (g + gradient, h + hessian)
        };
        let (gradient, hessian) = rows.iter().fold((0.0, 0.0), add);
        let step = -gradient / larger(hessian + self.lambda, f64::MIN_POSITIVE);
        (step, hessian)
    }
}

impl Rule for LogLoss {
    type Cell = Sums;

    fn cell(&self, row: u32) -> Sums {
        self.cells[row as usize]
    }

    fn gain(&self, left: Sums, whole: Sums) -> f64 {
        let right = whole.minus(left);
        if self.count(left) < self.rows_min || self.count(right) < self.rows_min {
            return f64::NEG_INFINITY;
        }
        let (h_left, h_right) = (self.hessian(left), self.hessian(right));
        if h_left < self.hessian_min || h_right < self.hessian_min {
            return f64::NEG_INFINITY;
        }
        let (g_left, g_right) = (self.gradient(left), self.gradient(right));
        let (a, b) = (h_left + self.lambda, h_right + self.lambda);
        let whole = self.gradient(whole).powi(2) / (self.hessian(whole) + self.lambda);
        // G²/a of both sides over one denominator: one division a bin.
        (g_left * g_left * b + g_right * g_right * a) / (a * b) - whole
    }
}
