//! The shipped classifier: made again it has the same bytes, and it keeps what it promises on windows
//! of other seeds. Beside it the label leakage of the published method.
//!
//! `FORESAIL_BLESS=1` writes the model anew; `foresail classify train --generate hard --windows 20000
//! --output FILE` gives the same one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests may fail loudly"
)]

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::calibrate::Method;
use foresail_models::classify::features::{Features, NAMES, published};
use foresail_models::classify::labeling::{CORRECTED, PUBLISHED, Profile};
use foresail_models::classify::reliability::Judged;
use foresail_models::classify::saved;
use foresail_models::classify::split::{ByFunction, Part};
use foresail_models::classify::train::{Example, Settings, TrainError, train};
use foresail_models::classify::trained::{BoostedTrees, shipped};
use foresail_models::rng::Seed;
use foresail_models::trees::Parameters;
use foresail_sim::workload::archetype::{Kind, windows};

const MODEL: &str = "../foresail-models/assets/boosted-trees.model";

fn settings() -> Settings {
    Settings {
        parameters: Parameters::SMALL,
        features: NAMES.to_vec(),
        calibration: Method::Beta,
        prior: 0.1,
        seed: Seed::default(),
        labels: "truth".to_owned(),
    }
}

fn examples(per_class: usize, seed: u64) -> Vec<Example> {
    let all = windows(Kind::Hard, per_class, Seed(seed));
    all.iter().map(|(a, w)| (Features::of(w), *a)).collect()
}

/// Windows to learn from and to stop by, as the command parts them.
fn parted(per_class: usize) -> [Vec<Example>; 2] {
    let split = ByFunction::paper(Seed::default());
    let mut parts = [Vec::new(), Vec::new()];
    for (i, example) in examples(per_class, 42).into_iter().enumerate() {
        let name = example.1.name().to_lowercase();
        match split.part(&format!("{name}-{:05}", i / 4)) {
            Part::Train => parts[0].push(example),
            Part::Validation => parts[1].push(example),
            Part::Test => {}
        }
    }
    parts
}

fn judged(classifier: &BoostedTrees, examples: &[Example]) -> Judged {
    let mut judged = Judged::default();
    for (features, truth) in examples {
        judged.add(&classifier.told(features), *truth);
    }
    judged
}

#[test]
fn the_shipped_model_made_again_has_the_same_bytes() {
    let [learnt, held] = parted(5000);
    let outcome = train(&learnt, &held, &settings()).unwrap();
    let bytes = saved::write(&outcome.model);
    if std::env::var_os("FORESAIL_BLESS").is_some() {
        std::fs::write(MODEL, &bytes).unwrap();
    }
    assert!(bytes.len() < 150_000, "{} bytes", bytes.len());
    assert!(std::fs::read(MODEL).unwrap() == bytes, "the model differs");
}

#[test]
fn on_windows_of_other_seeds_it_is_right_and_knows_how_sure_it_may_be() {
    let classifier = shipped().unwrap();
    for seed in [101, 202, 303] {
        let judged = judged(&classifier, &examples(1000, seed));
        let accuracy = judged.accuracy().unwrap();
        let ece = judged.ece().unwrap();
        let recall = judged.of_class(2).recall.unwrap();
        eprintln!("seed {seed}: accuracy {accuracy:.4}, ECE {ece:.4}, ramp recall {recall:.4}");
        assert!(accuracy >= 0.95 && ece <= 0.03 && recall >= 0.95);
    }
}

