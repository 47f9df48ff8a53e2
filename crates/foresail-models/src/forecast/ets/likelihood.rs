//! The likelihood of ETS and its gradient: one pass forwards, one backwards.
//!
//! All forms share the recursion of their states; the form of the error only weighs the residuals.
//! Source: Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (2008), chapters
//! 2 and 5; the backward pass is the adjoint of the recursion.

use foresail_core::quantity::units::larger;

use super::form::{Error, Form, SeasonForm};
use super::state::{Smoothing, State};

/// Values whose product is taken before its logarithm.
const CHUNK: usize = 8;

/// What a pass gives where it was refused: a forecast or a state that must be above zero is not, or
/// the numbers ran out of range.
pub const REFUSED: f64 = f64::INFINITY;

/// A series, a form, and the room that a pass needs.
#[derive(Clone, Debug)]
pub struct Likelihood<'a> {
    /// NaN marks a gap.
    values: &'a [f64],
    form: Form,
    /// Values that are there.
    seen: f64,
    /// Residual of each step, in units of the series; zero at a gap.
    residuals: Vec<f64>,
    /// Level and slope together, before the step.
    bases: Vec<f64>,
    /// Slope before the step, damped.
    slopes: Vec<f64>,
    /// Season of the step.
    seasons: Vec<f64>,
    /// One over the base, and over the season, where the season is a factor.
    by_bases: Vec<f64>,
    by_seasons: Vec<f64>,
    /// Sum of the squares of the (relative) residuals.
    squares: f64,
}

/// The derivative of the likelihood by what is estimated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slopes {
    /// By the smoothing parameters.
    pub smoothing: Smoothing,
    /// By the initial level.
    pub level: f64,
    /// By the initial slope.
    pub trend: f64,
    /// By the initial seasons, in order of their steps.
    pub season: Vec<f64>,
}

impl<'a> Likelihood<'a> {
    /// Of `values`, NaN for a gap, under `form`.
    #[must_use]
    pub fn new(values: &'a [f64], form: Form) -> Self {
        let n = values.len();
        Self {
            values,
            form,
            seen: values.iter().filter(|v| !v.is_nan()).count() as f64,
            residuals: vec![0.0; n],
            bases: vec![0.0; n],
            slopes: vec![0.0; n],
            seasons: vec![0.0; n],
            by_bases: vec![0.0; n],
            by_seasons: vec![0.0; n],
            squares: 0.0,
        }
    }

    /// Minus two times the logarithm of the likelihood, without its constants; [`REFUSED`] where a
    /// multiplicative form meets a forecast or a season at or below zero, or where the residuals are
    /// not finite. `state` moves to the end.
    ///
    /// `n·ln Σe²`, and for multiplicative errors `+ 2·Σ ln f`: the number that R's `ets` and
    /// statsforecast minimise.
    pub fn value(&mut self, smoothing: &Smoothing, state: &mut State) -> f64 {
        let forward = match (self.form.has_trend(), self.form.season) {
            (false, SeasonForm::None) => Self::forward::<false, 0>,
            (true, SeasonForm::None) => Self::forward::<true, 0>,
            (false, SeasonForm::Additive) => Self::forward::<false, 1>,
            (true, SeasonForm::Additive) => Self::forward::<true, 1>,
            (false, SeasonForm::Multiplicative) => Self::forward::<false, 2>,
            (true, SeasonForm::Multiplicative) => Self::forward::<true, 2>,
        };
        if !forward(self, smoothing, state) {
            return REFUSED;
        }
        match self.form.error {
            Error::Additive => {
                self.squares = sum_of_squares(&self.residuals);
                if !self.squares.is_finite() {
                    return REFUSED;
                }
                self.seen * guarded(self.squares).ln()
            }
            Error::Multiplicative => self.relative(),
        }
    }

    /// Sum of the squares of the residuals of the last pass, relative ones for multiplicative
    /// errors.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Residuals of the last pass, in units of the series; zero at a gap.
    #[must_use]
    pub fn residuals(&self) -> &[f64] {
        &self.residuals
    }

