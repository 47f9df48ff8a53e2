//! Every command as a user meets it: what it prints, how it ends, what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use support::{foresail, golden, refused, root, stdout};

/// An hour of CSV, so that a run takes no time.
fn small_trace(folder: &Path) {
    let rows: String = (0..60)
        .map(|i| format!("{},{}\n", 1_767_571_200 + 60 * i, 300 + (i * 37) % 200))
        .collect();
    fs::write(folder.join("web.csv"), format!("timestamp,count\n{rows}")).unwrap();
}

#[test]
fn compare_ends_with_the_reports_path_and_writes_every_file() {
    let folder = tempfile::tempdir().unwrap();
    small_trace(folder.path());
    let text = stdout(
        folder.path(),
        &["compare", "--trace", "web.csv", "--out", "report"],
        0,
    );
    assert_eq!(text.lines().last(), Some("report: report/index.html"));
    for name in [
        "index.html",
        "summary.csv",
        "ticks.parquet",
        "run.json",
        "figures/cost-slo.svg",
        "figures/cost-slo.png",
    ] {
        assert!(folder.path().join("report").join(name).is_file(), "{name}");
    }
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "nothing else is left behind: {left:?}");
    let summary = fs::read_to_string(folder.path().join("report/summary.csv")).unwrap();
    golden("commands/summary.csv", &summary);
}

#[test]
fn report_rebuilds_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    small_trace(folder.path());
    stdout(
        folder.path(),
        &[
            "compare",
            "--trace",
            "web.csv",
            "--out",
            "a",
            "--policies",
            "hpa,kpa",
        ],
        0,
    );
    let text = stdout(folder.path(), &["report", "a", "--out", "b"], 0);
    assert_eq!(text, "report: b/index.html\n");
    for name in [
        "index.html",
        "summary.csv",
        "ticks.parquet",
        "figures/waits.png",
    ] {
        let read = |f: &str| fs::read(folder.path().join(f).join(name)).unwrap();
        assert_eq!(read("a"), read("b"), "{name}");
    }
}

#[test]
fn the_summary_is_the_same_as_a_table_csv_and_json() {
    let folder = tempfile::tempdir().unwrap();
    small_trace(folder.path());
    let run = |output| {
        stdout(
            folder.path(),
            &[
                "compare",
                "--trace",
                "web.csv",
                "--policies",
                "hpa",
                "--output",
                output,
            ],
            0,
        )
    };
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(json["policies"][0]["policy"], "hpa");
    assert_eq!(json["frontier"].as_array().unwrap().len(), 18);
    let csv = run("csv");
    assert!(
        csv.starts_with("policy,violations_percent,") && csv.lines().count() == 2,
        "{csv}"
    );
    assert!(run("table").contains("BROKE THE PROMISE"));
}

#[test]
fn a_flight_is_recorded_replayed_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    small_trace(folder.path());
    for (policy, file) in [("predictive-hpa", "a.jsonl"), ("kpa", "b.jsonl.gz")] {
        let args = [
            "simulate",
            "--trace",
            "web.csv",
            "--policies",
            policy,
            "--record",
            file,
        ];
        stdout(folder.path(), &args, 0);
        assert_eq!(
            stdout(folder.path(), &["replay", file], 0),
            "identical\n",
            "{policy}"
        );
    }
    let what_if = "--what-if=targets.0.hpa.maxReplicas=3";
    let at = "--at=2026-01-05T00:30:00Z";
    let text = stdout(
        folder.path(),
        &[
            "explain",
            "a.jsonl",
            at,
            what_if,
            "--what-if=without=Stabilization",
        ],
        0,
    );
    golden("commands/explain.txt", &text);
    let json = stdout(
        folder.path(),
        &["explain", "a.jsonl", at, what_if, "--output", "json"],
        0,
    );
    golden("commands/explain.json", &json);
    let none = foresail(
        folder.path(),
        &["explain", "a.jsonl", "--at=1999-01-01T00:00:00Z"],
    );
    assert_eq!(none.status.code(), Some(5), "not found");
    // One changed number of one input must be noticed.
    let record = fs::read_to_string(folder.path().join("a.jsonl")).unwrap();
    let line = record
        .lines()
        .skip(100)
        .find(|l| l.starts_with("{\"input\"") && l.contains("\"value\":"))
        .unwrap();
    let other = record.replacen(line, &line.replace("\"value\":", "\"value\":1"), 1);
    fs::write(folder.path().join("c.jsonl"), other).unwrap();
    let replayed = foresail(folder.path(), &["replay", "c.jsonl"]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&replayed.stdout).starts_with("differs at line"));
}

