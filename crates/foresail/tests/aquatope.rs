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

use foresail_models::forecast::pool_net::Shape;
use foresail_models::propose::pool::net::shipped;
use serde_json::Value;
use support::{foresail, refused, root, stdout};

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
    says(
        &args,
        &["holds no file named", "another trace with --trace"],
    );
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

/// A trace of so many minutes: a wave of an hour around each function's level.
fn calls(folder: &Path, minutes: usize, functions: &[(&str, f64)]) {
    let wave = |level: f64, i: usize| level * (1.0 + 0.5 * (i as f64 / 9.55).sin());
    let mut text = "timestamp,function,requests\n".to_owned();
    for (id, level) in functions {
        for i in 0..minutes {
            let (hour, minute) = (i / 60, i % 60);
            let count = wave(*level, i).round();
            text += &format!("2026-03-02T{hour:02}:{minute:02}:00Z,{id},{count}\n");
        }
    }
    fs::write(folder.join("calls.csv"), text).unwrap();
}

fn schedule<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let begin = ["aquatope", "schedule", "--trace", "calls.csv"];
    let end = ["--service", "8s", "--passes", "16", "--output", "json"];
    [&begin[..], more, &end].concat()
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
    text.lines().map(parse).collect()
}

fn schedule_lines(folder: &Path, more: &[&str]) -> Vec<Value> {
    lines(&stdout(folder, &schedule(more), 0))
}

/// The normal quantile at 0.95. Source: any table.
const Z95: f64 = 1.644_853_6;

#[test]
fn a_schedule_tells_every_change_with_what_it_was_sized_by_and_holds_it_against_keep_alives() {
    let folder = tempfile::tempdir().unwrap();
    calls(folder.path(), 150, &[("busy", 30.0), ("calm", 2.0)]);
    let told = schedule_lines(folder.path(), &[]);
    let (end, changes) = told.split_last().unwrap();
    let sized: Vec<&Value> = changes.iter().filter(|c| c["mean"].is_f64()).collect();
    assert!(sized.len() > 20, "{}", sized.len());
    for change in &sized {
        let of = |key: &str| change[key].as_f64().unwrap();
        assert!((of("mean") + Z95 * of("deviation") - of("quantile")).abs() < 1e-6);
        // The pool is the quantile to the nearest, never below what is busy.
        let pool = change["pool"]["after"].as_f64().unwrap();
        let nearest = (of("quantile") - 0.5).ceil();
        let least = of("busy");
        assert!(
            (pool - if nearest > least { nearest } else { least }).abs() < 1e-9,
            "{change}"
        );
        assert!(
            change["time"].as_str().unwrap() >= "2026-03-02T00:48",
            "{change}"
        );
    }
    // Before 48 minutes are there, what is busy is kept, and the record says why.
    let early = changes.iter().filter(|c| c["mean"].is_null());
    for change in early {
        assert_eq!(change["pool"]["after"], change["busy"], "{change}");
        assert!(change["why"].as_str().unwrap().contains("keep-alive"));
    }
    let all = end["comparison"].as_array().unwrap();
    let names: Vec<&Value> = all.iter().map(|p| &p["policy"]).collect();
    assert_eq!(
        names,
        ["aquatope-pool", "keepalive-fixed", "keepalive-histogram"]
    );
    assert!(all.iter().all(|p| p["calls"] == all[0]["calls"]));
    assert!(all[0]["pooled"].as_u64().unwrap() > 0);
    // Same seed, same bytes.
    let again = stdout(folder.path(), &schedule(&[]), 0);
    assert_eq!(
        again,
        stdout(folder.path(), &schedule(&["--seed", "42"]), 0)
    );
    let table = schedule(&[]);
    let text = stdout(folder.path(), &table[..table.len() - 2], 0);
    assert!(text.contains("DEVIATION") && text.contains("P95"), "{text}");
    assert!(text.contains("keepalive-histogram"), "{text}");
}

#[test]
fn pools_stay_within_the_most_and_the_memory_budget_and_say_which_bound() {
    let folder = tempfile::tempdir().unwrap();
    calls(folder.path(), 120, &[("busy", 60.0), ("calm", 6.0)]);
    let says = |more: &[&str], word: &str, most: u64| {
        let told = schedule_lines(folder.path(), more);
        let mut cut = 0;
        for change in &told[..told.len() - 1] {
            let pool = change["pool"]["after"].as_u64().unwrap();
            let limits = change["limits"].to_string();
            assert!(pool <= most || limits.contains("busy"), "{change}");
            cut += usize::from(limits.contains(word));
        }
        assert!(cut > 0, "{more:?}");
    };
    says(&["--max", "4"], "Bounds pool", 4);
    says(&["--memory_budget", "384MiB"], "Admission pool", 3);
}

