//! AQUATOPE's nets from the command line: trained on day files and on traces, read back, refused.
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
use support::{foresail, refused, stdout};

/// Little enough to learn for a test; flags as the published scripts write them.
const QUICK: [&str; 8] = [
    "--num_epochs",
    "1",
    "--n_input_steps",
    "16",
    "--batch_size=64",
    "--windows_max=600",
    "--output",
    "json",
];

/// One row of a day: a wave of an hour around `level`.
fn row(id: &str, day: usize, level: f64) -> String {
    let count = |i: usize| {
        let wave = (std::f64::consts::TAU * (i + 7 * day) as f64 / 60.0).sin();
        (level * (1.0 + 0.5 * wave)).round().to_string()
    };
    let counts: Vec<String> = (0..1440).map(count).collect();
    format!("{id},http,{}\n", counts.join(","))
}

/// Writes a day file with some rows.
fn day(folder: &Path, day: usize, rows: &[String]) {
    let labels: Vec<String> = (1..=1440).map(|i| i.to_string()).collect();
    let header = format!(
        "HashOwner,HashApp,HashFunction,Trigger,{}\n",
        labels.join(",")
    );
    let name = format!("invocations_per_function_md.anon.d{day:02}.csv");
    fs::write(folder.join(name), header + &rows.concat()).unwrap();
}

/// A folder `data` with so many days of two functions.
fn dataset(days: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for d in 1..=days {
        day(
            &data,
            d,
            &[row("o1,a1,busy", d, 40.0), row("o1,a2,calm", d, 6.0)],
        );
    }
    folder
}

fn encoder<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let begin = [
        "aquatope",
        "train-encoder",
        "--dataset_dir",
        "data",
        "--n_output_steps",
        "4",
    ];
    [&begin[..], &QUICK, more].concat()
}

fn predictor<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let begin = ["aquatope", "train-predictor", "--dataset_dir", "data"];
    [&begin[..], &QUICK, more].concat()
}

fn json(folder: &Path, args: &[&str]) -> Value {
    let text = stdout(folder, args, 0);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

const ONE: [&str; 4] = ["--trace_id", "busy", "--num_days", "1"];

#[test]
fn both_nets_are_trained_written_and_told_of() {
    let folder = dataset(1);
    let told = json(
        folder.path(),
        &encoder(&[&ONE[..], &["--variational_dropout_p", "0.3"]].concat()),
    );
    assert_eq!(told["net"], "encoder-decoder");
    assert_eq!(told["training"]["dropout"], 0.3);
    assert_eq!(told["training"]["shape"], "sound");
    assert_eq!(told["functions"][0]["id"], "o1/a1/busy");
    let file = "model_artifacts/lstm_encoder_decoder.safetensors";
    assert_eq!(told["model"], file);
    let first = fs::read(folder.path().join(file)).unwrap();
    let told = json(
        folder.path(),
        &predictor(&[&ONE[..], &["--dropout_p", "0.1"]].concat()),
    );
    assert_eq!(told["parameters"], 20 * 64 + 64 + 1040 + 17);
    assert_eq!(told["training"]["dropout"], 0.1);
    assert_eq!(told["training"]["reach"], 1);
    let spread = &told["spreads"][0];
    assert!(
        (0.0..=1.0).contains(&spread["coverage"].as_f64().unwrap()),
        "{spread}"
    );
    // Nothing but the two files, and the encoder's as it was.
    let made = fs::read_dir(folder.path().join("model_artifacts")).unwrap();
    let mut names: Vec<String> = made
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["lstm_encoder_decoder.safetensors", "predict.safetensors"]
    );
    assert!(fs::read(folder.path().join(file)).unwrap() == first);
}

