//! MSTL: several seasons taken out by STL, one after the other; what is left forecast by ETS
//! without season, the seasons by their last cycle.
//!
//! Gaps are held. An update moves the ETS on by the value without its seasons, which repeat.
//! Source: Bandara, Hyndman & Bergmeir, MSTL (2021); settings of statsforecast's `MSTL`.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::ets::form::forms;
use super::ets::{Ets, FittedEts};
use super::naive::SEASON_KNOB;
use super::quantile::normal_quantile;
use super::reach::Reach;
use super::stl::Stl;
use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, Paths, check_request,
    held_values, season,
};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry, Restored};
use crate::rng::Seed;

/// Points that a fit takes in: two weeks of minutes, so that a week of minutes is seen twice.
const FIT_POINTS: usize = 20_160;

/// Points without which there is no fit, as ETS has it.
const POINTS_MIN: usize = 5;

/// Rounds over all seasons where there are several.
const ROUNDS: usize = 2;

/// Longest season, in steps.
const SEASON_MAX: f64 = 20_160.0;

const SEASONS_KNOB: Knob = Knob {
    name: "seasons",
    kind: Kind::List,
    doc: "lengths of the seasons in steps, such as [1440, 10080]; empty = seasonSteps, or found",
};

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "mstl",
    summary: "several seasons taken out by local smoothing, the rest forecast by ETS",
    suits: "two or three seasons, such as a day and a week, or one long one",
    knobs: &[SEASON_KNOB, SEASONS_KNOB],
    build,
    restore,
};

fn build(knobs: &Knobs) -> FitBuilt {
    let mut seasons = Vec::new();
    for value in knobs.list("seasons") {
        let steps = value
            .as_f64()
            .filter(|s| (2.0..=SEASON_MAX).contains(s) && s.fract() == 0.0);
        let steps = steps.ok_or_else(|| {
            format!("seasons: {value}: each must be a whole number from 2 to {SEASON_MAX}")
        })?;
        seasons.push(steps as usize);
    }
    let one = knobs.number("seasonSteps") as usize;
    if seasons.is_empty() && one > 0 {
        seasons.push(one);
    }
    Ok(Box::new(Mstl { seasons }))
}

fn restore(state: &[u8]) -> Restored {
    let fitted: FittedMstl = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    let sound = |c: &Cycle| {
        c.at < c.values.len() && c.values.iter().all(|v| v.is_finite()) && c.values.len() > 1
    };
    if !(fitted.cycles.iter().all(sound) && fitted.reach.is_sound()) {
        return Err("its seasons are not finite or out of step".to_owned());
    }
    fitted.rest.check()?;
    Ok(Box::new(fitted))
}

/// MSTL, not fitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mstl {
    /// Lengths of the seasons in steps; empty = found.
    pub seasons: Vec<usize>,
}

impl Mstl {
    /// The seasons to take out, shortest first, each seen twice.
    fn seasons_of(&self, values: &[f64], step: Span) -> Vec<usize> {
        let mut seasons = if self.seasons.is_empty() {
            season::detect_in(values, step)
                .iter()
                .map(|s| s.steps)
                .collect()
        } else {
            self.seasons.clone()
        };
        seasons.retain(|steps| *steps > 1 && values.len() >= 2 * steps);
        seasons.sort_unstable();
        seasons.dedup();
        seasons
    }

    /// Fits to a history, as the type itself.
    ///
    /// # Errors
    /// [`FitError`] with too few points, or fewer than a season that was asked for has.
    pub fn fit_whole(&self, history: &Series) -> Result<FittedMstl, FitError> {
        let held = held_values(history, POINTS_MIN)?;
        let values = &held[held.len().saturating_sub(FIT_POINTS)..];
        let reach = Reach::of(values).ok_or(FitError::Empty)?;
        for steps in &self.seasons {
            season::check_given(*steps, values.len())?;
        }
        let (parts, rest) = decompose(values, &self.seasons_of(values, history.step()));
        let ets = Ets {
            forms: forms("ZZN", "auto"),
            ..Ets::default()
        };
        let last = |part: Part| Cycle {
            values: part.values[values.len() - part.steps..].to_vec(),
            at: 0,
        };
        Ok(FittedMstl {
            rest: ets.fit_values(&rest, &rest, None)?,
            cycles: parts.into_iter().map(last).collect(),
            reach,
        })
    }
}

