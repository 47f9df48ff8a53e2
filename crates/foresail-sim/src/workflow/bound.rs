//! What the cheapest possible plan costs: the optimum where it can be had, else a bound from below.
//!
//! Without noise, whose factors have mean 1: a plan's expected cost is the same with it. A promise
//! at a level whose latency lies above the mean then asks for more, so the figure stays a bound.

use foresail_core::value::cost::Price;
use foresail_core::value::workflow::{Outcome, Size};

use super::front::{Front, Fronts, Label};
use super::graph;
use super::lagrange;
use super::subject::Subject;

/// How the figure was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Every plan that could be the best was looked at: the optimum.
    Exact,
    /// Times were rounded down on the way, by so many seconds at most.
    Rounded {
        /// The most that a plan may exceed the promise by.
        slack_seconds: f64,
    },
    /// By Lagrange's multipliers: the workflow is not series-parallel, or its ways exclude each
    /// other.
    Multipliers,
}

/// What the cheapest possible plan costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// No plan that keeps the promise costs less per request.
    pub cost: f64,
    /// How it was found.
    pub method: Method,
    /// A plan that keeps the promise without noise, and its cost; the optimum where the method is
    /// exact.
    pub plan: Option<(Vec<Size>, f64)>,
}

/// Why there is no bound.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundError {
    /// No plan keeps the promise.
    #[error(
        "no sizes within the ranges keep {promise} s: the quickest take {least} s; raise `qos` or the ranges"
    )]
    Infeasible {
        /// What is promised, in seconds.
        promise: f64,
        /// What the quickest plan takes.
        least: f64,
    },
    /// Too many ways through the workflow.
    #[error("more than 4,096 ways through the workflow: no bound is computed")]
    Ways,
}

/// The cheapest possible plan of a subject.
///
/// # Errors
/// Where no plan keeps the promise, or chance leaves too many ways.
pub fn bound(subject: &Subject, price: &Price) -> Result<Bound, BoundError> {
    let seconds_max = subject.promise.seconds;
    let outcomes = subject.model.workflow.outcomes().ok_or(BoundError::Ways)?;
    let mut fronts = Fronts::new(f64::INFINITY);
    let quickest: Vec<Front> = stages(subject, &outcomes, price, &mut fronts);
    // A way so rare that the promise may leave it out binds nothing.
    let rare = 1.0 - subject.promise.level;
    let mut kept = outcomes.iter().filter(|o| o.probability > rare + 1e-12);
    let binding: Vec<&Outcome> = kept.by_ref().collect();
    for outcome in &binding {
        let least = quickest_latency(subject, &quickest, outcome);
        if least > seconds_max {
            return Err(BoundError::Infeasible {
                promise: seconds_max,
                least,
            });
        }
    }
    // One way that holds all stages that any binding way has: then its paths are all that bind.
    let all: Vec<bool> = (0..quickest.len())
        .map(|s| binding.iter().any(|o| o.runs[s]))
        .collect();
    let bounds = if joint(subject, &binding) {
        vec![of_way(subject, &outcomes, &all, price)]
    } else {
        let each = binding.iter();
        each.map(|o| of_way(subject, &outcomes, &o.runs, price))
            .collect()
    };
    let best = bounds
        .into_iter()
        .max_by(|a, b| a.cost.total_cmp(&b.cost))
        .ok_or(BoundError::Ways)?;
    Ok(best)
}

