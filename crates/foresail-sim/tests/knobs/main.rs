//! Every knob changes what it says it changes, in the direction and by the size that it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod faults;
mod places;
mod requests;
mod sizes;

use faults::{faulty, seconds};
use foresail_core::propose::plan::{Axis, Setting};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_models::rng::Seed;
use foresail_sim::config::{
    ClusterConfig, CrashConfig, NodeConfig, Pipeline, Placement, Queueing, Shape, Times,
};
use foresail_sim::fault::Fault;
use foresail_sim::metrics::measure::Measures;
use foresail_sim::simulation::{Pilot, Seen, Unpiloted, run};
use foresail_sim::workload::{Within, Workload};
use places::times;

fn load(rate: f64) -> Workload {
    Workload::poisson(rate, Span::from_seconds(4000))
}

fn base() -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_millis(500),
            shape: Shape::Exponential,
        },
        concurrency: 2,
        initial: 4,
        cpu_per_request: Span::from_millis(250),
        ..ClusterConfig::default()
    }
}

fn still(config: &ClusterConfig, rate: f64) -> Measures {
    run(
        config,
        &Pipeline::default(),
        &load(rate),
        Seed(11),
        &mut Unpiloted,
    )
    .unwrap()
}

/// Asks for given numbers at given seconds, and remembers what it sees.
#[derive(Default)]
struct Script {
    asks: Vec<(i64, u32)>,
    seen: Vec<(i64, i64, Option<i64>)>,
    samples: u64,
    cpu: f64,
    reports: Vec<f64>,
    demand: Vec<(Timestamp, f64)>,
}

impl Pilot for Script {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        let now = seen.now.seconds_floor();
        for sample in seen.pods.iter().filter_map(|p| p.cpu) {
            self.samples += 1;
            self.cpu += sample.millicores as f64;
            self.seen.push((
                now,
                (seen.now - sample.at).whole_seconds(),
                Some(sample.window.whole_seconds()),
            ));
        }
        self.reports
            .extend(seen.concurrency.iter().map(|(_, v)| *v));
        self.demand.extend_from_slice(seen.demand);
        self.asks
            .iter()
            .rev()
            .find(|(at, _)| *at <= now)
            .map(|(_, n)| Setting::replicas(Replicas::new(*n)))
    }
}

fn scripted(
    config: &ClusterConfig,
    pipeline: &Pipeline,
    rate: f64,
    asks: &[(i64, u32)],
) -> (Measures, Script) {
    let mut script = Script {
        asks: asks.to_vec(),
        ..Script::default()
    };
    let measures = run(config, pipeline, &load(rate), Seed(11), &mut script).unwrap();
    (measures, script)
}

#[test]
fn service_time_scales_latency_and_its_spread_lengthens_the_wait() {
    let short = still(&base(), 2.0);
    let long = still(
        &ClusterConfig {
            service: Times {
                mean: Span::from_seconds(1),
                shape: Shape::Exponential,
            },
            ..base()
        },
        2.0,
    );
    let ratio = long.latency.mean_seconds().unwrap() / short.latency.mean_seconds().unwrap();
    assert!((1.8..2.3).contains(&ratio), "{ratio}");
    let shape = |shape| {
        still(
            &ClusterConfig {
                service: Times {
                    mean: Span::from_millis(500),
                    shape,
                },
                ..base()
            },
            8.0,
        )
    };
    let mean = |s| shape(s).wait.mean_seconds().unwrap();
    let [constant, exponential, lognormal] =
        [Shape::Constant, Shape::Exponential, Shape::Lognormal(3.0)].map(mean);
    assert!(
        constant < exponential && exponential < lognormal,
        "{constant} {exponential} {lognormal}"
    );
}

#[test]
fn concurrency_multiplies_capacity() {
    let one = still(
        &ClusterConfig {
            concurrency: 1,
            ..base()
        },
        9.0,
    );
    let two = still(
        &ClusterConfig {
            concurrency: 2,
            ..base()
        },
        9.0,
    );
    assert!(
        one.requests.waiting > 1000,
        "4 slots serve 8 a second: a queue without end"
    );
    assert_eq!(two.requests.waiting, 0, "8 slots serve 16 a second");
}

#[test]
fn a_queue_per_pod_waits_longer_than_one_for_all() {
    let wait = |queueing| {
        still(&ClusterConfig { queueing, ..base() }, 13.0)
            .wait
            .mean_seconds()
            .unwrap()
    };
    let (central, per_pod) = (wait(Queueing::Central), wait(Queueing::PerPod));
    assert!(per_pod > central * 1.1, "{per_pod} against {central}");
}