#[test]
fn people_read_losses_coverage_and_parameters() {
    let folder = dataset(1);
    let table = |mut args: Vec<&'static str>| {
        args.extend(ONE);
        args.retain(|a| *a != "--output" && *a != "json");
        stdout(folder.path(), &args, 0)
    };
    let text = table(encoder(&["--shape", "published"]));
    assert!(
        text.starts_with("encoder-decoder, published shape: "),
        "{text}"
    );
    assert!(
        text.contains("function o1/a1/busy: ") && text.contains("windows: "),
        "{text}"
    );
    assert!(text.contains("1 epoch, the best was 1: loss "), "{text}");
    let text = table(predictor(&[]));
    assert!(
        text.starts_with("prediction network, published shape: 2401 parameters"),
        "{text}"
    );
    assert!(text.contains("step 1: the 90 % band cover"), "{text}");
    assert!(text.contains("above the 95 % quantile"), "{text}");
    assert!(
        text.contains("model: model_artifacts/predict.safetensors"),
        "{text}"
    );
    let mut args = encoder(&ONE);
    args.retain(|a| *a != "json");
    let place = args.iter().position(|a| *a == "--output").unwrap();
    args.insert(place + 1, "csv");
    let csv = stdout(folder.path(), &args, 0);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.starts_with("net,shape,parameters,"), "{csv}");
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_others() {
    let folder = dataset(1);
    let bytes = |out: &str, seed: &str| {
        let more = [&ONE[..], &["--out", out, "--seed", seed]].concat();
        json(folder.path(), &encoder(&more));
        json(folder.path(), &predictor(&more));
        ["lstm_encoder_decoder.safetensors", "predict.safetensors"]
            .map(|name| fs::read(folder.path().join(out).join(name)).unwrap())
    };
    let first = bytes("a", "1");
    assert!(first == bytes("b", "1"));
    assert!(first[1] != bytes("c", "2")[1]);
}

/// The published code reads no day above nine, needs a slash at the folder's end, and fails where a
/// day has no row of the function.
#[test]
fn day_ten_is_read_and_a_day_without_a_row_is_zero() {
    let folder = dataset(9);
    let data = folder.path().join("data");
    day(&data, 10, &[row("o1,a2,calm", 10, 6.0)]);
    let more = [
        "--trace_id",
        "busy",
        "--num_days",
        "10",
        "--values",
        "containers",
    ];
    let told = json(folder.path(), &encoder(&more));
    let windows: u64 = (0..3)
        .map(|i| told["report"]["windows"][i].as_u64().unwrap())
        .sum();
    let left_out = told["report"]["leftOut"].as_u64().unwrap();
    // Parts of 11,520, 1,440 and 1,440 steps, windows of 16 + 4.
    assert_eq!(windows + left_out, 14_400 - 3 * 19);
    assert!(data.to_string_lossy().ends_with("data"));
    // Four a minute on day 1, no row on day 2: of the first 2,304 steps 1,440 have four.
    let flat = format!("o1,a1,flat,http,{}\n", vec!["4"; 1440].join(","));
    day(&data, 1, &[flat, row("o1,a2,calm", 1, 6.0)]);
    let more = [
        "--trace_id",
        "flat",
        "--num_days",
        "2",
        "--values",
        "containers",
    ];
    let told = json(folder.path(), &encoder(&more));
    let mean = told["functions"][0]["scale"]["mean"].as_f64().unwrap();
    assert!((mean - 2.5).abs() < 1e-9, "{mean}");
    assert_eq!(told["report"]["dropped"], 0);
}

#[test]
fn run_times_of_the_data_set_turn_requests_into_containers() {
    let folder = dataset(1);
    let header = "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_50,percentile_Average_99";
    let row = "o1,a1,busy,30000,10,1,60000,30000,60000";
    let name = "data/function_durations_percentiles.anon.d01.csv";
    let mean = |args: &[&str]| {
        let told = json(folder.path(), &encoder(&[&ONE[..], args].concat()));
        told["functions"][0]["scale"]["mean"].as_f64().unwrap()
    };
    let short = mean(&[]);
    fs::write(folder.path().join(name), format!("{header}\n{row}\n")).unwrap();
    // 40 requests a minute of 30 s: 20 at once on average, somewhat more at the peak.
    let long = mean(&[]);
    assert!(
        short < 5.0 && (20.0..32.0).contains(&long),
        "{short} {long}"
    );
    assert!(mean(&["--duration", "3s"]) < 10.0);
}

#[test]
fn one_net_serves_several_functions_by_short_or_whole_names() {
    let folder = dataset(1);
    let more = [
        "--trace_id",
        "busy",
        "--trace_id",
        "o1/a2/calm",
        "--num_days",
        "1",
    ];
    let told = json(folder.path(), &encoder(&more));
    let ids: Vec<&Value> = (0..2).map(|i| &told["functions"][i]["id"]).collect();
    assert_eq!(ids, ["o1/a1/busy", "o1/a2/calm"]);
}

#[test]
fn any_trace_will_do_instead_of_the_data_set() {
    let folder = dataset(1);
    let file = "data/invocations_per_function_md.anon.d01.csv";
    let begin = [
        "aquatope",
        "train-encoder",
        "--trace",
        file,
        "--n-output-steps",
        "4",
    ];
    let told = json(folder.path(), &[&begin[..], &QUICK].concat());
    assert_eq!(told["functions"][0]["id"], "o1/a1/busy");
    let more = ["--trace-id", "calm"];
    let told = json(folder.path(), &[&begin[..], &QUICK, &more].concat());
    assert_eq!(told["functions"][0]["id"], "o1/a2/calm");
}

