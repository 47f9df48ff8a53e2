//! Seasons as Fourier series of calendar time, and the rules by which Prophet switches them on.
//!
//! The phase is absolute: days count from 1970-01-01 UTC, so that a forecast needs no memory of
//! where the season stood. Source: facebook/prophet 1.5.0: python/prophet/forecaster.py
//! (`fourier_series`, `set_auto_seasonalities`).

use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;

/// The most Fourier pairs of one season.
pub const ORDER_MAX: usize = 50;

/// How a part enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is added to the trend.
    #[default]
    Additive,
    /// It multiplies the trend: `trend·(1 + part)`.
    Multiplicative,
}

/// Whether one of the three seasons that every calendar has is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// By Prophet's rule.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always, with so many Fourier pairs.
    Order(usize),
}

/// One season.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Season {
    /// Its name.
    pub name: String,
    /// Its length in days.
    pub days: f64,
    /// Its Fourier pairs.
    pub order: usize,
    /// Standard deviation of the prior of its coefficients.
    pub scale: f64,
    /// How it enters.
    pub mode: Mode,
}

/// One of the three seasons of the calendar, with Prophet's length and order.
struct Calendar {
    name: &'static str,
    days: f64,
    order: usize,
    /// History in days from which it is on.
    history_days: i64,
    /// Longest step in days, itself left out, with which it is on.
    step_days: i64,
}

const YEARLY: Calendar = Calendar {
    name: "yearly",
    days: 365.25,
    order: 10,
    history_days: 730,
    step_days: i64::MAX / 86_400,
};
const WEEKLY: Calendar = Calendar {
    name: "weekly",
    days: 7.0,
    order: 3,
    history_days: 14,
    step_days: 7,
};
const DAILY: Calendar = Calendar {
    name: "daily",
    days: 1.0,
    order: 4,
    history_days: 2,
    step_days: 1,
};

/// The seasons of the calendar that are on, in Prophet's order.
///
/// Yearly from 730 days of history, weekly from 14 with a step below 7 days, daily from 2 with a
/// step below a day; `span` is from the first row to the last, `step` the shortest between two. An
/// own season of the same name takes its place.
pub(super) fn calendar(
    switches: [Switch; 3],
    own: &[Season],
    [span, step]: [Span; 2],
    (scale, mode): (f64, Mode),
) -> Vec<Season> {
    let mut seasons = Vec::new();
    for (switch, rule) in switches.into_iter().zip([YEARLY, WEEKLY, DAILY]) {
        let days = |days: i64| Span::from_seconds(days.saturating_mul(86_400));
        let named = own.iter().any(|s| s.name == rule.name);
        let long = span >= days(rule.history_days) && step < days(rule.step_days);
        let order = match switch {
            Switch::Order(order) if !named => order,
            Switch::Auto if long && !named => rule.order,
            Switch::Auto | Switch::Off | Switch::Order(_) => 0,
        };
        if order > 0 {
            seasons.push(Season {
                name: rule.name.to_owned(),
                days: rule.days,
                order,
                scale,
                mode,
            });
        }
    }
    seasons
}

/// Days since 1970-01-01.
pub(super) fn days_of(time: Timestamp) -> f64 {
    time.nanos() as f64 / DAY
}

impl Season {
    /// Writes sine and cosine of each order at `days` to `out`.
    ///
    /// Shapes: `out` holds twice the order. Orders follow from the first one by the angle-sum
    /// formulas, which lose 1e-15 an order and save all but two calls.
    pub(super) fn fill(&self, days: f64, out: &mut [f64]) {
        let turns = days / self.days;
        let (s1, c1) = (std::f64::consts::TAU * (turns - turns.floor())).sin_cos();
        let (mut s, mut c) = (s1, c1);
        for pair in out.chunks_exact_mut(2) {
            pair[0] = s;
            pair[1] = c;
            (s, c) = (s * c1 + c * s1, c * c1 - s * s1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(days: i64, extra_minutes: i64, step_minutes: i64) -> Vec<String> {
        let span = Span::from_seconds(86_400 * days + 60 * extra_minutes);
        let step = Span::from_seconds(60 * step_minutes);
        let found = calendar([Switch::Auto; 3], &[], [span, step], (10.0, Mode::Additive));
        found.into_iter().map(|s| s.name).collect()
    }

    #[test]
    fn weekly_needs_fourteen_days_between_first_and_last_row() {
        // 20,160 rows of a minute span one minute less than 14 days, 20,161 span them whole.
        assert_eq!(names(14, -1, 1), ["daily"]);
        assert_eq!(names(14, 0, 1), ["weekly", "daily"]);
    }

    #[test]
    fn each_rule_has_its_edge_in_span_and_step() {
        assert_eq!(names(730, 0, 60), ["yearly", "weekly", "daily"]);
        assert_eq!(names(730, -1, 60), ["weekly", "daily"]);
        assert_eq!(names(730, 0, 1440), ["yearly", "weekly"]);
        assert_eq!(names(730, 0, 7 * 1440), ["yearly"]);
        assert_eq!(names(2, -1, 1), [""; 0]);
    }
}
