//! The hybrid: better than its base where errors last, safe to store, refused where it cannot be.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::hybrid::Hybrid;
use foresail_models::forecast::lstm::Lstm;
use foresail_models::forecast::{Fit, FitError, Forecaster, saved};
use foresail_models::registry::forecaster;
use foresail_models::rng::{Seed, child, uniform};
use serde_json::json;

fn hybrid(knobs: &[(&str, serde_json::Value)]) -> Box<dyn Fit> {
    let mut all = BTreeMap::from([
        ("base".to_owned(), json!("seasonal-naive")),
        ("windowSteps".to_owned(), json!(12)),
        ("horizonSteps".to_owned(), json!(6)),
        ("hidden".to_owned(), json!(10)),
        ("learningRate".to_owned(), json!(0.01)),
        ("batch".to_owned(), json!(32)),
    ]);
    all.extend(
        knobs
            .iter()
            .map(|(name, v)| ((*name).to_owned(), v.clone())),
    );
    forecaster("hybrid", &all, "x").unwrap()
}

/// Days of 48 steps whose errors last: each is 0.9 of the one before, and a shock.
fn days(count: usize) -> Vec<f64> {
    days_of(Seed(9), count)
}

fn days_of(seed: Seed, count: usize) -> Vec<f64> {
    let mut stream = child(seed, "hybrid test");
    let mut error = 0.0;
    let mut value = |i: usize| {
        error = 0.9 * error + 8.0 * (uniform(&mut stream) - 0.5);
        200.0 + 80.0 * (std::f64::consts::TAU * i as f64 / 48.0).sin() + error
    };
    (0..48 * count).map(&mut value).collect()
}

fn series(values: &[f64]) -> Series {
    let (start, step) = (Timestamp::from_seconds(0), Span::from_seconds(1800));
    Series::new(start, step, values.to_vec())
}

/// Mean absolute error of the median one and six steps ahead, and the share that a band of 80 % holds.
fn judge(mut fitted: Box<dyn Forecaster>, values: &[f64], first: usize) -> ([f64; 2], f64) {
    let (mut errors, mut inside, mut count) = ([0.0; 2], 0, 0);
    for i in first..values.len() - 6 {
        let forecast = fitted.forecast(6, &[0.1, 0.5, 0.9]).unwrap();
        for (error, ahead) in errors.iter_mut().zip([1, 6]) {
            let (step, seen) = (forecast.at(ahead).unwrap(), values[i + ahead - 1]);
            *error += (step[1] - seen).abs();
            inside += usize::from(step[0] <= seen && seen <= step[2]);
            count += 1;
        }
        fitted.update(Some(values[i]));
    }
    let steps = f64::from(count) / 2.0;
    (errors.map(|e| e / steps), inside as f64 / f64::from(count))
}

#[test]
fn where_errors_last_it_beats_its_base_and_its_band_covers() {
    let first = 48 * 60;
    let mut shares = Vec::new();
    for seed in [1, 2, 3] {
        let values = days_of(Seed(seed), 80);
        let known = series(&values[..first]);
        let base = forecaster("seasonal-naive", &BTreeMap::new(), "x").unwrap();
        let (base, _) = judge(base.fit(&known, Seed(1)).unwrap(), &values, first);
        let fitted = hybrid(&[]).fit(&known, Seed(1)).unwrap();
        let (own, share) = judge(fitted, &values, first);
        // Shocks of this step and of a day ago remain: half of what the base errs by.
        assert!(own[0] < 0.7 * base[0], "one step: {own:?} {base:?}");
        assert!(own[1] < base[1], "six steps: {own:?} {base:?}");
        shares.push(share);
    }
    let mean = shares.iter().sum::<f64>() / 3.0;
    assert!((0.72..=0.88).contains(&mean), "{shares:?}");
}

#[test]
fn it_comes_back_from_a_file_and_goes_on_the_same() {
    let values = days(14);
    let mut fitted = hybrid(&[]).fit(&series(&values[..600]), Seed(1)).unwrap();
    values[600..620]
        .iter()
        .for_each(|v| fitted.update(Some(*v)));
    let bytes = saved::write("hybrid", fitted.as_ref(), 1, 2);
    let mut back = saved::read(&bytes).unwrap().forecaster;
    for value in &values[620..] {
        fitted.update(Some(*value));
        back.update(Some(*value));
    }
    fitted.update(None);
    back.update(None);
    let levels = [0.1, 0.5, 0.9];
    let forecast = fitted.forecast(100, &levels).unwrap();
    assert_eq!(forecast, back.forecast(100, &levels).unwrap());
    assert!(fitted.summary().starts_with("seasonal-naive: "));
    let parts = fitted.components(100);
    assert_eq!(parts.len(), 2);
    let sum = parts[0].values[3] + parts[1].values[3];
    assert!((sum - forecast.median(4).unwrap()).abs() < 1e-9);
    assert!(forecast.at(3) == fitted.forecast(3, &levels).unwrap().at(3));
}

#[test]
fn every_cut_state_is_refused() {
    let values = days(12);
    let fitted = hybrid(&[("epochs", json!(1))])
        .fit(&series(&values), Seed(1))
        .unwrap();
    let state = fitted.save();
    let entry = foresail_models::forecast::hybrid::ENTRY;
    assert!((entry.restore)(&state).is_ok());
    for length in (0..state.len()).step_by(97) {
        assert!((entry.restore)(&state[..length]).is_err(), "{length}");
    }
    let text = String::from_utf8_lossy(&state);
    let other = text.replacen("seasonal-naive", "hybrid", 1).into_bytes();
    assert!((entry.restore)(&other).unwrap_err().contains("no hybrid"));
}

#[test]
fn too_few_points_and_a_base_that_is_itself_a_hybrid() {
    let error = hybrid(&[]).fit(&series(&days(1)), Seed(1)).unwrap_err();
    assert!(
        matches!(error, FitError::TooShort { found: 48, .. }),
        "{error}"
    );
    let error = hybrid(&[]).fit(&series(&[]), Seed(1)).unwrap_err();
    assert_eq!(error, FitError::Empty);
    let base = forecaster("last", &BTreeMap::new(), "x").unwrap();
    assert!(Hybrid::new("hybrid", base, Lstm::study_shape()).is_err());
}

#[test]
fn the_future_does_not_change_what_was_told_and_a_gap_is_no_zero() {
    let mut values = days(12);
    let fitted = hybrid(&[]).fit(&series(&values[..500]), Seed(1)).unwrap();
    values[200..230].fill(f64::NAN);
    let gaps = hybrid(&[]).fit(&series(&values[..500]), Seed(1)).unwrap();
    let median = |f: &dyn Forecaster| f.forecast(1, &[0.5]).unwrap().median(1).unwrap();
    let differ = (median(fitted.as_ref()) - median(gaps.as_ref())).abs();
    assert!(differ < 20.0, "{differ}");
}

#[test]
fn a_first_part_without_a_value_is_told_as_that() {
    let mut values = days(14);
    values[..224].fill(f64::NAN);
    let refused = hybrid(&[]).fit(&series(&values), Seed(1)).err();
    assert_eq!(refused, Some(FitError::EmptyPart { steps: 224 }));
}
