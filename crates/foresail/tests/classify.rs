//! Features and labels from the command line: what is written, what is told, what is refused.
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

use foresail_adapters::results::{Column, Table, parquet_file};
use serde_json::Value;
use support::{refused, root, stdout};

/// The ten windows of the fixture as a wide trace, a column each.
fn write_fixture(folder: &Path) -> Value {
    let path = root().join("tests/golden/classify/aapa_fixture.json");
    let fixture: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let windows = fixture["windows"].as_array().unwrap();
    let ids: Vec<&str> = windows.iter().map(|w| w["id"].as_str().unwrap()).collect();
    let mut csv = format!("time,{}\n", ids.join(","));
    for minute in 0..60 {
        csv += &(1_767_571_200 + 60 * minute).to_string();
        for window in windows {
            csv += &format!(",{}", window["x"][minute]);
        }
        csv.push('\n');
    }
    fs::write(folder.join("ten.csv"), csv).unwrap();
    fixture
}

fn rows(csv: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = csv.lines().map(split);
    (lines.next().unwrap(), lines.collect())
}

fn reals<'a>(table: &'a Table, name: &str) -> &'a [Option<f64>] {
    let found = table.columns.iter().find(|(n, _)| n == name);
    match found.unwrap_or_else(|| panic!("no column {name}")) {
        (_, Column::Real(values)) => values,
        (_, other) => panic!("{name}: {other:?}"),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn the_features_of_a_trace_are_those_of_the_fixture_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = write_fixture(folder.path());
    let args = [
        "classify",
        "features",
        "ten.csv",
        "--profile",
        "published",
        "--out",
        "f.parquet",
    ];
    let told = stdout(folder.path(), &args, 0);
    assert!(told.starts_with("windows: 10\n"), "{told}");
    let bytes = fs::read(folder.path().join("f.parquet")).unwrap();
    let table = parquet_file::read(bytes.as_slice()).unwrap();
    assert_eq!(table.columns.len(), 4 + 37);
    for (i, window) in fixture["windows"].as_array().unwrap().iter().enumerate() {
        let want = window["source_profile"]["features"].as_object().unwrap();
        for (name, want) in want {
            let got = reals(&table, name)[i];
            let Some(want) = want.as_f64() else {
                assert_eq!(got, None, "{name} of {}", window["id"]);
                continue;
            };
            let off = (got.unwrap() - want).abs() / want.abs().max(1.0);
            assert!(off < 1e-6, "{name} of {}: {got:?}, {want}", window["id"]);
        }
    }
}

#[test]
fn labels_are_the_fixture_s_under_both_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = write_fixture(folder.path());
    for (profile, key) in [
        ("published", "source_profile"),
        ("corrected", "corrected_profile"),
    ] {
        let args = [
            "classify",
            "label",
            "ten.csv",
            "--profile",
            profile,
            "--output",
            "csv",
        ];
        let (head, rows) = rows(&stdout(folder.path(), &args, 0));
        assert_eq!(
            head[..6],
            ["item", "window", "begin", "archetype", "confidence", "tie"]
        );
        for (row, window) in rows.iter().zip(fixture["windows"].as_array().unwrap()) {
            let want = window[key]["label"].as_str().unwrap();
            assert_eq!(row[0], window["id"].as_str().unwrap());
            let word = row[3].to_uppercase();
            assert!(want.starts_with(&word), "{}: {word}, {want}", row[0]);
            let tie = i32::from(window[key]["tie"].as_bool().unwrap());
            assert_eq!(row[5], tie.to_string());
        }
    }
}