#[test]
fn a_bounded_queue_rejects_what_it_cannot_hold() {
    let bounded = still(
        &ClusterConfig {
            queue_max: Some(5),
            ..base()
        },
        20.0,
    );
    let free = still(&base(), 20.0);
    assert_eq!(free.requests.rejected, 0);
    // 16 of 20 a second are served.
    let share = bounded.requests.rejected as f64 / bounded.requests.arrived as f64;
    assert!((0.17..0.25).contains(&share), "{share}");
    assert!(bounded.wait.quantile_seconds(1.0).unwrap() < 3.0);
    let per_pod = still(
        &ClusterConfig {
            queue_max: Some(5),
            queueing: Queueing::PerPod,
            ..base()
        },
        20.0,
    );
    assert!(per_pod.requests.rejected > 0 && per_pod.requests.are_conserved());
}

#[test]
fn who_waits_longer_than_the_time_out_gives_up() {
    let patient = still(&base(), 20.0);
    let hasty = still(
        &ClusterConfig {
            timeout: Some(Span::from_seconds(2)),
            ..base()
        },
        20.0,
    );
    assert_eq!(patient.requests.timed_out, 0);
    let share = hasty.requests.timed_out as f64 / hasty.requests.arrived as f64;
    assert!((0.15..0.25).contains(&share), "{share}");
    assert!(hasty.wait.quantile_seconds(1.0).unwrap() <= 2.0);
    assert!(
        hasty.violations >= hasty.requests.timed_out,
        "who gives up was not served in time"
    );
}

#[test]
fn a_longer_start_up_leaves_more_waiting_for_it() {
    let run = |startup| {
        let config = ClusterConfig {
            startup: Times {
                mean: Span::from_seconds(startup),
                shape: Shape::Constant,
            },
            initial: 1,
            ..base()
        };
        scripted(&config, &Pipeline::default(), 8.0, &[(100, 4)]).0
    };
    let (short, long) = (run(10), run(120));
    assert!(
        long.cold_starts > short.cold_starts * 2,
        "{} and {}",
        long.cold_starts,
        short.cold_starts
    );
    assert!(long.violations > short.violations);
}

#[test]
fn cpu_follows_load_and_a_start_burns_what_it_is_told() {
    let usage = |config: &ClusterConfig, asks: &[(i64, u32)]| {
        let (_, script) = scripted(config, &Pipeline::default(), 6.0, asks);
        script.cpu / script.samples as f64
    };
    // 6 requests a second at 250 ms of CPU on 4 pods: 375 thousandths of a core each.
    let one = usage(&base(), &[]);
    assert!((one - 375.0).abs() < 15.0, "{one}");
    let double = usage(
        &ClusterConfig {
            cpu_per_request: Span::from_millis(500),
            ..base()
        },
        &[],
    );
    assert!((double / one - 2.0).abs() < 0.02, "{double}");
    let slow = Times {
        mean: Span::from_seconds(600),
        shape: Shape::Constant,
    };
    let burning = ClusterConfig {
        startup: slow,
        startup_cpu_millicores: 900,
        ..base()
    };
    let (cold, hot) = (
        ClusterConfig {
            startup_cpu_millicores: 0,
            ..burning.clone()
        },
        burning,
    );
    let asks = [(100, 8)];
    assert!(usage(&hot, &asks) > usage(&cold, &asks) + 30.0);
}

#[test]
fn the_request_is_what_capacity_and_price_are_counted_in() {
    let config = |cpu_request_millicores| ClusterConfig {
        cpu_request_millicores,
        ..base()
    };
    assert!(
        (config(1000).request_capacity() - 4.0).abs() < 1e-9
            && (config(500).request_capacity() - 2.0).abs() < 1e-9
    );
    let mut dear = base();
    dear.price.cpu_core_hour = 0.1;
    dear.price.memory_gib_hour = 0.01;
    dear.memory_request_gib = 2.0;
    let (plain, dear) = (still(&base(), 2.0), still(&dear, 2.0));
    let per_hour = dear.cost / (dear.replica_minutes / 60.0);
    assert!((per_hour - (0.04 + 0.1 + 0.02)).abs() < 1e-9, "{per_hour}");
    assert!((plain.cost / (plain.replica_minutes / 60.0) - 0.04).abs() < 1e-12);
}

