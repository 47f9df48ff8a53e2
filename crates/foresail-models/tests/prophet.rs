//! Prophet against fits of facebook/prophet 1.5.0.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::prophet::trend::changepoint_rows;
use foresail_models::forecast::prophet::{
    ENTRY, Event, Growth, Mode, Model, Parameters, Prophet, Regressor, Rows, Season, Standardise,
    Switch,
};
use foresail_models::forecast::quantile::of_sorted;
use foresail_models::forecast::{Fit, Forecaster, LEVELS};
use foresail_models::normal::standard_normal;
use foresail_models::registry::forecaster;
use foresail_models::rng::{Seed, child};
use serde_json::{Value, json};

fn golden(name: &str) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/forecast");
    let text = std::fs::read_to_string(root.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"));
    list.iter()
        .map(|v| v.as_f64().unwrap_or(f64::NAN))
        .collect()
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no {name}"))
}

/// Times from `2026-03-02 00:00` on, one every `step` seconds.
fn times(start: &str, step: i64, count: usize) -> Vec<Timestamp> {
    let start: Timestamp = format!("{}:00Z", start.replace(' ', "T")).parse().unwrap();
    let at = |i: usize| start + Span::from_seconds(step * i64::try_from(i).unwrap());
    (0..count).map(at).collect()
}

fn rows(times: &[Timestamp]) -> Rows<'_> {
    Rows {
        times,
        ..Rows::default()
    }
}

fn with_parameters(model: &Model, found: &Value) -> Model {
    let mut model = model.clone();
    model.parameters = Parameters {
        k: number(found, "k"),
        m: number(found, "m"),
        delta: numbers(&found["delta"]),
        beta: numbers(&found["beta"]),
        sigma: number(found, "sigma_obs"),
    };
    model
}

#[test]
fn both_fixture_cases_are_fitted_to_the_converged_minimum() {
    for case in golden("prophet_fixture.json")["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let y = numbers(&case["y"]);
        let all = times(case["start"].as_str().unwrap(), 3600, y.len() + 72);
        let (past, future) = all.split_at(y.len());
        let model = Prophet::default().fit_rows(&rows(past), &y).unwrap();
        let seasons: Vec<&str> = model.seasons().iter().map(|s| s.name.as_str()).collect();
        let expected: Vec<&str> = case["seasonalities"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(seasons.len(), expected.len(), "{name}: {seasons:?}");
        let changes: Vec<f64> = numbers(&case["changepoint_rows"]);
        let found: Vec<f64> = changepoint_rows(y.len(), 25, 0.8)
            .iter()
            .map(|r| *r as f64)
            .collect();
        assert_eq!(found, changes, "{name}");
        let wanted = &case["converged"];
        let objective = number(wanted, "objective");
        println!(
            "{name}: {} {} {}",
            model.objective,
            objective,
            number(case, "objective")
        );
        assert!(
            (model.objective - objective).abs() < 0.01,
            "{name}: {} {objective}",
            model.objective
        );
        assert!(model.objective <= number(case, "objective"), "{name}");
        let sigma = number(wanted, "sigma_obs");
        assert!(
            (model.parameters.sigma / sigma - 1.0).abs() < 1e-3,
            "{name}: {}",
            model.parameters.sigma
        );
        let told = model.predict(&rows(future));
        let edge = 1e-3 * number(case, "y_scale");
        for (ours, theirs) in told.yhat.iter().zip(numbers(&wanted["yhat_next72"])) {
            assert!((ours - theirs).abs() < edge, "{name}: {ours} {theirs}");
        }
        // Stan's own parameters, told to six digits, through our formulas.
        let theirs = with_parameters(&model, case).predict(&rows(future));
        for (ours, theirs) in theirs.yhat.iter().zip(numbers(&case["yhat_next72"])) {
            assert!((ours - theirs).abs() < 2e-2, "{name}: {ours} {theirs}");
        }
    }
}

/// A case of the golden file as our types.
struct Case {
    name: String,
    settings: Prophet,
    past: Vec<Timestamp>,
    future: Vec<Timestamp>,
    y: Vec<f64>,
    /// Cap, floor and regressors of the past, and of the future.
    beside: [[Vec<Vec<f64>>; 3]; 2],
    found: Value,
}

impl Case {
    fn rows(&self, of: usize) -> Rows<'_> {
        let [cap, floor, regressors] = &self.beside[of];
        Rows {
            times: if of == 0 { &self.past } else { &self.future },
            cap: cap.first().map_or(&[], Vec::as_slice),
            floor: floor.first().map_or(&[], Vec::as_slice),
            regressors,
        }
    }
}