/// What the keep-alive holds is beyond the budget of the pools, and is told beside it.
#[test]
fn a_budget_that_all_containers_together_exceed_is_told_with_what_they_held() {
    let folder = tempfile::tempdir().unwrap();
    calls(folder.path(), 90, &[("busy", 60.0), ("calm", 6.0)]);
    let run = |budget: &str| {
        let output = foresail(folder.path(), &schedule(&["--memory_budget", budget]));
        let error = String::from_utf8(output.stderr).unwrap();
        let told = lines(&String::from_utf8(output.stdout).unwrap());
        (told.last().unwrap().clone(), error)
    };
    let (end, error) = run("384MiB");
    assert_eq!(end["memoryBudgetBytes"], 384 << 20);
    let most = end["comparison"][0]["memoryMostBytes"].as_f64().unwrap();
    assert!(most > f64::from(384 << 20), "{most}");
    let held = format!(
        "held up to {:.3} GB, above the budget of 0.403 GB",
        most / 1e9
    );
    assert!(error.contains(&held), "{error}");
    let (_, error) = run("64GiB");
    assert!(!error.contains("above the budget"), "{error}");
}

/// The spec's rule is up: ceil(mean + z · deviation).
#[test]
fn rounding_up_holds_whatever_is_above_a_whole_number() {
    let folder = tempfile::tempdir().unwrap();
    calls(folder.path(), 120, &[("busy", 30.0)]);
    let told = schedule_lines(folder.path(), &["--rounding", "up"]);
    let sized = told.iter().filter(|c| c["mean"].is_f64());
    let mut beyond = 0;
    for change in sized {
        let quantile = change["quantile"].as_f64().unwrap();
        let (up, busy) = ((quantile - 1e-9).ceil() as u64, change["busy"].as_u64());
        assert_eq!(
            change["pool"]["after"].as_u64(),
            busy.max(Some(up)),
            "{change}"
        );
        beyond += usize::from(quantile.fract() < 0.5 && busy < Some(up));
    }
    assert!(beyond > 0, "nothing that the nearest would size otherwise");
}

#[test]
fn a_short_history_warns_and_leaves_the_keep_alive_alone() {
    let folder = tempfile::tempdir().unwrap();
    calls(folder.path(), 40, &[("busy", 30.0)]);
    let output = foresail(folder.path(), &schedule(&[]));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("warning: 40 minutes") && error.contains("reads 48"),
        "{error}"
    );
    let told = lines(&String::from_utf8_lossy(&output.stdout));
    let (end, changes) = told.split_last().unwrap();
    assert!(changes.iter().all(|c| c["mean"].is_null()));
    // Without a pool beyond what is busy it is the fixed keep-alive of as long.
    let of = |place: usize, key: &str| end["comparison"][place][key].clone();
    assert_eq!(of(0, "coldStarts"), of(1, "coldStarts"));
    assert_eq!(of(0, "pooled"), 0);
}

