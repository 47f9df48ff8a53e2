//! Measurements that the process would not have expected.

use super::gp::{Gp, Moments};
use crate::forecast::quantile::normal_quantile;

/// The central band of a normal value: `mean ± z · √variance`.
///
/// The published code gave the variance where the standard deviation belongs: a band of −12.8 to 2.8
/// around −5 with variance 4 instead of −8.9 to −1.1.
#[must_use]
pub fn band(moments: Moments, coverage: f64) -> [f64; 2] {
    let half = normal_quantile(0.5 + 0.5 * coverage) * moments.variance.sqrt();
    [moments.mean - half, moments.mean + half]
}

/// One measurement outside of what the others lead to expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odd {
    /// Which row of the process.
    pub row: usize,
    /// What was measured.
    pub value: f64,
    /// What the others lead to expect, noise included.
    pub expected: [f64; 2],
}

/// Every measurement that lies outside of its leave-one-out band.
///
/// `coverage` is that of the band of one measurement; of sound ones, its complement is found all the
/// same. Values are compared as they were fitted: nothing is penalised for breaking a constraint.
#[must_use]
pub fn odd_ones(gp: &Gp, coverage: f64) -> Vec<Odd> {
    let left_out = gp.leave_one_out();
    let rows = gp.rows().values.iter().zip(&left_out).enumerate();
    let one = |(row, (value, moments)): (usize, (&f64, &Moments))| {
        let expected = band(*moments, coverage);
        let inside = (expected[0]..=expected[1]).contains(value);
        (!inside).then_some(Odd {
            row,
            value: *value,
            expected,
        })
    };
    rows.filter_map(one).collect()
}

/// The coverage of each of `models` bands so that a sound measurement lies inside of all of them
/// with `coverage`: the root, which holds for independent noise.
///
/// Source: Šidák 1967.
#[must_use]
pub fn shared_coverage(coverage: f64, models: i32) -> f64 {
    coverage.powf(1.0 / f64::from(models))
}
