//! Which methods a backtest runs, and the table of what they were worth.

use std::time::Instant;

use anyhow::{Result, bail};
use foresail_core::quantity::time::Span;
use foresail_models::forecast::Fit;
use foresail_models::forecast::backtest::{self, Backtest, Case, Plan, Scored, Window};
use foresail_models::forecast::score::{Loss, Scores};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::chosen::{KnobText, built};

/// Origins of one series that stay together when blocks are drawn.
const BLOCK_ORIGINS: usize = 6;

/// A forecaster with its knobs, under the name that the table has.
#[derive(Debug)]
pub struct Method {
    /// Its name in the table.
    pub name: String,
    /// The forecaster, not fitted.
    pub fit: Box<dyn Fit>,
    /// Its own history, where it is not the plan's.
    pub window: Option<Window>,
}

/// The protocol's own names, in the order of its table.
pub const PROTOCOL: [&str; 5] = ["last", "snaive", "snaive_scaled", "win60q", "autoets480"];

/// A forecaster of the registry with its knobs; `season` is for those that were not told one.
///
/// # Errors
/// An unknown name or a bad knob.
pub fn method(name: &str, knobs: &[KnobText], season: usize) -> Result<Method> {
    let own: Vec<KnobText> = knobs
        .iter()
        .filter(|k| k.forecaster == name)
        .cloned()
        .collect();
    Ok(Method {
        name: name.to_owned(),
        fit: built(name, &own, season, "--forecasters")?,
        window: None,
    })
}

/// The protocol's methods by the names of its table; another name is one of the registry.
///
/// # Errors
/// An unknown name, or a knob of a method whose knobs are the protocol's.
pub fn protocol_method(name: &str, knobs: &[KnobText], season: usize) -> Result<Method> {
    let fixed = |registry: &str, season: usize, given: &[(&str, &str)], window| {
        let given = given.iter().map(|(knob, value)| KnobText {
            forecaster: name.to_owned(),
            name: (*knob).to_owned(),
            value: (*value).to_owned(),
        });
        let given: Vec<KnobText> = given.collect();
        Ok(Method {
            name: name.to_owned(),
            fit: built(registry, &given, season, "--forecasters")?,
            window,
        })
    };
    if PROTOCOL.contains(&name)
        && let Some(knob) = knobs.iter().find(|k| k.forecaster == name)
    {
        bail!(
            "--knob {name}.{}: the protocol fixes the knobs of {name}",
            knob.name
        );
    }
    match name {
        "snaive" => fixed("seasonal-naive", season, &[], None),
        "snaive_scaled" => fixed("seasonal-naive-scaled", season, &[], None),
        "win60q" => fixed("moving-quantile", 0, &[], None),
        "autoets480" => fixed("ets", 1, &[("form", "AZN")], Some(Window::Sliding(480))),
        // The season is for it to find.
        _ => method(name, knobs, 0),
    }
}

/// One line of the table: one method on one set, one step ahead.
#[derive(Clone, Debug)]
pub struct Row {
    /// The set.
    pub set: String,
    /// Number of its series.
    pub series: usize,
    /// The method.
    pub method: String,
    /// Steps ahead.
    pub ahead: usize,
    /// What it was worth.
    pub scores: Scores,
    /// Mean time of a fit.
    pub fit: Span,
    /// Mean time of a forecast.
    pub forecast: Span,
}

/// What one method gave on one set.
#[derive(Debug)]
pub struct Outcome {
    /// The method.
    pub method: String,
    /// Series by series.
    pub results: Vec<Backtest>,
}

impl Outcome {
    /// Every loss of one step ahead.
    pub fn losses(&self, ahead: usize) -> impl Iterator<Item = &Loss> {
        let scored = self.results.iter().flat_map(|r| &r.scored);
        scored.filter(move |s| s.ahead == ahead).map(|s| &s.loss)
    }

    /// Something of every loss of one step ahead, in blocks of neighbouring origins.
    #[must_use]
    pub fn blocks(&self, ahead: usize, of: impl Fn(&Scored) -> f64) -> Vec<Vec<f64>> {
        let mut blocks = Vec::new();
        for result in &self.results {
            let values: Vec<f64> = result
                .scored
                .iter()
                .filter(|s| s.ahead == ahead)
                .map(&of)
                .collect();
            blocks.extend(values.chunks(BLOCK_ORIGINS).map(<[f64]>::to_vec));
        }
        blocks
    }

