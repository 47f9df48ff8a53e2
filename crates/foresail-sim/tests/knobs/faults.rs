//! Faults, one by one.

use super::places::{asked, on_nodes, replicas, times};
use super::*;

pub(super) fn faulty(faults: Vec<Fault>) -> ClusterConfig {
    ClusterConfig { faults, ..base() }
}

pub(super) fn seconds(from: i64, until: i64) -> (Span, Span) {
    (Span::from_seconds(from), Span::from_seconds(until))
}

#[test]
fn each_fault_of_metrics_shows_in_its_time_alone() {
    let (from, until) = seconds(1000, 1600);
    let look = |fault| scripted(&faulty(vec![fault]), &Pipeline::default(), 4.0, &[]).1;
    let sound = scripted(&base(), &Pipeline::default(), 4.0, &[]).1;
    let ages = |s: &Script, from, until| -> Vec<i64> {
        let within = |t: &&(i64, i64, Option<i64>)| (from..until).contains(&t.0);
        s.seen.iter().filter(within).map(|t| t.1).collect()
    };
    let gap = look(Fault::MetricsGap { from, until });
    assert!(ages(&gap, 1000, 1600).is_empty(), "nothing is read");
    assert_eq!(ages(&gap, 0, 1000), ages(&sound, 0, 1000));
    assert_eq!(
        sound.demand.len() - gap.demand.len(),
        10,
        "ten minutes were never measured"
    );
    let stale = look(Fault::StaleMetrics { from, until });
    assert!(ages(&stale, 1500, 1600).iter().all(|a| *a >= 500));
    assert_eq!(
        stale.demand.len(),
        sound.demand.len(),
        "they come in the end"
    );
    let nan = look(Fault::NanMetrics { from, until });
    assert_eq!(nan.demand.iter().filter(|d| d.1.is_nan()).count(), 10);
    let by = Span::from_seconds(120);
    let late = look(Fault::LateMetrics { from, until, by });
    let younger = ages(&sound, 1200, 1600).into_iter().min().unwrap();
    assert_eq!(
        ages(&late, 1200, 1600).into_iter().min(),
        Some(younger + 120)
    );
    assert_eq!(ages(&late, 1700, 4000), ages(&sound, 1700, 4000));
}

#[test]
fn slow_starts_make_starts_slow_while_they_last() {
    let (from, until) = seconds(50, 500);
    let ready = |factor: Option<f64>| {
        let faults = factor.map(|factor| Fault::SlowStarts {
            from,
            until,
            factor,
        });
        let config = ClusterConfig {
            startup: times(20),
            ..faulty(faults.into_iter().collect())
        };
        let asks = vec![(100, replicas(6)), (1000, replicas(8))];
        let (_, seen) = asked(&config, 2.0, asks);
        [135, 170, 1035].map(|s| seen.ready_at(s))
    };
    assert_eq!(ready(None), [6, 6, 8]);
    assert_eq!(ready(Some(3.0)), [4, 6, 8]);
    assert_eq!(ready(Some(30.0)), [4, 4, 8], "there after 600 s");
}

#[test]
fn a_lost_node_takes_its_pods_along_and_they_are_made_anew() {
    let config = |nodes| {
        let mut config = on_nodes(NodeConfig {
            initial: 3,
            ..NodeConfig::default()
        });
        config.initial = 6;
        let at = Span::from_seconds(1000);
        config.faults = if nodes > 0 {
            vec![Fault::NodeLoss { at, nodes }]
        } else {
            Vec::new()
        };
        config
    };
    let (none, _) = asked(&config(0), 20.0, Vec::new());
    let (one, seen) = asked(&config(1), 20.0, Vec::new());
    let (two, _) = asked(&config(2), 20.0, Vec::new());
    assert_eq!(
        (seen.ready_at(990), seen.ready_at(1005), seen.ready_at(1125)),
        (6, 4, 6)
    );
    assert_eq!(none.requests.crashed, 0);
    assert!(two.requests.crashed > one.requests.crashed && one.requests.crashed > 0);
    assert!(two.requests.are_conserved() && one.requests.are_conserved());
}
