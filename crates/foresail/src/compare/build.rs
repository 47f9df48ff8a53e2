//! Runs the plan and builds the report's model.

use anyhow::{Context, Result};
use foresail_adapters::results::Table;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::weeks::{Day, days};
use foresail_sim::experiment::{Item, Outcome, Policy, frontier, run_all};
use foresail_sim::metrics::measure::{Measures, MinuteRow};
use foresail_web::read_model::{
    ArchetypeRun, Assumption, FrontierPoint, OwnReport, PolicyReport, RunReport, VERSION,
    WorkloadReport,
};
use rayon::prelude::*;

use super::fluid_mode;
use super::headline::headline;
use super::listen::Rows;
use super::measures::measures;
use super::options::{ModeArg, Options};
use super::paired::ByDay;
use super::plan::{Plan, policies_of, rates};
use super::reference::reference;
use super::regret::{self, Oracle};
use super::verdict::{self, Case, Tried};

/// The most buckets of a series in the report.
const BUCKETS_MAX: usize = 1500;

/// The longest explanation that is shown on hover, and the most of one policy.
const TOLD_MAX: usize = 1500;

/// A finished comparison.
#[derive(Debug)]
pub struct Comparison {
    /// The report's model.
    pub report: RunReport,
    /// A row per tick that changed anything, and one a minute.
    pub ticks: Table,
}