const SPEC: &str = "
targets:
  - id: default/Deployment/web
    hpa: {minReplicas: 1, maxReplicas: 10, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}
proposers:
  - {name: static, knobs: {replicas: 3}}
  - name: hpa
";

fn inputs() -> String {
    let sample = r#"{"value":900,"at":"2026-01-01T08:00:00Z","windowSeconds":30}"#;
    let pod = r#"{"phase":"Running","started_at":null,"startedAt":"2026-01-01T06:00:00Z","ready":"True","readyChangedAt":"2026-01-01T06:01:00Z"}"#
        .replace(r#""started_at":null,"#, "");
    let reading = format!(r#"{{"request":1000,"sample":{sample}}}"#);
    let target = format!(
        r#"{{"target":"default/Deployment/web","current":{{"replicas":4}},"statusReplicas":4,"ready":4,"pods":[{}],"readings":[{{"pods":[{}]}}]}}"#,
        vec![pod; 4].join(","),
        vec![reading; 4].join(",")
    );
    format!(
        "{{\"samples\":{{\"at\":\"2026-01-01T08:00:10Z\",\"targets\":[{target}]}}}}\n{{\"tick\":{{\"now\":\"2026-01-01T08:00:10Z\"}}}}\n"
    )
}

#[test]
fn decide_prints_the_tick_and_goes_on_from_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    fs::write(folder.path().join("inputs.jsonl"), inputs()).unwrap();
    let args = [
        "decide",
        "--spec",
        "spec.yaml",
        "--inputs",
        "inputs.jsonl",
        "--save",
        "state.json",
    ];
    golden("commands/decide.json", &stdout(folder.path(), &args, 0));
    let later = inputs().replace("08:00", "08:01");
    fs::write(folder.path().join("later.jsonl"), later).unwrap();
    let args = [
        "decide",
        "--spec",
        "spec.yaml",
        "--inputs",
        "later.jsonl",
        "--snapshot",
        "state.json",
        "--output",
        "table",
    ];
    golden("commands/decide.txt", &stdout(folder.path(), &args, 0));
}

/// Looks a quarter of an hour apart at four pods that use 450m of CPU and ask for 100m, with a tick after
/// each; at the last but one a container is killed for memory.
fn looks_of_resources() -> String {
    let mut lines = String::new();
    for i in 0..8 {
        let at = format!("2026-01-01T{:02}:{:02}:10Z", 8 + i / 4, 15 * (i % 4));
        let reading = |request: u64, value: u64| {
            let sample = format!(r#"{{"value":{value},"at":"{at}","windowSeconds":30}}"#);
            format!(r#"{{"request":{request},"sample":{sample}}}"#)
        };
        let kills = if i == 6 {
            format!(r#","kills":[{{"at":"{at}","memory":"512Mi"}}]"#)
        } else {
            String::new()
        };
        let cpu = vec![reading(100, 450 + 7 * i); 4].join(",");
        let mebi = 1000 << 20;
        let memory = vec![reading(512 * mebi, (400 + i) * mebi); 4].join(",");
        let pods = [r#"{"startedAt":"2026-01-01T06:00:00Z","ready":"True"}"#; 4].join(",");
        lines += &format!(
            r#"{{"samples":{{"at":"{at}","targets":[{{"target":"web","current":{{"replicas":4,"perPod":{{"cpu":"100m","memory":"512Mi"}}}},"statusReplicas":4,"ready":4,"pods":[{pods}],"readings":[{{"pods":[{cpu}]}},{{"pods":[{memory}]}}]{kills}}}]}}}}"#
        );
        lines += &format!("\n{{\"tick\":{{\"now\":\"{at}\"}}}}\n");
    }
    lines
}

#[test]
fn decide_sizes_pods_by_vpa_beside_the_hpa() {
    let folder = tempfile::tempdir().unwrap();
    let metric = |name: &str, percent: u32| {
        format!(
            "{{type: Resource, resource: {{name: {name}, target: {{type: Utilization, averageUtilization: {percent}}}}}}}"
        )
    };
    let spec = format!(
        "
targets:
  - id: web
    hpa: {{minReplicas: 1, maxReplicas: 40, metrics: [{}, {}]}}
    resources:
      cpu: {{min: 50m, max: '2', step: 50m}}
      memory: {{min: 128Mi, max: 4Gi, step: 64Mi}}
proposers: [{{name: hpa}}, {{name: vpa, knobs: {{roundMemoryBytes: 1048576}}}}]
",
        metric("cpu", 60),
        metric("memory", 90)
    );
    fs::write(folder.path().join("spec.yaml"), spec).unwrap();
    fs::write(folder.path().join("inputs.jsonl"), looks_of_resources()).unwrap();
    let mut args = vec!["decide", "--spec", "spec.yaml", "--inputs", "inputs.jsonl"];
    let json = stdout(folder.path(), &args, 0);
    let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    let memory = &last["proposals"][1]["basis"]["requests"]["memory"];
    // One in four was killed at 512Mi: 614.4Mi, in a bucket that ends 5 % higher at most, and 15 %.
    let target = memory["target"].as_str().unwrap().strip_suffix("Mi");
    let target: f64 = target.expect("mebibytes").parse().unwrap();
    assert!((706.0..=743.0).contains(&target), "{target}");
    args.extend(["--output", "table"]);
    golden("commands/decide-vpa.txt", &stdout(folder.path(), &args, 0));
}

#[test]
fn what_is_wrong_in_a_spec_is_told_at_once_with_path_and_mend() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "
targets:
  - id: web
    hpa:
      minReplicas: 5
      maxReplicas: 2
      behavior: {scaleUp: {policies: [{type: Pods, value: 0, periodSeconds: 0}]}}
    capacity: 0 req/s
proposers:
  - name: hpaa
intervalSeconds: 0
";
    fs::write(folder.path().join("spec.yaml"), wrong).unwrap();
    let error = refused(folder.path(), &["decide", "--spec", "spec.yaml"]);
    for want in [
        "targets[0].hpa.maxReplicas: 2: is below minReplicas = 5",
        "targets[0].hpa.behavior.scaleUp.policies[0].periodSeconds: 0: must be 1…1800",
        "policies[0].value: 0: must be above 0",
        "targets[0].capacity: 0 req/s: must be above 0",
        "intervalSeconds: 0s: must be above 0",
    ] {
        assert!(error.contains(want), "{want}\n{error}");
    }
    fs::write(
        folder.path().join("spec.yaml"),
        SPEC.replace("static", "sttic"),
    )
    .unwrap();
    assert!(
        refused(folder.path(), &["decide", "--spec", "spec.yaml"])
            .contains("did you mean `static`")
    );
    fs::write(
        folder.path().join("spec.yaml"),
        SPEC.replace("replicas: 3", "replica: 3"),
    )
    .unwrap();
    assert!(
        refused(folder.path(), &["decide", "--spec", "spec.yaml"])
            .contains("did you mean `replicas`")
    );
}

#[test]
fn conformance_tells_pass_allowed_and_unreadable_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = root().join("tests/golden/hpa/hpa_vectors.json");
    let vectors = vectors.to_str().unwrap();
    let text = stdout(
        folder.path(),
        &["conformance", "hpa", vectors, "--output", "json"],
        0,
    );
    assert_eq!(text.lines().count(), 108);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for key in [
        "scaledTo",
        "statusDesiredReplicas",
        "conditions",
        "events",
        "recommendationsAfter",
        "scaleUpEventsAfter",
        "failed",
    ] {
        assert!(first["result"][0].get(key).is_some(), "{key}");
    }
    let mut file: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(vectors).unwrap()).unwrap();
    file["vectors"][3]["expected"][0]["scaledTo"] = serde_json::json!(77);
    fs::write(folder.path().join("wrong.json"), file.to_string()).unwrap();
    let text = stdout(folder.path(), &["conformance", "hpa", "wrong.json"], 1);
    assert!(
        text.contains("differs") && text.contains("scaledTo: expected 77"),
        "{text}"
    );
    fs::write(folder.path().join("bad.json"), "{").unwrap();
    assert!(refused(folder.path(), &["conformance", "hpa", "bad.json"]).contains("bad.json"));
}

#[test]
fn traces_are_made_looked_at_cut_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    stdout(
        here,
        &["trace", "generate", "--days", "1", "--out", "a.csv"],
        0,
    );
    golden(
        "commands/trace-info.txt",
        &stdout(here, &["trace", "info", "a.csv"], 0),
    );
    stdout(
        here,
        &[
            "trace", "convert", "a.csv", "--to", "csv-wide", "--out", "b.csv",
        ],
        0,
    );
    stdout(
        here,
        &[
            "trace", "convert", "b.csv", "--to", "csv-long", "--out", "c.csv",
        ],
        0,
    );
    assert_eq!(
        fs::read(here.join("a.csv")).unwrap(),
        fs::read(here.join("c.csv")).unwrap()
    );
    stdout(
        here,
        &[
            "trace",
            "convert",
            "a.csv",
            "--to",
            "azure2019",
            "--out",
            "d.csv",
        ],
        0,
    );
    let info = |f: &str| -> serde_json::Value {
        serde_json::from_str(&stdout(here, &["trace", "info", f, "--output", "json"], 0)).unwrap()
    };
    assert_eq!(info("a.csv")["requests"], info("d.csv")["requests"]);
    let args = [
        "trace",
        "slice",
        "a.csv",
        "--from",
        "2026-01-05T06:00:00Z",
        "--until",
        "2026-01-05T07:00:00Z",
        "--out",
        "e.csv",
    ];
    stdout(here, &args, 0);
    assert_eq!(info("e.csv")["steps"], 60);
    let none = [
        "trace",
        "slice",
        "a.csv",
        "--from",
        "2030-01-01T00:00:00Z",
        "--out",
        "f.csv",
    ];
    assert!(refused(here, &none).contains("nothing is left"));
    assert!(!here.join("f.csv").exists());
}

#[test]
fn trace_check_finds_missing_days() {
    let folder = tempfile::tempdir().unwrap();
    let header: Vec<String> = (1..=1440).map(|m| m.to_string()).collect();
    let row = vec!["1"; 1440].join(",");
    let text = format!(
        "HashOwner,HashApp,HashFunction,Trigger,{}\no,a,f,http,{row}\n",
        header.join(",")
    );
    fs::write(
        folder
            .path()
            .join("invocations_per_function_md.anon.d01.csv"),
        text,
    )
    .unwrap();
    let one = stdout(folder.path(), &["trace", "check", ".", "--days", "1"], 0);
    assert!(
        one.contains("ok   day 1: 1 functions, 1440 requests"),
        "{one}"
    );
    let two = stdout(folder.path(), &["trace", "check", ".", "--days", "1-2"], 1);
    assert!(two.contains("fail day 2: no file of invocations"), "{two}");
    // A bad day is not a good one too.
    let part = "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,1,1\n";
    fs::write(
        folder
            .path()
            .join("invocations_per_function_md.anon.d02.csv"),
        part,
    )
    .unwrap();
    let bad = stdout(folder.path(), &["trace", "check", ".", "--days", "1-2"], 1);
    assert!(bad.contains("fail day 2: not every row has 1440"), "{bad}");
    assert!(!bad.contains("ok   day 2"), "{bad}");
}

#[test]
fn a_day_without_a_file_is_a_gap_that_a_comparison_asks_about() {
    let folder = tempfile::tempdir().unwrap();
    let labels: Vec<String> = (1..=1440).map(|m| m.to_string()).collect();
    let row = vec!["1"; 1440].join(",");
    let names = "HashOwner,HashApp,HashFunction,Trigger";
    let text = format!("{names},{}\no,a,f,http,{row}\n", labels.join(","));
    for day in ["d01", "d04"] {
        let name = format!("invocations_per_function_md.anon.{day}.csv");
        fs::write(folder.path().join(name), &text).unwrap();
    }
    let info = stdout(folder.path(), &["trace", "info", ".", "-o", "json"], 0);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        (&info["steps"], &info["gaps"]),
        (&5760.into(), &2880.into())
    );
    let error = refused(folder.path(), &["compare", "--trace", "."]);
    assert!(
        error.contains("2880 gaps, the first at 2019-07-16T00:00:00Z; say what they mean"),
        "{error}"
    );
}

