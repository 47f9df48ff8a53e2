//! A line and the strongest waves of the last window, carried on.
//!
//! The window is freed of its straight line, its Fourier transform gives the periods of the strongest
//! waves, least squares their amplitudes, and all is continued beyond its end. Doubt is that of the
//! residuals, the same at each step ahead.
//! Source: Roy, Patel & Tiwari, IceBreaker, ASPLOS 2022, whose forecaster of function invocations this
//! is in form. Ours are the line instead of a polynomial, which runs away beyond the window's end, and
//! periods between the transform's bins, without which a window that holds no whole number of
//! them is continued from its begin.

use std::collections::VecDeque;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::larger;
use nalgebra::{DMatrix, DVector};
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::quantile::{deviation, normal_quantile};
use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, check_request, held_values,
};
use crate::knobs::Knob;
use crate::registry::{ForecasterEntry, Restored};
use crate::rng::Seed;

/// Steps without which there is no wave.
const POINTS_MIN: usize = 16;

/// Share of the window after which it is transformed anew, one step at least; until then its waves
/// run on.
const AGE_SHARE: usize = 24;

/// The longest window.
const WINDOW_MAX: f64 = 20_160.0;

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "fourier",
    summary: "a line and the strongest waves of the last window, carried on",
    suits: "clean waves of any period that the window holds several times",
    knobs: &[
        Knob::number(
            "windowSteps",
            [1440.0, 16.0, WINDOW_MAX],
            "steps that are transformed",
        ),
        Knob::number("wavesSteps", [10.0, 1.0, 1000.0], "waves that are kept"),
    ],
    build: |knobs| {
        Ok(Box::new(Fourier {
            window: knobs.number("windowSteps") as usize,
            waves: knobs.number("wavesSteps") as usize,
        }))
    },
    restore,
};

fn restore(state: &[u8]) -> Restored {
    let fitted: FittedFourier = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    let settings = fitted.settings;
    let sane = (POINTS_MIN..=WINDOW_MAX as usize).contains(&settings.window)
        && (1..=1000).contains(&settings.waves)
        && (POINTS_MIN..=settings.window).contains(&fitted.values.len())
        && fitted.values.iter().all(|v| v.is_finite())
        && fitted.age <= settings.window
        && fitted.found.is_sane(settings.waves);
    if !sane {
        return Err("its numbers do not fit its settings".to_owned());
    }
    Ok(Box::new(fitted))
}

/// What is transformed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fourier {
    /// Steps that are transformed; at least 16.
    pub window: usize,
    /// Waves that are kept; at least 1.
    pub waves: usize,
}

impl Fit for Fourier {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let mut values: VecDeque<f64> = held_values(history, POINTS_MIN)?.into();
        if values.len() < POINTS_MIN {
            return Err(FitError::TooShort {
                needed: POINTS_MIN,
                found: values.len(),
            });
        }
        values.drain(..values.len().saturating_sub(self.window));
        let found = Found::of(&values, self.waves);
        if !found.is_sane(self.waves) {
            return Err(FitError::NotFinite { model: "fourier" });
        }
        Ok(Box::new(FittedFourier {
            settings: *self,
            values,
            age: 0,
            found,
        }))
    }
}

/// One wave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wave {
    /// Turns in the window; no whole number as a rule.
    turns: f64,
    cosine: f64,
    sine: f64,
}

/// What a window is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Found {
    /// Steps of the window.
    steps: usize,
    mean: f64,
    slope: f64,
    /// The strongest first.
    waves: Vec<Wave>,
    /// Deviation of what is left.
    deviation: f64,
}

/// Turns of the strongest waves of values, the strongest first.
///
/// Between bins by Jacobsen's estimator: a wave that the window does not hold whole would else be
/// continued from the window's begin.
/// Source: Jacobsen & Kootsookos, Fast, Accurate Frequency Estimators, IEEE SPM 2007.
fn strongest(values: &[f64], most: usize) -> Vec<f64> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(values.len());
    let mut rest = values.to_vec();
    let mut spectrum = transform.make_output_vec();
    // Both lengths are the plan's own: it cannot fail.
    if transform.process(&mut rest, &mut spectrum).is_err() {
        return Vec::new();
    }
    let mut peaks: Vec<(f64, f64)> = Vec::new();
    for (k, three) in spectrum.windows(3).enumerate() {
        let power = three[1].norm_sqr();
        if power > three[0].norm_sqr() && power >= three[2].norm_sqr() {
            let below = three[1] * 2.0 - three[0] - three[2];
            let shift = ((three[0] - three[2]) / below).re;
            let shift = if shift.is_finite() {
                shift.clamp(-0.5, 0.5)
            } else {
                0.0
            };
            peaks.push((power, (k + 1) as f64 + shift));
        }
    }
    // Stable: of equally strong waves the longer one.
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    peaks.truncate(most);
    peaks.into_iter().map(|(_, turns)| turns).collect()
}

