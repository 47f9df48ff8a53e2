//! The LSTM forecaster: reproducible, blind to the future, honest about its errors, safe to store.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::lstm::{FittedLstm, Lstm, Scaling};
use foresail_models::forecast::{Fit, FitError, Forecaster};
use foresail_models::rng::{Seed, child, uniform};
use foresail_nn::safetensors;

/// Small enough for a test: window 16, 8 steps ahead, 12 units.
fn small() -> Lstm {
    Lstm {
        window: 16,
        reach: 8,
        mean: false,
        hidden: 12,
        between: 0,
        epochs: 8,
        batch: 32,
        rate: 0.01,
        dropout: 0.1,
        patience: 3,
        passes: 50,
        scaling: Scaling::Window,
        robust: true,
        ..Lstm::study_shape()
    }
}

/// A wave of 24 steps around 100 with uniform noise of ±`noise`.
fn wave(steps: usize, noise: f64) -> Vec<f64> {
    let mut stream = child(Seed(5), "lstm test");
    let value = |i: usize| {
        let wave = 30.0 * (std::f64::consts::TAU * i as f64 / 24.0).sin();
        100.0 + wave + noise * (2.0 * uniform(&mut stream) - 1.0)
    };
    (0..steps).map(value).collect()
}

fn series(values: &[f64]) -> Series {
    let (start, step) = (Timestamp::from_seconds(0), Span::from_seconds(60));
    Series::new(start, step, values.to_vec())
}

fn fitted(values: &[f64], seed: u64) -> FittedLstm {
    small().fit_values(values, Seed(seed)).unwrap()
}

#[test]
fn the_shape_of_the_study_has_19265_parameters() {
    let mut quick = Lstm::study_shape();
    quick.epochs = 1;
    let fitted = quick.fit_values(&wave(240, 5.0), Seed(1)).unwrap();
    assert_eq!(fitted.parameters(), 19_265);
}

#[test]
fn one_seed_gives_the_same_weights_and_another_seed_others() {
    let values = wave(400, 5.0);
    assert_eq!(fitted(&values, 1).save(), fitted(&values, 1).save());
    assert_ne!(fitted(&values, 1).save(), fitted(&values, 2).save());
}

#[test]
fn nothing_told_depends_on_what_comes_later() {
    let values = wave(600, 5.0);
    let fitted = fitted(&values[..400], 1);
    let told = fitted.rolling(&values, 400);
    assert_eq!(told.len(), 200);
    for cut in [401, 433, 520] {
        let mut other = values.clone();
        other[cut..].iter_mut().for_each(|v| *v = 1e6);
        assert_eq!(
            fitted.rolling(&other, 400)[..=cut - 400],
            told[..=cut - 400]
        );
    }
    // Side by side or alone, a window gives the same.
    assert_eq!(fitted.rolling(&values[..451], 450), told[50..51]);
    assert!(fitted.rolling(&values, 15).is_empty());
}

#[test]
fn a_wave_is_learnt_and_the_band_covers_what_it_says() {
    let values = wave(1600, 5.0);
    let mut fitted = fitted(&values[..1200], 1);
    let (mut inside, mut error, mut last_error, mut count) = (0, 0.0, 0.0, 0);
    for i in 1200..1590 {
        let forecast = fitted.forecast(8, &[0.1, 0.5, 0.9]).unwrap();
        for ahead in [1, 4, 8] {
            let (step, seen) = (forecast.at(ahead).unwrap(), values[i + ahead - 1]);
            inside += usize::from(step[0] <= seen && seen <= step[2]);
            error += (step[1] - seen).abs();
            last_error += (values[i - 1] - seen).abs();
            count += 1;
        }
        fitted.update(Some(values[i]));
    }
    let share = inside as f64 / f64::from(count);
    assert!((0.72..=0.9).contains(&share), "80 % band covers {share}");
    assert!(error < 0.25 * last_error, "{error} against {last_error}");
    // The noise itself errs by 2.5 on average.
    assert!(
        error / f64::from(count) < 4.0,
        "{}",
        error / f64::from(count)
    );
}

#[test]
fn beyond_its_reach_the_net_is_asked_again_and_the_band_does_not_shrink() {
    let fitted = fitted(&wave(900, 5.0), 1);
    let forecast = fitted.forecast(40, &[0.1, 0.5, 0.9]).unwrap();
    assert_eq!(forecast.steps(), 40);
    let width = |ahead: usize| forecast.at(ahead).unwrap()[2] - forecast.at(ahead).unwrap()[0];
    assert!(width(16) > width(8) && width(40) < 4.0 * width(8));
    let short = fitted.forecast(3, &[0.1, 0.5, 0.9]).unwrap();
    assert_eq!(short.at(3), forecast.at(3));
}

