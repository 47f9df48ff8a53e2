//! Every table of the study, each also a file of its own.

use foresail_core::propose::archetype::Archetype;
use foresail_core::value::rei::Weights;
use foresail_models::classify::reliability::Judged;
use foresail_models::rng::Seed;
use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::analysis::{Group, MEASURES, Paired};
use super::doubt::AtConfidence;
use super::learn::{Classification, Learnt, Voter};
use super::published::{
    CONFUSION, IMPROVEMENT, P_VALUES, REPLICA_MINUTES, VIOLATIONS, agreement_percent, ramp_percents,
};
use super::simulate::{Figures, KEEP, ORACLE, POLICIES};
use crate::study::verdict::Verdict;

/// How much each weight is moved in the sensitivity of the index. Source: AAPA, section IV.
const MOVED: f64 = 0.05;

/// A table and the file that holds it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The file's name without its ending.
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) notes: Vec<String>,
    pub(super) table: TextTable,
}

/// What the tables are made from.
pub(super) struct Study<'a> {
    pub(super) groups: &'a [Group<'a>],
    pub(super) classification: &'a Classification,
    pub(super) seed: Seed,
}

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> TextTable {
    TextTable {
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows,
        prose: false,
    }
}

fn percent(value: f64, digits: usize) -> String {
    format!("{} %", number(value, digits))
}

/// A mean difference with its interval, such as `−3.10 (−4.00 to −2.20)`.
fn interval(paired: &Paired, digits: usize) -> String {
    let n = |v: f64| number(v, digits);
    paired.difference.map_or_else(
        || "–".to_owned(),
        |(mean, (low, high))| format!("{} ({} to {})", n(mean), n(low), n(high)),
    )
}

fn p_text(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "<.001".to_owned(),
        Some(p) => format!("{p:.3}").trim_start_matches('0').to_owned(),
    }
}

fn response(figures: &Figures) -> f64 {
    figures.response_ms
}

fn minutes(figures: &Figures) -> f64 {
    figures.replica_minutes
}