/// `true` where every path through the binding ways' stages is one of a binding way.
fn joint(subject: &Subject, binding: &[&Outcome]) -> bool {
    if binding.len() <= 1 {
        return true;
    }
    let stages = subject.model.workflow.stages();
    // Stages before each stage, whatever the number of steps.
    let mut before = vec![vec![false; stages.len()]; stages.len()];
    for place in subject.model.workflow.order() {
        for after in &stages[*place].after {
            let further = before[*after].clone();
            for (known, more) in before[*place].iter_mut().zip(further) {
                *known |= more;
            }
            before[*place][*after] = true;
        }
    }
    let together = |a: usize, b: usize| binding.iter().any(|o| o.runs[a] && o.runs[b]);
    let chance = |s: usize| stages[s].choice.is_some() || stages[s].probability < 1.0;
    let dependent: Vec<usize> = (0..stages.len()).filter(|s| chance(*s)).collect();
    // Three draws in a row could exclude each other as a whole though no two of them do.
    let longest = dependent
        .iter()
        .map(|s| dependent.iter().filter(|b| before[*s][**b]).count())
        .max();
    let pairs = dependent.iter().all(|s| {
        let mut earlier = dependent.iter().filter(|b| before[*s][**b]);
        earlier.all(|b| together(*s, *b))
    });
    pairs && longest.unwrap_or(0) <= 1
}

/// Calls of each stage a request in the mean, shape `[stages]`.
fn calls(subject: &Subject, outcomes: &[Outcome]) -> Vec<f64> {
    let stages = subject.model.workflow.stages().iter().enumerate();
    stages
        .map(|(s, stage)| {
            let runs = outcomes.iter().filter(|o| o.runs[s]);
            runs.map(|o| o.probability).sum::<f64>() * f64::from(stage.copies)
        })
        .collect()
}

fn stages(
    subject: &Subject,
    outcomes: &[Outcome],
    price: &Price,
    fronts: &mut Fronts,
) -> Vec<Front> {
    let surfaces = subject.model.surfaces.iter().zip(&subject.sizes);
    let all = surfaces.zip(calls(subject, outcomes)).enumerate();
    all.map(|(place, (stage, calls))| fronts.stage(place, stage, calls, price))
        .collect()
}

fn quickest_latency(subject: &Subject, stages: &[Front], outcome: &Outcome) -> f64 {
    let seconds = stages.iter().zip(&outcome.runs).map(|(front, runs)| {
        let first = front.labels().first().filter(|_| *runs);
        first.map(|l| l.seconds).into_iter().collect()
    });
    let seconds: Vec<Vec<f64>> = seconds.collect();
    subject.model.workflow.timing(&seconds).latency
}

/// The bound where the paths through the stages of one way bind, and no other.
fn of_way(subject: &Subject, outcomes: &[Outcome], way: &[bool], price: &Price) -> Bound {
    let seconds_max = subject.promise.seconds;
    let workflow = &subject.model.workflow;
    let mut fronts = Fronts::new(seconds_max);
    let mut of_stages = stages(subject, outcomes, price, &mut fronts);
    for (front, runs) in of_stages.iter_mut().zip(way) {
        if !runs {
            *front = front.timeless();
        }
    }
    if let Some(whole) = graph::whole(workflow, &of_stages, &mut fronts) {
        let slack = fronts.slack();
        let best = whole.within(seconds_max);
        let safe = whole.within(seconds_max - slack);
        let method = if slack > 0.0 {
            Method::Rounded {
                slack_seconds: slack,
            }
        } else {
            Method::Exact
        };
        return Bound {
            cost: best.map_or(f64::INFINITY, |l| l.cost),
            method,
            plan: safe.and_then(|l| plan(subject, &fronts, &[l])),
        };
    }
    let found = lagrange::bound(workflow, &of_stages, seconds_max);
    Bound {
        cost: found.bound,
        method: Method::Multipliers,
        plan: found.plan.and_then(|l| plan(subject, &fronts, &l)),
    }
}

/// The sizes of some labels that together hold every stage, and their cost.
fn plan(subject: &Subject, fronts: &Fronts, labels: &[Label]) -> Option<(Vec<Size>, f64)> {
    let count = subject.sizes.len();
    let mut sizes = vec![None; count];
    for label in labels {
        for (known, more) in sizes.iter_mut().zip(fronts.sizes(*label, count)) {
            *known = known.or(more);
        }
    }
    let sizes: Option<Vec<Size>> = sizes.into_iter().collect();
    Some((sizes?, labels.iter().map(|l| l.cost).sum()))
}
