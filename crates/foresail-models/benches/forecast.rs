//! Fits of the classic forecasters and forecasts of fitted ones, in CPU time of one thread.
//!
//! Prints one JSON line per row. `FORESAIL_PEERS` names the folder of the peer scripts and
//! `FORESAIL_PYTHON` a Python with statsforecast: then the same series go through the peer in the
//! same run, and the ratio of CPU times stands in the row. The series are those of the peers'
//! `gen.py`: SplitMix64 and Box-Muller, checked by their sum.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

mod support;

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::LEVELS;
use foresail_models::registry::{FORECASTERS, forecaster};
use foresail_models::rng::Seed;
use serde_json::{Value, json};
use support::{median, normals, peer, round, splitmix, timed};

const LENGTH: usize = 720;
const SERIES: usize = 1000;
/// Series that are fitted; as many as the peer gets.
const FITTED: usize = 20;
/// Sum of all generated values; stands in the peers' README as well.
const SUM: f64 = 188_500_302.560_749_35;

/// Hourly series: a level, a trend, a day and its half, noise.
fn generated() -> Vec<Vec<f64>> {
    let tau = std::f64::consts::TAU;
    let (p, z) = (splitmix(7, SERIES * 5), normals(8, SERIES * LENGTH));
    let one = |i: usize| {
        let p = &p[i * 5..i * 5 + 5];
        let level = 20.0 + 480.0 * p[0];
        let value = |t: usize| {
            let at = t as f64;
            let day = (tau * (at / 24.0 + p[1])).sin() * (0.1 + 0.5 * p[2]);
            let half = 0.15 * (2.0 * tau * at / 24.0).cos();
            let trend = (p[3] - 0.5) * 0.6 * at / LENGTH as f64;
            let noise = (0.02 + 0.1 * p[4]) * z[i * LENGTH + t];
            let value = level * (1.0 + day + half + trend + noise);
            if value > 1.0 { value } else { 1.0 }
        };
        (0..LENGTH).map(value).collect()
    };
    (0..SERIES).map(one).collect()
}

fn series(values: &[f64]) -> Series {
    let start = Timestamp::from_seconds(0);
    Series::new(start, Span::from_seconds(3600), values.to_vec())
}

/// CPU milliseconds of the peer per series; `None` where there is none.
fn peer_of(model: &str) -> Option<f64> {
    let fitted = FITTED.to_string();
    let rows = peer("fc_statsforecast.py", &["--n", &fitted, "--model", model]);
    rows.first()?["cpu_ms_per_series"].as_f64()
}

/// Median of three runs over the series: fit, and one forecast of 24 steps as the peer does it.
fn fits(name: &str, knobs: &Value, model: &str, all: &[Vec<f64>]) {
    let knobs: BTreeMap<String, Value> = serde_json::from_value(knobs.clone()).expect("a map");
    let fit = forecaster(name, &knobs, "forecaster").expect("valid knobs");
    let seconds = median(|| {
        for values in &all[..FITTED] {
            let fitted = fit.fit(&series(values), Seed(1)).expect("a fit");
            std::hint::black_box(fitted.forecast(24, &LEVELS).expect("a forecast"));
        }
    });
    let own = 1e3 * seconds / FITTED as f64;
    let mut row = json!({"bench": "fit", "forecaster": name, "knobs": knobs, "points": LENGTH,
        "series": FITTED, "cpu_ms_per_series": round(own), "threads": 1});
    if let Some(theirs) = peer_of(model) {
        row["peer_cpu_ms_per_series"] = json!(theirs);
        row["ratio"] = json!(round(theirs / own));
    }
    println!("{row}");
}

/// Microseconds of one forecast of 60 steps at seven levels, for every forecaster.
fn forecasts(values: &[f64]) {
    for entry in FORECASTERS {
        let fit = forecaster(entry.name, &BTreeMap::new(), "forecaster").expect("no knobs");
        let Ok(fitted) = fit.fit(&series(values), Seed(1)) else {
            println!(
                "{}",
                json!({"bench": "forecast", "forecaster": entry.name, "fit": false})
            );
            continue;
        };
        let once = || {
            std::hint::black_box(fitted.forecast(60, &LEVELS).expect("a forecast"));
        };
        let first = timed(once);
        let rounds = if first > 1e-3 { 10 } else { 1000 };
        let seconds = timed(|| (0..rounds).for_each(|_| once()));
        let micros = round(1e6 * seconds / f64::from(rounds));
        println!(
            "{}",
            json!({"bench": "forecast", "forecaster": entry.name, "steps": 60, "levels": 7,
                "cpu_us": micros, "fitted": fitted.summary()})
        );
    }
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let all = generated();
    let sum: f64 = all.iter().flatten().sum();
    assert!((sum / SUM - 1.0).abs() < 1e-12, "the series differ: {sum}");
    let day = json!({"seasonSteps": 24});
    fits("ets", &day, "autoets", &all);
    fits(
        "ets",
        &json!({"form": "AAA", "seasonSteps": 24}),
        "ets_aaa",
        &all,
    );
    fits("mstl", &json!({"seasons": [24, 168]}), "mstl", &all);
    fits("theta", &day, "theta", &all);
    fits("holt-winters", &day, "none", &all);
    fits("tsb", &json!({}), "none", &all);
    forecasts(&all[0]);
}
