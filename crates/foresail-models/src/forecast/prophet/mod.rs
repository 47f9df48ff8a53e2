//! Prophet: a trend that bends, seasons of the calendar, events and regressors.
//!
//! [`Prophet`] holds the settings, [`model::Model`] what was fitted to rows of any times, and
//! `forecaster` puts both behind the traits of every forecaster. The fit minimises Prophet's own
//! posterior (file `fit`) and is compared in the tests with facebook/prophet 1.5.0: the same function
//! is reached as low or lower than by Stan, whose optimiser stops early at the kinks of |δ|.
//! Source: Taylor & Letham, Forecasting at Scale, The American Statistician 72(1), 2018.

mod band;
mod columns;
pub mod events;
mod fit;
mod forecaster;
mod gram;
mod interval;
mod knobs;
mod lasso;
pub mod model;
pub mod seasonality;
pub mod trend;

pub use events::{Event, Regressor, Standardise};
pub use knobs::ENTRY;
pub use model::{Model, Parameters, Prediction, Rows};
pub use seasonality::{Mode, Season, Switch};
pub use trend::Growth;

use serde::{Deserialize, Serialize};

/// Settings of Prophet; the defaults are Prophet's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prophet {
    /// Form of the trend.
    pub growth: Growth,
    /// What a logistic trend cannot exceed, where the rows say nothing. Units: those of demand.
    pub cap: f64,
    /// What a logistic trend cannot fall below, where the rows say nothing. Units: those of demand.
    pub floor: f64,
    /// Times at which the trend may bend.
    pub changepoints: usize,
    /// Share of the history, from its begin, that they lie in.
    pub changepoint_share: f64,
    /// τ, the scale of the prior of each bend.
    pub changepoint_scale: f64,
    /// How the seasons of the calendar enter.
    pub mode: Mode,
    /// Standard deviation of the prior of their coefficients.
    pub season_scale: f64,
    /// The year.
    pub yearly: Switch,
    /// The week.
    pub weekly: Switch,
    /// The day.
    pub daily: Switch,
    /// Own seasons.
    pub seasons: Vec<Season>,
    /// Seasons that periodogram and autocorrelation find are added to those of the calendar.
    pub find_seasons: bool,
    /// Events.
    pub events: Vec<Event>,
    /// Regressors.
    pub regressors: Vec<Regressor>,
}

impl Default for Prophet {
    fn default() -> Self {
        Self {
            growth: Growth::Linear,
            cap: 0.0,
            floor: 0.0,
            changepoints: 25,
            changepoint_share: 0.8,
            changepoint_scale: 0.05,
            mode: Mode::Additive,
            season_scale: 10.0,
            yearly: Switch::Auto,
            weekly: Switch::Auto,
            daily: Switch::Auto,
            seasons: Vec::new(),
            find_seasons: false,
            events: Vec::new(),
            regressors: Vec::new(),
        }
    }
}
