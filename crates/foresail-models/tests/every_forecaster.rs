//! What every forecaster of the registry owes, whichever it is.
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
use foresail_models::forecast::{
    Fit, FitError, Forecast, ForecastError, Forecaster, HORIZON_MAX, LEVELS, saved,
};
use foresail_models::registry::{FORECASTERS, ForecasterEntry, forecaster};
use foresail_models::rng::{Seed, child, normal, uniform};
use serde_json::{Value, json};

const DAY: usize = 24;
const HORIZON: usize = 30;

fn series(values: Vec<f64>) -> Series {
    let start = Timestamp::from_seconds(1_767_571_200);
    Series::new(start, Span::from_seconds(3600), values)
}

/// A level, a slow drift, a day and noise; never below zero.
fn demand(seed: u64, points: usize) -> Vec<f64> {
    let mut stream = child(Seed(seed), "demand of the contract");
    let value = |i: usize| {
        let day = (std::f64::consts::TAU * i as f64 / DAY as f64).sin();
        let clean = 100.0 + 0.02 * i as f64 + 40.0 * day;
        let noisy = clean + 6.0 * normal(&mut stream);
        if noisy > 0.0 { noisy } else { 0.0 }
    };
    (0..points).map(value).collect()
}

/// Counts that are mostly zero.
fn sparse(seed: u64, points: usize) -> Vec<f64> {
    let mut stream = child(Seed(seed), "sparse of the contract");
    let mut count = |_| {
        let hit = uniform(&mut stream) < 0.2;
        f64::from(u8::from(hit)) * (1.0 + (3.0 * uniform(&mut stream)).floor())
    };
    (0..points).map(&mut count).collect()
}

