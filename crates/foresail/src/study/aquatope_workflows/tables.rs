//! Every table of the study, each also a file of its own.

use foresail_models::rng::Seed;
use foresail_sim::workflow::bound::Method;
use foresail_web::page::text::number;

use super::run::{OURS, Outcome, PUBLISHED, RANDOM, Searched};
use crate::study::report::{self, Named, table};
use crate::study::stats::{mean, mean_difference, signed_rank};
use crate::study::verdict::Verdict;

/// The abstract's claims: cost below that of other methods that keep the promise, in the mean and at
/// most, in percent; promises broken less often by this factor.
/// Source: Zhou, Zhang & Delimitrou, ASPLOS 2023, abstract.
const COST_MEAN: f64 = 34.0;
const COST_MOST: f64 = 52.0;
const BROKEN_FACTOR: f64 = 5.0;

/// Share by which the exhaustive optimum may be missed, and of the seeds that must not.
const NEAR: f64 = 1.05;
const NEAR_SHARE: f64 = 0.9;

/// Share of the later measurements in which the promise must hold.
const KEPT: f64 = 0.98;

/// The workflow whose exhaustive optimum is known.
const REFERENCE: &str = "reference";

/// What the tables are made from.
pub(super) struct Study<'a> {
    pub(super) searched: &'a [Searched],
    pub(super) seed: Seed,
}

/// A cost as a multiple of the least possible; not a number where that is not known.
pub(super) fn over_bound(searched: &Searched, cost: f64) -> f64 {
    searched
        .bound
        .as_ref()
        .map_or(f64::NAN, |(least, _)| cost / least)
}

