//! The experiment's files: none is written over, an interrupt keeps them, and a damaged one is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{foresail, refused, stdout};

/// Begin of seed 42 in simulated time.
const STAMP: &str = "20260106_180000";

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["experiment", "--simulate"], args].concat()
}

fn simulate(folder: &Path, args: &[&str]) -> String {
    stdout(folder, &with(args), 0)
}

fn file(folder: &Path, mode: &str) -> PathBuf {
    folder.join(format!("experiment_data/experiment_{mode}_{STAMP}.csv"))
}

fn lines(csv: &Path) -> Vec<Value> {
    let text = fs::read_to_string(csv.with_extension("jsonl")).unwrap();
    let read = |l: &str| serde_json::from_str(l).unwrap();
    text.lines().map(read).collect()
}

fn report(folder: &Path, args: &[&str]) -> Value {
    let all = [
        &["experiment", "report"],
        args,
        &["--out", "page", "-o", "json"],
    ]
    .concat();
    serde_json::from_str(&stdout(folder, &all, 0)).unwrap()
}

fn claim<'a>(report: &'a Value, begin: &str) -> &'a Value {
    let claims = report["tables"]["claims"]["rows"].as_array().unwrap();
    let found = claims
        .iter()
        .find(|c| c[0].as_str().unwrap().starts_with(begin));
    found.unwrap()
}

#[test]
fn a_run_of_other_flags_and_a_foreign_file_are_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let own = ["--mode", "hpa_only", "--duration", "10"];
    simulate(at, &own);
    let path = file(at, "hpa_only");
    let read = || {
        let beside = fs::read(path.with_extension("jsonl")).unwrap();
        (fs::read(&path).unwrap(), beside)
    };
    let first = read();
    for (flag, value) in [
        ("--interval", "20"),
        ("--latency", "3s"),
        ("--llm", "scripted:up"),
        ("--min-replicas", "2"),
        ("--cpu-target", "70"),
    ] {
        let error = refused(at, &with(&[&own[..], &[flag, value]].concat()));
        assert!(error.contains("a run of other flags"), "{error}");
        assert!(
            error.contains(flag) && error.contains("--output-dir"),
            "{error}"
        );
        assert!(read() == first, "{flag}");
    }
    let error = refused(at, &with(&["--mode", "hpa_only"]));
    assert!(error.contains("--duration"), "{error}");
    let again = foresail(at, &with(&own));
    assert!(again.status.success() && read() == first);
    let note = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(note.contains("is written again"), "{note}");
    // One of three places is taken: none of the three is written.
    let error = refused(at, &with(&["--mode", "all"]));
    assert!(error.contains("other flags"), "{error}");
    assert!(!file(at, "ai_scaler").exists());
    // The published Python names its files the same way, and nothing stands beside them.
    fs::remove_file(path.with_extension("jsonl")).unwrap();
    let error = refused(at, &with(&own));
    assert!(error.contains("which would say what was run"), "{error}");
    fs::write(&path, "mine\n").unwrap();
    let error = refused(at, &with(&own));
    assert!(error.contains("no file of this experiment"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"mine\n");
}

#[test]
fn a_record_takes_the_place_of_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let own = |out, more: &[&'static str]| {
        let begin = [
            "--duration",
            "5",
            "--record",
            "a.jsonl",
            "--output-dir",
            out,
        ];
        with(&[&begin[..], more].concat())
    };
    fs::write(at.join("a.jsonl"), "{\"mine\":1}\n").unwrap();
    let error = refused(at, &own("one", &[]));
    assert!(
        error.contains("no record") && error.contains("--record"),
        "{error}"
    );
    fs::remove_file(at.join("a.jsonl")).unwrap();
    stdout(at, &own("one", &[]), 0);
    let first = fs::read(at.join("a.jsonl")).unwrap();
    stdout(at, &own("one", &[]), 0);
    assert!(fs::read(at.join("a.jsonl")).unwrap() == first);
    let error = refused(at, &own("two", &["--seed", "43", "--llm", "scripted:up"]));
    assert!(error.contains("record of another run"), "{error}");
    // A model answers otherwise when it is asked again: it is not even asked.
    let error = refused(at, &own("three", &["--llm", "http://127.0.0.1:9/v1"]));
    assert!(error.contains("holds a record"), "{error}");
    assert!(fs::read(at.join("a.jsonl")).unwrap() == first);
}