fn day_of(text: &str) -> i64 {
    let time: Timestamp = format!("{text}T00:00:00Z").parse().unwrap();
    time.nanos() / 86_400_000_000_000
}

fn settings_of(case: &Value) -> Prophet {
    let written = &case["settings"];
    let multiplies = written["seasonality_mode"] == "multiplicative";
    let mode = if multiplies {
        Mode::Multiplicative
    } else {
        Mode::Additive
    };
    let mut settings = Prophet {
        mode,
        growth: serde_json::from_value(written["growth"].clone()).unwrap(),
        ..Prophet::default()
    };
    if let Some(scale) = written["changepoint_prior_scale"].as_f64() {
        settings.changepoint_scale = scale;
    }
    if let Some(count) = written["n_changepoints"].as_u64() {
        settings.changepoints = usize::try_from(count).unwrap();
    }
    if written["weekly"] == false {
        settings.weekly = Switch::Off;
    }
    for own in written["own"].as_array().into_iter().flatten() {
        settings.seasons.push(Season {
            name: own["name"].as_str().unwrap().to_owned(),
            days: number(own, "days"),
            order: number(own, "order") as usize,
            scale: number(own, "scale"),
            mode,
        });
    }
    for event in written["events"].as_array().into_iter().flatten() {
        let days = event["days"].as_array().unwrap().iter();
        settings.events.push(Event {
            name: event["name"].as_str().unwrap().to_owned(),
            days: days.map(|d| day_of(d.as_str().unwrap())).collect(),
            before: number(event, "before") as u32,
            after: number(event, "after") as u32,
            scale: 10.0,
            mode,
        });
    }
    for name in regressors_of(case) {
        settings.regressors.push(Regressor {
            name,
            scale: 10.0,
            mode,
            standardise: Standardise::Auto,
        });
    }
    settings
}

/// Names of the regressors in the order of their columns.
fn regressors_of(case: &Value) -> Vec<String> {
    let columns = case["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap());
    let given = |name: &&str| case["regressors"].get(*name).is_some();
    columns.filter(given).map(str::to_owned).collect()
}

fn case(found: &Value) -> Case {
    let start = found["start"].as_str().unwrap();
    let start: Timestamp = format!("{}Z", start.replace(' ', "T")).parse().unwrap();
    let at = |name: &str| -> Vec<Timestamp> {
        let seconds = numbers(&found[name]).into_iter();
        seconds
            .map(|s| start + Span::from_seconds_f64(s).unwrap())
            .collect()
    };
    let beside = ["", "future_"].map(|of| {
        let list = |name: &str| -> Vec<Vec<f64>> {
            found
                .get(format!("{of}{name}"))
                .map(numbers)
                .into_iter()
                .collect()
        };
        let given = &found[format!("{of}regressors")];
        let regressors = regressors_of(found);
        let regressors = regressors.iter().map(|name| numbers(&given[name]));
        [list("cap"), list("floor"), regressors.collect()]
    });
    Case {
        name: found["name"].as_str().unwrap().to_owned(),
        settings: settings_of(found),
        past: at("seconds"),
        future: at("future_seconds"),
        y: numbers(&found["y"]),
        beside,
        found: found.clone(),
    }
}

fn cases() -> Vec<Case> {
    let golden = golden("prophet.json");
    let cases: Vec<Case> = golden["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(case)
        .collect();
    assert_eq!(cases.len(), 8);
    cases
}

fn near(ours: &[f64], theirs: &Value, edge: f64, what: &str) {
    let theirs = numbers(theirs);
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() < edge, "{what}, row {i}: {a} and not {b}");
    }
}