fn of(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> f64 {
    mean(&outcomes.iter().map(value).collect::<Vec<_>>())
}

/// A share in percent.
fn percent(share: f64, digits: usize) -> String {
    report::percent(100.0 * share, digits)
}

fn cost_text(value: f64) -> String {
    if value.is_finite() {
        number(value, 4)
    } else {
        "–".to_owned()
    }
}

/// Costs of two ways to search under the seeds in which both say that they keep the promise.
fn both_kept(searched: &Searched, arm: &str, against: &str) -> Vec<(f64, f64)> {
    let pairs = searched.arm(arm).iter().zip(searched.arm(against));
    pairs
        .filter(|(a, b)| a.says_kept && b.says_kept)
        .map(|(a, b)| (a.cost, b.cost))
        .collect()
}

/// The searches that say that they keep the promise: what the others leave in force is the former
/// sizes, whose figures are nobody's.
fn found(outcomes: &[Outcome]) -> Vec<Outcome> {
    outcomes.iter().filter(|o| o.says_kept).cloned().collect()
}

impl Study<'_> {
    /// Every table, the headlines first.
    pub(super) fn tables(&self) -> Vec<Named> {
        let mut all = vec![self.headlines(), self.goals()];
        all.extend([self.workflows(), self.differences()]);
        all.extend(self.reference());
        all.push(self.convergence());
        all
    }

    /// What came of it, in a sentence.
    pub(super) fn headline(&self) -> String {
        let (cost, _) = self.below_others();
        format!(
            "Bayesian optimisation leaves sizes in force that cost {} less than random search finds in as many trials, over {} workflows; it keeps the promise in {} of the later measurements",
            percent(cost, 0),
            self.searched.len(),
            percent(self.found(OURS).0[0], 1)
        )
    }

    /// Share by which ours costs less than random search where both keep the promise: the mean and
    /// the most over workflows.
    fn below_others(&self) -> (f64, f64) {
        let each: Vec<f64> = self
            .searched
            .iter()
            .filter_map(|s| {
                let pairs = both_kept(s, OURS, RANDOM);
                let sum = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
                (!pairs.is_empty()).then(|| 1.0 - sum(|p| p.0) / sum(|p| p.1))
            })
            .collect();
        let most = each
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        (mean(&each), most)
    }

    /// Means over all workflows of the searches that say that they keep the promise: the share of the
    /// later measurements that kept it, the share of late requests, and how many searches they are.
    fn found(&self, arm: &str) -> ([f64; 2], [usize; 2]) {
        let all = self.searched.iter().flat_map(|s| s.arm(arm));
        let of: Vec<&Outcome> = all.clone().filter(|o| o.says_kept).collect();
        let mean_of =
            |value: fn(&Outcome) -> f64| mean(&of.iter().map(|o| value(o)).collect::<Vec<_>>());
        let shares = [mean_of(|o| o.kept), mean_of(|o| o.late)];
        (shares, [of.len(), all.count()])
    }

    fn headlines(&self) -> Named {
        let (cost, most) = self.below_others();
        let late = |arm: &str| self.found(arm).0[1];
        let told = |arm: &str| {
            let (_, [found, all]) = self.found(arm);
            format!(
                "{arm} {} ({found} of {all} searches found sizes)",
                percent(late(arm), 2)
            )
        };
        let factor = late(RANDOM) / late(OURS);
        let former = mean(&self.searched.iter().map(|s| s.former.1).collect::<Vec<_>>());
        let rows = vec![
            vec![
                "cost below other methods that keep the promise, mean".to_owned(),
                format!("{COST_MEAN} %"),
                percent(cost, 1),
                Verdict::holds(cost >= COST_MEAN / 100.0).text().to_owned(),
            ],
            vec![
                "the same, at most".to_owned(),
                format!("{COST_MOST} %"),
                percent(most, 1),
                Verdict::holds(most >= COST_MOST / 100.0).text().to_owned(),
            ],
            vec![
                "promises broken less often".to_owned(),
                format!("{BROKEN_FACTOR} ×"),
                format!(
                    "random search {} × as many late requests: {}, {}; {}; the former sizes {}",
                    number(factor, 2),
                    told(RANDOM),
                    told(OURS),
                    told(PUBLISHED),
                    percent(former, 1)
                ),
                Verdict::holds(factor >= BROKEN_FACTOR).text().to_owned(),
            ],
        ];
        Named {
            file: "headlines",
            title: "The abstract's figures",
            notes: vec![
                "Of the paper's evaluation the abstract alone is known here. Its other methods are not named there; random search with as many trials stands for them, under seeds in which both say that they keep the promise. Late requests are those of searches that say so; the others leave the former sizes in force. Reproduced where ours is as far below, on our surfaces.".to_owned(),
            ],
            table: foresail_web::page::study::TextTable {
                prose: true,
                ..table(&["claim", "published", "here", "verdict"], rows)
            },
        }
    }

    fn goals(&self) -> Named {
        let verdict = |met: bool| if met { "met" } else { "missed" }.to_owned();
        let mut rows = Vec::new();
        if let Some(reference) = self.searched.iter().find(|s| s.name == REFERENCE) {
            let ours = reference.arm(OURS);
            let near = |o: &&Outcome| over_bound(reference, o.cost) <= NEAR && o.kept >= KEPT;
            let count = ours.iter().filter(near).count();
            let share = count as f64 / ours.len() as f64;
            rows.push(vec![
                "reference: within 5 % of the exhaustive optimum in 9 of 10 seeds".to_owned(),
                format!("{count} of {}", ours.len()),
                verdict(share >= NEAR_SHARE),
            ]);
            let kept = of(ours, |o| o.kept);
            rows.push(vec![
                "reference: promise kept in 98 % of the later measurements".to_owned(),
                percent(kept, 1),
                verdict(kept >= KEPT),
            ]);
        }
        let ([kept, _], [found, all]) = self.found(OURS);
        let each = self.searched.iter().flat_map(|s| s.arm(OURS));
        let each: Vec<f64> = each.map(|o| o.kept).collect();
        rows.push(vec![
            "all workflows: promise kept in 98 % of the later measurements".to_owned(),
            format!(
                "{}, of the {found} searches of {all} that say they keep it {}",
                percent(mean(&each), 1),
                percent(kept, 1)
            ),
            verdict(mean(&each) >= KEPT),
        ]);
        Named {
            file: "goals",
            title: "What was to be reached",
            notes: vec![
                "The reference workflow has no noise; the others have a spread of 10 %, slow neighbours and outliers.".to_owned(),
            ],
            table: table(&["goal", "measured", "verdict"], rows),
        }
    }

    fn workflows(&self) -> Named {
        let mut rows = Vec::new();
        for s in self.searched {
            let least = s.bound.as_ref();
            let how = least.map_or("none", |(_, b)| match b.method {
                Method::Exact => "exact",
                Method::Rounded { .. } => "rounded",
                Method::Multipliers => "multipliers",
            });
            for (arm, outcomes) in &s.arms {
                let good = found(outcomes);
                let cost = of(&good, |o| o.cost);
                rows.push(vec![
                    s.name.to_owned(),
                    s.stages.to_string(),
                    (*arm).to_owned(),
                    format!("{} of {}", good.len(), outcomes.len()),
                    cost_text(cost),
                    least.map_or_else(
                        || "–".to_owned(),
                        |(least, _)| format!("{} ({how})", cost_text(*least)),
                    ),
                    number(over_bound(s, cost), 3),
                    percent(of(&good, |o| o.kept), 1),
                    percent(of(&good, |o| o.late), 2),
                    percent(of(outcomes, |o| o.broken_trials), 0),
                    number(of(outcomes, |o| o.spend), 2),
                ]);
            }
            rows.push(vec![
                s.name.to_owned(),
                s.stages.to_string(),
                "former sizes".to_owned(),
                "–".to_owned(),
                cost_text(s.former.0),
                "–".to_owned(),
                number(over_bound(s, s.former.0), 3),
                "–".to_owned(),
                percent(s.former.1, 2),
                "–".to_owned(),
                "–".to_owned(),
            ]);
        }
        Named {
            file: "workflows",
            title: "Workflows",
            notes: vec![
                "Found: searches that say they end with sizes that keep the promise; cost per 1,000 requests, kept and late are theirs, measured again. The least: no sizes that keep the promise without noise cost less (by dynamic programming over the stages; by multipliers where the workflow is not series-parallel), so with noise the gap is never zero. Kept: later measurements; late: later requests above the promise. Spend: what the search's own requests cost.".to_owned(),
            ],
            table: table(
                &[
                    "workflow", "stages", "by", "found", "cost", "the least", "of the least", "kept",
                    "late", "trials that broke it", "spend",
                ],
                rows,
            ),
        }
    }

    fn differences(&self) -> Named {
        let mut rows = Vec::new();
        for s in self.searched {
            for (against, _) in s.arms.iter().filter(|(name, _)| *name != OURS) {
                let pairs = both_kept(s, OURS, against);
                let relative: Vec<f64> = pairs.iter().map(|(a, b)| 100.0 * (a / b - 1.0)).collect();
                let difference = mean_difference(&relative, self.seed);
                rows.push(vec![
                    s.name.to_owned(),
                    (*against).to_owned(),
                    pairs.len().to_string(),
                    difference.map_or_else(
                        || "–".to_owned(),
                        |(mean, (low, high))| {
                            format!(
                                "{} ({} to {})",
                                number(mean, 1),
                                number(low, 1),
                                number(high, 1)
                            )
                        },
                    ),
                    signed_rank(&relative).map_or_else(|| "–".to_owned(), |p| number(p, 4)),
                ]);
            }
        }
        Named {
            file: "differences",
            title: "Cost of ours against each, seed by seed",
            notes: vec![
                "In percent, over seeds in which both say that they keep the promise, with the 95 % interval over resampled seeds; p of the Wilcoxon signed-rank test.".to_owned(),
            ],
            table: table(&["workflow", "against", "seeds", "difference %", "p"], rows),
        }
    }

    fn reference(&self) -> Option<Named> {
        let s = self.searched.iter().find(|s| s.name == REFERENCE)?;
        let seeds = s.arm(OURS).iter().map(|o| o.seed);
        let rows = seeds.enumerate().map(|(i, seed)| {
            let mut row = vec![seed.0.to_string()];
            for (arm, _) in &s.arms {
                let told = s.arm(arm).get(i);
                row.push(told.map_or_else(
                    || "–".to_owned(),
                    |o| {
                        let broke = if o.kept >= KEPT { "" } else { ", broken" };
                        format!("{}{broke}", number(over_bound(s, o.cost), 3))
                    },
                ));
            }
            row
        });
        let rows = rows.collect();
        let columns: Vec<&str> = std::iter::once("seed")
            .chain(s.arms.iter().map(|(n, _)| *n))
            .collect();
        Some(Named {
            file: "reference",
            title: "The reference workflow, seed by seed: of the exhaustive optimum",
            notes: Vec::new(),
            table: table(&columns, rows),
        })
    }

    /// Trials until the cheapest so far is near what the search ends with.
    fn convergence(&self) -> Named {
        let mut rows = Vec::new();
        for s in self.searched {
            for (arm, outcomes) in &s.arms {
                let at = |trial: usize| {
                    let costs = outcomes.iter().filter_map(|o| {
                        o.best_so_far
                            .get(trial - 1)
                            .or(o.best_so_far.last())
                            .copied()
                    });
                    let costs: Vec<f64> = costs.collect();
                    let found = costs.iter().filter(|c| c.is_finite()).count();
                    let value = number(over_bound(s, mean(&costs)), 3);
                    if found == 0 {
                        "–".to_owned()
                    } else {
                        format!("{value} ({found})")
                    }
                };
                let mut row = vec![s.name.to_owned(), (*arm).to_owned()];
                row.extend([10, 20, 40, 70].map(at));
                rows.push(row);
            }
        }
        Named {
            file: "convergence",
            title: "The cheapest so far, of the least possible",
            notes: vec![
                "Mean over the seeds that had a plan that kept the promise by then, their number in brackets.".to_owned(),
            ],
            table: table(
                &["workflow", "by", "after 10", "after 20", "after 40", "after 70 trials"],
                rows,
            ),
        }
    }
}
