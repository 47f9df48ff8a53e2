//! Where to measure next.

use foresail_core::propose::plan::Plan;
use foresail_core::quantity::units::larger;
use rand_chacha::ChaCha8Rng;

use super::choice::ranked;
use super::plans::Known;
use super::surrogate::Surrogate;
use crate::bayes::acquisition::{Acquisition, Draws};
use crate::bayes::constraint::{expected_improvement, probability_below};
use crate::bayes::optimize::{Effort, maximise};
use crate::bayes::sobol::scrambled;
use crate::tune::axes::Axes;

/// Good plans that searches begin around.
const GOOD: usize = 3;

/// Points of chance that are tried where every neighbour is known.
const CHANCES: usize = 64;

/// Points of chance among which a safe plan is looked for, as many again around each good one.
const SAFE_CHANCES: usize = 256;

/// How a batch is searched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// Draws of the acquisition.
    pub(super) draws: usize,
    /// How much its maximum is searched for.
    pub(super) effort: Effort,
}

/// So many plans that were not tried, the best together by the acquisition.
///
/// A plan that rounding makes one that is known gives way to the best of its neighbours.
pub(super) fn batch(
    surrogate: &Surrogate,
    known: &[Known],
    axes: &Axes,
    search: Search,
    count: usize,
    stream: &mut ChaCha8Rng,
) -> Vec<Plan> {
    let utility = surrogate.utility();
    let [objectives, excesses] = &surrogate.plans;
    let measured: Vec<(usize, usize)> = objectives
        .iter()
        .enumerate()
        .filter_map(|(row, plan)| Some((row, excesses.iter().position(|p| p == plan)?)))
        .collect();
    let draws = Draws {
        count: search.draws,
        batch: count,
    };
    let (f, g) = (&surrogate.objective, &surrogate.excess);
    let found = Acquisition::new(f, g, &measured, utility, draws, stream);
    let points = match found {
        Ok(acquisition) => {
            let good = ranked(known).into_iter().take(GOOD);
            let good: Vec<Vec<f64>> = good.map(|k| k.point.clone()).collect();
            maximise(&acquisition, &good, search.effort, stream).points
        }
        // Processes that cannot be drawn from say nothing: chance does.
        Err(_) => scrambled(count, axes.dimensions(), stream),
    };
    let mut plans: Vec<Plan> = Vec::with_capacity(count);
    for point in points {
        let taken = |plan: &Plan| plans.contains(plan) || known.iter().any(|k| k.plan == *plan);
        let plan = untried(surrogate, axes, &point, &taken, stream);
        plans.push(plan);
    }
    plans
}

/// The plan that costs the least of those that are thought to keep the constraint with the
/// probability `feasibility`, else the surest; one that was not tried.
///
/// Looked for around the plans that are known to be good, more of everything first, and by chance.
pub(super) fn safe(
    surrogate: &Surrogate,
    known: &[Known],
    axes: &Axes,
    feasibility: f64,
    stream: &mut ChaCha8Rng,
) -> Option<Plan> {
    let mut points = scrambled(SAFE_CHANCES, axes.dimensions(), stream);
    let by_chance = points.clone();
    for good in ranked(known).into_iter().take(GOOD) {
        for (place, chance) in by_chance.iter().enumerate() {
            // From near the plan to half-way to the most of everything, each dimension by itself.
            let reach = 0.5 * (place + 1) as f64 / SAFE_CHANCES as f64;
            let raised = good.point.iter().zip(chance);
            points.push(raised.map(|(x, c)| x + reach * c * (1.0 - x)).collect());
        }
    }
    let taken = |plan: &Plan| known.iter().any(|k| k.plan == *plan);
    let rated = points.into_iter().filter_map(|point| {
        let plan = axes.plan(&point);
        let point = axes.point(&plan).filter(|_| !taken(&plan))?;
        let kept = surrogate.kept_again(&point);
        let sure = kept >= feasibility;
        let worth = if sure {
            surrogate.objective.posterior(&point).mean
        } else {
            kept
        };
        Some((sure, worth, plan))
    });
    let order =
        |a: &(bool, f64, Plan), b: &(bool, f64, Plan)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
    rated.max_by(order).map(|(_, _, plan)| plan)
}

/// The plan of a point, or the best of its neighbours that nobody has, or one by chance.
fn untried(
    surrogate: &Surrogate,
    axes: &Axes,
    point: &[f64],
    taken: &impl Fn(&Plan) -> bool,
    stream: &mut ChaCha8Rng,
) -> Plan {
    let plan = axes.plan(point);
    if !taken(&plan) {
        return plan;
    }
    let limit = surrogate.limit();
    let best = surrogate.plans[0]
        .iter()
        .enumerate()
        .map(|(row, _)| &surrogate.objective.rows().points[row])
        .filter(|p| surrogate.excess.posterior(p).mean <= limit)
        .map(|p| surrogate.objective.posterior(p).mean)
        .fold(f64::NEG_INFINITY, larger);
    let worth = |point: &Vec<f64>| {
        let kept = probability_below(surrogate.excess.posterior(point), limit);
        if best.is_finite() {
            kept * expected_improvement(surrogate.objective.posterior(point), best)
        } else {
            kept
        }
    };
    let around = axes.neighbours(point).into_iter();
    let open = around.filter(|p| !taken(&axes.plan(p)));
    let near = open
        .map(|p| (worth(&p), p))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, near)) = near {
        return axes.plan(&near);
    }
    let by_chance = scrambled(CHANCES, axes.dimensions(), stream);
    let mut plans = by_chance.iter().map(|p| axes.plan(p));
    // A box of which everything is known is measured again.
    plans.find(|p| !taken(p)).unwrap_or(plan)
}