#[test]
fn parameters_of_stan_give_the_forecast_and_components_of_prophet() {
    for case in cases() {
        let name = &case.name;
        let fitted = case.settings.fit_rows(&case.rows(0), &case.y).unwrap();
        let model = with_parameters(&fitted, &case.found);
        near(model.changepoints(), &bends(&case), 1e-12, name);
        let edge = 1e-8 * number(&case.found, "y_scale");
        let told = model.predict(&case.rows(1));
        near(&told.yhat, &case.found["yhat"], edge, name);
        near(&told.trend, &case.found["trend"], edge, name);
        let parts = model.parts(&case.rows(1));
        for part in &parts {
            let what = format!("{name}, {}", part.name);
            near(&part.values, &case.found["parts"][&part.name], edge, &what);
        }
        assert!(!parts.is_empty(), "{name}");
    }
}

/// A flat trend has no bends in our model, and 25 that do nothing in Prophet's.
fn bends(case: &Case) -> Value {
    match case.settings.growth {
        Growth::Flat => Value::Array(Vec::new()),
        _ => case.found["changepoints_t"].clone(),
    }
}

#[test]
fn the_fit_reaches_prophets_objective_as_low_as_stan_or_lower() {
    for case in cases() {
        let name = &case.name;
        let model = case.settings.fit_rows(&case.rows(0), &case.y).unwrap();
        let theirs = number(&case.found, "objective");
        let rows = case.rows(0);
        if case.settings.growth != Growth::Flat {
            let stan = with_parameters(&model, &case.found);
            let ours = stan.objective_of(&case.settings, &rows, &case.y).unwrap();
            assert!(
                (ours - theirs).abs() < 1e-6 * theirs.abs(),
                "{name}: {ours} {theirs}"
            );
        }
        println!("{name}: ours {:.4}, Stan's {theirs:.4}", model.objective);
        assert!(
            model.objective <= theirs + 1e-3,
            "{name}: {} {theirs}",
            model.objective
        );
    }
}

#[test]
fn bands_are_as_wide_as_prophets_within_the_error_of_drawing() {
    const REPEATS: usize = 8;
    for case in cases() {
        let name = &case.name;
        let fitted = case.settings.fit_rows(&case.rows(0), &case.y).unwrap();
        let model = with_parameters(&fitted, &case.found);
        let rows = case.future.len();
        let mut widths = vec![[0.0; REPEATS]; rows];
        for repeat in 0..REPEATS {
            let mut stream = child(Seed(repeat as u64), "band test");
            let mut draws = model.draws(&case.rows(1), 1000, &mut stream);
            for (step, widths) in draws.chunks_mut(1000).zip(&mut widths) {
                step.sort_by(f64::total_cmp);
                widths[repeat] = of_sorted(step, 0.9) - of_sorted(step, 0.1);
            }
        }
        let (means, errors) = (
            numbers(&case.found["width_mean"]),
            numbers(&case.found["width_error"]),
        );
        let pooled = (errors.iter().map(|e| e * e).sum::<f64>() / rows as f64).sqrt();
        let mut ratio = 0.0;
        for (row, widths) in widths.iter().enumerate() {
            let ours = widths.iter().sum::<f64>() / REPEATS as f64;
            ratio += ours / means[row] / rows as f64;
            // Both are means of eight; five errors of their difference, the row's or the pooled.
            let error = if errors[row] > pooled {
                errors[row]
            } else {
                pooled
            };
            let slack = 5.0 * 2.0_f64.sqrt() * error;
            assert!(
                (ours - means[row]).abs() < slack,
                "{name}, row {row}: {ours} {}",
                means[row]
            );
        }
        println!("{name}: width over Prophet's {ratio:.4}");
        assert!((ratio - 1.0).abs() < 0.02, "{name}: {ratio}");
    }
}

