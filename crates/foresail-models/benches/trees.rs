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

use std::process::Command;
use std::time::Instant;

use foresail_core::quantity::units::larger;
use foresail_models::classify::features::published;
use foresail_models::rng::Seed;
use foresail_models::trees::bins::Bins;
use foresail_models::trees::{LabelledRows, Packed, Parameters, SoftmaxTrees};
use serde_json::{Value, json};

const LEARNT: usize = 70_000;
const TESTED: usize = 10_000;
const WINDOW: usize = 60;
/// Sum of all generated windows; the peer prints the same.
const SUM: f64 = 501_539_817.0;
/// Share of wrong labels.
const WRONG: f64 = 0.02;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse::<f64>().ok()?;
    Some(nanos / 1e9)
}

fn timed(work: impl FnOnce()) -> f64 {
    // The kernel books a thread's time when it lets go of the processor.
    std::thread::yield_now();
    let (wall, before) = (Instant::now(), cpu());
    work();
    std::thread::yield_now();
    match (before, cpu()) {
        (Some(a), Some(b)) if b > a => b - a,
        _ => wall.elapsed().as_secs_f64(),
    }
}

fn splitmix(seed: u64, count: usize) -> Vec<f64> {
    let one = |i: u64| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) as f64 + 0.5) / 2_f64.powi(53)
    };
    (1..=count as u64).map(one).collect()
}

fn normals(seed: u64, count: usize) -> Vec<f64> {
    let pair = |u: &[f64]| (-2.0 * u[0].ln()).sqrt() * (std::f64::consts::TAU * u[1]).cos();
    splitmix(seed, 2 * count).chunks(2).map(pair).collect()
}

/// Windows of the four classes in turn.
fn windows(count: usize, seed: u64) -> Vec<Vec<f64>> {
    let (p, z) = (splitmix(seed, count * 4), normals(seed + 1, count * WINDOW));
    let one = |i: usize| {
        let p = &p[4 * i..4 * i + 4];
        let base = 5.0 + 200.0 * p[0] * p[0];
        let at = (p[1] * (WINDOW - 3) as f64).floor();
        let rate = |t: f64| match i % 4 {
            0 if t >= at && t < at + 2.0 => base * (4.0 + 30.0 * p[2]),
            1 => {
                let turns = t / (5.0 + 20.0 * p[3]) + p[1];
                base * (1.0 + (0.3 + 0.6 * p[2]) * (std::f64::consts::TAU * turns).sin())
            }
            2 => base * (1.0 + (0.5 + 4.0 * p[2]) * t / WINDOW as f64),
            _ => base,
        };
        let value = |t: usize| {
            let rate = rate(t as f64);
            larger(
                (rate + rate.sqrt() * z[i * WINDOW + t]).round_ties_even(),
                0.0,
            )
        };
        (0..WINDOW).map(value).collect()
    };
    (0..count).map(one).collect()
}

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

/// The peer's row; `None` where there is none.
fn peer() -> Option<Value> {
    let folder = std::env::var_os("FORESAIL_PEERS")?;
    let python = std::env::var_os("FORESAIL_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .current_dir(folder)
        .args(["aapa_lightgbm.py", "--reps", "1"])
        .output()
        .ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Median of three.
fn median(run: impl Fn() -> f64) -> f64 {
    let mut runs = [run(), run(), run()];
    runs.sort_by(f64::total_cmp);
    runs[1]
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
    let seconds = median(|| timed(|| drop(std::hint::black_box(fit()))));
    let trained = fit();
    let (accuracy, loss) = judged(&trained.trees, &rows, &labels);
    let mut row = json!({"bench": "softmax-train", "rows": LEARNT, "features": columns.len(),
        "classes": 4, "rounds": trained.kept, "cpu_s": round(seconds), "threads": 1,
        "accuracy": accuracy, "log_loss": round(loss)});
    let theirs = peer();
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
            timed(|| {
                for row in asked {
                    std::hint::black_box(scores(row));
                }
            })
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
