//! `buffered`: as many replicas as the median of the forecast and some percent more fill.
//!
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications, src/policies.py, policy
//! `buffered`.

use super::on_forecast::{
    FORECASTER, FORECASTER_KNOBS, HISTORY, HORIZON, OnForecast, REFIT, Settings,
};
use super::simple_ceiling::Ceiling;
use crate::knobs::Knob;
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "buffered",
    summary: "the median of a forecast and 15 % more over the capacity of a replica",
    knobs: &[
        FORECASTER,
        FORECASTER_KNOBS,
        Knob::number("bufferPercent", [15.0, 0.0, 1000.0], "how much more"),
        HORIZON,
        HISTORY,
        REFIT,
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build, 0.5)?;
    let factor = 1.0 + build.knobs.number("bufferPercent") / 100.0;
    Ok(Box::new(OnForecast::new(
        "buffered",
        settings,
        Box::new(Ceiling { factor }),
    )))
}