    /// Moves `state` over the series and keeps what the way back needs.
    ///
    /// The recursion is written for the base (level and slope together) and the slope, so that from
    /// one base to the next lie one product and two sums.
    fn forward<const TREND: bool, const SEASON: u8>(
        &mut self,
        smoothing: &Smoothing,
        state: &mut State,
    ) -> bool {
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = *smoothing;
        let n = self.values.len();
        let (residuals, bases) = (&mut self.residuals[..n], &mut self.bases[..n]);
        let (slopes, seasons) = (&mut self.slopes[..n], &mut self.seasons[..n]);
        let (ones_by_base, ones_by_season) = (&mut self.by_bases[..n], &mut self.by_seasons[..n]);
        let cycle = state.season.as_mut_slice();
        let mut at = state.at;
        let mut damped = if TREND { phi * state.trend } else { 0.0 };
        let mut base = state.level + damped;
        let (gain, steady) = (alpha + phi * beta, 1.0 - alpha - phi * beta);
        let (pull, keep) = (phi * beta, phi);
        let mut level = state.level;
        for (t, value) in self.values.iter().enumerate() {
            let season = if SEASON > 0 { cycle[at] } else { 0.0 };
            // What the base should have been: off the chain from base to base.
            let mut due = match SEASON {
                0 => *value,
                1 => value - season,
                _ => {
                    ones_by_season[t] = 1.0 / season;
                    value * ones_by_season[t]
                }
            };
            if value.is_nan() {
                due = base;
            }
            let error = due - base;
            bases[t] = base;
            residuals[t] = if SEASON == 2 { error * season } else { error };
            if SEASON > 0 {
                seasons[t] = season;
                cycle[at] = if SEASON == 1 {
                    season + gamma * error
                } else {
                    ones_by_base[t] = 1.0 / base;
                    season + gamma * residuals[t] * ones_by_base[t]
                };
                at = if at + 1 == cycle.len() { 0 } else { at + 1 };
            }
            if TREND {
                slopes[t] = damped;
                level = base + alpha * error;
                let next = steady * base + (keep * damped + gain * due);
                damped = keep * damped + pull * error;
                base = next;
            } else {
                base = (1.0 - alpha) * base + alpha * due;
            }
        }
        state.at = at;
        if TREND {
            (state.level, state.trend) = (level, damped / phi);
        } else {
            (state.level, state.trend) = (base, 0.0);
        }
        let positive = |v: &[f64]| v.iter().fold(true, |all, v| all & (*v > 0.0));
        SEASON < 2 || (positive(bases) && positive(seasons))
    }

    fn point(&self, t: usize) -> f64 {
        match self.form.season {
            SeasonForm::None => self.bases[t],
            SeasonForm::Additive => self.bases[t] + self.seasons[t],
            SeasonForm::Multiplicative => self.bases[t] * self.seasons[t],
        }
    }

    /// The likelihood of relative residuals after a forward pass.
    fn relative(&mut self) -> f64 {
        let (mut squares, mut logs, mut good) = (0.0, 0.0, true);
        let n = self.values.len();
        for first in (0..n).step_by(CHUNK) {
            let (mut sum, mut product) = (0.0, 1.0);
            for t in first..(first + CHUNK).min(n) {
                if self.values[t].is_nan() {
                    continue;
                }
                let point = self.point(t);
                good &= point > 0.0;
                let relative = self.residuals[t] / point;
                sum += relative * relative;
                product *= point;
            }
            if !(1e-300..1e300).contains(&product) {
                return REFUSED;
            }
            squares += sum;
            logs += product.ln();
        }
        if !good || !squares.is_finite() {
            return REFUSED;
        }
        self.squares = squares;
        self.seen * guarded(squares).ln() + 2.0 * logs
    }