/// Minutes of a day's wave with noise, from a Monday on.
fn minutes(count: usize) -> Series {
    let mut stream = child(Seed(3), "prophet minutes");
    let value = |i: usize| {
        let turn = std::f64::consts::TAU * i as f64 / 1440.0;
        100.0 + 30.0 * turn.sin() + 4.0 * standard_normal(&mut stream)
    };
    let values = (0..count).map(value).collect();
    Series::new(
        times("2026-03-02 00:00", 60, 1)[0],
        Span::from_seconds(60),
        values,
    )
}

#[test]
fn a_week_is_seen_from_fourteen_days_on_to_the_minute() {
    let prophet = Prophet::default();
    let summary = |count| prophet.fit(&minutes(count), Seed(1)).unwrap().summary();
    assert!(!summary(20_160).contains("weekly"), "{}", summary(20_160));
    assert!(summary(20_161).contains("weekly"), "{}", summary(20_161));
    assert!(summary(20_160).contains("daily"));
}

#[test]
fn a_band_is_that_of_the_paths_near_far_and_after_updates() {
    let cases = [
        (Growth::Linear, Mode::Additive, 1500),
        (Growth::Linear, Mode::Multiplicative, 1500),
        (Growth::Flat, Mode::Additive, 90),
        (Growth::Logistic, Mode::Additive, 90),
        (Growth::Logistic, Mode::Multiplicative, 1500),
    ];
    for (growth, mode, horizon) in cases {
        let settings = Prophet {
            growth,
            mode,
            cap: 400.0,
            // Loose, so that bends count for more than noise a day ahead.
            changepoint_scale: 5.0,
            ..Prophet::default()
        };
        let mut fitted = settings.fit(&minutes(4320), Seed(1)).unwrap();
        let paths = fitted.paths(horizon, 4000, Seed(7)).unwrap();
        let told = fitted.forecast(horizon, &LEVELS).unwrap();
        for ahead in [1, 2, 60, 90, 777, 1500]
            .into_iter()
            .filter(|a| *a <= horizon)
        {
            let mut step: Vec<f64> = (0..4000)
                .map(|p| paths.values[p * horizon + ahead - 1])
                .collect();
            step.sort_by(f64::total_cmp);
            for level in LEVELS {
                let q = told.quantile(ahead, level).unwrap();
                let below = step.partition_point(|v| *v <= q) as f64 / 4000.0;
                // A logistic band far ahead comes from 1,000 draws of its own.
                let drawn = growth == Growth::Logistic && horizon > 100;
                let count = if drawn { 800.0 } else { 4000.0 };
                let slack = 4.5 * (level * (1.0 - level) / count).sqrt();
                // What is below zero is told as zero.
                let fits = (below - level).abs() < slack || (q == 0.0 && below >= level);
                assert!(
                    fits,
                    "{growth:?} {mode:?}, {ahead} ahead, level {level}: {below}"
                );
            }
        }
        let later = told.at(61).unwrap().to_vec();
        (0..60).for_each(|_| fitted.update(Some(1e6)));
        let moved = fitted.forecast(1, &LEVELS).unwrap();
        for (a, b) in moved.at(1).unwrap().iter().zip(later) {
            assert!(
                (a - b).abs() < 1e-3,
                "an update changes no parameter: {a} {b}"
            );
        }
    }
}

#[test]
fn odd_series_get_sane_answers() {
    let series = |values: Vec<f64>| {
        Series::new(
            times("2026-03-02 00:00", 60, 1)[0],
            Span::from_seconds(60),
            values,
        )
    };
    let growths = [Growth::Linear, Growth::Flat, Growth::Logistic];
    for growth in growths {
        let settings = Prophet {
            growth,
            cap: 500.0,
            ..Prophet::default()
        };
        let median = |values: Vec<f64>| {
            let fitted = settings.fit(&series(values), Seed(1)).unwrap();
            let told = fitted.forecast(60, &LEVELS).unwrap();
            (told.median(60).unwrap(), told.quantile(60, 0.975).unwrap())
        };
        let (middle, top) = median(vec![7.0; 400]);
        assert!(
            (middle - 7.0).abs() < 0.2 && top < 8.0,
            "{growth:?}: {middle} {top}"
        );
        let (middle, top) = median(vec![0.0; 400]);
        assert!(middle < 6.0 && top < 10.0, "{growth:?}: {middle} {top}");
        let (middle, top) = median((0..10).map(f64::from).collect());
        assert!(
            middle.is_finite() && top.is_finite() && top < 2000.0,
            "{growth:?}: {middle} {top}"
        );
        let (middle, _) = median(vec![3.0, 5.0]);
        assert!(middle.is_finite(), "{growth:?}");
    }
    let error = |values| {
        Prophet::default()
            .fit(&series(values), Seed(1))
            .unwrap_err()
            .to_string()
    };
    assert!(
        error(vec![f64::NAN; 5]).contains("no value"),
        "{}",
        error(vec![f64::NAN; 5])
    );
    assert!(
        error(vec![4.0]).contains("2 points"),
        "{}",
        error(vec![4.0])
    );
}

