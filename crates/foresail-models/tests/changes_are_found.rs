//! Shifts of level are found in time and hardly ever where there are none.
//!
//! What is expected comes from forecasters of the registry, fitted and kept up as a proposer does it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::collections::{BTreeMap, VecDeque};

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::Forecaster;
use foresail_models::forecast::change::{Change, Detector, LEAD};
use foresail_models::registry::forecaster;
use foresail_models::rng::{Seed, child, uniform};
use serde_json::json;
use statrs::distribution::{ContinuousCDF, Normal};

const WEEK: usize = 10_080;

/// Shifts are looked for after a day.
const BEFORE: usize = 1440;

/// Noise around a level, by the uniform number of a step.
type Noise = fn(level: f64, uniform: f64) -> f64;

/// The quantile of a Poisson distribution: inversion, exact.
fn poisson(level: f64, uniform: f64) -> f64 {
    let (mut count, mut chance) = (0.0, (-level).exp());
    let mut sum = chance;
    while sum < uniform && count < 10.0 * level + 100.0 {
        count += 1.0;
        chance *= level / count;
        sum += chance;
    }
    count
}

fn lognormal(level: f64, uniform: f64) -> f64 {
    level * (0.2 * Normal::standard().inverse_cdf(uniform.clamp(1e-12, 1.0 - 1e-12))).exp()
}

const NOISES: [(&str, Noise, f64); 2] = [
    ("Poisson", poisson, 50.0),
    ("log-normal", lognormal, 6000.0),
];

fn series(noise: Noise, seed: u64, count: usize, level: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut stream = child(Seed(seed), "change test");
    (0..count)
        .map(|i| noise(level(i), uniform(&mut stream)))
        .collect()
}

fn fitted(name: &str, knobs: &[(&str, f64)], first: &[f64]) -> Box<dyn Forecaster> {
    let knobs: BTreeMap<_, _> = knobs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), json!(v)))
        .collect();
    let (start, step) = (Timestamp::from_seconds(0), Span::from_seconds(60));
    let history = Series::new(start, step, first.to_vec());
    let unfitted = forecaster(name, &knobs, "test").expect("known");
    unfitted.fit(&history, Seed(1)).expect("fitted")
}

/// Every change that is told, by its step, where the first `known` values are the history.
fn told(mut model: Box<dyn Forecaster>, values: &[f64], known: usize) -> Vec<(usize, Change)> {
    let mut detector = Detector::default();
    let mut said: VecDeque<f64> = VecDeque::new();
    let mut found = Vec::new();
    for (i, value) in values.iter().enumerate().skip(known) {
        if said.len() == LEAD {
            let expected = said.pop_front().expect("said");
            found.extend(detector.observe(expected, *value).map(|c| (i, c)));
        }
        model.update(Some(*value));
        let forecast = model.forecast(LEAD, &[0.5]).expect("a forecast");
        said.push_back(forecast.median(LEAD).expect("within reach"));
    }
    found
}

/// The forecasters that a shift must be seen with: a level, the last value.
const LEVELS: [(&str, &[(&str, f64)]); 2] =
    [("moving-quantile", &[("windowSteps", 60.0)]), ("last", &[])];

#[test]
fn shifts_to_twice_and_half_are_found_within_15_samples_in_95_of_100_seeds() {
    for (name, noise, level) in NOISES {
        for (model, knobs) in LEVELS {
            for factor in [2.0, 0.5] {
                let (mut in_time, mut right) = (0, 0);
                for seed in 0..100 {
                    let shifted = |i| if i < BEFORE { level } else { factor * level };
                    let values = series(noise, seed, BEFORE + 15, shifted);
                    let model = fitted(model, knobs, &values[..60]);
                    let found = told(model, &values, 60);
                    let after = found.iter().find(|(i, _)| *i >= BEFORE);
                    in_time += usize::from(after.is_some());
                    let near = |c: &Change| (c.factor / factor).ln().abs() < 0.25;
                    right += usize::from(after.is_some_and(|(_, c)| near(c)));
                }
                let case = format!("{name}, {model}, ×{factor}: {in_time} in time, {right} right");
                println!("{case}");
                assert!(in_time >= 95 && right >= 85, "{case}");
            }
        }
    }
}

#[test]
fn a_stationary_week_brings_at_most_one_false_alarm() {
    for (name, noise, level) in NOISES {
        for (model, knobs) in LEVELS {
            let mut alarms = 0;
            for seed in 100..200 {
                let values = series(noise, seed, WEEK + 60, |_| level);
                let found = told(fitted(model, knobs, &values[..60]), &values, 60);
                assert!(found.len() <= 1, "{name}, {model}, seed {seed}: {found:?}");
                alarms += found.len();
            }
            println!("{name}, {model}: {alarms} alarms in 100 weeks");
        }
    }
}

#[test]
fn a_day_that_repeats_is_no_change_and_a_shift_of_it_is_one() {
    let level = |i: usize| 500.0 + 450.0 * (i as f64 / 1440.0 * std::f64::consts::TAU).sin();
    for seed in 0..10 {
        let values = series(lognormal, seed, 2 * WEEK, level);
        let known = WEEK / 7 * 2;
        let model = || {
            fitted(
                "seasonal-naive",
                &[("seasonSteps", 1440.0)],
                &values[..known],
            )
        };
        let found = told(model(), &values, known);
        assert_eq!(found, [], "seed {seed}");
        let at = 9000;
        let shift = |i: usize| if i < at { level(i) } else { 2.0 * level(i) };
        let shifted = series(lognormal, seed, at + 15, shift);
        let found = told(model(), &shifted, known);
        assert!(
            found.iter().any(|(i, _)| *i >= at),
            "seed {seed}: {found:?}"
        );
    }
}

#[test]
fn bursts_of_three_minutes_are_hardly_ever_a_change() {
    let mut alarms = 0;
    for seed in 0..20 {
        let burst = |i: usize| if i % 500 >= 497 { 1000.0 } else { 50.0 };
        let values = series(poisson, seed, WEEK, burst);
        let model = fitted("moving-quantile", &[("windowSteps", 60.0)], &values[..60]);
        alarms += told(model, &values, 60).len();
    }
    println!("{alarms} alarms in 400 bursts");
    assert!(alarms <= 4, "{alarms}");
}

#[test]
fn a_walk_without_a_level_is_hardly_ever_a_change() {
    let mut alarms = 0;
    for seed in 0..20 {
        let mut stream = child(Seed(seed), "walk");
        let mut level: f64 = 8.0;
        let mut step = || {
            level += 0.02 * (uniform(&mut stream) - 0.5);
            level.exp()
        };
        let values: Vec<f64> = (0..WEEK).map(|_| step()).collect();
        alarms += told(fitted("last", &[], &values[..60]), &values, 60).len();
    }
    println!("{alarms} alarms in 20 weeks of a walk");
    assert!(alarms <= 20, "{alarms}");
}
