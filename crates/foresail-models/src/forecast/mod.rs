//! Forecasts of demand: one trait for what is not fitted yet, one for what is.
//!
//! A forecaster is one file here and one line in [`crate::registry::FORECASTERS`]. [`Fit::fit`]
//! turns a [`Series`] into a [`Forecaster`]; [`Forecaster::update`] takes in the steps that follow,
//! without a refit. Quantiles are sorted and never below zero. The files `linear_trend`,
//! `seasonal_naive` and `track` serve the proposer `predictive-hpa` alone.

pub mod auto;
pub mod backtest;
pub mod boosted;
pub mod calibrate;
pub mod change;
pub mod conformal;
pub mod croston;
pub mod decompose;
pub mod ensemble;
pub mod ets;
pub mod fourier;
pub mod holt_winters;
pub mod hybrid;
pub mod linear_trend;
pub mod lstm;
pub mod mstl;
pub mod naive;
pub mod pool_net;
pub mod prophet;
pub mod quantile;
pub mod reach;
pub mod saved;
pub mod score;
pub mod season;
pub mod seasonal_naive;
pub mod stl;
pub mod theta;
pub mod track;
pub mod tracked;
pub mod trust;

use foresail_core::observe::VALUE_MAX;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::larger;

use crate::rng::Seed;

/// Steps ahead that a forecast may be asked for; a week of minutes.
pub const HORIZON_MAX: usize = 10_080;

/// Points that a fit takes in; older ones are left out. 60 days of minutes.
pub const POINTS_MAX: usize = 86_400;

/// The levels of a forecast that is shown: a 95 %, an 80 % and a 50 % band, and the median.
pub const LEVELS: [f64; 7] = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975];

/// Why no model could be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Nothing was ever measured.
    #[error("the series has no value at all; give one with measured points")]
    Empty,
    /// Not enough points.
    #[error("{needed} points are needed, {found} are there; give a longer history")]
    TooShort {
        /// Points without which there is no fit.
        needed: usize,
        /// Points that are there, gaps not counted.
        found: usize,
    },
    /// A part of the history that is fitted to by itself has no value.
    #[error(
        "the first {steps} steps, which are learnt from alone, have no value; begin the series where it has some"
    )]
    EmptyPart {
        /// Steps of that part.
        steps: usize,
    },
    /// A setting that no model has.
    #[error("{what}: {must}")]
    Setting {
        /// Which one, and its value.
        what: String,
        /// What it must be.
        must: String,
    },
    /// A value that no measurement has, and whose square a fit could not hold.
    #[error(
        "step {step} has the value {value:e}; give values between -{VALUE_MAX:e} and {VALUE_MAX:e}, in a larger unit"
    )]
    TooLarge {
        /// Its step, counted from 1.
        step: usize,
        /// What stands there.
        value: f64,
    },
    /// The numbers ran out of range.
    #[error("the fit of {model} did not end in finite numbers; try another forecaster")]
    NotFinite {
        /// Whose fit.
        model: &'static str,
    },
}

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// No step, or more than can be told.
    #[error("horizon {steps}: must be 1 to {HORIZON_MAX} steps")]
    Horizon {
        /// What was asked for.
        steps: usize,
    },
    /// A level outside (0, 1), or levels that do not rise.
    #[error("levels must rise within (0, 1)")]
    Levels,
}

/// Quantiles of demand for each step ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    levels: Vec<f64>,
    /// Step by step, level by level.
    values: Vec<f64>,
}

impl Forecast {
    /// Quantiles as they were computed: what is not finite or below zero becomes zero, and the
    /// quantiles of a step are sorted.
    ///
    /// Shapes: `values` is steps × levels, the levels of a step together. Units: those of demand.
    #[must_use]
    pub fn new(levels: &[f64], mut values: Vec<f64>) -> Self {
        debug_assert!(!levels.is_empty() && values.len().is_multiple_of(levels.len()));
        for value in &mut values {
            *value = larger(*value, 0.0);
        }
        for step in values.chunks_mut(levels.len()) {
            step.sort_by(f64::total_cmp);
        }
        Self {
            levels: levels.to_vec(),
            values,
        }
    }

    /// The levels, rising.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// Number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.values.len() / self.levels.len()
    }

    /// The quantiles of step `ahead`, which counts from 1; `None` past the horizon.
    #[must_use]
    pub fn at(&self, ahead: usize) -> Option<&[f64]> {
        let first = ahead.checked_sub(1)? * self.levels.len();
        self.values.get(first..first + self.levels.len())
    }

    /// The quantile of step `ahead` at any level: between levels linearly, beyond them the outermost.
    ///
    /// `None` past the horizon. Units: those of demand.
    #[must_use]
    pub fn quantile(&self, ahead: usize, level: f64) -> Option<f64> {
        let step = self.at(ahead)?;
        let above = self.levels.partition_point(|l| *l < level);
        if above == 0 || above == self.levels.len() {
            return Some(step[above.min(self.levels.len() - 1)]);
        }
        let (low, high) = (self.levels[above - 1], self.levels[above]);
        let share = (level - low) / (high - low);
        Some(step[above - 1] + share * (step[above] - step[above - 1]))
    }

    /// The median of step `ahead`; `None` past the horizon.
    #[must_use]
    pub fn median(&self, ahead: usize) -> Option<f64> {
        self.quantile(ahead, 0.5)
    }
}

