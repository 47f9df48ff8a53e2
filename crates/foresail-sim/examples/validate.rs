//! Prints the tables of docs/validation.md: the simulator beside queueing theory.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "printing is what this program is for"
)]

use foresail_core::quantity::time::Span;
use foresail_core::value::capacity::erlang_c;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::metrics::measure::Measures;
use foresail_sim::simulation::{Unpiloted, run};
use foresail_sim::workload::Workload;

const BATCHES: u64 = 20;
const REQUESTS: f64 = 500_000.0;

fn queue(servers: u32, rho: f64, seed: u64) -> Measures {
    let rate = rho * f64::from(servers);
    let config = ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape: Shape::Exponential,
        },
        concurrency: 1,
        initial: servers,
        slo: "wait<1ns:99%".parse().expect("an SLO"),
        ..ClusterConfig::default()
    };
    let workload = Workload::poisson(rate, Span::from_seconds((REQUESTS / rate) as i64));
    run(
        &config,
        &Pipeline::default(),
        &workload,
        Seed(seed),
        &mut Unpiloted,
    )
    .expect("valid knobs")
}

/// Mean and half-width of the 99.9 % interval over independent batches.
fn interval(batches: &[f64]) -> (f64, f64) {
    let n = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / n;
    let variance = batches.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, 3.883 * (variance / n).sqrt())
}

fn main() {
    println!("| c | ρ | P(wait), theory | simulated | mean wait, theory | simulated | L | λW |");
    println!("|---|---|---|---|---|---|---|---|");
    for (servers, rho) in [
        (1, 0.5),
        (1, 0.8),
        (2, 0.7),
        (4, 0.8),
        (8, 0.6),
        (8, 0.9),
        (16, 0.8),
        (16, 0.9),
    ] {
        let theory = erlang_c(rho * f64::from(servers), servers).expect("a stationary queue");
        let runs: Vec<Measures> = (0..BATCHES).map(|seed| queue(servers, rho, seed)).collect();
        let share = |m: &Measures| m.violations as f64 / m.requests.arrived as f64;
        let wait = |m: &Measures| m.wait.mean_seconds().unwrap_or(f64::NAN);
        let (p, p_half) = interval(&runs.iter().map(share).collect::<Vec<_>>());
        let (w, w_half) = interval(&runs.iter().map(wait).collect::<Vec<_>>());
        let first = &runs[0];
        let rate = rho * f64::from(servers);
        let seconds = (REQUESTS / rate).floor();
        let arrivals = first.requests.arrived as f64 / seconds;
        let product = arrivals * first.latency.mean_seconds().unwrap_or(f64::NAN);
        println!(
            "| {servers} | {rho} | {:.5} | {p:.5} ± {p_half:.5} | {:.5} | {w:.5} ± {w_half:.5} | {:.4} | {product:.4} |",
            theory.wait_probability, theory.mean_wait, first.mean_in_system
        );
    }
}
