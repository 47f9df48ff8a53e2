//! The 37 features as they were published, dead ones and oddities included.
//!
//! Source: specs of AAPA, section 1.2 (GuilinDev/aapa-simulator:src/data/features.py). At a window
//! of sixty the lags from 60 on and the three bands of power are always zero. Spectral entropy is in
//! bits over amplitudes with the mean among them, autocorrelation the mean of the products that
//! there are, so that it can leave [-1, 1].

use super::basis::{Basis, EPSILON, summed, with};

/// Names in their published order.
pub const NAMES: [&str; 37] = [
    "mean",
    "median",
    "std",
    "variance",
    "skewness",
    "kurtosis",
    "min",
    "max",
    "range",
    "iqr",
    "cv",
    "max_to_mean_ratio",
    "max_to_median_ratio",
    "autocorr_lag_1",
    "autocorr_lag_5",
    "autocorr_lag_10",
    "autocorr_lag_30",
    "autocorr_lag_60",
    "autocorr_lag_120",
    "autocorr_lag_1440",
    "linear_trend_slope",
    "linear_trend_r2",
    "mean_abs_change",
    "mean_change",
    "std_change",
    "num_peaks",
    "peaks_per_hour",
    "spectral_entropy",
    "dominant_freq",
    "dominant_freq_power",
    "power_low_freq",
    "power_med_freq",
    "power_high_freq",
    "active_ratio",
    "burstiness",
    "gini_coefficient",
    "time_to_peak_ratio",
];

/// A value for each of [`NAMES`].
pub type Row = [f64; NAMES.len()];

const LAGS: [usize; 7] = [1, 5, 10, 30, 60, 120, 1440];

/// Amplitudes below this share of the window's sum are residues of rounding, and none.
/// Source: specs of AAPA, section 3.3, the fixture's spectral floor.
const SPECTRAL_FLOOR: f64 = 1e-9;

/// Of amplitudes this near to the largest the lowest frequency is dominant. Source: the same.
const SAME_AMPLITUDE: f64 = 1e-9;

/// Frequencies a spectrum must have before the published code sums its bands.
const BANDED: usize = 60;

/// The 37 features of a window of any length, one value each minute; not a number where a feature
/// has no value (skewness, kurtosis and the fit of the trend on a constant window).
///
/// All zero for an empty window and one that sums to zero, as published. Values are finite.
/// Units: requests per minute, minutes, turns per minute, bits.
#[must_use]
pub fn published(x: &[f64]) -> Row {
    if x.is_empty() {
        return [0.0; NAMES.len()];
    }
    with(x, of)
}

#[inline(always)]
pub(super) fn of(b: &Basis<'_>) -> Row {
    // Exactly zero, as published: counts are whole.
    if b.sum == 0.0 {
        return [0.0; NAMES.len()];
    }
    let (n, mean, variance) = (b.count(), b.mean, b.variance());
    let std = variance.sqrt();
    let (least, largest, median) = (b.sorted[0], b.largest(), b.median());
    let lag = LAGS.map(|lag| autocorrelation(b, lag));
    let change = changes(b);
    let peaks = if b.constant() {
        0.0
    } else {
        peaks(b.x, mean + std)
    };
    let spectrum = spectral(b);
    [
        mean,
        median,
        std,
        variance,
        skewness(b),
        b.kurtosis(),
        least,
        largest,
        largest - least,
        percentile(b.sorted, 0.75) - percentile(b.sorted, 0.25),
        std / (mean + EPSILON),
        largest / (mean + EPSILON),
        largest / (median + EPSILON),
        lag[0],
        lag[1],
        lag[2],
        lag[3],
        lag[4],
        lag[5],
        lag[6],
        b.slope(),
        b.r2(),
        change[0],
        change[1],
        change[2],
        peaks,
        peaks / (n / 60.0),
        spectrum[0],
        spectrum[1],
        spectrum[2],
        spectrum[3],
        spectrum[4],
        spectrum[5],
        b.active(),
        if std + mean == 0.0 {
            0.0
        } else {
            (std - mean) / (std + mean + EPSILON)
        },
        gini(b),
        first_of(b.x, largest) / n,
    ]
}

#[inline(always)]
fn skewness(b: &Basis<'_>) -> f64 {
    if b.constant() {
        return f64::NAN;
    }
    let variance = b.variance();
    b.cubes / b.count() / (variance * variance.sqrt())
}

