//! The shadow's score against twins: both policies really run, request by request, with chance that
//! the score never saw.
//!
//! A twin's record is what an observer sees of one run of the incumbent in event mode. The truth is
//! what both policies come to in event mode on fresh demand from the same rates, with fresh service
//! times; the rule is written here once more, on the real figures and without intervals. The full run
//! (100 seeds) prints the table of docs/shadow-score.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly, and the full run prints its table"
)]

mod twins;

use foresail::shadow_score::{Answer, Case, Known, Row, Verdict, judge, pods_of};
use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Spec;
use foresail_models::rng::Seed;
use foresail_sim::config::ClusterConfig;
use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use twins::{Told, table, twin};

fn tally(seeds: std::ops::RangeInclusive<u64>) -> Vec<Told> {
    seeds.into_par_iter().map(twin).collect()
}

fn right(told: &[Told]) -> usize {
    told.iter().filter(|t| t.answer == t.truth).count()
}

/// Nobody may be told the opposite of what is true.
fn opposite(told: &[Told]) -> usize {
    use Answer::{Better, Worse};
    let pairs = told.iter().map(|t| (t.answer, t.truth));
    pairs
        .filter(|p| matches!(p, (Better, Worse) | (Worse, Better)))
        .count()
}

#[test]
fn twins_are_judged_as_they_are() {
    let told = tally(1..=21);
    println!("{}", table(&told));
    // A few seeds scatter: the whole run below is the figure that counts.
    assert!(right(&told) * 4 >= told.len() * 3, "{} of 21", right(&told));
    assert_eq!(opposite(&told), 0);
}

/// The whole run; `cargo test -p foresail --test shadow_score -- --ignored --nocapture`.
#[test]
#[ignore = "a hundred seeds take minutes"]
fn a_hundred_twins_are_judged_as_they_are() {
    let told = tally(1..=100);
    println!("{}", table(&told));
    assert!(right(&told) >= 90, "{} of 100", right(&told));
    assert_eq!(opposite(&told), 0);
}

/// Rows at an even demand, with so many replicas.
fn rows(hours: i64, demand: f64, paid: u32) -> Vec<Row> {
    let begin = Timestamp::from_seconds(1_767_571_200);
    (0..=hours * 240)
        .map(|k| Row {
            demand: Some(demand),
            paid: Some(paid),
            ready: Some(paid),
            ..Row::at(begin + Span::from_seconds(15 * k))
        })
        .collect()
}

/// Above an HPA that wants `average` requests per second on each replica.
fn external(average: &str) -> Spec {
    let hpa: HpaSpec = serde_json::from_value(serde_json::json!({
        "minReplicas": 1, "maxReplicas": 50,
        "metrics": [{"type": "External", "external": {
            "metric": {"name": "rps"},
            "target": {"type": "AverageValue", "averageValue": average}}}],
    }))
    .unwrap();
    Spec::of_hpa(TargetId::new("shop/Deployment/web"), hpa)
}

fn judged(rows: &[Row], spec: &Spec) -> Verdict {
    let known = Known {
        capacity: Some(20.0),
        service: Span::from_seconds(1),
        ..Known::default()
    };
    let cluster = pods_of(spec, &known).unwrap();
    let case = Case {
        spec,
        cluster: &cluster,
        demand: None,
        settings: false,
        seed: Seed(1),
    };
    judge(rows, &case).unwrap()
}

/// An even demand of 25 at 10 a replica is 3 replicas: the closed form of both sides' cost.
#[test]
fn an_external_metric_reads_the_recorded_demand() {
    let verdict = judged(&rows(30, 25.0, 6), &external("10"));
    assert!((verdict.incumbent.replica_minutes - 30.0 * 60.0 * 6.0).abs() < 1e-6);
    // The way down from six waits for the stabilization window of five minutes.
    let ours = verdict.foresail.replica_minutes - 30.0 * 60.0 * 3.0;
    assert!((0.0..=3.0 * 7.0).contains(&ours), "{ours}");
    assert_eq!(verdict.verdict, Answer::Better, "{}", verdict.why);
    assert_eq!(verdict.calibration.unwrap().observed_percent, None);
}

#[test]
fn a_gap_counts_for_nobody_and_too_short_a_record_says_nothing() {
    let mut all = rows(40, 25.0, 6);
    // Six hours without demand and two without the incumbent.
    for row in &mut all[240 * 10..240 * 16] {
        row.demand = None;
    }
    for row in &mut all[240 * 20..240 * 22] {
        row.paid = None;
    }
    let verdict = judged(&all, &external("10"));
    assert_eq!(verdict.hours, 32);
    assert!(
        (480..=484).contains(&verdict.minutes_left_out),
        "{}",
        verdict.minutes_left_out
    );
    assert!((verdict.incumbent.replica_minutes / 60.0 / 6.0 - 32.0).abs() < 0.1);
    let short = judged(&all[..240 * 12], &external("10"));
    assert_eq!(short.verdict, Answer::Insufficient);
    assert!(short.why.contains("10.0 hours"), "{}", short.why);
    let never: Vec<Row> = all.iter().map(|r| Row { paid: None, ..*r }).collect();
    assert_eq!(
        judged(&never, &external("10")).verdict,
        Answer::Insufficient
    );
}

#[test]
fn the_same_record_and_seed_give_the_same_verdict() {
    let (all, spec) = (rows(26, 33.0, 4), external("10"));
    assert_eq!(judged(&all, &spec), judged(&all, &spec));
}

/// A week of syncs; prints what it takes.
#[test]
fn a_week_is_judged_in_time() {
    let mut all = rows(168, 0.0, 3);
    for (k, row) in all.iter_mut().enumerate() {
        let day = (k as f64 / 5760.0 * std::f64::consts::TAU).sin();
        row.demand = Some(30.0 + 20.0 * day + (k * 7919 % 13) as f64);
        row.paid = Some(4 + (k as u32 / 240) % 5);
        row.ready = row.paid;
        row.late = Some(0.002 * (k % 11) as f64);
    }
    let mut spec = external("10");
    spec.proposers = vec![foresail_core::spec::ProposerSpec::named("predictive")];
    // The thread's own time: other work may share the machine.
    let spent = || clock_gettime(ClockId::ThreadCPUTime);
    let begin = spent();
    let verdict = judged(&all, &spec);
    let took = spent().tv_sec - begin.tv_sec;
    println!("a week of {} rows: {took} s, {}", all.len(), verdict.why);
    assert_eq!(verdict.hours, 168);
    assert!(took < 12, "{took} s");
}

#[test]
fn a_bad_spec_or_cluster_is_an_error_and_no_panic() {
    let all = rows(26, 10.0, 2);
    let spec = external("10");
    let refused = |cluster: &ClusterConfig, spec: &Spec| {
        let case = Case {
            spec,
            cluster,
            demand: None,
            settings: false,
            seed: Seed(1),
        };
        assert!(judge(&all, &case).is_err());
    };
    let none = ClusterConfig {
        concurrency: 0,
        ..ClusterConfig::default()
    };
    refused(&none, &spec);
    let mut empty = spec.clone();
    empty.targets.clear();
    refused(&ClusterConfig::default(), &empty);
    let mut twice = all.clone();
    twice[3].at = twice[2].at;
    let case = Case {
        spec: &spec,
        cluster: &ClusterConfig::default(),
        demand: None,
        settings: false,
        seed: Seed(1),
    };
    let error = format!("{:#}", judge(&twice, &case).unwrap_err());
    assert!(error.contains("row 4"), "{error}");
}
