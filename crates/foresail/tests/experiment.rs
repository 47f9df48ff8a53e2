//! The experiment rehearsed: its files, its modes, its options, and the report on them.
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
use std::path::{Path, PathBuf};

use foresail::experiment::naive::{Naive, Usage};
use foresail_core::quantity::time::Timestamp;
use serde_json::Value;
use support::{foresail, golden, refused, root, stdout};

/// The header of the published files, as its specification lists it.
const HEADER: &str = "timestamp,mode,current_replicas,ready_replicas,cpu_millicores,memory_mebibytes,\
    cpu_request_millicores,memory_request_mebibytes,pod_count,hpa_sim_desired,hpa_sim_raw_desired,\
    hpa_sim_cpu_desired,hpa_sim_mem_desired,hpa_sim_action,hpa_sim_cpu_ratio,hpa_sim_mem_ratio,\
    hpa_current_replicas,hpa_desired_replicas,ai_recommended_replicas,ai_predicted_cpu_millicores,\
    ai_predicted_memory_mebibytes,ai_confidence,ai_reasoning,applied_replicas,applied_by";

/// Begin of seed 42 in simulated time.
const STAMP: &str = "20260106_180000";

fn simulate(folder: &Path, args: &[&str]) -> String {
    let all: Vec<&str> = ["experiment", "--simulate"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    stdout(folder, &all, 0)
}

fn file(folder: &Path, mode: &str) -> PathBuf {
    folder.join(format!("experiment_data/experiment_{mode}_{STAMP}.csv"))
}

/// Rows of a run as cells by column.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let cells = |r: csv::StringRecord| r.iter().map(str::to_owned).collect();
    reader.records().map(|r| cells(r.unwrap())).collect()
}

fn column(path: &Path, name: &str) -> Vec<String> {
    let place = HEADER.split(',').position(|c| c == name).unwrap();
    rows(path).into_iter().map(|r| r[place].clone()).collect()
}

fn beside(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path.with_extension("jsonl")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn all_modes_leave_their_files_and_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = simulate(at, &["--mode", "all"]);
    golden("experiment/all.txt", &text);
    for mode in ["hpa_only", "ai_scaler", "comparison"] {
        let path = file(at, mode);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some(HEADER), "{mode}");
        assert_eq!(HEADER.split(',').count(), 25);
        // Half an hour of rows, one for every 30 s, the first without metrics and there all the same.
        let rows = rows(&path);
        assert_eq!(rows.len(), 60, "{mode}");
        assert!(rows[0][4].is_empty() && rows[0][9].is_empty() && rows[0][22].is_empty());
        assert!(
            rows[5..]
                .iter()
                .all(|r| !r[4].is_empty() && !r[9].is_empty())
        );
        assert!(rows.iter().all(|r| r[1] == mode));
        assert_eq!(beside(&path).len(), 62, "head, rows, end");
    }
    for mode in ["predictive", "naive_hpa", "oracle"] {
        let rows = rows(&file(at, mode));
        assert_eq!(rows.len(), 60, "{mode}");
        let asked = |r: &Vec<String>| r[1] == mode && r[18].is_empty() && r[22].is_empty();
        assert!(rows.iter().all(asked), "{mode}: nobody is asked");
    }
    let by = |mode| column(&file(at, mode), "applied_by");
    assert!(by("oracle").iter().all(|b| b == "oracle"));
    assert!(by("comparison").iter().all(|b| b == "observation_only"));
    assert!(by("hpa_only")[3..].iter().all(|b| b == "hpa"));
    let ai = by("ai_scaler");
    assert!(
        ai.contains(&"ai".to_owned()) && ai.contains(&"ai_no_change".to_owned()),
        "{ai:?}"
    );
    let reports = at.join("experiment_data/report");
    for name in [
        "index.html",
        "arms.csv",
        "runs.csv",
        "claims.csv",
        "reactions.csv",
        "worth.csv",
        "guards.csv",
    ] {
        assert!(reports.join(name).is_file(), "{name}");
    }
    golden(
        "experiment/claims.csv",
        &fs::read_to_string(reports.join("claims.csv")).unwrap(),
    );
    let page = fs::read_to_string(reports.join("index.html")).unwrap();
    assert!(page.contains("no language model"), "a rule is told as one");
    let svg = reports.join(format!("figure-experiment_ai_scaler_{STAMP}.svg"));
    assert!(
        fs::read_to_string(svg)
            .unwrap()
            .contains("the adviser recommends")
    );
}