/// Demand that repeats to the last bit, with its season: a smoothing fits it without any error.
fn exact(points: usize) -> [(&'static str, usize, Vec<f64>); 3] {
    let of = |value: fn(usize) -> usize| (0..points).map(|i| value(i) as f64).collect();
    [
        ("seven steps", 7, of(|i| 50 + i % 7)),
        (
            "one in twelve",
            12,
            of(|i| if i.is_multiple_of(12) { 30 } else { 0 }),
        ),
        ("ten levels", 10, of(|i| 1000 * (1 + i % 10))),
    ]
}

/// Knobs that keep the heavy ones cheap, and give the one that calibrates another a base that knows
/// seasons; every other forecaster is taken as it comes.
fn knobs(name: &str) -> BTreeMap<String, Value> {
    let small = json!({"windowSteps": 24, "horizonSteps": 12, "hidden": 12, "epochs": 12,
        "batch": 16, "passes": 20});
    let knobs = match name {
        "lstm" => small,
        "conformal" => json!({"base": "ets"}),
        _ => json!({}),
    };
    serde_json::from_value(knobs).unwrap()
}

fn unfitted(entry: &ForecasterEntry) -> Box<dyn Fit> {
    forecaster(entry.name, &knobs(entry.name), "forecaster")
        .unwrap_or_else(|p| panic!("{}: {p:?}", entry.name))
}

fn fitted(entry: &ForecasterEntry, values: Vec<f64>) -> Box<dyn Forecaster> {
    let fit = unfitted(entry).fit(&series(values), Seed(7));
    fit.unwrap_or_else(|e| panic!("{}: {e}", entry.name))
}

/// Forecasts and checks what every forecast owes.
#[track_caller]
fn checked(name: &str, forecaster: &dyn Forecaster, most: f64) -> Forecast {
    let forecast = forecaster.forecast(HORIZON, &LEVELS).unwrap();
    assert_eq!(forecast.steps(), HORIZON, "{name}");
    assert_eq!(forecast.levels(), LEVELS, "{name}");
    for ahead in 1..=HORIZON {
        let step = forecast.at(ahead).unwrap();
        assert!(step.is_sorted(), "{name}: {step:?} of step {ahead}");
        let inside = step
            .iter()
            .all(|q| q.is_finite() && *q >= 0.0 && *q <= most);
        assert!(inside, "{name}: {step:?} of step {ahead}, at most {most}");
    }
    assert_eq!(forecast.at(0), None, "{name}");
    assert_eq!(forecast.at(HORIZON + 1), None, "{name}");
    forecast
}

fn check_parts(name: &str, forecaster: &dyn Forecaster) {
    assert!(!forecaster.summary().is_empty(), "{name}");
    for part in forecaster.components(HORIZON) {
        assert_eq!(part.values.len(), HORIZON, "{name} {}", part.name);
        assert!(
            part.values.iter().all(|v| v.is_finite()),
            "{name} {}",
            part.name
        );
    }
    let paths = |seed| forecaster.paths(HORIZON, 20, Seed(seed));
    if let Some(drawn) = paths(1) {
        assert_eq!(
            (drawn.steps, drawn.values.len()),
            (HORIZON, 20 * HORIZON),
            "{name}"
        );
        assert!(
            drawn.values.iter().all(|v| v.is_finite() && *v >= 0.0),
            "{name}"
        );
        assert_eq!(paths(1), Some(drawn.clone()), "{name}");
        assert_ne!(paths(2), Some(drawn), "{name}");
    }
}

#[test]
fn forecasts_are_finite_sorted_of_their_horizon_and_never_below_zero() {
    for entry in FORECASTERS {
        let forecaster = fitted(entry, demand(1, 300));
        checked(entry.name, &*forecaster, 1000.0);
        check_parts(entry.name, &*forecaster);
        checked(entry.name, &*fitted(entry, sparse(2, 260)), 100.0);
    }
}

#[test]
fn names_are_kebab_case_and_differ_and_texts_are_there() {
    let mut names: Vec<&str> = FORECASTERS.iter().map(|e| e.name).collect();
    for entry in FORECASTERS {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(entry.name.chars().all(good), "{}", entry.name);
        assert!(
            !entry.summary.is_empty() && !entry.suits.is_empty(),
            "{}",
            entry.name
        );
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FORECASTERS.len());
}

#[test]
fn the_same_seed_gives_the_same_forecaster() {
    for entry in FORECASTERS {
        let (one, two) = (fitted(entry, demand(3, 260)), fitted(entry, demand(3, 260)));
        assert_eq!(one.save(), two.save(), "{}", entry.name);
        let forecast = |f: &dyn Forecaster| f.forecast(HORIZON, &LEVELS).unwrap();
        assert_eq!(forecast(&*one), forecast(&*two), "{}", entry.name);
    }
}

/// Written and read back.
fn again(entry: &ForecasterEntry, forecaster: &dyn Forecaster) -> Box<dyn Forecaster> {
    let bytes = saved::write(entry.name, forecaster, 60, 120);
    let read = saved::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
    assert_eq!((read.model, read.step, read.next), (entry.name, 60, 120));
    read.forecaster
}

#[test]
fn what_is_saved_comes_back_bit_for_bit_and_goes_on_alike() {
    let series = exact(260).map(|(_, _, values)| values);
    let series = || series.iter().cloned().chain([demand(4, 260)]);
    for (entry, values) in FORECASTERS
        .iter()
        .flat_map(|e| series().map(move |values| (e, values)))
    {
        let mut forecaster = fitted(entry, values);
        let next = demand(5, 12);
        for value in &next[..5] {
            forecaster.update(Some(*value));
        }
        let mut back = again(entry, &*forecaster);
        for value in next.iter().map(|v| Some(*v)).chain([None]) {
            let forecast = |f: &dyn Forecaster| f.forecast(HORIZON, &LEVELS).unwrap();
            let (one, two) = (forecast(&*forecaster), forecast(&*back));
            let bits = |f: &Forecast| {
                let steps = (1..=HORIZON).flat_map(|a| f.at(a).unwrap().to_vec());
                steps.map(f64::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(bits(&one), bits(&two), "{}", entry.name);
            assert_eq!(forecaster.save(), back.save(), "{}", entry.name);
            forecaster.update(value);
            back.update(value);
        }
    }
}

#[test]
fn a_file_of_files_within_one_another_is_refused_before_the_stack_ends() {
    let head = |state: &[u8]| {
        let line = r#"{"foresail":"forecaster","v":2,"model":"conformal","step":60,"next":0}"#;
        let mut hasher = blake3::Hasher::new();
        hasher.update(line.as_bytes()).update(state);
        let hash = hasher.finalize().to_hex();
        let line = line.replace('}', &format!(r#","hash":"{hash}"}}"#));
        [line.as_bytes(), b"\n", state].concat()
    };
    let nested = (0..10_000).fold(Vec::new(), |inner, _| {
        if inner.len() < 100_000 {
            head(&inner)
        } else {
            inner
        }
    });
    assert!(matches!(
        saved::read(&nested),
        Err(saved::SavedError::Nested)
    ));
}

#[test]
fn a_damaged_file_is_refused_and_nothing_panics() {
    for entry in FORECASTERS {
        let forecaster = fitted(entry, demand(4, 260));
        let bytes = saved::write(entry.name, &*forecaster, 60, 0);
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(
            saved::read(&flipped),
            Err(saved::SavedError::Damaged)
        ));
        let cut = &bytes[..bytes.len() - 3];
        assert!(matches!(saved::read(cut), Err(saved::SavedError::Damaged)));
        let text = String::from_utf8_lossy(&bytes[..40]).replace("\"v\":2", "\"v\":9");
        let other = [text.as_bytes(), &bytes[40..]].concat();
        let refused = saved::read(&other);
        let right = matches!(refused, Err(saved::SavedError::Version { found: 9 }));
        assert!(right, "{}: {refused:?}", entry.name);
        let text = String::from_utf8_lossy(&bytes[..bytes.len() - forecaster.save().len()]);
        for (from, to) in [
            ("\"next\":0", "\"next\":60"),
            ("\"step\":60", "\"step\":0"),
            ("\"step\":60", "\"step\":-60"),
            (
                entry.name,
                if entry.name == "last" {
                    "drift"
                } else {
                    "last"
                },
            ),
        ] {
            let moved = text.replacen(from, to, 1);
            let moved = [moved.as_bytes(), &bytes[text.len()..]].concat();
            let refused = saved::read(&moved);
            let right = matches!(refused, Err(saved::SavedError::Damaged));
            assert!(right, "{} {to}: {refused:?}", entry.name);
        }
        for head in [&b"PK\x03\x04"[..], b"\x80\x02"] {
            let pickle = [head, &bytes].concat();
            assert!(matches!(
                saved::read(&pickle),
                Err(saved::SavedError::Pickle)
            ));
        }
        // States that the hash does not protect: cut, emptied, and with a number put out of range.
        let state = forecaster.save();
        for wrong in [
            &state[..state.len() / 2],
            b"{}",
            b"[]",
            b"null",
            b"",
            b"\xff\xfe",
        ] {
            assert!((entry.restore)(wrong).is_err(), "{}: {wrong:?}", entry.name);
        }
    }
}

/// Numbers of the state that stand for something else: refused, or read and still usable.
#[test]
fn a_state_with_wild_numbers_is_refused_or_still_answers() {
    for entry in FORECASTERS {
        let state = fitted(entry, demand(4, 260)).save();
        let Ok(text) = String::from_utf8(state) else {
            continue;
        };
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        for wild in ["-1", "0", "1e308", "4294967295", "18446744073709551615"] {
            let wild: Value = serde_json::from_str(wild).unwrap();
            for place in 0..leaves(&value) {
                let mut moved = value.clone();
                set_leaf(&mut moved, &mut place.clone(), &wild);
                let bytes = serde_json::to_vec(&moved).unwrap();
                let Ok(mut read) = (entry.restore)(&bytes) else {
                    continue;
                };
                read.update(Some(10.0));
                read.update(None);
                let forecast = read.forecast(3, &[0.1, 0.9]).unwrap();
                for ahead in 1..=3 {
                    let step = forecast.at(ahead).unwrap();
                    assert!(
                        step.iter().all(|q| *q >= 0.0),
                        "{} {place} {wild}",
                        entry.name
                    );
                }
            }
        }
    }
}

/// Numbers in a tree, at most sixty of them, so that long lists stay cheap.
fn leaves(value: &Value) -> usize {
    let count = match value {
        Value::Number(_) => 1,
        Value::Array(list) => list.iter().map(leaves).sum(),
        Value::Object(map) => map.values().map(leaves).sum(),
        _ => 0,
    };
    count.min(60)
}

fn set_leaf(value: &mut Value, place: &mut usize, wild: &Value) -> bool {
    match value {
        Value::Number(_) if *place == 0 => {
            *value = wild.clone();
            true
        }
        Value::Number(_) => {
            *place -= 1;
            false
        }
        Value::Array(list) => list.iter_mut().any(|v| set_leaf(v, place, wild)),
        Value::Object(map) => map.values_mut().any(|v| set_leaf(v, place, wild)),
        _ => false,
    }
}

#[test]
fn updates_move_the_forecast_on_without_a_refit() {
    for entry in FORECASTERS {
        let values = demand(6, 320);
        let mut forecaster = fitted(entry, values[..300].to_vec());
        for value in &values[300..] {
            forecaster.update(Some(*value));
        }
        let moved = checked(entry.name, &*forecaster, 1000.0);
        forecaster.update(None);
        forecaster.update(Some(f64::NAN));
        checked(entry.name, &*forecaster, 1000.0);
        // Whoever says that demand has doubled is believed after a while, or still sane.
        for value in &values[..48] {
            forecaster.update(Some(2.0 * value));
        }
        let after = checked(entry.name, &*forecaster, 2000.0);
        assert_ne!(moved, after, "{}", entry.name);
    }
}

/// The forecasters whose parameters do not hang on the values: there, a fit to the longer series
/// and updates from the shorter one are the same.
#[test]
fn recursion_and_refit_agree_where_nothing_is_estimated() {
    for name in ["last", "drift", "moving-quantile", "croston", "tsb"] {
        let entry = FORECASTERS.iter().find(|e| e.name == name).unwrap();
        let values = sparse(8, 150);
        let mut moved = fitted(entry, values[..100].to_vec());
        values[100..].iter().for_each(|v| moved.update(Some(*v)));
        let whole = fitted(entry, values);
        let forecast = |f: &dyn Forecaster| f.forecast(5, &LEVELS).unwrap();
        let (one, two) = (forecast(&*moved), forecast(&*whole));
        for ahead in 1..=5 {
            let pairs = one.at(ahead).unwrap().iter().zip(two.at(ahead).unwrap());
            for (a, b) in pairs {
                assert!((a - b).abs() < 1e-9, "{name} step {ahead}: {a} {b}");
            }
        }
    }
}

#[test]
fn wrong_requests_are_refused() {
    for entry in FORECASTERS {
        let forecaster = fitted(entry, demand(1, 260));
        let ask = |horizon, levels: &[f64]| forecaster.forecast(horizon, levels);
        for steps in [0, HORIZON_MAX + 1, usize::MAX] {
            let refused = Err(ForecastError::Horizon { steps });
            assert_eq!(ask(steps, &LEVELS), refused, "{}", entry.name);
        }
        for levels in [
            &[][..],
            &[0.0],
            &[1.0],
            &[0.5, 0.5],
            &[0.9, 0.1],
            &[f64::NAN],
        ] {
            assert_eq!(ask(5, levels), Err(ForecastError::Levels), "{}", entry.name);
        }
        assert!(ask(5, &[0.3]).is_ok(), "{}", entry.name);
    }
}

/// A fit, or an error that says what is missing; never a panic, never a number out of range.
#[test]
fn odd_series_get_sane_answers_or_a_clear_error() {
    let mut gappy = demand(9, 300);
    for i in (0..300).filter(|i| i % 7 == 3 || (100..130).contains(i)) {
        gappy[i] = f64::NAN;
    }
    let mut burst = demand(10, 200);
    burst[150] = 1e7;
    let mut infinite = demand(10, 100);
    infinite[50] = f64::INFINITY;
    let exact = exact(300).map(|(what, _, values)| (what, values, 1e6, true));
    let cases: [(&str, Vec<f64>, f64, bool); 12] = [
        ("constant", vec![7.0; 120], 7.0 + 1e-6, true),
        ("all zero", vec![0.0; 120], 1.0, true),
        ("ten points", demand(11, 10), 2000.0, true),
        ("one point", vec![5.0], 100.0, false),
        ("two points", vec![5.0, 6.0], 100.0, false),
        ("gappy", gappy, 1000.0, true),
        ("nothing at all", vec![f64::NAN; 50], 0.0, false),
        ("one burst", burst, 1e8, true),
        ("infinite", infinite, 1000.0, true),
        (
            "tiny",
            demand(12, 120).iter().map(|v| v * 1e-9).collect(),
            1e-6,
            true,
        ),
        (
            "huge",
            demand(12, 120).iter().map(|v| v * 1e12).collect(),
            1e15,
            true,
        ),
        ("one value in zeros", one_in_zeros(), 100.0, true),
    ];
    for entry in FORECASTERS {
        for (what, values, most, must) in cases.iter().chain(&exact) {
            let case = format!("{} on {what}", entry.name);
            match unfitted(entry).fit(&series(values.clone()), Seed(1)) {
                Ok(mut forecaster) => {
                    checked(&case, &*forecaster, *most);
                    forecaster.update(None);
                    forecaster.update(Some(values.last().copied().unwrap_or(0.0)));
                    checked(&case, &*forecaster, *most);
                    again(entry, &*forecaster);
                }
                Err(error) => {
                    assert!(!must || is_too_short(&error, values), "{case}: {error}");
                }
            }
        }
        let empty = unfitted(entry).fit(&series(Vec::new()), Seed(1));
        assert!(matches!(empty, Err(FitError::Empty)), "{}", entry.name);
    }
}

#[test]
fn what_repeats_to_the_bit_is_told_as_it_will_be() {
    for name in ["ets", "holt-winters", "ensemble", "seasonal-naive", "mstl"] {
        let entry = FORECASTERS.iter().find(|e| e.name == name).unwrap();
        for (what, season, values) in exact(300) {
            let whole = values
                .iter()
                .fold(0.0, |most, v| if *v > most { *v } else { most });
            let forecast = fitted(entry, values.clone()).forecast(HORIZON, &LEVELS);
            let forecast = forecast.unwrap();
            for ahead in 1..=HORIZON {
                let truth = values[(300 + ahead - 1) % season];
                let told = forecast.median(ahead).unwrap();
                let error = (told - truth).abs() / whole;
                assert!(
                    error < 0.01,
                    "{name} on {what}, step {ahead}: {told} for {truth}"
                );
            }
        }
    }
}

/// What is asked for and cannot be had is told, never left out in silence.
#[test]
fn a_season_longer_than_the_history_is_refused_and_so_are_parts_of_steps() {
    let built = |name, knobs: Value| {
        forecaster(name, &serde_json::from_value(knobs).unwrap(), "forecaster")
    };
    let seasonal = FORECASTERS
        .iter()
        .filter(|e| e.knobs.iter().any(|k| k.name == "seasonSteps"));
    for entry in seasonal {
        let fit = built(entry.name, json!({"seasonSteps": 5000})).unwrap();
        let refused = fit.fit(&series(demand(14, 300)), Seed(1)).err();
        let told = refused.map(|e| e.to_string()).unwrap_or_default();
        let want = "a season of 5000 steps: is longer than the history of 300 points";
        assert!(told.starts_with(want), "{}: {told}", entry.name);
        let refused = built(entry.name, json!({"seasonSteps": 24.5})).err();
        let told = format!("{refused:?}");
        assert!(
            told.contains("must be a whole number"),
            "{}: {told}",
            entry.name
        );
    }
    let refused = built("ensemble", json!({"members": []})).err();
    assert!(format!("{refused:?}").contains("must be 1 to 12 names"));
    assert!(built("ensemble", json!({})).is_ok());
}

#[test]
fn a_value_that_no_measurement_has_is_refused_with_its_step() {
    for entry in FORECASTERS {
        for wild in [1e16, -1e154, 1e308] {
            let mut values = demand(13, 260);
            values[40] = wild;
            let refused = unfitted(entry).fit(&series(values), Seed(1)).err();
            let told = Some(FitError::TooLarge {
                step: 41,
                value: wild,
            });
            assert_eq!(refused, told, "{}", entry.name);
        }
    }
}

/// Nets want more than ten points: they may say so.
fn is_too_short(error: &FitError, values: &[f64]) -> bool {
    let there = values.iter().filter(|v| v.is_finite()).count();
    matches!(error, FitError::TooShort { needed, found } if *found == there && needed > found)
}

fn one_in_zeros() -> Vec<f64> {
    let mut values = vec![0.0; 100];
    values[60] = 9.0;
    values
}

/// Mean pinball loss over the levels of a band, of the next `HORIZON` values.
fn loss(forecast: &Forecast, truth: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, value) in truth.iter().enumerate() {
        let step = forecast.at(i + 1).unwrap();
        for (level, quantile) in LEVELS.iter().zip(step) {
            let over = value - quantile;
            sum += if over >= 0.0 {
                level * over
            } else {
                (level - 1.0) * over
            };
        }
    }
    sum / (truth.len() * LEVELS.len()) as f64
}

#[test]
fn none_is_twice_as_bad_as_the_seasonal_naive() {
    // Baselines that know no season, and methods for sparse counts: judged on what they are for.
    let flat = ["last", "drift", "moving-quantile", "croston", "tsb"];
    for entry in FORECASTERS {
        let (mut own, mut naive) = (0.0, 0.0);
        let base = FORECASTERS
            .iter()
            .find(|e| e.name == "seasonal-naive")
            .unwrap();
        for seed in 20..23 {
            let values = if flat.contains(&entry.name) {
                sparse(seed, 330)
            } else {
                demand(seed, 330)
            };
            let (past, truth) = values.split_at(300);
            let ask = |e| fitted(e, past.to_vec()).forecast(HORIZON, &LEVELS).unwrap();
            own += loss(&ask(entry), truth);
            naive += loss(&ask(base), truth);
        }
        println!(
            "{}: {:.3} of the seasonal naive's loss",
            entry.name,
            own / naive
        );
        assert!(own <= 2.0 * naive, "{}: {own} {naive}", entry.name);
    }
}
