//! `load`, `stress` and the experiment's manifests as a user meets them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;
use support::{foresail, golden, refused, stdout};

/// A server that answers each request; every tenth one with 503.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    std::thread::spawn(move || {
        let count = &count;
        std::thread::scope(|scope| {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                scope.spawn(move || {
                    let (mut buffer, mut seen) = ([0; 4096], Vec::new());
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        seen.extend_from_slice(&buffer[..read]);
                        while let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                            let head = String::from_utf8(seen.drain(..end + 4).collect()).unwrap();
                            assert!(
                                head.starts_with("GET /page?a=1 HTTP/1.1\r\nHost: "),
                                "{head}"
                            );
                            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            let status = if number % 10 == 9 {
                                "503 Busy"
                            } else {
                                "200 OK"
                            };
                            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                            if stream.write_all(answer.as_bytes()).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
    });
    format!("http://{address}/page?a=1")
}

#[test]
fn load_tells_what_came_of_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let url = server();
    let words = "load --ramp-start 20 --ramp-end 60 --ramp-duration 1 --hold 1 --timeout 60s --output json --out seconds.csv --url";
    let args: Vec<&str> = words.split(' ').chain([url.as_str()]).collect();
    let told: Value = serde_json::from_str(&stdout(folder.path(), &args, 0)).unwrap();
    let load = &told["load"];
    assert_eq!(load["planned"], 100.0);
    assert_eq!(load["due"], 100);
    assert_eq!(load["answered"], 100);
    assert_eq!(load["statuses"]["200"], 90);
    assert_eq!(load["statuses"]["503"], 10);
    assert!(load["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
    assert!(load["lateness_ms"]["max"].as_f64().unwrap() >= 0.0);
    let rows = std::fs::read_to_string(folder.path().join("seconds.csv")).unwrap();
    let cells: Vec<Vec<&str>> = rows.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(cells.len(), 3);
    assert_eq!(cells[1][1..3], ["40.000", "40"]);
    assert_eq!(cells[2][1..3], ["60.000", "60"]);
}

#[test]
fn a_poisson_process_is_the_same_again_by_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let url = server();
    let due = |seed: &str| {
        let words = "load --rps 100 --duration 1 --timeout 60s --poisson --output json --seed";
        let args: Vec<&str> = words
            .split(' ')
            .chain([seed, "--url", url.as_str()])
            .collect();
        let told: Value = serde_json::from_str(&stdout(folder.path(), &args, 0)).unwrap();
        told["load"]["due"].as_u64().unwrap()
    };
    let first = due("1");
    assert!((60..140).contains(&first), "{first}");
    assert_eq!(due("1"), first);
}

#[test]
fn nobody_there_is_told_with_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{gone}/");
    let args = [
        "load",
        "--rps",
        "20",
        "--duration",
        "1",
        "--output",
        "csv",
        "--url",
        url.as_str(),
    ];
    let text = stdout(folder.path(), &args, 3);
    assert!(text.contains("error: no connection,20\n"), "{text}");
    assert!(text.contains("answered,0\n"), "{text}");
}

#[test]
fn wrong_options_are_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let told = |words: &str| refused(folder.path(), &words.split(' ').collect::<Vec<_>>());
    for (words, want) in [
        ("load --url https://localhost/", "only http is spoken"),
        (
            "load --url http://localhost/ --rps=-1",
            "part 0: a rate of -1 requests per second: must be 0 to",
        ),
        (
            "load --url http://localhost/ --rps 0",
            "nothing is ever sent: give a rate above 0",
        ),
        (
            "load --url http://localhost/ --duration 0",
            "part 0: must last longer than 0 seconds",
        ),
        (
            "load --url http://localhost/ --connections 0",
            "--connections 0: must be 1 or more",
        ),
        (
            "load --url http://localhost/ --timeout 0s",
            "--timeout 0s: must be above 0s",
        ),
        (
            "load --url http://localhost/ --duration 1e6 --rps 1",
            "at most 7 days",
        ),
        (
            "experiment manifests --min-replicas 11",
            "--min-replicas 11: must be 1 to --max-replicas 10",
        ),
        (
            "experiment manifests --cpu-target 0",
            "--cpu-target 0: must be 1 to 1000 percent",
        ),
    ] {
        let text = told(words);
        assert!(text.contains(want), "{words}: {text}");
    }
    let none = ["stress", "cpu", "--kubeconfig", "none"];
    assert_eq!(foresail(folder.path(), &none).status.code(), Some(3));
    let none = ["load", "--kubeconfig", "none"];
    assert_eq!(foresail(folder.path(), &none).status.code(), Some(3));
}

#[test]
fn the_manifests_of_the_workload_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let all = stdout(folder.path(), &["experiment", "manifests"], 0);
    golden("experiment/webapp.yaml", &all);
    let hpa = stdout(folder.path(), &["experiment", "manifests", "--only-hpa"], 0);
    assert!(all.ends_with(&hpa));
    assert_eq!(hpa.matches("kind: HorizontalPodAutoscaler").count(), 1);
    let workload = stdout(folder.path(), &["experiment", "manifests", "--no-hpa"], 0);
    assert!(!workload.contains("Autoscaler"));
}
