//! Which of the plans is the best, and which are measured once more to be sure of it.

use foresail_core::propose::advice::Best;
use foresail_core::propose::plan::Plan;

use super::doubts::MEASURED_MAX;
use super::plans::Known;
use super::surrogate::Surrogate;

/// A plan that keeps the constraint with this probability needs no confirmation.
const SURE: f64 = 0.9999;

/// A plan that keeps it with less is not worth one.
const UNLIKELY: f64 = 0.5;

fn as_best(known: &Known) -> Option<Best> {
    Some(Best {
        plan: known.plan.clone(),
        objective: known.objective()?,
        excess: known.excess()?,
        feasible: known.feasible(),
    })
}

/// The cheapest plan that kept the constraint and keeps it again with the probability `feasibility`;
/// else the surest that kept it; else the one that missed it by the least.
///
/// `None` where no plan has both an objective and an excess.
pub(super) fn best(
    plans: &[Known],
    surrogate: Option<&Surrogate>,
    feasibility: f64,
) -> Option<Best> {
    let kept = |known: &Known| surrogate.map_or(1.0, |s| s.kept_again(&known.point));
    let found: Vec<(Best, f64)> = plans
        .iter()
        .filter_map(|known| Some((as_best(known)?, kept(known))))
        .collect();
    let feasible = || found.iter().filter(|(best, _)| best.feasible);
    let cheapest = feasible()
        .filter(|(_, kept)| *kept >= feasibility)
        .min_by(|a, b| a.0.objective.total_cmp(&b.0.objective));
    let surest = || feasible().max_by(|a, b| a.1.total_cmp(&b.1));
    let by_miss = |a: &&(Best, f64), b: &&(Best, f64)| a.0.excess.total_cmp(&b.0.excess);
    let nearest = || found.iter().min_by(by_miss);
    let chosen = cheapest.or_else(surest).or_else(nearest);
    chosen.map(|(best, _)| best.clone())
}

/// Plans that are measured once more before a search ends, at most so many: the best, unless it is
/// sure, and cheaper ones that may keep the constraint, by what they promise.
///
/// Of many plans that were measured once, the cheapest that kept the constraint owes it to luck as
/// often as not.
pub(super) fn to_confirm(
    plans: &[Known],
    best: &Best,
    surrogate: &Surrogate,
    count: usize,
) -> Vec<Plan> {
    let promise = |known: &Known| {
        let kept = surrogate.kept_again(&known.point);
        let gain = best.objective - known.objective()?;
        let unsure = (UNLIKELY..SURE).contains(&kept) && known.measured.len() < MEASURED_MAX;
        let is_best = known.plan == best.plan;
        let worth = if is_best { f64::INFINITY } else { kept * gain };
        let asked = known.feasible() && unsure && (is_best || gain > 0.0);
        asked.then(|| (worth, known.plan.clone()))
    };
    let mut order: Vec<(f64, Plan)> = plans.iter().filter_map(promise).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.truncate(count);
    order.into_iter().map(|(_, plan)| plan).collect()
}

/// Plans by their worth: the cheapest that kept the constraint, then those that missed it by less.
pub(super) fn ranked(plans: &[Known]) -> Vec<&Known> {
    let mut order: Vec<(bool, f64, &Known)> = plans
        .iter()
        .filter_map(|known| {
            let feasible = known.feasible();
            let by = if feasible {
                known.objective()
            } else {
                known.excess()
            };
            Some((!feasible, by?, known))
        })
        .collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    order.into_iter().map(|(_, _, known)| known).collect()
}