#[test]
fn a_saved_model_comes_back_and_a_damaged_one_is_refused() {
    for growth in [Growth::Linear, Growth::Logistic] {
        let settings = Prophet {
            growth,
            cap: 400.0,
            ..Prophet::default()
        };
        let fitted = settings.fit(&minutes(3000), Seed(9)).unwrap();
        let again = (ENTRY.restore)(&fitted.save()).unwrap();
        let told = |f: &dyn Forecaster| f.forecast(90, &LEVELS).unwrap();
        assert_eq!(told(&*fitted), told(&*again), "{growth:?}");
        let text = String::from_utf8(fitted.save()).unwrap();
        for (from, to) in [
            ("\"delta\":[", "\"delta\":[1.0,"),
            ("\"sigma\":", "\"sigma\":-"),
            ("\"order\":4", "\"order\":400"),
        ] {
            assert!(text.contains(from), "{from}");
            let damaged = text.replacen(from, to, 1);
            assert!((ENTRY.restore)(damaged.as_bytes()).is_err(), "{to}");
        }
    }
}

#[test]
fn knobs_of_the_registry_reach_the_model() {
    let build = |knobs: Value| {
        let knobs: BTreeMap<String, Value> = serde_json::from_value(knobs).unwrap();
        forecaster("prophet", &knobs, "knobs")
    };
    let fitted = |knobs| build(knobs).unwrap().fit(&minutes(4320), Seed(1)).unwrap();
    let own = json!({"ownSeasons": [{"name": "shift", "days": 0.25, "order": 2}],
                     "events": [{"name": "launch", "days": ["2026-03-03"], "after": 1}],
                     "seasonalityMode": "multiplicative", "changepoints": 5});
    let parts = fitted(own).components(10);
    let names: Vec<&str> = parts.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["trend", "shift", "daily", "launch"]);
    assert!(parts[1].factor && parts[3].factor && !parts[0].factor);
    let flat = fitted(json!({"growth": "flat"})).components(2);
    assert!((flat[0].values[0] - flat[0].values[1]).abs() < 1e-12);
    for (wrong, word) in [
        (json!({"growth": "logistic"}), "cap"),
        (
            json!({"ownSeasons": [{"name": "a", "days": 0.0, "order": 2}]}),
            "above 0",
        ),
        (
            json!({"events": [{"name": "a", "days": ["March 1"]}]}),
            "2026-03-01",
        ),
        (json!({"changepointPriorScale": 0}), "1e-6"),
    ] {
        let problems = format!("{:?}", build(wrong).unwrap_err());
        assert!(problems.contains(word) || word == "1e-6", "{problems}");
    }
}

#[test]
fn a_season_that_the_history_shows_is_found_where_that_is_asked_for() {
    let mut values: Vec<f64> = minutes(4320).iter().map(Option::unwrap).collect();
    for i in (32..4320).step_by(60) {
        values[i] += 150.0;
        values[i + 1] += 100.0;
    }
    let series = Series::new(
        times("2026-03-02 00:00", 60, 1)[0],
        Span::from_seconds(60),
        values,
    );
    let settings = Prophet {
        find_seasons: true,
        ..Prophet::default()
    };
    let summary = settings.fit(&series, Seed(1)).unwrap().summary();
    assert!(summary.contains("season of 60 steps"), "{summary}");
}
