//! Training of a softmax ensemble and the answer for one row, in CPU time of one thread.
//!
//! Prints one JSON line per row. `FORESAIL_PEERS` names the folder of the peer scripts and
//! `FORESAIL_PYTHON` a Python with LightGBM: then the same rows go through the peer in the same run,
//! and the ratio of CPU times stands in the row. The windows are those of the peers' `gen.py`:
//! SplitMix64 and Box-Muller, checked by their sum; the features are this project's, of which the
//! peer computes the same.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

mod support;

use foresail_core::quantity::units::larger;
use foresail_models::classify::features::published;
use foresail_models::rng::Seed;
use foresail_models::trees::bins::Bins;
use foresail_models::trees::{LabelledRows, Packed, Parameters, SoftmaxTrees};
use serde_json::{Value, json};
use support::{median, peer, round, splitmix, windows};

const LEARNT: usize = 70_000;
const TESTED: usize = 10_000;
/// Sum of all generated windows; the peer prints the same.
const SUM: f64 = 501_539_817.0;
/// Share of wrong labels.
const WRONG: f64 = 0.02;

/// The class of each window, some of them wrong.
fn labels(count: usize) -> Vec<u8> {
    let wrong = splitmix(5, count);
    let one = |(i, u): (usize, &f64)| {
        let shift = if *u < WRONG {
            1 + (u * 5000.0) as usize % 3
        } else {
            0
        };
        ((i + shift) % 4) as u8
    };
    wrong.iter().enumerate().map(one).collect()
}

/// Accuracy and mean log-loss on the rows that were not learnt from.
fn judged(trees: &SoftmaxTrees, rows: &[Vec<f64>], labels: &[u8]) -> (f64, f64) {
    let (mut right, mut loss) = (0, 0.0);
    for (row, label) in rows.iter().zip(labels).skip(LEARNT) {
        let told = trees.probabilities(row);
        let top = (0..told.len()).max_by(|a, b| told[*a].total_cmp(&told[*b]));
        right += usize::from(top == Some(usize::from(*label)));
        loss -= larger(told[usize::from(*label)], 1e-15).ln();
    }
    (
        f64::from(right as u32) / TESTED as f64,
        loss / TESTED as f64,
    )
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // One thread: what runs in others would not be counted.
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    one.build_global().expect("the first pool");
    let count = LEARNT + TESTED;
    let windows = windows(count, 17);
    let sum: f64 = windows.iter().flatten().sum();
    assert!((sum - SUM).abs() < 1.0, "the windows differ: {sum}");
    let rows: Vec<Vec<f64>> = windows.iter().map(|w| published(w).to_vec()).collect();
    let labels = labels(count);
    let columns: Vec<Vec<f64>> = (0..rows[0].len())
        .map(|f| rows[..LEARNT].iter().map(|r| r[f]).collect())
        .collect();
    let parameters = Parameters {
        early_stopping_round: 0,
        ..Parameters::PUBLISHED
    };
    let fit = || {
        let bins = Bins::of(&columns);
        let binned = bins.bin(&columns);
        let rows = LabelledRows {
            bins: &bins,
            features: &binned,
            labels: &labels[..LEARNT],
            classes: 4,
            learnt: LEARNT,
        };
        SoftmaxTrees::fit(&rows, &parameters, Seed(1)).expect("rows that fit together")
    };
    let seconds = median(|| drop(std::hint::black_box(fit())));
    let trained = fit();
    let (accuracy, loss) = judged(&trained.trees, &rows, &labels);
    let mut row = json!({"bench": "softmax-train", "rows": LEARNT, "features": columns.len(),
        "classes": 4, "rounds": trained.kept, "cpu_s": round(seconds), "threads": 1,
        "accuracy": accuracy, "log_loss": round(loss)});
    let theirs = peer("aapa_lightgbm.py", &["--reps", "1"])
        .into_iter()
        .next();
    if let Some(theirs) = &theirs {
        row["peer_cpu_s"] = theirs["cpu_s"].clone();
        row["peer_accuracy"] = theirs["accuracy"].clone();
        row["peer_log_loss"] = theirs["logloss"].clone();
        row["ratio"] = json!(round(
            seconds / theirs["cpu_s"].as_f64().unwrap_or(f64::NAN)
        ));
    }
    println!("{row}");
    println!("{}", answers(&trained.trees, &rows, theirs.as_ref()));
}

/// Microseconds of one row's scores, by the quick walk and by the plain one; they must be equal.
fn answers(trees: &SoftmaxTrees, rows: &[Vec<f64>], theirs: Option<&Value>) -> Value {
    let packed = Packed::new(trees).expect("thresholds that fit");
    let asked = &rows[LEARNT..];
    for row in asked {
        assert_eq!(packed.scores(row), trees.scores(row));
    }
    let each = |scores: &dyn Fn(&[f64]) -> Vec<f64>| {
        let seconds = median(|| {
            for row in asked {
                std::hint::black_box(scores(row));
            }
        });
        round(1e6 * seconds / asked.len() as f64)
    };
    let (quick, plain) = (
        each(&|row| packed.scores(row)),
        each(&|row| trees.scores(row)),
    );
    let mut told = json!({"bench": "softmax-answer", "trees": trees.trees().len(),
        "cpu_us": quick, "plain_cpu_us": plain, "threads": 1});
    if let Some(theirs) = theirs {
        told["peer_python_us"] = theirs["us_single_row_python"].clone();
        told["peer_fast_c_us"] = theirs["us_single_row_fast_c"].clone();
        told["peer_batch_us"] = theirs["us_per_row_batch"].clone();
    }
    told
}
