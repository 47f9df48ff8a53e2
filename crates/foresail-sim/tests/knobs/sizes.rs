//! Knobs by the size of what they do: forms of times, samples, and what a policy makes of its own.

use std::collections::BTreeMap;

use foresail_core::propose::plan::TargetId;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::run::run_one;
use foresail_sim::experiment::{Item, Setup, default_policies};

use super::*;

/// Start-ups of the pods that were ready at the last sync, in seconds.
#[derive(Default)]
struct Starts {
    asks: u32,
    took: Vec<f64>,
}

impl Pilot for Starts {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        let ready = seen.pods.iter().filter(|p| p.ready);
        let took = ready.map(|p| (p.ready_changed_at - p.created_at).seconds());
        self.took = took.filter(|s| *s > 0.0).collect();
        Some(Setting::replicas(Replicas::new(self.asks)))
    }
}

#[test]
fn start_ups_have_the_mean_and_the_spread_of_their_form() {
    for (shape, cv) in [
        (Shape::Constant, 0.0),
        (Shape::Exponential, 1.0),
        (Shape::Lognormal(0.5), 0.5),
        (Shape::Gamma(0.3), 0.3),
    ] {
        let mean = Span::from_seconds(60);
        let config = ClusterConfig {
            startup: Times { mean, shape },
            ..base()
        };
        let mut starts = Starts {
            asks: 2004,
            took: Vec::new(),
        };
        let pipeline = Pipeline::default();
        run(&config, &pipeline, &load(1.0), Seed(6), &mut starts).unwrap();
        let n = starts.took.len() as f64;
        let mean = starts.took.iter().sum::<f64>() / n;
        let variance = starts.took.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
        assert!(n > 1990.0, "{shape:?}: {n}");
        assert!((mean / 60.0 - 1.0).abs() < 0.08, "{shape:?}: mean {mean}");
        let spread = variance.sqrt() / mean;
        assert!((spread - cv).abs() < 0.08, "{shape:?}: spread {spread}");
    }
}

#[test]
fn service_times_have_the_tail_of_their_form() {
    // Hardly anybody waits: 2 a second on 8 slots of half a second. Times the mean, at 99 %.
    for (shape, want, within) in [
        (Shape::Constant, 1.0, 0.02),
        (Shape::Exponential, 4.605, 0.1),
        (Shape::Lognormal(1.0), 4.905, 0.15),
        (Shape::Lognormal(3.0), 10.79, 0.25),
    ] {
        let mean = Span::from_millis(500);
        let service = Times { mean, shape };
        let m = still(&ClusterConfig { service, ..base() }, 2.0);
        let p99 = m.latency.quantile_seconds(0.99).unwrap() / 0.5;
        assert!((p99 / want - 1.0).abs() < within, "{shape:?}: {p99}");
    }
}

#[test]
fn a_rarer_scrape_makes_samples_older_by_half_of_it_and_wider() {
    let ages = |scrape| {
        let pipeline = Pipeline {
            scrape: Span::from_seconds(scrape),
            ..Pipeline::default()
        };
        let seen = scripted(&base(), &pipeline, 4.0, &[]).1.seen;
        let mut ages: Vec<i64> = seen.iter().map(|s| s.1).collect();
        let mean = ages.iter().sum::<i64>() as f64 / ages.len() as f64;
        ages.sort_unstable();
        ages.dedup();
        let widths = seen.iter().all(|s| s.2 == Some(scrape.max(30)));
        (ages, mean, widths)
    };
    assert_eq!(ages(15), (vec![30], 30.0, true));
    let (seen, mean, widths) = ages(60);
    assert!(widths, "a window is no shorter than a scrape");
    assert_eq!(seen, [30, 45, 60, 75]);
    assert!((mean - 52.5).abs() < 0.5, "{mean}");
}

#[test]
fn a_share_of_the_reports_of_concurrency_is_lost_and_the_rest_is_true() {
    let reports = |loss| {
        let pipeline = Pipeline {
            loss,
            ..Pipeline::knative()
        };
        scripted(&base(), &pipeline, 6.0, &[]).1.reports
    };
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (all, half) = (reports(0.0), reports(0.5));
    let share = half.len() as f64 / all.len() as f64;
    assert!((share - 0.5).abs() < 0.03, "{share}");
    assert!((mean(&half) / mean(&all) - 1.0).abs() < 0.05);
    assert!(reports(1.0).is_empty());
}

#[test]
fn pods_at_the_begin_are_there_at_once_and_paid_for() {
    for initial in [1, 4, 8] {
        let m = still(&ClusterConfig { initial, ..base() }, 1.0);
        assert_eq!(m.minutes[0].ready, f64::from(initial));
        let paid = f64::from(initial) * 4000.0 / 60.0;
        assert!((m.replica_minutes - paid).abs() < 1e-6);
    }
}

/// A setup with room for policies.
pub(super) fn setup(cluster: ClusterConfig) -> Setup {
    Setup {
        resources: BTreeMap::new(),
        cluster,
        pipeline: Pipeline::default(),
        min: 1,
        max: 50,
        hpa_target_percent: 80,
        schedule: Vec::new(),
        target: TargetId::new("test/Deployment/web"),
        aapa: BTreeMap::new(),
        own: None,
    }
}

pub(super) fn item(setup: Setup, workload: Workload) -> Item {
    Item {
        id: "web".to_owned(),
        workload,
        setup,
    }
}

/// Replicas in the middle of the second half of a run under the HPA, at 16 requests a second of 250
/// thousandths of a core each: four cores.
fn under_hpa(change: impl Fn(&mut Setup)) -> f64 {
    let mut setup = setup(ClusterConfig {
        concurrency: 10,
        startup: places::times(10),
        ..base()
    });
    change(&mut setup);
    let item = item(setup, load(16.0));
    let hpa = default_policies(&item.setup, 16.0, 16.0)
        .into_iter()
        .find(|p| p.name == "hpa")
        .unwrap();
    let (m, _) = run_one(&item, &hpa, Seed(8), Deaf).unwrap();
    let late = &m.minutes[m.minutes.len() / 2..];
    late.iter().map(|row| f64::from(row.current)).sum::<f64>() / late.len() as f64
}

#[test]
fn the_hpas_target_and_the_cpu_request_set_its_replicas() {
    // Tolerance and the high values of five minutes let it stand a little above the ratio.
    for (target, request, want) in [(80, 1000, 5.0), (40, 1000, 10.0), (80, 500, 10.0)] {
        let got = under_hpa(|setup| {
            setup.hpa_target_percent = target;
            setup.cluster.cpu_request_millicores = request;
        });
        let range = want * 0.95..want * 1.35;
        assert!(range.contains(&got), "{target} % of {request}m: {got}");
    }
}

#[test]
fn the_bounds_hold_the_replicas() {
    assert_eq!(under_hpa(|setup| setup.min = 12), 12.0);
    assert_eq!(under_hpa(|setup| setup.max = 3), 3.0);
}
