//! Features that mean what their names say: of the window without its trend, normalised, with a
//! value wherever one can be given.
//!
//! Source: specs of AAPA, section 3.2 (profile "foresail-lf/2"; own design).

use super::basis::{Basis, EPSILON, summed, with};

/// Names in the order of [`Corrected::row`].
pub const NAMES: [&str; 15] = [
    "idle",
    "r2",
    "rel_rise",
    "flat",
    "acf_peak",
    "acf_lag",
    "spec_entropy_norm",
    "spec_dom",
    "kurtosis",
    "peak_z",
    "top_share",
    "active_ratio",
    "max_over_mean",
    "cv",
    "thirds",
];

/// A value for each of [`NAMES`].
pub type Row = [f64; NAMES.len()];

/// A sum of squares below this, in units of the mean's square or of 1, is none.
const FLAT: f64 = 1e-12;

/// The same for what is left without the trend: its rounding is larger.
const NOTHING_LEFT: f64 = 1e-9;

/// The shortest period that a peak of the autocorrelation may have, in steps.
const LAG_MIN: usize = 3;

/// Standard deviations of a normal distribution in one median absolute deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// The features of one window; all but `idle` zero where it is idle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Corrected {
    /// No request at all: there is nothing else to say.
    pub idle: bool,
    /// Share of the variance that the trend takes; 0 for a flat window.
    pub r2: f64,
    /// Rise or fall of the trend over the window, as a share of the mean.
    pub rel_rise: f64,
    /// Every minute has the same count.
    pub flat: bool,
    /// The highest autocorrelation at a lag that can be a period, without the trend; at most 1.
    pub acf_peak: f64,
    /// That lag in steps; 0 where there is none.
    pub acf_lag: f64,
    /// Entropy of the power spectrum without the trend, from 0 to 1; 1 where there is no power.
    pub spec_entropy_norm: f64,
    /// The largest share of power at one frequency.
    pub spec_dom: f64,
    /// Excess kurtosis; 0 for a flat window.
    pub kurtosis: f64,
    /// The largest count over the median, in robust deviations with Poisson's own among them.
    pub peak_z: f64,
    /// Share of the three largest counts.
    pub top_share: f64,
    /// Share of steps above a tenth of the mean.
    pub active_ratio: f64,
    /// The largest count over the mean.
    pub max_over_mean: f64,
    /// Standard deviation over the mean.
    pub cv: f64,
    /// What the last third of the window has above the first, as a share of the mean.
    pub thirds: f64,
}

/// The corrected features of a window of any length, one value each minute.
///
/// Idle where it is empty or sums to zero. Values are finite and not below zero.
#[must_use]
pub fn corrected(x: &[f64]) -> Corrected {
    if x.is_empty() {
        return Corrected {
            idle: true,
            ..Corrected::default()
        };
    }
    with(x, of)
}

#[inline(always)]
pub(super) fn of(b: &Basis<'_>) -> Corrected {
    if b.sum == 0.0 {
        return Corrected {
            idle: true,
            ..Corrected::default()
        };
    }
    let (n, mean) = (b.x.len(), b.mean);
    let scale = if mean * mean > 1.0 { mean * mean } else { 1.0 };
    let flat = b.squares <= FLAT * scale;
    // A window of one step has no line, a flat one none that means anything.
    let slope = if flat { 0.0 } else { b.slope() };
    let left = b.squares - b.trend * slope;
    let nothing_left = flat || left <= NOTHING_LEFT * scale;
    let (acf_peak, acf_lag) = if nothing_left {
        (0.0, 0.0)
    } else {
        period(b, slope)
    };
    let (spec_entropy_norm, spec_dom) = if nothing_left {
        (1.0, 0.0)
    } else {
        b.detrended_power(spread)
    };
    let top = b.sorted.iter().rev().take(3).sum::<f64>();
    Corrected {
        idle: false,
        r2: if flat { 0.0 } else { b.r2() },
        rel_rise: slope.abs() * (n - 1) as f64 / (mean + EPSILON),
        flat,
        acf_peak,
        acf_lag,
        spec_entropy_norm,
        spec_dom,
        kurtosis: if flat { 0.0 } else { b.kurtosis() },
        peak_z: (b.largest() - b.median())
            / (MAD_TO_DEVIATION * median_deviation(b.sorted, b.median()) + b.median().sqrt() + 1.0),
        top_share: top / b.sum,
        active_ratio: b.active(),
        max_over_mean: b.largest() / (mean + EPSILON),
        cv: b.variance().sqrt() / (mean + EPSILON),
        thirds: thirds(b.x) / (mean + EPSILON),
    }
}

