//! The classic forecasters against statsforecast and statsmodels, by `tests/reference/classic.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::Forecaster;
use foresail_models::forecast::ets::form::{Error, Form, SeasonForm, Trend, forms};
use foresail_models::forecast::ets::likelihood::Likelihood;
use foresail_models::forecast::ets::state::{Smoothing, State};
use foresail_models::forecast::ets::{Ets, FittedEts};
use foresail_models::forecast::holt_winters::HoltWinters;
use foresail_models::forecast::mstl::{Mstl, decompose};
use foresail_models::forecast::reach::Reach;
use foresail_models::forecast::stl::Stl;
use foresail_models::forecast::theta::Theta;
use foresail_models::registry::forecaster;
use foresail_models::rng::Seed;
use serde_json::{Value, json};

const HORIZON: usize = 36;

fn golden() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/forecast/classic.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value}"));
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn values(golden: &Value, row: &Value) -> Vec<f64> {
    let name = row["series"].as_str().unwrap();
    numbers(&golden["series"][name]["values"])
}

fn series(values: Vec<f64>) -> Series {
    Series::new(Timestamp::from_seconds(0), Span::from_seconds(60), values)
}

fn rows(golden: &Value, key: &str) -> Vec<Value> {
    golden[key].as_array().unwrap().clone()
}

/// Every number within `tolerance` of the other, in units of `scale`.
#[track_caller]
fn close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64, scale: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let wrong = (a - b).abs() / scale;
        assert!(
            wrong <= tolerance,
            "{what}, place {i}: {a} and {b}, {wrong:e}"
        );
    }
}

#[test]
fn every_form_of_ets_is_fitted_at_least_as_well() {
    let golden = golden();
    for row in rows(&golden, "ets") {
        let steps = number(&row["season"]) as usize;
        let history = series(values(&golden, &row));
        for form in forms("auto", "auto") {
            let Some(theirs) = row["aicc"][form.to_string()].as_f64() else {
                continue;
            };
            let ets = Ets {
                forms: vec![form],
                season: steps,
                ..Ets::default()
            };
            let fitted = ets.fit_whole(&history);
            let fitted = fitted.unwrap_or_else(|e| panic!("{} {form}: {e}", row["series"]));
            let over = fitted.aicc() - theirs;
            assert!(over < 0.05, "{} {form}: {over}", row["series"]);
        }
    }
}

#[test]
fn the_form_that_ets_chooses_is_as_good_and_forecasts_alike() {
    let golden = golden();
    for row in rows(&golden, "ets") {
        let name = row["series"].as_str().unwrap();
        let ets = Ets {
            season: number(&row["season"]) as usize,
            ..Ets::default()
        };
        let fitted = ets.fit_whole(&series(values(&golden, &row))).unwrap();
        assert!(fitted.aicc() < number(&row["chosen_aicc"]) + 0.05, "{name}");
        let (points, spread) = fitted.moments(HORIZON);
        let deviation = spread[0];
        // Where the form is theirs: within half a deviation of one step, and bands alike.
        if fitted.form().to_string() != row["chosen"].as_str().unwrap() {
            println!("{name}: {} here, {} there", fitted.form(), row["chosen"]);
            continue;
        }
        close(name, &points, &numbers(&row["mean"]), 0.5, deviation);
        let (low, high) = (numbers(&row["lo-80"]), numbers(&row["hi-80"]));
        let theirs = (high[0] - low[0]) / 2.0 / number(&golden["normal_90"]);
        assert!(
            (deviation / theirs - 1.0).abs() < 0.06,
            "{name}: {deviation} {theirs}"
        );
    }
}

fn fixed_form(row: &Value) -> Form {
    Form {
        error: match row["error"].as_str() {
            Some("M") => Error::Multiplicative,
            _ => Error::Additive,
        },
        trend: match (row["trend"].as_str(), row["damped"].as_bool()) {
            (Some("N"), _) => Trend::None,
            (_, Some(true)) => Trend::Damped,
            _ => Trend::Additive,
        },
        season: match row["seasonal"].as_str() {
            Some("N") => SeasonForm::None,
            Some("A") => SeasonForm::Additive,
            _ => SeasonForm::Multiplicative,
        },
    }
}

fn fixed_start(row: &Value) -> (Smoothing, State) {
    let smoothing = Smoothing {
        alpha: number(&row["alpha"]),
        beta: number(&row["beta"]),
        gamma: number(&row["gamma"]),
        phi: number(&row["phi"]),
    };
    let state = State {
        level: number(&row["level"]),
        trend: number(&row["slope"]),
        season: numbers(&row["seasons"]),
        at: 0,
    };
    (smoothing, state)
}

