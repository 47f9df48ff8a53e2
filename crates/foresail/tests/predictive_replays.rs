//! A flight on forecasts is recorded, its fits named by their hashes, and replayed byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;

use support::stdout;

/// Eight hours of minutes around 300 requests, twice as many from hour 5 on.
fn trace() -> String {
    let count = |i: i64| (200 + (i * 53) % 200) * if i < 300 { 1 } else { 2 };
    let rows = (0..480).map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, count(i)));
    format!("timestamp,count\n{}", rows.collect::<String>())
}

#[test]
fn a_flight_of_predictive_is_replayed_identically_and_explained_with_its_trip() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.csv"), trace()).unwrap();
    let flight = [
        "simulate",
        "--trace",
        "web.csv",
        "--policies",
        "predictive",
        "--record",
        "p.jsonl",
    ];
    stdout(folder.path(), &flight, 0);
    let record = fs::read_to_string(folder.path().join("p.jsonl")).unwrap();
    let installed = record.matches("\"installed\"").count();
    assert!(
        installed >= 4,
        "fits after 30, 60, 120 and 240 minutes: {installed}"
    );
    assert!(
        record.contains("\"fittedAgoSeconds\":"),
        "the age of the model is told"
    );
    assert!(record.contains("\"change\":"), "the change is told");
    let told = stdout(folder.path(), &["replay", "p.jsonl"], 0);
    assert!(told.contains("identical"), "{told}");
    // Without the artifact that it names, the record is told to differ.
    let line = record
        .lines()
        .find(|l| l.contains("\"installed\""))
        .unwrap();
    fs::write(
        folder.path().join("q.jsonl"),
        record.replacen(&format!("{line}\n"), "", 1),
    )
    .unwrap();
    let told = stdout(folder.path(), &["replay", "q.jsonl"], 1);
    assert!(!told.contains("identical"), "{told}");
    let at = ["explain", "p.jsonl", "--at", "2026-01-05T05:20:00Z"];
    let told = stdout(folder.path(), &at, 0);
    assert!(
        told.contains("no wish: demand at") && told.contains("relearning"),
        "{told}"
    );
}