/// Runs every policy of the plan and the HPA's frontier; `done` is called after each run.
///
/// # Errors
/// Where a policy cannot be run.
pub fn compare(
    options: &Options,
    plan: &Plan,
    command: &str,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Comparison> {
    if options.args.mode == ModeArg::Fluid {
        return fluid_mode::compare(options, plan, command, done);
    }
    let seed = options.seed;
    let runs: Vec<_> = plan
        .policies
        .par_iter()
        .map(|name| {
            let named = |item: &Item| {
                let mut policies = policies_of(item);
                let place = policies.iter().position(|p| p.name == *name).unwrap_or(0);
                policies.swap_remove(place)
            };
            let rows = |i: usize| Rows::new(name, &plan.items[i].id);
            let outcome = run_all(&plan.items, named, seed, rows);
            done(name);
            outcome.map(|o| (named(&plan.items[0]), o))
        })
        .collect();
    let tried = match &options.own {
        Some(own) => verdict::search(plan, own, options, done)?,
        None => Vec::new(),
    };
    let (frontier, settings_by_day) = if tried.is_empty() {
        run_frontier(options, plan, done)?
    } else {
        tried.iter().map(|t| (point(t), t.days.clone())).unzip()
    };
    let corners = reference(options, plan, done).context("the comparison stopped")?;
    let mut policies = Vec::new();
    let mut rows = Vec::new();
    let mut workload = None;
    let (mut kept, mut by_day) = (Vec::new(), Vec::new());
    for run in runs {
        let (
            policy,
            Outcome {
                measures: measured,
                listeners,
            },
        ) = run.context("the comparison stopped")?;
        let workload = workload.get_or_insert_with(|| workload_report(plan, &measured));
        let told = told(&listeners, workload);
        let archetypes = archetypes(&listeners, workload);
        rows.extend(listeners);
        by_day.push((
            policy.name.clone(),
            days(&measured.minutes, options.slo.share),
        ));
        if options.own.is_some() {
            kept.push((policy.name.clone(), measured.clone()));
        }
        let pipeline = pipeline_text(&policy);
        let summary = policy.summary;
        let report = policy_report(
            policy.name,
            summary,
            pipeline,
            &measured,
            told,
            options,
            workload,
        );
        policies.push(PolicyReport {
            archetypes,
            ..report
        });
    }
    let workload = workload.context("no policy was run")?;
    let oracle = Oracle {
        corners,
        requests: workload.requests as f64,
        exact: false,
    };
    let own = judged(options, plan, &kept, &tried)?;
    let parts = Parts {
        policies,
        frontier,
        oracle,
        workload,
        notes: Vec::new(),
        own,
        by_day: ByDay {
            policies: by_day,
            settings: settings_by_day,
            minutes_of_one: plan.items.len() == 1,
        },
    };
    Ok(Comparison {
        report: report(options, plan, command, parts),
        ticks: Rows::table(rows),
    })
}

/// What the runs of a comparison came to.
pub(super) struct Parts {
    pub(super) policies: Vec<PolicyReport>,
    pub(super) frontier: Vec<FrontierPoint>,
    pub(super) oracle: Oracle,
    pub(super) workload: WorkloadReport,
    /// Sentences that come before those of the plan.
    pub(super) notes: Vec<String>,
    pub(super) own: Option<OwnReport>,
    pub(super) by_day: ByDay,
}

/// The report's model, from what the runs came to.
pub(super) fn report(options: &Options, plan: &Plan, command: &str, parts: Parts) -> RunReport {
    let Parts {
        mut policies,
        frontier,
        oracle,
        workload,
        notes: first,
        own,
        by_day,
    } = parts;
    let (headline, mut notes) = headline(&policies, &frontier, &options.slo);
    regret::add(&mut policies, &oracle);
    notes.extend(regret::note(&oracle, &options.slo));
    notes.extend(first);
    notes.extend(plan.notes.iter().cloned());
    if !plan.policies.iter().any(|p| p == "schedule") && options.args.policies == "all" {
        notes
            .push("Policy schedule is left out: no rules were given (--schedule FILE).".to_owned());
    }
    RunReport {
        v: VERSION,
        own,
        paired: by_day.report(plan.items[0].workload.start(), options.seed),
        title: plan.name.clone(),
        headline,
        notes,
        workload,
        slo: options.slo.to_string(),
        command: command.to_owned(),
        assumptions: assumptions(options, plan),
        policies,
        frontier,
        oracle: Some(oracle.report()),
        tradeoffs: Vec::new(),
    }
}

/// The verdict on the user's own HPA, where one was given and run.
fn judged(
    options: &Options,
    plan: &Plan,
    kept: &[(String, Measures)],
    tried: &[Tried],
) -> Result<Option<OwnReport>> {
    let of = |name: &str| kept.iter().find(|(n, _)| n == name).map(|(_, m)| m);
    let (Some(own), Some(yours)) = (&options.own, of("hpa")) else {
        return Ok(None);
    };
    let case = Case {
        plan,
        own,
        options,
        yours,
        predictive: of("predictive-hpa"),
        tried,
    };
    case.judge().map(Some)
}

/// What a policy gets to see, in one line.
pub(super) fn pipeline_text(policy: &Policy) -> String {
    let looks = policy.reads_cpu || policy.pipeline.concurrency;
    if looks {
        policy.pipeline.text()
    } else {
        "looks at nothing".to_owned()
    }
}

fn point(tried: &Tried) -> FrontierPoint {
    FrontierPoint {
        target_percent: tried.choice.target_percent,
        down_window_seconds: tried.choice.down_window_seconds.unwrap_or_default(),
        cost: tried.cost,
        violations_percent: tried.violations_percent,
    }
}

fn run_frontier(
    options: &Options,
    plan: &Plan,
    done: &(dyn Fn(&str) + Sync),
) -> Result<(Vec<FrontierPoint>, Vec<Vec<Day>>)> {
    let count = plan
        .items
        .first()
        .map_or(0, |i| frontier(&i.setup, 0.0).len());
    let points: Vec<Result<(FrontierPoint, Vec<Day>)>> = (0..count)
        .into_par_iter()
        .map(|place| {
            let of = |item: &Item| frontier(&item.setup, rates(item).1).swap_remove(place);
            let (target_percent, down_window_seconds, _) = of(&plan.items[0]);
            let outcome = run_all(&plan.items, |item| of(item).2, options.seed, |_| Deaf)?;
            done("hpa frontier");
            let measured = outcome.measures;
            let violations_percent =
                measured.violations as f64 * 100.0 / measured.requests.arrived.max(1) as f64;
            let point = FrontierPoint {
                target_percent,
                down_window_seconds,
                cost: measured.cost,
                violations_percent,
            };
            Ok((point, days(&measured.minutes, options.slo.share)))
        })
        .collect();
    points.into_iter().collect()
}

/// Minutes of one bucket, so that no series has more than [`BUCKETS_MAX`].
pub(super) fn minutes_per_bucket(minutes: usize) -> usize {
    let least = minutes.div_ceil(BUCKETS_MAX).max(1);
    let round = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440];
    round.into_iter().find(|r| *r >= least).unwrap_or(least)
}