#[test]
fn bad_input_ends_with_2_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("empty.csv"), "").unwrap();
    fs::write(here.join("head.csv"), "timestamp,count\n").unwrap();
    fs::write(here.join("odd.csv"), "colour,taste\nred,sweet\n").unwrap();
    fs::write(here.join("negative.csv"), "timestamp,count\n0,-5\n").unwrap();
    fs::write(here.join("nan.csv"), "timestamp,count\n0,NaN\n").unwrap();
    fs::write(here.join("gap.csv"), "timestamp,count\n0,5\n60,\n120,5\n").unwrap();
    fs::write(here.join("twice.csv"), "timestamp,count\n0,5\n0,6\n").unwrap();
    fs::write(here.join("zeros.csv"), "timestamp,count\n0,0\n60,0\n").unwrap();
    fs::write(here.join("short.csv"), "timestamp,count\n0,5\n60,5\n").unwrap();
    // The begin of a gzip member and no more.
    fs::write(
        here.join("cut.csv.gz"),
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b],
    )
    .unwrap();
    fs::write(here.join("photo.png"), b"x").unwrap();
    fs::write(
        here.join("large.csv"),
        "timestamp,count\n0,5\n60,4000000000\n",
    )
    .unwrap();
    let many = "60,10000000\n".repeat(300);
    let many: String = many
        .lines()
        .enumerate()
        .map(|(i, l)| l.replacen("60", &(60 * i).to_string(), 1) + "\n")
        .collect();
    fs::write(here.join("many.csv"), format!("timestamp,count\n{many}")).unwrap();
    let before = fs::read_dir(here).unwrap().count();
    let cases: [(&[&str], &str); 27] = [
        (&["--trace", "empty.csv"], "empty.csv has no data"),
        (&["--trace", "head.csv"], "has no data"),
        (&["--trace", "odd.csv"], "in none of the known formats"),
        (
            &["--trace", "negative.csv"],
            "negative.csv, line 2, column count: found `-5`",
        ),
        (&["--trace", "nan.csv"], "line 2, column count: found `NaN`"),
        (
            &["--trace", "gap.csv"],
            "say what they mean: --gaps zero or --gaps hold",
        ),
        (&["--trace", "twice.csv"], "stands there twice"),
        (&["--trace", "zeros.csv"], "no item has a single request"),
        (&["--trace", "cut.csv.gz"], "cut short"),
        (
            &["--trace", "large.csv"],
            "the step at 1970-01-01T00:01:00Z has 4000000000 requests, above the limit of 10000000; --mode fluid has no such limit",
        ),
        (
            &["--trace", "many.csv"],
            "3000000000 requests in all are above the limit of 2000000000",
        ),
        (
            &["--trace", "negative.csv", "--skip-bad-rows"],
            "all 1 rows were skipped",
        ),
        (
            &["--trace", "short.csv", "--format", "nab-csv"],
            "invalid value 'nab-csv' for '--format <NAME>'",
        ),
        (&["--jobs", "100000"], "--jobs 100000: must be 1024 or less"),
        (&["--jobs", "-1"], "must be 0 (one per core) to 1024"),
        (
            &["--seed", "-1"],
            "must be a whole number of 0 to 18446744073709551615",
        ),
        (&["--min", "-1"], "-1 is not in 0..=4294967295"),
        (&["--startup", "-5s"], "mean -5s: must be 0 or more"),
        (
            &["--min", "200000", "--max", "300000"],
            "--max 300000: must be 100000 or less",
        ),
        (
            &["--trace", "short.csv", "--startup", "5m"],
            "not shorter than the run",
        ),
        (
            &["--trace", "short.csv", "--service", "0s"],
            "service: mean 0s: must be above 0",
        ),
        (&["--min", "5", "--max", "2"], "--min 5 is above --max 2"),
        (&["--policies", "hpaa"], "did you mean `hpa`"),
        (
            &[
                "--policies",
                "hpa",
                "--trace",
                "short.csv",
                "--out",
                "photo.png",
            ],
            "photo.png is a file: give a folder with --out",
        ),
        (&["--out", "photo.png/report"], "cannot write"),
        (&["--slo", "fast"], "is not an SLO"),
        (
            &[
                "--metric-loss",
                "2",
                "--trace",
                "short.csv",
                "--startup",
                "1s",
            ],
            "loss: 2: must be 0 to 1",
        ),
    ];
    for (args, want) in cases {
        let all: Vec<&str> = std::iter::once("compare")
            .chain(args.iter().copied())
            .collect();
        let error = refused(here, &all);
        assert!(error.contains(want), "{args:?}: {error}");
        assert_eq!(
            fs::read_dir(here).unwrap().count(),
            before,
            "{args:?} left something behind"
        );
    }
}

