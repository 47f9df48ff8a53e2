//! `compare --hpa`: the verdict on the user's own HPA, the manifest to apply, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{refused, stdout};

const HPA: &str = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 12
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 85}}
";

/// Four days with a peak each noon, in steps of ten minutes.
fn days(folder: &Path) {
    let rows: String = (0..4 * 144)
        .map(|i| {
            let noon = (i % 144 - 72_i64).abs();
            let count = 600 + if noon < 18 { 300 * (18 - noon) } else { 0 };
            format!("{},{count}\n", 1_767_571_200 + 600 * i)
        })
        .collect();
    fs::write(folder.join("web.csv"), format!("timestamp,count\n{rows}")).unwrap();
    fs::write(folder.join("hpa.yaml"), HPA).unwrap();
}

#[test]
fn the_best_plain_settings_keep_the_promise_and_can_be_applied_and_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path());
    let run = |hpa: &str, out: &str| -> Value {
        let args = [
            "compare",
            "--trace",
            "web.csv",
            "--hpa",
            hpa,
            "--capacity",
            "2",
            "--startup",
            "60s",
            "--policies",
            "hpa,predictive",
            "--out",
            out,
            "--output",
            "json",
        ];
        serde_json::from_str(&stdout(folder.path(), &args, 0)).unwrap()
    };
    let first = run("hpa.yaml", "a");
    let rows = first["own"]["rows"].as_array().unwrap();
    let broken = |row: &Value| row["violationsPercent"]["value"].as_f64().unwrap();
    assert!(
        broken(&rows[0]) > 1.0,
        "at 85 % it reacts too late: {}",
        rows[0]
    );
    assert!(
        broken(&rows[1]) <= 1.0,
        "the best keeps the promise: {}",
        rows[1]
    );
    for row in rows {
        let ends = row["costAWeek"]["interval"].as_array().unwrap();
        let cost = row["costAWeek"]["value"].as_f64().unwrap();
        let [low, high] = [0, 1].map(|i| ends[i].as_f64().unwrap());
        assert!(low < high && low * 0.8 < cost && cost < high * 1.2, "{row}");
    }
    let manifest = fs::read_to_string(folder.path().join("a/hpa-best.yaml")).unwrap();
    assert_eq!(first["own"]["manifest"], Value::from(manifest));

    // What it says of its own manifest is what it said of the settings.
    let again = run("a/hpa-best.yaml", "b");
    let yours = &again["own"]["rows"][0];
    for key in ["costAWeek", "violationsPercent"] {
        assert_eq!(yours[key], rows[1][key], "{key}");
    }
}

#[test]
fn a_trace_of_one_day_gets_no_interval_and_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path());
    let day: String = fs::read_to_string(folder.path().join("web.csv"))
        .unwrap()
        .lines()
        .take(145)
        .map(|l| format!("{l}\n"))
        .collect();
    fs::write(folder.path().join("day.csv"), day).unwrap();
    let args = [
        "compare",
        "--trace",
        "day.csv",
        "--hpa",
        "hpa.yaml",
        "--capacity",
        "2",
        "--policies",
        "hpa",
    ];
    let text = stdout(folder.path(), &args, 0);
    assert!(text.contains("too few for intervals"), "{text}");
    assert!(
        text.contains("kubectl apply -f foresail-report/hpa-best.yaml"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_judged_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path());
    let check = |args: &[&str], want: &str| {
        let all = [&["compare", "--trace", "web.csv"], args].concat();
        let error = refused(folder.path(), &all);
        assert!(error.contains(want), "{args:?}: {error}");
        assert!(!folder.path().join("foresail-report").exists(), "{args:?}");
    };
    let absent = ["compare", "--trace", "web.csv", "--hpa", "nowhere.yaml"];
    let error = refused(folder.path(), &absent);
    assert!(error.contains("cannot read nowhere.yaml"), "{error}");
    check(&["--hpa", "web.csv"], "no HorizontalPodAutoscaler");
    check(
        &["--hpa", "hpa.yaml", "--max", "5"],
        "stands in the HPA's manifest",
    );
    check(
        &["--hpa", "hpa.yaml", "--policies", "kpa"],
        "add hpa to --policies",
    );
    check(&["--hpa", "hpa.yaml", "--capacity", "0"], "must be above 0");
    let both = format!("{HPA}---\n{HPA}");
    fs::write(folder.path().join("both.yaml"), both).unwrap();
    check(&["--hpa", "both.yaml"], "leave one in it");
    let wrong = HPA.replace("minReplicas: 1", "minReplicas: 99");
    fs::write(folder.path().join("wrong.yaml"), wrong).unwrap();
    check(&["--hpa", "wrong.yaml"], "minReplicas");
}
