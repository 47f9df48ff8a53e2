//! What the runs come to.

use foresail_models::rng::Seed;
use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::arms::{
    ARMS, AWARE, BOOTSTRAPPED, FROZEN, HEURISTIC, META, POLICIES, RETRAINED, SHUFFLED, TRANSFER,
    ZEROED,
};
use super::run::{Plan, Results, Row};
use crate::study::report::{Named, percent, table};
use crate::study::stats::{mean, mean_difference, signed_rank};

/// How many percentage points more violations still count as no worse.
pub(super) const MARGIN: f64 = 0.5;

/// Share of the best level at which an arm has adapted.
const ADAPTED: f64 = 0.95;

/// Episodes for which a level must be held.
const STAYS: usize = 10;

/// Episodes of a moving average.
const SMOOTH: usize = 5;

/// A part of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// As many episodes as the heuristic has with bootstrapping.
    Bootstrap,
    /// As many after those.
    Changed,
    /// Both of these: the time in which an arm with bootstrapping comes to act by itself.
    Learning,
    /// The last quarter.
    Last,
    /// The first fifth: where an arm without bootstrapping adapts.
    First,
}

impl Phase {
    const SHOWN: [Self; 3] = [Self::Bootstrap, Self::Changed, Self::Last];

    const fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrapping",
            Self::Changed => "after the switch",
            Self::Learning => "bootstrapping and after",
            Self::Last => "last quarter",
            Self::First => "first fifth",
        }
    }
}

/// A mean with its 95 % interval.
type Interval = (f64, (f64, f64));

/// An interval of which nothing is known.
const UNKNOWN: Interval = (f64::NAN, (f64::NAN, f64::NAN));

/// Everything that is known.
pub(super) struct Study<'a> {
    pub(super) plan: &'a Plan,
    pub(super) results: &'a Results,
}