#[test]
fn fluid_mode_has_no_limit_of_requests() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "timestamp,count\n0,4000000000\n60,5\n";
    fs::write(folder.path().join("large.csv"), rows).unwrap();
    let args = [
        "compare",
        "--trace",
        "large.csv",
        "--policies=hpa",
        "--mode=fluid",
        "--startup=1s",
    ];
    assert!(stdout(folder.path(), &args, 0).contains("report: foresail-report/index.html"));
}

#[test]
fn a_file_that_is_not_there_ends_with_2_and_its_cause_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 9] = [
        &["compare", "--trace", "absent"],
        &["compare", "--prices", "absent"],
        &["trace", "info", "absent"],
        &["trace", "check", "absent"],
        &["report", "absent"],
        &["replay", "absent"],
        &["explain", "absent.jsonl", "--at=2026-01-01T00:00:00Z"],
        &["decide", "--spec", "absent"],
        &["conformance", "hpa", "absent"],
    ];
    for args in cases {
        let error = refused(folder.path(), args);
        assert!(error.contains("cannot read absent"), "{args:?}: {error}");
        assert_eq!(error.matches("os error").count(), 1, "{args:?}: {error}");
    }
    let args = ["trace", "generate", "--days=1", "--out=absent/a.csv"];
    assert!(refused(folder.path(), &args).contains("Make the folder first"));
}

