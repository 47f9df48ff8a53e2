//! Calibration maps beside scikit-learn's and SciPy's, and what every map must keep.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_models::classify::calibrate::{Beta, Calibration, Isotonic, Method, temperature};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn golden<T: DeserializeOwned>(what: &str) -> T {
    let text = include_str!("../../../tests/golden/classify/calibration.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(golden[what].clone()).unwrap()
}

/// Probabilities of one class and whether it came.
fn pairs(class: usize) -> Vec<(f64, bool)> {
    let (shares, labels): (Vec<Vec<f64>>, Vec<usize>) = (golden("shares"), golden("labels"));
    let rows = shares.iter().zip(labels);
    rows.map(|(row, label)| (row[class], label == class))
        .collect()
}

fn near(own: f64, theirs: f64, tolerance: f64) -> bool {
    (own - theirs).abs() <= tolerance
}

#[test]
fn isotonic_curves_are_those_of_scikit_learn() {
    let (at, theirs): (Vec<f64>, Vec<Vec<f64>>) = (golden("at"), golden("isotonic"));
    for (class, theirs) in theirs.iter().enumerate() {
        let curve = Isotonic::fit(&pairs(class));
        for (at, theirs) in at.iter().zip(theirs) {
            let own = curve.at(*at);
            assert!(near(own, *theirs, 1e-12), "{class} at {at}: {own} {theirs}");
        }
    }
}

#[test]
fn beta_maps_are_the_most_likely_ones_within_their_bounds() {
    let theirs: Vec<[f64; 3]> = golden("beta");
    let turned: Vec<[f64; 3]> = golden("beta_reversed");
    for class in 0..3 {
        let pairs = pairs(class);
        let against: Vec<(f64, bool)> = pairs.iter().map(|(p, came)| (*p, !came)).collect();
        for (own, theirs) in [
            (Beta::fit(&pairs), theirs[class]),
            (Beta::fit(&against), turned[class]),
        ] {
            let [a, b, m] = theirs;
            let all = near(own.a, a, 1e-6) && near(own.b, b, 1e-6) && near(own.m, m, 1e-6);
            assert!(all, "{class}: {own:?} {theirs:?}");
        }
    }
}

#[test]
fn the_temperature_is_that_of_scipy() {
    let (shares, labels): (Vec<Vec<f64>>, Vec<usize>) = (golden("shares"), golden("labels"));
    let own = temperature(&shares, &labels);
    assert!(near(own, golden("temperature"), 1e-6), "{own}");
}

#[test]
fn the_beta_map_has_the_values_of_its_formula() {
    assert!(near(Beta::IDENTITY.at(0.9), 0.9, 1e-12));
    let map = Beta {
        a: 0.5,
        b: 0.8,
        m: -0.2,
    };
    assert!(near(map.at(0.9), 0.830_530, 1e-6));
}

#[test]
fn a_class_that_never_or_always_came_gives_a_finite_map() {
    for came in [false, true] {
        let pairs = [(0.2, came), (0.7, came), (0.9, came)];
        let beta = Beta::fit(&pairs);
        assert!(
            beta.a >= 0.0 && beta.b >= 0.0 && beta.m.is_finite(),
            "{beta:?}"
        );
        let isotonic = Isotonic::fit(&pairs);
        assert!(near(isotonic.at(0.5), f64::from(u8::from(came)), 1e-12));
    }
    assert!(near(Isotonic::fit(&[]).at(0.3), 0.3, 1e-12));
    assert!(Beta::fit(&[]).a > 0.0);
}

/// Rows of three probabilities with a class each.
fn rows() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<usize>)> {
    let row = (prop::array::uniform3(1e-6..1.0), 0..3_usize);
    prop::collection::vec(row, 3..60).prop_map(|rows| {
        let share = |v: [f64; 3]| v.iter().map(|x| x / v.iter().sum::<f64>()).collect();
        rows.into_iter().map(|(v, label)| (share(v), label)).unzip()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn calibrated_probabilities_sum_to_one_and_are_shares((shares, labels) in rows()) {
        for method in Method::ALL {
            let calibration = Calibration::fit(method, &shares, &labels);
            prop_assert!(calibration.is_sound(3), "{calibration:?}");
            for row in &shares {
                let mut told = row.clone();
                calibration.apply(&mut told);
                prop_assert!((told.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{told:?}");
                prop_assert!(told.iter().all(|p| (0.0..=1.0).contains(p)), "{told:?}");
            }
        }
    }

    #[test]
    fn every_map_rises((shares, labels) in rows(), mut at in prop::collection::vec(0.0..1.0_f64, 20)) {
        let pairs: Vec<(f64, bool)> = shares
            .iter()
            .zip(&labels)
            .map(|(row, label)| (row[0], *label == 0))
            .collect();
        let (beta, isotonic) = (Beta::fit(&pairs), Isotonic::fit(&pairs));
        at.sort_by(f64::total_cmp);
        for two in at.windows(2) {
            prop_assert!(beta.at(two[0]) <= beta.at(two[1]) + 1e-12);
            prop_assert!(isotonic.at(two[0]) <= isotonic.at(two[1]) + 1e-12);
        }
        prop_assert!(temperature(&shares, &labels) > 0.0);
    }
}
