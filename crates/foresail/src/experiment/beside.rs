//! Reads what stands beside a CSV file of the experiment.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foresail_core::quantity::time::Timestamp;

use super::told::{End, Head, KIND, Line, Told, VERSION};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What stands beside a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// What was run.
    pub head: Head,
    /// Row by row, by their times.
    pub told: BTreeMap<Timestamp, Told>,
    /// What it came to; `None` in a file that was cut and of a run that was interrupted.
    pub end: Option<End>,
    /// Rows of a run that was interrupted.
    pub interrupted: Option<u64>,
}

impl Beside {
    /// Rows that the run must have: as many as it told of at its end, else as its length holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let told = self.end.as_ref().map(|e| e.rows).or(self.interrupted);
        told.unwrap_or_else(|| self.planned())
    }

    /// Rows of the whole length, and 0 where the head tells of none.
    #[must_use]
    pub fn planned(&self) -> u64 {
        let rows = self.head.length_seconds / self.head.interval_seconds;
        if rows.is_finite() {
            // Of a length that is no multiple, the rest has a row too; a rounding has none.
            (rows - 1e-6).ceil() as u64
        } else {
            0
        }
    }

    /// Rows that are missing before the first and after the last that was found.
    #[must_use]
    pub fn lacking(&self, first: Timestamp, last: Timestamp) -> (u64, u64) {
        let place = |at: Timestamp| {
            let steps = (at - self.head.start).seconds() / self.head.interval_seconds;
            // A conversion takes what is below zero or no number for zero.
            steps.round() as u64
        };
        let rows = self.rows();
        let before = place(first).min(rows);
        (before, rows.saturating_sub(place(last).saturating_add(1)))
    }
}

/// Reads what stands beside a CSV file; `None` where nothing does.
///
/// # Errors
/// Where it cannot be read or is of another form; single bad lines are no error.
pub(super) fn read(path: &Path, mistakes: &mut Vec<String>) -> Result<Option<Beside>> {
    if !path.is_file() {
        return Ok(None);
    }
    let name = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    let mut lines = std::io::BufReader::new(file);
    let Some(first) = bounded(&mut lines).with_context(|| format!("{name}, line 1"))? else {
        bail!("{name} is empty: remove it, or run the experiment again");
    };
    let head: Head = serde_json::from_slice(&first).with_context(|| {
        format!("{name}, line 1: no head of an experiment; remove the file, or run it again")
    })?;
    ensure!(
        head.record == KIND && head.v == VERSION,
        "{name} is of another form (version {}): remove it, or run the experiment again",
        head.v
    );
    let mut found = Beside {
        head,
        told: BTreeMap::new(),
        end: None,
        interrupted: None,
    };
    let mut number = 1;
    while let Some(bytes) =
        bounded(&mut lines).with_context(|| format!("{name}, line {}", number + 1))?
    {
        number += 1;
        match serde_json::from_slice(&bytes) {
            Ok(Line::Row(told)) => {
                found.told.insert(told.at, *told);
            }
            Ok(Line::End(end)) => found.end = Some(*end),
            Ok(Line::Interrupted { rows, .. }) => found.interrupted = Some(rows),
            Err(why) => mistakes.push(format!("{name}, line {number}: {why}; left out")),
        }
    }
    if found.end.is_none() && found.interrupted.is_none() {
        mistakes.push(format!("{name} is cut short: its last line is missing"));
    }
    let told = found.told.len() as u64;
    let rows = found.rows();
    if told < rows {
        mistakes.push(format!("{name} tells of {told} of {rows} rows"));
    }
    if let Some(rows) = found.interrupted {
        let planned = found.planned();
        mistakes.push(format!(
            "{name}: the run was interrupted after {rows} of {planned} rows"
        ));
    }
    Ok(Some(found))
}

/// A line of bounded length without its end; `None` after the last.
fn bounded(lines: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut limited = lines.take(LINE_BYTES_MAX);
    let read = limited.read_until(b'\n', &mut bytes)?;
    ensure!(
        (read as u64) < LINE_BYTES_MAX,
        "longer than {LINE_BYTES_MAX} bytes"
    );
    Ok((read > 0).then_some(bytes))
}
