//! Labels and classifiers: agreement beside accuracy.

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::reliability::Judged;
use foresail_web::page::text::number;

use super::super::learn::{Learnt, Voter};
use super::super::published::{CONFUSION, ramp_percents};
use super::{Named, Study, percent, table};

impl Study<'_> {
    /// Agreement with labels beside accuracy on truth.
    pub(super) fn leakage(&self) -> Named {
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
    pub(super) fn confusion(&self) -> Named {
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

    pub(super) fn labels(&self) -> Named {
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

    pub(super) fn importance(&self) -> Named {
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
}