/// A line and waves of known turns by least squares: level, slope, then cosine and sine of each.
fn fitted(values: &[f64], turns: &[f64]) -> Option<DVector<f64>> {
    let (steps, columns) = (values.len(), 2 + 2 * turns.len());
    let mut square = DMatrix::<f64>::zeros(columns, columns);
    let mut right = DVector::<f64>::zeros(columns);
    let mut row = vec![1.0; columns];
    for (step, value) in values.iter().enumerate() {
        row[1] = about(step, steps);
        for (place, turns) in turns.iter().enumerate() {
            let (sine, cosine) = angle(*turns, step, steps).sin_cos();
            (row[2 + 2 * place], row[3 + 2 * place]) = (cosine, sine);
        }
        for i in 0..columns {
            right[i] += row[i] * value;
            for j in 0..=i {
                square[(i, j)] += row[i] * row[j];
            }
        }
    }
    // Two waves that nearly coincide share their amplitude instead of cancelling each other.
    for i in 0..columns {
        square[(i, i)] *= 1.0 + 1e-9;
    }
    square.fill_upper_triangle_with_lower_triangle();
    square.cholesky().map(|c| c.solve(&right))
}

fn about(step: usize, steps: usize) -> f64 {
    (step as f64 - (steps as f64 - 1.0) / 2.0) / steps as f64
}

fn angle(turns: f64, step: usize, steps: usize) -> f64 {
    std::f64::consts::TAU * turns * (step as f64 / steps as f64)
}

impl Found {
    fn of(values: &VecDeque<f64>, most: usize) -> Self {
        let values: Vec<f64> = values.iter().copied().collect();
        let steps = values.len();
        // No more waves than a third of the steps can tell apart.
        let most = most.min(steps / 6);
        let mean = values.iter().sum::<f64>() / steps as f64;
        let level = Self {
            steps,
            mean,
            slope: 0.0,
            waves: Vec::new(),
            deviation: deviation(values.iter().copied()),
        };
        if level.deviation <= 1e-12 * mean.abs() {
            return level;
        }
        let Some(line) = fitted(&values, &[]) else {
            return level;
        };
        let straight = |(i, v): (usize, &f64)| v - line[0] - line[1] * about(i, steps);
        let rest: Vec<f64> = values.iter().enumerate().map(straight).collect();
        let turns = strongest(&rest, most);
        let Some(all) = fitted(&values, &turns) else {
            return level;
        };
        let wave = |(place, turns): (usize, &f64)| Wave {
            turns: *turns,
            cosine: all[2 + 2 * place],
            sine: all[3 + 2 * place],
        };
        let mut found = Self {
            mean: all[0],
            slope: all[1],
            waves: turns.iter().enumerate().map(wave).collect(),
            ..level
        };
        let left = values
            .iter()
            .enumerate()
            .map(|(i, v)| (v - found.at(i)).powi(2));
        // Each wave has three numbers: its turns are chosen, too.
        let free = larger(steps as f64 - 2.0 - 3.0 * turns.len() as f64, 1.0);
        found.deviation = (left.sum::<f64>() / free).sqrt();
        found
    }

    fn is_sane(&self, most: usize) -> bool {
        let sane = |w: &Wave| {
            w.cosine.is_finite() && w.sine.is_finite() && (0.0..=WINDOW_MAX).contains(&w.turns)
        };
        (POINTS_MIN..=WINDOW_MAX as usize).contains(&self.steps)
            && self.waves.len() <= most
            && self.waves.iter().all(sane)
            && [self.mean, self.slope, self.deviation]
                .iter()
                .all(|v| v.is_finite())
            && self.deviation >= 0.0
    }

    /// The line at a step, counted from the window's begin.
    fn line(&self, step: usize) -> f64 {
        self.mean + self.slope * about(step, self.steps)
    }

    /// One wave at a step.
    fn wave(&self, wave: &Wave, step: usize) -> f64 {
        let (sine, cosine) = angle(wave.turns, step, self.steps).sin_cos();
        wave.cosine * cosine + wave.sine * sine
    }

    fn at(&self, step: usize) -> f64 {
        let waves = self.waves.iter().map(|w| self.wave(w, step));
        self.line(step) + waves.sum::<f64>()
    }
}