/// Answers every request after a while with no change; ends with the process.
fn slow_model() -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", server.local_addr().unwrap());
    std::thread::spawn(move || {
        let words = r#"{\"reasoning\":\"calm\",\"delta\":0,\"confidence_pct\":50}"#;
        let body = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"stop"}}]}}"#
        );
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut read = Vec::new();
            let mut part = [0; 4096];
            // Head and body; the body's length is in the head.
            loop {
                let n = stream.read(&mut part).unwrap_or(0);
                read.extend_from_slice(&part[..n]);
                let text = String::from_utf8_lossy(&read).to_lowercase();
                let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head.split("content-length: ").nth(1);
                    let length = length.and_then(|l| l.lines().next()?.parse().ok());
                    body.len() >= length.unwrap_or(0)
                });
                if n == 0 || whole {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn an_interrupt_keeps_rows_and_record_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let url = slow_model();
    let child = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(with(&["--mode", "hpa_only", "--verbose", "--llm", &url]))
        .args(["--model", "m", "--record", "a.jsonl"])
        .current_dir(at)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(at.join("told")).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let rows = || {
        fs::read_to_string(at.join("told"))
            .unwrap()
            .matches("hpa_only: ")
            .count()
    };
    while rows() < 5 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = fs::read_to_string(at.join("told")).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("0 of 1 runs are whole"), "{told}");
    let csv = file(at, "hpa_only");
    let kept = fs::read_to_string(&csv).unwrap().lines().count() - 1;
    assert!((5..60).contains(&kept), "{kept}");
    let beside = lines(&csv);
    assert_eq!(beside.len(), kept + 2);
    assert_eq!(beside.last().unwrap()["interrupted"]["rows"], kept);
    // Rows two and on were asked for; the record is whole, and a replay finds each of them.
    let record = fs::read_to_string(at.join("a.jsonl")).unwrap();
    let end: Value = serde_json::from_str(record.lines().last().unwrap()).unwrap();
    let asked = beside
        .iter()
        .filter(|l| l["row"]["asked"].is_object())
        .count();
    assert!(end["end"]["questions"].as_u64().unwrap() >= asked as u64);
    let table = report(at, &["experiment_data"]);
    assert_eq!(table["tables"]["runs"]["rows"][0][9], "–");
    let page = fs::read_to_string(at.join("page/index.html")).unwrap();
    assert!(page.contains(&format!("interrupted after {kept} of 60 rows")));
}

/// Three failures open the breaker; the next run finds it closed.
#[test]
fn every_run_asks_anew() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/v1");
    simulate(at, &["--mode", "all", "--duration", "5", "--llm", &url]);
    let failures = |mode| -> Vec<String> {
        let all = lines(&file(at, mode));
        let told = all
            .iter()
            .filter_map(|l| l["row"]["asked"]["failure"].as_str());
        told.map(str::to_owned).collect()
    };
    for mode in ["hpa_only", "ai_scaler", "comparison"] {
        let told = failures(mode);
        assert!(
            told[..3].iter().all(|f| f.contains("cannot be reached")),
            "{mode}: {told:?}"
        );
        assert!(
            told[3..].iter().all(|f| f.contains("left alone")),
            "{mode}: {told:?}"
        );
    }
}

#[test]
fn a_record_of_another_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let replay = |more: &[&'static str]| {
        let begin = ["--llm", "replay:a.jsonl", "--output-dir", "b"];
        with(&[&begin[..], more].concat())
    };
    simulate(at, &["--mode", "ai_scaler", "--record", "a.jsonl"]);
    let same = foresail(at, &replay(&["--mode", "ai_scaler"]));
    assert!(!String::from_utf8_lossy(&same.stderr).contains("record does not hold"));
    // The same until the adviser's first change, then otherwise.
    let other = foresail(at, &replay(&["--mode", "hpa_only"]));
    assert!(other.status.success());
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(error.contains("the record does not hold"), "{error}");
    let error = refused(
        at,
        &replay(&["--mode", "comparison", "--max-replicas", "7"]),
    );
    assert!(error.contains("holds none of 58 questions"), "{error}");
    assert!(
        !at.join(format!("b/experiment_comparison_{STAMP}.csv"))
            .exists()
    );
}

