//! Prophet behind the traits of every forecaster: a series in, quantiles of the next steps out.
//!
//! A gap is left out of the fit and no more, as Prophet does. [`Forecaster::update`] moves the end
//! of the window on and changes no parameter: the level is not corrected by what came since the
//! fit, and the band widens with the distance from the fit's end, until the model is fitted again.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::band::Place;
use super::model::{Model, Rows};
use super::seasonality::{Mode, Season};
use super::trend::Growth;
use super::{Prophet, knobs};
use crate::forecast::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, POINTS_MAX, Paths,
    check_request, check_values, held_values, season,
};
use crate::rng::{Seed, child};

/// Fourier pairs of a season that was found.
const FOUND_ORDER: usize = 4;

/// A fitted Prophet and where its series stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FittedProphet {
    model: Model,
    /// Begin of the first step that was not seen.
    next: Timestamp,
    /// Length of a step in nanoseconds.
    step: i64,
    seed: u64,
}

/// Takes back what [`Forecaster::save`] gave.
pub(super) fn restore(state: &[u8]) -> crate::registry::Restored {
    let fitted: FittedProphet = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    knobs::check_model(&fitted.model)?;
    if fitted.step <= 0 || fitted.next <= fitted.model.last {
        return Err("its step or its end is no time after the history".to_owned());
    }
    Ok(Box::new(fitted))
}

impl Fit for Prophet {
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        check_values(history)?;
        let skipped = history.len().saturating_sub(POINTS_MAX);
        let times: Vec<Timestamp> = (skipped..history.len())
            .map(|i| history.time_of(i))
            .collect();
        let y: Vec<f64> = history
            .iter()
            .skip(skipped)
            .map(|v| v.unwrap_or(f64::NAN))
            .collect();
        let mut settings = self.clone();
        if self.find_seasons {
            settings.seasons.extend(self.found(history)?);
        }
        let rows = Rows {
            times: &times,
            ..Rows::default()
        };
        let model = settings.fit_rows(&rows, &y)?;
        Ok(Box::new(FittedProphet {
            next: history.time_of(history.len()),
            step: history.step().nanos(),
            seed: seed.0,
            model,
        }))
    }
}

impl Prophet {
    /// Seasons that the series shows beside those of the calendar.
    fn found(&self, history: &Series) -> Result<Vec<Season>, FitError> {
        let step = history.step().seconds() / 86_400.0;
        let calendar = |days: f64| {
            let near = |own: f64| (days / own - 1.0).abs() < 0.05;
            near(1.0) || near(7.0) || near(365.25)
        };
        let found = season::detect(&held_values(history, 2)?);
        let days = found.iter().map(|s| (s.steps, s.steps as f64 * step));
        let own = days
            .filter(|(_, days)| !calendar(*days))
            .map(|(steps, days)| Season {
                name: format!("season of {steps} steps"),
                days,
                order: FOUND_ORDER.min(steps / 2),
                scale: self.season_scale,
                mode: self.mode,
            });
        Ok(own.collect())
    }
}

impl FittedProphet {
    fn times(&self, horizon: usize) -> Vec<Timestamp> {
        let span = |i: usize| {
            let steps = i64::try_from(i).unwrap_or(i64::MAX);
            Span::from_nanos(self.step.saturating_mul(steps))
        };
        (0..horizon).map(|i| self.next + span(i)).collect()
    }

    /// Where the next steps lie after the history.
    fn place(&self) -> Place {
        let model = &self.model;
        let passed = (self.next - model.last).nanos() / self.step;
        Place {
            since: usize::try_from(passed - 1).unwrap_or(0),
            spacing: model.scaled_time(model.first + Span::from_nanos(self.step)),
        }
    }
}

impl Forecaster for FittedProphet {
    fn update(&mut self, _value: Option<f64>) {
        self.next = self.next + Span::from_nanos(self.step);
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let times = self.times(horizon);
        let rows = Rows {
            times: &times,
            ..Rows::default()
        };
        let values = self
            .model
            .band(&rows, self.place(), levels, Seed(self.seed));
        Ok(Forecast::new(levels, values))
    }

    fn paths(&self, horizon: usize, count: usize, seed: Seed) -> Option<Paths> {
        let times = self.times(horizon);
        let rows = Rows {
            times: &times,
            ..Rows::default()
        };
        let mut stream = child(seed, "prophet paths");
        let draws = self.model.draws(&rows, count, &mut stream);
        let mut values = vec![0.0; draws.len()];
        for (step, line) in draws.chunks_exact(count.max(1)).enumerate() {
            for (path, value) in line.iter().enumerate() {
                values[path * horizon + step] = *value;
            }
        }
        Some(Paths {
            steps: horizon,
            values,
        })
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let times = self.times(horizon);
        let rows = Rows {
            times: &times,
            ..Rows::default()
        };
        let trend = Component {
            name: "trend".to_owned(),
            values: self.model.predict(&rows).trend,
            factor: false,
        };
        let parts = self.model.parts(&rows).into_iter().map(|part| Component {
            name: part.name,
            factor: part.mode == Mode::Multiplicative,
            values: part.values,
        });
        std::iter::once(trend).chain(parts).collect()
    }

    fn summary(&self) -> String {
        let model = &self.model;
        let growth = match model.growth {
            Growth::Linear => "linear",
            Growth::Logistic => "logistic",
            Growth::Flat => "flat",
        };
        let bends = model.parameters.delta.iter().filter(|d| **d != 0.0).count();
        let parts = model.columns.parts();
        let names: Vec<&str> = parts.iter().map(|p| p.name).collect();
        let with = if names.is_empty() {
            "no part beside it".to_owned()
        } else {
            names.join(", ")
        };
        format!(
            "{growth} trend with {bends} of {} bends, {with}, noise {:.4}",
            model.bends.len(),
            model.parameters.sigma * model.scale
        )
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
