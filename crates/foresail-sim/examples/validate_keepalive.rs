//! Prints the table of docs/validation.md on keep-alive: the simulator beside its closed form.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "printing is what this program is for"
)]

use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::config::{Shape, Times};
use foresail_sim::function::{Function, FunctionMeasures, Keep, Platform, Unkept, run};
use foresail_sim::workload::Workload;

const BATCHES: u64 = 20;
const CALLS: f64 = 100_000.0;
const GIGABYTE: u64 = 1_000_000_000;

fn times(millis: i64) -> Times {
    Times {
        mean: Span::from_millis(millis),
        shape: Shape::Constant,
    }
}

fn kept(rate: f64, keep_alive: i64, seed: u64) -> FunctionMeasures {
    let function = Function {
        id: "f".to_owned(),
        workload: Workload::poisson(rate, Span::from_seconds((CALLS / rate) as i64)),
        service: times(1),
        memory: GIGABYTE,
    };
    let platform = Platform {
        cold_start: times(0),
        keep: Keep {
            keep_alive: Span::from_seconds(keep_alive),
            pool: 0,
        },
        ..Platform::default()
    };
    run(&platform, &[function], Seed(seed), &mut Unkept).expect("valid knobs")
}

/// Mean and half-width of the 99.9 % interval over independent batches.
fn interval(batches: &[f64]) -> (f64, f64) {
    let n = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / n;
    let variance = batches.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, 3.883 * (variance / n).sqrt())
}

fn main() {
    println!(
        "| λ, 1/s | τ, s | P(cold) = e^(−λτ) | simulated | idle s a call = (1−e^(−λτ))/λ | simulated |"
    );
    println!("|---|---|---|---|---|---|");
    for (rate, keep_alive) in [
        (0.01, 10),
        (0.01, 60),
        (0.01, 200),
        (0.002, 600),
        (0.0005, 600),
        (0.0005, 7200),
    ] {
        let runs: Vec<_> = (0..BATCHES).map(|s| kept(rate, keep_alive, s)).collect();
        let cold = |m: &FunctionMeasures| m.cold_percent() / 100.0;
        // One container holds one gigabyte: GB·s are seconds.
        let idle = |m: &FunctionMeasures| m.warm_memory_time() / m.requests.arrived as f64;
        let (p, p_half) = interval(&runs.iter().map(cold).collect::<Vec<_>>());
        let (s, s_half) = interval(&runs.iter().map(idle).collect::<Vec<_>>());
        let theory = (-rate * keep_alive as f64).exp();
        println!(
            "| {rate} | {keep_alive} | {theory:.5} | {p:.5} ± {p_half:.5} | {:.3} | {s:.3} ± {s_half:.3} |",
            (1.0 - theory) / rate
        );
    }
}
