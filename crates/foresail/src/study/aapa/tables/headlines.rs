//! The README's headlines, and what `aapa` was asked to reach.

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::reliability::Judged;
use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::super::analysis::Group;
use super::super::learn::Learnt;
use super::super::published::agreement_percent;
use super::super::simulate::Figures;
use super::{Named, Study, minutes, percent, response, table};
use crate::study::verdict::Verdict;

impl Study<'_> {
    /// The README's four headlines.
    pub(super) fn headlines(&self) -> Named {
        let rows = vec![
            self.fewer_violations(),
            self.faster(),
            self.accuracy(),
            self.overhead(),
        ];
        Named {
            file: "headlines",
            title: "The four headlines",
            notes: vec![
                "Published, what the paper's own tables say of it, the published method run again (aapa-published; its labels), ours, and both verdicts. Against the plain HPA at 70 % CPU with a down window of 300 s on the same pods and arrivals.".to_owned(),
            ],
            table: TextTable {
                prose: true,
                ..table(
                    &["headline", "published", "its own tables", "its method again", "aapa", "verdict"],
                    rows,
                )
            },
        }
    }

    fn fewer_violations(&self) -> Vec<String> {
        let fewer = |policy| {
            let spike = self.group(Archetype::Spike);
            spike.map(|g| g.improvement(policy, Figures::violations_percent))
        };
        let ours = fewer("aapa");
        let verdict = match ours {
            Some(_) => verdicts(Verdict::Contradicted, at_least(ours, 50.0)),
            None => Verdict::Contradicted.text().to_owned(),
        };
        row([
            "fewer SLO violations for spike workloads".to_owned(),
            "50 %".to_owned(),
            "−8 %".to_owned(),
            shown(fewer("aapa-published")),
            shown(ours),
            verdict,
        ])
    }

    fn faster(&self) -> Vec<String> {
        let faster = |policy| Some(self.mix().improvement(policy, response));
        let ours = faster("aapa");
        row([
            "better response times".to_owned(),
            "40 %".to_owned(),
            "−47 to 21 %".to_owned(),
            shown(faster("aapa-published")),
            shown(ours),
            verdicts(Verdict::Contradicted, at_least(ours, 40.0)),
        ])
    }

    fn accuracy(&self) -> Vec<String> {
        let truth = |l: &Learnt| l.truth.accuracy().map(|a| a * 100.0);
        let learnt = &self.classification.learnt[0];
        let agreement = learnt.agreement.as_ref().and_then(Judged::accuracy);
        let ours = truth(&self.classification.shipped);
        row([
            "accuracy of classification".to_owned(),
            "99.8 %".to_owned(),
            format!("{} of its labels", percent(agreement_percent(), 2)),
            format!(
                "{} of its labels, {} of the truth",
                shown(agreement.map(|a| a * 100.0)),
                shown(truth(learnt))
            ),
            shown(ours),
            verdicts(
                Verdict::holds(agreement.is_some_and(|a| a >= 0.98)),
                at_least(ours, 99.8),
            ),
        ])
    }

    fn overhead(&self) -> Vec<String> {
        let all = self.mix();
        let ratio = |policy| all.mean(policy, minutes) / all.mean("hpa", minutes);
        let times = |ratio| format!("{} ×", number(ratio, 2));
        let within = |ratio| Verdict::holds((2.0..=8.0).contains(&ratio));
        let (again, ours) = (ratio("aapa-published"), ratio("aapa"));
        row([
            "resource overhead".to_owned(),
            "2 to 8 ×".to_owned(),
            "2.0 to 7.7 ×".to_owned(),
            times(again),
            times(ours),
            verdicts(within(again), within(ours)),
        ])
    }

    /// What `aapa` was asked to reach, and what the plain HPA needs for the same.
    pub(super) fn goals(&self) -> Named {
        let violations = Figures::violations_percent;
        let row = |g: &Group<'_>| {
            let (plain, ours) = (g.mean("hpa", violations), g.mean("aapa", violations));
            let cost = g.mean("hpa", minutes);
            let ratio = g.mean("aapa", minutes) / cost;
            let as_good = g.as_good(ours).map_or_else(
                || "none of 18".to_owned(),
                |s| {
                    format!(
                        "{} × at {} %, {} s",
                        number(s.replica_minutes / cost, 2),
                        s.target_percent,
                        s.down_window_seconds
                    )
                },
            );
            let goal = match g.archetype {
                Some(Archetype::Spike) => {
                    let half = plain > 0.0 && ours <= 0.5 * plain;
                    Some((half && ratio <= 2.0, "half, at most 2 ×"))
                }
                None => Some((ours <= plain && ratio <= 1.2, "at most 1.2 ×")),
                _ => None,
            };
            vec![
                g.name().to_owned(),
                percent(plain, 2),
                percent(ours, 2),
                if plain > 0.0 {
                    percent(ours * 100.0 / plain, 0)
                } else {
                    "–".to_owned()
                },
                format!("{} ×", number(ratio, 2)),
                as_good,
                goal.map_or_else(
                    || "–".to_owned(),
                    |(met, text)| format!("{text}: {}", if met { "met" } else { "missed" }),
                ),
            ]
        };
        Named {
            file: "goals",
            title: "What aapa buys",
            notes: vec![
                "Violations of the plain HPA and of aapa, aapa's as a share of the HPA's, its replica-minutes over the HPA's, and the cheapest of the HPA's 18 settings that breaks the promise no more often.".to_owned(),
            ],
            table: table(
                &["archetype", "hpa", "aapa", "share of its violations", "replica-minutes", "plain HPA as good", "goal"],
                self.groups.iter().map(row).collect(),
            ),
        }
    }
}

fn row(texts: [String; 6]) -> Vec<String> {
    Vec::from(texts)
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| percent(v, 1))
}

fn at_least(value: Option<f64>, published: f64) -> Verdict {
    Verdict::holds(value.is_some_and(|v| v >= published))
}

/// Both verdicts in one cell.
fn verdicts(published: Verdict, ours: Verdict) -> String {
    let ours = match ours {
        Verdict::Reproduced => "ours reaches it",
        _ => "ours does not reach it",
    };
    format!("{}; {ours}", published.text())
}
