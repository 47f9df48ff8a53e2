//! Features of windows, rules and the label model, in CPU time of one thread.
//!
//! Prints one JSON line per row. `FORESAIL_PEERS` names the folder of the peer scripts and
//! `FORESAIL_PYTHON` a Python with numpy, scipy and snorkel: then the same windows and votes go
//! through the peers in the same run. `FORESAIL_LIMITS` names the program built of the peers'
//! `limits.rs`, the bare loop (without FMA its matrix products take minutes). Windows and votes are
//! those of the peers' scripts, checked by their sum.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

mod support;

use std::hint::black_box;
use std::process::Command;

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::Window;
use foresail_models::classify::features::{Features, published};
use foresail_models::classify::label_model::{FitOptions, LabelModel, Patterns};
use foresail_models::classify::labeling::{CORRECTED, Votes};
use foresail_models::registry::CLASSIFIERS;
use serde_json::{Value, json};
use support::{lines, median, peer, round, splitmix, windows};

const WINDOWS: usize = 20_000;

/// Sum of all generated counts; stands in the peers' README as well.
const SUM: f64 = 125_234_343.0;

/// Microseconds a window of `work` over all of them.
fn per_window(windows: &[Window], work: impl Fn(&Window)) -> f64 {
    1e6 * median(|| windows.iter().for_each(&work)) / windows.len() as f64
}

/// Microseconds a window of the bare loop over the same windows.
fn bare(windows: &[Window]) -> Option<f64> {
    let program = std::env::var_os("FORESAIL_LIMITS")?;
    let file = format!("foresail-windows-{}.f64", std::process::id());
    let path = std::env::temp_dir().join(file);
    let bytes: Vec<u8> = windows
        .iter()
        .flatten()
        .flat_map(|c| c.to_le_bytes())
        .collect();
    std::fs::write(&path, bytes).ok()?;
    let told = lines(Command::new(program).arg(&path));
    // What cannot be removed stays in the folder for such things.
    let _ = std::fs::remove_file(&path);
    let task = |line: &&Value| line["task"] == "aapa37";
    told.iter().find(task)?["us_per_window"].as_f64()
}

fn features(windows: &[Window]) {
    let own = per_window(windows, |w| {
        black_box(published(w));
    });
    let mut row = json!({"bench": "features", "set": "published", "windows": WINDOWS,
        "cpu_us_per_window": round(own), "threads": 1});
    for theirs in peer("aapa_features.py", &[]) {
        let (task, time) = (&theirs["task"], theirs["us_per_window"].as_f64());
        if let (Some(task), Some(time)) = (task.as_str(), time) {
            row[format!("peer_{task}_us")] = json!(time);
            row[format!("ratio_{task}")] = json!(round(time / own));
        }
    }
    if let Some(time) = bare(windows) {
        row["bare_us"] = json!(time);
        row["ratio_bare"] = json!(round(time / own));
    }
    println!("{row}");
    let both = per_window(windows, |w| {
        black_box(Features::of(w).row());
    });
    println!(
        "{}",
        json!({"bench": "features", "set": "published and corrected",
            "cpu_us_per_window": round(both)})
    );
    let votes = per_window(windows, |w| {
        let features = Features::of(w);
        black_box(CORRECTED.majority(CORRECTED.votes(&features), &features));
    });
    println!(
        "{}",
        json!({"bench": "label", "profile": "corrected", "cpu_us_per_window": round(votes)})
    );
    for entry in CLASSIFIERS {
        let classifier = (entry.build)().expect("a classifier");
        let time = per_window(windows, |w| {
            black_box(classifier.verdict(w));
        });
        println!(
            "{}",
            json!({"bench": "verdict", "classifier": entry.name, "cpu_us_per_window": round(time)})
        );
    }
}

const ROWS: usize = 70_000;

/// Classes of ten functions and their probabilities on their own class and on others, as
/// `aapa_snorkel.py` has them.
const CLASS: [usize; 10] = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3];
const OWN: [f64; 10] = [0.8, 0.6, 0.5, 0.5, 0.8, 0.4, 0.8, 0.5, 0.7, 0.6];
const OTHER: [f64; 10] = [0.02, 0.05, 0.05, 0.05, 0.15, 0.2, 0.03, 0.05, 0.1, 0.2];
const BALANCE: [f64; 4] = [0.1, 0.5, 0.1, 0.3];

/// Class and votes of each row; the numbers are those of the script.
fn votes() -> Vec<(usize, Votes)> {
    let of = |u: &[f64]| {
        let below = [0.1, 0.6, 0.7].iter().filter(|edge| u[0] > **edge);
        let class = below.count();
        let votes = (0..10).filter(|f| {
            let p = if CLASS[*f] == class {
                OWN[*f]
            } else {
                OTHER[*f]
            };
            u[1 + f] < p
        });
        (class, Votes(votes.map(|f| 1 << f).sum()))
    };
    splitmix(31, ROWS * 21).chunks(21).map(of).collect()
}

fn label_model() {
    let rows = votes();
    let archetypes = CLASS.map(|c| Archetype::CLASSES[c]);
    let counted = || {
        let mut patterns = Patterns::new(&archetypes).expect("ten functions");
        rows.iter().for_each(|(_, votes)| patterns.add(*votes));
        patterns
    };
    let options = FitOptions {
        balance: Some(BALANCE),
        ..FitOptions::default()
    };
    let fit = median(|| {
        black_box(LabelModel::fit(&counted(), &options).expect("rows"));
    });
    let model = LabelModel::fit(&counted(), &options).expect("rows");
    let label = median(|| {
        for (_, votes) in &rows {
            black_box(model.probabilities(*votes));
        }
    });
    let right = rows
        .iter()
        .filter(|(class, votes)| model.label(*votes).0.place() == Some(*class));
    let mut row = json!({"bench": "label model", "rows": ROWS, "functions": 10,
        "fit_cpu_ms": round(1e3 * fit), "label_cpu_ms": round(1e3 * label), "rounds": model.rounds,
        "accuracy": right.count() as f64 / ROWS as f64, "threads": 1});
    for theirs in peer("aapa_snorkel.py", &[]) {
        if let (Some(who), Some(cpu)) = (theirs["peer"].as_str(), theirs["cpu_s"].as_f64()) {
            row[format!("peer_{who}_ms")] = json!(round(1e3 * cpu));
            row[format!("ratio_{who}")] = json!(round(cpu / fit));
            row[format!("accuracy_{who}")] = theirs["accuracy"].clone();
        }
    }
    println!("{row}");
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let windows = windows(WINDOWS, 13);
    let sum: f64 = windows.iter().flatten().sum();
    assert!((sum / SUM - 1.0).abs() < 1e-12, "the windows differ: {sum}");
    features(&windows);
    label_model();
}
