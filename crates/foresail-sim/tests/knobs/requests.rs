//! Requests, one by one: when they give up, in which order they are taken, what counts as cold.

use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::default_policies;
use foresail_sim::experiment::run::run_one;

use super::places::times;
use super::*;

/// Whole counts, evenly within each step.
fn even(step: i64, counts: Vec<u32>) -> Workload {
    Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(step),
        counts,
        within: Within::Uniform,
    }
}

fn one_slot(service: Times) -> ClusterConfig {
    ClusterConfig {
        service,
        concurrency: 1,
        initial: 1,
        ..base()
    }
}

fn asking(config: &ClusterConfig, workload: &Workload, asks: &[(i64, u32)]) -> Measures {
    let mut script = Script {
        asks: asks.to_vec(),
        ..Script::default()
    };
    run(config, &Pipeline::default(), workload, Seed(3), &mut script).unwrap()
}

#[test]
fn the_last_minute_is_told_though_a_request_ends_with_it() {
    let service = Times {
        mean: Span::from_millis(500),
        shape: Shape::Constant,
    };
    let config = ClusterConfig { service, ..base() };
    // The last one comes half a second before the end and ends with it.
    let m = asking(&config, &even(60, vec![60, 60]), &[]);
    let row = m.minutes[1];
    assert_eq!((row.ready, row.current, row.replica_minutes), (4.0, 4, 4.0));
    assert_eq!(m.elasticity.under_time_percent, 0.0);
    let short = asking(&config, &even(15, vec![15; 5]), &[]);
    let row = short.minutes[1];
    assert_eq!((row.ready, row.replica_minutes), (4.0, 1.0), "15 s of it");
    assert_eq!(row.capacity, m.minutes[0].capacity);
}

#[test]
fn who_gave_up_takes_nobodys_place() {
    for queueing in [Queueing::Central, Queueing::PerPod] {
        let config = ClusterConfig {
            queueing,
            queue_max: Some(1),
            timeout: Some(Span::from_seconds(1)),
            ..one_slot(times(1000))
        };
        // One every ten seconds: the first is served beyond the end, each other waits for a second.
        let m = asking(&config, &even(10, vec![1; 12]), &[]);
        let r = m.requests;
        assert_eq!(
            (r.in_service, r.timed_out, r.rejected, r.waiting),
            (1, 11, 0, 0),
            "{queueing:?}"
        );
        let in_system = (115.0 + 11.0) / 120.0;
        assert!((m.mean_in_system - in_system).abs() < 1e-9, "{queueing:?}");
    }
}

#[test]
fn who_waits_before_all_pods_is_taken_before_those_who_came_later() {
    let config = ClusterConfig {
        queueing: Queueing::PerPod,
        initial: 0,
        ..one_slot(times(10))
    };
    // One every five seconds for two minutes; the pod is ready at 60, takes ten seconds for each.
    let mut counts = vec![1; 24];
    counts.resize(80, 0);
    let m = asking(&config, &even(5, counts), &[(0, 1)]);
    assert_eq!(m.requests.served, 24);
    // The n-th came at 2.5 + 5n and begins at 60 + 10n.
    assert_eq!(m.wait.quantile_seconds(1.0), Some(172.5));
    let mean = m.wait.mean_seconds().unwrap();
    assert!((mean - (57.5 + 5.0 * 11.5)).abs() < 1e-9, "{mean}");
}

#[test]
fn cold_is_who_waited_for_a_start_and_not_for_a_slot() {
    let wide = ClusterConfig {
        concurrency: 1000,
        initial: 0,
        ..base()
    };
    // Nothing is there: asked for at 105, ready at 150; one comes each second.
    let from_zero = asking(&wide, &even(60, vec![60; 10]), &[(100, 1)]);
    assert_eq!(from_zero.cold_starts, 150);
    let backlog = ClusterConfig {
        initial: 1,
        ..base()
    };
    // One pod serves 4 of 8 a second; three more are asked for at 2010 and ready at 2055.
    let late = asking(&backlog, &load(8.0), &[(2000, 4)]);
    assert_eq!(late.requests.waiting, 0, "the backlog is gone in the end");
    let came_meanwhile = 45 * 8;
    assert!(
        (came_meanwhile / 2..came_meanwhile + 40).contains(&late.cold_starts),
        "{}",
        late.cold_starts
    );
}

/// Numbers of the rows that a run writes.
#[derive(Default)]
struct Told(Vec<(Option<f64>, i64)>);

impl Listener for Told {
    fn told(&mut self, story: &Story<'_>) {
        if story.noteworthy {
            let measured = story.measured();
            self.0
                .push((measured.latency_p95_ms, measured.violations.unwrap()));
        }
    }
}

#[test]
fn a_row_tells_the_latency_of_the_same_time_as_its_violations() {
    let cluster = ClusterConfig {
        service: Times {
            mean: Span::from_millis(500),
            shape: Shape::Constant,
        },
        concurrency: 1,
        ..base()
    };
    let mut setup = sizes::setup(cluster);
    (setup.min, setup.max) = (1, 1);
    // In the first quarter of a minute twice what one slot serves, then hardly anything.
    let item = sizes::item(setup, even(15, [60, 0, 0, 1].repeat(20)));
    let fixed = default_policies(&item.setup, 1.0, 1.0).swap_remove(0);
    let (_, told) = run_one(&item, &fixed, Seed(1), Told::default()).unwrap();
    assert!(told.0.len() >= 19);
    for (p95, violations) in &told.0[1..] {
        assert!(
            *violations > 50 && p95.unwrap() > 10_000.0,
            "{violations} broke the promise, 95 % were below {p95:?} ms"
        );
    }
}
