//! Function mode through the command: every file, the same bytes, bad input, the real functions.
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

use support::{data, foresail, refused, stdout};

/// One column of `summary.csv` by policy.
fn column(folder: &Path, key: &str) -> Vec<(String, f64)> {
    let text = fs::read_to_string(folder.join("summary.csv")).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let place = header.iter().position(|h| *h == key);
    let place = place.unwrap_or_else(|| panic!("no column {key} in {header:?}"));
    let cell = |row: Vec<&str>| (row[0].to_owned(), row[place].parse().unwrap());
    lines.map(cell).collect()
}

#[test]
fn a_generated_population_gives_a_report_with_both_figures() {
    let folder = tempfile::tempdir().unwrap();
    let args = "compare --mode function --functions 12 --quick --out report";
    let args: Vec<&str> = args.split(' ').collect();
    let text = stdout(folder.path(), &args, 0);
    assert_eq!(text.lines().last(), Some("report: report/index.html"));
    let report = folder.path().join("report");
    for name in ["cold-memory", "cold-functions", "waits"] {
        assert!(
            report.join(format!("figures/{name}.svg")).is_file(),
            "{name}"
        );
        assert!(
            report.join(format!("figures/{name}.png")).is_file(),
            "{name}"
        );
    }
    let page = fs::read_to_string(report.join("index.html")).unwrap();
    assert!(page.contains("10 min") && page.contains("keepalive-histogram"));
    let calls = column(&report, "calls");
    assert_eq!(calls.len(), 7);
    let same = |(_, c): &(String, f64)| (c - calls[0].1).abs() < 0.5;
    assert!(calls.iter().all(same), "the same calls for all: {calls:?}");
    let cold = column(&report, "cold_starts");
    let of = |name: &str| cold.iter().find(|(n, _)| n == name).unwrap().1;
    assert!(of("oracle") < of("aquatope-pool") && of("aquatope-pool") < of("pool-reactive"));
    assert!(report.join("ticks.parquet").is_file());
}

#[test]
fn one_thread_or_two_and_rebuilt_from_its_model_the_report_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let run = |jobs: &str, out: &str| {
        let args = [
            "compare",
            "--mode",
            "function",
            "--functions",
            "9",
            "--quick",
        ];
        let args = [&args[..], &["--jobs", jobs, "--out", out]].concat();
        stdout(folder.path(), &args, 0);
        let read = |name: &str| fs::read(folder.path().join(out).join(name)).unwrap();
        (read("summary.csv"), read("ticks.parquet"))
    };
    assert_eq!(run("1", "one"), run("2", "two"));
    let page = || fs::read(folder.path().join("two/index.html")).unwrap();
    let before = page();
    stdout(folder.path(), &["report", "two"], 0);
    assert_eq!(before, page());
}

#[test]
fn a_memory_bound_evicts_and_the_same_calls_come() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, more: &[&str]| {
        let args = [
            "compare",
            "--mode",
            "function",
            "--functions",
            "12",
            "--quick",
            "--out",
            out,
        ];
        stdout(folder.path(), &[&args[..], more].concat(), 0);
        let report = folder.path().join(out);
        (
            column(&report, "evicted")[0].1,
            column(&report, "calls")[0].1,
        )
    };
    let (free, calls) = run("free", &[]);
    let (short, same) = run("short", &["--host-memory", "2GiB"]);
    assert!(
        free < 0.5 && short > 0.5 && (calls - same).abs() < 0.5,
        "{free} {short}"
    );
}

#[test]
fn bad_input_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (
            &["--cold-start", "1s"],
            "--cold-start is a flag of --mode function",
        ),
        (
            &["--mode", "function", "--policies", "hpa"],
            "no policy of function mode `hpa`",
        ),
        (
            &["--mode", "function", "--warm-memory-budget", "much"],
            "write bytes above 0",
        ),
        (
            &["--mode", "function", "--host-memory", "1Mi"],
            "more than all may",
        ),
        (
            &["--mode", "function", "--functions", "20000"],
            "at most 10000",
        ),
        (
            &["--mode", "function", "--concurrency", "0"],
            "must be 1 to 100000",
        ),
    ];
    for (more, want) in cases {
        let args = [&["compare", "--quick", "--out", "r"], more].concat();
        let told = refused(folder.path(), &args);
        assert!(told.contains(want), "{more:?}: {told}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn on_real_functions_every_policy_gets_the_traces_calls() {
    let Some(traces) = data("on_real_functions") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| traces.join("azure2019").join(name).display().to_string();
    let trace = file("excerpt500_invocations.m480-959.csv.gz");
    let durations = file("excerpt500_function_durations_percentiles.csv.gz");
    let memory = file("excerpt500_app_memory_percentiles.csv.gz");
    let args = [
        "compare",
        "--mode",
        "function",
        "--trace",
        &trace,
        "--durations",
        &durations,
    ];
    let args = [&args[..], &["--memory", &memory, "--out", "r"]].concat();
    let output = foresail(folder.path(), &args);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = folder.path().join("r");
    let calls = column(&report, "calls");
    let all = |(_, c): &(String, f64)| (c - 2_314_589.0).abs() < 5.0;
    assert!(calls.iter().all(all), "{calls:?}");
    let cold = column(&report, "function_cold_p75_percent");
    assert!(
        cold[1].1 < cold[0].1,
        "the histogram starts cold less often: {cold:?}"
    );
}
