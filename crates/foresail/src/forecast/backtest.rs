//! Which methods a backtest runs, and the table of what they were worth.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, anyhow};
use foresail_core::quantity::time::Span;
use foresail_models::forecast::Fit;
use foresail_models::forecast::backtest::{self, Backtest, Case, Plan, Scored, Window};
use foresail_models::forecast::score::{Estimate, Loss, Scores, block_bootstrap};
use foresail_models::registry::{FORECASTERS, forecaster};
use foresail_models::rng::Seed;
use serde_json::{Value, json};

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

/// A forecaster of the registry with a season, where it has such a knob.
///
/// # Errors
/// An unknown name or a bad knob.
pub fn method(name: &str, season: usize) -> Result<Method> {
    let mut knobs = BTreeMap::new();
    let entry = FORECASTERS.iter().find(|e| e.name == name);
    let seasonal = entry.is_some_and(|e| e.knobs.iter().any(|k| k.name == "seasonSteps"));
    if seasonal && season > 0 {
        knobs.insert("seasonSteps".to_owned(), json!(season));
    }
    built(name, name, &knobs)
}

fn built(name: &str, registry: &str, knobs: &BTreeMap<String, Value>) -> Result<Method> {
    let fit = forecaster(registry, knobs, "--forecasters").map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("; "))
    })?;
    Ok(Method {
        name: name.to_owned(),
        fit,
        window: None,
    })
}

/// The protocol's methods by the names of its table; another name is one of the registry.
///
/// # Errors
/// An unknown name.
pub fn protocol_method(name: &str, season: usize) -> Result<Method> {
    let seasonal = BTreeMap::from([("seasonSteps".to_owned(), json!(season))]);
    match name {
        "last" => method("last", 0),
        "snaive" => built(name, "seasonal-naive", &seasonal),
        "snaive_scaled" => built(name, "seasonal-naive-scaled", &seasonal),
        "win60q" => built(name, "moving-quantile", &BTreeMap::new()),
        "autoets480" => {
            let knobs = BTreeMap::from([
                ("form".to_owned(), json!("AZN")),
                ("seasonSteps".to_owned(), json!(1)),
            ]);
            let mut method = built(name, "ets", &knobs)?;
            method.window = Some(Window::Sliding(480));
            Ok(method)
        }
        // The season is for it to find.
        _ => method(name, 0),
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

/// Runs a method on a set.
///
/// # Errors
/// Where a fit or a forecast fails; the text names method, series and step.
pub fn run(
    method: &Method,
    cases: &[Case],
    plan: &Plan,
    done: &(dyn Fn(&Case) + Sync),
) -> Result<Outcome> {
    let begun = Instant::now();
    let clock = || Span::from_nanos(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX));
    let plan = Plan {
        window: method.window.unwrap_or(plan.window),
        ..plan.clone()
    };
    let results = backtest::run(method.fit.as_ref(), cases, &plan, &clock, done)
        .map_err(|e| anyhow!("{}: {e}", method.name))?;
    Ok(Outcome {
        method: method.name.clone(),
        results,
    })
}

/// The rows of every method on one set.
#[must_use]
pub fn rows(set: &str, outcomes: &[Outcome], plan: &Plan) -> Vec<Row> {
    outcomes.iter().flat_map(|o| o.rows(set, plan)).collect()
}

/// One method beside the best of the others on one set.
#[derive(Clone, Debug)]
pub struct Duel {
    /// The set.
    pub set: String,
    /// Steps ahead.
    pub ahead: usize,
    /// Who has the least scaled pinball loss of the others.
    pub best: String,
    /// That loss.
    pub best_pinball: f64,
    /// The method's own loss.
    pub pinball: f64,
    /// Own loss minus the other's, with its interval over blocks.
    pub difference: Estimate,
    /// Own coverage of both bands in percent, with intervals over blocks.
    pub coverage: [Estimate; 2],
}

/// Sets a method against the best of the others, for each step ahead.
#[must_use]
pub fn duels(
    set: &str,
    name: &str,
    outcomes: &[Outcome],
    ahead: &[usize],
    seed: Seed,
) -> Vec<Duel> {
    let Some(own) = outcomes.iter().find(|o| o.method == name) else {
        return Vec::new();
    };
    let duel = |ahead: usize| {
        let loss = |o: &Outcome| Scores::of(o.losses(ahead)).pinball;
        let others = outcomes.iter().filter(|o| o.method != name);
        let best = others.min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
        let of = |o: &Outcome| o.blocks(ahead, |s| s.loss.pinball);
        let paired = of(own).into_iter().zip(of(best));
        let difference = |(a, b): (Vec<f64>, Vec<f64>)| {
            a.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<f64>>()
        };
        let blocks: Vec<Vec<f64>> = paired.map(difference).collect();
        let covered = |band: usize| {
            let share = |s: &Scored| if s.loss.inside[band] { 100.0 } else { 0.0 };
            block_bootstrap(&own.blocks(ahead, share), seed)
        };
        Some(Duel {
            set: set.to_owned(),
            ahead,
            best: best.method.clone(),
            best_pinball: loss(best),
            pinball: loss(own),
            difference: block_bootstrap(&blocks, seed),
            coverage: [covered(0), covered(1)],
        })
    };
    ahead.iter().filter_map(|a| duel(*a)).collect()
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

impl Duel {
    /// The duel for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "set": self.set, "h": self.ahead, "best": self.best, "best_spb": self.best_pinball,
            "spb": self.pinball, "difference": self.difference.mean,
            "difference_interval": self.difference.interval,
            "cov80": self.coverage[0].mean, "cov80_interval": self.coverage[0].interval,
            "cov95": self.coverage[1].mean, "cov95_interval": self.coverage[1].interval,
        })
    }

    /// Significantly worse: the whole interval of the difference lies above zero.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.difference.interval[0] > 0.0
    }
}
