//! The study's figures: the real HPA and the adviser on one script of demand, live on twins and
//! rehearsed side by side. Long, and run only where it is asked for: `-- --ignored measured`.
//!
//! What it prints is what `docs/llm_vs_hpa.md` tells.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::beside_hpa::prometheus::Prometheus;
use crate::beside_hpa::twins::now_seconds;
use crate::rig::{Rig, wait_until};

/// Minutes, and seconds between two rows.
const MINUTES: u32 = 7;
const INTERVAL: u32 = 10;

/// Seconds and requests per second: a quiet minute, a ramp of one to six times as much, two minutes up
/// there, and the fall.
const LINE: [(f64, f64); 6] = [
    (0.0, 20.0),
    (60.0, 20.0),
    (120.0, 120.0),
    (240.0, 120.0),
    (241.0, 20.0),
    (420.0, 20.0),
];

/// The same as a schedule of the rehearsal.
const SCHEDULE: &str = "replicas = 3\ncpuPerRequestMillis = 5.0\nidleMebibytes = 10.0\nload = [\n\
    {forSeconds = 60, from = 20},\n {forSeconds = 60, from = 20, to = 120},\n {forSeconds = 120, from = 120},\n\
    {forSeconds = 180, from = 20},\n]\n";

/// Seconds of a request's promise.
const PROMISE: f64 = 0.5;

const NAMESPACE: &str = "measured";

/// Deployment and mode of each twin.
const TWINS: [(&str, &str); 2] = [("by-hpa", "hpa_only"), ("by-llm", "ai_scaler")];

/// What a twin cost and kept, by the record of its demand.
#[derive(Debug)]
struct Cost {
    replica_minutes: f64,
    late_percent: f64,
    most: f64,
    changes: usize,
}

pub(super) fn live_and_rehearsed(rig: &Rig) {
    let Some(prometheus) = Prometheus::of_containers(rig, NAMESPACE) else {
        return;
    };
    let folder = rig.folder.join("measured");
    fs::create_dir_all(&folder).unwrap();
    make(rig);
    let start = now_seconds() as i64 + 3;
    rig.script(NAMESPACE, &script(start));
    while now_seconds() < start as f64 - 1.0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let runs: Vec<Child> = TWINS
        .iter()
        .map(|(name, mode)| live(rig, &folder, &prometheus, name, mode))
        .collect();
    for ((name, _), mut run) in TWINS.iter().zip(runs) {
        let ended = run.wait().unwrap();
        let told = fs::read_to_string(folder.join(format!("{name}.told"))).unwrap_or_default();
        assert!(ended.success(), "{name}: {told}");
    }
    println!("| mode | where | replica-minutes | requests late | most replicas | changes |");
    for (name, mode) in TWINS {
        let cost = cost(&rig.demand(NAMESPACE, name), start as f64);
        println!(
            "| `{mode}` | live | {:.1} | {:.2} % | {:.0} | {} |",
            cost.replica_minutes, cost.late_percent, cost.most, cost.changes
        );
        assert!(cost.most > 3.0, "the script moves it: {cost:?}");
    }
    rehearse(&folder);
    agreement(&folder);
}

fn make(rig: &Rig) {
    rig.namespace(NAMESPACE);
    let resources = json!({
        "requests": {"cpu": "110m", "memory": "96Mi"}, "limits": {"cpu": "200m", "memory": "192Mi"},
    });
    rig.script(NAMESPACE, &script(now_seconds() as i64 + 86_400));
    for (name, _) in TWINS {
        let startup = json!({"rig/startup": "5"});
        rig.deployment((NAMESPACE, name), 3, &resources, &startup);
    }
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods");
    wait_until(Duration::from_secs(90), "six pods are measured", || {
        let list = rig.get(&path).ok()?;
        (list["items"].as_array()?.len() == 6).then_some(())
    });
}

fn script(start: i64) -> String {
    let start = k8s_openapi::jiff::Timestamp::from_second(start).unwrap();
    let workload = |(name, _): (&str, &str)| {
        json!({
            "namespace": NAMESPACE, "name": name, "profile": LINE, "shape": "line",
            "start": start.to_string(), "cpuMs": 5, "memory": "10Mi", "cv": 0.05, "seed": 7,
        })
    };
    json!({"workloads": TWINS.map(workload)}).to_string()
}