impl Study<'_> {
    fn part<'r>(&self, rows: &'r [Row], phase: Phase) -> &'r [Row] {
        let (all, boot) = (rows.len(), self.plan.bootstrap.min(rows.len()));
        match phase {
            Phase::Bootstrap => &rows[..boot],
            Phase::Changed => &rows[boot..(2 * boot).min(all)],
            Phase::Learning => &rows[..(2 * boot).min(all)],
            Phase::Last => &rows[all - all / 4..],
            Phase::First => &rows[..all / 5],
        }
    }

    /// One number of every run of an arm, in the order of seeds and worlds.
    fn each(&self, arm: &str, phase: Phase, of: impl Fn(&[Row]) -> f64) -> Vec<f64> {
        let runs = self.results.of_arm(arm, self.plan);
        runs.into_iter()
            .map(|rows| of(self.part(rows, phase)))
            .collect()
    }

    /// Mean reward per episode.
    pub(super) fn reward(&self, arm: &str, phase: Phase) -> f64 {
        mean(&self.each(arm, phase, rewards))
    }

    /// Requests that broke the promise in percent, in the mean of the runs.
    pub(super) fn violations(&self, arm: &str, phase: Phase) -> f64 {
        mean(&self.each(arm, phase, broken))
    }

    /// The share of a resource that was used, in the mean of the runs.
    pub(super) fn used(&self, arm: &str, phase: Phase, of: fn(&Row) -> (f64, f64)) -> f64 {
        mean(&self.each(arm, phase, |rows| share(rows, of)))
    }

    /// The best mean reward in the last quarter of any learner, world by world.
    pub(super) fn best_reward(&self) -> f64 {
        let of_arms: Vec<Vec<f64>> = ARMS
            .iter()
            .map(|a| self.each(a.name, Phase::Last, rewards))
            .collect();
        let runs = self.plan.unseen * self.plan.seeds.len();
        let best = |run: usize| {
            let all = of_arms.iter().filter_map(|arm| arm.get(run).copied());
            all.fold(f64::NEG_INFINITY, foresail_core::quantity::units::larger)
        };
        mean(&(0..runs).map(best).collect::<Vec<f64>>())
    }

    /// Episodes until the moving average is at 95 % of the best level for ten in a row, in the mean of
    /// the runs; a run that never does counts with all its episodes.
    pub(super) fn adapted_after(&self, arm: &str) -> f64 {
        let mut all = Vec::new();
        for seed in &self.plan.seeds {
            for world in 0..self.plan.unseen {
                let levels = ARMS.iter().map(|a| {
                    rewards(self.part(self.results.run(a.name, world, *seed), Phase::Last))
                });
                let best = levels.fold(f64::NEG_INFINITY, foresail_core::quantity::units::larger);
                let rows = self.results.run(arm, world, *seed);
                let smooth = smoothed(rows);
                let good: Vec<bool> = smooth.iter().map(|r| *r >= ADAPTED * best).collect();
                let first = stays(&good);
                all.push(first.map_or(rows.len(), |n| n + 1) as f64);
            }
        }
        mean(&all)
    }

    /// The episode from which the mean reward of an arm is at least that of the rules for ten in a row;
    /// `None` where it never is.
    pub(super) fn passes_rules(&self, arm: &str) -> Option<f64> {
        let (own, rules) = (
            self.curve(arm, |r| r.reward),
            self.curve(HEURISTIC, |r| r.reward),
        );
        let own = moving(&own);
        let rules = moving(&rules);
        let good: Vec<bool> = own.iter().zip(&rules).map(|(o, r)| o >= r).collect();
        stays(&good).map(|n| (n + 1) as f64)
    }

    /// One number per episode, in the mean of the runs.
    pub(super) fn curve(&self, arm: &str, of: impl Fn(&Row) -> f64) -> Vec<f64> {
        let runs = self.results.of_arm(arm, self.plan);
        let episodes = runs.iter().map(|r| r.len()).min().unwrap_or(0);
        let at = |n: usize| mean(&runs.iter().map(|r| of(&r[n])).collect::<Vec<f64>>());
        (0..episodes).map(at).collect()
    }

    fn seed(&self) -> Seed {
        self.plan.seeds.first().copied().unwrap_or_default()
    }

    /// The mean difference of two arms with its 95 % interval, world by world and seed by seed.
    fn difference(
        &self,
        (one, other): (&str, &str),
        phase: Phase,
        of: fn(&[Row]) -> f64,
    ) -> (Vec<f64>, Option<Interval>) {
        let pairs = self
            .each(one, phase, of)
            .into_iter()
            .zip(self.each(other, phase, of));
        let differences: Vec<f64> = pairs
            .map(|(a, b)| a - b)
            .filter(|d| d.is_finite())
            .collect();
        let told = mean_difference(&differences, self.seed());
        (differences, told)
    }

    /// The tables, in their order on the page.
    pub(super) fn tables(&self) -> Vec<Named> {
        let named = |file, title, notes: &[&str], table| Named {
            file,
            title,
            notes: notes.iter().map(|n| (*n).to_owned()).collect(),
            table,
        };
        vec![
            named(
                "phases",
                "Every way to act, phase by phase",
                &[
                    "Means over worlds and seeds. Bootstrapping: as many episodes as the heuristic has in arms with it; after the switch: as many again; kills: pods killed for memory in the whole run.",
                ],
                self.phases(),
            ),
            named(
                "headlines",
                "The paper's figures beside ours",
                &[
                    "A factor counts as reproduced between half and twice the published one, a change where it goes the same way.",
                ],
                self.headlines(),
            ),
            named(
                "safety",
                "No worse than the heuristic: violations in percentage points above it",
                &[
                    "Not worse: the upper end of the 95 % interval of the paired difference lies below half a percentage point.",
                ],
                self.safety(),
            ),
            named(
                "gain",
                "Reward above the heuristic's in the last quarter",
                &["Paired over worlds and seeds; p by Wilcoxon's signed-rank test."],
                self.gain(),
            ),
            named(
                "embeddings",
                "What the embedding is worth",
                &[
                    "Reward in the first fifth: as the meta-learner tells it against zeros and another workload's. An interval that holds zero says that it does not help.",
                ],
                self.embeddings(),
            ),
            named("worlds", "World by world, last quarter", &[], self.worlds()),
        ]
    }

    fn phases(&self) -> TextTable {
        let learners = ARMS.iter().map(|a| a.name);
        let names = learners.chain([RETRAINED, FROZEN]).chain(POLICIES);
        let row = |arm: &str| {
            let mut cells = vec![arm.to_owned()];
            for phase in Phase::SHOWN {
                cells.push(number(self.reward(arm, phase), 1));
                cells.push(percent(self.violations(arm, phase), 2));
            }
            cells.push(percent(100.0 * self.used(arm, Phase::Last, |r| r.cores), 1));
            cells.push(percent(100.0 * self.used(arm, Phase::Last, |r| r.gib), 1));
            let runs = self.results.of_arm(arm, self.plan);
            let kills = |rows: &&[Row]| rows.iter().map(|r| r.kills as f64).sum::<f64>();
            cells.push(number(
                mean(&runs.iter().map(kills).collect::<Vec<f64>>()),
                0,
            ));
            cells
        };
        let columns = [
            "arm",
            "reward, bootstrapping",
            "late",
            "reward, after the switch",
            "late ",
            "reward, last quarter",
            "late  ",
            "CPU used",
            "memory used",
            "kills",
        ];
        table(&columns, names.map(row).collect())
    }

    fn safety(&self) -> TextTable {
        let mut rows = Vec::new();
        for arm in [AWARE, BOOTSTRAPPED] {
            for phase in Phase::SHOWN {
                let (_, told) = self.difference((arm, HEURISTIC), phase, broken);
                let (middle, (low, high)) = told.unwrap_or(UNKNOWN);
                rows.push(vec![
                    arm.to_owned(),
                    phase.name().to_owned(),
                    number(middle, 3),
                    format!("{} to {}", number(low, 3), number(high, 3)),
                    if high < MARGIN {
                        "not worse"
                    } else {
                        "not shown"
                    }
                    .to_owned(),
                ]);
            }
        }
        table(
            &["arm", "phase", "difference", "95 % interval", "verdict"],
            rows,
        )
    }

    fn gain(&self) -> TextTable {
        let row = |arm: &str| {
            let (differences, told) = self.difference((arm, HEURISTIC), Phase::Last, rewards);
            let (middle, (low, high)) = told.unwrap_or(UNKNOWN);
            let p = signed_rank(&differences).map_or_else(|| "–".to_owned(), |p| number(p, 4));
            vec![
                arm.to_owned(),
                number(middle, 2),
                format!("{} to {}", number(low, 2), number(high, 2)),
                p,
            ]
        };
        let names = ARMS
            .iter()
            .map(|a| a.name)
            .chain(POLICIES.into_iter().skip(1));
        table(
            &["arm", "reward above", "95 % interval", "p"],
            names.map(row).collect(),
        )
    }

    fn embeddings(&self) -> TextTable {
        let row = |other: &str| {
            let (_, told) = self.difference((META, other), Phase::First, rewards);
            let (middle, (low, high)) = told.unwrap_or(UNKNOWN);
            let verdict = match () {
                () if low > 0.0 => "it helps",
                () if high < 0.0 => "it harms",
                () => "it does not help",
            };
            vec![
                other.to_owned(),
                number(middle, 2),
                format!("{} to {}", number(low, 2), number(high, 2)),
                verdict.to_owned(),
            ]
        };
        let columns = ["against", "reward above", "95 % interval", "verdict"];
        table(&columns, [ZEROED, SHUFFLED, TRANSFER].map(row).to_vec())
    }

    fn worlds(&self) -> TextTable {
        let mut rows = Vec::new();
        for seed in &self.plan.seeds {
            for world in 0..self.plan.unseen {
                let of = |arm| self.part(self.results.run(arm, world, *seed), Phase::Last);
                let (own, rules) = (of(AWARE), of(HEURISTIC));
                let acted = own.iter().filter(|r| r.learner).count();
                rows.push(vec![
                    seed.0.to_string(),
                    world.to_string(),
                    number(rewards(own), 1),
                    number(rewards(rules), 1),
                    percent(broken(own), 2),
                    percent(broken(rules), 2),
                    format!("{acted} of {}", own.len()),
                ]);
            }
        }
        let columns = [
            "seed",
            "world",
            "reward of aware",
            "of hpa-vpa",
            "late under aware",
            "under hpa-vpa",
            "episodes by the learner",
        ];
        table(&columns, rows)
    }

    /// What a reader should know first.
    pub(super) fn headline(&self) -> String {
        let highs = Phase::SHOWN.map(|phase| {
            let (_, told) = self.difference((AWARE, HEURISTIC), phase, broken);
            told.map(|(_, (_, high))| high)
        });
        // A phase of which nothing is known is not shown to be safe.
        let known = highs.iter().all(Option::is_some);
        let worst = highs.into_iter().flatten().fold(
            if known {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            },
            foresail_core::quantity::units::larger,
        );
        let runs = self.results.of_arm(AWARE, self.plan);
        let last = runs.iter().flat_map(|rows| self.part(rows, Phase::Last));
        let (acted, of) = last.fold((0, 0), |(a, n), r| (a + usize::from(r.learner), n + 1));
        let safe = if worst < MARGIN {
            format!(
                "violates no more than HPA and VPA in any phase (at most {} points more)",
                number(worst, 2)
            )
        } else {
            format!(
                "may violate up to {} points more than HPA and VPA in some phase",
                number(worst, 2)
            )
        };
        let (_, gain) = self.difference((AWARE, HEURISTIC), Phase::Last, rewards);
        let earns = gain.map_or_else(String::new, |(middle, (low, high))| {
            format!(
                "; after adaptation it earns {} more per episode than they do (95 % interval {} to {})",
                number(middle, 1),
                number(low, 1),
                number(high, 1)
            )
        });
        format!(
            "On {} unseen workloads and {} seeds the bootstrapped learner {safe}{earns}. It acts itself in {acted} of the last {of} episodes, HPA and VPA in the others.",
            self.plan.unseen,
            self.plan.seeds.len()
        )
    }
}

