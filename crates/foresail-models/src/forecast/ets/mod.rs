//! ETS: error, trend and season in exponential smoothing, the form chosen by AICc.
//!
//! The fifteen forms of R's `forecast::ets` and statsforecast's `AutoETS` (additive or
//! multiplicative error; no, additive or damped trend; no, additive or multiplicative season),
//! fitted by maximum likelihood over parameters and initial states. Gaps are the model's own: the
//! state moves on by its forecast and no error is counted. Where a value is at or near zero the
//! multiplicative forms are left out, and no quantile goes further than [`Reach`] allows.
//! Source: Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (2008).

pub mod fit;
pub mod form;
pub mod interval;
pub mod likelihood;
pub mod start;
pub mod state;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

use self::fit::{Estimate, FADE, Task, select};
use self::form::{DAMPED, Error, Form, SeasonForm, WORDS, forms};
use self::interval::{deviations, fades};
use self::start::Starts;
use self::state::{Smoothing, State};
use super::naive::SEASON_KNOB;
use super::quantile::normal_quantile;
use super::reach::Reach;
use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, Paths, check_request,
    held_values, season,
};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry, Restored};
use crate::rng::{Seed, child, normal};

/// Points that a fit takes in: two weeks of minutes. What is older has no weight left.
const FIT_POINTS: usize = 20_160;

/// Points without which there is no fit: the simplest form has three numbers to find.
const POINTS_MIN: usize = 5;

/// Forms for which one search is enough each: AICc chooses among many.
const FEW_FORMS: usize = 3;

/// Searches of each form where there are few.
const SEARCHES: usize = 4;

/// Share of the mean below which a value is near zero, and the multiplicative forms have no place.
const NEAR_ZERO: f64 = 0.01;

/// The weight of the last value where all values are the same; as statsforecast has it.
const ALPHA_OF_CONSTANT: f64 = 0.9999;

const FORM_KNOB: Knob = Knob {
    name: "form",
    kind: Kind::Word {
        default: "auto",
        known: &WORDS,
    },
    doc: "error, trend and season, each A, M, N or Z for chosen by AICc; auto = ZZZ",
};

const DAMPED_KNOB: Knob = Knob {
    name: "damped",
    kind: Kind::Word {
        default: "auto",
        known: &DAMPED,
    },
    doc: "whether a trend fades; auto = chosen by AICc",
};

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ets",
    summary: "exponential smoothing of level, trend and season, the form chosen by AICc",
    suits: "one season of at most some hundred steps, level and trend that move slowly",
    knobs: &[FORM_KNOB, DAMPED_KNOB, SEASON_KNOB],
    build,
    restore,
};

fn build(knobs: &Knobs) -> FitBuilt {
    Ok(Box::new(Ets {
        forms: forms(knobs.word("form"), knobs.word("damped")),
        season: knobs.number("seasonSteps") as usize,
        ..Ets::default()
    }))
}

/// Takes back what [`FittedEts`] saved.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn restore(state: &[u8]) -> Restored {
    let fitted: FittedEts = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    fitted.check()?;
    Ok(Box::new(fitted))
}

/// ETS, not fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Ets {
    /// The forms to choose from.
    pub forms: Vec<Form>,
    /// Length of the season in steps; 0 = found.
    pub season: usize,
    /// Bounds of the damping.
    pub fade: (f64, f64),
    /// `true` where the first form that can be fitted is taken, `false` where AICc decides.
    pub first_that_fits: bool,
}

impl Default for Ets {
    /// Every form, a season that is found, the bounds of `forecast::ets`.
    fn default() -> Self {
        Self {
            forms: forms("auto", "auto"),
            season: 0,
            fade: FADE,
            first_that_fits: false,
        }
    }
}

impl Ets {
    /// Fits to a history, as the type that other forecasters build on.
    ///
    /// # Errors
    /// [`FitError`] with too few points, or where no form has a place in the series.
    pub fn fit_whole(&self, history: &Series) -> Result<FittedEts, FitError> {
        let filled = held_values(history, POINTS_MIN)?;
        let skipped = history.len() - filled.len().min(history.len());
        let gapped = history.iter().skip(skipped);
        let values: Vec<f64> = gapped.map(|v| v.unwrap_or(f64::NAN)).collect();
        let first = values.len().saturating_sub(FIT_POINTS);
        let (values, filled) = (&values[first..], &filled[first..]);
        let wants_season = self.forms.iter().any(|f| f.has_season());
        let steps = if wants_season {
            season::given_or_found_in(self.season, filled, history.step())?
        } else {
            None
        };
        self.fit_values(values, filled, steps)
    }