#[test]
fn samples_are_as_old_and_as_wide_as_the_pipeline_makes_them() {
    let look = |pipeline: &Pipeline| scripted(&base(), pipeline, 4.0, &[]).1;
    let default = look(&Pipeline::default());
    let least = default.seen.iter().map(|s| s.1).min();
    assert_eq!(least, Some(30), "never younger than the delay");
    assert!(
        default.seen.iter().all(|s| s.1 <= 45),
        "never older than delay and scrape"
    );
    assert!(default.seen.iter().all(|s| s.2 == Some(30)));
    let late = look(&Pipeline {
        delay: Span::from_seconds(90),
        ..Pipeline::default()
    });
    assert_eq!(late.seen.iter().map(|s| s.1).min(), Some(90));
    let wide = look(&Pipeline {
        window: Span::from_seconds(60),
        ..Pipeline::default()
    });
    assert!(wide.seen.iter().all(|s| s.2 == Some(60)));
    let rare = look(&Pipeline {
        scrape: Span::from_seconds(60),
        window: Span::from_seconds(60),
        ..Pipeline::default()
    });
    assert!(rare.seen.iter().map(|s| s.1).max() >= Some(75));
    let often = look(&Pipeline {
        sync: Span::from_seconds(5),
        ..Pipeline::default()
    });
    assert!(often.samples > default.samples * 5 / 2);
}

#[test]
fn lost_samples_make_what_is_seen_older() {
    let age = |loss| {
        let (_, script) = scripted(
            &base(),
            &Pipeline {
                loss,
                ..Pipeline::default()
            },
            4.0,
            &[],
        );
        script.seen.iter().map(|s| s.1 as f64).sum::<f64>() / script.seen.len() as f64
    };
    let (none, half) = (age(0.0), age(0.5));
    // With half of the scrapes lost, one more interval of 15 s passes on average.
    assert!((8.0..25.0).contains(&(half - none)), "{none} and {half}");
}

#[test]
fn concurrency_is_reported_each_second_and_agrees_with_littles_law() {
    let pipeline = Pipeline::knative();
    let (measures, script) = scripted(&base(), &pipeline, 6.0, &[]);
    assert!(
        (script.reports.len() as i64 - 4000).abs() <= 2,
        "{}",
        script.reports.len()
    );
    let mean = script.reports.iter().sum::<f64>() / script.reports.len() as f64;
    assert!(
        (mean - measures.mean_in_system).abs() < 0.02,
        "{mean} and {}",
        measures.mean_in_system
    );
    let (_, none) = scripted(&base(), &Pipeline::default(), 6.0, &[]);
    assert!(none.reports.is_empty());
}

#[test]
fn demand_is_reported_each_minute_after_the_delay() {
    let (measures, script) = scripted(&base(), &Pipeline::default(), 6.0, &[]);
    let sum: f64 = script.demand.iter().map(|(_, rate)| rate * 60.0).sum();
    assert!(sum > 0.97 * measures.requests.arrived as f64 && script.demand.len() >= 65);
    assert!(
        script
            .demand
            .windows(2)
            .all(|p| p[1].0 - p[0].0 == Span::from_seconds(60))
    );
}

#[test]
fn pods_that_go_finish_what_they_have() {
    let config = ClusterConfig {
        service: Times {
            mean: Span::from_seconds(20),
            shape: Shape::Constant,
        },
        ..base()
    };
    let (measures, _) = scripted(&config, &Pipeline::default(), 0.3, &[(300, 1), (600, 4)]);
    assert!(measures.requests.are_conserved());
    assert_eq!(measures.requests.rejected + measures.requests.timed_out, 0);
    assert_eq!((measures.actions, measures.flaps), (2, 1));
    // Four pods but for 300 s of one, the draining ones paid for until they are done.
    let four = 4.0 * 4000.0 / 60.0;
    assert!(
        measures.replica_minutes < four - 10.0 && measures.replica_minutes > four - 15.5,
        "{}",
        measures.replica_minutes
    );
}

#[test]
fn a_longer_flap_window_counts_more() {
    let asks = [(100, 2), (1000, 4), (1900, 2)];
    let flaps = |seconds| {
        let config = ClusterConfig {
            flap_window: Span::from_seconds(seconds),
            ..base()
        };
        scripted(&config, &Pipeline::default(), 2.0, &asks).0.flaps
    };
    assert_eq!((flaps(600), flaps(1200)), (0, 2));
}

#[test]
fn a_stricter_promise_is_broken_more_often() {
    let broken = |slo: &str| {
        still(
            &ClusterConfig {
                slo: slo.parse().unwrap(),
                ..base()
            },
            13.0,
        )
        .violations
    };
    let counts = ["wait<2s:99%", "wait<200ms:99%", "latency<500ms:99%"].map(broken);
    assert!(counts.is_sorted() && counts[0] < counts[2], "{counts:?}");
    let minutes = |slo: &str| {
        still(
            &ClusterConfig {
                slo: slo.parse().unwrap(),
                ..base()
            },
            13.0,
        )
        .violation_minutes
    };
    assert!(minutes("wait<200ms:99%") > minutes("wait<200ms:50%"));
}

