//! The simulator against queueing theory: Erlang C, Pollaczek–Khinchine, a late server, Little's
//! law, conservation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod queues;

use foresail_core::quantity::time::Span;
use foresail_core::value::capacity::erlang_c;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::metrics::measure::Measures;
use foresail_sim::simulation::{Unpiloted, run};
use foresail_sim::workload::Workload;
use queues::{BATCHES, interval, pollaczek_khinchine, simulated_startup_wait, startup_wait};

/// M/M/c with a mean service of one second.
fn queue(servers: u32, rho: f64, length: i64, seed: u64) -> Measures {
    queues::queue(servers, rho, Shape::Exponential, length, seed)
}

#[test]
fn waits_agree_with_erlang_c_at_eight_settings() {
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
        let theory = erlang_c(rho * f64::from(servers), servers).unwrap();
        let length = (100_000.0 / (rho * f64::from(servers))) as i64;
        let batches: Vec<Measures> = (0..BATCHES)
            .map(|seed| queue(servers, rho, length, 1000 + seed))
            .collect();
        let waited: Vec<f64> = batches
            .iter()
            .map(|m| m.violations as f64 / m.requests.arrived as f64)
            .collect();
        let means: Vec<f64> = batches
            .iter()
            .map(|m| m.wait.mean_seconds().unwrap())
            .collect();
        let (probability, half) = interval(&waited);
        assert!(
            (probability - theory.wait_probability).abs() <= half,
            "M/M/{servers} {rho}: P(wait) {probability} ± {half}, theory {}",
            theory.wait_probability
        );
        let (mean, half) = interval(&means);
        assert!(
            (mean - theory.mean_wait).abs() <= half,
            "M/M/{servers} {rho}: mean wait {mean} ± {half}, theory {}",
            theory.mean_wait
        );
    }
}

#[test]
fn one_server_waits_as_pollaczek_and_khinchine_say() {
    for (shape, cv) in [
        (Shape::Constant, 0.0),
        (Shape::Gamma(0.5), 0.5),
        (Shape::Gamma(1.5), 1.5),
        (Shape::Lognormal(0.7), 0.7),
        (Shape::Lognormal(1.5), 1.5),
    ] {
        for rho in [0.5, 0.8] {
            let length = (100_000.0 / rho) as i64;
            let waits: Vec<f64> = (0..BATCHES)
                .map(|seed| queues::queue(1, rho, shape, length, 2000 + seed))
                .map(|m| m.wait.mean_seconds().unwrap())
                .collect();
            let (mean, half) = interval(&waits);
            let theory = pollaczek_khinchine(rho, cv);
            assert!(
                (mean - theory).abs() <= half && half < 0.12 * theory,
                "{shape:?} at {rho}: {mean} ± {half}, theory {theory}"
            );
        }
    }
}

#[test]
fn a_server_that_starts_late_costs_the_wait_that_theory_says() {
    for (rho, shape) in [
        (0.5, Shape::Exponential),
        (0.8, Shape::Exponential),
        (0.7, Shape::Constant),
        (0.7, Shape::Gamma(1.5)),
    ] {
        let extra: Vec<f64> = (0..BATCHES)
            .map(|seed| simulated_startup_wait(rho, 30, shape, 100, seed))
            .collect();
        let (mean, half) = interval(&extra);
        let theory = startup_wait(rho, 30.0);
        assert!(
            (mean - theory).abs() <= half && half < 0.1 * theory,
            "{shape:?} at {rho}: {mean} ± {half}, theory {theory}"
        );
    }
}

/// L = λW: the mean number in the system is the rate times the mean time in it.
#[test]
fn littles_law_holds() {
    for (servers, rho) in [(1, 0.7), (4, 0.9), (16, 0.8)] {
        let m = queue(servers, rho, 200_000, 7);
        let rate = m.requests.arrived as f64 / 200_000.0;
        let product = rate * m.latency.mean_seconds().unwrap();
        let error = (m.mean_in_system / product - 1.0).abs();
        assert!(
            error < 2e-3,
            "M/M/{servers} {rho}: L {} and λW {product}",
            m.mean_in_system
        );
    }
}

#[test]
fn more_replicas_never_serve_fewer_and_nothing_is_lost() {
    let config = |initial| ClusterConfig {
        initial,
        concurrency: 2,
        service: Times {
            mean: Span::from_millis(900),
            shape: Shape::Lognormal(1.5),
        },
        queue_max: Some(20),
        timeout: Some(Span::from_seconds(5)),
        ..ClusterConfig::default()
    };
    let parts = vec![
        (Span::from_seconds(600), 1.0, 30.0),
        (Span::from_seconds(600), 30.0, 2.0),
    ];
    let workload = Workload::Rates {
        start: foresail_core::quantity::time::Timestamp::EPOCH,
        parts,
    };
    let mut served = 0;
    for replicas in 1..20 {
        let m = run(
            &config(replicas),
            &Pipeline::default(),
            &workload,
            Seed(3),
            &mut Unpiloted,
        )
        .unwrap();
        assert!(m.requests.are_conserved(), "{:?}", m.requests);
        assert!(
            m.requests.served >= served,
            "{replicas} replicas serve {}",
            m.requests.served
        );
        served = m.requests.served;
    }
}

#[test]
fn the_same_seed_gives_the_same_measures_and_another_others() {
    let measured = |seed| queue(4, 0.8, 5000, seed);
    assert_eq!(measured(1), measured(1));
    assert_ne!(measured(1), measured(2));
}
