//! `auto`, the default: simple experts, weighed for each horizon and each level by their recent loss.
//!
//! Every expert says a point: the last value, means of several memories, a damped trend, each season
//! in four ways, and a regression on all of these. Its own errors of late at that horizon make
//! quantiles of the point. Windows of the last values are experts too. A quantile is the mean of the
//! experts' quantiles, the better by their pinball loss of late the heavier; all losses are of
//! forecasts made before the truth was known. Nothing is fitted in the usual sense: a history is
//! replayed, and a further value costs microseconds.
//! Sources: Berrisch & Ziel 2021, CRPS learning (weights per level); Gibbs & Candès 2021, adaptive
//! conformal inference (widening); Vovk 1990, aggregating strategies.

mod anchor;
mod past;
mod record;
mod regression;

use foresail_core::quantity::series::Series;
use serde::{Deserialize, Serialize};

use self::anchor::Anchor;
use self::past::{Past, WINDOWS};
use super::naive::SEASON_KNOB;
use super::tracked::{MEDIAN, Quantiles, at_level, horizons};
use super::{Fit, FitError, Forecast, ForecastError, Forecaster, check_request, season};
use crate::registry::{ForecasterEntry, Restored};
use crate::rng::Seed;

/// Points of a history that are replayed: two weeks of minutes.
const HISTORY_MAX: usize = 14 * 1440;

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "auto",
    summary: "experts weighed online by their recent loss at each horizon and level; the default",
    suits: "any series of demand: it finds seasons itself and follows what works of late",
    knobs: &[SEASON_KNOB],
    build: |knobs| {
        Ok(Box::new(Auto {
            season: knobs.number("seasonSteps") as usize,
        }))
    },
    restore,
};

/// The default forecaster, not fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auto {
    /// Length of the season in steps; 0 = found.
    pub season: usize,
}

impl Fit for Auto {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let held = super::held_values(history, 1)?;
        let held = &held[held.len().saturating_sub(HISTORY_MAX)..];
        season::check_given(self.season, held.len())?;
        let seasons: Vec<usize> = match self.season {
            0 => {
                let found = season::detect_in(held, history.step());
                found.into_iter().map(|s| s.steps).collect()
            }
            steps => vec![steps],
        };
        let mut fitted = Aggregate::new(&seasons, held);
        let skipped = history.len().saturating_sub(held.len());
        for value in history.iter().skip(skipped) {
            fitted.update(value);
        }
        Ok(Box::new(fitted))
    }
}

/// The default forecaster at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Aggregate {
    past: Past,
    anchors: Vec<Anchor>,
}

impl Aggregate {
    fn new(seasons: &[usize], history: &[f64]) -> Self {
        let past = Past::new(seasons);
        let anchor = |ahead: usize| Anchor::new(ahead, &past);
        let anchors = horizons(history.len()).map(anchor).collect();
        Self { past, anchors }
    }

    /// Quantiles of one step ahead, by the tracked horizons around it.
    fn quantiles(&self, windows: &[Quantiles; WINDOWS.len()], ahead: usize) -> Quantiles {
        let (mut points, features) = self.past.spoken(ahead);
        let usable = |a: &&Anchor| a.ahead == 1 || a.is_known();
        let mut below = &self.anchors[0];
        for anchor in self.anchors.iter().filter(usable) {
            if anchor.ahead >= ahead {
                let (low, high) = (below.ahead, anchor.ahead);
                let upper = anchor.quantiles(&self.past, windows, (&mut points, &features));
                if low >= ahead || high == ahead {
                    return upper;
                }
                let lower = below.quantiles(&self.past, windows, (&mut points, &features));
                let share = (ahead - low) as f64 / (high - low) as f64;
                return std::array::from_fn(|i| lower[i] + share * (upper[i] - lower[i]));
            }
            below = anchor;
        }
        // Past the last one: its errors, wider as those of a random walk.
        let far = below.quantiles(&self.past, windows, (&mut points, &features));
        let wider = (ahead as f64 / below.ahead as f64).sqrt();
        std::array::from_fn(|i| far[MEDIAN] + wider * (far[i] - far[MEDIAN]))
    }
}

impl Forecaster for Aggregate {
    fn update(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        if self.past.is_empty() && value.is_none() {
            return;
        }
        for anchor in &mut self.anchors {
            anchor.settle(self.past.next(), value);
        }
        self.past.push(value);
        let windows = self.past.windows();
        for anchor in &mut self.anchors {
            anchor.say(&self.past, &windows);
        }
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let windows = self.past.windows();
        let mut values = Vec::with_capacity(horizon * levels.len());
        for ahead in 1..=horizon {
            let quantiles = self.quantiles(&windows, ahead);
            values.extend(levels.iter().map(|l| at_level(&quantiles, *l)));
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        let seasons = match self.past.seasons() {
            seasons if seasons.is_empty() => "no season".to_owned(),
            seasons => {
                let lengths: Vec<String> = seasons.iter().map(ToString::to_string).collect();
                format!("seasons of {} steps", lengths.join(", "))
            }
        };
        let told = self
            .anchors
            .iter()
            .filter(|a| [1, 12, 60].contains(&a.ahead));
        let told: Vec<String> = told
            .map(|a| format!("{} ahead: {}", a.ahead, a.heaviest(&self.past)))
            .collect();
        format!("{seasons}; {}", told.join("; "))
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

fn restore(state: &[u8]) -> Restored {
    let read: Aggregate = postcard::from_bytes(state).map_err(|e| e.to_string())?;
    let whole = read.past.is_sound() && !read.anchors.is_empty() && read.anchors[0].ahead == 1;
    if !whole || !read.anchors.iter().all(|a| a.is_sound(&read.past)) {
        return Err("its parts do not fit together".to_owned());
    }
    Ok(Box::new(read))
}