#[test]
fn arrivals_in_clusters_wait_longer_than_even_ones() {
    let wait = |within| {
        let workload = Workload::Counts {
            start: Timestamp::EPOCH,
            step: Span::from_seconds(60),
            counts: vec![600; 60],
            within,
        };
        let m = run(
            &base(),
            &Pipeline::default(),
            &workload,
            Seed(2),
            &mut Unpiloted,
        )
        .unwrap();
        assert_eq!(m.requests.arrived, 36_000);
        m.wait.mean_seconds().unwrap()
    };
    let [uniform, poisson, bursty] = [Within::Uniform, Within::Poisson, Within::Bursty].map(wait);
    assert!(
        uniform < poisson && poisson * 2.0 < bursty,
        "{uniform} {poisson} {bursty}"
    );
}

#[test]
fn arrivals_that_jump_between_states_wait_longer_than_poisson_of_the_same_rate() {
    let wait = |workload: &Workload| {
        let m = run(
            &base(),
            &Pipeline::default(),
            workload,
            Seed(4),
            &mut Unpiloted,
        )
        .unwrap();
        m.wait.mean_seconds().unwrap()
    };
    let length = Span::from_seconds(20_000);
    let jumping = |rates: &str| Workload::Mmpp {
        start: Timestamp::EPOCH,
        parts: vec![(length, 1.0)],
        process: rates.parse().unwrap(),
    };
    let even = wait(&Workload::poisson(8.0, length));
    let (mild, wild) = (
        wait(&jumping("4/60s,12/60s")),
        wait(&jumping("1/60s,15/60s")),
    );
    assert!(even < mild && mild * 2.0 < wild, "{even} {mild} {wild}");
    let brief = wait(&jumping("1/1s,15/1s"));
    assert!(brief < wild / 2.0, "{brief}");
}

#[test]
fn a_gamma_and_a_table_lengthen_the_tail_as_their_spread_says() {
    let quantile = |shape, level| {
        let service = Times {
            mean: Span::from_millis(500),
            shape,
        };
        let m = still(&ClusterConfig { service, ..base() }, 4.0);
        m.latency.quantile_seconds(level).unwrap()
    };
    let [narrow, wide] = [0.3, 2.0].map(|cv| quantile(Shape::Gamma(cv), 0.99));
    assert!(wide > 2.0 * narrow, "{narrow} {wide}");
    let table = |high: f64| {
        let points = [(0.0, 100.0), (50.0, 200.0), (99.0, 400.0), (100.0, high)];
        let table = foresail_sim::service::Table::new(&points).unwrap();
        quantile(Shape::Table(table), 0.95)
    };
    // The mean stays: a longer end leaves less for the rest.
    assert!(table(40_000.0) < 0.9 * table(500.0));
}

#[test]
fn knobs_out_of_their_range_are_named_with_the_mend() {
    let check = |config: ClusterConfig, want: &str| {
        let error = run(
            &config,
            &Pipeline::default(),
            &load(1.0),
            Seed(1),
            &mut Unpiloted,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains(want), "{error}");
    };
    check(
        ClusterConfig {
            service: Times {
                mean: Span::ZERO,
                shape: Shape::Constant,
            },
            ..base()
        },
        "service: mean 0s: must be above 0",
    );
    check(
        ClusterConfig {
            startup: Times {
                mean: Span::from_seconds(5000),
                shape: Shape::Constant,
            },
            ..base()
        },
        "not shorter than the run",
    );
    check(
        ClusterConfig {
            concurrency: 0,
            ..base()
        },
        "concurrency",
    );
    check(
        ClusterConfig {
            timeout: Some(Span::ZERO),
            ..base()
        },
        "timeout",
    );
    let faults = |fault| faulty(vec![fault]);
    let (from, until) = seconds(5000, 6000);
    check(
        faults(Fault::MetricsGap { from, until }),
        "begin within the run",
    );
    let at = Span::from_seconds(10);
    check(
        faults(Fault::NodeLoss { at, nodes: 1 }),
        "nodeLoss needs nodes",
    );
    let small = NodeConfig {
        cpu_millicores: 500,
        ..NodeConfig::default()
    };
    let on_small = ClusterConfig {
        nodes: Some(small),
        ..base()
    };
    check(on_small, "fits on no node");
    let pull = ClusterConfig {
        image_pull: Some(times(3)),
        ..base()
    };
    check(pull, "imagePull: an image is pulled to a node");
    let lost = Pipeline {
        loss: 1.5,
        ..Pipeline::default()
    };
    let error = run(&base(), &lost, &load(1.0), Seed(1), &mut Unpiloted)
        .unwrap_err()
        .to_string();
    assert!(error.contains("loss: 1.5: must be 0 to 1"), "{error}");
}
