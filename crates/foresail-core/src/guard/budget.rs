//! What may be spent and changed on one target.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::propose::plan::Setting;
use crate::quantity::units::Replicas;
use crate::spec::BudgetSpec;

/// Keeps a target within what it may cost, lose and change.
///
/// Never moves past `current`: what already runs is not taken away by a budget. A move to a bound
/// that the user changed is outside. Stays out with `hpa` alone.
/// Source: specs/reliability.md 1.1 S10a.
#[derive(Debug)]
pub(crate) struct Budget;

impl Guard for Budget {
    fn name(&self) -> GuardName {
        GuardName::Budget
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        scene.wish && !scene.hpa_alone && !scene.straight_to_bound()
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let Some(replicas) = wanted.replicas else {
            return Vec::new();
        };
        match affordable(&scene.guards.budget, replicas, scene) {
            Some((to, why)) if to != replicas => vec![scene.limit(self.name(), replicas, to, why)],
            _ => Vec::new(),
        }
    }
}

/// The nearest number that the budget allows, where it is another one.
fn affordable(budget: &BudgetSpec, wanted: Replicas, scene: &Scene<'_>) -> Option<(Replicas, Why)> {
    let current = scene.current();
    if wanted == current {
        return None;
    }
    let since = scene.now - budget.period;
    let recent = scene
        .history
        .changes()
        .iter()
        .filter(|change| change.at > since);
    if let Some(allowed) = budget.changes_max
        && recent.clone().count() >= allowed as usize
    {
        return Some((
            current,
            Why::ChangesSpent {
                allowed,
                per: budget.period,
            },
        ));
    }
    if wanted > current {
        let most = budget.replicas_max?.max(current);
        return (wanted > most).then_some((most, Why::Unaffordable(most)));
    }
    let allowed = budget.removed_max?;
    let removed: i64 = recent
        .map(|c| (c.from.as_i64() - c.to.as_i64()).max(0))
        .sum();
    let left = (allowed.as_i64() - removed).max(0);
    let least = Replicas::saturating(current.as_i64() - left);
    (wanted < least).then_some((
        least,
        Why::RemovalsSpent {
            allowed,
            per: budget.period,
        },
    ))
}
