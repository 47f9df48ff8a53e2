//! Features and labels against windows whose values were computed elsewhere.
//!
//! `tests/golden/classify/aapa_fixture.json` holds ten windows with both sets of features, votes and
//! labels, by an implementation in pure Python that was laid beside the published extractor on numpy
//! 2.4.6 and scipy 1.17.1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::units::larger;
use foresail_models::classify::Window;
use foresail_models::classify::features::{Features, NAMES, corrected, published};
use foresail_models::classify::labeling::{CORRECTED, PUBLISHED, Profile, Votes};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/classify/aapa_fixture.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn windows(fixture: &Value) -> Vec<(Value, Window)> {
    let of = |w: &Value| {
        let values = w["x"].as_array().unwrap();
        let x = values.iter().map(|v| v.as_f64().unwrap());
        let x: Vec<f64> = x.collect();
        (w.clone(), x.try_into().unwrap())
    };
    fixture["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect()
}

/// `None` is a null of the fixture.
fn check(id: &Value, name: &str, ours: f64, want: Option<f64>) {
    match want {
        None => assert!(ours.is_nan(), "{id} {name}: {ours}, must have no value"),
        Some(want) => {
            let off = (ours - want).abs();
            let room = 1e-6 * larger(want.abs(), 1.0);
            assert!(off <= room, "{id} {name}: {ours} instead of {want}");
        }
    }
}

#[test]
fn the_published_features_are_the_fixture_s_by_name_and_order() {
    let fixture = fixture();
    for (window, x) in windows(&fixture) {
        let want = window["source_profile"]["features"].as_object().unwrap();
        let names: Vec<&str> = want.keys().map(String::as_str).collect();
        let mut own = published::NAMES.to_vec();
        // The reader of JSON sorts keys; the order is that of the specs.
        own.sort_unstable();
        assert_eq!(names, own);
        for (name, ours) in published::NAMES.iter().zip(published(&x)) {
            check(&window["id"], name, ours, want[*name].as_f64());
        }
    }
}

#[test]
fn the_corrected_features_are_the_fixture_s() {
    let fixture = fixture();
    for (window, x) in windows(&fixture) {
        let want = &window["corrected_profile"]["features"];
        for (name, ours) in corrected::NAMES.iter().zip(corrected(&x).row()) {
            check(&window["id"], name, ours, want[*name].as_f64());
        }
    }
}

#[test]
fn one_row_holds_both_sets_without_doubles() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), NAMES.len());
    for (_, x) in windows(&fixture()) {
        let (row, both) = (Features::of(&x).row(), Features::of(&x));
        let own = both.published.map(f64::to_bits);
        assert_eq!(own, published(&x).map(f64::to_bits));
        assert_eq!(
            row[..37].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            own
        );
        assert_eq!(both.corrected, corrected(&x));
    }
}

#[test]
fn a_window_of_another_length_has_the_features_of_its_own_length() {
    // Twice the same hour: means and quantiles stay, the period has twice the hour to show.
    let (_, x) = windows(&fixture()).swap_remove(1);
    let twice: Vec<f64> = [x, x].concat();
    let (one, two) = (published(&x), published(&twice));
    for name in ["mean", "median", "std", "min", "max", "gini_coefficient"] {
        let place = published::NAMES.iter().position(|n| *n == name).unwrap();
        assert!((one[place] - two[place]).abs() < 1e-9, "{name}");
    }
    assert!((corrected(&twice).acf_lag - 10.0).abs() < 1e-12);
    for short in 0..8 {
        let of = Features::of(&vec![3.0; short]);
        assert_eq!(of.corrected.idle, short == 0);
    }
}

#[test]
fn a_window_without_requests_is_idle_and_a_constant_one_flat() {
    assert!(corrected(&[0.0; 60]).idle);
    assert!(published(&[0.0; 60]).iter().all(|v| *v == 0.0));
    let flat = corrected(&[0.1; 60]);
    assert!(flat.flat && !flat.idle);
    let row = published(&[0.1; 60]);
    assert!(row[4].is_nan() && row[5].is_nan() && row[21].is_nan());
}

/// The source's word for an archetype.
fn word(archetype: Archetype) -> &'static str {
    match archetype {
        Archetype::Spike => "SPIKE",
        Archetype::Periodic => "PERIODIC",
        Archetype::Ramp => "RAMP",
        Archetype::Stationary => "STATIONARY_NOISY",
        Archetype::Idle => "IDLE",
    }
}

fn check_labels(profile: &Profile, key: &str) {
    for (window, x) in windows(&fixture()) {
        let (id, want) = (&window["id"], &window[key]);
        let features = Features::of(&x);
        let votes = profile.votes(&features);
        for (i, function) in profile.functions.iter().enumerate() {
            let vote = votes.has(i).then_some(word(function.archetype));
            assert_eq!(
                vote,
                want["votes"][function.name].as_str(),
                "{id} {}",
                function.name
            );
        }
        let label = profile.majority(votes, &features);
        assert_eq!(
            word(label.archetype),
            want["label"].as_str().unwrap(),
            "{id}"
        );
        check(
            id,
            "confidence",
            label.confidence,
            want["confidence"].as_f64(),
        );
        assert_eq!(label.tie, want["tie"].as_bool().unwrap(), "{id}");
    }
}

#[test]
fn published_votes_labels_and_ties_are_the_fixture_s() {
    check_labels(&PUBLISHED, "source_profile");
}

#[test]
fn corrected_votes_labels_and_ties_are_the_fixture_s_and_the_truth() {
    check_labels(&CORRECTED, "corrected_profile");
    for (window, x) in windows(&fixture()) {
        let features = Features::of(&x);
        let label = CORRECTED.majority(CORRECTED.votes(&features), &features);
        let truth = window["corrected_profile"]["expected_truth"]
            .as_str()
            .unwrap();
        assert_eq!(word(label.archetype), truth, "{}", window["id"]);
    }
}

#[test]
fn three_votes_of_four_are_three_quarters_and_a_tie_is_at_most_half() {
    // In list order three for a spike, three periodic, two ramp, two stationary.
    let features = Features::of(&[1.0; 60]);
    let label = PUBLISHED.majority(Votes(0b1111), &features);
    assert_eq!((label.archetype, label.tie), (Archetype::Spike, false));
    assert!((label.confidence - 0.75).abs() < 1e-12);
    let tie = PUBLISHED.majority(Votes(0b1_0000_1000), &features);
    assert!(tie.tie && tie.confidence <= 0.5);
    assert_eq!(tie.archetype, Archetype::Periodic);
    // The corrected order of ties has the ramp before the wave.
    let tie = CORRECTED.majority(Votes(0b10_1000), &features);
    assert_eq!((tie.archetype, tie.tie), (Archetype::Ramp, true));
    for (profile, confidence) in [(&PUBLISHED, 0.3), (&CORRECTED, 0.25)] {
        let nobody = profile.majority(Votes(0), &features);
        assert_eq!(nobody.archetype, Archetype::Stationary);
        assert!((nobody.confidence - confidence).abs() < 1e-12);
    }
}
