//! The published figures beside ours, each with what became of it.

use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::published::{self, ERRORS, ROWS, judge, judge_figure};
use super::results::{FIGURES, ModelResult, Results, mean_interval};
use crate::study::verdict::Verdict;

/// One published figure beside ours.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    /// Model and policy.
    pub(super) of: String,
    /// Which figure.
    pub(super) figure: &'static str,
    /// As published.
    pub(super) published: String,
    /// Our run of the published rules.
    pub(super) again: String,
    /// Our run of the corrected ones.
    pub(super) corrected: String,
    /// What became of it.
    pub(super) verdict: Verdict,
}

fn shown(values: &[f64], digits: usize) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let (mean, interval) = mean_interval(values);
    let n = |v: f64| number(v, digits);
    match interval {
        Some((low, high)) => format!("{} ({} to {})", n(mean), n(low), n(high)),
        None => n(mean),
    }
}

fn model<'a>(all: &'a [ModelResult], name: &str) -> Option<&'a ModelResult> {
    all.iter().find(|m| m.name == name)
}

/// Every published figure whose model was run.
#[must_use]
pub(super) fn compared(results: &Results) -> Vec<Compared> {
    let mut all = Vec::new();
    let here = results.trace.published;
    for row in ROWS {
        let again = model(&results.published, row.model);
        let Some(again) = again else { continue };
        let corrected = model(&results.corrected, row.model);
        for (place, value) in row.figures.into_iter().enumerate() {
            let Some(value) = value else { continue };
            let (figure, digits) = published::FIGURES[place];
            let ours = again.of(row.policy, FIGURES[place]);
            let corrected = corrected.map(|m| m.of(row.policy, FIGURES[place]));
            all.push(Compared {
                of: format!("{} {}", row.model, row.policy.title()),
                figure,
                published: number(value, digits),
                again: shown(&ours, digits),
                corrected: shown(&corrected.unwrap_or_default(), digits),
                verdict: if here {
                    judge_figure(place, value, &ours)
                } else {
                    Verdict::OtherTrace
                },
            });
        }
    }
    all.extend(compared_errors(results));
    all
}

fn compared_errors(results: &Results) -> Vec<Compared> {
    let mut all = Vec::new();
    for (name, mae, rmse) in ERRORS {
        let of = |all: &[ModelResult], root: bool| -> Vec<f64> {
            let errors = model(all, name).map_or(&[][..], |m| &m.errors[..]);
            errors
                .iter()
                .map(|e| if root { e.rmse } else { e.mae })
                .collect()
        };
        for (figure, value, root) in [("mean error", mae, false), ("root mean square", rmse, true)]
        {
            let ours = of(&results.published, root);
            if ours.is_empty() {
                continue;
            }
            let here = results.trace.published;
            all.push(Compared {
                of: format!("{name} forecast"),
                figure,
                published: number(value, 3),
                again: shown(&ours, 3),
                corrected: shown(&of(&results.corrected, root), 3),
                verdict: if here {
                    judge(value, &ours, 0.0)
                } else {
                    Verdict::OtherTrace
                },
            });
        }
    }
    all
}

/// The comparison as a table.
pub(super) fn table(all: &[Compared]) -> TextTable {
    let columns = [
        "of",
        "figure",
        "published",
        "its rules again",
        "corrected rules",
        "verdict",
    ];
    let row = |c: &Compared| {
        let texts = [
            &c.of,
            c.figure,
            &c.published,
            &c.again,
            &c.corrected,
            c.verdict.text(),
        ];
        texts.map(str::to_owned).to_vec()
    };
    TextTable {
        columns: columns.map(str::to_owned).to_vec(),
        rows: all.iter().map(row).collect(),
        prose: false,
    }
}

/// The sentences of the study as a table.
pub(super) fn claims() -> TextTable {
    let row = |c: published::Claim| vec![c.text.to_owned(), c.own, c.verdict.text().to_owned()];
    TextTable {
        columns: ["sentence", "its own figures", "verdict"]
            .map(str::to_owned)
            .to_vec(),
        rows: published::claims().into_iter().map(row).collect(),
        prose: true,
    }
}
