//! Figures of every policy by archetype, paired against the plain HPA.

use foresail_core::propose::archetype::Archetype;
use foresail_core::value::rei::Weights;
use foresail_models::rng::Seed;

use super::simulate::{Figures, Flown};
use crate::study::stats::{mean_difference, signed_rank};

/// A figure of a run, with its name, digits and whether less of it is better.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) digits: usize,
    pub(super) of: fn(&Figures) -> f64,
}

/// Figures of the main table, in its order.
pub(super) const MEASURES: [Measure; 9] = [
    Measure {
        name: "violations %",
        digits: 2,
        of: Figures::violations_percent,
    },
    Measure {
        name: "mean response ms",
        digits: 0,
        of: |f| f.response_ms,
    },
    Measure {
        name: "wait p95 ms",
        digits: 0,
        of: |f| f.wait_p95_ms,
    },
    Measure {
        name: "wait p99 ms",
        digits: 0,
        of: |f| f.wait_p99_ms,
    },
    Measure {
        name: "replica-minutes",
        digits: 0,
        of: |f| f.replica_minutes,
    },
    Measure {
        name: "busy %",
        digits: 1,
        of: |f| f.rei.efficiency * 100.0,
    },
    Measure {
        name: "cold starts",
        digits: 0,
        of: |f| f.cold_starts,
    },
    Measure {
        name: "changes",
        digits: 0,
        of: |f| f.changes,
    },
    Measure {
        name: "REI",
        digits: 3,
        of: |f| f.rei.index(Weights::default()),
    },
];

/// Functions of one archetype, or of all.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// `None` = the whole mix.
    pub(super) archetype: Option<Archetype>,
    pub(super) flown: Vec<&'a Flown>,
}

/// One policy against the plain HPA over the functions of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paired {
    /// Mean difference and its 95 % interval; `None` with a single function.
    pub(super) difference: Option<(f64, (f64, f64))>,
    /// Two-sided p of the signed-rank test; `None` where nothing differs.
    pub(super) p: Option<f64>,
}

/// One of the plain HPA's settings over a group: violations in percent, replica-minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) target_percent: u32,
    pub(super) down_window_seconds: i32,
    pub(super) violations_percent: f64,
    pub(super) replica_minutes: f64,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl<'a> Group<'a> {
    /// The groups of archetypes that have a function, in the order of the classes, then the mix.
    pub(super) fn all(flown: &'a [(Option<Archetype>, Flown)]) -> Vec<Self> {
        let of = |archetype: Option<Archetype>| Self {
            archetype,
            flown: flown
                .iter()
                .filter(|(a, _)| archetype.is_none() || archetype == *a)
                .map(|(_, f)| f)
                .collect(),
        };
        let classes = Archetype::CLASSES.into_iter().map(|a| of(Some(a)));
        let mut groups: Vec<Self> = classes.filter(|g| !g.flown.is_empty()).collect();
        groups.push(of(None));
        groups
    }

    pub(super) fn name(&self) -> &'static str {
        self.archetype.map_or("all", Archetype::name)
    }

    /// A figure of each function under a policy.
    pub(super) fn values(&self, policy: &str, of: fn(&Figures) -> f64) -> Vec<f64> {
        let value = |f: &&Flown| {
            let mut policies = f.policies.iter();
            policies
                .find(|(name, _)| *name == policy)
                .map(|(_, f)| of(f))
        };
        self.flown.iter().filter_map(value).collect()
    }

    /// Its mean over the functions, each counting alike.
    pub(super) fn mean(&self, policy: &str, of: fn(&Figures) -> f64) -> f64 {
        mean(&self.values(policy, of))
    }

    /// A policy against the plain HPA, function by function.
    pub(super) fn paired(&self, policy: &str, of: fn(&Figures) -> f64, seed: Seed) -> Paired {
        let pairs = self
            .values(policy, of)
            .into_iter()
            .zip(self.values("hpa", of));
        let differences: Vec<f64> = pairs.map(|(ours, plain)| ours - plain).collect();
        Paired {
            difference: mean_difference(&differences, seed),
            p: signed_rank(&differences),
        }
    }

    /// Improvement of a policy's mean over the plain HPA's, in percent; more is better. Where the
    /// HPA has none of it: none either, or without end worse.
    pub(super) fn improvement(&self, policy: &str, of: fn(&Figures) -> f64) -> f64 {
        let (plain, ours) = (self.mean("hpa", of), self.mean(policy, of));
        if plain > 0.0 {
            (1.0 - ours / plain) * 100.0
        } else if ours > 0.0 {
            f64::NEG_INFINITY
        } else {
            0.0
        }
    }

    /// Every setting of the plain HPA.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let count = self.flown.first().map_or(0, |f| f.settings.len());
        let one = |place: usize| {
            let (target_percent, down_window_seconds) = self.flown[0].settings[place].0;
            let of = |f: fn(&Figures) -> f64| {
                let each = self.flown.iter().map(|flown| f(&flown.settings[place].1));
                mean(&each.collect::<Vec<f64>>())
            };
            Setting {
                target_percent,
                down_window_seconds,
                violations_percent: of(Figures::violations_percent),
                replica_minutes: of(|f| f.replica_minutes),
            }
        };
        (0..count).map(one).collect()
    }

    /// The cheapest setting of the plain HPA that breaks the promise no more often.
    pub(super) fn as_good(&self, violations_percent: f64) -> Option<Setting> {
        let settings = self.settings().into_iter();
        let good = settings.filter(|s| s.violations_percent <= violations_percent);
        good.min_by(|a, b| a.replica_minutes.total_cmp(&b.replica_minutes))
    }
}