/// The highest local maximum of the autocorrelation without the trend after its first fall below
/// zero, and its lag; (0, 0) where there is none. The biased sum is scaled to the terms it has.
#[inline(always)]
fn period(b: &Basis<'_>, slope: f64) -> (f64, f64) {
    let n = b.off.len();
    let middle = (n as f64 - 1.0) / 2.0;
    let (mut few, mut many) = ([0.0; 64], Vec::new());
    let left = if n <= few.len() {
        &mut few[..n]
    } else {
        many.resize(n, 0.0);
        &mut many[..]
    };
    for (i, (left, off)) in left.iter_mut().zip(b.off).enumerate() {
        *left = off - slope * (i as f64 - middle);
    }
    let left = &*left;
    let squares = summed(n, |i| left[i] * left[i]);
    let acf = |lag: usize| {
        let (early, late) = (&left[..n - lag], &left[lag..]);
        summed(n - lag, |i| early[i] * late[i]) / squares
    };
    let last = n / 2;
    let (mut best, mut fallen) = ((0.0, 0.0), false);
    let (mut before, mut here) = (1.0, if last > 0 { acf(1) } else { 1.0 });
    for lag in 1..last {
        let after = acf(lag + 1);
        if fallen && lag >= LAG_MIN && here > before && here >= after {
            let scaled = here * n as f64 / (n - lag) as f64;
            let scaled = if scaled > 1.0 { 1.0 } else { scaled };
            if scaled > best.0 {
                best = (scaled, lag as f64);
            }
        }
        fallen |= here < 0.0;
        (before, here) = (here, after);
    }
    best
}

/// Entropy of powers over that of an even spread, and the largest share.
#[inline(always)]
fn spread(powers: &[f64]) -> (f64, f64) {
    let total = summed(powers.len(), |k| powers[k]);
    let (mut entropy, mut largest) = (0.0, 0.0);
    for power in powers {
        let share = power / total;
        if share > 0.0 {
            entropy -= share * share.ln();
        }
        if share > largest {
            largest = share;
        }
    }
    let even = (powers.len() as f64).ln();
    (if even > 0.0 { entropy / even } else { 1.0 }, largest)
}

/// The median of the absolute deviations from the median of sorted values.
///
/// Below and above it the deviations are sorted already: the two are merged up to the middle.
#[inline(always)]
fn median_deviation(sorted: &[f64], median: f64) -> f64 {
    let n = sorted.len();
    let (mut above, mut below) = (n / 2, n / 2);
    let (mut last, mut previous) = (0.0, 0.0);
    for _ in 0..=n / 2 {
        previous = last;
        let up = sorted.get(above).map(|v| v - median);
        let down = below.checked_sub(1).map(|i| median - sorted[i]);
        last = match (up, down) {
            (Some(up), Some(down)) if up <= down => {
                above += 1;
                up
            }
            (_, Some(down)) => {
                below -= 1;
                down
            }
            (Some(up), None) => {
                above += 1;
                up
            }
            (None, None) => last,
        };
    }
    if n.is_multiple_of(2) {
        (previous + last) / 2.0
    } else {
        last
    }
}

/// Mean of the last third of the steps less that of the first.
#[inline(always)]
fn thirds(x: &[f64]) -> f64 {
    let third = x.len() / 3;
    if third == 0 {
        return 0.0;
    }
    let (first, last) = (&x[..third], &x[x.len() - third..]);
    summed(third, |i| last[i]) / third as f64 - summed(third, |i| first[i]) / third as f64
}

impl Corrected {
    /// Its values in the order of [`NAMES`]; not a number for all but `idle` where it is idle.
    #[must_use]
    pub fn row(&self) -> Row {
        if self.idle {
            let mut row = [f64::NAN; NAMES.len()];
            row[0] = 1.0;
            return row;
        }
        [
            0.0,
            self.r2,
            self.rel_rise,
            f64::from(u8::from(self.flat)),
            self.acf_peak,
            self.acf_lag,
            self.spec_entropy_norm,
            self.spec_dom,
            self.kurtosis,
            self.peak_z,
            self.top_share,
            self.active_ratio,
            self.max_over_mean,
            self.cv,
            self.thirds,
        ]
    }
}
