//! What is recorded of one sync, and how a record is read.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::bounded_line;

/// The most rows that are read: two years at a sync of 15 seconds.
const ROWS_MAX: usize = 4_500_000;

/// One sync of the controller beside the incumbent. What was not known is absent, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// Demand up to then, in requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<f64>,
    /// Replicas of the incumbent that are paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<u32>,
    /// Those of them that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<u32>,
    /// Share of the requests since the sync before that broke the promise, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<f64>,
    /// 95 % quantile of the time until requests were answered, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
}

impl Row {
    /// A row of which nothing is known but its time.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self {
            at,
            demand: None,
            paid: None,
            ready: None,
            late: None,
            p95: None,
        }
    }

    /// Appends the row to a record, as one line of JSON.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn record(&self, out: &mut dyn Write) -> Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        Ok(out.write_all(b"\n")?)
    }

    fn check(&self) -> Result<()> {
        let fine = |value: Option<f64>| value.is_none_or(|v| v.is_finite() && v >= 0.0);
        ensure!(
            fine(self.demand),
            "demand {}: must be 0 or more, in requests per second, or left out",
            self.demand.unwrap_or(f64::NAN)
        );
        ensure!(
            fine(self.p95),
            "p95 {}: must be 0 or more, in seconds, or left out",
            self.p95.unwrap_or(f64::NAN)
        );
        ensure!(
            self.late.is_none_or(|v| (0.0..=1.0).contains(&v)),
            "late {}: must be a share of 0 to 1, or left out",
            self.late.unwrap_or(f64::NAN)
        );
        Ok(())
    }
}

/// Checks what a record holds: values in their ranges, times one after the other.
///
/// # Errors
/// The first row that is wrong, by its number from 1 on.
pub(super) fn check(rows: &[Row]) -> Result<()> {
    ensure!(
        rows.len() <= ROWS_MAX,
        "{} rows, more than {ROWS_MAX}: score a part of the record",
        rows.len()
    );
    for (i, row) in rows.iter().enumerate() {
        row.check().with_context(|| format!("row {}", i + 1))?;
        if i > 0 && rows[i - 1].at >= row.at {
            bail!(
                "row {}: {} does not come after {}; sort the record by time, one row a sync",
                i + 1,
                row.at,
                rows[i - 1].at
            );
        }
    }
    Ok(())
}

/// Reads a record: JSON lines, or CSV with a header where the name ends in `.csv` (`.csv.gz`).
///
/// # Errors
/// Where it cannot be read or a row is wrong; the error names file and line.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let name = path.display().to_string();
    let bytes = foresail_adapters::io::compress::open(path)?.bytes;
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let rows = if plain.ends_with(".csv") {
        read_csv(bytes, &name)?
    } else {
        read_lines(bytes, &name)?
    };
    check(&rows).with_context(|| name.clone())?;
    Ok(rows)
}

fn read_lines(mut bytes: impl BufRead, name: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut number = 0;
    while let Some(line) = bounded_line(&mut bytes, name, number + 1)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row = serde_json::from_slice(&line).with_context(|| {
            format!("{name}, line {number}: no row; write one like {{\"at\":\"2026-01-05T00:00:00Z\",\"demand\":12.5,\"paid\":3}}")
        })?;
        push(&mut rows, row, name)?;
    }
    Ok(rows)
}

fn read_csv(bytes: impl BufRead, name: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut reader = csv::Reader::from_reader(bytes);
    for (i, row) in reader.deserialize().enumerate() {
        let row = row.with_context(|| {
            format!(
                "{name}, line {}: no row; the columns are at, demand, paid, ready, late, p95, empty where unknown",
                i + 2
            )
        })?;
        push(&mut rows, row, name)?;
    }
    Ok(rows)
}

fn push(rows: &mut Vec<Row>, row: Row, name: &str) -> Result<()> {
    ensure!(
        rows.len() < ROWS_MAX,
        "{name} has more than {ROWS_MAX} rows: score a part of it"
    );
    rows.push(row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out_and_stays_unknown() {
        let row = Row {
            paid: Some(0),
            ..Row::at(Timestamp::from_seconds(1_767_571_200))
        };
        let mut line = Vec::new();
        row.record(&mut line).unwrap();
        assert_eq!(line, b"{\"at\":\"2026-01-05T00:00:00Z\",\"paid\":0}\n");
        assert_eq!(read_lines(&line[..], "r").unwrap(), [row]);
    }

    #[test]
    fn both_forms_give_the_same_rows() {
        let csv = "at,demand,paid,ready,late,p95\n2026-01-05T00:00:00Z,1.5,2,,0.25,\n";
        let lines = "{\"at\":\"2026-01-05T00:00:00Z\",\"demand\":1.5,\"paid\":2,\"late\":0.25}\n\n";
        let want = read_lines(lines.as_bytes(), "r").unwrap();
        assert_eq!(read_csv(csv.as_bytes(), "r").unwrap(), want);
        assert_eq!((want.len(), want[0].ready), (1, None));
    }

    #[test]
    fn a_bad_row_is_refused_by_its_place() {
        let refused = |text: &str, want: &str| {
            let rows = read_lines(text.as_bytes(), "r.jsonl");
            let rows = rows.and_then(|rows| check(&rows));
            let error = format!("{:#}", rows.unwrap_err());
            assert!(error.contains(want), "{error}");
        };
        let at = "\"at\":\"2026-01-05T00:00:00Z\"";
        refused(&format!("{{{at},\"late\":1.5}}"), "row 1: late 1.5");
        refused(&format!("{{{at},\"demand\":-1}}"), "row 1: demand -1");
        refused(&format!("{{{at}}}\n{{{at}}}"), "row 2: ");
        refused(&format!("{{{at}}}\n{{{at}"), "r.jsonl, line 2");
        refused(&format!("{{{at},\"paid\":-1}}"), "line 1");
        refused(&format!("{{{at},\"replicas\":1}}"), "replicas");
    }
}
