//! Every policy by its figures, against the plain HPA, by the index.

use foresail_core::propose::archetype::Archetype;
use foresail_core::value::rei::Weights;
use foresail_web::page::text::number;

use super::super::analysis::{Group, MEASURES};
use super::super::doubt::AtConfidence;
use super::super::simulate::{Figures, KEEP, ORACLE, POLICIES};
use super::{Named, Study, interval, minutes, p_text, percent, response, table};

/// How much each weight is moved in the sensitivity of the index. Source: AAPA, section IV.
const MOVED: f64 = 0.05;

impl Study<'_> {
    /// Every policy on one group.
    pub(super) fn policies(&self, group: &Group<'_>) -> Named {
        let names = POLICIES.into_iter().chain([KEEP, ORACLE]);
        let rows = names.map(|policy| {
            let cells = MEASURES
                .iter()
                .map(|m| number(group.mean(policy, m.of), m.digits));
            std::iter::once(policy.to_owned()).chain(cells).collect()
        });
        let columns: Vec<&str> = std::iter::once("policy")
            .chain(MEASURES.iter().map(|m| m.name))
            .collect();
        let (file, title) = match group.archetype {
            Some(Archetype::Spike) => ("policies-spike", "Policies on Spike"),
            Some(Archetype::Periodic) => ("policies-periodic", "Policies on Periodic"),
            Some(Archetype::Ramp) => ("policies-ramp", "Policies on Ramp"),
            Some(Archetype::Stationary) => ("policies-stationary", "Policies on Stationary"),
            Some(Archetype::Idle) | None => ("policies-all", "Policies on the whole mix"),
        };
        Named {
            file,
            title,
            notes: vec![format!(
                "Means over {} functions, each counting alike. A violation is a request that waited longer than 500 ms, or was never served. {KEEP} runs in function mode, where a container comes with the call that needs it; {ORACLE} knows all demand to come and is a reference, not a bound.",
                group.flown.len()
            )],
            table: table(&columns, rows.collect()),
        }
    }

    /// Each policy against the plain HPA, function by function: gains and losses alike.
    pub(super) fn differences(&self) -> Named {
        let mut rows = Vec::new();
        for group in self.groups {
            for policy in POLICIES.into_iter().skip(1).chain([KEEP, ORACLE]) {
                let of = |f: fn(&Figures) -> f64, digits| {
                    let paired = group.paired(policy, f, self.seed);
                    [interval(&paired, digits), p_text(paired.p)]
                };
                let mut row = vec![group.name().to_owned(), policy.to_owned()];
                row.extend(of(Figures::violations_percent, 2));
                row.extend(of(response, 0));
                row.extend(of(minutes, 0));
                rows.push(row);
            }
        }
        Named {
            file: "differences",
            title: "Every policy against the plain HPA",
            notes: vec![
                "Mean difference over the functions of all seeds with its 95 % interval over resampled functions, and Wilcoxon's p; below zero is better.".to_owned(),
            ],
            table: table(
                &["archetype", "policy", "violations, points", "p", "mean response, ms", "p", "replica-minutes", "p"],
                rows,
            ),
        }
    }

    /// The index of every policy.
    pub(super) fn index(&self) -> Named {
        let [slo, efficiency, stability] = Weights::default().parts();
        let index = |f: &Figures| f.rei.index(Weights::default());
        let names = POLICIES.into_iter().chain([KEEP, ORACLE]);
        let rows = names.map(|policy| {
            let cells = self.groups.iter().map(|g| number(g.mean(policy, index), 3));
            std::iter::once(policy.to_owned()).chain(cells).collect()
        });
        let columns: Vec<&str> = std::iter::once("policy")
            .chain(self.groups.iter().map(Group::name))
            .collect();
        Named {
            file: "table-6-rei",
            title: "Table VI: the Resource Efficiency Index",
            notes: vec![format!(
                "{slo} × requests that kept the promise + {efficiency} × capacity that was busy + {stability} × 1 / (1 + flaps a minute + changes an hour / 10): one definition whose parts are shares, so that neither the length of a run nor its size counts. By the paper's own table the HPA's index is above AAPA's."
            )],
            table: table(&columns, rows.collect()),
        }
    }

    /// How the order of the policies hangs on the weights.
    pub(super) fn sensitivity(&self) -> Named {
        let all = self.mix();
        let mut weights = vec![Weights::default()];
        weights.extend(Weights::default().moved(MOVED));
        let row = |w: &Weights| {
            let [slo, efficiency, stability] = w.parts();
            let of = |policy: &str| {
                let part = |of: fn(&Figures) -> f64| all.mean(policy, of);
                slo * part(|f| f.rei.slo)
                    + efficiency * part(|f| f.rei.efficiency)
                    + stability * part(|f| f.rei.stability)
            };
            let mut row = vec![format!(
                "{} / {} / {}",
                number(slo, 2),
                number(efficiency, 2),
                number(stability, 2)
            )];
            row.extend(POLICIES.map(|p| number(of(p), 3)));
            let best = POLICIES.into_iter().max_by(|a, b| of(a).total_cmp(&of(b)));
            row.push(best.unwrap_or("–").to_owned());
            row
        };
        let mut columns = vec!["promise / busy / steady"];
        columns.extend(POLICIES);
        columns.push("largest");
        Named {
            file: "rei-sensitivity",
            title: "The index under other weights",
            notes: vec![format!(
                "Each weight moved by {MOVED} to each other, over the whole mix."
            )],
            table: table(&columns, weights.iter().map(row).collect()),
        }
    }

    /// Every setting of the plain HPA.
    pub(super) fn frontier(&self) -> Named {
        let mut rows = Vec::new();
        for group in self.groups {
            for s in group.settings() {
                rows.push(vec![
                    group.name().to_owned(),
                    percent(f64::from(s.target_percent), 0),
                    format!("{} s", s.down_window_seconds),
                    number(s.violations_percent, 2),
                    number(s.replica_minutes, 0),
                ]);
            }
        }
        Named {
            file: "hpa-frontier",
            title: "The plain HPA at every setting",
            notes: Vec::new(),
            table: table(
                &[
                    "archetype",
                    "CPU target",
                    "down window",
                    "violations %",
                    "replica-minutes",
                ],
                rows,
            ),
        }
    }
}

/// What doubt does to violations and cost.
pub(super) fn uncertainty(at: &[AtConfidence]) -> Named {
    let row = |a: &AtConfidence| {
        vec![
            number(a.confidence, 2),
            number(a.violations_percent, 2),
            number(a.replica_minutes, 0),
        ]
    };
    Named {
        file: "figure-uncertainty",
        title: "What doubt does",
        notes: vec![
            "aapa on the same functions as if every archetype were only so sure. The published curves of this figure are formulas in its plotting script, not measurements.".to_owned(),
        ],
        table: table(
            &["confidence", "violations %", "replica-minutes"],
            at.iter().map(row).collect(),
        ),
    }
}
