//! Fluid mode against event mode and against closed forms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "support/fluid_cases.rs"]
mod cases;

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::value::capacity::erlang_c;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Queueing, Shape, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::fluid::{Fluid, Planned, fly_all, run};
use foresail_sim::workload::{Within, Workload};

fn one_server(initial: u32) -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape: Shape::Exponential,
        },
        concurrency: 1,
        cpu_per_request: Span::from_seconds(1),
        initial,
        ..ClusterConfig::default()
    }
}

fn counted(step: i64, counts: Vec<u32>) -> Workload {
    Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(step),
        counts,
        within: Within::Poisson,
    }
}

/// The bounds of docs/validation.md: points of broken promises, percent of cost.
///
/// Without a backlog a policy that is short of pods for hours is judged too mildly: what waits is
/// forgotten. Its bounds hold for policies that keep up.
#[test]
fn on_the_sample_fluid_mode_is_near_to_event_mode() {
    let item = cases::sample_item();
    for policy in cases::policies(&item) {
        let row = cases::row(&item, &policy);
        println!("{row:?}");
        let event = row.event;
        let keeps_up = event.violations_percent < 15.0;
        // Knative's autoscaler follows the peaks of single seconds, which are only drawn here.
        let (most, points) = if row.policy == "kpa" {
            (15.0, 4.0)
        } else {
            (2.0, 2.0)
        };
        for (mode, most, judged) in [(row.backlog, most, true), (row.fluid, most + 3.0, keeps_up)] {
            let cost = (mode.cost / event.cost - 1.0) * 100.0;
            assert!(cost.abs() < most, "{}: cost off by {cost} %", row.policy);
            let off = mode.violations_percent - event.violations_percent;
            assert!(
                !judged || off.abs() < points,
                "{}: off by {off}",
                row.policy
            );
        }
    }
}

#[test]
fn a_steady_rate_breaks_the_promise_as_erlang_says() {
    let config = one_server(10);
    let workload = Workload::poisson(8.0, Span::from_seconds(3600));
    let fluid = Fluid::default();
    let m = run(
        &config,
        &Pipeline::default(),
        &workload,
        fluid,
        &mut Planned(&[]),
    )
    .unwrap();
    let queue = erlang_c(8.0, 10).unwrap();
    let want = queue.wait_probability * (-2.0 * 0.2_f64).exp() * 100.0;
    assert!((m.violations_percent() - want).abs() < 1e-9);
    assert!((m.replica_minutes - 600.0).abs() < 1e-9 && (m.requests - 28_800.0).abs() < 1e-6);
    assert!((m.cost - 0.4).abs() < 1e-9, "ten pods for an hour at 0.04");
}

/// Pods asked for at 60 s with a start-up of 45 s serve from 105 s on.
#[test]
fn new_pods_are_paid_at_once_and_serve_after_their_start_up() {
    let mut config = one_server(1);
    config.startup.mean = Span::from_seconds(45);
    let pipeline = Pipeline {
        sync: Span::from_seconds(60),
        ..Pipeline::default()
    };
    let workload = counted(60, vec![60; 4]);
    let fluid = Fluid::default();
    let m = run(
        &config,
        &pipeline,
        &workload,
        fluid,
        &mut Planned(&[1, 30, 30, 1]),
    )
    .unwrap();
    // One server at ρ = 1 breaks all, thirty none, for 105 s + 60 s of 240 s.
    assert!((m.violations - 165.0).abs() < 1e-6, "{}", m.violations);
    assert!((m.replica_minutes - 62.0).abs() < 1e-9);
    assert_eq!((m.actions, m.flaps), (2, 1));
}

/// 120 requests a minute on one server of one a second: the queue grows by 60 and drains in a
/// minute of nothing; who comes to a queue of more than 0.2 s waits too long.
#[test]
fn a_backlog_waits_for_later_and_breaks_the_promise_meanwhile() {
    let config = one_server(1);
    let workload = counted(60, vec![120, 0, 30]);
    let served = |backlog| {
        let fluid = Fluid {
            backlog,
            ..Fluid::default()
        };
        let pipeline = Pipeline::default();
        run(&config, &pipeline, &workload, fluid, &mut Planned(&[])).unwrap()
    };
    let (lost, kept) = (served(false), served(true));
    let late = 30.0 * 0.5 * (-0.1_f64).exp();
    assert!((lost.violations - 120.0 - late).abs() < 1e-6 && (lost.unserved - 60.0).abs() < 1e-6);
    assert!((kept.violations - 120.0 - late).abs() < 1e-6 && kept.unserved.abs() < 1e-6);
    let workload = counted(60, vec![120, 30, 30]);
    let fluid = Fluid {
        backlog: true,
        ..Fluid::default()
    };
    let pipeline = Pipeline::default();
    let m = run(&config, &pipeline, &workload, fluid, &mut Planned(&[])).unwrap();
    // The queue of 60 shrinks at ½ a second: 119.6 s until 0.2 are left.
    let want = 120.0 + 0.5 * 119.6 + 0.5 * 0.4 * 0.5 * (-0.1_f64).exp();
    assert!(
        (m.violations - want).abs() < 1e-6,
        "{} {want}",
        m.violations
    );
}

#[test]
fn knobs_without_a_meaning_here_are_refused() {
    let workload = Workload::poisson(1.0, Span::from_seconds(3600));
    let refused = |config: &ClusterConfig, pipeline: &Pipeline| {
        let error = run(
            config,
            pipeline,
            &workload,
            Fluid::default(),
            &mut Planned(&[]),
        );
        error.expect_err("refused").to_string()
    };
    let config = ClusterConfig {
        queueing: Queueing::PerPod,
        ..ClusterConfig::default()
    };
    assert!(refused(&config, &Pipeline::default()).contains("event mode"));
    let pipeline = Pipeline {
        loss: 0.1,
        ..Pipeline::default()
    };
    assert!(refused(&ClusterConfig::default(), &pipeline).contains("loss"));
}

#[test]
fn one_thread_or_many_give_the_same_sum() {
    let items: Vec<_> = (0..12).flat_map(|_| cases::items().split_off(3)).collect();
    let fly = || {
        let policy = |item: &foresail_sim::experiment::Item| cases::policies(item).swap_remove(1);
        fly_all(&items, policy, Fluid::default(), Seed(1), |_| Deaf)
            .expect("valid")
            .measures
    };
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    assert_eq!(one.install(fly), fly());
}
