//! `foresail score` as a user meets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use support::{refused, stdout};

/// Hours of an even demand of 25 req/s on so many replicas, a row each 15 seconds.
fn record(folder: &Path, hours: u32, paid: u32) {
    let (mut lines, mut csv) = (String::new(), "at,demand,paid,ready,late\n".to_owned());
    for k in 0..=hours * 240 {
        let (day, second) = (5 + k / 5760, k % 5760 * 15);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let at = format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        writeln!(lines, "{{\"at\":\"{at}\",\"demand\":25,\"paid\":{paid}}}").unwrap();
        writeln!(csv, "{at},25,{paid},,").unwrap();
    }
    fs::write(folder.join("web.jsonl"), lines).unwrap();
    fs::write(folder.join("web.csv"), csv).unwrap();
}

/// At 12.5 a replica and 80 % of that aimed at, 25 need three: six are too many, and two of twice
/// that capacity are enough.
#[test]
fn the_verdict_is_printed_and_told_by_the_code() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 26, 6);
    let lines = [
        "score",
        "web.jsonl",
        "--capacity",
        "12.5",
        "--service",
        "1s",
    ];
    let text = stdout(folder.path(), &lines, 0);
    assert!(text.contains("Better: it costs less"), "{text}");
    assert!(
        text.contains("156.0") && text.contains("latency was not observed"),
        "{text}"
    );
    let json = stdout(folder.path(), &[&lines[..], &["-o", "json"]].concat(), 0);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["v"], &told["hours"]), (&1.into(), &26.into()));
    assert_eq!(told["verdict"], "Better");
    assert!((told["incumbent"]["replicaMinutes"].as_f64().unwrap() - 9360.0).abs() < 1e-6);
    // HPAs of other targets on the same demand: a higher target is no dearer.
    let settings = told["settings"].as_array().unwrap();
    let of = |field: &str| -> Vec<f64> {
        let side = |s: &serde_json::Value| s["side"][field].as_f64().unwrap();
        settings.iter().map(side).collect()
    };
    let paid = of("replicaMinutes");
    assert_eq!(paid.len(), 5, "{json}");
    assert!(
        paid.is_sorted_by(|a, b| a >= b) && paid[0] > paid[4],
        "{paid:?}"
    );
    let csv = [
        "score",
        "web.csv",
        "--capacity",
        "12.5",
        "--service",
        "1s",
        "-o",
        "csv",
    ];
    let rows = stdout(folder.path(), &csv, 0);
    assert!(
        rows.lines().nth(1).unwrap().starts_with("incumbent,156.0,"),
        "{rows}"
    );

    record(folder.path(), 26, 2);
    let twice = [
        "score",
        "web.jsonl",
        "--capacity",
        "25",
        "--service",
        "1s",
        "--config",
        "foresail.toml",
    ];
    fs::write(folder.path().join("foresail.toml"), "[simulate]\nmin = 4\n").unwrap();
    let text = stdout(folder.path(), &twice, 1);
    assert!(text.contains("Worse: it costs more"), "{text}");
    record(folder.path(), 12, 6);
    let text = stdout(folder.path(), &lines, 4);
    assert!(text.contains("record longer"), "{text}");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    record(place, 1, 1);
    fs::write(
        place.join("bad.jsonl"),
        "{\"at\":\"2026-01-05T00:00:00Z\",\"late\":3}\n",
    )
    .unwrap();
    let error = |args: &[&str], want: &str| {
        let error = refused(place, &[&["score"], args].concat());
        assert!(error.contains(want), "{error}");
    };
    error(&["web.jsonl"], "give --capacity");
    error(&["none.jsonl", "--capacity", "5"], "none.jsonl");
    error(&["bad.jsonl", "--capacity", "5"], "row 1: late 3");
    error(&["web.jsonl", "--capacity", "0"], "--capacity 0");
    error(
        &["web.jsonl", "--capacity", "5", "--service", "0s"],
        "service time",
    );
    error(
        &["web.jsonl", "--capacity", "5", "--startup", "-1s"],
        "startup",
    );
    error(&["web.jsonl", "--spec", "none.yaml"], "none.yaml");
}