#[test]
fn comparison_writes_nothing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    simulate(
        folder.path(),
        &["--mode", "comparison", "--llm", "scripted:up"],
    );
    let path = file(folder.path(), "comparison");
    let lines = beside(&path);
    assert_eq!(lines.last().unwrap()["end"]["writes"], 0);
    assert!(column(&path, "current_replicas").iter().all(|n| n == "3"));
    // It is no wonder that nothing happened only where something would have.
    assert!(
        column(&path, "hpa_desired_replicas")
            .iter()
            .any(|n| n == "6")
    );
    let governed = tempfile::tempdir().unwrap();
    simulate(
        governed.path(),
        &["--mode", "ai_scaler", "--llm", "scripted:up"],
    );
    let lines = beside(&file(governed.path(), "ai_scaler"));
    assert!(lines.last().unwrap()["end"]["writes"].as_u64().unwrap() > 4);
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_gives_others() {
    let run = |seed: &str| {
        let folder = tempfile::tempdir().unwrap();
        simulate(folder.path(), &["--mode", "ai_scaler", "--seed", seed]);
        let mut files: Vec<PathBuf> = fs::read_dir(folder.path().join("experiment_data"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        let read = |p: &PathBuf| (p.file_name().unwrap().to_owned(), fs::read(p).unwrap());
        files.iter().map(read).collect::<Vec<_>>()
    };
    let (one, again, other) = (run("42"), run("42"), run("43"));
    assert!(one == again && one.len() == 2);
    assert_ne!(one[0].0, other[0].0, "another seed is another file");
    assert_ne!(one[0].1, other[0].1);
}

/// Every option of the published main.py, by its name; what has no effect says so.
#[test]
fn every_published_option_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "experiment",
        "--simulate",
        "--mode",
        "hpa_only",
        "--interval",
        "20",
        "--duration",
        "5",
        "--prometheus-url",
        "http://localhost:9090",
        "--model",
        "qwen2.5-coder:3b",
        "--namespace",
        "shop",
        "--deployment",
        "front",
        "--min-replicas",
        "2",
        "--max-replicas",
        "5",
        "--cpu-target",
        "50",
        "--memory-target",
        "90",
        "--history-minutes",
        "2",
        "--output-dir",
        "here",
        "--verbose",
    ];
    let output = foresail(folder.path(), &args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("--prometheus-url has no effect"), "{error}");
    assert_eq!(
        error.matches("hpa_only: ").count(),
        15,
        "a line per row: {error}"
    );
    let path = folder
        .path()
        .join(format!("here/experiment_hpa_only_{STAMP}.csv"));
    let current = column(&path, "current_replicas");
    assert_eq!(current.len(), 15);
    assert!(
        current
            .iter()
            .all(|n| ["2", "3", "4", "5"].contains(&n.as_str())),
        "{current:?}"
    );
    let lines = beside(&path);
    assert_eq!(lines[0]["workload"], serde_json::json!(["shop", "front"]));
    // Two minutes of rows, 20 s apart.
    let shown = lines
        .iter()
        .filter_map(|l| l["row"]["asked"]["rows"].as_u64())
        .max();
    assert_eq!(shown, Some(6));
    golden(
        "experiment/help.txt",
        &stdout(folder.path(), &["experiment", "--help"], 0),
    );
}

/// Where nobody answers, the HPA stays: replica for replica what it does alone.
#[test]
fn an_adviser_that_always_fails_leaves_the_hpa_in_charge() {
    for script in ["fail", "garbage"] {
        let folder = tempfile::tempdir().unwrap();
        let llm = format!("scripted:{script}");
        for mode in ["hpa_only", "ai_scaler"] {
            simulate(folder.path(), &["--mode", mode, "--llm", &llm]);
        }
        let (hpa, ai) = (
            file(folder.path(), "hpa_only"),
            file(folder.path(), "ai_scaler"),
        );
        for name in [
            "current_replicas",
            "ready_replicas",
            "applied_replicas",
            "applied_by",
        ] {
            assert_eq!(column(&hpa, name), column(&ai, name), "{script}: {name}");
        }
        assert!(
            column(&ai, "ai_recommended_replicas")
                .iter()
                .all(String::is_empty)
        );
        let failures: Vec<String> = beside(&ai)
            .iter()
            .filter_map(|l| l["row"]["asked"]["failure"].as_str().map(str::to_owned))
            .collect();
        assert!(
            failures.iter().any(|f| f.contains("left alone")),
            "the breaker opens: {failures:?}"
        );
    }
}

