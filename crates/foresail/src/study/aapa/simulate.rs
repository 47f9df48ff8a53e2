//! Every policy on every function, and what each came to.

use anyhow::{Context, Result};
use foresail_core::value::rei::{Rei, Run};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::frontier;
use foresail_sim::experiment::run::run_one;
use foresail_sim::fluid::fly_plan;
use foresail_sim::fluid::oracle::prices;
use foresail_sim::function::Platform;
use foresail_sim::function::policy::histogram;
use foresail_sim::metrics::histogram::Histogram;
use foresail_sim::metrics::measure::{Measures, MinuteRow};
use rayon::prelude::*;

use super::subjects::{SLO, Subject};
use crate::compare::function_mode;
use crate::compare::plan::{policies_of, rates};
use crate::compare::reference::{game_of, price_of_a_request};

/// Policies that are run one by one; the plain HPA first.
pub(super) const POLICIES: [&str; 6] = [
    "hpa",
    "holt-winters",
    "kpa",
    "predictive",
    "aapa",
    "aapa-published",
];

/// The policy of function mode, the one that knows the future, and the HPA's settings.
pub(super) const KEEP: &str = "keepalive-histogram";
pub(super) const ORACLE: &str = "oracle";

/// Every so many of the oracle's prices is looked at: each is then twice the one before.
const EVERY: usize = 4;

/// What one policy came to on one function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: f64,
    /// Requests that broke the promise, those never served included.
    pub(super) violations: f64,
    pub(super) replica_minutes: f64,
    pub(super) cold_starts: f64,
    /// Mean time until the answer in milliseconds.
    pub(super) response_ms: f64,
    pub(super) wait_p95_ms: f64,
    pub(super) wait_p99_ms: f64,
    /// Changes of the number of replicas.
    pub(super) changes: f64,
    /// The parts of the index.
    pub(super) rei: Rei,
    /// Requests, violations and ready replicas of every minute, for the picture.
    pub(super) minutes: Vec<MinuteRow>,
}

impl Figures {
    fn of(measured: &Measures, subject: &Subject) -> Self {
        let ms = |seconds: Option<f64>| seconds.unwrap_or(0.0) * 1000.0;
        let requests = measured.requests.arrived as f64;
        let violations = measured.violations as f64;
        let hours = measured.minutes.len() as f64 / 60.0;
        let served = measured.requests.served as f64;
        let rei = Rei::of(&Run {
            requests,
            violations,
            busy_minutes: served * subject.run_time.seconds() / 60.0,
            replica_minutes: measured.replica_minutes,
            flaps_per_minute: flaps_per_minute(&measured.minutes),
            changes_per_hour: measured.actions as f64 / hours,
        });
        Self {
            requests,
            violations,
            replica_minutes: measured.replica_minutes,
            cold_starts: measured.cold_starts as f64,
            response_ms: ms(measured.latency.mean_seconds()),
            wait_p95_ms: ms(measured.wait.quantile_seconds(0.95)),
            wait_p99_ms: ms(measured.wait.quantile_seconds(0.99)),
            changes: measured.actions as f64,
            rei,
            minutes: measured.minutes.clone(),
        }
    }

    /// Share of the requests that broke the promise, in percent.
    pub(super) fn violations_percent(&self) -> f64 {
        self.violations * 100.0 / self.requests.max(1.0)
    }
}

/// Changes of direction over all minutes but the first.
///
/// Source: GuilinDev/aapa-simulator:src/utils/metrics.py (its rate of turns, there over ticks).
fn flaps_per_minute(minutes: &[MinuteRow]) -> f64 {
    let moves = minutes
        .windows(2)
        .map(|w| i64::from(w[1].current) - i64::from(w[0].current));
    let moved: Vec<i64> = moves.filter(|m| *m != 0).collect();
    let turns = moved.windows(2).filter(|w| w[0].signum() != w[1].signum());
    turns.count() as f64 / minutes.len().saturating_sub(1).max(1) as f64
}