/// Futures drawn at random, each as likely as any other.
///
/// Shapes: paths × steps. Units: those of demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Paths {
    /// Steps of each path.
    pub steps: usize,
    /// Path by path.
    pub values: Vec<f64>,
}

/// One part of a forecast: trend, season, event and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name, such as `trend` or `season of 1440 steps`.
    pub name: String,
    /// Its share of each step ahead. Units: those of demand, or a factor where `factor` is set.
    pub values: Vec<f64>,
    /// `true` where it multiplies instead of adding.
    pub factor: bool,
}

/// A forecaster that knows its settings but has seen nothing.
///
/// Pure: the same series and seed give the same forecaster, bit for bit.
pub trait Fit: Send + Sync + std::fmt::Debug {
    /// Fits to the history; the last [`POINTS_MAX`] points count.
    ///
    /// # Errors
    /// [`FitError`] where there is too little, a setting is wrong or the numbers run out of range.
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError>;
}

/// A fitted forecaster.
pub trait Forecaster: Send + Sync + std::fmt::Debug {
    /// Takes in the step after the last one that is known; `None` is a gap.
    fn update(&mut self, value: Option<f64>);

    /// Quantiles of the `horizon` steps after the last one that is known.
    ///
    /// # Errors
    /// [`ForecastError`] where the horizon is 0 or too far, or the levels do not rise in (0, 1).
    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError>;

    /// Futures drawn at random; `None` where the model has none.
    fn paths(&self, _horizon: usize, _count: usize, _seed: Seed) -> Option<Paths> {
        None
    }

    /// What the median of the next steps is made of; empty where the model has no parts.
    fn components(&self, _horizon: usize) -> Vec<Component> {
        Vec::new()
    }

    /// What was fitted, in a line: the form that was chosen and its parameters.
    fn summary(&self) -> String;

    /// The state as bytes, for [`saved::write`]; `restore` of the registry's entry reads them.
    fn save(&self) -> Vec<u8>;
}

/// Checks what a forecast is asked for; every forecaster calls it first.
///
/// # Errors
/// [`ForecastError`] where the horizon is 0 or too far, or the levels do not rise in (0, 1).
pub fn check_request(horizon: usize, levels: &[f64]) -> Result<(), ForecastError> {
    if horizon == 0 || horizon > HORIZON_MAX {
        return Err(ForecastError::Horizon { steps: horizon });
    }
    let inside = levels.iter().all(|l| *l > 0.0 && *l < 1.0);
    let rise = levels.windows(2).all(|pair| pair[0] < pair[1]);
    if levels.is_empty() || !inside || !rise {
        return Err(ForecastError::Levels);
    }
    Ok(())
}

/// Checks that every value is one that a measurement may have; every fit calls it first.
///
/// # Errors
/// [`FitError::TooLarge`] where one is further from zero than [`VALUE_MAX`].
pub fn check_values(history: &Series) -> Result<(), FitError> {
    let beyond = |(_, v): &(usize, f64)| v.abs() > VALUE_MAX;
    let values = history.iter().enumerate();
    let mut there = values.filter_map(|(i, v)| Some((i + 1, v?)));
    match there.find(beyond) {
        Some((step, value)) => Err(FitError::TooLarge { step, value }),
        None => Ok(()),
    }
}

/// The values of a series with gaps filled by the value before, those at the start left out.
///
/// Only the last [`POINTS_MAX`] steps count. Units: those of the series.
///
/// # Errors
/// [`FitError::Empty`] without any value, [`FitError::TooShort`] with fewer than `needed`,
/// [`FitError::TooLarge`] with one that is out of range.
pub fn held_values(history: &Series, needed: usize) -> Result<Vec<f64>, FitError> {
    check_values(history)?;
    let skipped = history.len().saturating_sub(POINTS_MAX);
    let mut values = Vec::with_capacity(history.len() - skipped);
    let mut found = 0;
    for value in history.iter().skip(skipped) {
        found += usize::from(value.is_some());
        if let Some(value) = value.or_else(|| values.last().copied()) {
            values.push(value);
        }
    }
    match found {
        0 => Err(FitError::Empty),
        _ if found < needed => Err(FitError::TooShort { needed, found }),
        _ => Ok(values),
    }
}