/// Agreement with its labels and accuracy on the truth, of a classifier that learnt a profile's labels.
fn leaked(profile: &Profile, features: &[&'static str]) -> (f64, Judged) {
    let labelled = |(features, _): &Example| {
        let label = profile.majority(profile.votes(features), features);
        (*features, label.archetype)
    };
    let settings = Settings {
        parameters: Parameters {
            num_iterations: 150,
            ..Parameters::PUBLISHED
        },
        features: features.to_vec(),
        calibration: Method::None,
        prior: 0.0,
        ..settings()
    };
    let [learnt, held] = parted(1100);
    let of = |e: &[Example]| e.iter().map(labelled).collect::<Vec<_>>();
    let outcome = train(&of(&learnt), &of(&held), &settings).unwrap();
    let classifier = BoostedTrees::new(outcome.model).unwrap();
    let tested = examples(300, 101);
    let agreement = judged(&classifier, &of(&tested)).accuracy().unwrap();
    (agreement, judged(&classifier, &tested))
}

#[test]
fn agreement_with_published_labels_says_nothing_of_the_truth() {
    let own = &NAMES[..published::NAMES.len()];
    let (agreement, truth) = leaked(&PUBLISHED, own);
    let accuracy = truth.accuracy().unwrap();
    eprintln!(
        "published: {agreement:.4} {accuracy:.4} {:.3}",
        truth.ece().unwrap()
    );
    assert!(agreement > 0.97 && (0.4..0.6).contains(&accuracy));
    assert!(truth.of_class(2).recall.unwrap() < 0.02 && truth.ece().unwrap() > 0.35);
    let (agreement, truth) = leaked(&CORRECTED, &NAMES);
    let accuracy = truth.accuracy().unwrap();
    eprintln!(
        "corrected: {agreement:.4} {accuracy:.4} {:.3}",
        truth.ece().unwrap()
    );
    assert!(agreement > 0.97 && (0.85..0.96).contains(&accuracy));
}

#[test]
fn a_class_that_is_missing_keeps_a_probability_near_zero_and_one_class_alone_is_refused() {
    let [mut learnt, held] = parted(200);
    learnt.retain(|e| e.1 != Archetype::Ramp);
    let settings = Settings {
        prior: 0.0,
        calibration: Method::None,
        ..settings()
    };
    let outcome = train(&learnt, &held, &settings).unwrap();
    assert_eq!(outcome.missing, [Archetype::Ramp]);
    let classifier = BoostedTrees::new(outcome.model).unwrap();
    for (features, _) in &held {
        assert!(classifier.told(features).scores[2] < 1e-6);
    }
    learnt.retain(|e| e.1 == Archetype::Spike);
    let refused = train(&learnt, &held, &settings);
    assert!(
        matches!(refused, Err(TrainError::OneClass { .. })),
        "{refused:?}"
    );
    let refused = train(&learnt[..3], &held, &settings);
    assert!(
        matches!(refused, Err(TrainError::TooFew { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_model_that_is_changed_or_cut_anywhere_is_refused() {
    let bytes = std::fs::read(MODEL).unwrap();
    let refused = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        let mut changed = bytes.clone();
        changed.splice(at..at + from.len(), to.iter().copied());
        saved::read(&changed).unwrap_err().to_string()
    };
    assert!(refused(b"\"Spike\"", b"\"Burst\"").contains("damaged"));
    assert!(refused(b"\"v\":2", b"\"v\":9").contains("version 9"));
    assert!(refused(b"classifier", b"forecaster").contains("classify train"));
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(
        saved::read(&changed)
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
    for cut in (0..bytes.len()).step_by(997) {
        assert!(saved::read(&bytes[..cut]).is_err());
    }
}

#[test]
fn a_window_is_explained_by_shares_that_add_up_to_its_score() {
    let classifier = shipped().unwrap();
    for (features, _) in examples(5, 7) {
        let told = classifier.told(&features);
        let shares = classifier.explained(&features);
        let class = told.archetype.place().unwrap();
        let row: Vec<f64> = features.row().to_vec();
        let trees = &classifier.model().trees;
        let (_, start) = trees.contributions(&row, class);
        let sum: f64 = shares.iter().map(|c| c.share).sum();
        assert!((start + sum - trees.scores(&row)[class]).abs() < 1e-9);
        assert!(
            shares
                .windows(2)
                .all(|w| w[0].share.abs() >= w[1].share.abs())
        );
    }
}
