//! Prints the tables of docs/validation.md: the simulator beside queueing theory.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "printing is what this program is for"
)]

#[path = "../tests/validation/queues.rs"]
mod queues;

use foresail_core::value::capacity::erlang_c;
use foresail_sim::config::Shape;
use foresail_sim::metrics::measure::Measures;
use queues::{BATCHES, interval, pollaczek_khinchine, queue, simulated_startup_wait, startup_wait};

const REQUESTS: f64 = 500_000.0;

fn main() {
    erlang();
    single_server();
    late_server();
}

fn single_server() {
    println!("\n| service | ρ | mean wait, theory | simulated |\n|---|---|---|---|");
    for (name, shape, cv) in [
        ("constant", Shape::Constant, 0.0),
        ("gamma, cv 0.5", Shape::Gamma(0.5), 0.5),
        ("gamma, cv 1.5", Shape::Gamma(1.5), 1.5),
        ("lognormal, cv 0.7", Shape::Lognormal(0.7), 0.7),
        ("lognormal, cv 1.5", Shape::Lognormal(1.5), 1.5),
    ] {
        for rho in [0.5, 0.8, 0.9] {
            let length = (REQUESTS / rho) as i64;
            let runs = (0..BATCHES).map(|seed| queue(1, rho, shape, length, seed));
            let waits: Vec<f64> = runs.filter_map(|m| m.wait.mean_seconds()).collect();
            let (mean, half) = interval(&waits);
            let theory = pollaczek_khinchine(rho, cv);
            println!("| {name} | {rho} | {theory:.5} | {mean:.5} ± {half:.5} |");
        }
    }
}

fn late_server() {
    println!(
        "\n| service | ρ | start-up | extra wait, theory | simulated |\n|---|---|---|---|---|"
    );
    for (name, shape, rho, startup) in [
        ("exponential", Shape::Exponential, 0.5, 30),
        ("exponential", Shape::Exponential, 0.8, 30),
        ("exponential", Shape::Exponential, 0.8, 90),
        ("constant", Shape::Constant, 0.7, 30),
        ("gamma, cv 1.5", Shape::Gamma(1.5), 0.7, 30),
    ] {
        let runs = (0..BATCHES).map(|seed| simulated_startup_wait(rho, startup, shape, 400, seed));
        let (mean, half) = interval(&runs.collect::<Vec<_>>());
        let theory = startup_wait(rho, startup as f64);
        println!("| {name} | {rho} | {startup} s | {theory:.2} | {mean:.2} ± {half:.2} |");
    }
}

fn erlang() {
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
        let length = (REQUESTS / (rho * f64::from(servers))) as i64;
        let of = |seed| queue(servers, rho, Shape::Exponential, length, seed);
        let runs: Vec<Measures> = (0..BATCHES).map(of).collect();
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
