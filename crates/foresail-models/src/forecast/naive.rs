//! The forecasters that every other one must beat: last value, drift, one season ago, last window.
//!
//! Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), 5.2 and 5.5;
//! windows of the deviations as in docs/forecasting.md, "The protocol".

use std::collections::VecDeque;

use foresail_core::quantity::series::Series;
use serde::{Deserialize, Serialize};

use super::quantile::{deviation, normal_quantile, of_sorted};
use super::{
    Fit, FitError, Forecast, ForecastError, Forecaster, check_request, held_values, season,
};
use crate::knobs::{Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry, Restored};
use crate::rng::Seed;

/// Points whose first differences give the deviation of `last`: a day of minutes.
const LAST_POINTS: usize = 1440;

/// Seasons that the deviation of the seasonal forecasters is taken from.
const SEASONS: usize = 7;

/// Steps whose mean is the level of `seasonal-naive-scaled`.
const LEVEL_STEPS: usize = 60;

/// Length of the season, for every forecaster that has one.
pub const SEASON_KNOB: Knob = Knob::number(
    "seasonSteps",
    [0.0, 0.0, 20_160.0],
    "length of the season in steps; 0 = found in the history",
);

const WINDOW_KNOB: Knob = Knob::number(
    "windowSteps",
    [60.0, 2.0, 20_160.0],
    "steps whose quantiles are the forecast",
);

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// What was last.
    Last,
    /// The line from the first value to the last.
    Drift,
    /// What was one season ago.
    Seasonal,
    /// What was one season ago, times how the level has moved since.
    SeasonalScaled,
    /// The quantiles of the last window.
    Window,
}

/// One of them, not fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Naive {
    /// Which one.
    pub rule: Rule,
    /// Length of the season in steps; 0 = found.
    pub season: usize,
    /// Steps of the window.
    pub window: usize,
}

const fn entry(
    name: &'static str,
    [summary, suits]: [&'static str; 2],
    knobs: &'static [Knob],
    build: fn(&Knobs) -> FitBuilt,
) -> ForecasterEntry {
    ForecasterEntry {
        name,
        summary,
        suits,
        knobs,
        build,
        restore,
    }
}

/// The registry's entry of the last value.
pub const LAST: ForecasterEntry = entry(
    "last",
    [
        "the last value, with a band that widens as a random walk's",
        "one step ahead; the baseline of every other forecaster",
    ],
    &[],
    |knobs| build(Rule::Last, knobs),
);

/// The registry's entry of the drift.
pub const DRIFT: ForecasterEntry = entry(
    "drift",
    [
        "the last value, moved on by the mean step from first to last",
        "steady growth without a season",
    ],
    &[],
    |knobs| build(Rule::Drift, knobs),
);

/// The registry's entry of one season ago.
pub const SEASONAL: ForecasterEntry = entry(
    "seasonal-naive",
    [
        "what was one season ago",
        "days or weeks that repeat in shape and level",
    ],
    &[SEASON_KNOB],
    |knobs| build(Rule::Seasonal, knobs),
);

/// The registry's entry of one season ago at today's level.
pub const SEASONAL_SCALED: ForecasterEntry = entry(
    "seasonal-naive-scaled",
    [
        "what was one season ago, times how the level of the last hour of steps has moved since",
        "days that repeat in shape while their level moves",
    ],
    &[SEASON_KNOB],
    |knobs| build(Rule::SeasonalScaled, knobs),
);

/// The registry's entry of the last window's quantiles.
pub const WINDOW: ForecasterEntry = entry(
    "moving-quantile",
    [
        "the quantiles of the last window",
        "noise around a level; far horizons without a season",
    ],
    &[WINDOW_KNOB],
    |knobs| build(Rule::Window, knobs),
);

fn build(rule: Rule, knobs: &Knobs) -> FitBuilt {
    Ok(Box::new(Naive {
        rule,
        season: knobs.number("seasonSteps") as usize,
        window: knobs.number("windowSteps") as usize,
    }))
}

fn restore(state: &[u8]) -> Restored {
    let fitted: FittedNaive = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    if fitted.values.is_empty() || fitted.values.iter().any(|v| !v.is_finite()) {
        return Err("it has no finite values".to_owned());
    }
    let numbers = [fitted.first, fitted.squares, fitted.deviation];
    // Far beyond any history, and far from where an index would overflow.
    let places = [fitted.season, fitted.steps, fitted.most];
    if numbers.iter().any(|v| !v.is_finite()) || places.iter().any(|p| *p == 0 || *p > 1 << 30) {
        return Err("its numbers are out of range".to_owned());
    }
    Ok(Box::new(fitted))
}

impl Fit for Naive {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let mut values = held_values(history, 1)?;
        if self.rule == Rule::Window {
            // Held values would make the window narrower than what was measured.
            values = history.iter().flatten().collect();
        }
        let seasonal = matches!(self.rule, Rule::Seasonal | Rule::SeasonalScaled);
        // Without a season it is one step: the last value.
        let found = || season::given_or_found_in(self.season, &values, history.step());
        let season = if seasonal { found()? } else { None }.unwrap_or(1);
        let kept = match self.rule {
            Rule::Drift => 2,
            Rule::Window => self.window,
            // Without a season it is the last value, with its errors.
            _ if season == 1 => LAST_POINTS,
            _ => (SEASONS + 1) * season + LEVEL_STEPS,
        };
        let (first, steps) = (values[0], values.len());
        let recent = values[steps.saturating_sub(kept)..].iter().copied();
        let mut fitted = FittedNaive {
            rule: self.rule,
            season,
            steps,
            first,
            squares: 0.0,
            values: recent.collect(),
            most: kept,
            deviation: 0.0,
        };
        if self.rule == Rule::Drift {
            let steps = values.windows(2).map(|w| (w[1] - w[0]).powi(2));
            fitted.squares = steps.sum();
        }
        fitted.measure();
        Ok(Box::new(fitted))
    }
}

