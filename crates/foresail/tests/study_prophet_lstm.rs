//! The published study as a user runs it: files, tables, verdicts, and nothing known ahead.
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

use support::{foresail, refused, stdout};

const STUDY: [&str; 2] = ["study", "prophet-lstm"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    STUDY.iter().chain(more).copied().collect()
}

/// Rows of a CSV as cells, the header first.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().map(cells).collect()
}

/// One number of `metrics_summary.csv`.
fn measure(folder: &Path, model: &str, policy: &str, column: &str) -> f64 {
    let rows = rows(&folder.join("reports/metrics_summary.csv"));
    let place = rows[0].iter().position(|c| c == column).expect(column);
    let row = rows.iter().find(|r| r[0] == model && r[1] == policy);
    row.unwrap_or_else(|| panic!("{model} {policy}"))[place]
        .parse()
        .unwrap()
}

#[test]
fn one_run_leaves_every_file_and_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(folder.path(), &args(&["--quick", "--seeds", "2"]), 0);
    for title in [
        "Static-2",
        "Simple Ceiling",
        "Buffered",
        "Confidence-Aware",
        "Policy-Aware",
    ] {
        assert_eq!(
            text.matches(title).count(),
            3,
            "{title} once a model:\n{text}"
        );
    }
    assert_eq!(text.lines().last(), Some("report: ./reports/index.html"));
    let reports = folder.path().join("reports");
    for model in ["prophet", "lstm", "last"] {
        for end in ["forecast", "policy_comparison"] {
            let bytes = fs::read(reports.join(format!("{model}_{end}.png"))).unwrap();
            assert!(
                bytes.starts_with(b"\x89PNG") && bytes.len() > 5000,
                "{model}_{end}"
            );
        }
        for policy in ["static2", "simple", "buffered", "conf", "policy"] {
            let log = rows(&reports.join(format!("sim_{model}_TEST_{policy}.csv")));
            assert_eq!(log.len(), 1441, "{model} {policy}");
            let head = "timestamp,demand,pred,containers,lat_ms,cpu_pct,over,under,policy";
            assert_eq!(log[0].join(","), head);
            assert_eq!(log[1].len(), 9);
        }
    }
    let summary = rows(&reports.join("metrics_summary.csv"));
    assert_eq!(
        summary[0].join(","),
        "model,policy,log_path,over_%,under_events,avg_latency_ms,p95_latency_ms,avg_cpu_%,switches,\
         cost_index,sla_violations,stability,seed"
    );
    // Five policies of each model, the net's twice.
    assert_eq!(summary.len(), 1 + 5 + 10 + 5);
    let page = fs::read_to_string(reports.join("index.html")).unwrap();
    assert!(
        page.contains("another trace: no verdict"),
        "two days are not the published trace"
    );
    assert!(page.contains("contradicted by its own data"));
    assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("https://"));
}

#[test]
fn the_published_trace_and_rules_give_the_published_baselines() {
    let folder = tempfile::tempdir().unwrap();
    let more = [
        "--models",
        "prophet,last",
        "--seed-parity",
        "--output",
        "json",
    ];
    let text = stdout(folder.path(), &args(&more), 0);
    let trace = rows(&folder.path().join("data/run.csv"));
    assert_eq!(trace.len(), 20_161);
    assert_eq!(
        trace[0].join(","),
        "timestamp,req_per_min,hour,dayofweek,is_event"
    );
    assert_eq!(
        (trace[1][0].as_str(), trace[1][3].as_str()),
        ("2025-01-01 00:00:00", "2")
    );
    let first: f64 = trace[1][1].parse().unwrap();
    assert!((first - 22.502_214_276).abs() < 1e-9);
    assert_eq!(trace.iter().filter(|r| r[4] == "1").count(), 60);
    let of = |model, policy, column| measure(folder.path(), model, policy, column) as i64;
    assert_eq!(of("prophet", "static2", "sla_violations"), 38);
    assert_eq!(of("prophet", "static2", "cost_index"), 20_160);
    assert_eq!(of("prophet", "static2", "stability"), 1);
    assert_eq!(of("last", "simple", "sla_violations"), 282);
    // The published figure takes the first minute for its own forecast; ours is the minute before.
    assert!((of("last", "simple", "cost_index") - 13_861).abs() <= 1);
    assert_eq!(of("prophet", "conf", "sla_violations"), 0);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["rules"], "published");
    let figures = told["figures"].as_array().unwrap();
    // Five of Prophet's rows, one without its latency, and two errors.
    assert_eq!(figures.len(), 5 * 6 - 1 + 2);
    let fixed: Vec<_> = figures
        .iter()
        .filter(|f| f["of"] == "prophet Static-2")
        .collect();
    assert_eq!(fixed.len(), 5);
    assert!(
        fixed.iter().all(|f| f["verdict"] == "reproduced"),
        "{fixed:?}"
    );
    // The study's band was Prophet's alone.
    assert!(
        !told["runs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["model"] == "last" && r["policy"] == "conf")
    );
}

/// Minutes of four days; from `changed` on other values.
fn minutes(folder: &Path, name: &str, changed: usize) {
    let value = |i: usize| {
        let turn = std::f64::consts::TAU * (i % 1440) as f64 / 1440.0;
        let wave = 40.0 + 25.0 * turn.sin() + (i * 7919 % 101) as f64 / 10.0;
        if i >= changed { 150.0 - wave } else { wave }
    };
    let rows: String = (0..4 * 1440)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i as i64, value(i)))
        .collect();
    fs::write(folder.join(name), format!("timestamp,count\n{rows}")).unwrap();
}

