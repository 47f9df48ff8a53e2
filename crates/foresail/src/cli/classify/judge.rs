//! A classifier judged twice: by the labels that it has learnt from, and by the truth.

use std::io::Write;

use anyhow::Result;
use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::Verdict;
use foresail_models::classify::reliability::Judged;
use foresail_web::reliability::{Curve, Point};
use serde_json::{Value, json};

use super::{ARCHETYPES, shown};
use crate::cli::print_table;

/// Agreement with labels and accuracy on known truth, side by side.
#[derive(Default)]
pub(super) struct Both {
    pub(super) labels: Judged,
    pub(super) truth: Judged,
    /// Windows without a request, which no class is told for.
    pub(super) idle: u64,
}

/// The columns of figures.
pub(super) const COLUMNS: [&str; 3] = ["figure", "agreement with its labels", "accuracy on truth"];

impl Both {
    pub(super) fn add(
        &mut self,
        verdict: &Verdict,
        label: Option<Archetype>,
        truth: Option<Archetype>,
    ) {
        self.idle += u64::from(verdict.archetype == Archetype::Idle);
        if let Some(label) = label {
            self.labels.add(verdict, label);
        }
        if let Some(truth) = truth {
            self.truth.add(verdict, truth);
        }
    }

    /// Every figure of both.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let both = [&self.labels, &self.truth];
        let row = |name: String, of: &dyn Fn(&Judged) -> Option<f64>| {
            let mut row = vec![name];
            row.extend(both.map(|judged| shown(of(judged))));
            row
        };
        let mut rows = vec![
            row("accuracy".to_owned(), &Judged::accuracy),
            row("mean confidence".to_owned(), &Judged::confidence),
            row("ECE".to_owned(), &Judged::ece),
            row("log-loss".to_owned(), &Judged::log_loss),
        ];
        for (place, class) in Archetype::CLASSES.iter().enumerate() {
            let name = class.name().to_lowercase();
            rows.extend([
                row(format!("{name} precision"), &|j| {
                    j.of_class(place).precision
                }),
                row(format!("{name} recall"), &|j| j.of_class(place).recall),
                row(format!("{name} F1"), &|j| j.of_class(place).f1),
            ]);
        }
        rows
    }

    /// The judgement that says most: by the truth where it is known.
    pub(super) fn best(&self) -> (&'static str, &Judged) {
        if self.truth.count() > 0 {
            ("truth", &self.truth)
        } else {
            ("its labels", &self.labels)
        }
    }

    /// Figures, confusion and reliability for people.
    pub(super) fn table(&self, out: &mut dyn Write) -> Result<()> {
        print_table(&COLUMNS, self.rows(), out)?;
        let (by, judged) = self.best();
        writeln!(out, "\nConfusion by {by}, rows true, columns told:")?;
        let head: Vec<&str> = [""]
            .into_iter()
            .chain(ARCHETYPES.map(Archetype::name))
            .collect();
        let rows = Archetype::CLASSES.iter().zip(judged.confusion);
        let row = |(class, counts): (&Archetype, [u64; 5])| {
            let counts = counts.iter().map(ToString::to_string);
            [class.name().to_owned()]
                .into_iter()
                .chain(counts)
                .collect()
        };
        print_table(&head, rows.map(row).collect(), out)?;
        writeln!(out, "\nReliability by {by} (▏ where it would come true):")?;
        for bin in judged.bins {
            if let (Some(confidence), Some(accuracy)) = (bin.confidence(), bin.accuracy()) {
                let line = bar(accuracy, confidence);
                let count = bin.count;
                writeln!(out, "  {confidence:.3} {line} {accuracy:.3}  {count}")?;
            }
        }
        Ok(())
    }

    /// The curves of the diagram.
    pub(super) fn curves(&self) -> Vec<Curve> {
        let curve = |(name, judged): (&str, &Judged)| {
            let point = |bin: &foresail_models::classify::reliability::Bin| {
                Some(Point {
                    confidence: bin.confidence()?,
                    accuracy: bin.accuracy()?,
                    count: bin.count,
                })
            };
            Some(Curve {
                name: name.to_owned(),
                points: judged.bins.iter().filter_map(point).collect(),
                ece: judged.ece()?,
            })
        };
        [("its labels", &self.labels), ("truth", &self.truth)]
            .into_iter()
            .filter_map(curve)
            .collect()
    }

    /// Both for programs.
    pub(super) fn json(&self) -> Value {
        let one = |judged: &Judged| {
            let class = |(place, class): (usize, &Archetype)| {
                let of = judged.of_class(place);
                json!({"archetype": class.name(), "precision": of.precision, "recall": of.recall,
                    "f1": of.f1, "windows": of.windows})
            };
            let classes: Vec<Value> = Archetype::CLASSES.iter().enumerate().map(class).collect();
            let bins = judged.bins.iter().map(|bin| {
                json!({"count": bin.count, "confidence": bin.confidence(), "accuracy": bin.accuracy()})
            });
            json!({"windows": judged.count(), "accuracy": judged.accuracy(),
                "meanConfidence": judged.confidence(), "ece": judged.ece(),
                "logLoss": judged.log_loss(), "classes": classes, "confusion": judged.confusion,
                "reliability": bins.collect::<Vec<_>>()})
        };
        json!({"idle": self.idle, "byLabels": one(&self.labels), "byTruth": one(&self.truth)})
    }
}

/// A bar of a share with a mark where the confidence stands.
fn bar(share: f64, mark: f64) -> String {
    const WIDTH: usize = 40;
    let place = |v: f64| ((v * WIDTH as f64).round() as usize).min(WIDTH);
    let (filled, mark) = (place(share), place(mark));
    let sign = |i: usize| match i {
        i if i == mark => '▏',
        i if i < filled => '█',
        _ => ' ',
    };
    (0..=WIDTH).map(sign).collect()
}