#[test]
fn defaults_are_the_documented_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (verb, flags) in [
        (
            "train-encoder",
            &[
                ("--n-input-steps", "48"),
                ("--n-output-steps", "12"),
                ("--num-days", "7"),
                ("--num-epochs", "128"),
                ("--batch-size", "128"),
                ("--learning-rate", "0.0001"),
                ("--variational-dropout-p", "0.25"),
                ("--out", "model_artifacts"),
            ],
        ),
        (
            "train-predictor",
            &[
                ("--n-input-steps", "48"),
                ("--n-output-steps", "1"),
                ("--num-days", "7"),
                ("--num-epochs", "128"),
                ("--batch-size", "128"),
                ("--learning-rate", "0.001"),
                ("--dropout-p", "0.25"),
                ("--out", "model_artifacts"),
            ],
        ),
    ] {
        let help = stdout(folder.path(), &["aquatope", verb, "--help"], 0);
        for (flag, default) in flags {
            let begin = help
                .find(&format!("{flag} <"))
                .unwrap_or_else(|| panic!("{flag}: {help}"));
            let own = help[begin..].split("\n      --").next().unwrap();
            assert!(
                own.contains(&format!("[default: {default}]")),
                "{flag}: {own}"
            );
        }
    }
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_mend() {
    let folder = dataset(1);
    let path = folder.path();
    let says = |args: &[&str], words: &[&str]| {
        let error = refused(path, args);
        for word in words {
            assert!(error.contains(word), "{args:?}: {error}");
        }
    };
    let bare = ["aquatope", "train-encoder"];
    says(&bare, &["--dataset-dir", "--trace"]);
    says(&encoder(&[]), &["--trace-id is missing"]);
    let near = encoder(&["--trace_id", "bussy", "--num_days", "1"]);
    says(&near, &["no function `bussy`", "the nearest: o1/a1/busy"]);
    let days = encoder(&["--trace_id", "busy", "--num_days", "3"]);
    says(
        &days,
        &["invocations_per_function_md.anon.d02.csv", "--num-days 1"],
    );
    says(
        &encoder(&[&ONE[..], &["--variational_dropout_p", "1"]].concat()),
        &["dropout 1: must be"],
    );
    says(
        &encoder(&[&ONE[..], &["--learning_rate", "0"]].concat()),
        &["learning rate 0: must be"],
    );
    says(
        &encoder(&[&ONE[..], &["--num_days", "0"]].concat()),
        &["--num-days"],
    );
    says(
        &predictor(&ONE),
        &["there is no trained encoder", "train-encoder"],
    );
    fs::write(path.join("old.pt"), b"\x80\x02x").unwrap();
    says(
        &predictor(&[&ONE[..], &["--encoder", "old.pt"]].concat()),
        &["can run code"],
    );
    fs::write(path.join("file"), b"x").unwrap();
    says(
        &encoder(&[&ONE[..], &["--out", "file"]].concat()),
        &["give another folder with --out"],
    );
    let empty = path.join("empty");
    fs::create_dir(&empty).unwrap();
    let args = [
        "aquatope",
        "train-encoder",
        "--dataset_dir",
        "empty",
        "--trace_id",
        "f",
    ];
    says(&args, &["holds no file named"]);
    json(path, &encoder(&ONE));
    let other = predictor(&[&ONE[..], &["--shape", "published"]].concat());
    says(&other, &["the encoder has the shape Sound"]);
    let both = day_with_twins(path);
    says(
        &both,
        &["2 functions end in this name: o1/a1/twin, o2/a1/twin"],
    );
}

fn day_with_twins(folder: &Path) -> Vec<&'static str> {
    let data = folder.join("data");
    day(
        &data,
        1,
        &[row("o1,a1,twin", 1, 3.0), row("o2,a1,twin", 1, 3.0)],
    );
    encoder(&["--trace_id", "twin", "--num_days", "1"])
}

#[test]
fn a_history_that_is_too_short_has_a_code_of_its_own_and_says_how_much_is_needed() {
    let folder = dataset(1);
    let args = [
        "aquatope",
        "train-encoder",
        "--dataset_dir",
        "data",
        "--trace_id=busy",
        "--num_days=1",
        "--n_input_steps=120",
        "--n_output_steps=60",
    ];
    let output = foresail(folder.path(), &args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(
        error.contains("1990 steps are needed") && error.contains("1440 are there"),
        "{error}"
    );
}