impl Study<'_> {
    /// Every table, the headlines first.
    pub(super) fn tables(&self, at: &[AtConfidence]) -> Vec<Named> {
        let mut all = vec![self.headlines(), self.goals()];
        all.extend(self.groups.iter().map(|g| self.policies(g)));
        all.extend([
            self.differences(),
            self.violations(),
            self.improvements(),
            self.replica_minutes(),
            self.p_values(),
            self.index(),
            self.sensitivity(),
            self.frontier(),
            uncertainty(at),
            self.leakage(),
            self.confusion(),
            self.labels(),
            self.importance(),
        ]);
        all
    }

    fn group(&self, archetype: Archetype) -> Option<&Group<'_>> {
        self.groups.iter().find(|g| g.archetype == Some(archetype))
    }

    /// All functions together; [`Group::all`] puts them last.
    fn mix(&self) -> &Group<'_> {
        &self.groups[self.groups.len() - 1]
    }

    /// The README's four headlines.
    fn headlines(&self) -> Named {
        let violations = Figures::violations_percent;
        let spike = |policy| {
            self.group(Archetype::Spike)
                .map(|g| g.improvement(policy, violations))
        };
        let all = self.mix();
        let faster = |policy| Some(all.improvement(policy, response));
        let ratio = |policy| Some(all.mean(policy, minutes) / all.mean("hpa", minutes));
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| percent(v, 1));
        let times = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |v| format!("{} ×", number(v, 2)))
        };
        let at_least = |value: Option<f64>, published: f64| {
            Verdict::holds(value.is_some_and(|v| v >= published))
        };
        let learnt = &self.classification.learnt[0];
        let agreement = learnt.agreement.as_ref().and_then(Judged::accuracy);
        let truth = |l: &Learnt| l.truth.accuracy().map(|a| a * 100.0);
        let own = ratio("aapa-published");
        let row = |texts: [String; 6]| texts.to_vec();
        let rows = vec![
            row([
                "fewer SLO violations for spike workloads".to_owned(),
                "50 %".to_owned(),
                "−8 %".to_owned(),
                shown(spike("aapa-published")),
                shown(spike("aapa")),
                verdicts(Verdict::Contradicted, at_least(spike("aapa"), 50.0)),
            ]),
            row([
                "better response times".to_owned(),
                "40 %".to_owned(),
                "−47 to 21 %".to_owned(),
                shown(faster("aapa-published")),
                shown(faster("aapa")),
                verdicts(Verdict::Contradicted, at_least(faster("aapa"), 40.0)),
            ]),
            row([
                "accuracy of classification".to_owned(),
                "99.8 %".to_owned(),
                format!(
                    "{}: agreement with its own labels",
                    percent(agreement_percent(), 2)
                ),
                format!(
                    "{} of its labels, {} of the truth",
                    shown(agreement.map(|a| a * 100.0)),
                    shown(truth(learnt))
                ),
                shown(truth(&self.classification.shipped)),
                verdicts(
                    Verdict::holds(agreement.is_some_and(|a| a >= 0.98)),
                    at_least(truth(&self.classification.shipped), 99.8),
                ),
            ]),
            row([
                "resource overhead".to_owned(),
                "2 to 8 ×".to_owned(),
                "2.0 to 7.7 ×".to_owned(),
                times(own),
                times(ratio("aapa")),
                verdicts(
                    Verdict::holds(own.is_some_and(|r| (2.0..=8.0).contains(&r))),
                    Verdict::holds(ratio("aapa").is_some_and(|r| (2.0..=8.0).contains(&r))),
                ),
            ]),
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

    /// What `aapa` was asked to reach, and what the plain HPA needs for the same.
    fn goals(&self) -> Named {
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
                    Some((ours <= 0.5 * plain && ratio <= 2.0, "half, at most 2 ×"))
                }
                None => Some((ratio <= 1.2, "at most 1.2 ×")),
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

    /// Every policy on one group.
    fn policies(&self, group: &Group<'_>) -> Named {
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
    fn differences(&self) -> Named {
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

    /// The published violations beside ours.
    fn violations(&self) -> Named {
        let row = |(archetype, hpa, aapa): (Archetype, f64, f64)| {
            let g = self.group(archetype);
            let of = |policy| g.map_or(f64::NAN, |g| g.mean(policy, Figures::violations_percent));
            let (plain, again, ours) = (of("hpa"), of("aapa-published"), of("aapa"));
            vec![
                archetype.name().to_owned(),
                format!("{} → {}", percent(hpa, 1), percent(aapa, 1)),
                format!("{} → {}", percent(plain, 2), percent(again, 2)),
                format!("{} → {}", percent(plain, 2), percent(ours, 2)),
                Verdict::same_direction(aapa - hpa, again - plain)
                    .text()
                    .to_owned(),
            ]
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
                VIOLATIONS.into_iter().map(row).collect(),
            ),
        }
    }

    /// The paper's figure of improvements.
    fn improvements(&self) -> Named {
        let mut rows = Vec::new();
        let measures: [(&str, fn(&Figures) -> f64); 3] = [
            ("SLO violations", Figures::violations_percent),
            ("mean response", response),
            ("replica-minutes", minutes),
        ];
        for (archetype, published) in IMPROVEMENT {
            let Some(g) = self.group(archetype) else {
                continue;
            };
            for ((name, of), published) in measures.into_iter().zip(published) {
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
    fn replica_minutes(&self) -> Named {
        let row = |(archetype, hpa, aapa): (Archetype, f64, f64)| {
            let g = self.group(archetype);
            let ratio = |policy| {
                g.map_or(f64::NAN, |g| {
                    g.mean(policy, minutes) / g.mean("hpa", minutes)
                })
            };
            let again = ratio("aapa-published");
            let published = aapa / hpa;
            // Half and twice: an order of size is all that two workloads can share.
            let near = again >= published / 2.0 && again <= published * 2.0;
            vec![
                archetype.name().to_owned(),
                format!("{} → {}", number(hpa, 0), number(aapa, 0)),
                format!("{} ×", number(published, 1)),
                format!("{} ×", number(again, 2)),
                format!("{} ×", number(ratio("aapa"), 2)),
                Verdict::holds(near).text().to_owned(),
            ]
        };
        Named {
            file: "table-5-replica-minutes",
            title: "Table V: pod-minutes",
            notes: vec![
                "The published HPA never had more than one pod in 60 minutes: it was given pods ten times as large. Reproduced where the published method's ratio is between half and twice the published one.".to_owned(),
            ],
            table: table(
                &["archetype", "published", "ratio", "its method again", "ours", "verdict"],
                REPLICA_MINUTES.into_iter().map(row).collect(),
            ),
        }
    }

    /// The paper's tests.
    fn p_values(&self) -> Named {
        let mut rows = Vec::new();
        let measures: [(&str, fn(&Figures) -> f64); 3] = [
            ("SLO violations", Figures::violations_percent),
            ("mean response", response),
            ("replica-minutes", minutes),
        ];
        for (archetype, published) in P_VALUES {
            let Some(g) = self.group(archetype) else {
                continue;
            };
            for ((name, of), published) in measures.into_iter().zip(published) {
                let again = g.paired("aapa-published", of, self.seed).p;
                let significant = |text: &str| {
                    text.trim_start_matches('<')
                        .parse::<f64>()
                        .is_ok_and(|p| p < 0.05)
                };
                let same = significant(published) == again.is_some_and(|p| p < 0.05);
                rows.push(vec![
                    archetype.name().to_owned(),
                    name.to_owned(),
                    published.to_owned(),
                    p_text(again),
                    p_text(g.paired("aapa", of, self.seed).p),
                    Verdict::holds(same).text().to_owned(),
                ]);
            }
        }
        Named {
            file: "wilcoxon",
            title: "Wilcoxon signed-rank tests against the HPA",
            notes: vec!["Reproduced where both or neither are below .05.".to_owned()],
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

    /// The index of every policy.
    fn index(&self) -> Named {
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
    fn sensitivity(&self) -> Named {
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
    fn frontier(&self) -> Named {
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

    /// Agreement with labels beside accuracy on truth.
    fn leakage(&self) -> Named {
        let share =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| percent(v * 100.0, 2));
        let row = |l: &Learnt| {
            let recall = (0..4).map(|c| {
                let recall = l.truth.of_class(c).recall;
                recall.map_or_else(|| "–".to_owned(), |r| format!("{r:.2}"))
            });
            vec![
                l.labels.to_owned(),
                l.features.to_owned(),
                share(l.agreement.as_ref().and_then(Judged::accuracy)),
                share(l.truth.accuracy()),
                recall.collect::<Vec<_>>().join(" / "),
                l.truth
                    .confidence()
                    .map_or_else(|| "–".to_owned(), |c| format!("{c:.3}")),
                l.truth
                    .ece()
                    .map_or_else(|| "–".to_owned(), |e| format!("{e:.3}")),
            ]
        };
        let all = self.classification.learnt.iter();
        Named {
            file: "classifier",
            title: "Agreement with labels, accuracy on known truth",
            notes: vec![format!(
                "{} generated windows of known truth from seeds that no classifier has seen; recall of Spike / Periodic / Ramp / Stationary.",
                self.classification.judged
            )],
            table: table(
                &[
                    "trained on",
                    "features",
                    "agreement",
                    "accuracy",
                    "recall by class",
                    "mean confidence",
                    "ECE",
                ],
                all.chain([&self.classification.shipped]).map(row).collect(),
            ),
        }
    }

    /// The published confusion matrix, ours on its labels and ours on the truth.
    fn confusion(&self) -> Named {
        let (precision, recall) = ramp_percents();
        let order = CONFUSION.map(|(archetype, _)| archetype);
        let place = |a: Archetype| a.place().unwrap_or(0);
        let of = |judged: Option<&Judged>, truth: Archetype| {
            let cell = |said: &Archetype| {
                judged.map_or_else(
                    || "–".to_owned(),
                    |j| j.confusion[place(truth)][place(*said)].to_string(),
                )
            };
            order.iter().map(cell).collect::<Vec<_>>().join(" / ")
        };
        let learnt = &self.classification.learnt[0];
        let row = |(archetype, printed): (Archetype, [u64; 4])| {
            vec![
                archetype.name().to_owned(),
                printed.map(|n| n.to_string()).join(" / "),
                of(learnt.agreement.as_ref(), archetype),
                of(Some(&learnt.truth), archetype),
                of(Some(&self.classification.shipped.truth), archetype),
            ]
        };
        Named {
            file: "figure-confusion",
            title: "Confusion matrices",
            notes: vec![format!(
                "Each cell: verdicts Periodic / Spike / Stationary / Ramp. The printed matrix is measured against labels of the rules that the classifier re-learns, and stands as a literal in the published plotting script. Its ramps have a precision of {} and a recall of {}; the text says 95.0 % and 96.6 %.",
                percent(precision, 1),
                percent(recall, 1)
            )],
            table: table(
                &[
                    "truth or label",
                    "published, on its labels",
                    "its method again, on its labels",
                    "its method again, on known truth",
                    "ours, on known truth",
                ],
                CONFUSION.into_iter().map(row).collect(),
            ),
        }
    }

    fn labels(&self) -> Named {
        let one = |v: f64| number(v, 1);
        let row = |v: &Voter| {
            vec![
                v.profile.to_owned(),
                v.function.to_owned(),
                v.votes_for.name().to_owned(),
                one(v.coverage),
                one(v.overlap),
                one(v.conflict),
                v.accuracy.map_or_else(|| "–".to_owned(), one),
            ]
        };
        let majorities = self.classification.majorities.iter();
        let told = majorities.map(|(name, right)| format!("{name}: {}", percent(*right, 1)));
        Named {
            file: "labels",
            title: "Labelling functions",
            notes: vec![format!(
                "Shares of the same windows in percent. Right by majority: {}.",
                told.collect::<Vec<_>>().join(", ")
            )],
            table: table(
                &[
                    "profile",
                    "function",
                    "votes for",
                    "coverage",
                    "overlap",
                    "conflict",
                    "right",
                ],
                self.classification.voters.iter().map(row).collect(),
            ),
        }
    }

    fn importance(&self) -> Named {
        let gains = &self.classification.shipped.importance;
        let whole: f64 = gains.iter().map(|(_, g)| g).sum();
        let row = |(name, gain): &(&str, f64)| {
            vec![
                (*name).to_owned(),
                percent(gain * 100.0 / whole.max(f64::MIN_POSITIVE), 1),
            ]
        };
        Named {
            file: "figure-importance",
            title: "Features by gain",
            notes: vec![
                "The fifteen features from which the shipped classifier gains most.".to_owned(),
            ],
            table: table(
                &["feature", "share of the gain"],
                gains.iter().take(15).map(row).collect(),
            ),
        }
    }

    /// What came of it, in a sentence.
    pub(super) fn headline(&self) -> String {
        let violations = Figures::violations_percent;
        let told = |g: &Group<'_>| {
            let (plain, ours) = (g.mean("hpa", violations), g.mean("aapa", violations));
            let ratio = g.mean("aapa", minutes) / g.mean("hpa", minutes);
            format!(
                "{}, {} against the plain HPA's {} for {} × its replica-minutes",
                if g.archetype.is_some() {
                    "on Spike"
                } else {
                    "on the whole mix"
                },
                percent(ours, 1),
                percent(plain, 1),
                number(ratio, 2)
            )
        };
        let spike = self.group(Archetype::Spike).map(told);
        let parts: Vec<String> = spike.into_iter().chain([told(self.mix())]).collect();
        format!("Broken promises under aapa {}", parts.join("; "))
    }
}

/// What doubt does to violations and cost.
fn uncertainty(at: &[AtConfidence]) -> Named {
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

/// Both verdicts in one cell.
fn verdicts(published: Verdict, ours: Verdict) -> String {
    let ours = match ours {
        Verdict::Reproduced => "ours reaches it",
        _ => "ours does not reach it",
    };
    format!("{}; {ours}", published.text())
}
