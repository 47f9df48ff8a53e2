//! The state of ETS, and how a value moves it.

use serde::{Deserialize, Serialize};

use super::form::{Form, SeasonForm};

/// The smoothing parameters, as in Hyndman's notation: `beta` is not divided by `alpha`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Smoothing {
    /// Of the level.
    pub alpha: f64,
    /// Of the slope; 0 without one.
    pub beta: f64,
    /// Of the season; 0 without one.
    pub gamma: f64,
    /// Share of the slope that is left after a step; 1 where it does not fade.
    pub phi: f64,
}

/// Level, slope and seasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The level.
    pub level: f64,
    /// The slope of a step.
    pub trend: f64,
    /// The seasons; empty without.
    pub season: Vec<f64>,
    /// Which of them is that of the next step.
    pub at: usize,
}

impl State {
    /// The forecast of the step `ahead`, which counts from 1; `fade` is φ + φ² + … to that step.
    #[must_use]
    pub fn point(&self, form: Form, fade: f64, ahead: usize) -> f64 {
        let base = self.level + fade * self.trend;
        match form.season {
            SeasonForm::None => base,
            SeasonForm::Additive => base + self.season_at(ahead),
            SeasonForm::Multiplicative => base * self.season_at(ahead),
        }
    }

    /// The season of the step `ahead`, which counts from 1; 0 without any.
    #[must_use]
    pub fn season_at(&self, ahead: usize) -> f64 {
        if self.season.is_empty() {
            return 0.0;
        }
        self.season[(self.at + ahead - 1) % self.season.len()]
    }

    /// Moves on by a step: with its value, or by the forecast alone where it is a gap.
    ///
    /// A season that would fall to zero or below, or a base that is there, moves no season.
    pub fn advance(&mut self, form: Form, smoothing: &Smoothing, value: Option<f64>) {
        let damped = smoothing.phi * self.trend;
        let base = self.level + damped;
        let season = self.season_at(1);
        let error = match (value, form.season) {
            (None, _) => 0.0,
            (Some(value), SeasonForm::None) => value - base,
            (Some(value), SeasonForm::Additive) => value - season - base,
            (Some(value), SeasonForm::Multiplicative) => value / season - base,
        };
        self.level = base + smoothing.alpha * error;
        self.trend = damped + smoothing.beta * error;
        if self.season.is_empty() {
            return;
        }
        let moved = match form.season {
            SeasonForm::Multiplicative => season + smoothing.gamma * error * season / base,
            _ => season + smoothing.gamma * error,
        };
        let lost = form.season == SeasonForm::Multiplicative && !(base > 0.0 && moved > 0.0);
        if moved.is_finite() && !lost {
            self.season[self.at] = moved;
        }
        self.at = (self.at + 1) % self.season.len();
    }

    /// `true` where every number is finite and the place lies within the seasons.
    #[must_use]
    pub fn is_sound(&self, form: Form) -> bool {
        let numbers = self.season.iter().chain([&self.level, &self.trend]);
        let place = self.at < self.season.len() || (self.at == 0 && self.season.is_empty());
        let factor = form.season != SeasonForm::Multiplicative;
        place
            && form.has_season() != self.season.is_empty()
            && numbers.into_iter().all(|v| v.is_finite())
            && (factor || self.season.iter().all(|s| *s > 0.0))
    }
}