#[test]
fn likelihood_and_forecast_of_given_parameters_equal_the_libraries() {
    let golden = golden();
    let fixed = rows(&golden, "fixed");
    assert_eq!(fixed.len(), 36);
    for row in fixed {
        let (values, form) = (values(&golden, &row), fixed_form(&row));
        let (smoothing, mut state) = fixed_start(&row);
        let n = values.len() as f64;
        let mut likelihood = Likelihood::new(&values, form);
        let ours = likelihood.value(&smoothing, &mut state);
        let (theirs, what) = (number(&row["value"]), format!("{} {form}", row["series"]));
        close(&what, &[ours], &[theirs], 1e-10, theirs.abs());
        let reach = Reach::of(&values).unwrap();
        let variance = likelihood.squares() / n;
        let fitted = FittedEts::given(form, smoothing, state, variance, reach);
        let (points, spread) = fitted.moments(HORIZON);
        if let Some(mean) = row.get("mean") {
            close(&what, &points, &numbers(mean), 1e-10, points[0].abs());
        }
        if let Some(variances) = row.get("variance") {
            let ours: Vec<f64> = spread.iter().map(|s| s * s).collect();
            close(&what, &ours, &numbers(variances), 1e-9, ours[HORIZON - 1]);
        }
    }
}

/// The spread of many simulated paths is the one that the forecast states.
#[test]
fn stated_deviations_are_those_of_simulated_paths() {
    let golden = golden();
    for row in rows(&golden, "fixed") {
        let (values, form) = (values(&golden, &row), fixed_form(&row));
        let (smoothing, mut state) = fixed_start(&row);
        Likelihood::new(&values, form).value(&smoothing, &mut state);
        let relative = form.error == Error::Multiplicative;
        let variance = if relative { 0.0016 } else { 16.0 };
        let reach = Reach::of(&values).unwrap();
        let fitted = FittedEts::given(form, smoothing, state, variance, reach);
        let (_, spread) = fitted.moments(HORIZON);
        let count = 6000;
        let paths = fitted.raw_paths(HORIZON, count, Seed(5));
        for step in [0, 5, 12, 35] {
            let at = |path: usize| paths.values[path * HORIZON + step];
            let mean = (0..count).map(at).sum::<f64>() / count as f64;
            let squares: f64 = (0..count).map(|p| (at(p) - mean).powi(2)).sum();
            let simulated = (squares / count as f64).sqrt();
            let ratio = spread[step] / simulated;
            let what = format!("{} {form} step {step}: {ratio}", row["series"]);
            assert!((ratio - 1.0).abs() < 0.06, "{what}");
        }
    }
}

#[test]
fn holt_winters_equals_statsmodels_and_fits_as_well() {
    let golden = golden();
    for row in rows(&golden, "holt_winters") {
        let values = values(&golden, &row);
        let damped = row["damped"].as_bool().unwrap();
        let factor = row["seasonal"].as_str() == Some("mul");
        let method = HoltWinters {
            factor,
            damped,
            season: number(&row["season"]) as usize,
        };
        let seasonal = row["seasonal"].is_string();
        let form = method.forms()[usize::from(!seasonal)];
        let what = format!("{} {form}", row["series"]);
        let (mut smoothing, mut state) = fixed_start(&row);
        // Theirs is the share of the slope within the level's correction.
        smoothing.beta *= smoothing.alpha;
        let mut likelihood = Likelihood::new(&values, form);
        likelihood.value(&smoothing, &mut state);
        let sse = number(&row["sse"]);
        close(&what, &[likelihood.squares()], &[sse], 1e-8, sse);
        let reach = Reach::of(&values).unwrap();
        let given = FittedEts::given(form, smoothing, state, 1.0, reach);
        let (points, _) = given.moments(HORIZON);
        close(&what, &points, &numbers(&row["mean"]), 1e-8, points[0]);
        let fitted = method.fit_whole(&series(values.clone())).unwrap();
        let free = values.len() - form.estimated(number(&row["season"]) as usize) - 1;
        let own = fitted.variance() * free as f64;
        assert!(own < 1.002 * sse, "{what}: {own} {sse}");
    }
}

