//! The report on runs of the experiment: what each cost and kept, how fast it was, what the answers
//! were worth, and which of the published claims hold.

mod arms;
mod claims;
mod figures;
mod measure;
mod pairs;
mod tables;

use anyhow::Result;
use foresail_web::page::text::number;

use super::read::Run;
use crate::forecast::histories::plural;
use crate::study::report::{Named, Report};
use measure::Measured;

/// Runs whose pictures are drawn.
const PICTURES_MAX: usize = 12;

/// Makes the report of some runs.
///
/// # Errors
/// Where there is no run at all.
pub(crate) fn report(runs: &[Run], command: String) -> Result<Report> {
    anyhow::ensure!(!runs.is_empty(), "there is no run to report on");
    let measured: Vec<Measured<'_>> = runs.iter().map(Measured::of).collect();
    let claims = claims::all(&measured);
    let headline = format!(
        "{}. {}",
        plural(runs.len(), "run"),
        claims::headline(&claims)
    );
    let mut notes = vec![tables::advisers(runs)];
    if pairs::unpaired(&measured) {
        notes.push(
            "No run of ai_scaler is compared with one of hpa_only: none agree in seed, schedule, length, interval, \
             bounds and targets, or they are not whole."
                .to_owned(),
        );
    }
    notes.extend(runs.iter().flat_map(|r| r.mistakes.iter().cloned()));
    let named = |file, title, notes: &[&str], table| Named {
        file,
        title,
        notes: notes.iter().map(|n| (*n).to_owned()).collect(),
        table,
    };
    let tables = vec![
        named(
            "runs",
            "What each run cost and kept",
            &tables::RUNS_NOTES,
            tables::runs(&measured),
        ),
        named(
            "arms",
            "Who scaled, live and rehearsed side by side",
            &arms::NOTES,
            arms::arms(&measured),
        ),
        named(
            "claims",
            "Which claims hold",
            &tables::CLAIMS_NOTES,
            claims::table(&claims),
        ),
        named(
            "reactions",
            "How fast each mode was",
            &tables::REACTIONS_NOTES,
            tables::reactions(&measured),
        ),
        named(
            "answers",
            "What the answers cost",
            &tables::ANSWERS_NOTES,
            tables::answers(&measured),
        ),
        named(
            "worth",
            "What the answers were worth",
            &tables::WORTH_NOTES,
            tables::worth(&measured),
        ),
        named(
            "guards",
            "How often guards stepped in",
            &tables::GUARDS_NOTES,
            tables::guards(&measured),
        ),
    ];
    let figures = measured
        .iter()
        .take(PICTURES_MAX)
        .map(figures::timeline)
        .collect();
    Ok(Report {
        title: "A language model against the HPA",
        headline,
        notes,
        tables,
        figures,
        command,
    })
}

/// A number, or a dash where there is none.
fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |v| number(v, digits))
}
