//! What a forecast was worth once the truth is known.
//!
//! Losses are taken in units of the series: its mean absolute first difference, so that series of
//! every size count alike.

use super::quantile::of_sorted;
use crate::rng::{Seed, child, uniform};

/// The levels that a backtest asks for; protocol quantiles are among them.
pub const LEVELS: [f64; 13] = [
    0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975,
];

/// Places in [`LEVELS`] of the quantiles of the scaled pinball loss.
const PINBALL: [usize; 3] = [2, 6, 10];

/// Draws of a bootstrap.
const DRAWS: usize = 2000;

/// The check function: the pinball loss of one quantile.
///
/// Units: those of demand. Source: Koenker & Bassett 1978.
#[must_use]
pub fn check(level: f64, quantile: f64, actual: f64) -> f64 {
    let error = actual - quantile;
    if error >= 0.0 {
        level * error
    } else {
        (level - 1.0) * error
    }
}

/// Twice the pinball loss of one quantile: the absolute error at the median.
///
/// Units: those of demand.
#[must_use]
pub fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    2.0 * check(level, quantile, actual)
}

/// The mean absolute first difference of a history: the unit of its losses.
///
/// At least a tiny positive number, so that a constant series has finite losses.
/// Units: those of the series.
#[must_use]
pub fn unit_of(history: &[f64]) -> f64 {
    let steps = history.windows(2).map(|w| (w[1] - w[0]).abs()).sum::<f64>();
    let mean = steps / (history.len().max(2) - 1) as f64;
    if mean > 1e-9 { mean } else { 1e-9 }
}

/// One step of one forecast beside the truth, in units of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Absolute error of the median.
    pub absolute: f64,
    /// Absolute truth.
    pub actual: f64,
    /// Mean pinball of the 10 %, 50 % and 90 % quantiles, times two.
    pub pinball: f64,
    /// Continuous ranked probability score, by the trapezoid over the levels.
    pub crps: f64,
    /// Whether the truth lay in the 80 % and the 95 % band.
    pub inside: [bool; 2],
    /// Widths of both bands.
    pub width: [f64; 2],
}

impl Loss {
    /// Of quantiles at [`LEVELS`].
    ///
    /// Units: `unit` as [`unit_of`] gives it.
    #[must_use]
    pub fn of(quantiles: &[f64], actual: f64, unit: f64) -> Self {
        let loss = |i: usize| pinball(LEVELS[i], quantiles[i], actual) / unit;
        let within = |low: usize, high: usize| (quantiles[low]..=quantiles[high]).contains(&actual);
        let width = |low: usize, high: usize| (quantiles[high] - quantiles[low]) / unit;
        Self {
            absolute: (actual - quantiles[6]).abs() / unit,
            actual: actual.abs() / unit,
            pinball: PINBALL.iter().map(|i| loss(*i)).sum::<f64>() / PINBALL.len() as f64,
            crps: crps(&loss),
            inside: [within(2, 10), within(0, 12)],
            width: [width(2, 10), width(0, 12)],
        }
    }
}

/// The integral of twice the pinball loss over the levels; the outermost hold to the ends.
fn crps(loss: &dyn Fn(usize) -> f64) -> f64 {
    let last = LEVELS.len() - 1;
    let mut sum = LEVELS[0] * loss(0) + (1.0 - LEVELS[last]) * loss(last);
    for i in 0..last {
        sum += (LEVELS[i + 1] - LEVELS[i]) * (loss(i) + loss(i + 1)) / 2.0;
    }
    sum
}

/// Means over many steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Steps behind them.
    pub points: usize,
    /// Mean absolute error in units of the series (lag 1, for every method).
    pub mase: f64,
    /// Sum of absolute errors over the sum of the truth, both in units of the series.
    pub wape: f64,
    /// Scaled pinball loss.
    pub pinball: f64,
    /// Continuous ranked probability score.
    pub crps: f64,
    /// Share of the truth in the 80 % and the 95 % band, in percent.
    pub coverage_percent: [f64; 2],
    /// Mean widths of both bands.
    pub width: [f64; 2],
}

