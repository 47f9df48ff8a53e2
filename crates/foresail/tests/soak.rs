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

use std::collections::BTreeMap;

use foresail_core::explain::Identity;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_models::rng::Seed;
use foresail_sim::config::{
    ClusterConfig, CrashConfig, NodeConfig, Pipeline, Placement, Queueing, Shape, Times,
};
use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::{Item, Setup, default_policies, run::run_one};
use foresail_sim::fault::Fault;
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

fn often() -> CrashConfig {
    CrashConfig {
        per_pod_hour: 5.0,
        ..CrashConfig::default()
    }
}

fn nodes(stream: &mut Stream) -> Option<NodeConfig> {
    let ways = [
        None,
        Some(Placement::LeastAllocated),
        Some(Placement::MostAllocated),
        Some(Placement::FirstFit),
    ];
    let placement = pick(stream, &ways)?;
    Some(NodeConfig {
        cpu_millicores: pick(stream, &[1000, 4000]),
        initial: pick(stream, &[0, 3]),
        max: pick(stream, &[4, 30]),
        idle: pick(stream, &[None, Some(Span::from_seconds(120))]),
        placement,
        ..NodeConfig::default()
    })
}

/// A fault of metrics or of starts at some time of the two hours, or none.
fn faults(stream: &mut Stream) -> Option<Fault> {
    let from = seconds(stream, 0.0, 5000.0);
    let until = from + seconds(stream, 60.0, 1500.0);
    let by = Span::from_seconds(100);
    pick(
        stream,
        &[
            None,
            Some(Fault::MetricsGap { from, until }),
            Some(Fault::StaleMetrics { from, until }),
            Some(Fault::NanMetrics { from, until }),
            Some(Fault::LateMetrics { from, until, by }),
            Some(Fault::SlowStarts {
                from,
                until,
                factor: 5.0,
            }),
            Some(Fault::LyingAdvice {
                from,
                until,
                replicas: 1000,
            }),
        ],
    )
}

fn setup(stream: &mut Stream) -> Setup {
    let shapes = [
        Shape::Constant,
        Shape::Exponential,
        Shape::Lognormal(1.5),
        Shape::Gamma(0.7),
    ];
    let service = Times {
        mean: seconds(stream, 0.05, 3.0),
        shape: pick(stream, &shapes),
    };
    let mut cluster = ClusterConfig {
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
        cpu_bound: pick(stream, &[false, true]),
        crash: pick(stream, &[None, Some(often())]),
        nodes: nodes(stream),
        ..ClusterConfig::default()
    };
    if cluster.nodes.is_some() {
        cluster.image_pull = pick(stream, &[None, Some(cluster.startup)]);
        cluster.faults = vec![Fault::NodeLoss {
            at: seconds(stream, 600.0, 6000.0),
            nodes: pick(stream, &[1, 3]),
        }];
    }
    cluster.faults.extend(faults(stream));
    let pipeline = Pipeline {
        sync: seconds(stream, 5.0, 60.0),
        scrape: seconds(stream, 5.0, 60.0),
        window: seconds(stream, 10.0, 90.0),
        delay: seconds(stream, 0.0, 120.0),
        loss: pick(stream, &[0.0, 0.1, 0.9]),
        concurrency: false,
        ..Pipeline::default()
    };
    let min = pick(stream, &[1, 2, 5]);
    let hpa_target_percent = pick(stream, &[20, 50, 80, 200]);
    let target = TargetId::new("soak/Deployment/web");
    let rule = serde_json::json!({"cron": "*/20 * * * *", "durationSeconds": 300, "replicas": 7});
    let max = min + pick(stream, &[0, 3, 40]);
    Setup {
        resources: BTreeMap::new(),
        aapa: BTreeMap::new(),
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
