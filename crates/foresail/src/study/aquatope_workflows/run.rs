//! Every search, and what it left in force measured again.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use foresail_adapters::workflow::System;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::smaller;
use foresail_core::spec::SpecProblem;
use foresail_core::value::cost::Price;
use foresail_models::knobs::Knobs;
use foresail_models::registry::TUNERS;
use foresail_models::rng::Seed;
use foresail_sim::workflow::bound::{Bound, bound};
use foresail_sim::workflow::published::entry;
use foresail_sim::workflow::subject::Subject;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::optimize::measure::{Allowed, THOUSAND, measure};
use crate::optimize::{Conclusion, Found, Protocol, Referee, Search, Simulated, referee};

/// The tuner that the study is about.
pub(super) const OURS: &str = "bayes";

/// The published acquisition: what breaks the promise costs nothing.
pub(super) const PUBLISHED: &str = "bayes-published";

/// The baseline that other methods stand for: uniform points.
pub(super) const RANDOM: &str = "random";

/// One way to search.
struct Arm {
    name: &'static str,
    tuner: &'static str,
    knobs: fn() -> Value,
}

/// Every way, in the order of the tables. The published one breaks the promise for nothing, as its
/// manager does; its anomaly detection, which leaves no point over, is off.
const ARMS: [Arm; 5] = [
    Arm {
        name: OURS,
        tuner: "bayes",
        knobs: || json!({}),
    },
    Arm {
        name: PUBLISHED,
        tuner: "bayes",
        knobs: || json!({"breaking": "published", "anomalyDetection": false, "layout": "linear"}),
    },
    Arm {
        name: RANDOM,
        tuner: "random",
        knobs: || json!({"trials": 70}),
    },
    Arm {
        name: "grid",
        tuner: "grid",
        knobs: || json!({"trials": 70}),
    },
    Arm {
        name: "nelder-mead",
        tuner: "nelder-mead",
        knobs: || json!({"trials": 70}),
    },
];

/// What one search came to. Units: cost per 1,000 requests, shares.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) seed: Seed,
    /// What the requests cost at what is in force, in the mean of the later measurements.
    pub(super) cost: f64,
    /// Share of the later measurements that kept the promise.
    pub(super) kept: f64,
    /// Share of the later requests whose latency is above the promise.
    pub(super) late: f64,
    /// `true` where the search says that what it leaves in force keeps the promise.
    pub(super) says_kept: bool,
    pub(super) spend: f64,
    /// Share of the trials that broke the promise.
    pub(super) broken_trials: f64,
    /// The cheapest so far that kept the promise, trial by trial; infinite before the first.
    pub(super) best_so_far: Vec<f64>,
}