    /// Fits to values with NaN for a gap, and the same values with gaps filled, whose season has
    /// `steps`.
    ///
    /// # Errors
    /// [`FitError`] where no form has a place in the series.
    pub fn fit_values(
        &self,
        values: &[f64],
        filled: &[f64],
        steps: Option<usize>,
    ) -> Result<FittedEts, FitError> {
        debug_assert_eq!(values.len(), filled.len());
        let Some(reach) = Reach::of(values) else {
            return Err(FitError::Empty);
        };
        if filled.iter().all(|v| v.to_bits() == filled[0].to_bits()) {
            return Ok(FittedEts::constant(filled[0], reach));
        }
        let steps = steps
            .filter(|s| *s > 1 && filled.len() >= 2 * s)
            .unwrap_or(1);
        let unit = filled.iter().map(|v| v.abs()).sum::<f64>() / filled.len() as f64;
        let scaled: Vec<f64> = values.iter().map(|v| v / unit).collect();
        let filled: Vec<f64> = filled.iter().map(|v| v / unit).collect();
        let least = filled.iter().fold(f64::INFINITY, |a, b| smaller(a, *b));
        let forms = self.with_place(steps, least)?;
        let starts = Starts::new(&filled, steps);
        let task = Task {
            values: &scaled,
            steps,
            fade: self.fade,
            searches: if forms.len() > FEW_FORMS { 1 } else { SEARCHES },
            starts: &starts,
        };
        let best = if self.first_that_fits {
            forms.iter().find_map(|form| task.fit(*form))
        } else {
            select(&task, &forms)
        };
        let best = best.ok_or(FitError::NotFinite { model: "ets" })?;
        let seen = values.iter().filter(|v| !v.is_nan()).count() as f64;
        Ok(FittedEts::new(best, unit, seen, reach))
    }

    /// The forms that a series with a season of `steps` and a least value may have; with a choice
    /// by order, a season that is there but may not be used is an error.
    ///
    /// Units: `least` in means of the series.
    fn with_place(&self, steps: usize, least: f64) -> Result<Vec<Form>, FitError> {
        let has_season = |form: &&Form| steps > 1 || !form.has_season();
        let high = |form: &Form| least >= NEAR_ZERO || !form.needs_positive();
        let seasonal: Vec<Form> = self.forms.iter().filter(has_season).copied().collect();
        let bound = self.first_that_fits && seasonal.first().is_some_and(|form| !high(form));
        let forms: Vec<Form> = seasonal.into_iter().filter(high).collect();
        if !forms.is_empty() && !bound {
            return Ok(forms);
        }
        let names: Vec<String> = self.forms.iter().map(Form::to_string).collect();
        let must = if steps > 1 {
            "wants values well above zero; choose an additive form"
        } else {
            "wants a season that is seen twice or given, or values well above zero"
        };
        Err(FitError::Setting {
            what: format!("form {}", names.join(" or ")),
            must: must.to_owned(),
        })
    }
}

impl Fit for Ets {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        Ok(Box::new(self.fit_whole(history)?))
    }
}

/// ETS, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FittedEts {
    form: Form,
    smoothing: Smoothing,
    state: State,
    /// Variance of a residual, relative for multiplicative errors.
    variance: f64,
    aicc: f64,
    reach: Reach,
}

impl FittedEts {
    /// From an estimate in units of `unit`, of `seen` values.
    fn new(best: Estimate, unit: f64, seen: f64, reach: Reach) -> Self {
        let mut state = best.last;
        state.level *= unit;
        state.trend *= unit;
        if best.form.season == SeasonForm::Additive {
            state.season.iter_mut().for_each(|s| *s *= unit);
        }
        let relative = best.form.error == Error::Multiplicative;
        let squared = if relative { 1.0 } else { unit * unit };
        Self {
            form: best.form,
            smoothing: best.smoothing,
            state,
            variance: best.variance * squared,
            aicc: best.aicc + 2.0 * seen * unit.ln(),
            reach,
        }
    }

    /// Of a series whose values are all the same.
    fn constant(value: f64, reach: Reach) -> Self {
        Self {
            form: Form::SIMPLE,
            smoothing: Smoothing {
                alpha: ALPHA_OF_CONSTANT,
                phi: 1.0,
                ..Smoothing::default()
            },
            state: State {
                level: value,
                ..State::default()
            },
            variance: 0.0,
            aicc: 0.0,
            reach,
        }
    }

