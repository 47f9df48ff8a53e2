//! Runs a sweep: what is in the journal already is not run again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use foresail_core::engine::Hash;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::{Item, Policy, run_all};
use foresail_sim::fluid::{Fluid, fly_all};
use rayon::prelude::*;

use super::file::{Mode, Run, Sweep};
use super::journal::{Figures, Journal};
use crate::compare::{self, Options, Plan, policies_of};

/// Requests that event mode simulates a second on one core; half of what a good core does.
/// Source: docs/performance.md.
const REQUESTS_PER_SECOND: f64 = 4e6;

/// Decisions that a core takes a second, whatever the mode.
/// Source: docs/performance.md.
const DECISIONS_PER_SECOND: f64 = 5e5;

/// What a sweep will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Runs of one policy each.
    pub runs: usize,
    /// Those of them that the journal holds already.
    pub finished: usize,
    /// Time that the rest takes.
    pub rest: Duration,
}

/// One policy of one run, with what it came to.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Index of the run in the sweep.
    pub run: usize,
    /// The policy.
    pub policy: String,
    /// What was measured, by key.
    pub figures: Figures,
    /// The hash of everything that the figures depend on.
    pub(super) key: String,
}

/// One policy of one run, to be simulated.
#[derive(Debug)]
struct Job<'a> {
    index: usize,
    run: &'a Run,
    plan: Arc<Plan>,
    policy: String,
    key: String,
}

impl Job<'_> {
    fn policy_of(&self, item: &Item) -> Policy {
        let mut policies = policies_of(item);
        let place = policies.iter().position(|p| p.name == self.policy);
        policies.swap_remove(place.unwrap_or(0))
    }

    /// Seconds of one core that it takes.
    fn seconds(&self, mode: Mode) -> f64 {
        let of_item = |item: &Item| {
            let decisions =
                item.workload.length().seconds() / self.policy_of(item).pipeline.sync.seconds();
            let requests = match mode {
                Mode::Event => item.workload.expected(),
                Mode::Fluid => 0.0,
            };
            requests / REQUESTS_PER_SECOND + decisions / DECISIONS_PER_SECOND
        };
        self.plan.items.iter().map(of_item).sum()
    }

    fn simulate(&self, mode: Mode) -> Result<Figures> {
        let seed = Seed(self.run.seed);
        let policy = |item: &Item| self.policy_of(item);
        let items = &self.plan.items;
        let slo = items[0].setup.cluster.slo.to_string();
        let measures = match mode {
            Mode::Event => {
                let ran = run_all(items, policy, seed, |_| Deaf)?;
                compare::measures(&ran.measures, &slo)
            }
            Mode::Fluid => {
                let flown = fly_all(items, policy, Fluid::default(), seed, |_| Deaf)?;
                compare::fluid_measures(&flown.measures, &slo)
            }
        };
        Ok(measures.into_iter().map(|m| (m.key, m.value)).collect())
    }
}

/// Everything that the figures of a run depend on, as a hash.
fn key(run: &Run, policy: &str, mode: Mode, plan: &Plan) -> Result<String> {
    let mut told = serde_json::to_vec(&run.changed)?;
    let version = env!("CARGO_PKG_VERSION");
    told.extend(format!("{version}/{policy}/{}/{mode:?}", run.seed).bytes());
    for item in &plan.items {
        // What was read of a trace: the same path may hold something else the next time.
        told.extend(format!("{:?}", item.workload).bytes());
    }
    Ok(Hash::of(&told).as_str().to_owned())
}

/// Reads every trace and checks every run, before any is simulated.
fn jobs<'a>(sweep: &'a Sweep, options: &Options) -> Result<Vec<Job<'a>>> {
    let mut jobs = Vec::new();
    for (index, run) in sweep.runs.iter().enumerate() {
        let mut options = options.clone();
        options.seed = Seed(run.seed);
        let plan = compare::scenario::plan_of(&run.changed, &run.scenario, &run.folder, &options)?;
        let plan = Arc::new(plan);
        for policy in &plan.policies {
            jobs.push(Job {
                index,
                run,
                policy: policy.clone(),
                key: key(run, policy, sweep.mode, &plan)?,
                plan: Arc::clone(&plan),
            });
        }
    }
    Ok(jobs)
}

/// A sweep with everything read that it needs, beside its journal.
#[derive(Debug)]
pub struct Prepared<'a> {
    sweep: &'a Sweep,
    jobs: Vec<Job<'a>>,
    journal: Journal,
}

impl<'a> Prepared<'a> {
    /// Reads every trace, checks every run, and opens the folder's journal.
    ///
    /// # Errors
    /// Where a run cannot be simulated, or the folder not be written.
    pub fn new(sweep: &'a Sweep, options: &Options, folder: &Path) -> Result<Self> {
        let jobs = jobs(sweep, options)?;
        std::fs::create_dir_all(folder).with_context(|| {
            let name = folder.display();
            format!("cannot make {name}; give another place with --out")
        })?;
        Ok(Self {
            sweep,
            jobs,
            journal: Journal::open(folder)?,
        })
    }

    /// What it will take, on so many threads.
    #[must_use]
    pub fn estimate(&self, threads: usize) -> Estimate {
        let open = |job: &&Job<'_>| self.journal.finished(&job.key).is_none();
        let rest = self.jobs.iter().filter(open);
        let seconds: f64 = rest.clone().map(|job| job.seconds(self.sweep.mode)).sum();
        let seconds = seconds / threads.max(1) as f64;
        Estimate {
            runs: self.jobs.len(),
            finished: self.jobs.len() - rest.count(),
            rest: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        }
    }

    /// Refuses a sweep that would take longer than its bound.
    ///
    /// # Errors
    /// With the time that it would take, and what makes it shorter.
    pub fn check(&self, estimate: &Estimate) -> Result<()> {
        let limit = self.sweep.limit;
        if estimate.rest.as_secs_f64() <= limit.seconds() {
            return Ok(());
        }
        let rest = Span::from_seconds_f64(estimate.rest.as_secs_f64().min(1e9).ceil());
        bail!(
            "sweep {}: {} runs would take about {}, longer than limitSeconds = {}: raise it, write mode: fluid, or name fewer values, traces or seeds",
            self.sweep.name,
            estimate.runs - estimate.finished,
            rest.map_or_else(|| "years".to_owned(), |r| r.to_string()),
            limit.whole_seconds()
        );
    }

    /// Runs what the journal does not hold; `done` is called after each run.
    ///
    /// # Errors
    /// Where a run cannot be simulated, or the journal not be written; what is finished stays in it.
    pub fn run(&self, done: &(dyn Fn() + Sync)) -> Result<Vec<Ran>> {
        let ran: Vec<Result<Ran>> = self
            .jobs
            .par_iter()
            .map(|job| {
                let figures = match self.journal.finished(&job.key) {
                    Some(figures) => figures.clone(),
                    None => {
                        let figures = job.simulate(self.sweep.mode)?;
                        self.journal.add(&job.key, &figures)?;
                        figures
                    }
                };
                done();
                Ok(Ran {
                    run: job.index,
                    policy: job.policy.clone(),
                    figures,
                    key: job.key.clone(),
                })
            })
            .collect();
        ran.into_iter().collect()
    }
}
