//! Boosted trees beside LightGBM's on the same rows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_models::trees::bins::Bins;
use foresail_models::trees::{Growth, QuantileTrees, Rows};
use serde_json::Value;

const FEATURES: usize = 6;

/// SplitMix64 as numbers in [0, 1), as the reference script draws them.
fn uniforms(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let draw = |_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2_f64.powi(-53)
    };
    (0..count).map(draw).collect()
}

/// Columns and targets of the reference's rows.
fn rows(count: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<f64>) {
    let numbers = uniforms(count * (FEATURES + 1), seed);
    let mut columns = vec![Vec::new(); FEATURES];
    let mut targets = Vec::new();
    for row in numbers.chunks(FEATURES + 1) {
        let step = if row[0] > 0.4 { 3.0 } else { 0.0 };
        let noise = (0.2 + row[5]) * (2.0 * row[FEATURES] - 1.0);
        targets.push(step + 4.0 * row[1] * row[2] + noise);
        columns.iter_mut().zip(row).for_each(|(c, v)| c.push(*v));
    }
    (columns, targets)
}

fn pinball(level: f64, told: f64, actual: f64) -> f64 {
    let error = actual - told;
    if error >= 0.0 {
        level * error
    } else {
        (level - 1.0) * error
    }
}

#[test]
fn the_loss_on_rows_not_learnt_is_that_of_lightgbm() {
    let golden = include_str!("../../../tests/golden/forecast/trees.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let learnt = golden["learnt"].as_u64().unwrap() as usize;
    let tested = golden["tested"].as_u64().unwrap() as usize;
    let (columns, targets) = rows(learnt + tested, golden["seed"].as_u64().unwrap());
    let bins = Bins::of(
        &columns
            .iter()
            .map(|c| c[..learnt].to_vec())
            .collect::<Vec<_>>(),
    );
    let binned = bins.bin(
        &columns
            .iter()
            .map(|c| c[..learnt].to_vec())
            .collect::<Vec<_>>(),
    );
    for level in [0.1, 0.5, 0.9] {
        let rows = Rows {
            features: &binned,
            targets: &targets[..learnt],
            learnt,
        };
        let trees = QuantileTrees::fit(&rows, level, &Growth::default());
        let own: f64 = (learnt..learnt + tested)
            .map(|i| {
                let row: Vec<f64> = columns.iter().map(|c| c[i]).collect();
                pinball(level, trees.at(&bins, &row), targets[i])
            })
            .sum::<f64>()
            / tested as f64;
        let reference = golden["pinball"][level.to_string()].as_f64().unwrap();
        assert!(own < 1.03 * reference, "{level}: {own} beside {reference}");
    }
}

#[test]
fn the_same_rows_give_the_same_trees_and_they_end_when_nothing_is_gained() {
    let (columns, targets) = rows(600, 3);
    let bins = Bins::of(&columns);
    let binned = bins.bin(&columns);
    let fit = |targets: &[f64]| {
        let rows = Rows {
            features: &binned,
            targets,
            learnt: 450,
        };
        QuantileTrees::fit(&rows, 0.5, &Growth::default())
    };
    assert_eq!(fit(&targets), fit(&targets));
    let constant = fit(&[7.0; 600]);
    assert!(constant.is_empty());
    assert!((constant.at(&bins, &[0.5; FEATURES]) - 7.0).abs() < 1e-12);
}