#[test]
fn the_band_follows_the_passes_and_without_them_it_is_the_same_after_every_window() {
    let values = wave(500, 5.0);
    let width = |passes: usize, times: f64| {
        let settings = Lstm { passes, ..small() };
        let mut fitted = settings.fit_values(&values, Seed(3)).unwrap();
        for value in &values[..16] {
            fitted.update(Some(100.0 + times * (value - 100.0)));
        }
        let step = fitted.forecast(1, &[0.1, 0.9]).unwrap();
        step.at(1).unwrap()[1] - step.at(1).unwrap()[0]
    };
    // Other units are excited, and other ones left out.
    let (wave, flat) = (width(50, 1.0), width(50, 0.0));
    assert!((wave / flat - 1.0).abs() > 0.03, "{wave} {flat}");
    assert!((width(0, 1.0) - width(0, 0.0)).abs() < 1e-9);
}

#[test]
fn every_shape_fits_and_comes_back_from_its_bytes() {
    let values = wave(400, 5.0);
    let shapes = [
        small(),
        Lstm {
            layers: 2,
            epochs: 2,
            ..small()
        },
        Lstm {
            between: 5,
            dropout: 0.0,
            patience: 0,
            epochs: 2,
            ..small()
        },
        Lstm {
            mean: true,
            scaling: Scaling::Series,
            epochs: 2,
            ..small()
        },
    ];
    for shape in shapes {
        let mut fitted = shape.fit_values(&values, Seed(2)).unwrap();
        let mut back = FittedLstm::restore(&fitted.save()).unwrap();
        assert!(back == fitted, "{}", shape.layers);
        for value in [Some(90.0), None, Some(f64::NAN), Some(120.0)] {
            fitted.update(value);
            back.update(value);
        }
        let levels = [0.025, 0.5, 0.975];
        let forecast = fitted.forecast(20, &levels).unwrap();
        assert_eq!(forecast, back.forecast(20, &levels).unwrap());
        assert!((1..=20).all(|h| forecast.at(h).unwrap().is_sorted()));
    }
}

#[test]
fn a_state_that_does_not_fit_together_is_refused() {
    let bytes = fitted(&wave(300, 5.0), 1).save();
    let good = safetensors::read(&bytes).unwrap();
    let refused = |from: &str, to: &str| {
        let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
        let end = text.rfind("}}").map(|_| good.metadata["foresail"].len());
        assert!(end.is_some());
        let state = good.metadata["foresail"].replace(from, to);
        assert_ne!(state, good.metadata["foresail"], "{from}");
        let escaped = |s: &str| s.replace('"', "\\\"");
        let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let json = std::str::from_utf8(&bytes[8..8 + header]).unwrap();
        let json = json.replace(&escaped(&good.metadata["foresail"]), &escaped(&state));
        let mut other = (json.len() as u64).to_le_bytes().to_vec();
        other.extend(json.as_bytes());
        other.extend(&bytes[8 + header..]);
        FittedLstm::restore(&other).unwrap_err()
    };
    assert!(refused("\"hidden\":12", "\"hidden\":11").contains("this net needs"));
    assert!(refused("\"hidden\":12", "\"hidden\":4000000").contains("must be 1 to 512"));
    assert!(refused("\"window\":16", "\"window\":17").contains("do not fit"));
    assert!(refused("\"reach\":8", "\"reach\":60").contains("do not fit"));
    assert!(refused("\"dropout\":0.1", "\"dropout\":1.0").contains("dropout"));
    assert!(refused("\"seed\":", "\"sead\":").contains("sead"));
    assert!(FittedLstm::restore(b"").is_err());
    assert!(
        FittedLstm::restore(b"PK\x03\x04")
            .unwrap_err()
            .contains("pickle")
    );
}

#[test]
fn a_constant_and_an_all_zero_series_stay_what_they_are() {
    for level in [0.0, 40.0] {
        let fitted = fitted(&[level; 200], 1);
        let forecast = fitted.forecast(20, &[0.1, 0.5, 0.9]).unwrap();
        for ahead in 1..=20 {
            let step = forecast.at(ahead).unwrap();
            assert!((step[1] - level).abs() < 1.0, "{level}: {step:?}");
            assert!(step[2] - step[0] < 2.0, "{level}: {step:?}");
        }
    }
}

#[test]
fn too_few_points_are_told_with_how_many_are_needed() {
    let error = small().fit(&series(&wave(10, 5.0)), Seed(1)).unwrap_err();
    assert_eq!(
        error,
        FitError::TooShort {
            needed: 60,
            found: 10
        }
    );
    assert!(small().fit(&series(&wave(60, 5.0)), Seed(1)).is_ok());
    let error = small().fit(&series(&[]), Seed(1)).unwrap_err();
    assert_eq!(error, FitError::Empty);
}

#[test]
fn gaps_are_held() {
    let mut values = wave(300, 5.0);
    values[50..60].fill(f64::NAN);
    assert!(small().fit(&series(&values), Seed(1)).is_ok());
}