fn per_bucket(minutes: &[MinuteRow], of: impl Fn(&[MinuteRow]) -> f64) -> Vec<f64> {
    minutes
        .chunks(minutes_per_bucket(minutes.len()))
        .map(of)
        .collect()
}

fn mean(rows: &[MinuteRow], of: impl Fn(&MinuteRow) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64
}

pub(super) fn workload_report(plan: &Plan, measured: &Measures) -> WorkloadReport {
    let first = &plan.items[0].workload;
    let bucket = minutes_per_bucket(measured.minutes.len());
    WorkloadReport {
        name: plan.name.clone(),
        summary: plan.summary.clone(),
        from: first.start().to_string(),
        to: (first.start() + first.length()).to_string(),
        start_seconds: first.start().seconds_floor(),
        bucket_seconds: bucket as i64 * 60,
        items: plan.items.len(),
        requests: measured.requests.arrived,
        demand: per_bucket(&measured.minutes, |rows| {
            mean(rows, |r| f64::from(r.arrivals) / 60.0)
        }),
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "each is one part of the report, named where it is called"
)]
pub(super) fn policy_report(
    name: String,
    summary: String,
    pipeline: String,
    measured: &Measures,
    told: Vec<(usize, String)>,
    options: &Options,
    workload: &WorkloadReport,
) -> PolicyReport {
    debug_assert_eq!(
        workload.requests, measured.requests.arrived,
        "every policy gets the same arrivals"
    );
    let minutes = &measured.minutes;
    PolicyReport {
        name,
        summary,
        pipeline,
        measures: measures(measured, &options.slo.to_string()),
        ready: per_bucket(minutes, |rows| mean(rows, |r| r.ready)),
        current: per_bucket(minutes, |rows| {
            rows.last().map_or(0.0, |r| f64::from(r.current))
        }),
        capacity: per_bucket(minutes, |rows| mean(rows, |r| r.capacity)),
        violations: per_bucket(minutes, |rows| {
            rows.iter().map(|r| f64::from(r.violations)).sum()
        }),
        wait_tail: thinned(&measured.wait.tail()),
        told,
        archetypes: Vec::new(),
    }
}

/// A tail of at most about 150 points: the first and last are kept.
pub(super) fn thinned(tail: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = tail.len().div_ceil(150).max(1);
    let last = tail.len().saturating_sub(1);
    let kept = tail
        .iter()
        .enumerate()
        .filter(|(i, _)| i % every == 0 || *i == last);
    kept.map(|(_, point)| *point).collect()
}

/// The archetypes of the first run, each from its first bucket on.
pub(super) fn archetypes(listeners: &[Rows], workload: &WorkloadReport) -> Vec<ArchetypeRun> {
    let mut runs: Vec<ArchetypeRun> = Vec::new();
    for (at, archetype, confidence_percent) in listeners.iter().take(1).flat_map(|l| &l.archetypes)
    {
        let run = ArchetypeRun {
            from: bucket_of(*at, workload),
            archetype: archetype.map_or_else(String::new, |a| a.to_string()),
            confidence_percent: *confidence_percent,
        };
        // Of what changes within a bucket the last is shown.
        match runs.last_mut() {
            Some(last) if last.from == run.from => *last = run,
            _ => runs.push(run),
        }
    }
    runs
}

/// The bucket that a time lies in.
fn bucket_of(at: Timestamp, workload: &WorkloadReport) -> usize {
    let start = Timestamp::from_seconds(workload.start_seconds);
    let bucket = Span::from_seconds(workload.bucket_seconds);
    usize::try_from((at - start).nanos() / bucket.nanos().max(1)).unwrap_or(0)
}

