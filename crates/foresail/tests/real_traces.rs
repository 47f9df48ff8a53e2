//! Real traces, where the folder of them is there: what is read must agree with what is known.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::path::Path;

use support::{data, foresail, refused, stdout};

fn info(folder: &Path, file: &str, more: &[&str]) -> serde_json::Value {
    let path = folder.join(file);
    let mut args = vec!["trace", "info", path.to_str().unwrap(), "--output", "json"];
    args.extend(more);
    serde_json::from_str(&stdout(folder, &args, 0)).unwrap()
}

/// Checks one field after another; numbers by value.
fn check(trace: &serde_json::Value, file: &str, known: &[(&str, serde_json::Value)]) {
    for (field, want) in known {
        let got = &trace[*field];
        let same = match (got.as_f64(), want.as_f64()) {
            (Some(got), Some(want)) => (got - want).abs() <= 1e-9 * want.abs(),
            _ => got == want,
        };
        assert!(same, "{file}: {field} is {got}, known is {want}");
    }
}

/// A list of fields with what is known of them.
macro_rules! known {
    ($($field:literal : $value:tt),* $(,)?) => { &[$(($field, serde_json::json!($value))),*] };
}

#[test]
fn one_day_of_azure_has_its_known_rows_requests_and_zeros() {
    let Some(folder) = data("one_day_of_azure") else {
        return;
    };
    let file = "azure2019/invocations_oneday.csv.gz";
    let day = info(&folder, file, &[]);
    check(
        &day,
        file,
        known! {"items": 621, "requests": 1_315_870, "gaps": 0, "triggers": {"unknown": 621}},
    );
    assert!((day["zeroPercent"].as_f64().unwrap() - 58.4).abs() < 0.05);
    let file = "azure2019/excerpt500_invocations.m480-959.csv.gz";
    let excerpt = info(&folder, file, &[]);
    check(
        &excerpt,
        file,
        known! {"items": 287, "steps": 137_760, "from": "2019-07-15T07:59:00Z", "to": "2019-07-15T15:59:00Z",
        "triggers": {"timer": 151, "http": 75, "queue": 35, "orchestration": 16, "event": 7, "storage": 2, "others": 1}},
    );
    assert!((excerpt["zeroPercent"].as_f64().unwrap() - 76.0).abs() < 0.05);
    let file = "azure2019/minute_profile_sum14d.csv.gz";
    let sums = info(&folder, file, &[]);
    check(&sums, file, known! {"items": 4462, "steps": 6_425_280});
    assert!((sums["zeroPercent"].as_f64().unwrap() - 48.6).abs() < 0.05);
}

#[test]
fn run_times_and_memory_have_their_known_quantiles_with_names_or_without() {
    let Some(folder) = data("run_times_and_memory") else {
        return;
    };
    for (file, items, field, quantiles) in [
        (
            "azure2019/function_durations_pool_unjoined.csv.gz",
            2888,
            "meanRunTimeMs",
            [Some(586.0), Some(4_977.0), Some(45_561.0), Some(300_058.0)],
        ),
        (
            "azure2019/app_memory_pool_unjoined.csv.gz",
            326,
            "meanMemoryMb",
            [Some(108.0), Some(233.0), Some(523.0), None],
        ),
        (
            "azure2019/excerpt500_function_durations_percentiles.csv.gz",
            287,
            "meanRunTimeMs",
            [Some(23.0), Some(680.0), Some(14_694.0), Some(197_973.0)],
        ),
        (
            "azure2019/excerpt500_app_memory_percentiles.csv.gz",
            287,
            "meanMemoryMb",
            [Some(9.0), Some(58.0), Some(186.0), None],
        ),
    ] {
        let pool = info(&folder, file, &[]);
        check(&pool, file, known! {"items": items, "steps": 0});
        for (place, want) in quantiles.iter().enumerate() {
            let got = pool[field][place].as_f64().unwrap();
            assert!(
                want.is_none_or(|w| (got - w).abs() < 0.51),
                "{file}: {got} for {want:?}"
            );
        }
    }
}

