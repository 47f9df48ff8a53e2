//! Paired statistics over runs: intervals of a mean difference, and the signed-rank test.

use foresail_core::quantity::units::smaller;
use foresail_models::rng::{Seed, child, uniform};
use statrs::distribution::{ContinuousCDF, Normal};

/// Resamples of an interval: its ends rest on 50 of them each.
const RESAMPLES: usize = 2000;

/// Up to so many pairs the distribution of the rank sum is counted out.
const EXACT_MAX: usize = 25;

/// The mean of what is a number; not a number where nothing is.
#[must_use]
pub(crate) fn mean(values: &[f64]) -> f64 {
    let known = values.iter().filter(|v| v.is_finite());
    known.clone().sum::<f64>() / known.count() as f64
}

/// Mean of differences with its 95 % percentile interval over resampled pairs; `None` without two.
///
/// Source: Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13.
#[must_use]
pub(crate) fn mean_difference(differences: &[f64], seed: Seed) -> Option<(f64, (f64, f64))> {
    let n = differences.len();
    if n < 2 {
        return None;
    }
    let mean = |sum: f64| sum / n as f64;
    let mut stream = child(seed, "study/pairs");
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let draw = |_| differences[(uniform(&mut stream) * n as f64) as usize];
            mean((0..n).map(draw).sum())
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |level: f64| means[(level * (RESAMPLES - 1) as f64).round() as usize];
    Some((mean(differences.iter().sum()), (at(0.025), at(0.975))))
}

/// Two-sided p of the Wilcoxon signed-rank test that differences lie around zero.
///
/// Zeros are left out, ties share their mean rank. Counted out for up to 25 pairs without ties, else
/// by the normal approximation with the correction for ties; `None` where every difference is zero.
/// Source: Wilcoxon 1945; as `scipy.stats.wilcoxon` with method `exact` and `asymptotic`.
#[must_use]
pub(crate) fn signed_rank(differences: &[f64]) -> Option<f64> {
    let mut nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    if nonzero.is_empty() {
        return None;
    }
    let n = nonzero.len();
    nonzero.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut positive, mut ties, mut begin) = (0.0, 0.0, 0);
    while begin < n {
        let same = |d: &&f64| d.abs() <= nonzero[begin].abs();
        let count = nonzero[begin..].iter().take_while(same).count();
        // Ranks begin at one.
        let rank = begin as f64 + (count + 1) as f64 / 2.0;
        let above = nonzero[begin..begin + count].iter().filter(|d| **d > 0.0);
        positive += rank * above.count() as f64;
        ties += (count * count * count - count) as f64;
        begin += count;
    }
    if n <= EXACT_MAX && ties < 0.5 && n == differences.len() {
        return Some(exact(n, positive));
    }
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let z = (positive - mean) / variance.sqrt();
    Some(2.0 * Normal::standard().cdf(-z.abs()))
}

/// Share of the sign patterns whose rank sum is as far from the middle, both sides.
fn exact(n: usize, positive: f64) -> f64 {
    let most = n * (n + 1) / 2;
    let mut counts = vec![0.0_f64; most + 1];
    counts[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            counts[sum] += counts[sum - rank];
        }
    }
    let least = smaller(positive, most as f64 - positive);
    let tail: f64 = counts.iter().take(least as usize + 1).sum();
    smaller(2.0 * tail / 2_f64.powi(n as i32), 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: scipy 1.17.1, `scipy.stats.wilcoxon(d, method=m)`, exact without ties, else
    /// asymptotic.
    #[test]
    fn the_signed_rank_test_is_scipys() {
        let cases: [(&[f64], f64); 3] = [
            (
                &[
                    6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0,
                    -67.0, 75.0,
                ],
                0.041_259_765_625,
            ),
            (&[0.5, -0.25, 0.125, 1.0, 2.0], 0.1875),
            (
                &[1.0, 1.0, -1.0, 2.0, 0.0, 3.0, -2.0, 4.0],
                0.200_825_122_695,
            ),
        ];
        for (differences, expected) in cases {
            let got = signed_rank(differences).unwrap();
            assert!((got - expected).abs() < 1e-6, "{differences:?}: {got}");
        }
        assert_eq!(signed_rank(&[0.0, 0.0]), None);
    }

    /// The mean of n independent differences: its standard error is known.
    #[test]
    fn the_interval_is_that_of_the_mean() {
        let differences: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let (mean, (low, high)) = mean_difference(&differences, Seed(1)).unwrap();
        // Uniform on 0..9: mean 4.5, standard deviation 2.872, of the mean of 100 0.287.
        assert!((mean - 4.5).abs() < 1e-12);
        assert!((low - (4.5 - 1.96 * 0.287)).abs() < 0.05, "{low}");
        assert!((high - (4.5 + 1.96 * 0.287)).abs() < 0.05, "{high}");
        assert_eq!(mean_difference(&[1.0], Seed(1)), None);
    }
}