    /// The gradient at the point of the last [`Self::value`], into `slopes`.
    pub fn gradient(&self, smoothing: &Smoothing, slopes: &mut Slopes) {
        let relative = self.form.error == Error::Multiplicative;
        let back = match (relative, self.form.has_trend(), self.form.season) {
            (false, false, SeasonForm::None) => Self::back::<false, false, 0>,
            (false, true, SeasonForm::None) => Self::back::<false, true, 0>,
            (false, false, SeasonForm::Additive) => Self::back::<false, false, 1>,
            (false, true, SeasonForm::Additive) => Self::back::<false, true, 1>,
            (false, false, SeasonForm::Multiplicative) => Self::back::<false, false, 2>,
            (false, true, SeasonForm::Multiplicative) => Self::back::<false, true, 2>,
            (true, false, SeasonForm::None) => Self::back::<true, false, 0>,
            (true, true, SeasonForm::None) => Self::back::<true, true, 0>,
            (true, false, SeasonForm::Additive) => Self::back::<true, false, 1>,
            (true, true, SeasonForm::Additive) => Self::back::<true, true, 1>,
            (true, false, SeasonForm::Multiplicative) => Self::back::<true, false, 2>,
            (true, true, SeasonForm::Multiplicative) => Self::back::<true, true, 2>,
        };
        back(self, smoothing, slopes);
    }

    /// The walk back. As forwards, from one step to the one before lie one product and two sums.
    fn back<const RELATIVE: bool, const TREND: bool, const SEASON: u8>(
        &self,
        smoothing: &Smoothing,
        slopes: &mut Slopes,
    ) {
        let Smoothing {
            alpha, beta, phi, ..
        } = *smoothing;
        let n = self.values.len();
        let (values, damped) = (&self.values[..n], &self.slopes[..n]);
        let weight = 2.0 * self.seen / guarded(self.squares);
        let cycle = slopes.season.as_mut_slice();
        cycle.fill(0.0);
        let mut at = if SEASON > 0 { n % cycle.len() } else { 0 };
        let mut by = Smoothing::default();
        // Adjoints of level and slope after the step.
        let (mut level, mut trend) = (0.0, 0.0);
        for t in (0..n).rev() {
            if SEASON > 0 {
                at = if at == 0 { cycle.len() - 1 } else { at - 1 };
            }
            let (mut keep, mut pull, mut rest) = (1.0, 0.0, 0.0);
            if !values[t].is_nan() {
                let direct = self.direct::<RELATIVE, SEASON>(t, weight);
                let own = if SEASON > 0 { cycle[at] } else { 0.0 };
                let step = self.step_back::<SEASON>(t, smoothing, (level, trend, own), direct);
                by.alpha += level * step.error;
                by.beta += trend * step.error;
                by.gamma += own * step.season_error;
                (keep, pull, rest) = (1.0 - alpha, beta, step.rest);
                if SEASON > 0 {
                    cycle[at] = step.season;
                }
            }
            if TREND {
                let by_base = keep * level + (rest - pull * trend);
                let next = phi * (keep * level) + (phi * (1.0 - pull) * trend + phi * rest);
                by.phi += damped[t] * (trend + by_base);
                (level, trend) = (by_base, next);
            } else {
                level = keep * level + rest;
            }
        }
        // The slope was kept with the damping in it.
        by.phi /= phi;
        (slopes.smoothing, slopes.level, slopes.trend) = (by, level, trend);
    }

    /// The derivative of the likelihood by the forecast of a step, as it enters the residual alone.
    #[inline(always)]
    fn direct<const RELATIVE: bool, const SEASON: u8>(&self, t: usize, weight: f64) -> f64 {
        let error = self.residuals[t];
        if !RELATIVE {
            return -weight * error;
        }
        let one = match SEASON {
            0 => 1.0 / self.bases[t],
            1 => 1.0 / (self.bases[t] + self.seasons[t]),
            _ => self.by_bases[t] * self.by_seasons[t],
        };
        let relative = error * one;
        (2.0 - weight * relative * (1.0 + relative)) * one
    }

    /// What a step's base and season get, from the adjoints of level, slope and season after it.
    #[inline(always)]
    fn step_back<const SEASON: u8>(
        &self,
        t: usize,
        smoothing: &Smoothing,
        (level, trend, own): (f64, f64, f64),
        direct: f64,
    ) -> StepBack {
        let error = self.residuals[t];
        let upward = smoothing.alpha * level + smoothing.beta * trend;
        if SEASON < 2 {
            let rest = direct - smoothing.gamma * own;
            return StepBack {
                error,
                season_error: error,
                rest,
                season: own + rest - upward,
            };
        }
        let (by_season, by_base) = (self.by_seasons[t], self.by_bases[t]);
        let (base, season) = (self.bases[t], self.seasons[t]);
        let back = smoothing.gamma * own * by_base;
        StepBack {
            error: error * by_season,
            season_error: error * by_base,
            rest: (direct - back) * season - back * error * by_base,
            season: own + (direct - back) * base - upward * by_season * (error * by_season + base),
        }
    }
}