impl Scores {
    /// Of these losses; all zero without any.
    #[must_use]
    pub fn of<'a>(losses: impl IntoIterator<Item = &'a Loss>) -> Self {
        let (mut sum, mut actual) = (Self::default(), 0.0);
        for loss in losses {
            sum.points += 1;
            sum.mase += loss.absolute;
            actual += loss.actual;
            sum.pinball += loss.pinball;
            sum.crps += loss.crps;
            for i in 0..2 {
                sum.coverage_percent[i] += f64::from(u8::from(loss.inside[i]));
                sum.width[i] += loss.width[i];
            }
        }
        let n = sum.points.max(1) as f64;
        Self {
            points: sum.points,
            mase: sum.mase / n,
            wape: if actual > 0.0 { sum.mase / actual } else { 0.0 },
            pinball: sum.pinball / n,
            crps: sum.crps / n,
            coverage_percent: sum.coverage_percent.map(|c| c / n * 100.0),
            width: sum.width.map(|w| w / n),
        }
    }
}

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The interval's ends.
    pub interval: [f64; 2],
}

/// The mean of values and its interval by a bootstrap over blocks, the values of a block together.
///
/// Neighbouring forecasts err alike, so that single values would give too narrow an interval.
/// Source: Künsch 1989, the block bootstrap; blocks do not overlap here.
#[must_use]
pub fn block_bootstrap(blocks: &[Vec<f64>], seed: Seed) -> Estimate {
    let sums: Vec<(f64, f64)> = blocks
        .iter()
        .map(|b| (b.iter().sum::<f64>(), b.len() as f64))
        .collect();
    let ratio = |(sum, count): (f64, f64)| if count > 0.0 { sum / count } else { 0.0 };
    let add = |a: (f64, f64), b: &(f64, f64)| (a.0 + b.0, a.1 + b.1);
    let mean = ratio(sums.iter().fold((0.0, 0.0), add));
    let mut stream = child(seed, "block bootstrap");
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let pick = |_| (uniform(&mut stream) * sums.len() as f64) as usize;
            let drawn = (0..sums.len()).map(pick).map(|i| &sums[i]);
            ratio(drawn.fold((0.0, 0.0), add))
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    let interval = [0.025, 0.975].map(|level| of_sorted(&draws, level));
    Estimate { mean, interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_s_pinball_is_the_absolute_error() {
        assert!((pinball(0.5, 3.0, 7.0) - 4.0).abs() < 1e-12);
        assert!((pinball(0.9, 3.0, 7.0) - 7.2).abs() < 1e-12);
        assert!((pinball(0.9, 7.0, 3.0) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn the_score_of_a_normal_forecast_is_the_closed_form() {
        // Gneiting & Raftery 2007, eq. 21: at the mean of N(0, 1) it is (√2 − 1)/√π.
        let quantiles: Vec<f64> = LEVELS
            .iter()
            .map(|l| super::super::quantile::normal_quantile(*l))
            .collect();
        let loss = Loss::of(&quantiles, 0.0, 1.0);
        let exact = (2_f64.sqrt() - 1.0) / std::f64::consts::PI.sqrt();
        assert!((loss.crps - exact).abs() < 0.02, "{} {exact}", loss.crps);
    }

    #[test]
    fn the_interval_of_independent_blocks_is_that_of_the_mean() {
        let mut stream = child(Seed(3), "bootstrap test");
        let blocks: Vec<Vec<f64>> = (0..400).map(|_| vec![uniform(&mut stream)]).collect();
        let got = block_bootstrap(&blocks, Seed(1));
        let half = (got.interval[1] - got.interval[0]) / 2.0;
        let exact = 1.96 * (1.0 / 12.0_f64).sqrt() / 20.0;
        assert!((half / exact - 1.0).abs() < 0.15, "{half} {exact}");
    }
}
