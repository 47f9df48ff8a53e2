//! Policy `aapa` as a user meets it: its configuration, its record, its report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use support::{refused, stdout};

/// The README's block, verbatim.
const README: &str = "\
# Autoscaling parameters
scaling:
  spike:
    target_cpu: 0.3
    cooldown: 20
    min_replicas: 2
  periodic:
    target_cpu: 0.75
    cooldown: 3
    min_replicas: 1
\x20\x20\x20\x20
# Simulation parameters
simulation:
  pod_startup_time: 30  # seconds
  metric_interval: 60   # seconds
";

/// Three hours of a sine of twenty minutes, then a steep ramp, then nothing.
fn trace(folder: &Path) {
    let count = |i: i64| match i {
        0..180 => (600.0 + 400.0 * (std::f64::consts::TAU * i as f64 / 20.0).sin()) as i64,
        180..300 => 600 + 20 * (i - 180),
        _ => 0,
    };
    let rows = (0..420).map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, count(i)));
    let text = format!("timestamp,count\n{}", rows.collect::<String>());
    fs::write(folder.join("web.csv"), text).unwrap();
}

#[test]
fn a_flight_is_replayed_identically_and_tells_its_archetypes() {
    let folder = tempfile::tempdir().unwrap();
    trace(folder.path());
    for policy in ["aapa", "aapa-published"] {
        let flight = [
            "simulate",
            "--trace",
            "web.csv",
            "--policies",
            policy,
            "--record",
            "r.jsonl",
        ];
        stdout(folder.path(), &flight, 0);
        let told = stdout(folder.path(), &["replay", "r.jsonl"], 0);
        assert!(told.contains("identical"), "{policy}: {told}");
        let record = fs::read_to_string(folder.path().join("r.jsonl")).unwrap();
        let known = if policy == "aapa" {
            &["Periodic", "Ramp", "Idle"][..]
        } else {
            // What was published knows no Idle, and takes an hour without demand for Periodic.
            &["Periodic"]
        };
        for archetype in known {
            let told = format!("\"archetype\":\"{archetype}\"");
            assert!(record.contains(&told), "{policy}: {archetype}");
        }
    }
    let flight = [
        "simulate",
        "--trace",
        "web.csv",
        "--policies",
        "aapa",
        "--record",
        "r.jsonl",
    ];
    stdout(folder.path(), &flight, 0);
    let at = ["explain", "r.jsonl", "--at", "2026-01-05T02:30:00Z"];
    let told = stdout(folder.path(), &at, 0);
    assert!(
        told.contains("Periodic with") && told.contains("cooldown"),
        "{told}"
    );
}

#[test]
fn the_report_has_a_strip_and_the_table_a_column_of_archetypes() {
    let folder = tempfile::tempdir().unwrap();
    trace(folder.path());
    fs::write(folder.path().join("aapa.yaml"), README).unwrap();
    let args = [
        "compare",
        "--trace",
        "web.csv",
        "--policies",
        "hpa,aapa",
        "--aapa-config",
        "aapa.yaml",
        "--out",
        "report",
    ];
    let told = stdout(folder.path(), &args, 0);
    for part in [
        "scaling.spike.cooldown: 20 has no unit",
        "scaling.periodic.cooldown: 3 has no unit",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let page = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    assert!(
        page.contains("archetype in force, share of the time"),
        "the legend"
    );
    assert!(page.contains("mean 30s"), "the file's start-up");
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("report/run.json")).unwrap())
            .unwrap();
    let strip = |policy: usize| run["policies"][policy]["archetypes"].as_array();
    assert_eq!(strip(0), None, "an HPA has none");
    let told = strip(1).unwrap();
    for archetype in ["Periodic", "Ramp", "Idle"] {
        let found = told.iter().any(|r| r["archetype"] == archetype);
        assert!(found, "{archetype} in {told:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("aapa.yaml"), text).unwrap();
    let args = [
        "compare",
        "--policies",
        "aapa",
        "--aapa-config",
        "aapa.yaml",
        "--quick",
    ];
    write("scaling: {spike: {cooldown: 1200}}");
    let error = refused(folder.path(), &args);
    assert!(
        error.contains("aapa.yaml") && error.contains("write `1200s` or `20m`"),
        "{error}"
    );
    write("scaling: {spike: {target_cpus: 0.3}}");
    let error = refused(folder.path(), &args);
    assert!(error.contains("did you mean `target_cpu`?"), "{error}");
    write("scaling: {ramp: {min_replicas: 9, max_replicas: 3}}");
    let error = refused(folder.path(), &args);
    assert!(
        error.contains("knobs.ramp.minReplicas: 9 is above maxReplicas = 3"),
        "{error}"
    );
}
