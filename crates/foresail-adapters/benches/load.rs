//! The load generator against a small server on loopback: CPU of a request, the rate that one core
//! sends, and how late requests are sent.
//!
//! Prints one JSON line for each rate. With `FORESAIL_PEERS` (the folder of the peers' scripts) and
//! `FORESAIL_PYTHON` an asyncio client does the same against the same server in the same run. Server
//! and client share the machine, so the client's CPU is the figure, not the rate.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;

use foresail_adapters::load::arrivals::{Gaps, Shape};
use foresail_adapters::load::generator::{Outcome, Plan, Sink, What, run};
use foresail_adapters::load::targets::{Target, Targets};
use foresail_core::quantity::time::Span;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

/// Answers every request at once, on a thread of its own.
fn server() -> SocketAddr {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1024);
        let registry = poll.registry().try_clone().unwrap();
        registry
            .register(&mut listener, Token(usize::MAX), Interest::READABLE)
            .unwrap();
        let mut streams: Vec<TcpStream> = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                if event.token() == Token(usize::MAX) {
                    while let Ok((mut stream, _)) = listener.accept() {
                        let interest = Interest::READABLE;
                        registry
                            .register(&mut stream, Token(streams.len()), interest)
                            .unwrap();
                        streams.push(stream);
                    }
                } else {
                    answer(&mut streams[event.token().0], &mut buffer);
                }
            }
        }
    });
    address
}

fn answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    loop {
        match stream.read(buffer) {
            Ok(0) => return,
            Ok(count) => {
                let ends = buffer[..count].windows(4).filter(|w| w == b"\r\n\r\n");
                for _ in ends {
                    stream.write_all(ANSWER).unwrap();
                }
                if count < buffer.len() {
                    return;
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return,
        }
    }
}

#[derive(Default)]
struct Times {
    late: Vec<i64>,
    latency: Vec<i64>,
    failed: u64,
}

impl Sink for Times {
    fn target(&mut self, _: usize, _: &str) {}

    fn outcome(&mut self, outcome: &Outcome) {
        self.late
            .extend(outcome.sent.map(|sent| sent - outcome.due));
        match outcome.what {
            What::Answered(200) => self.latency.push(outcome.ended - outcome.due),
            _ => self.failed += 1,
        }
    }

    fn resent(&mut self) {}
}

fn quantile(sorted: &[i64], level: f64) -> f64 {
    let at = ((sorted.len() as f64 * level) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |n| *n as f64 / 1e6)
}

fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn measure(address: SocketAddr, rate: f64, seconds: i64) -> f64 {
    let shape = Shape::new(&[(Span::from_seconds(seconds), rate, rate)]).unwrap();
    let targets = Targets::new(vec![Target {
        name: "server".to_owned(),
        address,
    }]);
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    let plan = Plan {
        shape: &shape,
        gaps: Gaps::Even,
        request: request.as_bytes(),
        timeout: Span::from_seconds(5),
        connections: 512,
    };
    let mut times = Times::default();
    let before = thread_cpu();
    let wall = run(plan, &targets, &mut times, &|| false).unwrap();
    let cpu = thread_cpu() - before;
    times.late.sort_unstable();
    times.latency.sort_unstable();
    let answered = times.latency.len() as f64;
    println!(
        "{}",
        json!({"bench": "load", "asked_rps": rate, "achieved_rps": answered / wall.as_secs_f64(), "failed": times.failed,
            "us_cpu_per_request": 1e6 * cpu / answered, "rps_per_core": answered / cpu,
            "send_lateness_p99_ms": quantile(&times.late, 0.99), "p50_ms": quantile(&times.latency, 0.5),
            "p99_ms": quantile(&times.latency, 0.99)})
    );
    cpu / answered
}

fn peer(address: SocketAddr) -> Option<f64> {
    let folder = std::env::var_os("FORESAIL_PEERS")?;
    let python = std::env::var_os("FORESAIL_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .current_dir(folder)
        .args([
            "load_python.py",
            "--rps",
            "1000",
            "--duration",
            "4",
            "--url",
        ])
        .arg(format!("http://{address}/"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let line = text.lines().last()?;
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let find = |v: &serde_json::Value| v["us_cpu_per_request"].as_f64();
    find(&value).or_else(|| value.as_object()?.values().find_map(find))
}

fn main() {
    // Run as a test it is only to be seen to work.
    let short = std::env::args().any(|a| a == "--test");
    let address = server();
    if short {
        measure(address, 200.0, 1);
        return;
    }
    measure(address, 25_000.0, 4);
    measure(address, 50_000.0, 4);
    let ours = measure(address, 200_000.0, 4);
    let same = measure(address, 1000.0, 4);
    if let Some(theirs) = peer(address) {
        println!(
            "{}",
            json!({"bench": "load", "peer": "asyncio + aiohttp", "ratio_full": theirs / (1e6 * ours), "ratio_same_rate": theirs / (1e6 * same)})
        );
    }
}
