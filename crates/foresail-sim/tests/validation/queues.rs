//! Queues with a known answer, simulated: shared by the tests and by the example that prints tables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    reason = "each user takes a part of it"
)]

use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::metrics::measure::Measures;
use foresail_sim::simulation::{Pilot, Seen, Unpiloted, run};
use foresail_sim::workload::Workload;

/// Independent runs of each setting.
pub const BATCHES: u64 = 20;

/// Mean and half-width of the 99.9 % interval over [`BATCHES`] independent runs.
pub fn interval(batches: &[f64]) -> (f64, f64) {
    let n = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / n;
    let variance = batches.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Student's t at 0.9995 with 19 degrees of freedom.
    (mean, 3.883 * (variance / n).sqrt())
}

/// Poisson arrivals, `servers` that each serve one request in a second on average; the promise
/// `wait<1ns` counts who waits at all.
pub fn queue(servers: u32, rho: f64, shape: Shape, length: i64, seed: u64) -> Measures {
    let config = servers_of(shape, servers);
    let workload = Workload::poisson(rho * f64::from(servers), Span::from_seconds(length));
    let pipeline = Pipeline::default();
    run(&config, &pipeline, &workload, Seed(seed), &mut Unpiloted).unwrap()
}

fn servers_of(shape: Shape, servers: u32) -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape,
        },
        concurrency: 1,
        initial: servers,
        slo: "wait<1ns:99%".parse().unwrap(),
        ..ClusterConfig::default()
    }
}

/// Mean wait of one server with service of mean 1 and this coefficient of variation.
///
/// Source: Pollaczek 1930, Khinchine 1932; Kleinrock, "Queueing Systems" I, (5.72).
pub fn pollaczek_khinchine(rho: f64, cv: f64) -> f64 {
    rho * (1.0 + cv * cv) / (2.0 * (1.0 - rho))
}

/// Seconds that all requests together wait more where the one server becomes ready only after
/// `startup` seconds: λD²/(2(1−ρ)), for service of any form with mean 1.
///
/// With and without the start-up the same requests come. Until the late server is first empty its
/// backlog exceeds the other's by D less the time that the other has idled, and that other idles a
/// share 1−ρ of its time; the sum over Poisson arrivals is λ times the area between the two. The
/// time until then is a delay busy period of mean D/(1−ρ).
/// Source: Conway, Maxwell & Miller 1967, "Theory of Scheduling", section 8-4; Takagi 1991,
/// "Queueing Analysis" I, section 1.2.
pub fn startup_wait(rho: f64, startup: f64) -> f64 {
    rho * startup * startup / (2.0 * (1.0 - rho))
}

/// Asks for one pod at the first sync.
struct One;

impl Pilot for One {
    fn sync(&mut self, _seen: &Seen<'_>) -> Option<Setting> {
        Some(Setting::replicas(Replicas::ONE))
    }
}

/// The same as [`startup_wait`], simulated: total wait of a server that is asked for at the begin
/// less that of one that is there; mean over `runs` runs.
pub fn simulated_startup_wait(rho: f64, startup: i64, shape: Shape, runs: u64, seed: u64) -> f64 {
    let sync = Span::from_seconds(1);
    let mut late = servers_of(shape, 0);
    late.startup = Times {
        mean: Span::from_seconds(startup) - sync,
        shape: Shape::Constant,
    };
    let there = servers_of(shape, 1);
    let pipeline = Pipeline {
        sync,
        ..Pipeline::default()
    };
    let length = Span::from_seconds((startup as f64 * 10.0 / (1.0 - rho)) as i64);
    let workload = Workload::poisson(rho, length);
    let total = |config: &ClusterConfig, seed| {
        let m = run(config, &pipeline, &workload, Seed(seed), &mut One).unwrap();
        m.wait.mean_seconds().unwrap_or(0.0) * m.wait.count() as f64
    };
    let extra = |i| total(&late, seed * runs + i) - total(&there, seed * runs + i);
    (0..runs).map(extra).sum::<f64>() / runs as f64
}
