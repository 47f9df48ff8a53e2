//! The event loop against a bare one, in one run: M/M/16 at 0.9, every measure on.
//!
//! Prints one JSON line with requests per CPU second of both and their ratio; CPU seconds are those
//! of the thread, where the system tells them, else wall time.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::collections::VecDeque;
use std::time::Instant;

use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::rng::Stream;
use foresail_sim::simulation::{Unpiloted, run};
use foresail_sim::workload::Workload;

const REQUESTS: f64 = 10e6;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|nanos| nanos / 1e9)
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let (wall, before) = (Instant::now(), cpu());
    let result = work();
    std::thread::yield_now();
    let seconds = match (before, cpu()) {
        (Some(a), Some(b)) if b > a => b - a,
        _ => wall.elapsed().as_secs_f64(),
    };
    (seconds, result)
}

fn simulated() -> f64 {
    let config = ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape: Shape::Exponential,
        },
        concurrency: 1,
        initial: 16,
        ..ClusterConfig::default()
    };
    let workload = Workload::poisson(14.4, Span::from_seconds((REQUESTS / 14.4) as i64));
    let (seconds, measures) = timed(|| {
        run(
            &config,
            &Pipeline::default(),
            &workload,
            Seed(42),
            &mut Unpiloted,
        )
        .expect("valid knobs")
    });
    measures.requests.served as f64 / seconds
}

/// The least that a simulator of this queue does: one list of end times, no measures but the mean.
fn bare() -> f64 {
    let mut stream = Stream::of(Seed(42), "bare");
    let (seconds, served) = timed(|| {
        let mut ends = std::collections::BinaryHeap::new();
        let mut queue = VecDeque::new();
        let nanos = |x: f64| (x * 1e9) as u64;
        let (mut busy, mut arrived, mut served) = (0, 0.0, 0.0);
        let mut waited: u64 = 0;
        let mut next = nanos(stream.exponential() / 14.4);
        while served < REQUESTS {
            let done = ends.peek().map_or(u64::MAX, |std::cmp::Reverse(at)| *at);
            if next <= done && arrived < REQUESTS {
                arrived += 1.0;
                if busy < 16 {
                    busy += 1;
                    ends.push(std::cmp::Reverse(next + nanos(stream.exponential())));
                } else {
                    queue.push_back(next);
                }
                next += nanos(stream.exponential() / 14.4);
            } else {
                ends.pop();
                served += 1.0;
                match queue.pop_front() {
                    Some(at) => {
                        waited += done - at;
                        ends.push(std::cmp::Reverse(done + nanos(stream.exponential())));
                    }
                    None => busy -= 1,
                }
            }
        }
        std::hint::black_box(waited);
        served
    });
    served / seconds
}

fn main() {
    // `cargo test --benches` runs this once: it must not take minutes then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let mut rates: Vec<(f64, f64)> = (0..3).map(|_| (simulated(), bare())).collect();
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (simulated, bare) = rates[1];
    println!(
        "{{\"bench\":\"event_mode mmc16\",\"requests_per_cpu_s\":{simulated:.0},\
         \"bare_requests_per_cpu_s\":{bare:.0},\"ratio\":{:.3}}}",
        simulated / bare
    );
}
