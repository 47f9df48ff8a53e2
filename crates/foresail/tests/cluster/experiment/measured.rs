//! The study's figures: the real HPA, the adviser and Foresail's own policy on one script of demand, live
//! on twins and rehearsed side by side, with the published HPA simulator and the oracle. Long, and run only where it is asked for: `-- --ignored measured`.
//!
//! What it prints is what `docs/llm_vs_hpa.md` tells.

use std::fs;
use std::path::{Path, PathBuf};
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

/// Seconds until the script begins: twins are made, measured and known to Prometheus for two minutes.
const UNTIL_START: i64 = 150;

/// Hours before the run in which the script came at every full hour, for the twin that knows of it.
const PAST_HOURS: i64 = 12;

/// Requests per second that a pod is counted for: 60 % of 110 m over 5 ms.
const CAPACITY: &str = "13.2";

/// Deployment, mode and past of each twin.
const TWINS: [(&str, &str, &str); 4] = [
    ("by-hpa", "hpa_only", "0s"),
    ("by-llm", "ai_scaler", "0s"),
    ("by-forecast", "predictive", "0s"),
    ("by-season", "predictive", "12h"),
];

/// What a twin cost and kept, by the record of its demand.
#[derive(Debug)]
struct Cost {
    replica_minutes: f64,
    late_percent: f64,
    most: f64,
    changes: usize,
}

pub(super) fn live_and_rehearsed(rig: &Rig) {
    let now = now_seconds() as i64;
    // Whole minutes, as demand is told.
    let start = (now + UNTIL_START + 59).div_euclid(60) * 60;
    let Some(prometheus) = Prometheus::of_both(rig, NAMESPACE, &past(now, start)) else {
        return;
    };
    let folder = rig.folder.join("measured");
    fs::create_dir_all(&folder).unwrap();
    make(rig, start);
    assert!(now_seconds() < start as f64 - 3.0, "made before the begin");
    while now_seconds() < start as f64 - 1.0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let runs: Vec<Child> = TWINS
        .iter()
        .map(|twin| live(rig, &folder, &prometheus, *twin))
        .collect();
    for ((name, ..), mut run) in TWINS.iter().zip(runs) {
        let ended = run.wait().unwrap();
        let told = fs::read_to_string(folder.join(format!("{name}.told"))).unwrap_or_default();
        assert!(ended.success(), "{name}: {told}");
    }
    println!("| who | replica-minutes | requests late | most replicas | changes |");
    for (name, mode, past) in TWINS {
        let cost = cost(&rig.demand(NAMESPACE, name), start as f64);
        println!(
            "| `{mode}`, past {past}, live | {:.1} | {:.2} % | {:.0} | {} |",
            cost.replica_minutes, cost.late_percent, cost.most, cost.changes
        );
        assert!(cost.most > 3.0, "the script moves it: {cost:?}");
    }
    counted(&folder);
    rehearse(&folder);
    agreement(&folder);
    for (name, mode, past) in TWINS.iter().filter(|t| t.1 == "predictive") {
        let by = column(&rows_of(&folder, name, mode), "applied_by");
        let own = by.iter().filter(|b| *b == "predictive").count();
        println!(
            "past {past}: the forecast decided {own} of {} rows",
            by.len()
        );
    }
}

/// Demand until now, the script at every hour before its begin, a mean a minute.
fn past(now: i64, start: i64) -> String {
    let rate = |second: f64| {
        let at = LINE.iter().rposition(|(from, _)| *from <= second);
        let at = at.unwrap_or(0);
        let (from, low) = LINE[at];
        match LINE.get(at + 1) {
            Some((to, high)) => low + (high - low) * (second - from) / (to - from),
            None => low,
        }
    };
    let line = |minute: i64| {
        // A point is told at the end of its minute.
        let told = start + (minute + 1) * 60;
        let seconds = (0..60).map(|s| rate(((minute * 60 + s).rem_euclid(3600)) as f64));
        let mean = seconds.sum::<f64>() / 60.0;
        (told <= now).then(|| format!("past_demand {mean:.3} {told}\n"))
    };
    let lines: String = (-60 * PAST_HOURS..0).filter_map(line).collect();
    format!("# TYPE past_demand gauge\n{lines}# EOF\n")
}

fn make(rig: &Rig, start: i64) {
    rig.namespace(NAMESPACE);
    let resources = json!({
        "requests": {"cpu": "110m", "memory": "96Mi"}, "limits": {"cpu": "200m", "memory": "192Mi"},
    });
    rig.script(NAMESPACE, &script(start));
    for (name, ..) in TWINS {
        let startup = json!({"rig/startup": "5"});
        rig.deployment((NAMESPACE, name), 3, &resources, &startup);
    }
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods");
    let limit = Duration::from_secs(UNTIL_START.unsigned_abs());
    wait_until(limit, "all pods are measured", || {
        let list = rig.get(&path).ok()?;
        (list["items"].as_array()?.len() == 3 * TWINS.len()).then_some(())
    });
}

