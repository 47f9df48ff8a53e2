//! One whole tick of the engine with `hpa` alone, 20 pods, against the bare formula, in one run.
//!
//! A tick is: samples fed, tick fed, decision taken; no text is made. Prints one JSON line with ticks
//! per CPU second, the bare formula's rate, their ratio, and the slowest tick at 100 pods.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::time::Instant;

use foresail_core::engine::Input;
use foresail_core::hpa::{HpaSpec, MetricSpec, Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::Spec;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

const START: Timestamp = Timestamp::from_seconds(1_000_000);
const TICKS: i64 = 300_000;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|nanos| nanos / 1e9)
}

fn timed(work: impl FnOnce()) -> f64 {
    let (wall, before) = (Instant::now(), cpu());
    work();
    std::thread::yield_now();
    match (before, cpu()) {
        (Some(a), Some(b)) if b > a => b - a,
        _ => wall.elapsed().as_secs_f64(),
    }
}

fn state(pods: usize, now: Timestamp, usage: i64, target: &TargetId) -> TargetState {
    let pod = Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(START - Span::from_seconds(9000)),
        ready: Ready::True,
        ready_changed_at: START - Span::from_seconds(8000),
        count: 1,
    };
    let sample = PodSample {
        value: usage,
        at: now,
        window: Span::from_seconds(30),
    };
    let reading = PodReading {
        request: Some(1000),
        sample: Some(sample),
    };
    TargetState {
        target: target.clone(),
        current: Setting::replicas(Replicas::new(20)),
        status_replicas: Replicas::new(20),
        ready: Replicas::new(20),
        pods: vec![pod; pods],
        readings: vec![Reading::Pods(vec![reading; pods])],
        ..TargetState::default()
    }
}

fn engine(target: &TargetId) -> foresail_core::engine::Engine {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 100,
        metrics: vec![MetricSpec::cpu_utilization(60)],
        ..HpaSpec::default()
    };
    engine_of(Spec::of_hpa(target.clone(), hpa), Seed(1)).expect("a valid spec")
}

fn ticks(pods: usize) -> f64 {
    let target = TargetId::new("default/Deployment/web");
    let mut engine = engine(&target);
    let mut sum = 0;
    let seconds = timed(|| {
        for i in 0..TICKS {
            let now = START + Span::from_seconds(15 * i);
            let targets = vec![state(pods, now, 560 + i % 80, &target)];
            let (health, leading) = (Health::default(), true);
            engine.feed(Input::Samples(Samples {
                at: now,
                health,
                leading,
                targets,
                values: Vec::new(),
            }));
            let tick = engine.feed(Input::Tick { now }).expect("a tick");
            sum += tick.targets[0].decided.replicas.map_or(0, Replicas::get);
        }
    });
    std::hint::black_box(sum);
    TICKS as f64 / seconds
}

/// The formula and nothing else: sums over 20 pods, two divisions, the tolerance.
fn bare() -> f64 {
    let mut usage = [560_i64; 20];
    let mut sum = 0;
    let rounds = TICKS * 20;
    let seconds = timed(|| {
        for i in 0..rounds {
            usage[(i % 20) as usize] = 560 + i % 80;
            let total: i64 = std::hint::black_box(&usage).iter().sum();
            let ratio = (total * 100 / 20_000) as f64 / 60.0;
            sum += if (0.9..=1.1).contains(&ratio) {
                20
            } else {
                (ratio * 20.0).ceil() as i64
            };
        }
    });
    std::hint::black_box(sum);
    rounds as f64 / seconds
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let mut rates: Vec<f64> = (0..3).map(|_| ticks(20)).collect();
    rates.sort_by(f64::total_cmp);
    let (bare, hundred) = (bare(), ticks(100));
    println!(
        "{{\"bench\":\"engine_tick hpa\",\"ticks_per_cpu_s_20_pods\":{:.0},\"bare_formula_per_cpu_s\":{bare:.0},\
         \"ratio\":{:.4},\"ticks_per_cpu_s_100_pods\":{hundred:.0},\"mean_us_at_100_pods\":{:.2}}}",
        rates[1],
        rates[1] / bare,
        1e6 / hundred
    );
}