/// numpy's `linear` percentile of sorted values.
#[inline(always)]
fn percentile(sorted: &[f64], share: f64) -> f64 {
    crate::forecast::quantile::of_sorted(sorted, share)
}

#[inline(always)]
fn autocorrelation(b: &Basis<'_>, lag: usize) -> f64 {
    let n = b.off.len();
    if lag >= n || b.constant() {
        return 0.0;
    }
    let (early, late) = (&b.off[..n - lag], &b.off[lag..]);
    summed(n - lag, |i| early[i] * late[i]) / (n - lag) as f64 / b.variance()
}

/// Mean of the absolute changes, mean and standard deviation of the changes from step to step.
#[inline(always)]
fn changes(b: &Basis<'_>) -> [f64; 3] {
    let n = b.x.len();
    if n < 2 {
        return [0.0; 3];
    }
    let (early, late, count) = (&b.x[..n - 1], &b.x[1..], (n - 1) as f64);
    let mean = (b.x[n - 1] - b.x[0]) / count;
    let absolute = summed(n - 1, |i| (late[i] - early[i]).abs());
    let squares = summed(n - 1, |i| {
        let off = late[i] - early[i] - mean;
        off * off
    });
    [absolute / count, mean, (squares / count).sqrt()]
}

/// Local maxima of at least `height`; a plateau is one, an end is none.
/// Source: `scipy.signal.find_peaks`.
#[inline(always)]
fn peaks(x: &[f64], height: f64) -> f64 {
    let (mut count, mut i) = (0, 1);
    while i + 1 < x.len() {
        let mut end = i;
        if x[i - 1] < x[i] {
            while end + 1 < x.len() && x[end + 1] <= x[i] && x[end + 1] >= x[i] {
                end += 1;
            }
            let falls = end + 1 < x.len() && x[end + 1] < x[i];
            count += u32::from(falls && x[i] >= height);
        }
        i = end + 1;
    }
    f64::from(count)
}

/// Entropy in bits, dominant frequency and its share, and the shares of the three bands.
#[inline(always)]
fn spectral(b: &Basis<'_>) -> [f64; 6] {
    let bins = b.x.len() / 2;
    // Sixty steps need thirty places and no heap.
    let (mut few, mut many) = ([0.0; 32], Vec::new());
    let shares = if bins <= few.len() {
        &mut few[..bins]
    } else {
        many.resize(bins, 0.0);
        &mut many[..]
    };
    let floor = SPECTRAL_FLOOR * b.sum;
    for (share, (re, im)) in shares.iter_mut().zip(b.re.iter().zip(b.im)) {
        let amplitude = (re * re + im * im).sqrt();
        *share = if amplitude < floor { 0.0 } else { amplitude };
    }
    if let Some(first) = shares.first_mut() {
        *first = b.sum;
    }
    let total = summed(bins, |k| shares[k]);
    let mut entropy = 0.0;
    for share in shares.iter_mut().filter(|s| **s > 0.0) {
        *share /= total;
        entropy -= *share * share.log2();
    }
    let [_, waves @ ..] = &*shares else {
        return [0.0; 6];
    };
    let largest = waves.iter().fold(0.0, |a, b| if *b > a { *b } else { a });
    let dominant = waves.iter().position(|s| *s >= largest - SAME_AMPLITUDE);
    let dominant = dominant.map_or(0, |place| place + 1);
    let band = |from: usize, to: usize| shares[from..to].iter().sum();
    let (low, medium, high) = if bins > BANDED {
        (band(1, 6), band(6, 25), band(25, bins))
    } else {
        (0.0, 0.0, 0.0)
    };
    let frequency = dominant as f64 / b.count();
    [entropy, frequency, shares[dominant], low, medium, high]
}

#[inline(always)]
fn gini(b: &Basis<'_>) -> f64 {
    let n = b.count();
    let ranked = summed(b.sorted.len(), |i| (i + 1) as f64 * b.sorted[i]);
    2.0 * ranked / (n * b.sum) - (n + 1.0) / n
}

/// Place of the first step that is as large as `largest`.
#[inline(always)]
fn first_of(x: &[f64], largest: f64) -> f64 {
    x.iter().position(|v| *v >= largest).unwrap_or(0) as f64
}
