//! `confidence-aware`: as many replicas as the upper quantile of the forecast fills.
//!
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications, src/policies.py, policy
//! `conf`: the upper edge of Prophet's 80 % band.

use super::on_forecast::{
    Ahead, FORECASTER, FORECASTER_KNOBS, HISTORY, HORIZON, OnForecast, REFIT, Scene, Settings,
    Sized, Sizing,
};
use super::predictive::Level;
use crate::knobs::Knob;
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "confidence-aware",
    summary: "the upper quantile of a forecast over the capacity of a replica, at least 1",
    knobs: &[
        FORECASTER,
        FORECASTER_KNOBS,
        Knob::number(
            "levelPercent",
            [90.0, 50.0, 99.9],
            "the quantile; 90 is the upper edge of an 80 % band",
        ),
        HORIZON,
        HISTORY,
        REFIT,
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build, build.knobs.number("levelPercent") / 100.0)?;
    let sizing = Box::new(LevelOrOne);
    Ok(Box::new(OnForecast::new(
        "confidence-aware",
        settings,
        sizing,
    )))
}

/// The quantile, at least one replica.
#[derive(Debug)]
struct LevelOrOne;

impl Sizing for LevelOrOne {
    fn size(&self, ahead: &Ahead, scene: &Scene<'_>) -> Option<Sized> {
        Level.size(ahead, scene).map(Sized::at_least_one)
    }
}
