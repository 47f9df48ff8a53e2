//! `simulate --sweep`: the same bytes on any number of threads, resumed after a kill, bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{foresail, refused, root, stdout};

const SCENARIO: &str = "summary: a steady load
workload:
  poisson: {rate: 8, forSeconds: 3600}
cluster:
  service: {meanSeconds: 0.5, shape: exponential}
  concurrency: 4
  cpuPerRequestSeconds: 0.25
";

const SWEEP: &str = "summary: targets
scenarios: [steady.yaml]
policies: [hpa, static]
parameters:
  hpaTargetPercent: [40, 80]
  cluster.startup.meanSeconds: [10, 60]
seeds: 2
";

fn place(sweep: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("steady.yaml"), SCENARIO).unwrap();
    fs::write(folder.path().join("sweep.yaml"), sweep).unwrap();
    folder
}

/// Every file of a results folder with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| {
            (
                e.file_name().to_string_lossy().into_owned(),
                fs::read(e.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_run_stands_in_its_place_whatever_the_threads() {
    let folder = place(SWEEP);
    let run = |jobs: &str, out: &str| {
        let args = [
            "simulate",
            "--sweep",
            "sweep.yaml",
            "--jobs",
            jobs,
            "--out",
            out,
        ];
        stdout(folder.path(), &args, 0)
    };
    let table = run("1", "one");
    assert_eq!(table, run("2", "two"));
    assert_eq!(
        table.lines().count(),
        1 + 2 * 4,
        "a row per policy and setting: {table}"
    );
    let one = files(&folder.path().join("one"));
    assert_eq!(one, files(&folder.path().join("two")));
    let names: Vec<_> = one.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "frontier-steady.png",
            "frontier-steady.svg",
            "sweep.csv",
            "sweep.journal"
        ]
    );
    let csv = String::from_utf8(one[2].1.clone()).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(
        rows[0][..6],
        [
            "scenario",
            "trace",
            "seed",
            "cluster.startup.meanSeconds",
            "hpaTargetPercent",
            "policy"
        ]
    );
    assert_eq!(rows.len(), 1 + 2 * 2 * 2 * 2);
    let places: Vec<_> = rows[1..6].iter().map(|r| r[2..6].join(" ")).collect();
    assert_eq!(
        places,
        [
            "42 10 40 hpa",
            "42 10 40 static",
            "43 10 40 hpa",
            "43 10 40 static",
            "42 10 80 hpa"
        ]
    );
    // A lower target costs more: the parameter reaches the run.
    let cost = rows[0].iter().position(|c| *c == "cost").unwrap();
    let of = |row: usize| rows[row][cost].parse::<f64>().unwrap();
    assert!(of(1) > 1.3 * of(5), "{} at 40 %, {} at 80 %", of(1), of(5));
}

#[test]
fn a_killed_sweep_goes_on_where_it_was_and_ends_with_the_same_bytes() {
    let long = SWEEP.replace("seeds: 2", "seeds: 12");
    let folder = place(&long);
    stdout(
        folder.path(),
        &["simulate", "--sweep", "sweep.yaml", "--out", "whole"],
        0,
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args([
            "simulate",
            "--sweep",
            "sweep.yaml",
            "--out",
            "cut",
            "--jobs",
            "1",
        ])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let journal = folder.path().join("cut/sweep.journal");
    let lines = || fs::read(&journal).map_or(0, |b| b.iter().filter(|c| **c == b'\n').count());
    let began = Instant::now();
    while lines() < 5 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = lines();
    assert!((5..96).contains(&before), "{before} runs were finished");
    assert!(
        !folder.path().join("cut/sweep.csv").exists(),
        "no result of half a sweep"
    );
    let output = foresail(
        folder.path(),
        &["simulate", "--sweep", "sweep.yaml", "--out", "cut"],
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains(&format!("96 runs, {before} of them finished before")),
        "{told}"
    );
    assert_eq!(
        files(&folder.path().join("cut")),
        files(&folder.path().join("whole"))
    );
}

#[test]
fn fluid_mode_sweeps_a_trace_in_the_place_of_the_workload() {
    let sweep = "summary: targets\nscenarios: [steady.yaml]\ntraces: [web.csv]\nmode: fluid\n\
                 policies: [hpa]\nparameters: {hpaTargetPercent: [50, 90]}\n";
    let folder = place(sweep);
    let rows: String = (0..120)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, 600))
        .collect();
    fs::write(
        folder.path().join("web.csv"),
        format!("timestamp,count\n{rows}"),
    )
    .unwrap();
    let args = ["simulate", "--sweep", "sweep.yaml", "--output", "csv"];
    let csv = stdout(folder.path(), &args, 0);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(
        csv.lines()
            .nth(1)
            .unwrap()
            .starts_with("steady,web,42,50,hpa,"),
        "{csv}"
    );
    // Another trace under the same name is another run.
    let other: String = (0..120)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, 6000))
        .collect();
    fs::write(
        folder.path().join("web.csv"),
        format!("timestamp,count\n{other}"),
    )
    .unwrap();
    assert_ne!(csv, stdout(folder.path(), &args, 0));
}

#[test]
fn what_cannot_be_swept_is_refused_before_anything_is_run() {
    let check = |sweep: &str, want: &str| {
        let folder = place(sweep);
        let error = refused(folder.path(), &["simulate", "--sweep", "sweep.yaml"]);
        assert!(error.contains(want), "{error}");
        assert!(!folder.path().join("foresail-sweep/sweep.csv").exists());
    };
    check(
        &SWEEP.replace("hpaTargetPercent", "hpaTargtPercent"),
        "hpaTargtPercent",
    );
    check(&SWEEP.replace("[40, 80]", "[]"), "name at least one value");
    check(&SWEEP.replace("seeds: 2", "seeds: 0"), "seed");
    let folder = place(&SWEEP.replace("steady.yaml", "absent.yaml"));
    let error = refused(folder.path(), &["simulate", "--sweep", "sweep.yaml"]);
    assert!(error.contains("cannot read"), "{error}");
    check(
        &SWEEP.replace("[hpa, static]", "[hpaa]"),
        "did you mean `hpa`?",
    );
    check(
        &SWEEP.replace("seeds: 2", "sedes: 2"),
        "did you mean `seeds`?",
    );
    let long = SWEEP.replace("seeds: 2", "seeds: 1000\nlimitSeconds: 1");
    check(&long, "longer than limitSeconds = 1");
    let many = SWEEP.replace("seeds: 2", "seeds: 1000000");
    check(&many, "at most 1000000");
}

#[test]
fn every_sweep_that_is_shipped_can_be_read() {
    for entry in fs::read_dir(root().join("sweeps")).unwrap() {
        let path = entry.unwrap().path();
        let sweep = foresail::sweep::read(&path).unwrap();
        assert!(sweep.runs.len() > 1, "{}", path.display());
    }
}