#[test]
fn what_comes_later_changes_no_decision_before() {
    let folder = tempfile::tempdir().unwrap();
    let changed = 3 * 1440 + 600;
    minutes(folder.path(), "a.csv", usize::MAX);
    minutes(folder.path(), "b.csv", changed);
    for name in ["a", "b"] {
        let (trace, out) = (format!("{name}.csv"), format!("out-{name}"));
        let more = [
            "--trace",
            &trace,
            "--out",
            &out,
            "--models",
            "prophet,lstm,last",
            "--refit",
            "30",
        ];
        stdout(folder.path(), &args(&more), 0);
    }
    // The test begins at minute 2880 of the trace.
    let last = changed - 2 * 1440;
    for model in ["prophet", "lstm", "last"] {
        for policy in ["static2", "simple", "buffered", "conf", "policy"] {
            let name = format!("reports/sim_{model}_TEST_{policy}.csv");
            let [a, b] = ["out-a", "out-b"].map(|o| rows(&folder.path().join(o).join(&name)));
            assert_eq!(a[..=last], b[..=last], "{model} {policy}: minutes before");
            // The minute itself was decided before its demand was seen.
            let (at, decided) = (last + 1, [2, 3]);
            for cell in decided {
                assert_eq!(a[at][cell], b[at][cell], "{model} {policy}: {}", a[0][cell]);
            }
            assert_ne!(a[at][1], b[at][1], "the change is there");
        }
    }
}

#[test]
fn a_trace_of_another_hand_is_never_overwritten_and_an_own_one_never_reused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("data/run.csv");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&run, "my,own,data\n1,2,3\n").unwrap();
    let quick = args(&["--quick", "--models", "last"]);
    let error = refused(folder.path(), &quick);
    assert!(
        error.contains("no trace of this study") && error.contains("--out"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&run).unwrap(), "my,own,data\n1,2,3\n");
    fs::remove_file(&run).unwrap();
    stdout(folder.path(), &quick, 0);
    let first = fs::read_to_string(&run).unwrap();
    let other = args(&["--quick", "--models", "last", "--trace-seed", "8"]);
    let output = foresail(folder.path(), &other);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("replaced"));
    let second = fs::read_to_string(&run).unwrap();
    assert_ne!(first, second);
    // A stale file with the right head is replaced, not used.
    fs::write(&run, first.replacen("0,0,2,0", "9,0,2,0", 1)).unwrap();
    stdout(folder.path(), &quick, 0);
    assert_eq!(fs::read_to_string(&run).unwrap(), first);
}

#[test]
fn reports_are_replaced_as_a_whole_and_files_of_another_hand_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    fs::create_dir(&reports).unwrap();
    fs::write(reports.join("index.html"), "mine").unwrap();
    let run = |models| args(&["--quick", "--models", models]);
    let error = refused(folder.path(), &run("last"));
    assert!(
        error.contains("holds `index.html`, which foresail did not write"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(reports.join("index.html")).unwrap(),
        "mine"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
    fs::remove_dir_all(&reports).unwrap();
    stdout(folder.path(), &run("last,drift"), 0);
    assert!(reports.join("drift_forecast.png").exists());
    stdout(folder.path(), &run("last"), 0);
    let names: Vec<String> = fs::read_dir(&reports)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let of = |model: &str| names.iter().filter(|n| n.contains(model)).count();
    assert_eq!((of("drift"), of("last")), (0, 7), "{names:?}");
    fs::write(reports.join("notes.txt"), "mine").unwrap();
    let error = refused(folder.path(), &run("last"));
    assert!(error.contains("holds `notes.txt`"), "{error}");
    assert_eq!(
        fs::read_to_string(reports.join("notes.txt")).unwrap(),
        "mine"
    );
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["a", "b"] {
        stdout(
            folder.path(),
            &args(&["--quick", "--models", "prophet,lstm", "--out", out]),
            0,
        );
    }
    for name in [
        "index.html",
        "metrics_summary.csv",
        "lstm_forecast.png",
        "sim_lstm_TEST_conf.csv",
    ] {
        let [a, b] =
            ["a", "b"].map(|o| fs::read(folder.path().join(o).join("reports").join(name)).unwrap());
        assert!(a == b, "{name}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hours.csv"), hours()).unwrap();
    let short: String = (0..600)
        .map(|i| format!("{},5\n", 1_767_571_200 + 60 * i))
        .collect();
    fs::write(
        folder.path().join("short.csv"),
        format!("timestamp,count\n{short}"),
    )
    .unwrap();
    for (more, words) in [
        (
            vec!["--models", "oracle"],
            ["oracle is no forecaster", "prophet"],
        ),
        (vec!["--models", "last,last"], ["twice", "last"]),
        (vec!["--refit", "0"], ["--refit", "1..=60"]),
        (vec!["--trace", "hours.csv"], ["3600 s", "minutes"]),
        (vec!["--trace", "short.csv"], ["600 minutes", "4320"]),
        (vec!["--trace", "none.csv"], ["none.csv", "none.csv"]),
        (vec!["--scenario", "wild"], ["wild", "mixed"]),
    ] {
        let error = refused(folder.path(), &args(&more));
        assert!(words.iter().all(|w| error.contains(w)), "{more:?}: {error}");
        assert!(
            !folder.path().join("reports").exists(),
            "{more:?}: nothing is half written"
        );
    }
}

fn hours() -> String {
    let rows: String = (0..200)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 3600 * i, 5 + i % 24))
        .collect();
    format!("timestamp,count\n{rows}")
}