/// What one step of the walk back gives.
struct StepBack {
    /// The residual as level and slope see it, and as the season does.
    error: f64,
    season_error: f64,
    /// What the base gets, apart from the level's and the slope's own shares.
    rest: f64,
    /// The adjoint of the season before the step.
    season: f64,
}

/// A sum of squares that has a logarithm.
fn guarded(squares: f64) -> f64 {
    larger(squares, 1e-300)
}

/// Sum of squares in four lanes, so that one sum does not wait for the other.
fn sum_of_squares(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = values.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::ets::form::forms;

    /// The gradient agrees with differences of the value, gaps and all.
    #[test]
    fn the_gradient_is_that_of_the_value() {
        let wave = |i: usize| (i as f64 * std::f64::consts::TAU / 6.0).sin();
        let noise = |i: usize| ((i * 7919) % 101) as f64 / 101.0 - 0.5;
        let mut values: Vec<f64> = (0..61)
            .map(|i| 2.0 + 0.01 * i as f64 + 0.4 * wave(i) + 0.3 * noise(i))
            .collect();
        for gap in [5, 6, 30, 60] {
            values[gap] = f64::NAN;
        }
        let mut all = forms("auto", "auto");
        all.push(Form {
            error: Error::Additive,
            ..all[14]
        });
        for form in all {
            check(&values, form);
        }
    }

    fn parameters(form: Form) -> Vec<f64> {
        let mut p = vec![0.3, 0.1, 0.2, 0.9, 1.9, 0.02];
        match form.season {
            SeasonForm::None => {}
            SeasonForm::Additive => p.extend([0.1, 0.3, 0.2, -0.2, -0.3, 0.05]),
            SeasonForm::Multiplicative => p.extend([1.1, 1.2, 1.15, 0.9, 0.8, 1.05]),
        }
        if !form.has_trend() {
            (p[1], p[3], p[5]) = (0.0, 1.0, 0.0);
        }
        p
    }

    fn value(likelihood: &mut Likelihood<'_>, p: &[f64]) -> (f64, Smoothing) {
        let [alpha, beta, gamma, phi] = [p[0], p[1], p[2], p[3]];
        let smoothing = Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        };
        let mut state = State {
            level: p[4],
            trend: p[5],
            season: p[6..].to_vec(),
            at: 0,
        };
        (likelihood.value(&smoothing, &mut state), smoothing)
    }

    fn check(values: &[f64], form: Form) {
        let mut likelihood = Likelihood::new(values, form);
        let p = parameters(form);
        let (_, smoothing) = value(&mut likelihood, &p);
        let mut slopes = Slopes {
            season: vec![0.0; p.len() - 6],
            ..Slopes::default()
        };
        likelihood.gradient(&smoothing, &mut slopes);
        let by = slopes.smoothing;
        let mut found = vec![
            by.alpha,
            by.beta,
            by.gamma,
            by.phi,
            slopes.level,
            slopes.trend,
        ];
        found.extend(&slopes.season);
        for place in 0..p.len() {
            let unused = (!form.has_trend() && [1, 3, 5].contains(&place))
                || (!form.has_season() && place == 2);
            if unused {
                continue;
            }
            let at = |step: f64, likelihood: &mut Likelihood<'_>| {
                let mut moved = p.clone();
                moved[place] += step;
                value(likelihood, &moved).0
            };
            let step = 1e-6;
            let slope = (at(step, &mut likelihood) - at(-step, &mut likelihood)) / (2.0 * step);
            let wrong = (slope - found[place]).abs() / (1.0 + slope.abs());
            assert!(wrong < 1e-6, "{form} {place}: {slope} {}", found[place]);
        }
    }
}