/// Every policy on one function.
#[derive(Clone, Debug)]
pub(super) struct Flown {
    /// In the order of [`POLICIES`], then keep-alive and oracle.
    pub(super) policies: Vec<(&'static str, Figures)>,
    /// The plain HPA's settings: CPU target in percent, down window in seconds.
    pub(super) settings: Vec<((u32, i32), Figures)>,
}

/// Flies every policy on every function; `done` is called after each function.
///
/// # Errors
/// Where a policy cannot be run.
pub(super) fn fly_all(subjects: &[Subject], done: &(dyn Fn(&str) + Sync)) -> Result<Vec<Flown>> {
    let flown: Vec<Result<Flown>> = subjects
        .par_iter()
        .map(|subject| {
            let flown = fly(subject).with_context(|| subject.item.id.clone());
            done(&subject.item.id);
            flown
        })
        .collect();
    flown.into_iter().collect()
}

fn fly(subject: &Subject) -> Result<Flown> {
    let mut policies = Vec::new();
    for name in POLICIES {
        policies.push((name, flown_by(subject, name)?));
    }
    policies.push((KEEP, kept_alive(subject)?));
    policies.push((ORACLE, foreseen(subject)?));
    let item = &subject.item;
    let mut settings = Vec::new();
    for (target, window, policy) in frontier(&item.setup, rates(item).1) {
        let (measured, _) = run_one(item, &policy, subject.seed, Deaf)?;
        let mut figures = Figures::of(&measured, subject);
        figures.minutes = Vec::new();
        settings.push(((target, window), figures));
    }
    Ok(Flown { policies, settings })
}

/// What a named policy comes to on a function.
///
/// # Errors
/// Where there is no such policy or it cannot be run.
pub(super) fn flown_by(subject: &Subject, name: &str) -> Result<Figures> {
    let policy = policies_of(&subject.item)
        .into_iter()
        .find(|p| p.name == name);
    let policy = policy.with_context(|| format!("there is no policy {name}"))?;
    let (measured, _) = run_one(&subject.item, &policy, subject.seed, Deaf)?;
    Ok(Figures::of(&measured, subject))
}

/// Function mode: containers that stay for a time, as many as there are calls at once.
fn kept_alive(subject: &Subject) -> Result<Figures> {
    let functions = std::slice::from_ref(&subject.function);
    let platform = Platform {
        cold_start: subject.item.setup.cluster.startup,
        ..Platform::default()
    };
    let scene = (&platform, functions);
    let (measured, _) = function_mode::fly(&histogram(), scene, None, subject.seed, Deaf)?;
    let ms = |seconds: Option<f64>| seconds.unwrap_or(0.0) * 1000.0;
    let requests = measured.requests.arrived as f64;
    let late = share_above(&measured.wait, SLO.below.seconds() * 1000.0);
    let unserved = requests - measured.requests.served as f64;
    let violations = late * measured.requests.served as f64 + unserved;
    let container_minutes = measured.memory_time() * 1e9 / subject.function.memory as f64 / 60.0;
    let busy_minutes = measured.requests.served as f64 * subject.run_time.seconds() / 60.0;
    Ok(Figures {
        requests,
        violations,
        replica_minutes: container_minutes,
        cold_starts: measured.cold_starts() as f64,
        response_ms: ms(measured.latency.mean_seconds()),
        wait_p95_ms: ms(measured.wait.quantile_seconds(0.95)),
        wait_p99_ms: ms(measured.wait.quantile_seconds(0.99)),
        // Containers come with calls: there is no number of them that anybody changes.
        changes: 0.0,
        rei: Rei::of(&Run {
            requests,
            violations,
            busy_minutes,
            replica_minutes: container_minutes,
            flaps_per_minute: 0.0,
            changes_per_hour: 0.0,
        }),
        minutes: Vec::new(),
    })
}

/// Share of the times above a number of milliseconds, to the width of a bucket.
fn share_above(times: &Histogram, ms: f64) -> f64 {
    let below = times
        .tail()
        .into_iter()
        .take_while(|(upper, _)| *upper <= ms);
    below.last().map_or(1.0, |(_, above)| above)
}

/// The cheapest plan of one who knows all demand and keeps the promise, or breaks it least.
fn foreseen(subject: &Subject) -> Result<Figures> {
    let item = &subject.item;
    let game = game_of(item)?;
    let allowed = (1.0 - SLO.share) * game.requests();
    let mut best = None;
    for price in prices(price_of_a_request(&item.setup.cluster))
        .into_iter()
        .step_by(EVERY)
    {
        let solution = game.cheapest(price);
        let keeps = solution.violations <= allowed;
        best = Some(solution);
        if keeps {
            break;
        }
    }
    let solution = best.context("the oracle found no plan")?;
    let (measured, _) = fly_plan(item, &solution.plan, subject.seed, Deaf)?;
    Ok(Figures::of(&measured, subject))
}