#[test]
fn a_report_on_generated_windows_has_agreement_beside_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let report = |profile: &str| {
        let args = [
            "classify",
            "label-report",
            "--generate",
            "hard",
            "--windows",
            "1200",
            "--seed",
            "101",
            "--profile",
            profile,
            "--output",
            "json",
        ];
        json(&stdout(folder.path(), &args, 0))
    };
    for (profile, band, ramp) in [
        ("published", 0.44..0.56, 0.0..0.03),
        ("corrected", 0.9..1.0, 0.9..1.0),
    ] {
        let got = report(profile);
        assert_eq!(
            (&got["windows"], &got["profile"]),
            (&1200.into(), &profile.into())
        );
        let majority = &got["labels"][0];
        assert_eq!(majority["by"], "majority");
        let number = |v: &Value| v.as_f64().unwrap();
        assert!(band.contains(&number(&majority["accuracy"])), "{majority}");
        assert!(ramp.contains(&number(&majority["recall"][2])), "{majority}");
        assert!((number(&majority["agreement"]) - 1.0).abs() < 1e-12);
        for function in got["functions"].as_array().unwrap() {
            let [coverage, overlap, conflict] =
                ["coverage", "overlap", "conflict"].map(|k| number(&function[k]));
            assert!(
                conflict <= overlap && overlap <= coverage && coverage <= 1.0,
                "{function}"
            );
        }
    }
    let args = [
        "classify",
        "label-report",
        "--generate",
        "easy",
        "--windows",
        "400",
    ];
    let told = stdout(folder.path(), &args, 0);
    for word in [
        "COVERAGE",
        "OVERLAP",
        "CONFLICT",
        "AGREEMENT",
        "ACCURACY",
        "generative",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn the_same_rows_come_from_one_thread_and_many_and_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let run = |jobs: &str, out: &str| {
        let args = [
            "classify",
            "label",
            "--generate",
            "hard",
            "--windows",
            "3000",
            "--seed",
            "5",
            "--jobs",
            jobs,
            "--model",
            "generative",
            "--out",
            out,
        ];
        stdout(folder.path(), &args, 0);
        fs::read(folder.path().join(out)).unwrap()
    };
    assert_eq!(run("1", "one.csv"), run("4", "four.csv"));
    let table = parquet_file::read(run("2", "two.parquet").as_slice()).unwrap();
    assert_eq!(table.rows(), 3000);
    let mut csv = Vec::new();
    table.write_csv(&mut csv).unwrap();
    assert_eq!(csv, fs::read(folder.path().join("one.csv")).unwrap());
}

#[test]
fn functions_of_known_archetype_are_written_as_a_trace_and_labelled_by_hours() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "trace",
        "generate",
        "--kind",
        "archetypes",
        "--functions",
        "4",
        "--days",
        "1",
        "--out",
        "known.csv",
    ];
    let told = stdout(folder.path(), &args, 0);
    assert!(told.contains("4 items, 5760 steps"), "{told}");
    let args = [
        "classify",
        "label",
        "known.csv",
        "--stride",
        "60",
        "--output",
        "csv",
    ];
    let (_, rows) = rows(&stdout(folder.path(), &args, 0));
    assert_eq!(rows.len(), 4 * 24);
    for kind in ["spike", "periodic", "ramp", "stationary"] {
        let own: Vec<_> = rows.iter().filter(|r| r[0].starts_with(kind)).collect();
        let right = own.iter().filter(|r| r[3].to_lowercase() == kind).count();
        assert!(own.len() == 24 && right >= 15, "{kind}: {right} of 24");
    }
}

#[test]
fn small_items_and_windows_with_gaps_are_left_out_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let row = |minute: usize| {
        let gap = if minute == 65 {
            String::new()
        } else {
            "9".to_owned()
        };
        format!("{},{gap},1\n", 1_767_571_200 + 60 * minute)
    };
    let csv: String = (0..120).map(row).collect();
    fs::write(folder.path().join("two.csv"), format!("time,a,b\n{csv}")).unwrap();
    let label = ["classify", "label", "two.csv", "--output", "csv"];
    let error = refused(folder.path(), &label);
    let told = "two.csv: a at 2026-01-05T01:05:00Z: step 65 has no value";
    assert!(
        error.contains(told) && error.contains("--gaps leave-out"),
        "{error}"
    );
    let more = ["--gaps", "leave-out", "--min-invocations", "500"];
    let got = support::foresail(folder.path(), &[&label[..], &more].concat());
    let told = String::from_utf8_lossy(&got.stderr);
    assert!(told.contains("1 items were left out"), "{told}");
    assert!(told.contains("6 windows were left out"), "{told}");
    let (_, rows) = rows(&String::from_utf8(got.stdout).unwrap());
    assert_eq!(rows.len(), 1, "the window of minutes 0 to 59 of a");
}

