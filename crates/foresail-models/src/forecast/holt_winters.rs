//! Holt and Winters' method: level, slope and season, fitted by least squares.
//!
//! The recursion is that of ETS with additive errors, so its fitted state, intervals and paths are
//! used: the least sum of squares is the greatest likelihood there. Gaps are the model's own.
//! Without a season it is Holt's line, and simple smoothing where there are too few points for
//! that.
//! Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), 8.3; the
//! bounds of statsmodels' `ExponentialSmoothing`.

use foresail_core::quantity::series::Series;

use super::ets::form::{Error, Form, SeasonForm, Trend};
use super::ets::{Ets, FittedEts};
use super::naive::SEASON_KNOB;
use super::{Fit, FitError, Forecaster};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry};
use crate::rng::Seed;

/// Bounds of the damping.
///
/// Source: statsmodels' `ExponentialSmoothing`.
const FADE: (f64, f64) = (0.8, 0.995);

const KIND_KNOB: Knob = Knob {
    name: "seasonKind",
    kind: Kind::Word {
        default: "additive",
        known: &["additive", "multiplicative"],
    },
    doc: "whether the season is added or a factor; a factor wants values well above zero",
};

const DAMPED_KNOB: Knob = Knob {
    name: "damped",
    kind: Kind::Word {
        default: "yes",
        known: &["yes", "no"],
    },
    doc: "whether the slope fades",
};

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "holt-winters",
    summary: "level, slope and season smoothed, fitted by least squares",
    suits: "one season and a slope whose form is known",
    knobs: &[KIND_KNOB, DAMPED_KNOB, SEASON_KNOB],
    build,
    restore: super::ets::restore,
};

fn build(knobs: &Knobs) -> FitBuilt {
    Ok(Box::new(HoltWinters {
        factor: knobs.word("seasonKind") == "multiplicative",
        damped: knobs.word("damped") == "yes",
        season: knobs.number("seasonSteps") as usize,
    }))
}

/// Holt and Winters' method, not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoltWinters {
    /// `true` where the season is a factor.
    pub factor: bool,
    /// `true` where the slope fades.
    pub damped: bool,
    /// Length of the season in steps; 0 = found.
    pub season: usize,
}

impl HoltWinters {
    /// The form, and what it falls back to.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        let trend = if self.damped {
            Trend::Damped
        } else {
            Trend::Additive
        };
        let season = if self.factor {
            SeasonForm::Multiplicative
        } else {
            SeasonForm::Additive
        };
        let of = |trend, season| Form {
            error: Error::Additive,
            trend,
            season,
        };
        vec![of(trend, season), of(trend, SeasonForm::None), Form::SIMPLE]
    }

    /// Fits to a history, as the type itself.
    ///
    /// # Errors
    /// [`FitError`] with too few points, or a factor of values at or near zero.
    pub fn fit_whole(&self, history: &Series) -> Result<FittedEts, FitError> {
        let ets = Ets {
            forms: self.forms(),
            season: self.season,
            fade: FADE,
            first_that_fits: true,
        };
        ets.fit_whole(history)
    }
}

impl Fit for HoltWinters {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        Ok(Box::new(self.fit_whole(history)?))
    }
}
