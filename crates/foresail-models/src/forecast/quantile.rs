//! Quantiles of samples and of the normal distribution, as every forecaster takes them.

use statrs::distribution::{ContinuousCDF, Normal};

/// The quantile of sorted values at `level`, between neighbours linearly (numpy's `linear`).
///
/// Zero for no values. Units: those of the values.
#[must_use]
pub fn of_sorted(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = level * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (place - place.floor()) * (sorted[high.min(last)] - sorted[low])
}

/// The quantile of values in any order; zero for none. Units: those of the values.
#[must_use]
pub fn of_values(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    of_sorted(&values, level)
}

/// The quantile of the standard normal distribution.
#[must_use]
pub fn normal_quantile(level: f64) -> f64 {
    Normal::standard().inverse_cdf(level)
}

/// The population standard deviation; zero for no values.
#[must_use]
pub fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count();
    if count == 0 {
        return 0.0;
    }
    let mean = values.clone().sum::<f64>() / count as f64;
    (values.map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64).sqrt()
}