    fn rows<'a>(&'a self, set: &'a str, plan: &'a Plan) -> impl Iterator<Item = Row> + 'a {
        let mean = |of: fn(&Backtest) -> (usize, Span)| {
            let (count, sum) = self
                .results
                .iter()
                .map(of)
                .fold((0, 0), |(n, s), (c, t)| (n + c, s + t.nanos()));
            Span::from_nanos(sum / i64::try_from(count.max(1)).unwrap_or(1))
        };
        let (fit, forecast) = (mean(|b| b.fits), mean(|b| b.forecasts));
        plan.ahead.iter().map(move |ahead| Row {
            set: set.to_owned(),
            series: self.results.len(),
            method: self.method.clone(),
            ahead: *ahead,
            scores: Scores::of(self.losses(*ahead)),
            fit,
            forecast,
        })
    }
}

/// A method that could not be run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The set.
    pub set: String,
    /// The method.
    pub method: String,
    /// Why; names the series and the step where it failed there.
    pub why: String,
}

/// Runs every method on a set, many at once; outcomes in the order of the methods.
///
/// A method whose fit or forecast fails on a series is left out whole.
pub fn run(
    set: &str,
    methods: &[Method],
    cases: &[Case],
    plan: &Plan,
    done: &(dyn Fn(&Case) + Sync),
) -> (Vec<Outcome>, Vec<LeftOut>) {
    let begun = Instant::now();
    let clock = || Span::from_nanos(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX));
    let one = |method: &Method| {
        let plan = Plan {
            window: method.window.unwrap_or(plan.window),
            ..plan.clone()
        };
        match backtest::run(method.fit.as_ref(), cases, &plan, &clock, done) {
            Ok(results) => Ok(Outcome {
                method: method.name.clone(),
                results,
            }),
            Err(error) => Err(LeftOut {
                set: set.to_owned(),
                method: method.name.clone(),
                why: error.to_string(),
            }),
        }
    };
    let ran: Vec<_> = methods.par_iter().map(one).collect();
    let (mut outcomes, mut left_out) = (Vec::new(), Vec::new());
    for result in ran {
        match result {
            Ok(outcome) => outcomes.push(outcome),
            Err(left) => left_out.push(left),
        }
    }
    (outcomes, left_out)
}

/// The rows of every method on one set.
#[must_use]
pub fn rows(set: &str, outcomes: &[Outcome], plan: &Plan) -> Vec<Row> {
    outcomes.iter().flat_map(|o| o.rows(set, plan)).collect()
}

/// The columns of the table.
pub const COLUMNS: [&str; 15] = [
    "set",
    "series",
    "points",
    "method",
    "h",
    "mase",
    "wape",
    "spb",
    "cov80",
    "cov95",
    "crps",
    "width80",
    "width95",
    "fit_ms",
    "forecast_us",
];

impl Row {
    /// The row as texts, in the order of [`COLUMNS`].
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let s = &self.scores;
        let three = |v: f64| format!("{v:.3}");
        let whole = |v: f64| format!("{:.0}", v.round_ties_even());
        vec![
            self.set.clone(),
            self.series.to_string(),
            s.points.to_string(),
            self.method.clone(),
            self.ahead.to_string(),
            three(s.mase),
            three(s.wape),
            three(s.pinball),
            whole(s.coverage_percent[0]),
            whole(s.coverage_percent[1]),
            three(s.crps),
            three(s.width[0]),
            three(s.width[1]),
            three(self.fit.seconds() * 1e3),
            format!("{:.1}", self.forecast.seconds() * 1e6),
        ]
    }

    /// The row for programs; numbers are not rounded.
    #[must_use]
    pub fn json(&self) -> Value {
        let s = &self.scores;
        json!({
            "set": self.set, "series": self.series, "points": s.points, "method": self.method,
            "h": self.ahead, "mase": s.mase, "wape": s.wape, "spb": s.pinball,
            "cov80": s.coverage_percent[0], "cov95": s.coverage_percent[1], "crps": s.crps,
            "width80": s.width[0], "width95": s.width[1],
            "fit_ms": self.fit.seconds() * 1e3, "forecast_us": self.forecast.seconds() * 1e6,
        })
    }
}
