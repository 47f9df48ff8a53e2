//! What passes with dropout do not know of: errors on later parts of the history, and coverage.
//!
//! The residual variance is the mean squared error of the mean of the passes over the validation part.
//! Then the 90 % band is laid over the test part. Where it does not cover 85 to 95 % its width is
//! scaled so that it covers 90 % of the first half of the test part, and the second half says what came
//! of it: split conformal prediction with the deviation as the score's unit.
//! Source: Lei et al. 2018, Distribution-Free Predictive Inference for Regression, section 5.

use foresail_nn::LANES;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::serve::{PASSES, PoolNet, Tape};
use super::windows::{Place, Windows};
use crate::forecast::quantile::normal_quantile;
use crate::rng::{Seed, child};

/// Share that the band says it covers.
const COVERAGE: f64 = 0.9;

/// Coverage that is left as it is.
const FINE: std::ops::RangeInclusive<f64> = 0.85..=0.95;

/// Level of the quantile that pools are filled to.
const UPPER: f64 = 0.95;

/// The least and the greatest factor: intervals of sparse demand would vanish, or never end.
const FACTORS: [f64; 2] = [0.5, 10.0];

/// Windows of a part that are looked at; of more, every k-th is taken.
const CHECKED_MAX: usize = 4096;

/// Scores without which no factor is taken from them.
const SCORES_MIN: usize = 10;

/// Errors of one step ahead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spread {
    /// Mean squared error over the validation part. Units: scaled values, squared.
    pub residual: f64,
    /// By how much the deviation is drawn out; 1 where the band covers what it says.
    pub factor: f64,
    /// Share of the test part inside the 90 % band before any factor.
    pub coverage: f64,
    /// The same with the factor, over the half of the test part that it was not taken from; `None`
    /// where there is no factor.
    pub rescaled: Option<f64>,
    /// Share above the 95 % quantile, of the test part; with a factor, of the half that it was not
    /// taken from.
    pub above: f64,
    /// Windows of the test part that this is said of.
    pub windows: usize,
}

impl Spread {
    pub(super) fn is_sound(&self) -> bool {
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let factor = (FACTORS[0]..=FACTORS[1]).contains(&self.factor);
        let residual = self.residual >= 0.0 && self.residual.is_finite();
        residual
            && factor
            && share(self.coverage)
            && share(self.above)
            && self.rescaled.is_none_or(share)
    }
}

/// Answer and truth of one window and step ahead.
#[derive(Clone, Copy, Debug)]
struct Case {
    error: f64,
    variance: f64,
    /// In the first half of its function's test part.
    early: bool,
}

impl Case {
    /// The error in deviations; nothing but no error lies inside a band without width.
    fn score(&self, residual: f64) -> f64 {
        let deviation = (self.variance + residual).sqrt();
        if deviation > 0.0 {
            self.error / deviation
        } else if self.error.abs() > 0.0 {
            f64::INFINITY * self.error.signum()
        } else {
            0.0
        }
    }
}

/// Errors of each step ahead of a net, over the later parts of what it was trained on.
pub(super) fn measure(net: &PoolNet, windows: &Windows, seed: Seed) -> Vec<Spread> {
    let validation = cases(net, windows, &windows.parts[1], seed);
    let test = cases(net, windows, &windows.parts[2], seed);
    (0..net.reach())
        .map(|step| {
            let squares = validation.iter().map(|c| c[step].error.powi(2));
            let residual = squares.sum::<f64>() / validation.len() as f64;
            let scores: Vec<(f64, bool)> = test
                .iter()
                .map(|c| (c[step].score(residual), c[step].early))
                .collect();
            spread(residual, &scores)
        })
        .collect()
}

/// Share of scores within ±`bound`.
fn inside(scores: impl Iterator<Item = f64> + Clone, bound: f64) -> f64 {
    let count = scores.clone().count().max(1);
    scores.filter(|s| s.abs() <= bound).count() as f64 / count as f64
}

/// From the scores of the test part, each with whether it lies in its first half.
fn spread(residual: f64, scores: &[(f64, bool)]) -> Spread {
    let bound = normal_quantile(0.5 + COVERAGE / 2.0);
    let all = scores.iter().map(|(s, _)| *s);
    let coverage = inside(all.clone(), bound);
    let mut early: Vec<f64> = scores
        .iter()
        .filter_map(|(s, early)| early.then_some(s.abs()))
        .collect();
    early.sort_by(f64::total_cmp);
    let share_above = |scores: &[f64], factor: f64| {
        let upper = factor * normal_quantile(UPPER);
        scores.iter().filter(|s| **s > upper).count() as f64 / scores.len().max(1) as f64
    };
    let mut told = Spread {
        residual,
        factor: 1.0,
        coverage,
        rescaled: None,
        above: share_above(&all.collect::<Vec<_>>(), 1.0),
        windows: scores.len(),
    };
    if !FINE.contains(&coverage) && early.len() >= SCORES_MIN {
        // One more score is as likely in each gap between them as in any other.
        let place = (COVERAGE * (early.len() + 1) as f64).ceil() as usize;
        let score = early[place.clamp(1, early.len()) - 1];
        told.factor = (score / bound).clamp(FACTORS[0], FACTORS[1]);
        let late = scores
            .iter()
            .filter_map(|(s, early)| (!early).then_some(*s));
        let late: Vec<f64> = late.collect();
        told.rescaled = Some(inside(late.iter().copied(), told.factor * bound));
        told.above = share_above(&late, told.factor);
    }
    told
}

