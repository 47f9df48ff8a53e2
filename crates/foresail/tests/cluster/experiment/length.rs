//! The study's phases one after another at the length that is asked for, with an endpoint in the place of
//! the model. What it prints is what `docs/llm_vs_hpa.md` tells.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use foresail::experiment::schedule::Schedule;
use foresail::experiment::webapp::{Hpa, WEBAPP};
use foresail_core::quantity::time::Span;
use serde_json::Value;

use super::adviser;
use crate::beside_hpa::prometheus::Prometheus;
use crate::rig::{Rig, wait_until};

const NAMESPACE: &str = "length";

/// Minutes of a phase; the published half hour where nobody says another.
const MINUTES: &str = "RUN_ALL_MINUTES";

/// Minutes of the published schedule.
const PUBLISHED: f64 = 30.0;

/// Where what was run is left, when somebody asks for it.
const KEPT: &str = "RUN_ALL_KEPT";

/// Four phases and six rehearsed modes, all whole, none of them without an answer, and nothing is left.
pub(super) fn run_all_at_length(rig: &Rig) {
    let Some(prometheus) = Prometheus::of_containers(rig, NAMESPACE) else {
        return;
    };
    let asked = std::env::var(MINUTES).ok();
    let minutes: f64 = asked.map_or(PUBLISHED, |m| m.parse().expect("minutes of a phase"));
    let folder = rig.folder.join(NAMESPACE);
    fs::create_dir_all(&folder).unwrap();
    workload(rig);
    let schedule = scaled(minutes / PUBLISHED);
    let text = serde_json::to_string(&schedule).unwrap();
    fs::write(folder.join("schedule.json"), text).unwrap();
    let model = adviser::start();
    let demand = format!(
        "sum(rate(nginx_http_requests_total{{namespace=\"{NAMESPACE}\",pod=~\"{{deployment}}-[^-]+-[^-]+\"}}[1m]))"
    );
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["experiment", "run-all", "--namespace", NAMESPACE])
        .args(["--stress", "schedule.json", "--interval", "10"])
        .args(["--ollama-url", &format!("{}/v1", model.url())])
        .args(["--model", adviser::NAME, "--output", "json"])
        .args(["--demand-query", &demand, "--seeds", "10"])
        .args(["--hpa-initial-readiness-delay", "1s"])
        .args(["--hpa-cpu-initialization-period", "5s"])
        .args(["--prometheus-url", &prometheus.url, "--output-dir", "data"])
        .arg("--kubeconfig")
        .arg(rig.folder.join("kubeconfig"))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{told}");
    assert!(output.status.success(), "{told}");
    keep(&folder);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("phases of {minutes} minutes: {summary}");
    for table in ["arms", "claims", "runs", "worth"] {
        let file = folder.join(format!("data/report/{table}.csv"));
        println!("{table}:\n{}", fs::read_to_string(file).unwrap());
    }
    let runs = summary["runs"].as_array().unwrap();
    let modes = |live: bool| -> Vec<&str> {
        let own = runs.iter().filter(|r| r["live"] == live);
        own.map(|r| r["mode"].as_str().unwrap()).collect()
    };
    let live = ["hpa_only", "ai_scaler", "comparison", "predictive"];
    assert_eq!(modes(true), live);
    assert_eq!(modes(false).len(), 60, "ten seeds of six modes");
    assert_eq!(summary["adviser"], adviser::NAME);
    for run in runs.iter().filter(|r| r["live"] == true) {
        assert!(run["replicaMinutes"].as_f64().is_some(), "whole: {run}");
    }
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    let left = rig.get(&path).unwrap();
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "twins are gone");
}

/// The published workload without its HPA, known to Prometheus.
fn workload(rig: &Rig) {
    rig.namespace(NAMESPACE);
    for object in WEBAPP
        .objects(NAMESPACE, "webapp", &Hpa::default())
        .unwrap()
    {
        if object["kind"] != "HorizontalPodAutoscaler" {
            rig.apply_object(NAMESPACE, &object).unwrap();
        }
    }
    wait_until(Duration::from_secs(90), "three ready pods", || {
        (rig.replicas(NAMESPACE, "webapp") == (3, 3)).then_some(())
    });
    std::thread::sleep(Duration::from_secs(20));
}

/// The published schedule with every time this much of its own.
fn scaled(share: f64) -> Schedule {
    let mut schedule = Schedule::default();
    let scale = |span: &mut Span| {
        *span = Span::from_seconds((span.seconds() * share).round() as i64);
    };
    schedule.load.iter_mut().for_each(|p| scale(&mut p.length));
    for cpu in &mut schedule.cpu {
        scale(&mut cpu.at);
        scale(&mut cpu.length);
    }
    for memory in &mut schedule.memory {
        scale(&mut memory.at);
        scale(&mut memory.length);
    }
    schedule
}

/// Copies what was run to a place that outlives the test.
fn keep(folder: &std::path::Path) {
    let Some(place) = std::env::var_os(KEPT) else {
        return;
    };
    let copied = Command::new("cp")
        .arg("-r")
        .arg(folder.join("data"))
        .arg(folder.join("schedule.json"))
        .arg(place)
        .status();
    assert!(copied.is_ok_and(|s| s.success()), "what was run is copied");
}
