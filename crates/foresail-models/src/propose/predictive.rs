//! `predictive`: the replicas that the demand ahead is worth, while the forecast is to be trusted.
//!
//! It looks as far ahead as a replica needs to start and the next decision to take effect, and covers
//! the quantile at which one replica more would cost as much as the violations that it spares. The
//! band is kept honest by what came. Where it holds too little, where the last value would have
//! erred less, or where demand leaves what was forecast, it has no wish and says why: the reactive
//! floor decides until the model has relearnt. What a replica serves and how long it starts is learnt
//! where the spec does not say it.

use super::on_forecast::{
    Ahead, FORECASTER, FORECASTER_KNOBS, HISTORY, HORIZON, OnForecast, REFIT, Scene, Settings,
    Sized, Sizing, covering,
};
use crate::forecast::trust::Demands;
use crate::knobs::Knob;
use crate::registry::{Build, Built, Entry};

/// Price of a violation.
///
/// A replica that is missing for a minute costs this many replica-minutes. Missing against the
/// target value, which leaves head-room to what a replica can do: that is not a broken promise yet,
/// so the price is not the promise's own. 9 makes the level 90 %.
/// Source of the default: specs/product_interface.md C.1, `quantilePercent`.
pub(super) const VIOLATION_PRICE: Knob = Knob::number(
    "violationPrice",
    [9.0, 1.0, 10_000.0],
    "what a missing replica costs against a spare one; the level covered is p / (p + 1)",
);

/// Coverage below which the forecast is not trusted.
/// Source of the default: specs/reliability.md 1.1 S4.
pub(super) const COVERAGE_MIN: Knob = Knob::number(
    "coveragePercentMin",
    [65.0, 0.0, 80.0],
    "coverage of the 80 % band below which there is no wish",
);

/// Error above which the forecast is not trusted: a fifth more than the last value's. Over 96
/// forecasts the share of two equally good ones strays by about 8 % from one.
pub(super) const ERROR_MAX: Knob = Knob::number(
    "errorPercentMax",
    [120.0, 50.0, 10_000.0],
    "error against the last value's above which there is no wish",
);

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "predictive",
    summary: "the demand ahead at the level that violations are worth, tripped where it errs",
    knobs: &[
        FORECASTER,
        FORECASTER_KNOBS,
        VIOLATION_PRICE,
        HORIZON,
        HISTORY,
        REFIT,
        COVERAGE_MIN,
        ERROR_MAX,
    ],
    build,
};

/// The level at which one replica more costs what it spares: the newsvendor's critical ratio.
///
/// Source: Arrow, Harris & Marschak, Optimal Inventory Policy, Econometrica 1951.
pub(super) fn critical_level(violation_price: f64) -> f64 {
    violation_price / (violation_price + 1.0)
}

/// What the forecast must hold to be trusted.
pub(super) fn demands(build: &Build<'_>) -> Demands {
    Demands {
        coverage_percent_min: build.knobs.number("coveragePercentMin"),
        error_percent_max: build.knobs.number("errorPercentMax"),
    }
}

fn build(build: &Build<'_>) -> Built {
    let level = critical_level(build.knobs.number("violationPrice"));
    let settings = Settings::new(build, level)?.watched(demands(build));
    Ok(Box::new(OnForecast::new(
        "predictive",
        settings,
        Box::new(Level),
    )))
}

/// The quantile at the level that was set.
#[derive(Debug)]
pub(crate) struct Level;

impl Sizing for Level {
    fn size(&self, ahead: &Ahead, scene: &Scene<'_>) -> Option<Sized> {
        covering(ahead.soon.sizing, ahead.later.sizing, scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_that_at_which_one_more_replica_pays() {
        assert!((critical_level(99.0) - 0.99).abs() < 1e-12);
        assert!((critical_level(1.0) - 0.5).abs() < 1e-12);
    }
}