/// The largest change of each bucket, and of those the largest ones where there are too many.
pub(super) fn told(listeners: &[Rows], workload: &WorkloadReport) -> Vec<(usize, String)> {
    let mut largest: Vec<Option<(u32, &str)>> = vec![None; workload.demand.len()];
    for (at, size, text) in listeners.iter().flat_map(|l| &l.told) {
        let index = bucket_of(*at, workload).min(largest.len().saturating_sub(1));
        if largest[index].is_none_or(|(most, _)| *size >= most) {
            largest[index] = Some((*size, text));
        }
    }
    let mut kept: Vec<(usize, u32, &str)> = largest
        .iter()
        .enumerate()
        .filter_map(|(i, l)| l.map(|(size, text)| (i, size, text)))
        .collect();
    kept.sort_by_key(|(i, size, _)| (std::cmp::Reverse(*size), *i));
    kept.truncate(TOLD_MAX);
    kept.sort_by_key(|(i, ..)| *i);
    kept.into_iter()
        .map(|(i, _, text)| (i, text.to_owned()))
        .collect()
}

fn assumptions(options: &Options, plan: &Plan) -> Vec<Assumption> {
    let setup = &plan.items[0].setup;
    let cluster = &setup.cluster;
    let one = |name: &str, value: String, change: &str| Assumption {
        name: name.to_owned(),
        value,
        change: change.to_owned(),
    };
    let shape = |shape: foresail_sim::config::Shape| match shape {
        foresail_sim::config::Shape::Constant => "constant".to_owned(),
        foresail_sim::config::Shape::Exponential => "exponential".to_owned(),
        foresail_sim::config::Shape::Lognormal(cv) => {
            format!("lognormal, coefficient of variation {cv}")
        }
        foresail_sim::config::Shape::Gamma(cv) => format!("gamma, coefficient of variation {cv}"),
        foresail_sim::config::Shape::Table(_) => "the trace's percentiles".to_owned(),
    };
    let per_second = |rate| format!("{} req/s", foresail_adapters::results::six_digits(rate));
    let absent = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let own = if options.args.durations.is_some() {
        " (of the busiest item; each has its own)"
    } else {
        ""
    };
    vec![
        one("promise", options.slo.to_string(), "--slo"),
        one(
            "service time",
            format!(
                "mean {}, {}{own}",
                cluster.service.mean,
                shape(cluster.service.shape)
            ),
            "--service, --service-shape",
        ),
        one(
            "requests at once per pod",
            cluster.concurrency.to_string(),
            "--concurrency",
        ),
        one(
            "CPU request of a pod",
            format!("{}m", cluster.cpu_request_millicores),
            "--cpu-request",
        ),
        one(
            "CPU time of a mean request",
            cluster.cpu_per_request.to_string(),
            "--cpu-per-request",
        ),
        one(
            "demand that fills a replica's CPU request",
            per_second(cluster.request_capacity()),
            "follows from the four above; replicas are sized by it",
        ),
        one(
            "demand that a replica can serve",
            per_second(cluster.full_capacity()),
            if cluster.cpu_bound {
                "follows from service time, requests at once and CPU, which requests share"
            } else {
                "follows from service time and requests at once; CPU holds none of them back"
            },
        ),
        one(
            "start-up of a pod",
            format!(
                "mean {}, {}",
                cluster.startup.mean,
                shape(cluster.startup.shape)
            ),
            "--startup, --startup-shape",
        ),
        one(
            "CPU while starting",
            format!("{}m", cluster.startup_cpu_millicores),
            "--startup-cpu",
        ),
        one(
            "queue",
            format!(
                "{:?}, bound {}, time-out {}",
                cluster.queueing,
                absent(cluster.queue_max.map(|q| q.to_string())),
                absent(cluster.timeout.map(|t| t.to_string()))
            ),
            "--queue, --queue-max, --timeout",
        ),
        one(
            "replicas",
            format!("{} to {}", setup.min, setup.max),
            "--min, --max",
        ),
        one(
            "HPA's CPU target",
            format!("{} %", setup.hpa_target_percent),
            "--hpa-target",
        ),
        one(
            "metrics of policies on CPU",
            setup.pipeline.text(),
            "--sync, --scrape, --metric-window, --metric-delay, --metric-loss",
        ),
        one(
            "price",
            format!(
                "{} a replica-hour, {} a core-hour, {} a GiB-hour",
                cluster.price.replica_hour,
                cluster.price.cpu_core_hour,
                cluster.price.memory_gib_hour
            ),
            "--cost-per-replica-hour, --prices",
        ),
        one(
            "arrivals within a step",
            options.args.arrivals.to_string(),
            "--arrivals",
        ),
        one("seed", options.seed.0.to_string(), "--seed"),
    ]
}
