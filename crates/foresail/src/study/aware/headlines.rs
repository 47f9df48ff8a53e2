//! The published figures, what ours come to, and a verdict on each.

use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::arms::{AWARE, BOOTSTRAPPED, FROZEN, HEURISTIC, META, RETRAINED, SCRATCH, TRANSFER};
use super::tables::{Phase, Study};
use crate::study::report::table;
use crate::study::verdict::Verdict;

/// One figure of the paper.
struct Claim {
    claim: &'static str,
    published: &'static str,
    ours: String,
    verdict: Verdict,
}

/// How far ours may lie from a published factor and still stand for it: half to twice.
fn about(ours: f64, published: f64) -> Verdict {
    Verdict::holds(ours >= published / 2.0 && ours <= published * 2.0)
}

fn times(value: f64) -> String {
    if value.is_finite() {
        format!("{} times", number(value, 2))
    } else {
        "no violations to divide by".to_owned()
    }
}

impl Study<'_> {
    /// Every published figure beside ours.
    pub(super) fn headlines(&self) -> TextTable {
        let rows = self.claims().into_iter().map(|c| {
            vec![
                c.claim.to_owned(),
                c.published.to_owned(),
                c.ours,
                c.verdict.text().to_owned(),
            ]
        });
        table(&["figure", "published", "ours", "verdict"], rows.collect())
    }

    fn claims(&self) -> Vec<Claim> {
        let mut all = self.adaptation();
        all.extend(self.bootstrapping());
        all.extend(self.serving());
        all
    }

    fn ratio(&self, more: &str, less: &str, phase: Phase) -> f64 {
        self.violations(more, phase) / self.violations(less, phase)
    }

    fn adaptation(&self) -> Vec<Claim> {
        let (slow, fast) = (self.adapted_after(TRANSFER), self.adapted_after(META));
        let faster = slow / fast;
        let fewer = self.ratio(TRANSFER, META, Phase::First);
        vec![
            Claim {
                claim: "adaptation against transfer learning",
                published: "5.5 times faster",
                ours: format!(
                    "{} ({} against {} episodes)",
                    times(faster),
                    number(fast, 1),
                    number(slow, 1)
                ),
                verdict: about(faster, 5.5),
            },
            Claim {
                claim: "violations while adapting, transfer over meta-learning",
                published: "7.1 times",
                ours: times(fewer),
                verdict: about(fewer, 7.1),
            },
        ]
    }

    fn bootstrapping(&self) -> Vec<Claim> {
        let fewer = self.ratio(SCRATCH, BOOTSTRAPPED, Phase::Learning);
        let early = self.ratio(SCRATCH, HEURISTIC, Phase::Bootstrap);
        let reward =
            self.reward(BOOTSTRAPPED, Phase::Bootstrap) / self.reward(SCRATCH, Phase::Bootstrap);
        let gain = (reward - 1.0) * 100.0;
        let used = |of: fn(&super::run::Row) -> (f64, f64)| {
            let share = |arm| self.used(arm, Phase::Bootstrap, of);
            (share(BOOTSTRAPPED) / share(SCRATCH) - 1.0) * 100.0
        };
        let (cpu, memory) = (used(|r| r.cores), used(|r| r.gib));
        let percent = |value: f64| {
            format!(
                "{}{} %",
                if value > 0.0 { "+" } else { "" },
                number(value, 1)
            )
        };
        vec![
            Claim {
                claim: "violations while learning, without over with bootstrapping",
                published: "16.9 times",
                ours: times(fewer),
                verdict: about(fewer, 16.9),
            },
            Claim {
                claim: "violations of early learning over those of the rules",
                published: "56.1 times",
                ours: times(early),
                verdict: about(early, 56.1),
            },
            Claim {
                claim: "reward with bootstrapping against none",
                published: "+47.3 %",
                ours: percent(gain),
                verdict: Verdict::same_direction(47.3, gain),
            },
            Claim {
                claim: "CPU used with bootstrapping against none",
                published: "+47.5 %",
                ours: percent(cpu),
                verdict: Verdict::same_direction(47.5, cpu),
            },
            Claim {
                claim: "memory used with bootstrapping against none",
                published: "+39.2 %",
                ours: percent(memory),
                verdict: Verdict::same_direction(39.2, memory),
            },
        ]
    }

    fn serving(&self) -> Vec<Claim> {
        let fewer = self.ratio(FROZEN, RETRAINED, Phase::Last);
        let gain =
            (self.reward(RETRAINED, Phase::Last) / self.reward(FROZEN, Phase::Last) - 1.0) * 100.0;
        let passes = self.passes_rules(SCRATCH);
        let best = self.best_reward();
        let below = (1.0 - self.reward(AWARE, Phase::Last) / best) * 100.0;
        vec![
            Claim {
                claim: "reward when serving, below the best that any learner came to",
                published: "under 3.6 %",
                ours: format!("{} %", number(below, 1)),
                verdict: Verdict::holds(below < 3.6),
            },
            Claim {
                claim: "violations after a change of the workload, as it was over learning on",
                published: "3.1 times",
                ours: times(fewer),
                verdict: about(fewer, 3.1),
            },
            Claim {
                claim: "reward after a change of the workload, learning on against not",
                published: "+8.6 %",
                ours: format!("{}{} %", if gain > 0.0 { "+" } else { "" }, number(gain, 1)),
                verdict: Verdict::same_direction(8.6, gain),
            },
            Claim {
                claim: "episodes until a learner from scratch earns what the rules do",
                published: "about 400",
                ours: passes.map_or_else(|| "never".to_owned(), |n| number(n, 0)),
                verdict: passes.map_or(Verdict::NotReproduced, |n| about(n, 400.0)),
            },
        ]
    }
}