#[test]
fn runs_that_met_another_world_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    simulate(at, &["--mode", "all"]);
    let better = "The adviser keeps";
    let table = report(at, &["experiment_data"]);
    assert_ne!(claim(&table, better)[3], "too little is known");
    let hpa = file(at, "hpa_only");
    let hpa = hpa.to_str().unwrap();
    for (out, flag, value) in [
        ("b", "--interval", "60"),
        ("c", "--max-replicas", "8"),
        ("d", "--duration", "20"),
        ("e", "--cpu-target", "70"),
    ] {
        simulate(
            at,
            &["--mode", "ai_scaler", flag, value, "--output-dir", out],
        );
        let table = report(at, &[hpa, out]);
        assert_eq!(claim(&table, better)[3], "too little is known", "{flag}");
        let page = fs::read_to_string(at.join("page/index.html")).unwrap();
        assert!(page.contains("No run of ai_scaler is compared"), "{flag}");
    }
}

#[test]
fn a_file_that_was_cut_is_told_and_one_named_twice_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    simulate(at, &["--mode", "hpa_only"]);
    let csv = file(at, "hpa_only");
    let name = csv.to_str().unwrap();
    let every = "Every interval";
    let table = report(at, &[name, name, "experiment_data"]);
    assert_eq!(table["tables"]["runs"]["rows"].as_array().unwrap().len(), 1);
    assert_eq!(claim(&table, every)[3], "holds");
    let page = || fs::read_to_string(at.join("page/index.html")).unwrap();
    assert!(page().contains("1 run. Of 11 claims"));
    let text = fs::read_to_string(&csv).unwrap();
    let all: Vec<&str> = text.lines().collect();
    fs::write(&csv, all[..31].join("\n") + "\n").unwrap();
    let table = report(at, &[name]);
    assert_eq!(claim(&table, every)[3], "does not hold");
    assert_eq!(table["tables"]["runs"]["rows"][0][4], "30");
    assert!(page().contains("of its 60 rows 30 are missing at its end"));
    let first = [&all[..1], &all[41..]].concat();
    fs::write(&csv, first.join("\n") + "\n").unwrap();
    report(at, &[name]);
    assert!(page().contains("of its 60 rows 40 are missing at its begin"));
}

#[test]
fn cells_that_cannot_be_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut text =
        "timestamp,mode,current_replicas,cpu_millicores,hpa_desired_replicas\n".to_owned();
    for (second, row) in [
        "hpa_only,1e300,10,1",
        "hpa_only,-3,10,1",
        "nonsense,3,10,1",
        "hpa_only,3,-10,1",
        "hpa_only,3,10,2.5",
        "hpa_only,3.0,10,4",
    ]
    .iter()
    .enumerate()
    {
        text += &format!("2025-06-01T10:00:{second:02}Z,{row}\n");
    }
    fs::write(at.join("a.csv"), text).unwrap();
    let table = report(at, &["a.csv"]);
    assert_eq!(
        table["tables"]["runs"]["rows"][0][3], "1",
        "one row is left"
    );
    let page = fs::read_to_string(at.join("page/index.html")).unwrap();
    for told in [
        "line 2: current_replicas: `1e300` is no number of replicas",
        "line 3: current_replicas: `-3` is no number of replicas",
        "line 4: mode: `nonsense` is no mode",
        "line 5: cpu_millicores: `-10` is no usage of a pod",
        "line 6: hpa_desired_replicas: `2.5` is no number of replicas",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

/// The summary on stdout and the report tell the same, whatever the simulator's columns hold.
#[test]
fn a_figure_has_one_definition() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = simulate(at, &["--mode", "hpa_only", "-o", "json"]);
    let summary: Value = serde_json::from_str(&text).unwrap();
    let paid = summary["runs"][0]["replicaMinutes"].as_f64().unwrap();
    let table = report(at, &["experiment_data"]);
    let row = &table["tables"]["runs"]["rows"][0];
    assert_eq!(row[5], format!("{paid:.1}"));
    simulate(
        at,
        &["--mode", "hpa_only", "--naive-hpa", "--output-dir", "b"],
    );
    let naive = report(at, &["b"]);
    assert_eq!(row[8], naive["tables"]["runs"]["rows"][0][8]);
    assert_ne!(row[8], "0.0");
}