    /// From parameters and a state that are known, such as those of another program.
    ///
    /// Units: `variance` is that of a residual, relative for multiplicative errors.
    #[must_use]
    pub fn given(
        form: Form,
        smoothing: Smoothing,
        state: State,
        variance: f64,
        reach: Reach,
    ) -> Self {
        Self {
            form,
            smoothing,
            state,
            variance,
            aicc: 0.0,
            reach,
        }
    }

    /// The form that was chosen.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Its criterion, 0 for a constant series; comparable over forms of one series.
    #[must_use]
    pub fn aicc(&self) -> f64 {
        self.aicc
    }

    /// Variance of a residual: the sum of squares over what is free; relative for multiplicative
    /// errors.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// The forecasts of the next steps and their standard deviations, neither limited.
    ///
    /// Units: those of the series.
    #[must_use]
    pub fn moments(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let fades = fades(self.smoothing.phi, horizon);
        let point = |(i, fade): (usize, &f64)| self.state.point(self.form, *fade, i + 1);
        let points: Vec<f64> = fades.iter().enumerate().map(point).collect();
        let spread = deviations(
            self.form,
            &self.smoothing,
            &self.state,
            self.variance,
            &points,
        );
        (points, spread)
    }

    /// Moves on by a step, as [`Forecaster::update`] does.
    pub fn advance(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        if let Some(value) = value {
            self.reach.widen(value);
        }
        self.state.advance(self.form, &self.smoothing, value);
    }

    /// Futures drawn at random, neither limited nor cut at zero.
    ///
    /// Units: those of the series.
    #[must_use]
    pub fn raw_paths(&self, horizon: usize, count: usize, seed: Seed) -> Paths {
        let mut stream = child(seed, "ets paths");
        let deviation = self.variance.sqrt();
        let mut values = Vec::with_capacity(horizon * count);
        for _ in 0..count {
            let mut state = self.state.clone();
            for _ in 0..horizon {
                let point = state.point(self.form, self.smoothing.phi, 1);
                let error = deviation * normal(&mut stream);
                let value = match self.form.error {
                    Error::Additive => point + error,
                    Error::Multiplicative => point * (1.0 + error),
                };
                state.advance(self.form, &self.smoothing, Some(value));
                values.push(value);
            }
        }
        Paths {
            steps: horizon,
            values,
        }
    }

    /// Checks what was read.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = self.smoothing;
        let share = |v: f64| (0.0..=2.0).contains(&v);
        if !(share(alpha) && share(beta) && share(gamma) && phi > 0.0 && phi <= 1.0) {
            return Err("a smoothing parameter is out of range".to_owned());
        }
        if !self.state.is_sound(self.form) || !self.reach.is_sound() {
            return Err("its state is not finite or not of its form".to_owned());
        }
        if !(self.variance >= 0.0 && self.variance.is_finite() && self.aicc.is_finite()) {
            return Err("its variance is not a number from 0 on".to_owned());
        }
        Ok(())
    }
}

impl Forecaster for FittedEts {
    fn update(&mut self, value: Option<f64>) {
        self.advance(value);
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
        let mut paths = self.raw_paths(horizon, count, seed);
        for value in &mut paths.values {
            *value = larger(self.reach.limit(*value), 0.0);
        }
        Some(paths)
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let fades = fades(self.smoothing.phi, horizon.min(super::HORIZON_MAX));
        let trend = fades
            .iter()
            .map(|f| self.state.level + f * self.state.trend);
        let mut parts = vec![Component {
            name: "trend".to_owned(),
            values: trend.collect(),
            factor: false,
        }];
        if self.form.has_season() {
            let season = (1..=fades.len()).map(|a| self.state.season_at(a));
            parts.push(Component {
                name: format!("season of {} steps", self.state.season.len()),
                values: season.collect(),
                factor: self.form.season == SeasonForm::Multiplicative,
            });
        }
        parts
    }

    fn summary(&self) -> String {
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = self.smoothing;
        let mut text = format!("{} alpha {alpha:.4}", self.form);
        if self.form.has_trend() {
            text += &format!(" beta {beta:.4}");
        }
        if self.form.has_season() {
            let steps = self.state.season.len();
            text += &format!(" gamma {gamma:.4} season {steps}");
        }
        if phi < 1.0 {
            text += &format!(" phi {phi:.4}");
        }
        text + &format!(", AICc {:.2}", self.aicc)
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
