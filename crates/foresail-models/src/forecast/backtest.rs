//! Rolling origins: a forecaster is shown the past, and scored on what came after.
//!
//! The history of an origin ends before it; step 1 is the origin's own step. Nothing here reads a
//! clock: the caller hands one in where times are wanted.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use rayon::prelude::*;

use super::score::{LEVELS, Loss};
use super::{Fit, FitError, ForecastError, Forecaster, POINTS_MAX};
use crate::rng::Seed;

/// How much history an origin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// All that came before.
    Expanding,
    /// So many of the last steps.
    Sliding(usize),
}

/// How a backtest is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// History of an origin.
    pub window: Window,
    /// Steps ahead that are scored, rising.
    pub ahead: Vec<usize>,
    /// Fit anew at every so many origins; between them the forecaster is updated step by step.
    pub refit_every: usize,
    /// The only source of chance.
    pub seed: Seed,
}

/// One series to be forecast.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// Its values.
    pub series: Series,
    /// First steps that are forecast, rising; what came before is the history.
    pub origins: Vec<usize>,
    /// The unit of its losses.
    pub unit: f64,
}

/// One forecast step beside the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The origin.
    pub origin: usize,
    /// Steps ahead, from 1.
    pub ahead: usize,
    /// What came. Units: those of the series.
    pub actual: f64,
    /// Quantiles at [`LEVELS`]. Units: those of the series.
    pub quantiles: [f64; LEVELS.len()],
    /// What it was worth.
    pub loss: Loss,
}

/// What a backtest of one series gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backtest {
    /// Every scored step; where the truth is a gap there is none.
    pub scored: Vec<Scored>,
    /// Fits and the time they took.
    pub fits: (usize, Span),
    /// Forecasts and the time they took.
    pub forecasts: (usize, Span),
}

/// Why a backtest ended.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BacktestError {
    /// A fit failed.
    #[error("{id}, at step {origin}: {source}")]
    Fit {
        /// Which series.
        id: String,
        /// The origin.
        origin: usize,
        /// Why.
        source: FitError,
    },
    /// A forecast failed.
    #[error("{id}, at step {origin}: {source}")]
    Forecast {
        /// Which series.
        id: String,
        /// The origin.
        origin: usize,
        /// Why.
        source: ForecastError,
    },
}

/// The part of a series before `end`, as much of it as the window takes.
#[must_use]
pub fn history(series: &Series, end: usize, window: Window) -> Series {
    let most = match window {
        Window::Expanding => POINTS_MAX,
        Window::Sliding(steps) => steps,
    };
    let first = end.saturating_sub(most);
    let values = (first..end).map(|i| series.get(i).unwrap_or(f64::NAN));
    Series::new(series.time_of(first), series.step(), values.collect())
}

/// Backtests one series; `clock` is time since any begin, and may stand still.
///
/// # Errors
/// [`BacktestError`] where a fit or a forecast fails.
pub fn run_case(
    fit: &dyn Fit,
    case: &Case,
    plan: &Plan,
    clock: &(dyn Fn() -> Span + Sync),
) -> Result<Backtest, BacktestError> {
    let mut result = Backtest::default();
    let Some(horizon) = plan.ahead.last().copied() else {
        return Ok(result);
    };
    let mut fitted: Option<(usize, Box<dyn Forecaster>)> = None;
    for (turn, origin) in case.origins.iter().copied().enumerate() {
        let fresh = turn.is_multiple_of(plan.refit_every.max(1));
        let kept = fitted.take().filter(|_| !fresh);
        let forecaster = match kept {
            Some((seen, mut forecaster)) => {
                (seen..origin).for_each(|i| forecaster.update(case.series.get(i)));
                forecaster
            }
            None => {
                let begun = clock();
                let made = fit.fit(&history(&case.series, origin, plan.window), plan.seed);
                result.fits = (result.fits.0 + 1, result.fits.1 + (clock() - begun));
                made.map_err(|source| BacktestError::Fit {
                    id: case.id.clone(),
                    origin,
                    source,
                })?
            }
        };
        let begun = clock();
        let forecast = forecaster.forecast(horizon, &LEVELS);
        result.forecasts = (
            result.forecasts.0 + 1,
            result.forecasts.1 + (clock() - begun),
        );
        let forecast = forecast.map_err(|source| BacktestError::Forecast {
            id: case.id.clone(),
            origin,
            source,
        })?;
        for ahead in plan.ahead.iter().copied() {
            let actual = case.series.get(origin + ahead - 1);
            if let Some((actual, step)) = actual.zip(forecast.at(ahead)) {
                let mut quantiles = [0.0; LEVELS.len()];
                quantiles.copy_from_slice(step);
                let loss = Loss::of(step, actual, case.unit);
                result.scored.push(Scored {
                    origin,
                    ahead,
                    actual,
                    quantiles,
                    loss,
                });
            }
        }
        fitted = Some((origin, forecaster));
    }
    Ok(result)
}

/// Backtests many series at once; results in the order of the cases.
///
/// # Errors
/// The first [`BacktestError`] in that order.
pub fn run(
    fit: &dyn Fit,
    cases: &[Case],
    plan: &Plan,
    clock: &(dyn Fn() -> Span + Sync),
    done: &(dyn Fn(&Case) + Sync),
) -> Result<Vec<Backtest>, BacktestError> {
    let results: Vec<_> = cases
        .par_iter()
        .map(|case| {
            let result = run_case(fit, case, plan, clock);
            done(case);
            result
        })
        .collect();
    results.into_iter().collect()
}
