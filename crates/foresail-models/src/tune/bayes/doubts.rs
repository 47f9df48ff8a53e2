//! Measurements that the others do not lead to expect: asked for again, never dropped.

use foresail_core::propose::advice::{Doubt, DoubtState, Doubted};

use super::plans::Known;
use super::surrogate::Surrogate;
use crate::bayes::anomaly::{odd_ones, shared_coverage};

/// Measurements of one plan at most: the median of three is not moved by one that is wrong.
pub(super) const MEASURED_MAX: usize = 3;

/// A measurement that was looked at before is doubted with one in so many of the probability of one
/// that was not: over twenty fits a sound one would else be doubted some time.
const SEEN_SHARE: f64 = 10.0;

/// A doubt with the plan that it is about.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) plan: usize,
    pub(super) doubt: Doubt,
}

/// Closes the doubts of plans that were measured again, and returns the plans that need it once
/// more.
///
/// A second measurement that is nearer to the first than to the middle of what was expected confirms
/// it; else a third decides.
pub(super) fn judge(doubts: &mut [Open], known: &mut [Known], surrogate: &Surrogate) -> Vec<usize> {
    let mut again = Vec::new();
    for open in doubts.iter_mut() {
        let Some(plan) = known.get_mut(open.plan) else {
            continue;
        };
        let [Some(first), Some([least, most])] =
            [open.doubt.value.map(|v| [v, v]), open.doubt.expected]
        else {
            continue;
        };
        let count = plan.measured.len();
        if open.doubt.state != DoubtState::Open || count < 2 {
            continue;
        }
        if count >= MEASURED_MAX {
            open.doubt.state = DoubtState::Replaced;
            plan.settled = true;
            continue;
        }
        let side = usize::from(open.doubt.of == Doubted::Excess);
        let last = plan.measured[count - 1];
        let second = if side == 0 {
            last.objective
        } else {
            Some(last.excess)
        };
        let scale = &surrogate.scales[side];
        let expected = 0.5 * (scale.apply(least) + scale.apply(most));
        let confirmed = second.is_some_and(|second| {
            let second = scale.apply(second);
            (second - scale.apply(first[0])).abs() < (second - expected).abs()
        });
        if confirmed {
            open.doubt.state = DoubtState::Confirmed;
            plan.settled = true;
        } else if !again.contains(&open.plan) {
            again.push(open.plan);
        }
    }
    again
}

/// Doubts of plans that were measured once and lie outside of what the others lead to expect, the
/// farthest first.
///
/// Both processes are asked, each for itself and without a penalty: so that a sound measurement is
/// doubted with one minus `confidence`, each band covers the root of it.
pub(super) fn raise(known: &mut [Known], surrogate: &Surrogate, confidence: f64) -> Vec<Open> {
    let coverage = shared_coverage(confidence, 2);
    let strict = 1.0 - (1.0 - coverage) / SEEN_SHARE;
    let mut found: Vec<(f64, Open)> = Vec::new();
    for (side, gp) in [&surrogate.objective, &surrogate.excess]
        .into_iter()
        .enumerate()
    {
        let scale = &surrogate.scales[side];
        let far = odd_ones(gp, strict);
        for odd in odd_ones(gp, coverage) {
            // Rows of before a drift have no plan.
            let Some(place) = surrogate.plans[side].get(odd.row) else {
                continue;
            };
            let plan = &known[*place];
            let [measured] = plan.measured.as_slice() else {
                continue;
            };
            if plan.settled || plan.seen && !far.iter().any(|f| f.row == odd.row) {
                continue;
            }
            let [a, b] = odd.expected.map(|edge| scale.undo(edge));
            let width = odd.expected[1] - odd.expected[0];
            let middle = 0.5 * (odd.expected[0] + odd.expected[1]);
            let of = [Doubted::Objective, Doubted::Excess][side];
            let value = [measured.objective, Some(measured.excess)][side];
            let doubt = Doubt {
                trial: measured.trial,
                of,
                value,
                expected: Some(if a <= b { [a, b] } else { [b, a] }),
                state: DoubtState::Open,
            };
            let open = Open {
                plan: *place,
                doubt,
            };
            found.push(((odd.value - middle).abs() / width, open));
        }
    }
    known.iter_mut().for_each(|plan| plan.seen = true);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, open)| open).collect()
}
