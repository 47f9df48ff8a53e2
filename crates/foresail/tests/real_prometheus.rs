//! The two commands against a real Prometheus, which each test starts and ends by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "support/prometheus.rs"]
mod prometheus;
#[path = "support/server.rs"]
mod server;
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::{Running, backfill, program};
use serde_json::Value;
use server::{Reply, Server};
use support::{command, foresail, skipped, stdout};

/// 2026-01-05T00:00:00Z.
const MONDAY: i64 = 1_767_571_200;

/// A Prometheus of this test's own.
struct Prometheus(Running);

/// A server and its tool; `None`, and a visible skip, where they are not installed.
fn installed(test: &str) -> Option<(PathBuf, PathBuf)> {
    let found = program("prometheus").zip(program("promtool"));
    if found.is_none() {
        skipped(test, "prometheus and promtool are not installed");
    }
    found
}

impl Prometheus {
    /// Starts one on a folder that may hold blocks; `None`, and a visible skip, where there is none.
    fn start(test: &str, folder: &Path, scraped: Option<u16>) -> Option<Self> {
        let (server, _) = installed(test)?;
        let job = |port: u16| {
            format!("{{job_name: load, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}")
        };
        let jobs: Vec<String> = scraped.map(job).into_iter().collect();
        let started = Self(Running::start(&server, folder, 1, &jobs));
        started.wait_for("up or vector(1)", Duration::from_secs(60));
        Some(started)
    }