fn live(rig: &Rig, folder: &Path, prometheus: &Prometheus, name: &str, mode: &str) -> Child {
    let told = fs::File::create(folder.join(format!("{name}.told"))).unwrap();
    Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["experiment", "--mode", mode, "--namespace", NAMESPACE])
        .args(["--deployment", name, "--interval", &INTERVAL.to_string()])
        .args([
            "--duration",
            &MINUTES.to_string(),
            "--llm",
            "scripted:trend",
        ])
        // What `tests/cluster/README.md` names as the rig's own.
        .args(["--hpa-initial-readiness-delay", "1s"])
        .args(["--hpa-cpu-initialization-period", "5s"])
        .args(["--prometheus-url", &prometheus.url, "--output-dir"])
        .arg(folder)
        .arg("--kubeconfig")
        .arg(rig.folder.join("kubeconfig"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .unwrap()
}

/// Sums over the seconds of the course. A second's latencies are exponential behind its wait, as the
/// driver plays them, and their quantiles tell both.
fn cost(record: &[Vec<String>], start: f64) -> Cost {
    let number = |text: &String| text.parse::<f64>().unwrap();
    let place = |name: &str| record[0].iter().position(|c| c == name).unwrap();
    let columns = ["t", "rps", "pods", "p50_s", "p95_s"].map(place);
    let end = start + f64::from(MINUTES) * 60.0;
    let rows: Vec<[f64; 5]> = record[1..]
        .iter()
        .map(|row| columns.map(|c| number(&row[c])))
        .filter(|row| (start..end).contains(&row[0]))
        .collect();
    let (mut pods, mut requests, mut late) = (0.0, 0.0, 0.0);
    for pair in rows.windows(2) {
        let [at, rps, count, p50, p95] = pair[0];
        let lasts = pair[1][0] - at;
        pods += count * lasts / 60.0;
        requests += rps * lasts;
        let service = (p95 - p50) / 10.0_f64.ln();
        let wait = p50 - service * 2.0_f64.ln();
        let share = match (service > 0.0, wait < PROMISE) {
            (true, true) => (-(PROMISE - wait) / service).exp(),
            (_, false) => 1.0,
            (false, true) => 0.0,
        };
        late += rps * lasts * share;
    }
    Cost {
        replica_minutes: pods,
        late_percent: 100.0 * late / requests,
        most: rows.iter().map(|r| r[2]).fold(0.0, f64::max),
        changes: rows
            .windows(2)
            .filter(|p| (p[0][2] - p[1][2]).abs() > 0.5)
            .count(),
    }
}

/// The same schedule in the simulator, ten seeds.
fn rehearse(folder: &Path) {
    fs::write(folder.join("schedule.toml"), SCHEDULE).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args([
            "experiment",
            "--simulate",
            "--mode",
            "all",
            "--stress",
            "schedule.toml",
        ])
        .args([
            "--interval",
            &INTERVAL.to_string(),
            "--seeds",
            "10",
            "--output",
            "json",
        ])
        .args(["--output-dir", "rehearsed"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = told["runs"].as_array().unwrap();
    for (_, mode) in TWINS {
        let of_mode: Vec<&Value> = runs.iter().filter(|r| r["mode"] == mode).collect();
        let mean = |field: &str| {
            let all = of_mode.iter().map(|r| r[field].as_f64().unwrap());
            all.sum::<f64>() / of_mode.len() as f64
        };
        println!(
            "| `{mode}` | rehearsed, mean of {} seeds | {:.1} | {:.2} % | – | {:.1} |",
            of_mode.len(),
            mean("replicaMinutes"),
            mean("latePercent"),
            mean("writes")
        );
    }
}

/// In how many rows the exact HPA and the published simulator say what the cluster's HPA asks for.
fn agreement(folder: &Path) {
    let beside = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("experiment_hpa_only") && name.ends_with(".csv")
        })
        .expect("rows of hpa_only");
    let told = fs::read_to_string(beside.with_extension("jsonl")).unwrap();
    let told: Vec<Value> = told
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok()?.get("row").cloned())
        .collect();
    let mut reader = csv::Reader::from_path(&beside).unwrap();
    let column = reader
        .headers()
        .unwrap()
        .iter()
        .position(|c| c == "hpa_desired_replicas");
    let real: Vec<Option<u64>> = reader
        .records()
        .map(|r| r.unwrap()[column.unwrap()].parse().ok())
        .collect();
    // The HPA's status is that of its last sync, so the row before may say it already.
    let agrees = |of: &str| {
        let said: Vec<Option<u64>> = told.iter().map(|t| t[of]["desired"].as_u64()).collect();
        let both: Vec<(usize, u64)> = real
            .iter()
            .enumerate()
            .filter_map(|(i, r)| Some((i, (*r)?)))
            .filter(|(i, _)| said[*i].is_some())
            .collect();
        let same = |(i, real): &&(usize, u64)| said[*i] == Some(*real);
        (both.iter().filter(same).count(), both.len())
    };
    for (of, name) in [
        ("exact", "the exact HPA"),
        ("naive", "the published simulator"),
    ] {
        let (same, all) = agrees(of);
        println!("{name} says the number of the cluster's HPA in {same} of {all} rows");
        assert!(all > 20, "{name}: rows of both");
    }
}