#[test]
fn an_answer_that_comes_too_late_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    simulate(at, &["--mode", "hpa_only", "--llm", "scripted:up"]);
    simulate(
        at,
        &[
            "--mode",
            "ai_scaler",
            "--llm",
            "scripted:up",
            "--latency",
            "16s",
        ],
    );
    let late = file(at, "ai_scaler");
    let current = column(&late, "current_replicas");
    assert_eq!(current, column(&file(at, "hpa_only"), "current_replicas"));
    let told = beside(&late);
    let all = told
        .iter()
        .filter(|l| l["row"]["asked"]["late"] == true)
        .count();
    assert!(all > 50, "{all}");
    simulate(
        at,
        &[
            "--mode",
            "ai_scaler",
            "--llm",
            "scripted:up",
            "--latency",
            "15s",
            "--output-dir",
            "b/experiment_data",
        ],
    );
    assert_ne!(
        column(&file(&at.join("b"), "ai_scaler"), "current_replicas"),
        current,
        "just in time counts"
    );
}

#[test]
fn an_answer_moves_the_baseline_by_two_at_most_and_its_words_are_no_formula() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    simulate(at, &["--mode", "ai_scaler", "--llm", "scripted:wild"]);
    let path = file(at, "ai_scaler");
    let recommended = column(&path, "ai_recommended_replicas");
    let told = beside(&path);
    let mut seen = 0;
    for (row, advised) in told[1..61].iter().zip(recommended) {
        if let Ok(advised) = advised.parse::<i64>() {
            let baseline = row["row"]["asked"]["baseline"].as_i64().unwrap();
            assert!((advised - baseline).abs() <= 2 && advised <= 10);
            seen += 1;
        }
    }
    assert!(seen > 50);
    let other = tempfile::tempdir().unwrap();
    let formula = ["--mode", "ai_scaler", "--llm", "scripted:formula"];
    simulate(other.path(), &formula);
    let words = column(&file(other.path(), "ai_scaler"), "ai_reasoning");
    assert!(
        words.iter().any(|w| w.starts_with("'=HYPERLINK")),
        "{words:?}"
    );
    assert!(!words.iter().any(|w| w.starts_with(['=', '+', '-', '@'])));
}

#[test]
fn a_record_gives_the_same_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    simulate(
        at,
        &[
            "--mode",
            "all",
            "--record",
            "answers.jsonl",
            "--output-dir",
            "a",
        ],
    );
    let text = simulate(
        at,
        &[
            "--mode",
            "all",
            "--llm",
            "replay:answers.jsonl",
            "--output-dir",
            "b",
        ],
    );
    assert!(text.contains("no language model"), "{text}");
    for mode in ["hpa_only", "ai_scaler", "comparison"] {
        let read = |place: &str, ending: &str| {
            let name = format!("{place}/experiment_{mode}_{STAMP}.{ending}");
            fs::read(at.join(name)).unwrap()
        };
        assert_eq!(read("a", "csv"), read("b", "csv"), "{mode}");
        assert_eq!(read("a", "jsonl"), read("b", "jsonl"), "{mode}");
    }
    fs::write(at.join("cut.jsonl"), "{}\n").unwrap();
    let error = refused(
        at,
        &["experiment", "--simulate", "--llm", "replay:cut.jsonl"],
    );
    assert!(error.contains("no record"), "{error}");
}

