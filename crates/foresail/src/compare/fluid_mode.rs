//! The comparison in fluid mode: items in chunks, each item's runs side by side, sums in item order.
//!
//! What is held at once does not grow with the number of items: a chunk, and one sum per run.

use anyhow::{Context, Result};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::weeks::{Day, days};
use foresail_sim::experiment::{Item, frontier};
use foresail_sim::fluid::oracle::{Corner, Game, prices, tighten};
use foresail_sim::fluid::{Fluid, FluidMeasures, Planned, fluid_policy, fly, run};
use foresail_web::read_model::{FrontierPoint, Measure};
use rayon::prelude::*;

use super::build::{self, Comparison};
use super::listen::Rows;
use super::options::Options;
use super::paired::{ByDay, add_days};
use super::plan::{Plan, policies_of, rates};
use super::reference::{game_of, price_of_a_request};
use super::regret::Oracle;
use super::trace;

/// Items that are held at once.
const CHUNK: usize = 64;

/// Measures of single requests, which fluid mode does not have.
const OF_REQUESTS: [&str; 5] = [
    "wait_p50_ms",
    "wait_p99_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "cold_starts",
];

/// Sums over all items so far, or what one item came to.
struct Sums {
    policies: Vec<FluidMeasures>,
    settings: Vec<FluidMeasures>,
    /// Days of each policy, then of each setting.
    days: Vec<Vec<Day>>,
    corners: Vec<Corner>,
    /// Rows of the first item, one per policy.
    rows: Vec<Rows>,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        let pairs = self.policies.iter_mut().zip(&other.policies);
        pairs.for_each(|(all, one)| all.add(one));
        let pairs = self.settings.iter_mut().zip(&other.settings);
        pairs.for_each(|(all, one)| all.add(one));
        let pairs = self.days.iter_mut().zip(&other.days);
        pairs.for_each(|(all, one)| add_days(all, one));
        for (all, one) in self.corners.iter_mut().zip(&other.corners) {
            all.cost += one.cost;
            all.violations += one.violations;
        }
    }
}

/// What is the same for every item.
struct Job<'a> {
    options: &'a Options,
    policies: &'a [String],
    fluid: Fluid,
    prices: Vec<f64>,
}

impl Job<'_> {
    /// Every run of one item.
    fn item(&self, item: &Item, first: bool) -> Result<Sums> {
        let game = game_of(item).with_context(|| item.id.clone())?;
        let ((policies, settings), corners) = rayon::join(
            || rayon::join(|| self.policies(item, first), || self.settings(item)),
            || self.corners(item, &game),
        );
        let (policies, rows) = policies.with_context(|| item.id.clone())?;
        let (settings, of_settings): (Vec<_>, Vec<_>) = settings?.into_iter().unzip();
        let mut by_day: Vec<_> = policies.iter().map(|m| self.days(m)).collect();
        by_day.extend(of_settings);
        Ok(Sums {
            policies,
            settings,
            days: by_day,
            corners: corners?,
            rows,
        })
    }

    fn policies(&self, item: &Item, first: bool) -> Result<(Vec<FluidMeasures>, Vec<Rows>)> {
        let all = policies_of(item);
        let named = |name: &String| all.iter().find(|p| p.name == *name).cloned();
        let chosen: Vec<_> = self.policies.iter().filter_map(named).collect();
        let runs: Vec<_> = chosen
            .into_par_iter()
            .map(|policy| {
                let rows = first.then(|| Rows::new(&policy.name, &item.id));
                fly(item, policy, self.fluid, self.options.seed, rows)
            })
            .collect();
        let mut measures = Vec::with_capacity(runs.len());
        let mut rows = Vec::new();
        for run in runs {
            let (measured, told) = run?;
            measures.push(measured);
            rows.extend(told);
        }
        Ok((measures, rows))
    }

    fn days(&self, measured: &FluidMeasures) -> Vec<Day> {
        days(&measured.minutes, self.options.slo.share)
    }

    /// What each setting came to; its minutes are summed up to days at once.
    fn settings(&self, item: &Item) -> Result<Vec<(FluidMeasures, Vec<Day>)>> {
        let settings = frontier(&item.setup, rates(item).1);
        let runs = settings.into_par_iter().map(|(_, _, policy)| {
            let (mut measured, _) = fly(item, policy, self.fluid, self.options.seed, Deaf)?;
            let days = self.days(&measured);
            measured.minutes = Vec::new();
            Ok((measured, days))
        });
        runs.collect()
    }

    /// The corners of one item; with a backlog what the same plans come to then.
    fn corners(&self, item: &Item, game: &Game) -> Result<Vec<Corner>> {
        let corner = |price: &f64| {
            let solution = game.cheapest(*price);
            let (cost, violations) = if self.fluid.backlog {
                let mut cluster = item.setup.cluster.clone();
                cluster.initial = solution.plan.first().copied().unwrap_or(item.setup.min);
                let mut planned = Planned(&solution.plan);
                let (pipeline, workload) = (&item.setup.pipeline, &item.workload);
                let measured = run(&cluster, pipeline, workload, self.fluid, &mut planned)?;
                (measured.cost, measured.violations)
            } else {
                (solution.cost, solution.violations)
            };
            Ok(Corner {
                price: *price,
                cost,
                violations,
            })
        };
        self.prices.par_iter().map(corner).collect()
    }
}

