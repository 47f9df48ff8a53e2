//! Classifiers from the command line: trained, judged twice, asked, refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{refused, root, stdout};

fn json(folder: &Path, args: &[&str]) -> Value {
    let text = stdout(folder, args, 0);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Trains on a few hundred windows, which is quick.
fn train(folder: &Path, file: &str, more: &[&str]) -> Value {
    let args = [
        "classify",
        "train",
        "--generate",
        "hard",
        "--windows",
        "1600",
    ];
    let to = ["--output", file, "--print", "json"];
    json(folder, &[&args[..], &to, more].concat())
}

#[test]
fn the_command_that_is_documented_gives_the_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "classify",
        "train",
        "--generate",
        "hard",
        "--windows",
        "20000",
        "--output",
        "m",
    ];
    stdout(folder.path(), &args, 0);
    let shipped = root().join("crates/foresail-models/assets/boosted-trees.model");
    assert!(fs::read(folder.path().join("m")).unwrap() == fs::read(shipped).unwrap());
}

#[test]
fn published_labels_are_learnt_again_and_the_truth_is_told_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--labels",
        "published",
        "--features",
        "published",
        "--prior",
        "0",
    ];
    train(folder.path(), "m", &more);
    let eval = [
        "classify",
        "eval",
        "--generate",
        "hard",
        "--windows",
        "800",
        "--seed",
        "101",
    ];
    let told = json(
        folder.path(),
        &[&eval[..], &["--model", "m", "-o", "json"]].concat(),
    );
    let accuracy = |by: &str| told["judged"][by]["accuracy"].as_f64().unwrap();
    assert_eq!(told["learnt"], "published");
    assert!(accuracy("byLabels") > 0.95 && accuracy("byTruth") < 0.6);
    let table = stdout(folder.path(), &[&eval[..], &["--out", "r.svg"]].concat(), 0);
    assert!(table.contains("Confusion by truth") && table.contains("Reliability"));
    assert!(
        fs::read_to_string(folder.path().join("r.svg"))
            .unwrap()
            .contains("ECE")
    );
}

#[test]
fn every_preset_and_calibration_trains_and_lightgbm_text_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (preset, calibration) in [
        ("depth-6", "isotonic"),
        ("small", "temperature"),
        ("small", "none"),
    ] {
        let more = [
            "--preset",
            preset,
            "--calibration",
            calibration,
            "--lightgbm",
            "m.txt",
        ];
        let told = train(folder.path(), "m", &more);
        assert_eq!(told["calibration"], calibration);
        assert!(
            told["test"]["byTruth"]["accuracy"].as_f64().unwrap() > 0.9,
            "{told}"
        );
    }
    let text = fs::read(folder.path().join("m.txt")).unwrap();
    assert!(foresail_models::trees::lightgbm::read(&text).is_ok());
}

#[test]
fn a_trace_is_told_window_by_window_with_what_decided() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = "time,wave,none\n".to_owned();
    for minute in 0..80 {
        let wave = 200.0 + 150.0 * (f64::from(minute) * 0.6).sin();
        csv += &format!("{},{},0\n", 1_767_571_200 + 60 * minute, wave.round());
    }
    fs::write(folder.path().join("two.csv"), csv).unwrap();
    let args = ["classify", "predict", "two.csv", "--explain", "-o", "json"];
    let told = json(folder.path(), &args);
    let windows = told["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 6);
    for window in windows {
        let (item, archetype) = (window["item"].as_str().unwrap(), &window["archetype"]);
        let decided = window["decided"].as_array().unwrap().len();
        match item {
            "none" => assert_eq!((archetype.as_str(), decided), (Some("Idle"), 0)),
            _ => assert_eq!((archetype.as_str(), decided), (Some("Periodic"), 3)),
        }
    }
    let csv = stdout(
        folder.path(),
        &["classify", "predict", "two.csv", "-o", "csv"],
        0,
    );
    assert_eq!(csv.lines().count(), 7);
    assert!(
        csv.starts_with("item,window,begin,archetype,confidence,spike,periodic,ramp,stationary")
    );
    let table = stdout(folder.path(), &["classify", "predict", "two.csv"], 0);
    assert!(table.contains("Periodic") && table.contains("Idle"));
}

#[test]
fn what_cannot_be_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("flat.csv"), "time,a\n0,1\n60,1\n").unwrap();
    let truth = [
        "classify", "train", "flat.csv", "--labels", "truth", "--output", "m",
    ];
    assert!(refused(at, &truth).contains("--generate hard"));
    let few = [
        "classify",
        "train",
        "--generate",
        "hard",
        "--windows",
        "40",
        "--output",
        "m",
    ];
    let few = support::foresail(at, &few);
    assert_eq!(few.status.code(), Some(4));
    let prior = [
        "classify",
        "train",
        "--generate",
        "hard",
        "--prior",
        "2",
        "--output",
        "m",
    ];
    assert!(refused(at, &prior).contains("from 0 to 1"));
    let none = ["classify", "eval", "--generate", "hard", "--model", "none"];
    assert!(refused(at, &none).contains("none"));
    fs::write(at.join("bad"), "{}").unwrap();
    let bad = ["classify", "predict", "flat.csv", "--model", "bad"];
    assert!(refused(at, &bad).contains("classify train --output"));
    let head = "item,begin,archetype\na,2026-01-01T00:00:00Z";
    fs::write(at.join("labels.csv"), format!("{head},Burst\n")).unwrap();
    let labels = [
        "classify",
        "train",
        "flat.csv",
        "--labels",
        "labels.csv",
        "--output",
        "m",
    ];
    assert!(refused(at, &labels).contains("`Burst` is no archetype"));
    let twice = format!("{head},Ramp\na,2026-01-01T00:00:00Z,Spike\n");
    fs::write(at.join("labels.csv"), twice).unwrap();
    assert!(refused(at, &labels).contains("has a label already"));
    fs::write(at.join("labels.csv"), "item,window,archetype\na,0,Ramp\n").unwrap();
    assert!(refused(at, &labels).contains("`begin` is missing"));
}