/// One of them, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FittedNaive {
    rule: Rule,
    season: usize,
    /// Steps seen in all.
    steps: usize,
    /// The first value of all.
    first: f64,
    /// Sum of the squares of all steps; for the drift.
    squares: f64,
    values: VecDeque<f64>,
    /// Values that are kept.
    most: usize,
    /// Deviation of one step's error.
    deviation: f64,
}

impl FittedNaive {
    fn lag(&self) -> usize {
        self.season
    }

    /// The value `ago` steps before the last one; the oldest where it is not kept.
    fn ago(&self, ago: usize) -> f64 {
        let place = self.values.len().saturating_sub(1).saturating_sub(ago);
        self.values.get(place).copied().unwrap_or(0.0)
    }

    /// Takes the deviation anew.
    fn measure(&mut self) {
        let lag = self.lag();
        let span = if lag == 1 { LAST_POINTS } else { SEASONS * lag };
        self.deviation = match self.rule {
            Rule::Window => 0.0,
            Rule::Drift => {
                let n = (self.steps - 1) as f64;
                let mean = self.slope();
                let left = self.squares - n * mean * mean;
                if n > 1.0 && left > 0.0 {
                    (left / (n - 1.0)).sqrt()
                } else {
                    0.0
                }
            }
            _ => {
                let n = self.values.len();
                let first = n.saturating_sub(span).max(lag);
                let difference = |i: usize| self.values[i] - self.values[i - lag];
                deviation((first..n).map(difference))
            }
        };
    }

    fn slope(&self) -> f64 {
        if self.steps < 2 {
            return 0.0;
        }
        (self.ago(0) - self.first) / (self.steps - 1) as f64
    }

    /// How the level has moved in a season.
    fn ratio(&self) -> f64 {
        let (lag, n) = (self.lag(), self.values.len());
        if n < lag + LEVEL_STEPS {
            return 1.0;
        }
        let mean = |first: usize| self.values.range(first..first + LEVEL_STEPS).sum::<f64>();
        let (then, new) = (mean(n - lag - LEVEL_STEPS), mean(n - LEVEL_STEPS));
        if then > 0.0 { new / then } else { 1.0 }
    }

    fn point(&self, ahead: usize, ratio: f64) -> f64 {
        match self.rule {
            Rule::Drift => self.ago(0) + ahead as f64 * self.slope(),
            Rule::Last | Rule::Window => self.ago(0),
            Rule::Seasonal | Rule::SeasonalScaled => {
                let back = (self.season - 1) - (ahead - 1) % self.season;
                ratio * self.ago(back)
            }
        }
    }

    fn spread(&self, ahead: usize) -> f64 {
        let h = ahead as f64;
        match self.rule {
            Rule::Last => self.deviation * h.sqrt(),
            Rule::Drift => self.deviation * (h * (1.0 + h / (self.steps.max(2) - 1) as f64)).sqrt(),
            // As the protocol has it, also beyond one season.
            _ => self.deviation,
        }
    }
}

impl Forecaster for FittedNaive {
    fn update(&mut self, value: Option<f64>) {
        let last = self.ago(0);
        let value = match value.filter(|v| v.is_finite()) {
            None if self.rule == Rule::Window => return,
            value => value.unwrap_or(last),
        };
        self.squares += (value - last).powi(2);
        self.values.push_back(value);
        self.steps += 1;
        if self.values.len() > self.most {
            self.values.pop_front();
        }
        self.measure();
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let mut values = Vec::with_capacity(horizon * levels.len());
        if self.rule == Rule::Window {
            let mut sorted: Vec<f64> = self.values.iter().copied().collect();
            sorted.sort_by(f64::total_cmp);
            let step: Vec<f64> = levels.iter().map(|l| of_sorted(&sorted, *l)).collect();
            (0..horizon).for_each(|_| values.extend(&step));
            return Ok(Forecast::new(levels, values));
        }
        let normal: Vec<f64> = levels.iter().map(|l| normal_quantile(*l)).collect();
        let ratio = if self.rule == Rule::SeasonalScaled {
            self.ratio()
        } else {
            1.0
        };
        for ahead in 1..=horizon {
            let (point, spread) = (self.point(ahead, ratio), self.spread(ahead));
            values.extend(normal.iter().map(|z| point + z * spread));
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        match self.rule {
            Rule::Window => format!("quantiles of the last {} steps", self.values.len()),
            Rule::Last | Rule::Drift => format!("deviation of a step {:.4}", self.deviation),
            _ if self.season == 1 => "no season was found: the last value".to_owned(),
            _ => format!(
                "season of {} steps, deviation {:.4}",
                self.season, self.deviation
            ),
        }
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