#[test]
fn what_has_no_window_or_no_count_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, count: &dyn Fn(usize) -> i64, steps: usize| {
        let row = |i: usize| format!("{},{}\n", 1_767_571_200 + 60 * i, count(i));
        let rows: String = (0..steps).map(row).collect();
        fs::write(folder.path().join(name), format!("timestamp,count\n{rows}")).unwrap();
    };
    write("short.csv", &|_| 1, 59);
    let short = support::foresail(folder.path(), &["classify", "features", "short.csv"]);
    let error = String::from_utf8_lossy(&short.stderr);
    assert_eq!(short.status.code(), Some(4), "{error}");
    assert!(error.contains("59 steps, a window needs 60"), "{error}");
    write("negative.csv", &|i| if i == 61 { -3 } else { 1 }, 120);
    let error = refused(folder.path(), &["classify", "features", "negative.csv"]);
    assert!(
        error.contains("step 61 is -3") || error.contains("line 63"),
        "{error}"
    );
    for (flags, what) in [
        (["--window", "1"], "2 to 10080"),
        (["--stride", "0"], "at least 1"),
        (["--windows", "9"], "cannot be used with"),
    ] {
        let args = [&["classify", "features", "short.csv"], &flags[..]].concat();
        let error = refused(folder.path(), &args);
        assert!(error.contains(what), "{flags:?}: {error}");
    }
    let error = refused(folder.path(), &["classify", "label"]);
    assert!(error.contains("TRACE"), "{error}");
    // All zero: every window is idle, and there is nothing to learn from.
    write("zero.csv", &|_| 0, 120);
    let idle = stdout(
        folder.path(),
        &["classify", "label", "zero.csv", "--output", "json"],
        0,
    );
    assert_eq!(json(&idle)["labels"][4]["windows"], 7);
    let error = refused(folder.path(), &["classify", "label-report", "zero.csv"]);
    assert!(error.contains("no window with demand"), "{error}");
    // One window, constant.
    write("one.csv", &|_| 5, 60);
    let one = stdout(
        folder.path(),
        &["classify", "label", "one.csv", "--output", "json"],
        0,
    );
    assert_eq!(json(&one)["labels"][3]["windows"], 1);
}

/// A day file of these names and counts; every row has as many minutes.
fn write_day(folder: &Path, day: usize, minutes: usize, rows: &[(&str, u32)]) {
    let labels: Vec<String> = (1..=minutes).map(|m| m.to_string()).collect();
    let mut text = format!(
        "HashOwner,HashApp,HashFunction,Trigger,{}\n",
        labels.join(",")
    );
    for (names, count) in rows {
        text += &format!(
            "{names},http,{}\n",
            vec![count.to_string(); minutes].join(",")
        );
    }
    let name = format!("invocations_per_function_md.anon.d{day:02}.csv");
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_folder_of_day_files_is_one_time_axis_for_every_function_of_every_app() {
    let folder = tempfile::tempdir().unwrap();
    // One function's name under two apps; the second app has no row on day 10.
    write_day(folder.path(), 9, 1440, &[("o,a,f", 2), ("o,b,f", 3)]);
    write_day(folder.path(), 10, 1440, &[("o,a,f", 2)]);
    let args = [
        "classify", "label", ".", "--stride", "60", "--output", "csv",
    ];
    let (_, rows) = rows(&stdout(folder.path(), &args, 0));
    let of = |id: &str, archetype: &str| {
        let own = rows.iter().filter(|r| r[0] == id && r[3] == archetype);
        own.count()
    };
    assert_eq!(of("o/a/f", "Stationary"), 48);
    assert_eq!((of("o/b/f", "Stationary"), of("o/b/f", "Idle")), (24, 24));
    // A file without its last minute does not tell what came in it.
    write_day(folder.path(), 10, 1439, &[("o,a,f", 2), ("o,b,f", 3)]);
    let error = refused(folder.path(), &args);
    assert!(
        error.contains("o/a/f at 2019-07-24T23:59:00Z: step 2879 has no value"),
        "{error}"
    );
}
