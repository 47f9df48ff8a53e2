//! Function mode against a bare loop, in one run: 1,000 functions, popularity 1/rank, Poisson calls
//! over a day, exponential run times of half a second, cold starts of half a second, ten minutes of
//! keep-alive.
//!
//! Prints JSON lines: calls per CPU second of the simulator alone and of the simulator under the
//! engine, of the bare loop, their ratio, and the memory that ten times the calls take. The bare
//! loop has the calls in memory, sorted, and counts cold starts; the simulator draws them.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::config::{Shape, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::function::driver::KeepPilot;
use foresail_sim::function::policy::fixed;
use foresail_sim::function::{Function, FunctionMeasures, Platform, Unkept, run};
use foresail_sim::rng::Stream;
use foresail_sim::workload::Workload;

const FUNCTIONS: usize = 1000;
const CALLS: f64 = 1e6;
const DAY: i64 = 86_400;
const MEGABYTES: u64 = 128;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse::<f64>().ok()?;
    Some(nanos / 1e9)
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

/// The most memory that this process ever held, in MiB.
fn peak_mebibytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn shares() -> Vec<f64> {
    let all: f64 = (1..=FUNCTIONS).map(|rank| 1.0 / rank as f64).sum();
    (1..=FUNCTIONS)
        .map(|rank| 1.0 / rank as f64 / all)
        .collect()
}

fn half_a_second(shape: Shape) -> Times {
    Times {
        mean: Span::from_millis(500),
        shape,
    }
}

fn functions(calls: f64) -> Vec<Function> {
    let of = |(rank, share): (usize, f64)| Function {
        id: format!("f{rank}"),
        workload: Workload::poisson(calls * share / DAY as f64, Span::from_seconds(DAY)),
        service: half_a_second(Shape::Exponential),
        memory: MEGABYTES << 20,
    };
    shares().into_iter().enumerate().map(of).collect()
}

fn platform() -> Platform {
    Platform {
        cold_start: half_a_second(Shape::Constant),
        // A hundred hosts of 64 GiB, as in the bare loop.
        memory: Some(6400 << 30),
        ..Platform::default()
    }
}

fn simulated(functions: &[Function]) -> (f64, FunctionMeasures) {
    timed(|| run(&platform(), functions, Seed(42), &mut Unkept).expect("valid knobs"))
}

fn under_engine(functions: &[Function]) -> (f64, FunctionMeasures) {
    let platform = platform();
    timed(|| {
        let scene = (&platform, functions);
        let mut pilot = KeepPilot::new(&fixed(10), scene, None, Seed(42), Deaf).expect("a spec");
        run(&platform, functions, Seed(42), &mut pilot).expect("valid knobs")
    })
}

/// One call of the bare loop: when, of which function, for how long; nanoseconds.
type Call = (u64, u32, u64);

fn calls() -> Vec<Call> {
    let mut stream = Stream::of(Seed(42), "bare");
    let mut sums = shares();
    for i in 1..sums.len() {
        sums[i] += sums[i - 1];
    }
    let mut at = 0.0;
    let mut call = || {
        at += stream.exponential() / CALLS * DAY as f64;
        let x = stream.uniform();
        let function = sums.partition_point(|s| *s < x).min(FUNCTIONS - 1);
        let service = stream.exponential() * 5e8;
        ((at * 1e9) as u64, function as u32, service as u64)
    };
    (0..CALLS as usize).map(|_| call()).collect()
}

/// The least that a simulator of this does: one list of ends, a stack of idle containers per
/// function, one list of expiries in their order.
fn bare(calls: &[Call]) -> (f64, u64) {
    const KEEP: u64 = 600_000_000_000;
    timed(|| {
        // Function and begin of the idle time of each container.
        let mut containers: Vec<(u32, u64)> = Vec::new();
        let mut free: Vec<u32> = Vec::new();
        let mut idle: Vec<Vec<u32>> = vec![Vec::new(); FUNCTIONS];
        let mut ends: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
        let mut expiries: VecDeque<(u64, u32)> = VecDeque::new();
        let (mut cold, mut next) = (0, 0);
        loop {
            let call = calls.get(next).map_or(u64::MAX, |c| c.0);
            let end = ends.peek().map_or(u64::MAX, |e| e.0.0);
            let expiry = expiries.front().map_or(u64::MAX, |e| e.0 + KEEP);
            let now = call.min(end).min(expiry);
            if now == u64::MAX {
                break;
            }
            if end == now {
                let Some(Reverse((_, container))) = ends.pop() else {
                    break;
                };
                containers[container as usize].1 = now;
                idle[containers[container as usize].0 as usize].push(container);
                expiries.push_back((now, container));
            } else if expiry == now {
                let Some((since, container)) = expiries.pop_front() else {
                    break;
                };
                let (function, idle_since) = containers[container as usize];
                if idle_since == since {
                    idle[function as usize].retain(|c| *c != container);
                    containers[container as usize].1 = u64::MAX;
                    free.push(container);
                }
            } else {
                let (at, function, service) = calls[next];
                next += 1;
                let (container, begin) = match idle[function as usize].pop() {
                    Some(container) => (container, at),
                    None => {
                        cold += 1;
                        let container = free.pop().unwrap_or_else(|| {
                            containers.push((0, 0));
                            containers.len() as u32 - 1
                        });
                        (container, at + 500_000_000)
                    }
                };
                containers[container as usize] = (function, u64::MAX);
                ends.push(Reverse((begin + service, container)));
            }
        }
        cold
    })
}

/// The middle one of three.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    // `cargo test --benches` runs this once: it must not take minutes then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // First, while the process holds nothing else.
    let (seconds, measures) = simulated(&functions(10.0 * CALLS));
    println!(
        "{{\"bench\":\"function_mode 10M\",\"calls_per_cpu_s\":{:.0},\"cold_starts\":{},\"peak_mib\":{:.1}}}",
        measures.requests.arrived as f64 / seconds,
        measures.cold_starts(),
        peak_mebibytes().unwrap_or(f64::NAN)
    );
    let (functions, calls) = (functions(CALLS), calls());
    let rate = |(seconds, m): (f64, FunctionMeasures)| m.requests.arrived as f64 / seconds;
    let of = |one: &dyn Fn() -> f64| median((0..3).map(|_| one()).collect());
    let alone = of(&|| rate(simulated(&functions)));
    let engine = of(&|| rate(under_engine(&functions)));
    let bare_rate = of(&|| CALLS / bare(&calls).0);
    println!(
        "{{\"bench\":\"function_mode 1M\",\"calls_per_cpu_s\":{alone:.0},\"with_engine\":{engine:.0},\
         \"bare\":{bare_rate:.0},\"ratio\":{:.3},\"cold_starts\":{},\"bare_cold_starts\":{}}}",
        alone / bare_rate,
        simulated(&functions).1.cold_starts(),
        bare(&calls).1
    );
}