/// The steps of vector F01: 600m in each of 1, 2, 4 pods, then 5m, with requests of 100m and 64Mi.
#[test]
fn the_published_simulator_falls_at_once_where_the_real_hpa_holds() {
    let text = fs::read_to_string(root().join("tests/golden/hpa/hpa_vectors.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let vectors = all["vectors"].as_array().unwrap();
    let f01 = vectors
        .iter()
        .find(|v| v["id"] == "F01")
        .expect("vector F01");
    let expected = f01["expected"].as_array().unwrap();
    let real: Vec<i64> = expected.iter().map(scaled_to).collect();
    let mut naive = Naive::new((1, 10), 60, 80);
    let steps = std::iter::once(f01).chain(f01["then"].as_array().unwrap());
    let mut now = 1000;
    let mut told = Vec::new();
    for step in steps {
        now += step["advanceSeconds"].as_i64().unwrap_or(0);
        let pods = step["metrics"]["resource"].as_array().unwrap();
        let of = |name: &str, unit: &str| -> f64 {
            let text = pods[0]["containers"]["app"][name].as_str().unwrap();
            text.trim_end_matches(unit).parse().unwrap()
        };
        let usage = Usage {
            cpu: of("cpu", "m"),
            memory: of("memory", "Mi"),
            cpu_request: 100.0,
            memory_request: 64.0,
        };
        let replicas = u32::try_from(pods.len()).unwrap();
        let answer = naive.answer(Timestamp::from_seconds(now), replicas, usage);
        told.push(i64::from(answer.desired));
    }
    assert_eq!(real[..3], [2, 4, 8], "the real HPA doubles");
    assert_eq!(told[..3], [10, 10, 10], "the published one jumps");
    assert_eq!(
        (real[3], told[3]),
        (8, 1),
        "and falls on the first low sample"
    );
    assert_eq!(real[3..6], [8, 8, 8]);
}

fn scaled_to(expected: &Value) -> i64 {
    let found = ["scaledTo", "statusDesiredReplicas"]
        .iter()
        .find_map(|k| expected[*k].as_i64());
    found.unwrap_or_else(|| panic!("{expected}"))
}

/// 55 MiB beside 10: 68 % of the 96 MiB that a pod asks for, 1.27 of what nginx alone does.
#[test]
fn filled_memory_scales_the_published_simulator_and_not_the_hpa() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(
        at.join("memory.toml"),
        "load = [{forSeconds = 600, from = 50}]\n\n[[memory]]\natSeconds = 120\nforSeconds = 300\nmebibytes = 55\n",
    )
    .unwrap();
    let exact = ["--mode", "comparison", "--stress", "memory.toml"];
    simulate(at, &exact);
    let path = file(at, "comparison");
    let (ratio, wanted) = (
        column(&path, "hpa_sim_mem_ratio"),
        column(&path, "hpa_sim_mem_desired"),
    );
    let used = column(&path, "memory_mebibytes");
    let full = used.iter().position(|m| m == "65.00").expect("filled");
    // 67 whole percent of 80, in thousandths.
    assert_eq!(
        (ratio[full].as_str(), wanted[full].as_str()),
        ("0.8380", "3")
    );
    let there = ["--naive-hpa", "--output-dir", "b/experiment_data"];
    simulate(at, &[&exact[..], &there].concat());
    let path = file(&at.join("b"), "comparison");
    let (ratio, wanted) = (
        column(&path, "hpa_sim_mem_ratio"),
        column(&path, "hpa_sim_mem_desired"),
    );
    assert_eq!(
        (ratio[full].as_str(), wanted[full].as_str()),
        ("1.2695", "4")
    );
    assert_eq!(column(&path, "memory_request_mebibytes")[full], "64.00");
    assert_eq!(column(&path, "hpa_sim_action")[full], "scale_up");
}

/// A file as the published Python writes it: offsets in times, floats, gaps, and two bad lines.
#[test]
fn the_report_reads_what_the_published_python_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut text = format!("{HEADER}\r\n");
    for i in 0..40 {
        if i == 20 {
            continue;
        }
        let (minute, second) = (i / 2, i % 2 * 30);
        let current = if i < 10 { 3 } else { 6 };
        text += &format!(
            "2025-06-01T10:{minute:02}:{second:02}.123456+00:00,hpa_only,{current},{current},80.5,20.0,100.0,64.0,3.0,\
             5,5,5,1,scale_up,1.3417,0.3906,3,6,4,90.1,21.0,0.8,\"rising, a bit\",{current},hpa\r\n"
        );
        if i == 5 {
            text += "yesterday,hpa_only,3,3,,,,,,,,,,,,,,,,,,,,,\r\nshort,hpa_only\r\n";
        }
    }
    fs::create_dir(at.join("old")).unwrap();
    fs::write(at.join("old/experiment_hpa_only_20250601_100000.csv"), text).unwrap();
    let text = stdout(
        at,
        &["experiment", "report", "old", "--out", "page", "-o", "json"],
        0,
    );
    let json: Value = serde_json::from_str(&text).unwrap();
    let row = &json["tables"]["runs"]["rows"][0];
    assert_eq!(
        (row[3].as_str(), row[4].as_str()),
        (Some("39"), Some("1")),
        "{row}"
    );
    // Ten rows of three and 29 of six, half a minute each.
    assert_eq!(row[5], "102.0");
    assert_eq!(row[9], "–", "nothing is known of requests");
    let page = fs::read_to_string(at.join("page/index.html")).unwrap();
    assert!(
        page.contains("line 8: timestamp: `yesterday` is not a time"),
        "{page}"
    );
    assert!(page.contains("line 9: 2 cells, and the header has 25"));
    let claims = json["tables"]["claims"]["rows"].as_array().unwrap();
    let claim = |begin: &str| {
        claims
            .iter()
            .find(|c| c[0].as_str().unwrap().starts_with(begin))
            .unwrap()
    };
    assert_eq!(claim("hpa_sim_desired")[3], "does not hold");
    assert_eq!(claim("Comparison")[3], "too little is known");
    assert_eq!(claim("Every interval")[3], "does not hold");
}