/// Every search of one workflow.
#[derive(Clone, Debug)]
pub(super) struct Searched {
    pub(super) name: &'static str,
    pub(super) stages: usize,
    /// The least that any plan costs without noise, per 1,000 requests; `None` where it is not known.
    pub(super) bound: Option<(f64, Bound)>,
    /// The former sizes: cost per 1,000 requests, share of late requests.
    pub(super) former: (f64, f64),
    /// Arm by arm, seed by seed.
    pub(super) arms: Vec<(&'static str, Vec<Outcome>)>,
}

impl Searched {
    /// The outcomes of one way to search.
    pub(super) fn arm(&self, name: &str) -> &[Outcome] {
        let found = self.arms.iter().find(|(n, _)| *n == name);
        found.map_or(&[], |(_, outcomes)| outcomes)
    }
}

/// Searches that will be made.
pub(super) fn searches(workflows: usize, seeds: u64) -> u64 {
    (workflows * ARMS.len()) as u64 * seeds
}

fn protocol(subject: &Subject) -> Protocol {
    Protocol {
        promise: subject.promise,
        warmups: 1,
        repeats: 3,
        requests: 20,
        abort_factor: Some(2.0),
        wait: Span::from_seconds(300),
        price: Price::FUNCTIONS,
    }
}

/// Runs every search; `done` is called after each.
///
/// # Errors
/// Where a workflow cannot be built or a search fails.
pub(super) fn all(
    names: &[&'static str],
    seeds: &[Seed],
    again: u64,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Searched>> {
    names
        .iter()
        .map(|name| workflow(name, seeds, again, done))
        .collect()
}

fn workflow(
    name: &'static str,
    seeds: &[Seed],
    again: u64,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Searched> {
    let entry = entry(name).context("a workflow of the list")?;
    let subject = entry
        .subject()
        .map_err(|p| anyhow!(SpecProblem::joined(&p)))?;
    let pairs: Vec<(&Arm, Seed)> = ARMS
        .iter()
        .flat_map(|arm| seeds.iter().map(move |s| (arm, *s)))
        .collect();
    let search = |(arm, seed): &(&Arm, Seed)| -> Result<Outcome> {
        let found = search(&subject, arm, *seed)?;
        let outcome = outcome(&subject, &found, *seed, again);
        done(&format!("{name} by {}", arm.name));
        outcome
    };
    let outcomes: Vec<Outcome> = pairs.par_iter().map(search).collect::<Result<_>>()?;
    let arms = ARMS.iter().zip(outcomes.chunks(seeds.len()));
    let price = Price::FUNCTIONS;
    let least = bound(&subject, &price).ok();
    let mut former = Simulated::new(&subject, later(seeds[0]));
    let former = remeasured(&subject, &mut former, again)?;
    Ok(Searched {
        name,
        stages: subject.sizes.len(),
        bound: least.map(|b| (b.cost * THOUSAND, b)),
        former: (former.cost, former.late),
        arms: arms.map(|(arm, all)| (arm.name, all.to_vec())).collect(),
    })
}

fn search(subject: &Subject, arm: &Arm, seed: Seed) -> Result<Found> {
    let entry = TUNERS.iter().find(|t| t.name == arm.tuner);
    let entry = entry.with_context(|| format!("{} is no tuner", arm.tuner))?;
    let written: BTreeMap<String, Value> = serde_json::from_value((arm.knobs)())?;
    let knobs = Knobs::read(entry.knobs, &written, "tuner")
        .map_err(|p| anyhow!(SpecProblem::joined(&p)))?;
    let tuner = (entry.build)(&knobs, &subject.space(), seed);
    let mut tuner = tuner.map_err(|why| anyhow!("tuner {}: {why}", entry.name))?;
    let spec = referee::spec(&subject.targets(), None);
    let mut referee = Referee::new(spec, seed, |_| Ok(None))?;
    let mut system = Simulated::new(subject, seed);
    Search {
        subject,
        system: &mut system,
        tuner: &mut *tuner,
        referee: &mut referee,
        protocol: &protocol(subject),
        journal: None,
        reopen: None,
        spend_cap: None,
        stop: &|| false,
        on_trial: &|_| {},
    }
    .run()
}

/// What is in force measured again, on requests that the search has not seen.
struct Again {
    cost: f64,
    kept: f64,
    late: f64,
}

fn remeasured(subject: &Subject, system: &mut Simulated, again: u64) -> Result<Again> {
    let protocol = Protocol {
        abort_factor: None,
        ..protocol(subject)
    };
    let plan = system.current()?;
    let sizes = subject.sizes_of(&plan).context("every stage has a size")?;
    let allowed = Allowed {
        spend: None,
        stop: &|| false,
    };
    let (mut cost, mut kept) = (0.0, 0.0);
    for _ in 0..again {
        let workflow = &subject.model.workflow;
        let measured = measure(system, workflow, &sizes, &protocol, &allowed)?;
        cost += measured.cost.unwrap_or(f64::NAN);
        kept += if measured.kept(subject.promise) {
            1.0
        } else {
            0.0
        };
    }
    let requests = again * u64::from(protocol.repeats * protocol.requests);
    let mut late = 0.0;
    for _ in 0..requests {
        let answer = system.request(protocol.wait)?;
        let on_time = answer.latency.is_some_and(|l| l <= subject.promise.seconds);
        late += if on_time { 0.0 } else { 1.0 };
    }
    Ok(Again {
        cost: cost / again as f64,
        kept: kept / again as f64,
        late: late / requests as f64,
    })
}

/// The seed of requests that the search of this seed has not seen.
fn later(seed: Seed) -> Seed {
    Seed(seed.0.wrapping_add(APART))
}

/// What the seed of later requests lies above that of the search.
const APART: u64 = 7_000_003;

fn outcome(subject: &Subject, found: &Found, seed: Seed, again: u64) -> Result<Outcome> {
    let mut system = Simulated::new(subject, later(seed));
    system.apply(&found.in_force)?;
    let later = remeasured(subject, &mut system, again)?;
    let promise = subject.promise;
    let mut best = f64::INFINITY;
    let best_so_far = found.rows.iter().map(|row| {
        if let Some(cost) = row.measured.cost.filter(|_| row.measured.kept(promise)) {
            best = smaller(best, cost);
        }
        best
    });
    let best_so_far = best_so_far.collect();
    let broken = found
        .rows
        .iter()
        .filter(|r| !r.measured.kept(promise))
        .count();
    Ok(Outcome {
        seed,
        cost: later.cost,
        kept: later.kept,
        late: later.late,
        says_kept: matches!(
            found.conclusion,
            Conclusion::Best | Conclusion::FormerIsBest | Conclusion::Unconfirmed
        ),
        spend: found.spend,
        broken_trials: broken as f64 / found.rows.len().max(1) as f64,
        best_so_far,
    })
}
