//! The summary of a rehearsal on stdout.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use foresail_web::page::text::number;
use serde_json::json;

use super::simulate::Ran;
use crate::cli::{Output, print_csv, print_table};
use crate::experiment::told::End;

/// Columns of the summary.
const SUMMARY: [&str; 10] = [
    "mode",
    "seed",
    "rows",
    "writes",
    "replica-minutes",
    "above the least",
    "late %",
    "late minutes",
    "asked",
    "answered in time",
];

/// Prints what the runs came to; what an interrupted one came to is not known.
///
/// # Errors
/// Where stdout cannot be written.
pub(super) fn print(
    all: &[Ran],
    (label, text): (&str, &str),
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let known = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let cells = |r: &Ran| -> Vec<String> {
        let end = r.flown.end.as_ref();
        vec![
            r.mode.name().to_owned(),
            known(r.seed.map(|s| s.to_string())),
            r.flown.rows.to_string(),
            r.flown.writes.to_string(),
            known(end.map(|e| number(e.replica_minutes, 1))),
            known(end.and_then(End::above_least).map(|n| number(n, 1))),
            known(end.and_then(End::late_percent).map(|p| number(p, 2))),
            known(end.and_then(|e| e.late_minutes).map(|n| n.to_string())),
            r.questions.to_string(),
            r.answers.to_string(),
        ]
    };
    match output {
        Output::Table => {
            print_table(&SUMMARY, all.iter().map(cells).collect(), out)?;
            Ok(writeln!(out, "asked: {text}")?)
        }
        Output::Csv => {
            let with = |r: &Ran| {
                let mut row = cells(r);
                row.push(label.to_owned());
                row
            };
            let columns: Vec<&str> = SUMMARY.into_iter().chain(["adviser"]).collect();
            print_csv(&columns, &all.iter().map(with).collect::<Vec<_>>(), out)
        }
        Output::Json => {
            let of = |r: &Ran| {
                let end = r.flown.end.as_ref();
                json!({"mode": r.mode.name(), "seed": r.seed, "file": name_of(&r.file), "rows": r.flown.rows,
                       "writes": r.flown.writes, "replicaMinutes": end.map(|e| e.replica_minutes),
                       "leastReplicaMinutes": end.and_then(|e| e.least_replica_minutes),
                       "live": r.seed.is_none(),
                       "latePercent": end.and_then(End::late_percent), "lateMinutes": end.and_then(|e| e.late_minutes),
                       "asked": r.questions, "answeredInTime": r.answers})
            };
            let runs: Vec<_> = all.iter().map(of).collect();
            let all = json!({"v": 1, "adviser": label, "about": text, "runs": runs});
            Ok(writeln!(out, "{all}")?)
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}
