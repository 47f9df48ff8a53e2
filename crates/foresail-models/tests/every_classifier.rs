//! What every classifier of the registry owes, whichever it is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::units::larger;
use foresail_models::classify::{WINDOW, Window};
use foresail_models::registry::CLASSIFIERS;
use foresail_models::rng::{Seed, child, uniform};

/// Counts of every kind of shape and size, odd ones among them.
fn windows() -> Vec<Window> {
    let mut stream = child(Seed(1), "windows of the contract");
    let mut all: Vec<Window> = Vec::new();
    for size in [0.5, 3.0, 40.0, 1e4, 1e9] {
        let noise = std::array::from_fn(|_| (size * uniform(&mut stream)).floor());
        let ramp = std::array::from_fn(|t| (size * t as f64 / 59.0).floor());
        let wave = std::array::from_fn(|t| (size * (1.0 + (t as f64).sin())).floor());
        let mut spike = [1.0; WINDOW];
        spike[17] = 1.0 + size.floor();
        let mut one = [0.0; WINDOW];
        one[59] = size;
        all.extend([noise, ramp, wave, spike, one, [size; WINDOW]]);
    }
    all
}

#[test]
fn scores_are_probabilities_and_the_archetype_has_the_largest() {
    for entry in CLASSIFIERS {
        let classifier = (entry.build)().unwrap();
        for window in windows()
            .into_iter()
            .filter(|w| w.iter().sum::<f64>() > 0.0)
        {
            let verdict = classifier.verdict(&window);
            let name = entry.name;
            let sum: f64 = verdict.scores.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{name}: {verdict:?}");
            let good = |p: &f64| p.is_finite() && (0.0..=1.0).contains(p);
            assert!(verdict.scores.iter().all(good), "{name}: {verdict:?}");
            assert!(good(&verdict.confidence), "{name}: {verdict:?}");
            let class = verdict.archetype.place().unwrap();
            let most = verdict.scores.iter().fold(0.0, |a, b| larger(a, *b));
            assert!(verdict.scores[class] >= most - 1e-12, "{name}: {verdict:?}");
        }
    }
}

#[test]
fn a_window_without_a_request_is_idle_with_even_scores() {
    // The published rules know no Idle: they call such a window periodic, and keep doing so.
    for entry in CLASSIFIERS.iter().filter(|e| e.name != "rules-published") {
        let verdict = (entry.build)().unwrap().verdict(&[0.0; WINDOW]);
        assert_eq!(verdict.archetype, Archetype::Idle, "{}", entry.name);
        let even = verdict.scores.iter().all(|s| (s - 0.25).abs() < 1e-12);
        assert!(even, "{}: {verdict:?}", entry.name);
    }
}

#[test]
fn the_same_window_has_the_same_verdict_and_reasons_from_a_classifier_built_anew() {
    for entry in CLASSIFIERS {
        let (one, other) = ((entry.build)().unwrap(), (entry.build)().unwrap());
        for window in windows() {
            assert_eq!(
                one.verdict(&window),
                other.verdict(&window),
                "{}",
                entry.name
            );
            let reasons = |c: &dyn foresail_models::classify::Classifier| {
                let all = c.contributions(&window);
                all.iter()
                    .map(|c| (c.feature, c.share.to_bits()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(reasons(&*one), reasons(&*other), "{}", entry.name);
        }
    }
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let mut names: Vec<_> = CLASSIFIERS.iter().map(|e| e.name).collect();
    let kebab = |n: &&str| n.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    assert!(names.iter().all(kebab), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CLASSIFIERS.len());
    assert!(CLASSIFIERS.iter().all(|e| !e.summary.is_empty()));
}