/// Answers and truths of some windows; each window's steps ahead together.
fn cases(net: &PoolNet, windows: &Windows, places: &[Place], seed: Seed) -> Vec<Vec<Case>> {
    let stride = places.len().div_ceil(CHECKED_MAX).max(1);
    let some: Vec<Place> = places.iter().copied().step_by(stride).collect();
    let block = |tape: &mut Tape, places: &[Place]| {
        let lane = |place: &Place| {
            let name = format!("pool net check {} {}", place.series, place.first);
            (windows.next(*place), child(seed, &name))
        };
        let lanes = places.iter().map(lane).collect();
        let told = net.moments(&windows.inputs(places), lanes, PASSES, tape);
        let pairs = told.into_iter().zip(places);
        pairs
            .map(|(moments, place)| {
                let steps = moments.into_iter().zip(windows.target(*place));
                let case = |([mean, variance], truth): ([f64; 2], f32)| Case {
                    error: f64::from(truth) - mean,
                    variance,
                    early: windows.is_early(*place),
                };
                steps.map(case).collect()
            })
            .collect::<Vec<Vec<Case>>>()
    };
    let blocks: Vec<Vec<_>> = some
        .par_chunks(LANES)
        .map_init(Tape::default, block)
        .collect();
    blocks.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores at the quantiles of a normal distribution whose deviation is `width`.
    fn scores(width: f64) -> Vec<(f64, bool)> {
        let level = |i: usize| (i as f64 + 0.5) / 1000.0;
        (0..1000)
            .map(|i| (width * normal_quantile(level(i * 7 % 1000)), i < 500))
            .collect()
    }

    #[test]
    fn a_band_that_covers_what_it_says_is_left_alone() {
        let told = spread(0.5, &scores(1.0));
        assert!((told.coverage - 0.9).abs() < 1e-9);
        assert!((told.factor - 1.0).abs() < 1e-12 && told.rescaled.is_none());
        assert!((told.above - 0.05).abs() < 1e-9);
    }

    #[test]
    fn one_that_does_not_is_scaled_by_half_of_the_part_and_judged_by_the_other() {
        for width in [0.6, 2.0] {
            let told = spread(0.5, &scores(width));
            assert!(!FINE.contains(&told.coverage));
            assert!((told.factor / width - 1.0).abs() < 0.05, "{told:?}");
            assert!(FINE.contains(&told.rescaled.unwrap()), "{told:?}");
            assert!((told.above - 0.05).abs() < 0.02, "{told:?}");
        }
    }

    /// The half that a factor is taken from says nothing of what came of it.
    #[test]
    fn with_a_factor_what_lies_above_is_of_the_later_half() {
        let mut some = scores(2.0);
        let whole = spread(0.5, &some);
        for (score, early) in &mut some {
            // As many of each size as before, each above.
            *score = if *early { score.abs() } else { -score.abs() };
        }
        let told = spread(0.5, &some);
        assert!((told.factor - whole.factor).abs() < 1e-12 && told.rescaled.is_some());
        assert!(told.above.abs() < 1e-12, "{told:?}");
        for (score, _) in &mut some {
            *score = -*score;
        }
        let told = spread(0.5, &some);
        let late = some.iter().filter(|(_, early)| !early);
        let above = late.filter(|(s, _)| *s > told.factor * normal_quantile(UPPER));
        assert!((told.above - above.count() as f64 / 500.0).abs() < 1e-12);
        assert!((told.above - 0.1).abs() < 0.02, "{told:?}");
    }

    #[test]
    fn factors_have_bounds_and_few_scores_give_none() {
        assert!((spread(1.0, &scores(1e-3)).factor - 0.5).abs() < 1e-12);
        assert!((spread(1.0, &scores(1e3)).factor - 10.0).abs() < 1e-12);
        let few: Vec<_> = scores(5.0).into_iter().take(9).collect();
        let told = spread(1.0, &few);
        assert!((told.factor - 1.0).abs() < 1e-12 && told.rescaled.is_none());
    }

    #[test]
    fn no_width_and_no_error_is_inside_any_error_is_not() {
        let case = |error| Case {
            error,
            variance: 0.0,
            early: true,
        };
        assert!(case(0.0).score(0.0).abs() < 1e-12);
        assert!(case(-1e-9).score(0.0) < -1e300);
    }
}