#[test]
fn a_report_that_is_damaged_is_told_apart_from_one_of_another_version() {
    let folder = tempfile::tempdir().unwrap();
    for (text, want) in [
        ("{\"v\":1,", "run.json is damaged"),
        ("{\"v\":99}", "run.json is not of this version"),
    ] {
        fs::write(folder.path().join("run.json"), text).unwrap();
        let error = refused(folder.path(), &["report", "."]);
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn what_would_be_generated_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, want) in [
        (
            &["--rate=1e300"][..],
            "--rate 1e300: must be above 0, up to 10000",
        ),
        (&["--rate", "-4"], "--rate -4.0: must be above 0"),
        (
            &["--rate=9000", "--functions=1000"],
            "lower --rate, --days or --functions",
        ),
        (&["--days=0"], "--days 0: must be 1 to 3660"),
        (&["--seed", "-1"], "must be a whole number of 0"),
    ] {
        let mut args = vec!["trace", "generate", "--out", "a.csv"];
        args.extend(flags);
        let error = refused(folder.path(), &args);
        assert!(error.contains(want), "{flags:?}: {error}");
    }
}

#[test]
fn every_command_that_prints_data_prints_it_as_json_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    small_trace(folder.path());
    // Two days of which one is there, and that one only in part.
    fs::write(
        folder
            .path()
            .join("invocations_per_function_md.anon.d01.csv"),
        "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,1,2\n",
    )
    .unwrap();
    let commands: [(&[&str], i32, &str, usize); 5] = [
        (&["trace", "info", "web.csv"], 0, "items,steps,gaps", 2),
        (&["trace", "check", ".", "--days=2"], 1, "day,ok,problem", 3),
        (&["config", "view"], 0, "name,value,origin,doc", 21),
        (&["version"], 0, "version", 2),
        (&["doctor", "--offline"], 0, "level,text", 7),
    ];
    let run = |args: &[&str], more: &[&str], code| {
        let all: Vec<&str> = args.iter().chain(more).copied().collect();
        stdout(folder.path(), &all, code)
    };
    for (args, code, header, lines) in commands {
        let csv = run(args, &["-o", "csv"], code);
        assert!(csv.starts_with(header), "{args:?}: {csv}");
        assert_eq!(csv.lines().count(), lines, "{args:?}: {csv}");
        let json = run(args, &["--output", "json"], code);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["v"], 1, "{args:?}");
    }
    // Without the flag the setting decides.
    let settings = "[output]\nformat = \"json\"\n";
    let tables = commands.map(|(args, code, ..)| run(args, &[], code));
    fs::write(folder.path().join("foresail.toml"), settings).unwrap();
    for ((args, code, ..), table) in commands.iter().zip(tables) {
        assert!(!table.starts_with('{'), "{args:?}: {table}");
        let json = run(args, &[], *code);
        assert!(json.starts_with('{'), "{args:?}: {json}");
    }
}