#[test]
fn web_traces_have_their_known_means_and_gaps() {
    let Some(folder) = data("web_traces") else {
        return;
    };
    for (file, known, mean) in [
        (
            "web/worldcup98_1min.csv.gz",
            known! {"steps": 74_880, "gaps": 10, "requests": 592_469_955, "from": "1998-05-01T00:00:00Z"},
            7_913.0,
        ),
        (
            "web/nasa95_1min.csv.gz",
            known! {"steps": 39_692, "gaps": 0, "requests": 1_891_675, "from": "1995-07-01T04:00:00Z"},
            47.7,
        ),
        (
            "web/twitter2021_1min.csv.gz",
            known! {"steps": 17_280, "gaps": 337, "requests": 66_160_851, "from": "2021-08-01T00:00:00Z"},
            3_903.0,
        ),
    ] {
        let trace = info(&folder, file, &[]);
        check(&trace, file, known);
        let count = |field: &str| trace[field].as_f64().unwrap();
        let got = count("requests") / (count("steps") - count("gaps"));
        assert!((got / mean - 1.0).abs() < 0.02, "{file}: mean {got}");
    }
}

/// The second file says zero where the minutes are missing: a reader cannot know, and it has no times.
#[test]
fn numbers_by_the_second_begin_where_they_are_told_to() {
    let Some(folder) = data("numbers_by_the_second") else {
        return;
    };
    let file = "web/twitter2021_1s.txt.gz";
    let seconds = info(&folder, file, &["--start", "2021-08-01T00:00:00Z"]);
    check(
        &seconds,
        file,
        known! {"items": 1, "steps": 1_036_800, "gaps": 0, "requests": 66_160_851,
        "from": "2021-08-01T00:00:00Z", "to": "2021-08-13T00:00:00Z", "stepSeconds": [1]},
    );
    let bare = info(&folder, file, &[]);
    check(&bare, file, known! {"from": "1970-01-01T00:00:00Z"});
}

#[test]
fn m4_rows_are_ragged_and_every_value_is_read() {
    let Some(folder) = data("m4") else {
        return;
    };
    // 122 rows of 960 values, 85 of 700.
    for (file, steps) in [
        ("m4/hourly_train.csv.gz", 122 * 960 + 85 * 700),
        ("m4/hourly_test.csv.gz", 207 * 48),
    ] {
        let trace = info(&folder, file, &[]);
        check(
            &trace,
            file,
            known! {"items": 207, "steps": steps, "gaps": 0, "stepSeconds": [3600]},
        );
    }
    let train = info(&folder, "m4/hourly_train.csv.gz", &[]);
    let total = train["requests"].as_f64().unwrap();
    assert!((total - 1_393_085_277.3).abs() < 1.0, "{total}");
}

#[test]
fn azure_2021_counts_every_invocation_once_and_keeps_the_run_times() {
    let Some(folder) = data("azure_2021") else {
        return;
    };
    let file = "misc/azure2021_sample.csv.gz";
    let trace = info(&folder, file, &[]);
    check(
        &trace,
        file,
        known! {"items": 49, "requests": 998, "gaps": 0, "from": "2021-01-31T00:00:00Z", "stepSeconds": [60]},
    );
    // The last begin is at second 6,464, in minute 107; ends reach 6,485.
    assert_eq!(trace["steps"], 49 * 108);
    assert!(trace["meanRunTimeMs"][3].as_f64().unwrap() <= 405_000.0);
}

#[test]
fn llm_requests_come_at_their_known_rate() {
    let Some(folder) = data("llm_requests") else {
        return;
    };
    let file = "misc/azure_llm_2023_code.csv.gz";
    let trace = info(&folder, file, &[]);
    check(
        &trace,
        file,
        known! {"items": 1, "requests": 8819, "from": "2023-11-16T18:17:00Z", "to": "2023-11-16T19:15:00Z", "steps": 58},
    );
    let seconds = info(&folder, file, &["--step", "1s"]);
    check(
        &seconds,
        file,
        known! {"requests": 8819, "stepSeconds": [1]},
    );
}

#[test]
fn examples_of_prophet_are_days_with_gaps_and_calendar_months() {
    let Some(folder) = data("prophet") else {
        return;
    };
    let file = "misc/prophet_example_wp_log_peyton_manning.csv";
    let days = info(&folder, file, &[]);
    // 2,905 days of 2,964 between the first and the last.
    check(
        &days,
        file,
        known! {"items": 1, "steps": 2964, "gaps": 59, "stepSeconds": [86_400], "from": "2007-12-10T00:00:00Z"},
    );
    let file = "misc/prophet_example_air_passengers.csv";
    let months = info(&folder, file, &[]);
    check(
        &months,
        file,
        known! {"steps": 144, "gaps": 0, "stepSeconds": [2_629_746], "requests": 40_363},
    );
    let path = folder.join(file);
    let text = stdout(&folder, &["trace", "info", path.to_str().unwrap()], 0);
    assert!(text.contains("calendar months"), "{text}");
}