#[test]
fn stl_and_mstl_take_the_series_apart_as_statsmodels_does() {
    let golden = golden();
    for row in rows(&golden, "stl") {
        let values = values(&golden, &row);
        let stl = Stl::new(values.len(), number(&row["period"]) as usize, 11).unwrap();
        let (season, trend) = stl.run(&values);
        let scale = trend[0];
        close("season", &season, &numbers(&row["seasonal"]), 1e-10, scale);
        close("trend", &trend, &numbers(&row["trend"]), 1e-10, scale);
    }
    for row in rows(&golden, "mstl") {
        let values = values(&golden, &row);
        let seasons: Vec<usize> = numbers(&row["seasons"])
            .iter()
            .map(|s| *s as usize)
            .collect();
        let (parts, rest) = decompose(&values, &seasons);
        let mut sum = rest;
        for (part, theirs) in parts.iter().zip(row["parts"].as_array().unwrap()) {
            close("part", &part.values, &numbers(theirs), 1e-10, values[0]);
            sum.iter_mut().zip(&part.values).for_each(|(s, v)| *s += v);
        }
        close("sum", &sum, &values, 1e-12, values[0]);
        let fitted = Mstl { seasons }.fit_whole(&series(values)).unwrap();
        assert!(fitted.rest().aicc() < number(&row["chosen_aicc"]) + 0.05);
        let (points, spread) = fitted.moments(HORIZON);
        let what = row["series"].as_str().unwrap();
        if fitted.rest().form().to_string() == row["chosen"].as_str().unwrap() {
            close(what, &points, &numbers(&row["mean"]), 0.5, spread[0]);
        } else {
            println!(
                "{what}: {} here, {} there",
                fitted.rest().form(),
                row["chosen"]
            );
        }
    }
}

#[test]
fn theta_forecasts_as_statsforecast_does() {
    let golden = golden();
    for row in rows(&golden, "theta") {
        let what = row["series"].as_str().unwrap();
        let theta = Theta {
            season: number(&row["season"]) as usize,
        };
        let fitted = theta.fit_whole(&series(values(&golden, &row))).unwrap();
        assert_eq!(
            fitted.is_seasonal(),
            row["seasonal"].as_bool().unwrap(),
            "{what}"
        );
        let alpha = number(&row["alpha"]);
        assert!(
            (fitted.alpha() - alpha).abs() < 2e-3,
            "{what} {} {alpha}",
            fitted.alpha()
        );
        let (points, spread) = fitted.moments(HORIZON);
        close(
            what,
            &points,
            &numbers(&row["mean"]),
            0.02,
            fitted.deviation(),
        );
        // Their bands come from 200 draws, and after a season from its residuals put back.
        // With few points they widen as the line is moved by what was drawn.
        if !fitted.is_seasonal() && what != "short" {
            let sigma = number(&row["sigma"]);
            close(what, &[fitted.deviation()], &[sigma], 1e-3, sigma);
            let (low, high) = (numbers(&row["lo-80"]), numbers(&row["hi-80"]));
            let width: f64 = low.iter().zip(&high).map(|(l, h)| h - l).sum();
            let own: f64 = spread
                .iter()
                .map(|s| 2.0 * number(&golden["normal_90"]) * s)
                .sum();
            assert!((own / width - 1.0).abs() < 0.15, "{what}: {own} {width}");
        }
    }
}

#[test]
fn means_of_sparse_counts_equal_those_of_statsforecast() {
    let golden = golden();
    for row in rows(&golden, "sparse") {
        let history = series(values(&golden, &row));
        let cases = [
            ("croston", json!({"variant": "classic"}), "croston"),
            ("croston", json!({"variant": "sba"}), "sba"),
            ("tsb", json!({"alphaRate": 0.05}), "tsb"),
        ];
        for (name, knobs, key) in cases {
            let knobs: BTreeMap<String, Value> = serde_json::from_value(knobs).unwrap();
            let fit = forecaster(name, &knobs, "forecaster").unwrap();
            let fitted = fit.fit(&history, Seed(1)).unwrap();
            let parts = fitted.components(1);
            let mean = parts[0].values[0] * parts[1].values[0];
            let theirs = number(&row[key]);
            close(
                &format!("{} {key}", row["series"]),
                &[mean],
                &[theirs],
                1e-6,
                theirs,
            );
        }
    }
}

#[test]
fn a_constant_stays_and_is_sure() {
    let golden = golden();
    let values = numbers(&golden["series"]["constant"]["values"]);
    let fitted = Ets::default().fit_whole(&series(values)).unwrap();
    let forecast = fitted.forecast(HORIZON, &[0.025, 0.975]).unwrap();
    assert_eq!(forecast.at(HORIZON), Some(&[7.0, 7.0][..]));
}
