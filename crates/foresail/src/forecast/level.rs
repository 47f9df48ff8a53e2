//! Changes of level in a history, by the errors of the default forecaster.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Result, anyhow};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Timestamp;
use foresail_models::forecast::backtest::{Window, history};
use foresail_models::forecast::change::{Detector, LEAD};
use foresail_models::registry::{DEFAULT_FORECASTER, forecaster};
use foresail_models::rng::Seed;

/// Steps at the end of a history that are looked at: two days of minutes.
const STEPS_MAX: usize = 2880;

/// Steps before them that the forecaster begins with, at least.
const BEFORE_MIN: usize = 64;

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// When it began.
    pub began: Timestamp,
    /// When it was sure.
    pub told: Timestamp,
    /// The level since then over the level that was expected.
    pub factor: f64,
}

/// What was looked at, and what was found there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Steps at the end of the history that were looked at; 0 where it is too short.
    pub steps: usize,
    /// Changes, in the order of time.
    pub shifts: Vec<Shift>,
}

/// The changes of level at the end of a history.
///
/// # Errors
/// Where the default forecaster cannot be fitted or forecast.
pub fn of(series: &Series, seed: Seed) -> Result<Levels> {
    let steps = STEPS_MAX.min(series.len() / 2);
    let first = series.len() - steps;
    if first < BEFORE_MIN || steps <= LEAD {
        return Ok(Levels::default());
    }
    let fit = forecaster(DEFAULT_FORECASTER, &BTreeMap::new(), "forecaster")
        .map_err(|_| anyhow!("{DEFAULT_FORECASTER} has no defaults"))?;
    let mut model = fit.fit(&history(series, first, Window::Expanding), seed)?;
    let mut detector = Detector::default();
    let mut said: VecDeque<f64> = VecDeque::with_capacity(LEAD);
    let mut shifts = Vec::new();
    for i in first..series.len() {
        let forecast = model.forecast(LEAD, &[0.5])?;
        said.push_back(forecast.median(LEAD).unwrap_or(f64::NAN));
        let value = series.get(i);
        // The oldest was said of this step.
        let expected = (said.len() == LEAD).then(|| said.pop_front()).flatten();
        if let Some((expected, came)) = expected.zip(value)
            && let Some(change) = detector.observe(expected, came)
        {
            let ago = change.steps_ago as usize;
            shifts.push(Shift {
                began: series.time_of((i + 1).saturating_sub(ago)),
                told: series.time_of(i),
                factor: change.factor,
            });
        }
        model.update(value);
    }
    Ok(Levels { steps, shifts })
}