/// Runs every policy, the HPA's frontier and the oracle in fluid mode; `done` is called after each
/// item.
///
/// # Errors
/// Where an item cannot be read or a policy not be run.
pub(super) fn compare(
    options: &Options,
    plan: &Plan,
    command: &str,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Comparison> {
    let job = Job {
        options,
        policies: &plan.policies,
        fluid: Fluid {
            backlog: options.args.backlog,
            ..Fluid::default()
        },
        prices: prices(price_of_a_request(&plan.items[0].setup.cluster)),
    };
    let mut sums: Option<Sums> = None;
    let mut first = true;
    let mut take = |items: &[Item]| -> Result<()> {
        let begins = std::mem::take(&mut first);
        let runs: Vec<_> = items
            .par_iter()
            .enumerate()
            .map(|(i, item)| {
                let sums = job.item(item, begins && i == 0);
                done(&item.id);
                sums
            })
            .collect();
        for run in runs {
            let of_item = run.context("the comparison stopped")?;
            match &mut sums {
                Some(sums) => sums.add(&of_item),
                None => sums = Some(of_item),
            }
        }
        Ok(())
    };
    match options.streamed() {
        Some(path) => trace::in_chunks(path, options, CHUNK, &mut take)?,
        None => plan.items.chunks(CHUNK).try_for_each(take)?,
    }
    let mut sums = sums.context("no item has a single request")?;
    if options.streamed().is_none() && !options.args.backlog {
        tightened(options, plan, &mut sums)?;
    }
    Ok(comparison(options, plan, command, sums))
}

/// Finds the corners beside what each policy broke and beside what is allowed.
fn tightened(options: &Options, plan: &Plan, sums: &mut Sums) -> Result<()> {
    let games = plan.items.par_iter().map(game_of);
    let games = games.collect::<Result<Vec<Game>>>()?;
    let solve = |price: f64| {
        let solved: Vec<_> = games.par_iter().map(|g| g.cheapest(price)).collect();
        Corner {
            price,
            cost: solved.iter().map(|s| s.cost).sum(),
            violations: solved.iter().map(|s| s.violations).sum(),
        }
    };
    let allowed = (1.0 - options.slo.share) * sums.policies[0].requests;
    for violations in sums.policies.iter().map(|p| p.violations).chain([allowed]) {
        tighten(&mut sums.corners, violations, solve);
    }
    Ok(())
}

fn comparison(options: &Options, plan: &Plan, command: &str, sums: Sums) -> Comparison {
    let measured: Vec<_> = sums
        .policies
        .iter()
        .map(FluidMeasures::to_measures)
        .collect();
    let mut workload = build::workload_report(plan, &measured[0]);
    workload.items = sums.policies[0].items;
    let mut policies = Vec::new();
    let chosen = policies_of(&plan.items[0]).into_iter();
    let chosen = chosen.filter(|p| plan.policies.contains(&p.name));
    for (place, policy) in plan.policies.iter().enumerate() {
        let Some(policy) = chosen.clone().find(|p| p.name == *policy) else {
            continue;
        };
        let policy = fluid_policy(&plan.items[0], policy);
        let told = build::told(&sums.rows[place..=place], &workload);
        let pipeline = build::pipeline_text(&policy);
        let mut report = build::policy_report(
            policy.name,
            policy.summary,
            pipeline,
            &measured[place],
            told,
            options,
            &workload,
        );
        report.archetypes = build::archetypes(&sums.rows[place..=place], &workload);
        only_what_is_known(&mut report.measures, &sums.policies[place]);
        policies.push(report);
    }
    let oracle = Oracle {
        corners: sums.corners,
        requests: sums.policies[0].requests,
        exact: !options.args.backlog,
    };
    let frontier = points(plan, &sums.settings);
    let mut of_policies = sums.days;
    let of_settings = of_policies.split_off(plan.policies.len());
    let by_day = ByDay {
        policies: plan.policies.iter().cloned().zip(of_policies).collect(),
        settings: of_settings,
        minutes_of_one: true,
    };
    let mut notes = vec![note(options)];
    if options.own.is_some() {
        notes.push("Your HPA is run as policy hpa; the search for better settings and its verdict are made in event mode alone (leave --mode out).".to_owned());
    }
    if workload.items > 1 {
        notes.push("The table of ticks holds the first item alone.".to_owned());
    }
    let report = build::report(
        options,
        plan,
        command,
        build::Parts {
            own: None,
            by_day,
            policies,
            frontier,
            oracle,
            workload,
            notes,
        },
    );
    Comparison {
        report,
        ticks: Rows::table(sums.rows),
    }
}

fn note(options: &Options) -> String {
    let sync = options.sync;
    let excess = if options.args.backlog {
        "demand above capacity waits for later"
    } else {
        "demand above capacity is lost in its step"
    };
    format!(
        "Fluid mode: demand as a rate, every policy decides every {sync}, {excess}; waits by Erlang's formula, start-ups at their mean."
    )
}

/// Every measure of a run under the names of event mode, without those that fluid mode lacks.
pub(crate) fn measures(measured: &FluidMeasures, slo: &str) -> Vec<Measure> {
    let mut all = super::measures::measures(&measured.to_measures(), slo);
    only_what_is_known(&mut all, measured);
    all
}

/// Takes out what fluid mode does not know, and puts counts in as they are, not rounded.
fn only_what_is_known(all: &mut Vec<Measure>, measured: &FluidMeasures) {
    all.retain(|m| !OF_REQUESTS.contains(&m.key.as_str()));
    for measure in all {
        match measure.key.as_str() {
            "violations_percent" => measure.value = measured.violations_percent(),
            "violation_minutes_percent" => {
                let active = measured.active_minutes.max(1) as f64;
                measure.value = measured.violation_minutes as f64 * 100.0 / active;
            }
            _ => {}
        }
    }
}

fn points(plan: &Plan, settings: &[FluidMeasures]) -> Vec<FrontierPoint> {
    let names = frontier(&plan.items[0].setup, 0.0);
    let pairs = names.into_iter().zip(settings);
    let points = pairs.map(
        |((target_percent, down_window_seconds, _), m)| FrontierPoint {
            target_percent,
            down_window_seconds,
            cost: m.cost,
            violations_percent: m.violations_percent(),
        },
    );
    points.collect()
}