#[test]
fn doubled_and_uneven_times_follow_a_rule_that_is_told() {
    let Some(folder) = data("doubled_times") else {
        return;
    };
    // In two of the NAB series the twelve rows of an hour have one stamp, off the five minutes; one
    // of the steps that they go to has a row of its own. Ten crash rates have
    // doubled hours, one of them 11 and nine 13, and api-01 has one.
    for (file, items, doubled, moved, skipped) in [
        ("nab/nab.csv.gz", 22, 23, 24, 24),
        ("mscloud/mscloud.csv.gz", 31, 129, 0, 129),
    ] {
        let trace = info(&folder, file, &[]);
        check(
            &trace,
            file,
            known! {"items": items, "doubledTimes": doubled, "movedTimes": moved, "skippedRows": 0},
        );
        let path = folder.join(file);
        let path = path.to_str().unwrap();
        let text = stdout(&folder, &["trace", "info", path], 0);
        assert!(text.contains("by --uneven mean"), "{file}: {text}");
        let strict = ["trace", "info", path, "--uneven", "error"];
        let error = refused(&folder, &strict);
        assert!(error.contains("stands there twice"), "{file}: {error}");
        let skipping = info(&folder, file, &["--skip-bad-rows"]);
        check(
            &skipping,
            file,
            known! {"items": items, "skippedRows": skipped},
        );
    }
}

#[test]
fn what_is_no_trace_is_refused_with_the_formats_there_are() {
    let Some(folder) = data("no_trace") else {
        return;
    };
    let path = folder.join("nab/anomaly_windows.json");
    let error = refused(&folder, &["trace", "info", path.to_str().unwrap()]);
    assert!(error.contains("none of the known formats"), "{error}");
    let here = tempfile::tempdir().unwrap();
    let pool = folder.join("azure2019/app_memory_pool_unjoined.csv.gz");
    let pool = pool.to_str().unwrap();
    let out = here.path().join("out.csv");
    let error = refused(
        here.path(),
        &["trace", "convert", pool, "--out", out.to_str().unwrap()],
    );
    assert!(error.contains("has no demand") && !out.exists(), "{error}");
}

#[test]
fn traces_go_through_parquet_and_come_back_the_same() {
    let Some(folder) = data("through_parquet") else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    for file in [
        "azure2019/invocations_oneday.csv.gz",
        "web/worldcup98_1min.csv.gz",
        "mscloud/mscloud.csv.gz",
    ] {
        let path = folder.join(file);
        let convert = |from: &str, to: &str| {
            stdout(here.path(), &["trace", "convert", from, "--out", to], 0);
            std::fs::read(here.path().join(to)).unwrap()
        };
        let straight = convert(path.to_str().unwrap(), "straight.csv");
        convert(path.to_str().unwrap(), "there.parquet");
        assert!(
            straight == convert("there.parquet", "back.csv"),
            "{file} is another after Parquet"
        );
        let packed = convert("there.parquet", "back.csv.zst");
        assert!(packed.len() < straight.len() / 4, "{file}");
        assert!(straight == convert("back.csv.zst", "again.csv"), "{file}");
    }
}

#[test]
fn azure_functions_are_compared_with_run_times_of_their_own() {
    let Some(folder) = data("azure_compare") else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let path = |f: &str| folder.join(f).to_str().unwrap().to_owned();
    let (trace, durations) = (
        path("azure2019/excerpt500_invocations.m480-959.csv.gz"),
        path("azure2019/excerpt500_function_durations_percentiles.csv.gz"),
    );
    let args = [
        "compare",
        "--trace",
        &trace,
        "--durations",
        &durations,
        "--functions",
        "5",
        "--policies",
        "hpa,kpa",
    ];
    let text = stdout(here.path(), &args, 0);
    assert!(
        text.contains("report: foresail-report/index.html"),
        "{text}"
    );
}

#[test]
fn a_trace_of_any_format_can_be_compared() {
    let Some(folder) = data("any_format_compare") else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    for (file, more) in [
        ("misc/azure2021_sample.csv.gz", "--functions=2"),
        ("misc/azure_llm_2023_code.csv.gz", "--format=azure-llm"),
    ] {
        let path = folder.join(file);
        let args = [
            "compare",
            "--trace",
            path.to_str().unwrap(),
            more,
            "--policies",
            "hpa",
        ];
        let output = foresail(here.path(), &args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{file}: {error}");
    }
}