/// Mean reward of an episode.
fn rewards(rows: &[Row]) -> f64 {
    mean(&rows.iter().map(|r| r.reward).collect::<Vec<f64>>())
}

/// The first of ten in a row, or of as many as are left at the end.
fn stays(good: &[bool]) -> Option<usize> {
    let lasts = |n: &usize| good[*n..].iter().take(STAYS).all(|g| *g);
    (0..good.len()).find(lasts)
}

/// Requests that broke the promise, in percent.
fn broken(rows: &[Row]) -> f64 {
    let sum = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    sum(|r| r.violations) * 100.0 / sum(|r| r.requests)
}

/// The share of a resource that was used.
fn share(rows: &[Row], of: fn(&Row) -> (f64, f64)) -> f64 {
    let (asked, used) = rows
        .iter()
        .map(of)
        .fold((0.0, 0.0), |s, r| (s.0 + r.0, s.1 + r.1));
    used / asked
}

fn smoothed(rows: &[Row]) -> Vec<f64> {
    moving(&rows.iter().map(|r| r.reward).collect::<Vec<f64>>())
}

/// The mean of each value and those just before it.
pub(super) fn moving(values: &[f64]) -> Vec<f64> {
    let at = |n: usize| mean(&values[n.saturating_sub(SMOOTH - 1)..=n]);
    (0..values.len()).map(at).collect()
}