#[test]
fn what_cannot_be_done_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let refuse = |args: &[&str]| {
        let all: Vec<&str> = ["experiment"].iter().chain(args).copied().collect();
        refused(at, &all)
    };
    for (flag, value) in [
        ("--seeds", "2"),
        ("--latency", "3s"),
        ("--stress", "x.toml"),
        ("--mode", "all"),
    ] {
        let told = refuse(&[flag, value]);
        assert!(told.contains(flag) && told.contains("--simulate"), "{told}");
    }
    let nowhere = refuse(&["--kubeconfig", "nowhere"]);
    assert!(
        nowhere.contains("nowhere") && nowhere.contains("--kubeconfig"),
        "{nowhere}"
    );
    assert!(refuse(&["--interval", "0", "--kubeconfig", "nowhere"]).contains("--interval 0"));
    let simulated = |args: &[&str]| refuse(&[&["--simulate"], args].concat());
    assert!(simulated(&["--min-replicas", "5", "--max-replicas", "4"]).contains("is above"));
    assert!(simulated(&["--interval", "0"]).contains("--interval 0"));
    assert!(simulated(&["--cpu-target", "0"]).contains("--cpu-target 0"));
    assert!(simulated(&["--duration", "nan"]).contains("--duration"));
    assert!(simulated(&["--duration", "0.1"]).contains("too short"));
    assert!(simulated(&["--llm", "scripted:oracle"]).contains("known: trend"));
    assert!(simulated(&["--llm", "model"]).contains("replay:FILE"));
    assert!(simulated(&["--stress", "none.toml"]).contains("none.toml"));
    fs::write(at.join("bad.toml"), "load = [{forSeconds = 60, from = -1}]").unwrap();
    assert!(simulated(&["--stress", "bad.toml"]).contains("load[0]"));
    fs::write(at.join("full.json"), r#"{"load":[{"forSeconds":600,"from":1}],"memory":[{"atSeconds":1,"forSeconds":9,"mebibytes":99}]}"#).unwrap();
    assert!(simulated(&["--stress", "full.json"]).contains("would be killed"));
    let left: Vec<_> = fs::read_dir(at)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "nothing half-written: {left:?}");
    assert!(refuse(&["report", "."]).contains("no experiment_*.csv"));
    fs::write(at.join("other.csv"), "a,b\n1,2\n").unwrap();
    assert!(refuse(&["report", "other.csv"]).contains("no file of this experiment"));
}

/// An endpoint that nobody answers at: the run is whole, and the HPA governs.
#[test]
fn an_endpoint_that_cannot_be_reached_leaves_a_whole_run() {
    let folder = tempfile::tempdir().unwrap();
    // A port of the loopback that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/v1");
    simulate(
        folder.path(),
        &[
            "--mode",
            "ai_scaler",
            "--duration",
            "5",
            "--ollama-url",
            &url,
        ],
    );
    let path = file(folder.path(), "ai_scaler");
    assert_eq!(rows(&path).len(), 10);
    let failures = beside(&path);
    let reached = failures
        .iter()
        .filter_map(|l| l["row"]["asked"]["failure"].as_str());
    assert!(reached.into_iter().any(|f| f.contains("cannot be reached")));
}