/// One season of a decomposition.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its length in steps.
    pub steps: usize,
    /// Its share of each value.
    pub values: Vec<f64>,
}

/// The seasons of `values`, and the values without them.
///
/// Shapes: every part and the rest have as many values as the series. Seasons that are not seen
/// twice are left out.
#[must_use]
pub fn decompose(values: &[f64], seasons: &[usize]) -> (Vec<Part>, Vec<f64>) {
    let mut rest = values.to_vec();
    let mut parts = Vec::new();
    let mut smoothers = Vec::new();
    for (i, steps) in seasons.iter().enumerate() {
        // 11, 15, 19, …: the windows of R's `forecast::mstl`.
        if let Some(stl) = Stl::new(values.len(), *steps, 7 + 4 * (i + 1)) {
            smoothers.push(stl);
            parts.push(Part {
                steps: *steps,
                values: vec![0.0; values.len()],
            });
        }
    }
    let rounds = if parts.len() > 1 { ROUNDS } else { 1 };
    for _ in 0..rounds {
        for (part, stl) in parts.iter_mut().zip(&smoothers) {
            for (rest, own) in rest.iter_mut().zip(&part.values) {
                *rest += own;
            }
            part.values = stl.run(&rest).0;
            for (rest, own) in rest.iter_mut().zip(&part.values) {
                *rest -= own;
            }
        }
    }
    (parts, rest)
}

impl Fit for Mstl {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        Ok(Box::new(self.fit_whole(history)?))
    }
}

/// The last cycle of a season, and where in it the next step stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cycle {
    values: Vec<f64>,
    at: usize,
}

impl Cycle {
    fn value(&self, ahead: usize) -> f64 {
        self.values[(self.at + ahead - 1) % self.values.len()]
    }
}

/// MSTL, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FittedMstl {
    rest: FittedEts,
    cycles: Vec<Cycle>,
    reach: Reach,
}

impl FittedMstl {
    /// The forecasts of the next steps and their standard deviations, neither limited.
    ///
    /// Units: those of the series.
    #[must_use]
    pub fn moments(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut points, spread) = self.rest.moments(horizon);
        for (i, point) in points.iter_mut().enumerate() {
            *point += self.season(i + 1);
        }
        (points, spread)
    }

    /// What was fitted to the series without its seasons.
    #[must_use]
    pub fn rest(&self) -> &FittedEts {
        &self.rest
    }

    fn season(&self, ahead: usize) -> f64 {
        self.cycles.iter().map(|c| c.value(ahead)).sum()
    }
}

impl Forecaster for FittedMstl {
    fn update(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        if let Some(value) = value {
            self.reach.widen(value);
        }
        let season = self.season(1);
        self.rest.advance(value.map(|v| v - season));
        for cycle in &mut self.cycles {
            cycle.at = (cycle.at + 1) % cycle.values.len();
        }
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let (points, spread) = self.moments(horizon);
        let normal: Vec<f64> = levels.iter().map(|l| normal_quantile(*l)).collect();
        let mut values = Vec::with_capacity(horizon * levels.len());
        for (point, spread) in points.iter().zip(&spread) {
            values.extend(normal.iter().map(|z| self.reach.limit(point + z * spread)));
        }
        Ok(Forecast::new(levels, values))
    }

    fn paths(&self, horizon: usize, count: usize, seed: Seed) -> Option<Paths> {
        let mut paths = self.rest.raw_paths(horizon, count, seed);
        for (i, value) in paths.values.iter_mut().enumerate() {
            let moved = *value + self.season(i % horizon + 1);
            *value = larger(self.reach.limit(moved), 0.0);
        }
        Some(paths)
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let mut parts = self.rest.components(horizon);
        let steps = parts.first().map_or(0, |p| p.values.len());
        for cycle in &self.cycles {
            parts.push(Component {
                name: format!("season of {} steps", cycle.values.len()),
                values: (1..=steps).map(|a| cycle.value(a)).collect(),
                factor: false,
            });
        }
        parts
    }

    fn summary(&self) -> String {
        let lengths: Vec<String> = self
            .cycles
            .iter()
            .map(|c| c.values.len().to_string())
            .collect();
        let seasons = if lengths.is_empty() {
            "no season".to_owned()
        } else {
            format!("seasons of {} steps", lengths.join(", "))
        };
        format!("{seasons}; the rest by {}", self.rest.summary())
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
