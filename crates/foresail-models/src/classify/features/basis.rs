//! What both sets of features are made of, computed once per window.

use std::sync::LazyLock;

use super::spectrum;
use crate::classify::{WINDOW, Window};

/// Keeps a division by a mean of zero finite. Source: specs of AAPA, section 1.2.
pub(super) const EPSILON: f64 = 1e-6;

/// The relative deviation below which values are one value written twice.
/// Source: scipy.stats.skew, the resolution of a double.
const RESOLUTION: f64 = 1e-15;

/// A window and what is known of it; slices have its length n, spectra n / 2 + 1.
pub(super) struct Basis<'a> {
    /// The window.
    pub(super) x: &'a [f64],
    /// Deviations from the mean.
    pub(super) off: &'a [f64],
    /// The window, ascending.
    pub(super) sorted: &'a [f64],
    /// Spectrum of the deviations.
    pub(super) re: &'a [f64],
    pub(super) im: &'a [f64],
    /// Sum of the window.
    pub(super) sum: f64,
    pub(super) mean: f64,
    /// Sums of the second to fourth powers of the deviations.
    pub(super) squares: f64,
    pub(super) cubes: f64,
    pub(super) fourths: f64,
    /// Sum of the deviations times the time from the window's middle.
    pub(super) trend: f64,
    /// Sum of the squares of the time from the window's middle.
    pub(super) time_squares: f64,
}

/// Deviations from the mean, with their sums.
struct Moments {
    sum: f64,
    mean: f64,
    squares: f64,
    cubes: f64,
    fourths: f64,
    trend: f64,
}

/// Sums of lanes of four: a fixed order that a machine with lanes can keep.
#[inline(always)]
pub(super) fn summed(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut sums = [0.0; 4];
    let whole = n - n % 4;
    for i in (0..whole).step_by(4) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(i + lane);
        }
    }
    for (lane, sum) in sums.iter_mut().enumerate().take(n % 4) {
        *sum += term(whole + lane);
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

#[inline(always)]
fn moments(x: &[f64], off: &mut [f64]) -> Moments {
    let n = x.len();
    let off = &mut off[..n];
    let sum = summed(n, |i| x[i]);
    let mean = sum / n as f64;
    for i in 0..n {
        off[i] = x[i] - mean;
    }
    let off = &*off;
    let middle = (n as f64 - 1.0) / 2.0;
    Moments {
        sum,
        mean,
        squares: summed(n, |i| off[i] * off[i]),
        cubes: summed(n, |i| off[i] * off[i] * off[i]),
        fourths: summed(n, |i| (off[i] * off[i]) * (off[i] * off[i])),
        trend: summed(n, |i| (i as f64 - middle) * off[i]),
    }
}

/// Sum of the squares of the time from the middle of `n` steps.
fn time_squares(n: usize) -> f64 {
    let n = n as f64;
    n * (n * n - 1.0) / 12.0
}

/// Hands what is known of a window to `take`; a window of [`WINDOW`] without a heap.
///
/// Values are finite; the window is not empty.
#[inline(always)]
pub(super) fn with<T>(x: &[f64], take: impl FnOnce(&Basis<'_>) -> T) -> T {
    if let Ok(window) = <&Window>::try_from(x) {
        let (mut off, mut sorted) = ([0.0; WINDOW], *window);
        let m = moments(window, &mut off);
        sorted.sort_unstable_by(f64::total_cmp);
        let (re, im) = spectrum::of_sixty(&off);
        return take(&basis(window, &off, &sorted, (&re, &im), &m));
    }
    let (mut off, mut sorted) = (vec![0.0; x.len()], x.to_vec());
    let m = moments(x, &mut off);
    sorted.sort_unstable_by(f64::total_cmp);
    let (re, im) = spectrum::of_any(&off);
    take(&basis(x, &off, &sorted, (&re, &im), &m))
}

#[inline(always)]
fn basis<'a>(
    x: &'a [f64],
    off: &'a [f64],
    sorted: &'a [f64],
    (re, im): (&'a [f64], &'a [f64]),
    m: &Moments,
) -> Basis<'a> {
    Basis {
        x,
        off,
        sorted,
        re,
        im,
        sum: m.sum,
        mean: m.mean,
        squares: m.squares,
        cubes: m.cubes,
        fourths: m.fourths,
        trend: m.trend,
        time_squares: time_squares(x.len()),
    }
}

impl Basis<'_> {
    /// Number of values as a float.
    #[inline(always)]
    pub(super) fn count(&self) -> f64 {
        self.x.len() as f64
    }

    /// Population variance.
    #[inline(always)]
    pub(super) fn variance(&self) -> f64 {
        self.squares / self.count()
    }

    /// `true` where every value is the same but for rounding.
    #[inline(always)]
    pub(super) fn constant(&self) -> bool {
        self.variance() <= (RESOLUTION * self.mean).powi(2)
    }

    /// Excess kurtosis, biased; not a number for a constant window.
    #[inline(always)]
    pub(super) fn kurtosis(&self) -> f64 {
        if self.constant() {
            return f64::NAN;
        }
        let variance = self.variance();
        self.fourths / self.count() / (variance * variance) - 3.0
    }

    /// Slope of the least-squares line, per step.
    #[inline(always)]
    pub(super) fn slope(&self) -> f64 {
        self.trend / self.time_squares
    }

    /// Share of the variance that the line takes; not a number for a constant window.
    #[inline(always)]
    pub(super) fn r2(&self) -> f64 {
        if self.constant() {
            return f64::NAN;
        }
        self.trend * self.trend / (self.time_squares * self.squares)
    }

    /// The middle value.
    #[inline(always)]
    pub(super) fn median(&self) -> f64 {
        let n = self.sorted.len();
        (self.sorted[(n - 1) / 2] + self.sorted[n / 2]) / 2.0
    }

    /// The largest value.
    #[inline(always)]
    pub(super) fn largest(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// Share of steps above a tenth of the mean.
    #[inline(always)]
    pub(super) fn active(&self) -> f64 {
        let above = 0.1 * self.mean;
        summed(self.x.len(), |i| f64::from(u8::from(self.x[i] > above))) / self.count()
    }
}

/// Spectrum of the time from the middle of a window of sixty, which a trend adds to its window's.
static TIME: LazyLock<spectrum::Parts> = LazyLock::new(|| {
    let middle = (WINDOW as f64 - 1.0) / 2.0;
    spectrum::of_sixty(&std::array::from_fn(|i| i as f64 - middle))
});

impl Basis<'_> {
    /// Power of the window without its line by frequency, from the first on, handed to `take`.
    #[inline(always)]
    pub(super) fn detrended_power<T>(&self, take: impl FnOnce(&[f64]) -> T) -> T {
        let slope = self.slope();
        let power = |re: &[f64], im: &[f64], k: usize| {
            let (re, im) = (self.re[k] - slope * re[k], self.im[k] - slope * im[k]);
            re * re + im * im
        };
        if self.x.len() == WINDOW {
            let (re, im) = &*TIME;
            let powers: [f64; WINDOW / 2] = std::array::from_fn(|k| power(re, im, k + 1));
            return take(&powers);
        }
        let middle = (self.count() - 1.0) / 2.0;
        let time: Vec<f64> = (0..self.x.len()).map(|i| i as f64 - middle).collect();
        let (re, im) = spectrum::of_any(&time);
        let powers: Vec<f64> = (1..self.re.len()).map(|k| power(&re, &im, k)).collect();
        take(&powers)
    }
}
