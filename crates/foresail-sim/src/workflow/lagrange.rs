//! A bound for workflows that are not series-parallel, by Lagrange's multipliers.
//!
//! The promise is one limit per path. With a multiplier on each, a plan's cost plus what it exceeds
//! falls apart by stages: each takes the size that is best at the multipliers of the paths through
//! it. Whatever they are, the sum is a bound from below; the best ones are looked for by the method
//! of Frank & Wolfe 1956, their total by a search over powers.

use foresail_core::value::workflow::Workflow;

use super::front::{Front, Label};

/// Totals of the multipliers that are tried in each of two rounds.
const TOTALS: usize = 40;

/// Steps of the search for the best distribution of a total over the paths.
const STEPS: u32 = 200;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// No plan that keeps the promise is cheaper.
    pub(super) bound: f64,
    /// The cheapest plan that was met which keeps it, a label per stage.
    pub(super) plan: Option<Vec<Label>>,
}

/// The best bound over all multipliers; `stages` as fronts, shape `[stages]`, none empty.
pub(super) fn bound(workflow: &Workflow, stages: &[Front], seconds_max: f64) -> Found {
    let cost = |pick: fn(&[Label]) -> Option<&Label>| {
        let of = |f: &Front| pick(f.labels()).map_or(0.0, |l| l.cost);
        stages.iter().map(of).sum::<f64>()
    };
    let (least, most) = (cost(|l| l.last()), cost(|l| l.first()));
    let mut search = Search {
        workflow,
        stages,
        seconds_max,
        found: Found {
            bound: least,
            plan: None,
        },
    };
    // A second is worth no more than all the cost there is per thousandth of the promise.
    let scale = (most - least) / seconds_max;
    let (mut low, mut high) = (-4.0, 3.0);
    for _ in 0..2 {
        let at = |i: usize| low + (high - low) * i as f64 / (TOTALS - 1) as f64;
        let values: Vec<f64> = (0..TOTALS)
            .map(|i| search.at_total(scale * 10_f64.powf(at(i))))
            .collect();
        let best = (0..TOTALS).max_by(|a, b| values[*a].total_cmp(&values[*b]));
        let width = (high - low) / (TOTALS - 1) as f64;
        let middle = at(best.unwrap_or(0));
        (low, high) = (middle - width, middle + width);
    }
    search.found
}

struct Search<'a> {
    workflow: &'a Workflow,
    stages: &'a [Front],
    seconds_max: f64,
    found: Found,
}

impl Search<'_> {
    /// The best bound found with this total; what is met on the way is kept.
    fn at_total(&mut self, total: f64) -> f64 {
        let mut flows = vec![0.0; self.stages.len()];
        let mut best = f64::NEG_INFINITY;
        for step in 0..STEPS {
            let picked: Vec<Label> = self
                .stages
                .iter()
                .zip(&flows)
                .filter_map(|(front, flow)| cheapest(front, *flow))
                .collect();
            let seconds: Vec<Vec<f64>> = picked.iter().map(|l| vec![l.seconds]).collect();
            let timing = self.workflow.timing(&seconds);
            let weighed = picked.iter().zip(&flows);
            let sum: f64 = weighed.map(|(l, flow)| l.cost + flow * l.seconds).sum();
            // Before the first step nothing flows yet: that is the bound without a promise.
            if step > 0 {
                best = foresail_core::quantity::units::larger(best, sum - total * self.seconds_max);
            }
            if timing.latency <= self.seconds_max {
                self.keep(picked);
            }
            let move_by = 2.0 / (f64::from(step) + 2.0);
            for (place, flow) in flows.iter_mut().enumerate() {
                let on = timing.critical.contains(&place);
                let towards = if on { total } else { 0.0 };
                *flow += move_by * (towards - *flow);
            }
        }
        self.found.bound = foresail_core::quantity::units::larger(self.found.bound, best);
        best
    }

    fn keep(&mut self, plan: Vec<Label>) {
        let cost = |plan: &[Label]| plan.iter().map(|l| l.cost).sum::<f64>();
        let better = |kept: &Vec<Label>| cost(&plan) < cost(kept);
        if self.found.plan.as_ref().is_none_or(better) {
            self.found.plan = Some(plan);
        }
    }
}

/// The label of least cost where a second costs `flow`.
fn cheapest(front: &Front, flow: f64) -> Option<Label> {
    let worth = |l: &Label| l.cost + flow * l.seconds;
    let by = |a: &&Label, b: &&Label| worth(a).total_cmp(&worth(b));
    front.labels().iter().min_by(by).copied()
}
