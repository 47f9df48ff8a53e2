//! Bands cover what they say, also once the workload has shifted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::auto::Auto;
use foresail_models::forecast::conformal::{Conformal, Way};
use foresail_models::forecast::ensemble::Ensemble;
use foresail_models::forecast::quantile::normal_quantile;
use foresail_models::forecast::{Fit, Forecast, Forecaster};
use foresail_models::registry::forecaster;
use foresail_models::rng::{Seed, child, uniform};

const LEVELS: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];

fn series(values: &[f64]) -> Series {
    Series::new(Timestamp::EPOCH, Span::from_seconds(60), values.to_vec())
}

/// Normal noise around 100 whose deviation is 5, and 15 from `shift` on.
fn noise(count: usize, shift: usize, seed: u64) -> Vec<f64> {
    let mut stream = child(Seed(seed), "noise that widens");
    let value = |i: usize| {
        let deviation = if i < shift { 5.0 } else { 15.0 };
        100.0 + deviation * normal_quantile(uniform(&mut stream).clamp(1e-12, 1.0 - 1e-12))
    };
    (0..count).map(value).collect()
}

/// Shares of later values in the 80 % and the 95 % band, in percent, `ahead` steps ahead.
fn coverage(forecaster: &mut dyn Forecaster, later: &[f64], ahead: usize) -> [f64; 2] {
    let mut inside = [0.0; 2];
    let count = later.len() - ahead + 1;
    for i in 0..count {
        let forecast = forecaster.forecast(ahead, &LEVELS).unwrap();
        let step = forecast.at(ahead).unwrap();
        let actual = later[i + ahead - 1];
        inside[0] += f64::from(u8::from((step[1]..=step[3]).contains(&actual)));
        inside[1] += f64::from(u8::from((step[0]..=step[4]).contains(&actual)));
        forecaster.update(Some(later[i]));
    }
    inside.map(|n| n / count as f64 * 100.0)
}

fn check(forecaster: &mut dyn Forecaster, later: &[f64], ahead: usize, what: &str) {
    let [of80, of95] = coverage(forecaster, later, ahead);
    assert!(
        (77.0..=83.0).contains(&of80),
        "{what}, {ahead} ahead: {of80} % in 80 %"
    );
    assert!(
        (92.0..=97.5).contains(&of95),
        "{what}, {ahead} ahead: {of95} % in 95 %"
    );
}

#[test]
fn adaptive_bands_cover_after_the_noise_has_tripled_and_split_ones_do_not() {
    let values = noise(5000, 1500, 1);
    let (history, later) = (series(&values[..1500]), &values[1500..]);
    for base in ["last", "moving-quantile", "drift"] {
        for ahead in [1, 10] {
            let adaptive = Conformal::new(base, Way::Adaptive).unwrap();
            let mut fitted = adaptive.fit(&history, Seed(1)).unwrap();
            check(fitted.as_mut(), later, ahead, base);
        }
    }
    let frozen = Conformal::new("seasonal-naive", Way::Split).unwrap();
    let mut fitted = frozen.fit(&history, Seed(1)).unwrap();
    let [of80, _] = coverage(fitted.as_mut(), &later[..200], 1);
    assert!(
        of80 < 70.0,
        "split bands know nothing of the shift: {of80} %"
    );
}

#[test]
fn split_bands_cover_while_nothing_shifts() {
    let values = noise(5000, 5000, 2);
    let (history, later) = (series(&values[..2500]), &values[2500..]);
    // The random walk's band of `last` is far too wide ten steps ahead; calibration mends it.
    let mut bare = foresail_models::registry::forecaster("last", &Default::default(), "f")
        .unwrap()
        .fit(&history, Seed(1))
        .unwrap();
    assert!(coverage(bare.as_mut(), later, 10)[0] > 95.0);
    let mut split = Conformal::new("last", Way::Split)
        .unwrap()
        .fit(&history, Seed(1))
        .unwrap();
    check(split.as_mut(), later, 10, "last, split");
}

#[test]
fn the_default_covers_noise_counts_and_a_shift() {
    let values = noise(6000, 4000, 3);
    for ahead in [1, 10, 60] {
        let mut fitted = Auto::default()
            .fit(&series(&values[..2000]), Seed(1))
            .unwrap();
        check(
            fitted.as_mut(),
            &values[2000..4000],
            ahead,
            "auto before the shift",
        );
        let mut fitted = Auto::default()
            .fit(&series(&values[..4000]), Seed(1))
            .unwrap();
        let [of80, of95] = coverage(fitted.as_mut(), &values[4000..], ahead);
        assert!(
            (74.0..=85.0).contains(&of80),
            "auto, {ahead} ahead: {of80} %"
        );
        assert!(
            (90.0..=98.0).contains(&of95),
            "auto, {ahead} ahead: {of95} %"
        );
    }
}

#[test]
fn an_ensemble_is_not_far_behind_its_best_member() {
    let mut stream = child(Seed(5), "season of an ensemble");
    let value = |i: usize| {
        let wave = (std::f64::consts::TAU * i as f64 / 24.0).sin();
        100.0 + 40.0 * wave + 6.0 * uniform(&mut stream)
    };
    let values: Vec<f64> = (0..600).map(value).collect();
    let (history, later) = (series(&values[..480]), &values[480..]);
    let error = |fitted: &mut dyn Forecaster| {
        let errors = later.iter().map(|actual| {
            let told = fitted.forecast(1, &[0.5]).unwrap().at(1).unwrap()[0];
            fitted.update(Some(*actual));
            (told - actual).abs()
        });
        errors.sum::<f64>() / later.len() as f64
    };
    let names = ["last", "seasonal-naive", "moving-quantile"];
    let mut ensemble = Ensemble::new(&names)
        .unwrap()
        .fit(&history, Seed(1))
        .unwrap();
    let own = error(ensemble.as_mut());
    let members = names.map(|name| {
        let fit = foresail_models::registry::forecaster(name, &Default::default(), "f").unwrap();
        error(fit.fit(&history, Seed(1)).unwrap().as_mut())
    });
    let best = members
        .iter()
        .copied()
        .fold(f64::INFINITY, |a, b| if b < a { b } else { a });
    assert!(own < best * 1.05, "{own} beside {members:?}");
}

/// What was never measured says nothing: the band of noise around a level stays as wide.
#[test]
fn a_long_gap_makes_no_band_narrower() {
    let values = noise(900, 900, 31);
    let told = |f: &dyn Forecaster| f.forecast(1, &LEVELS).unwrap();
    let width = |f: &Forecast| f.at(1).unwrap()[3] - f.at(1).unwrap()[1];
    for name in ["auto", "moving-quantile", "conformal"] {
        let fit = forecaster(name, &BTreeMap::new(), "forecaster").unwrap();
        let mut fitted = fit.fit(&series(&values), Seed(1)).unwrap();
        let before = told(fitted.as_ref());
        (0..400).for_each(|_| fitted.update(None));
        assert_eq!(told(fitted.as_ref()), before, "{name}");
        let gappy: Vec<f64> = values.iter().copied().chain([f64::NAN; 400]).collect();
        let gappy = fit.fit(&series(&gappy), Seed(1)).unwrap();
        let share = width(&told(gappy.as_ref())) / width(&before);
        assert!((0.6..1.6).contains(&share), "{name}: {share}");
    }
}
