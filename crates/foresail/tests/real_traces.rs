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

use support::{data, foresail, stdout};

fn info(folder: &Path, file: &str, more: &[&str]) -> serde_json::Value {
    let path = folder.join(file);
    let mut args = vec!["trace", "info", path.to_str().unwrap(), "--output", "json"];
    args.extend(more);
    serde_json::from_str(&stdout(folder, &args, 0)).unwrap()
}

#[test]
fn one_day_of_azure_has_its_known_rows_requests_and_zeros() {
    let Some(folder) = data("one_day_of_azure") else {
        return;
    };
    let day = info(&folder, "azure2019/invocations_oneday.csv.gz", &[]);
    assert_eq!(
        (day["items"].as_u64(), day["requests"].as_f64()),
        (Some(621), Some(1_315_870.0))
    );
    assert!((day["zeroPercent"].as_f64().unwrap() - 58.4).abs() < 0.05);
    let excerpt = info(
        &folder,
        "azure2019/excerpt500_invocations.m480-959.csv.gz",
        &[],
    );
    assert_eq!(
        (excerpt["items"].as_u64(), excerpt["steps"].as_u64()),
        (Some(287), Some(287 * 480))
    );
    assert!((excerpt["zeroPercent"].as_f64().unwrap() - 76.0).abs() < 0.05);
    assert_eq!(excerpt["triggers"]["timer"], 151);
    let sums = info(&folder, "azure2019/minute_profile_sum14d.csv.gz", &[]);
    assert_eq!(sums["items"], 4462);
}

#[test]
fn web_traces_have_their_known_gaps() {
    let Some(folder) = data("web_traces") else {
        return;
    };
    for (file, gaps, day) in [
        ("web/worldcup98_1min.csv.gz", 10, "1998-05-01"),
        ("web/twitter2021_1min.csv.gz", 337, "2021-08-01"),
    ] {
        let trace = info(&folder, file, &[]);
        assert_eq!(trace["gaps"], gaps, "{file}");
        assert!(trace["from"].as_str().unwrap().starts_with(day), "{file}");
    }
    assert!(info(&folder, "web/nasa95_1min.csv.gz", &[])["items"] == 1);
}

#[test]
fn series_with_doubled_times_are_refused_and_can_be_skipped() {
    let Some(folder) = data("doubled_times") else {
        return;
    };
    for (file, items) in [("nab/nab.csv.gz", 22), ("mscloud/mscloud.csv.gz", 31)] {
        let path = folder.join(file);
        let refused = foresail(&folder, &["trace", "info", path.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "{file}");
        let trace = info(&folder, file, &["--skip-bad-rows"]);
        assert_eq!(trace["items"], items, "{file}");
        assert!(trace["skippedRows"].as_u64().unwrap() > 0, "{file}");
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
