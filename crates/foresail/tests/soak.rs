//! Random clusters, pipelines and policies over many seeds; the laws are checked at every tick.
//!
//! Run by `cargo xtask soak`; a failure prints the seed that reproduces it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

use foresail_core::explain::Identity;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Queueing, Shape, Times};
use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::{Item, Setup, default_policies, run::run_one};
use foresail_sim::rng::Stream;
use foresail_sim::workload::{Within, Workload};

/// Checks the laws of every explanation.
struct Laws {
    bounds: (Replicas, Replicas),
    ticks: u64,
    what: String,
}

impl Listener for Laws {
    fn told(&mut self, story: &Story<'_>) {
        let told = story.explanation(&Identity::default()).expect("one target");
        let broken = told.broken_laws(self.bounds);
        assert!(broken.is_empty(), "{}: {told}: {broken:?}", self.what);
        self.ticks += 1;
    }
}

fn pick<T: Copy>(stream: &mut Stream, list: &[T]) -> T {
    list[(stream.uniform() * list.len() as f64) as usize]
}

fn seconds(stream: &mut Stream, low: f64, high: f64) -> Span {
    Span::from_millis(((low + (high - low) * stream.uniform()) * 1000.0) as i64)
}

fn setup(stream: &mut Stream) -> Setup {
    let shapes = [Shape::Constant, Shape::Exponential, Shape::Lognormal(1.5)];
    let service = Times {
        mean: seconds(stream, 0.05, 3.0),
        shape: pick(stream, &shapes),
    };
    let cluster = ClusterConfig {
        service,
        concurrency: pick(stream, &[1, 2, 5, 20]),
        queueing: pick(stream, &[Queueing::Central, Queueing::PerPod]),
        queue_max: pick(stream, &[None, Some(3), Some(100)]),
        timeout: pick(
            stream,
            &[
                None,
                Some(Span::from_seconds(2)),
                Some(Span::from_seconds(30)),
            ],
        ),
        cpu_per_request: service.mean,
        startup: Times {
            mean: seconds(stream, 0.0, 120.0),
            shape: pick(stream, &shapes),
        },
        startup_cpu_millicores: pick(stream, &[0, 500, 2000]),
        ..ClusterConfig::default()
    };
    let pipeline = Pipeline {
        sync: seconds(stream, 5.0, 60.0),
        scrape: seconds(stream, 5.0, 60.0),
        window: seconds(stream, 10.0, 90.0),
        delay: seconds(stream, 0.0, 120.0),
        loss: pick(stream, &[0.0, 0.1, 0.9]),
        concurrency: false,
    };
    let min = pick(stream, &[1, 2, 5]);
    let hpa_target_percent = pick(stream, &[20, 50, 80, 200]);
    let target = TargetId::new("soak/Deployment/web");
    let rule = serde_json::json!({"cron": "*/20 * * * *", "durationSeconds": 300, "replicas": 7});
    let max = min + pick(stream, &[0, 3, 40]);
    Setup {
        own: None,
        cluster,
        pipeline,
        min,
        max,
        hpa_target_percent,
        schedule: vec![rule],
        target,
    }
}

fn workload(stream: &mut Stream) -> Workload {
    let counts = (0..120).map(|i| {
        let base = 100.0 * (1.0 + (f64::from(i) / 20.0).sin()) * stream.uniform();
        let burst = if stream.uniform() < 0.03 { 20.0 } else { 1.0 };
        (base * burst) as u32
    });
    let counts = counts.collect();
    let within = pick(stream, &[Within::Poisson, Within::Uniform, Within::Bursty]);
    let (start, step) = (
        foresail_sim::workload::sample::START,
        Span::from_seconds(60),
    );
    Workload::Counts {
        start,
        step,
        counts,
        within,
    }
}

#[test]
#[ignore = "long; run by cargo xtask soak and, trimmed, by cargo xtask test"]
fn laws_hold_over_random_clusters() {
    let seeds: u64 = std::env::var("FORESAIL_SOAK_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let mut ticks = 0;
    for seed in 0..seeds {
        let mut stream = Stream::of(Seed(seed), "soak");
        let item = Item {
            id: "soak".to_owned(),
            workload: workload(&mut stream),
            setup: setup(&mut stream),
        };
        for policy in default_policies(&item.setup, 2.0, 2.0) {
            let laws = || Laws {
                bounds: (Replicas::new(item.setup.min), Replicas::new(item.setup.max)),
                ticks: 0,
                what: format!("seed {seed}, policy {}", policy.name),
            };
            let (measures, heard) =
                run_one(&item, &policy, Seed(seed), laws()).expect("valid knobs");
            assert!(
                measures.requests.are_conserved(),
                "seed {seed}: {:?}",
                measures.requests
            );
            let (again, _) = run_one(&item, &policy, Seed(seed), laws()).expect("valid knobs");
            assert_eq!(
                measures, again,
                "seed {seed}, policy {}: not the same again",
                policy.name
            );
            ticks += heard.ticks;
        }
    }
    println!("{seeds} seeds, {ticks} ticks");
}
