//! All phases on twins of the published workload, with load, busy loops and filled memory.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use foresail::experiment::webapp::{Hpa, WEBAPP};
use serde_json::Value;

use crate::beside_hpa::prometheus::Prometheus;
use crate::rig::{Rig, wait_until};

const NAMESPACE: &str = "phases";

/// Loops in every pod from the fifteenth second on, which the HPA answers with all that it may.
const SCHEDULE: &str = "load = [{forSeconds = 75, from = 30}]\n\
    [[cpu]]\natSeconds = 15\nforSeconds = 45\nworkers = 4\nrefreshSeconds = 5\n\
    [[memory]]\natSeconds = 60\nforSeconds = 10\nmebibytes = 20\n";

/// Four files, the same rehearsed, and the report; A, B and D scale and C does not; the deployment is as it
/// was, and nothing of the twins is left.
pub(super) fn run_all_leaves_a_report_and_nothing_else(rig: &Rig) {
    let Some(prometheus) = Prometheus::of_containers(rig, NAMESPACE) else {
        return;
    };
    let folder = rig.folder.join(NAMESPACE);
    fs::create_dir_all(&folder).unwrap();
    rig.namespace(NAMESPACE);
    for object in WEBAPP
        .objects(NAMESPACE, "webapp", &Hpa::default())
        .unwrap()
    {
        if object["kind"] != "HorizontalPodAutoscaler" {
            rig.apply_object(NAMESPACE, &object).unwrap();
        }
    }
    let limit = Duration::from_secs(90);
    wait_until(limit, "three ready pods", || {
        (rig.replicas(NAMESPACE, "webapp") == (3, 3)).then_some(())
    });
    // Prometheus has to know the pods before a run may begin.
    std::thread::sleep(Duration::from_secs(20));
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    let before = rig.get(&format!("{path}/webapp")).unwrap();
    fs::write(folder.join("schedule.toml"), SCHEDULE).unwrap();
    let demand = format!(
        "sum(rate(nginx_http_requests_total{{namespace=\"{NAMESPACE}\",pod=~\"{{deployment}}-[^-]+-[^-]+\"}}[1m]))"
    );
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["experiment", "run-all", "--namespace", NAMESPACE])
        .args(["--stress", "schedule.toml", "--interval", "5"])
        .args(["--llm", "scripted:trend", "--output", "json"])
        .args(["--demand-query", &demand])
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
    assert!(output.status.success(), "{told}");
    println!("{told}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = summary["runs"].as_array().unwrap();
    let mode = |r: &Value| r["mode"].as_str().unwrap().to_owned();
    let (runs, rehearsed): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|r| r["live"] == true);
    let modes: Vec<String> = runs.iter().map(|r| mode(r)).collect();
    assert_eq!(modes, ["hpa_only", "ai_scaler", "comparison", "predictive"]);
    let modes: Vec<String> = rehearsed.iter().map(|r| mode(r)).collect();
    let everybody = [
        "hpa_only",
        "ai_scaler",
        "comparison",
        "predictive",
        "naive_hpa",
        "oracle",
    ];
    assert_eq!(modes, everybody);
    let most: Vec<f64> = runs
        .iter()
        .map(|run| {
            let file = folder.join("data").join(run["file"].as_str().unwrap());
            let mut reader = csv::Reader::from_path(file).unwrap();
            let headers = reader.headers().unwrap().clone();
            let place = headers
                .iter()
                .position(|c| c == "applied_replicas")
                .unwrap();
            let cells = reader.records().map(|r| r.unwrap()[place].parse::<f64>());
            cells.flatten().fold(0.0, f64::max)
        })
        .collect();
    println!("most replicas: {most:?}; {summary}");
    assert!(most[0] > 3.0 && most[1] > 3.0 && most[3] > 3.0, "{most:?}");
    assert!((most[2] - 3.0).abs() < 0.1, "nobody scales in C: {most:?}");
    assert_eq!(runs[2]["writes"], 0);
    assert!(folder.join("data/report/index.html").is_file());
    let arms = fs::read_to_string(folder.join("data/report/arms.csv")).unwrap();
    println!("{arms}");
    for who in everybody {
        assert!(arms.lines().any(|l| l.starts_with(who)), "{who}: {arms}");
    }
    let after = rig.get(&path).unwrap();
    let left = after["items"].as_array().unwrap();
    assert_eq!(left.len(), 1, "twins are gone");
    assert_eq!(left[0]["spec"], before["spec"]);
    let hpas = format!("/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers");
    let hpas = rig.get(&hpas).unwrap();
    assert_eq!(hpas["items"].as_array().unwrap().len(), 0);
}