/// A window with what it was found to be made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FittedFourier {
    settings: Fourier,
    values: VecDeque<f64>,
    /// Steps since the window was transformed.
    age: usize,
    found: Found,
}

impl FittedFourier {
    /// The step `ahead` of the last known one, counted from the begin of the window that was
    /// transformed.
    fn step(&self, ahead: usize) -> usize {
        self.found.steps + self.age + ahead - 1
    }
}

impl Forecaster for FittedFourier {
    fn update(&mut self, value: Option<f64>) {
        let last = self.values.back().copied().unwrap_or_default();
        let value = value.filter(|v| v.is_finite()).unwrap_or(last);
        self.values.push_back(value);
        while self.values.len() > self.settings.window {
            self.values.pop_front();
        }
        self.age += 1;
        if self.age > self.settings.window / AGE_SHARE {
            self.age = 0;
            self.found = Found::of(&self.values, self.settings.waves);
        }
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let far: Vec<f64> = levels
            .iter()
            .map(|l| self.found.deviation * normal_quantile(*l))
            .collect();
        let mut values = Vec::with_capacity(horizon * levels.len());
        for ahead in 1..=horizon {
            let middle = self.found.at(self.step(ahead));
            values.extend(far.iter().map(|far| middle + far));
        }
        Ok(Forecast::new(levels, values))
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let steps = (1..=horizon).map(|ahead| self.step(ahead));
        let line = steps.clone().map(|step| self.found.line(step));
        let mut all = vec![Component {
            name: "trend".to_owned(),
            values: line.collect(),
            factor: false,
        }];
        for wave in &self.found.waves {
            let values = steps.clone().map(|step| self.found.wave(wave, step));
            let period = self.found.steps as f64 / wave.turns;
            all.push(Component {
                name: format!("wave of {} steps", (period * 10.0).round() / 10.0),
                values: values.collect(),
                factor: false,
            });
        }
        all
    }

    fn summary(&self) -> String {
        let period = |w: &Wave| format!("{:.1}", self.found.steps as f64 / w.turns);
        let strongest: Vec<String> = self.found.waves.iter().take(3).map(period).collect();
        format!(
            "window {}, {} waves, the strongest of {} steps, deviation {:.4}",
            self.found.steps,
            self.found.waves.len(),
            strongest.join(", "),
            self.found.deviation
        )
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use foresail_core::quantity::time::{Span, Timestamp};

    use super::*;

    fn fit(values: Vec<f64>, window: usize, waves: usize) -> Box<dyn Forecaster> {
        let series = Series::new(Timestamp::from_seconds(0), Span::from_seconds(60), values);
        let fourier = Fourier { window, waves };
        fourier.fit(&series, Seed(1)).expect("fitted")
    }

    fn wave(step: usize) -> f64 {
        let turn = |period: f64| std::f64::consts::TAU * step as f64 / period;
        50.0 + 20.0 * turn(24.0).sin() + 5.0 * turn(7.5).cos()
    }

    #[test]
    fn waves_are_carried_on_also_where_the_window_does_not_hold_them_whole() {
        // 500 steps hold 20.8 days of 24 and 66.7 of 7.5.
        for (steps, error_max) in [(480, 1.0), (500, 1.0), (1440, 0.3)] {
            let values = (0..steps).map(wave).collect();
            let forecast = fit(values, 1440, 2).forecast(24, &[0.5]).expect("told");
            for ahead in 1..=24 {
                let got = forecast.median(ahead).expect("within");
                let error = (got - wave(steps - 1 + ahead)).abs();
                assert!(error < error_max, "{steps} {ahead}: {error}");
            }
        }
    }

    #[test]
    fn the_deviation_is_that_of_the_noise() {
        let mut stream = crate::rng::child(Seed(3), "noise");
        let noisy = |i| wave(i) + 4.0 * crate::rng::normal(&mut stream);
        let values: VecDeque<f64> = (0..1440).map(noisy).collect();
        let found = Found::of(&values, 2);
        assert!((found.deviation - 4.0).abs() < 0.3, "{}", found.deviation);
    }

    #[test]
    fn steps_that_come_move_the_forecast_on_by_as_many() {
        let values: Vec<f64> = (0..240).map(wave).collect();
        let mut moved = fit(values, 240, 3);
        let before = moved.forecast(8, &[0.5]).expect("told");
        for step in 240..245 {
            moved.update(Some(wave(step)));
        }
        let after = moved.forecast(3, &[0.5]).expect("told");
        for ahead in 1..=3 {
            assert_eq!(after.median(ahead), before.median(ahead + 5));
        }
    }
}
