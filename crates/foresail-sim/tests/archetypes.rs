//! Labelling functions against windows whose archetype is known.
//!
//! Bands are around the figures of the specs of AAPA, section 3.1: published rules 48.8 % and 50.1 %
//! on hard windows, 51.6 % on easy ones and no ramp at all; corrected 91.8 %, 91.9 % and 99.2 %.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::Window;
use foresail_models::classify::features::Features;
use foresail_models::classify::labeling::{CORRECTED, PUBLISHED, Profile};
use foresail_models::rng::Seed;
use foresail_sim::workload::Workload;
use foresail_sim::workload::archetype::{Functions, Kind, windows};

/// Share of the windows that get their own archetype: of all, and of each class.
fn shares(profile: &Profile, windows: &[(Archetype, Window)]) -> (f64, [f64; 4]) {
    let mut right = [0.0; 4];
    for (truth, window) in windows {
        let features = Features::of(window);
        let label = profile.majority(profile.votes(&features), &features);
        if let (true, Some(class)) = (label.archetype == *truth, truth.place()) {
            right[class] += 1.0;
        }
    }
    let of_class = windows.len() as f64 / 4.0;
    let by_class = right.map(|r| r / of_class);
    (by_class.iter().sum::<f64>() / 4.0, by_class)
}

const RAMP: usize = 2;

#[test]
fn corrected_rules_know_nine_of_ten_hard_windows_and_the_published_ones_half() {
    for seed in [101, 202, 303, 404, 505] {
        let hard = windows(Kind::Hard, 300, Seed(seed));
        let (published, of) = shares(&PUBLISHED, &hard);
        println!("hard {seed}: published {published:.3} {of:?}");
        assert!((0.44..0.56).contains(&published), "{seed}: {published}");
        assert!(of[RAMP] < 0.03, "{seed}: {of:?}");
        let (corrected, of) = shares(&CORRECTED, &hard);
        println!("hard {seed}: corrected {corrected:.3} {of:?}");
        assert!(corrected >= 0.9, "{seed}: {corrected}");
        assert!(of[RAMP] >= 0.9, "{seed}: {of:?}");
    }
}

#[test]
fn easy_windows_are_easy_for_the_corrected_rules_alone() {
    for seed in [101, 202] {
        let easy = windows(Kind::Easy, 300, Seed(seed));
        let (published, of) = shares(&PUBLISHED, &easy);
        println!("easy {seed}: published {published:.3} {of:?}");
        assert!(
            (0.44..0.6).contains(&published) && of[RAMP] < 0.01,
            "{seed}: {of:?}"
        );
        let (corrected, of) = shares(&CORRECTED, &easy);
        println!("easy {seed}: corrected {corrected:.3} {of:?}");
        assert!(corrected >= 0.97, "{seed}: {corrected}");
    }
}

#[test]
fn a_function_keeps_its_archetype_over_the_hours_of_its_days() {
    let functions = Functions {
        per_class: 6,
        days: 1,
    };
    let mut hours = Vec::new();
    for (archetype, function) in functions.functions(Seed(11)) {
        let Workload::Counts { counts, .. } = function.workload else {
            unreachable!()
        };
        let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
        let hour = |hour: &[f64]| (archetype, hour.try_into().unwrap());
        hours.extend(counts.chunks_exact(60).map(hour));
    }
    let (all, of) = shares(&CORRECTED, &hours);
    println!("functions: corrected {all:.3} {of:?}");
    // A ramp's hours with a turn in them are none, and two bursts of an hour may look like a wave.
    assert!(all > 0.8 && of.iter().all(|share| *share > 0.65), "{of:?}");
}