#[test]
fn settings_are_refused_with_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("foresail.toml"),
        "[simulate]\nsede = 7\n",
    )
    .unwrap();
    assert!(refused(folder.path(), &["config", "view"]).contains("did you mean `simulate.seed`"));
    fs::write(
        folder.path().join("foresail.toml"),
        "[simulate]\nseed = 7\n",
    )
    .unwrap();
    let text = stdout(folder.path(), &["config", "view", "--origin"], 0);
    assert!(
        text.lines()
            .any(|l| l.starts_with("simulate.seed") && l.contains("(file foresail.toml)")),
        "{text}"
    );
}

#[test]
fn help_of_every_command_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        "compare",
        "simulate",
        "watch",
        "score",
        "decide",
        "explain",
        "replay",
        "conformance",
        "study",
        "forecast",
        "classify",
        "aquatope",
        "optimize",
        "load",
        "workflow",
        "trace",
        "report",
        "serve",
        "manifests",
        "run",
        "score",
        "get",
        "describe",
        "approve",
        "suspend",
        "resume",
        "lint",
        "doctor",
        "config",
        "completion",
        "version",
    ];
    let mut text = stdout(folder.path(), &["--help"], 0);
    let forecast = ["fit", "show", "backtest", "explain", "models"].map(|verb| ["forecast", verb]);
    let classify = [
        "features",
        "label",
        "label-report",
        "train",
        "eval",
        "predict",
    ]
    .map(|verb| ["classify", verb]);
    let commands = commands.iter().map(std::slice::from_ref);
    let aquatope = [
        "train-encoder",
        "train-predictor",
        "schedule",
        "activations",
    ]
    .map(|verb| ["aquatope", verb]);
    let migrate = ["hpa", "rollback"].map(|verb| ["migrate", verb]);
    let stress = ["cpu", "memory"].map(|verb| ["stress", verb]);
    let nested = forecast
        .iter()
        .chain(&classify)
        .chain(&aquatope)
        .chain(&migrate)
        .chain(&stress);
    for words in commands.chain(nested.map(<[&str; 2]>::as_slice)) {
        text.push_str(&format!("\n---- foresail {} --help\n", words.join(" ")));
        text.push_str(&stdout(folder.path(), &[words, &["--help"]].concat(), 0));
    }
    golden("commands/help.txt", &text);
    assert!(stdout(folder.path(), &["doctor", "--offline"], 0).contains("ok   foresail"));
    assert!(stdout(folder.path(), &["version"], 0).starts_with("foresail 0."));
    assert!(stdout(folder.path(), &["completion", "bash"], 0).contains("_foresail"));
    assert_eq!(foresail(folder.path(), &["compar"]).status.code(), Some(2));
}

/// Ctrl-C while it runs: code 130, and neither a report nor half of one.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["compare", "--jobs", "1"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