    /// Waits until a query has an answer.
    fn wait_for(&self, query: &str, most: Duration) {
        let begin = Instant::now();
        while !self.has(query) {
            assert!(begin.elapsed() < most, "`{query}` has no answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn has(&self, query: &str) -> bool {
        use std::io::{Read, Write};
        let address = self.0.url.trim_start_matches("http://");
        let Ok(mut stream) = std::net::TcpStream::connect(address) else {
            return false;
        };
        let query = query.replace(' ', "%20");
        let asked = format!(
            "GET /api/v1/query?query={query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        );
        let mut told = String::new();
        stream.write_all(asked.as_bytes()).is_ok()
            && stream.read_to_string(&mut told).is_ok()
            && told.contains(r#""metric""#)
    }
}

/// Makes blocks of a history, where there is what makes them.
fn backfilled(folder: &Path, history: &str) {
    if let Some(tool) = program("promtool") {
        backfill(&tool, folder, history);
    }
}

/// Requests of one minute of the built history: a day's wave.
fn requests(minute: i64) -> i64 {
    let phase = minute as f64 / 1440.0 * std::f64::consts::TAU;
    (60.0 * (1.5 + phase.sin())) as i64
}

/// Two days in both forms: a counter, and its requests per minute as a gauge.
fn two_days() -> String {
    let mut text = "# TYPE http_requests counter\n".to_owned();
    let (mut total, minutes) = (0, 2 * 1440);
    for i in 0..=minutes {
        let at = MONDAY + 60 * i;
        writeln!(text, "http_requests_total{{job=\"web\"}} {total} {at}").unwrap();
        total += requests(i);
    }
    text.push_str("# TYPE requests_per_minute gauge\n");
    for i in 1..=minutes {
        writeln!(
            text,
            "requests_per_minute {} {}",
            requests(i - 1),
            MONDAY + 60 * i
        )
        .unwrap();
    }
    text + "# EOF\n"
}

fn compare_args<'a>(url: &'a str, query: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "compare",
        "--prometheus",
        url,
        "--query",
        query,
        "--start",
        "2026-01-05T00:00:00Z",
        "--end",
        "2026-01-07T00:00:00Z",
        "--policies",
        "static,hpa",
        "--out",
        "report",
        "-o",
        "csv",
    ];
    args.extend(more);
    args
}

#[test]
fn two_days_of_prometheus_compare_like_the_same_days_in_a_file() {
    let test = "two_days_of_prometheus_compare_like_the_same_days_in_a_file";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    backfilled(place, &two_days());
    let Some(prometheus) = Prometheus::start(test, place, None) else {
        return;
    };
    let counts = ["--query-counts"];
    let args = compare_args(&prometheus.0.url, "requests_per_minute", &counts);
    let told = stdout(place, &args, 0);

    let mut csv = "id,timestamp,count\n".to_owned();
    for i in 0..2 * 1440 {
        writeln!(csv, "workload,{},{}", MONDAY + 60 * i, requests(i)).unwrap();
    }
    std::fs::write(place.join("days.csv"), csv).unwrap();
    let args = [
        "compare",
        "--trace",
        "days.csv",
        "--policies",
        "static,hpa",
        "--out",
        "other",
        "-o",
        "csv",
    ];
    assert_eq!(told, stdout(place, &args, 0));

    // A rate over two minutes is the mean of two steps: the same demand, a little smoother.
    let rate = compare_args(&prometheus.0.url, "sum(rate(http_requests_total[2m]))", &[]);
    let smooth = stdout(place, &rate, 0);
    let cost = |text: &str| -> f64 {
        let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        let column = rows[0].iter().position(|c| *c == "cost").unwrap();
        rows[2][column].parse().unwrap()
    };
    let (a, b) = (cost(&told), cost(&smooth));
    assert!((a - b).abs() < 0.02 * a, "{a} and {b}");
    let page = std::fs::read_to_string(place.join("report/index.html")).unwrap();
    assert!(
        page.contains("2880 steps of 60s"),
        "the report says what was read"
    );
}

#[test]
fn real_answers_are_refused_with_their_reasons() {
    let test = "real_answers_are_refused_with_their_reasons";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let history = "# TYPE m gauge\nm{pod=\"a\"} 1 1767571260\nm{pod=\"b\"} 1 1767571260\n# EOF\n";
    backfilled(place, history);
    let Some(prometheus) = Prometheus::start(test, place, None) else {
        return;
    };
    for (query, code, words) in [
        ("sum(", 2, "parse error"),
        ("no_such_metric", 4, "no series"),
        ("m", 2, r#"m{pod="a"}, m{pod="b"}"#),
        ("sum(m)", 4, "gaps"),
        ("m[5m]", 2, "refused the query"),
    ] {
        let output = foresail(place, &compare_args(&prometheus.0.url, query, &[]));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{query}: {told}");
        assert!(told.contains(words), "{query}: {told}");
    }
}

/// What the exporter shows: demand and replicas; nothing while it is dead.
#[derive(Clone, Default)]
struct Load {
    shown: Arc<Mutex<(f64, u32)>>,
    dead: Arc<AtomicBool>,
}

impl Load {
    fn set(&self, demand: f64, replicas: u32) {
        *self.shown.lock().unwrap() = (demand, replicas);
    }

    /// Serves its metrics.
    fn exporter(&self) -> Server {
        let load = self.clone();
        Server::new(None, move |_| {
            if load.dead.load(Ordering::SeqCst) {
                return Reply::Text(500, "", String::new());
            }
            let (demand, replicas) = *load.shown.lock().unwrap();
            let body = format!("demand {demand}\nreplicas {replicas}\n");
            Reply::Text(200, "Content-Type: text/plain", body)
        })
    }
}

fn watch_args<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "watch",
        "--prometheus",
        url,
        "--query",
        "max(demand)",
        "--replicas-query",
        "max(replicas)",
        "--capacity",
        "100",
        "--startup",
        "2s",
        "--interval",
        "1s",
        "--record",
        "flight.jsonl",
    ];
    args.extend(more);
    args
}

#[test]
fn a_live_shadow_reacts_scores_and_replays() {
    let test = "a_live_shadow_reacts_scores_and_replays";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let load = Load::default();
    load.set(150.0, 2);
    let exporter = load.exporter();
    // The history ends before the last of it could be taken for the present.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = since.as_secs() / 60 * 60 - 360;
    let mut text = "# TYPE demand gauge\n".to_owned();
    for i in (0..26 * 60).rev() {
        writeln!(text, "demand {} {}", 140 + i % 7, now - 60 * i).unwrap();
    }
    backfilled(place, &(text + "# EOF\n"));
    let Some(prometheus) = Prometheus::start(test, place, Some(exporter.port)) else {
        return;
    };
    prometheus.wait_for("replicas", Duration::from_secs(20));
    let args = watch_args(&prometheus.0.url, &["--duration", "12s", "-o", "json"]);
    let child = command(place, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    load.set(900.0, 2);
    std::thread::sleep(Duration::from_secs(6));
    load.dead.store(true, Ordering::SeqCst);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!((6..=13).contains(&lines.len()), "{} syncs", lines.len());

    // Two days of history are there from the first sync on, but it ends six minutes ago: no forecast
    // speaks of the present by it.
    let basis = &lines[0]["explanation"]["proposals"][0]["basis"];
    assert!(lines[0]["forecast"].is_null(), "{}", lines[0]);
    assert_eq!(basis["absent"], "noMetric", "{}", lines[0]);
    // 900 req/s at 80 per replica.
    let most = lines.iter().filter_map(|l| l["reactive"].as_u64()).max();
    assert_eq!(most, Some(12));
    let peak = lines.iter().position(|l| l["reactive"] == 12).unwrap();
    let why = lines[peak]["why"].as_str().unwrap();
    assert!(why.starts_with("workload 2→"), "{why}");
    // A dead target is unknown: nothing goes down, nothing is counted as zero.
    let last = lines.last().unwrap();
    assert!(
        last["demand"].is_null() && last["incumbent"].is_null(),
        "{last}"
    );
    assert_eq!(last["decided"], 12);
    let score = &last["score"];
    assert!(score["leftOut"].as_u64().unwrap() >= 1, "{score}");
    let (ours, theirs) = (&score["shadow"], &score["incumbent"]);
    let short = |side: &Value| side["shortMinutes"].as_f64().unwrap();
    assert!(short(ours) < short(theirs), "{score}");
    let minutes = score["minutes"].as_f64().unwrap();
    let paid = theirs["replicaMinutes"].as_f64().unwrap();
    assert!((paid - 2.0 * minutes).abs() < 1e-9, "{score}");
    assert!(
        told.contains("no series") && told.contains("record: flight.jsonl"),
        "{told}"
    );
    assert_eq!(stdout(place, &["replay", "flight.jsonl"], 0), "identical\n");
}

#[test]
fn an_interrupt_ends_a_watch_with_its_summary_and_a_whole_record() {
    let test = "an_interrupt_ends_a_watch_with_its_summary_and_a_whole_record";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let load = Load::default();
    load.set(150.0, 2);
    let exporter = load.exporter();
    let Some(prometheus) = Prometheus::start(test, place, Some(exporter.port)) else {
        return;
    };
    prometheus.wait_for("replicas", Duration::from_secs(20));
    let child = command(place, &watch_args(&prometheus.0.url, &[]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!place.join("flight.jsonl").exists());
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let (out, told) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(
        out.starts_with("TIME") && out.contains("minutes counted"),
        "{out}"
    );
    assert!(
        out.contains("shadow ") && out.contains("incumbent "),
        "{out}"
    );
    assert_eq!(stdout(place, &["replay", "flight.jsonl"], 0), "identical\n");
}

#[test]
fn a_watch_that_cannot_begin_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let away = foresail(folder.path(), &watch_args("http://127.0.0.1:9", &[]));
    assert_eq!(away.status.code(), Some(3));
    let empty = Server::new(None, |_| {
        server::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#)
    });
    let output = foresail(folder.path(), &watch_args(&empty.url(), &[]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("unknown, not zero"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
