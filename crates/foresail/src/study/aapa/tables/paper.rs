//! The paper's tables beside ours.

use foresail_core::propose::archetype::Archetype;
use foresail_web::page::text::number;

use super::super::published::{IMPROVEMENT, P_VALUES, REPLICA_MINUTES, VIOLATIONS};
use super::super::simulate::Figures;
use super::{Named, Study, minutes, p_text, percent, response, table};
use crate::study::verdict::Verdict;

/// A figure that the paper compares: its name, and how a run shows it.
type Compared = (&'static str, fn(&Figures) -> f64);

/// The three of them, in its order.
const COMPARED: [Compared; 3] = [
    ("SLO violations", Figures::violations_percent),
    ("mean response", response),
    ("replica-minutes", minutes),
];

/// With fewer pairs no two-sided p is below .05.
const PAIRS_MIN: usize = 6;

impl Study<'_> {
    /// The published violations beside ours.
    pub(super) fn violations(&self) -> Named {
        let row = |(archetype, hpa, aapa): (Archetype, f64, f64)| {
            let g = self.group(archetype)?;
            let of = |policy| g.mean(policy, Figures::violations_percent);
            let (plain, again, ours) = (of("hpa"), of("aapa-published"), of("aapa"));
            Some(vec![
                archetype.name().to_owned(),
                format!("{} → {}", percent(hpa, 1), percent(aapa, 1)),
                format!("{} → {}", percent(plain, 2), percent(again, 2)),
                format!("{} → {}", percent(plain, 2), percent(ours, 2)),
                Verdict::same_direction(aapa - hpa, again - plain)
                    .text()
                    .to_owned(),
            ])
        };
        Named {
            file: "violations",
            title: "SLO violations, HPA and AAPA",
            notes: vec![
                "Reproduced where the published method lies on the published side of the HPA."
                    .to_owned(),
            ],
            table: table(
                &[
                    "archetype",
                    "published",
                    "its method again",
                    "ours",
                    "verdict",
                ],
                VIOLATIONS.into_iter().filter_map(row).collect(),
            ),
        }
    }

    /// The paper's figure of improvements.
    pub(super) fn improvements(&self) -> Named {
        let mut rows = Vec::new();
        for (archetype, published) in IMPROVEMENT {
            let Some(g) = self.group(archetype) else {
                continue;
            };
            for ((name, of), published) in COMPARED.into_iter().zip(published) {
                let again = g.improvement("aapa-published", of);
                rows.push(vec![
                    archetype.name().to_owned(),
                    name.to_owned(),
                    percent(published, 0),
                    percent(again, 0),
                    percent(g.improvement("aapa", of), 0),
                    Verdict::same_direction(published, again).text().to_owned(),
                ]);
            }
        }
        Named {
            file: "figure-improvement",
            title: "Improvement over the HPA",
            notes: vec![
                "Above zero is better. Reproduced where the published method moves the figure in the published direction.".to_owned(),
            ],
            table: table(
                &["archetype", "figure", "published", "its method again", "ours", "verdict"],
                rows,
            ),
        }
    }

    /// The paper's Table V.
    pub(super) fn replica_minutes(&self) -> Named {
        let row = |(archetype, hpa, aapa): (Archetype, f64, f64)| {
            let g = self.group(archetype)?;
            let ratio = |policy| g.mean(policy, minutes) / g.mean("hpa", minutes);
            let again = ratio("aapa-published");
            let published = aapa / hpa;
            // Half and twice: an order of size is all that two workloads can share.
            let near = again >= published / 2.0 && again <= published * 2.0;
            Some(vec![
                archetype.name().to_owned(),
                format!("{} → {}", number(hpa, 0), number(aapa, 0)),
                format!("{} ×", number(published, 1)),
                format!("{} ×", number(again, 2)),
                format!("{} ×", number(ratio("aapa"), 2)),
                Verdict::holds(near).text().to_owned(),
            ])
        };
        Named {
            file: "table-5-replica-minutes",
            title: "Table V: pod-minutes",
            notes: vec![
                "The published HPA never had more than one pod in 60 minutes: it was given pods ten times as large. Reproduced where the published method's ratio is between half and twice the published one.".to_owned(),
            ],
            table: table(
                &["archetype", "published", "ratio", "its method again", "ours", "verdict"],
                REPLICA_MINUTES.into_iter().filter_map(row).collect(),
            ),
        }
    }

    /// The paper's tests.
    pub(super) fn p_values(&self) -> Named {
        let mut rows = Vec::new();
        for (archetype, published) in P_VALUES {
            let Some(g) = self.group(archetype) else {
                continue;
            };
            let directions = IMPROVEMENT.iter().find(|(a, _)| *a == archetype);
            let directions = directions.map_or([0.0; 3], |(_, published)| *published);
            for (((name, of), published), direction) in
                COMPARED.into_iter().zip(published).zip(directions)
            {
                let again = g.paired("aapa-published", of, self.seed).p;
                let significant = |text: &str| {
                    text.trim_start_matches('<')
                        .parse::<f64>()
                        .is_ok_and(|p| p < 0.05)
                };
                let found = again.is_some_and(|p| p < 0.05);
                // A difference in the other direction is another difference.
                let along = direction * g.improvement("aapa-published", of) > 0.0;
                let same = significant(published) == found && (!found || along);
                let verdict = if g.flown.len() < PAIRS_MIN {
                    "too few functions"
                } else {
                    Verdict::holds(same).text()
                };
                rows.push(vec![
                    archetype.name().to_owned(),
                    name.to_owned(),
                    published.to_owned(),
                    p_text(again),
                    p_text(g.paired("aapa", of, self.seed).p),
                    verdict.to_owned(),
                ]);
            }
        }
        Named {
            file: "wilcoxon",
            title: "Wilcoxon signed-rank tests against the HPA",
            notes: vec![format!(
                "Reproduced where neither is below .05, or both are and in the same direction; with fewer than {PAIRS_MIN} functions no p is."
            )],
            table: table(
                &[
                    "archetype",
                    "figure",
                    "published p",
                    "its method again",
                    "ours",
                    "verdict",
                ],
                rows,
            ),
        }
    }
}
