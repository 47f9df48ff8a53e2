//! `persistence`: as many replicas as the last value fills; what every forecast must beat.

use super::on_forecast::{HISTORY, HORIZON, OnForecast, REFIT, Settings};
use super::simple_ceiling::Ceiling;
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "persistence",
    summary: "the last value over the capacity of a replica, at least 1",
    knobs: &[HORIZON, HISTORY, REFIT],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build, 0.5)?;
    let sizing = Box::new(Ceiling { factor: 1.0 });
    Ok(Box::new(OnForecast::new("persistence", settings, sizing)))
}