#[test]
fn stages_of_a_workflow_get_pools_by_the_calls_of_the_workflow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    calls(path, 60, &[("requests", 20.0)]);
    let file = r#"{"name": "shop", "functions": ["ml-image-processing", "ml-human"], "params": {}, "qos": 6}"#;
    fs::write(path.join("shop.json"), file).unwrap();
    let args = [
        "aquatope",
        "schedule",
        "--trace",
        "calls.csv",
        "--workflow_config",
        "shop.json",
    ];
    let told = lines(&stdout(
        path,
        &[&args[..], &["--passes", "8", "-o", "json"]].concat(),
        0,
    ));
    let (end, changes) = told.split_last().unwrap();
    for stage in ["shop/ml-image-processing", "shop/ml-human"] {
        assert!(changes.iter().any(|c| c["function"] == stage), "{stage}");
    }
    let once = stdout(
        path,
        &["aquatope", "schedule", "--trace", "calls.csv", "-o", "json"],
        0,
    );
    let once = lines(&once).pop().unwrap();
    let count = |told: &Value| told["comparison"][0]["calls"].as_u64().unwrap();
    // Two stages, each called once a call; arrivals within a minute keep their count.
    assert_eq!(count(end), 2 * count(&once));
    fs::write(path.join("bad.json"), file.replace("ml-human", "ml-humen")).unwrap();
    let error = refused(path, &[&args[..5], &["bad.json"]].concat());
    assert!(
        error.contains("functions[1]") && error.contains("ml-human"),
        "{error}"
    );
    calls(path, 60, &[("ml-human", 20.0)]);
    let error = refused(path, &args);
    assert!(
        error.contains("named as the stage ml-human")
            && error.contains("none is for ml-image-processing"),
        "{error}"
    );
    calls(path, 60, &[("a", 20.0), ("b", 2.0)]);
    let error = refused(path, &args);
    assert!(
        error.contains("2 items in the trace") && error.contains("ml-human"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_scheduled_is_refused_with_the_mend() {
    let folder = dataset(1);
    let path = folder.path();
    calls(path, 60, &[("busy", 30.0)]);
    let says = |more: &[&str], words: &[&str]| {
        let error = refused(path, &schedule(more));
        for word in words {
            assert!(error.contains(word), "{more:?}: {error}");
        }
    };
    says(
        &["--n_input_steps", "24"],
        &["--n-input-steps 24", "reads 48", "write 48"],
    );
    says(
        &["--n_output_steps", "3"],
        &["--n-output-steps 3", "tells 1"],
    );
    says(&["--trace_id", "bussy"], &["no function `bussy`", "busy"]);
    says(&["--quantile", "0.2"], &["must be 0.5 to 0.999"]);
    let csv = ["aquatope", "schedule", "--trace", "calls.csv", "-o", "csv"];
    let error = refused(path, &csv);
    assert!(error.contains("[possible values: table, json]"), "{error}");
    says(&["--max", "0"], &["--max"]);
    fs::create_dir(path.join("broken")).unwrap();
    fs::write(path.join("broken/predict.safetensors"), b"nothing").unwrap();
    says(&["--model_dir", "broken"], &["broken/predict.safetensors"]);
    // A net of another form is taken where the flags say so, and refused where they do not.
    json(path, &encoder(&ONE));
    json(path, &predictor(&ONE));
    says(&[], &["--n-input-steps 48: the net reads 16 steps"]);
    let told = schedule_lines(path, &["--n_input_steps", "16"]);
    let first = told.iter().find(|c| c["mean"].is_f64()).unwrap();
    assert!(
        first["time"].as_str().unwrap() < "2026-03-02T00:20",
        "{first}"
    );
    let output = foresail(path, &schedule(&["--model_dir", "none"]));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("none/predict.safetensors is not there; the shipped net"),
        "{error}"
    );
}

#[test]
fn another_net_flies_in_a_comparison_and_a_damaged_file_does_not() {
    let folder = dataset(1);
    let path = folder.path();
    calls(path, 90, &[("busy", 30.0)]);
    json(path, &encoder(&ONE));
    json(path, &predictor(&ONE));
    let fly = |out: &str, more: &[&str]| {
        let begin = [
            "compare",
            "--mode",
            "function",
            "--trace",
            "calls.csv",
            "--service",
            "8s",
        ];
        let end = ["--policies", "aquatope-pool", "--out", out];
        foresail(path, &[&begin[..], &end, more].concat())
    };
    let file = "model_artifacts/predict.safetensors";
    for (out, more) in [("shipped", &[][..]), ("own", &["--pool-net", file])] {
        let output = fly(out, more);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let summary = |out: &str| fs::read_to_string(path.join(out).join("summary.csv")).unwrap();
    assert!(summary("shipped") != summary("own"));
    let whole = fs::read(path.join(file)).unwrap();
    fs::write(path.join("torn"), &whole[..whole.len() / 2]).unwrap();
    let output = fly("torn-out", &["--pool-net", "torn"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("--pool-net") && error.contains("torn"),
        "{error}"
    );
    let error = refused(path, &["compare", "--pool-net", file]);
    assert!(error.contains("--mode function"), "{error}");
}

#[test]
fn nets_learn_the_generated_population() {
    let folder = tempfile::tempdir().unwrap();
    let begin = [
        "aquatope",
        "train-encoder",
        "--generated",
        "12",
        "--num_days",
        "1",
    ];
    let told = json(
        folder.path(),
        &[&begin[..], &["--n_output_steps", "4"], &QUICK].concat(),
    );
    let functions = told["functions"].as_array().unwrap();
    assert!((1..12).contains(&functions.len()), "{told}");
    let both = [&begin[..], &["--trace", "calls.csv"]].concat();
    assert!(refused(folder.path(), &both).contains("cannot be used with"));
    let none = [
        "aquatope",
        "train-encoder",
        "--generated",
        "1",
        "--num_days",
        "1",
    ];
    let error = refused(folder.path(), &none);
    assert!(error.contains("none of 1 generated functions"), "{error}");
}

/// One record with the fields of OpenWhisk's documentation.
fn record(cpu: f64, cold_ms: u32, code: u32) -> String {
    format!(
        r#"{{"name":"resize","start":1000,"end":1500,"duration":500,"cpuUtil":0.5,"annotations":[{{"key":"path","value":"guest/resize"}},{{"key":"limits","value":{{"cpu":{cpu}}}}},{{"key":"initTime","value":{cold_ms}}}],"response":{{"statusCode":{code},"result":{{"timestamps":{{"main_start_ms":1120,"main_end_ms":1480,"minio_get_ms":100,"minio_put_ms":60}}}}}}}}"#
    )
}

#[test]
fn activation_records_become_the_published_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let records = [
        record(1.0, 100, 0),
        record(1.0, 0, 0),
        record(1.0, 0, 2),
        record(2.0, 0, 0),
    ];
    fs::write(path.join("a.jsonl"), records.join("\n")).unwrap();
    let csv = stdout(
        path,
        &["aquatope", "activations", "a.jsonl", "-o", "csv"],
        0,
    );
    let want = "action,cpu,cpu_util,duration,cold_start,cpu_time,concurrency,exec,get,put,cold,failed\n\
                guest/resize,1,0.5,500,50,1000,2,200,100,60,1,1\n\
                guest/resize,2,0.5,500,0,1000,1,200,100,60,0,0\n";
    assert_eq!(csv, want);
    let each = ["aquatope", "activations", "a.jsonl", "--each", "-o", "csv"];
    let csv = stdout(path, &each, 0);
    let mut rows = csv.lines();
    let header = "action,cpu,cpu_util,duration,cold_start,start,end,exec,get,put,cpu_time,failed";
    assert_eq!(rows.next(), Some(header));
    assert_eq!(
        rows.next(),
        Some("guest/resize,1,0.5,500,100,120,20,200,100,60,500,0")
    );
    let failed: Vec<bool> = rows.map(|row| row.ends_with(",1")).collect();
    assert_eq!(failed, [false, true, false]);
    let told = lines(&stdout(
        path,
        &["aquatope", "activations", "a.jsonl", "-o", "json"],
        0,
    ));
    assert_eq!(
        (&told[0]["failed"], &told[0]["cpu_time"]),
        (&Value::from(1), &Value::from(1000.0))
    );
    let table = stdout(path, &["aquatope", "activations", "a.jsonl"], 0);
    assert!(table.starts_with("times in ms, cpu in cores"), "{table}");
    fs::write(path.join("bad.jsonl"), format!("{}\nnothing\n", records[0])).unwrap();
    let error = refused(path, &["aquatope", "activations", "bad.jsonl"]);
    assert!(
        error.contains("bad.jsonl") && error.contains("line 2"),
        "{error}"
    );
    stdout(path, &["aquatope", "activations", "none.jsonl"], 5);
}

/// The weights of the documented shapes: the encoder of 5 inputs, 64 and 1 units; the head of 52, 16 and
/// 1 numbers.
#[test]
fn the_shipped_net_is_the_documented_one() {
    let net = shipped().unwrap();
    let lstm = |inputs: usize, units: usize| 4 * units * (inputs + units + 2);
    let head = (48 + 4) * 64 + 64 + (64 * 16 + 16) + (16 + 1);
    assert_eq!(net.parameters(), [lstm(5, 64) + lstm(64, 1), head]);
    let training = net.training();
    assert_eq!((training.shape, training.dropout), (Shape::Sound, 0.25));
    assert_eq!(
        (net.window(), net.reach(), net.step().whole_seconds()),
        (48, 1, 60)
    );
    let spread = net.spreads()[0];
    let covered = spread.rescaled.unwrap_or(spread.coverage);
    assert!((0.85..=0.95).contains(&covered), "{covered}");
    let file = root().join("crates/foresail-models/assets/pool-net.safetensors");
    assert!(fs::metadata(file).unwrap().len() < 150_000);
    assert!(
        net.known().iter().all(|k| k.id.len() < 20),
        "a generated name"
    );
}
