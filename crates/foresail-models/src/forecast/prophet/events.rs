//! Events on named days, and regressors whose values the caller knows.
//!
//! Source: facebook/prophet 1.5.0: python/prophet/forecaster.py (`make_holiday_features`,
//! `add_regressor`, `initialize_scales`).

use serde::{Deserialize, Serialize};

use super::seasonality::Mode;

/// The most days before or after an event that it may reach.
pub const WINDOW_MAX: u32 = 60;

/// An event: days that have something in common, and how far it reaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its days, counted from 1970-01-01.
    pub days: Vec<i64>,
    /// Days before each that belong to it.
    pub before: u32,
    /// Days after each that belong to it.
    pub after: u32,
    /// Standard deviation of the prior of its effects.
    pub scale: f64,
    /// How it enters.
    pub mode: Mode,
}

impl Event {
    /// Its effects: one for each day of its window.
    pub(super) fn columns(&self) -> usize {
        1 + (self.before + self.after) as usize
    }

    /// Marks the effect that holds on `day`.
    ///
    /// Shapes: `out` holds the day itself, those after it, then those before, as Prophet names them
    /// `+0, +1, …, −1, −2, …`.
    pub(super) fn fill(&self, day: i64, out: &mut [f64]) {
        let (before, after) = (i64::from(self.before), i64::from(self.after));
        for event in &self.days {
            let offset = day - event;
            if (0..=after).contains(&offset) {
                out[offset as usize] = 1.0;
            } else if (-before..0).contains(&offset) {
                out[(after - offset) as usize] = 1.0;
            }
        }
    }
}

/// Whether a regressor is shifted and scaled before the fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// Unless it is 0 and 1 alone, or constant.
    #[default]
    Auto,
    /// Unless it is constant.
    Always,
    /// Never.
    Never,
}

/// A series beside the demand whose values are known for the future too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Regressor {
    /// Its name.
    pub name: String,
    /// Standard deviation of the prior of its coefficient.
    pub scale: f64,
    /// How it enters.
    pub mode: Mode,
    /// Whether it is shifted and scaled.
    pub standardise: Standardise,
}

/// What a regressor is shifted and divided by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Standard {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

impl Standard {
    /// What `values` are standardised by; the deviation is the sample's, with n − 1.
    pub(super) fn of(rule: Standardise, values: &[f64]) -> Self {
        let first = values.first().copied().unwrap_or(0.0);
        let constant = values.iter().all(|v| v.total_cmp(&first).is_eq());
        let is = |v: f64, bit: f64| v.total_cmp(&bit).is_eq();
        let binary = values.iter().all(|v| is(*v, 0.0) || is(*v, 1.0));
        let plain = match rule {
            Standardise::Auto => constant || binary,
            Standardise::Always => constant,
            Standardise::Never => true,
        };
        if plain {
            return Self {
                mean: 0.0,
                deviation: 1.0,
            };
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (squares / (n - 1.0)).sqrt(),
        }
    }

    pub(super) fn apply(self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "columns are exactly zero or one")]
    fn an_event_marks_its_window_and_nothing_else() {
        let event = Event {
            name: "launch".to_owned(),
            days: vec![100, 200],
            before: 2,
            after: 1,
            scale: 10.0,
            mode: Mode::Additive,
        };
        let row = |day: i64| {
            let mut out = [0.0; 4];
            event.fill(day, &mut out);
            out
        };
        assert_eq!(row(97), [0.0; 4]);
        assert_eq!(row(98), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(row(99), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(row(200), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(row(101), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(row(102), [0.0; 4]);
    }

    #[test]
    fn binary_and_constant_regressors_stay_as_they_are() {
        let plain = Standard {
            mean: 0.0,
            deviation: 1.0,
        };
        assert_eq!(Standard::of(Standardise::Auto, &[0.0, 1.0, 1.0]), plain);
        assert_eq!(Standard::of(Standardise::Always, &[4.0, 4.0]), plain);
        let scaled = Standard::of(Standardise::Auto, &[1.0, 2.0, 3.0]);
        assert_eq!((scaled.mean, scaled.deviation), (2.0, 1.0));
    }
}