fn script(start: i64) -> String {
    let start = k8s_openapi::jiff::Timestamp::from_second(start).unwrap();
    let workload = |(name, ..): (&str, &str, &str)| {
        json!({
            "namespace": NAMESPACE, "name": name, "profile": LINE, "shape": "line",
            "start": start.to_string(), "cpuMs": 5, "memory": "10Mi", "cv": 0.05, "seed": 7,
        })
    };
    json!({"workloads": TWINS.map(workload)}).to_string()
}

fn live(
    rig: &Rig,
    folder: &Path,
    prometheus: &Prometheus,
    (name, mode, past): (&str, &str, &str),
) -> Child {
    let told = fs::File::create(folder.join(format!("{name}.told"))).unwrap();
    let query = "sum(avg_over_time(rig_arrival_rate{namespace=\"measured\",workload=\"{deployment}\"}[1m])) or sum(past_demand)";
    Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["experiment", "--mode", mode, "--namespace", NAMESPACE])
        .args(["--deployment", name, "--interval", &INTERVAL.to_string()])
        .args(["--duration", &MINUTES.to_string()])
        .args(["--llm", "scripted:trend"])
        .args(["--demand-query", query, "--past", past])
        .args(["--capacity", CAPACITY])
        // What `tests/cluster/README.md` names as the rig's own.
        .args(["--hpa-initial-readiness-delay", "1s"])
        .args(["--hpa-cpu-initialization-period", "5s"])
        .args(["--prometheus-url", &prometheus.url, "--output-dir"])
        .arg(folder.join(name))
        .arg("--kubeconfig")
        .arg(rig.folder.join("kubeconfig"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .unwrap()
}

/// The rows of a twin.
fn rows_of(folder: &Path, name: &str, mode: &str) -> PathBuf {
    let begins = format!("experiment_{mode}_");
    let entries = fs::read_dir(folder.join(name)).unwrap().flatten();
    let mut files = entries.map(|e| e.path()).filter(|p| {
        let file = p.file_name().unwrap().to_string_lossy().into_owned();
        file.starts_with(&begins) && file.ends_with(".csv")
    });
    files.next().expect("rows of the twin")
}

fn column(file: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let place = reader.headers().unwrap().iter().position(|c| c == name);
    let cell = |r: csv::StringRecord| r[place.unwrap()].to_owned();
    reader.records().map(|r| cell(r.unwrap())).collect()
}

/// What stands beside the rows of a twin.
fn beside(file: &Path) -> Vec<Value> {
    let told = fs::read_to_string(file.with_extension("jsonl")).unwrap();
    told.lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok()?.get("row").cloned())
        .collect()
}

/// What the published simulator would have asked for on the pods that the cluster's HPA had.
fn counted(folder: &Path) {
    let told = beside(&rows_of(folder, "by-hpa", "hpa_only"));
    let said = told.iter().filter_map(|t| t["naive"]["desired"].as_f64());
    let said: Vec<f64> = said.collect();
    let mean = said.iter().sum::<f64>() / said.len() as f64;
    println!(
        "| `naive_hpa`, counted in {} of {} rows | {:.1} | – | {:.0} | {} |",
        said.len(),
        told.len(),
        mean * f64::from(MINUTES),
        said.iter().copied().fold(0.0, f64::max),
        said.windows(2)
            .filter(|p| (p[0] - p[1]).abs() > 0.5)
            .count()
    );
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

/// The same schedule in the simulator, ten seeds: everybody, and the forecast once more with its past.
fn rehearse(folder: &Path) {
    fs::write(folder.join("schedule.toml"), SCHEDULE).unwrap();
    let interval = INTERVAL.to_string();
    for (mode, past, place) in [("all", "0s", "new"), ("predictive", "12h", "known")] {
        let told = foresail(folder)
            .args(["experiment", "--simulate", "--mode", mode, "--past", past])
            .args(["--stress", "schedule.toml", "--interval", &interval])
            .args(["--seeds", "10", "--capacity", CAPACITY])
            .args(["--hpa-initial-readiness-delay", "1s"])
            .args(["--hpa-cpu-initialization-period", "5s"])
            .args(["--output-dir", place])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{error}");
    }
    let told = foresail(folder)
        .args(["experiment", "report", "new", "known", "--out", "page"])
        .output()
        .unwrap();
    assert!(told.status.success());
    for table in ["arms", "claims"] {
        let text = fs::read_to_string(folder.join(format!("page/{table}.csv"))).unwrap();
        println!("{table}, rehearsed:\n{text}");
    }
}

fn foresail(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// In how many rows the exact HPA and the published simulator say what the cluster's HPA asks for.
fn agreement(folder: &Path) {
    let file = rows_of(folder, "by-hpa", "hpa_only");
    let told = beside(&file);
    let real = column(&file, "hpa_desired_replicas");
    let real: Vec<Option<u64>> = real.iter().map(|cell| cell.parse().ok()).collect();
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
