//! `simple-ceiling`: as many replicas as the median of the forecast fills.
//!
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications, src/policies.py, policy
//! `simple`; here a replica is asked for a start-up ahead.

use super::on_forecast::{
    Ahead, FORECASTER, FORECASTER_KNOBS, HISTORY, HORIZON, OnForecast, REFIT, Scene, Settings,
    Sized, Sizing, covering,
};
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "simple-ceiling",
    summary: "the median of a forecast over the capacity of a replica, at least 1",
    knobs: &[FORECASTER, FORECASTER_KNOBS, HORIZON, HISTORY, REFIT],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build, 0.5)?;
    let sizing = Box::new(Ceiling { factor: 1.0 });
    Ok(Box::new(OnForecast::new(
        "simple-ceiling",
        settings,
        sizing,
    )))
}

/// The median times a factor, at least one replica.
#[derive(Debug)]
pub(crate) struct Ceiling {
    pub(crate) factor: f64,
}

impl Sizing for Ceiling {
    fn size(&self, ahead: &Ahead, scene: &Scene<'_>) -> Option<Sized> {
        let (soon, later) = (ahead.soon.q50 * self.factor, ahead.later.q50 * self.factor);
        covering(soon, later, scene).map(Sized::at_least_one)
    }
}
