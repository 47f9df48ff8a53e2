//! Reads the experiment's CSV files, also those that the published Python wrote.
//!
//! Columns are found by their names, in any order; a row that cannot be read is left out and named
//! with its line. A file of ours has another beside it with what the columns lack; without it less is
//! reported, and nothing is guessed.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use foresail_core::quantity::time::Timestamp;

use super::beside::{self, Beside};
use super::columns::Columns;

/// The largest CSV file that is read.
const BYTES_MAX: u64 = 256 << 20;

/// Rows that are read of one file.
const ROWS_MAX: usize = 1_000_000;

/// Mistakes that are told of one file.
const MISTAKES_MAX: usize = 20;

/// One row as it was found; an empty cell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// When.
    pub at: Timestamp,
    /// Replicas asked for.
    pub current: f64,
    /// CPU of a pod, in millicores.
    pub cpu: Option<f64>,
    /// CPU request of a pod, in millicores.
    pub cpu_request: Option<f64>,
    /// What the HPA simulator's columns ask for, and by which ratio of memory.
    pub simulated: Option<f64>,
    /// The same before windows and rates.
    pub raw: Option<f64>,
    /// Memory over its target value by the simulator.
    pub memory_ratio: Option<f64>,
    /// What the live HPA asks for.
    pub hpa: Option<f64>,
    /// What the adviser recommends.
    pub advised: Option<f64>,
    /// What it says of itself, 0 to 1.
    pub confidence: Option<f64>,
    /// Who applied what was applied.
    pub applied_by: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The CSV file's name.
    pub name: String,
    /// Its mode, as its rows have it.
    pub mode: String,
    /// The rows, in their order.
    pub rows: Vec<Found>,
    /// What could not be read or is missing, with its line.
    pub mistakes: Vec<String>,
    /// Lines that could not be read.
    pub unread: usize,
    /// Rows that are missing at the begin and at the end, by what stands beside the file.
    pub lacking: usize,
    /// What stands beside it.
    pub beside: Option<Beside>,
}

/// Every CSV file of the arguments, each once: files as they are given, of folders those of the
/// experiment.
///
/// # Errors
/// Where a place cannot be read, or there is none at all.
pub fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for place in places {
        if !place.is_dir() {
            files.push(place.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot read {}", place.display()))?
                .path();
            let name = path
                .file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            if name.starts_with("experiment_") && name.ends_with(".csv") {
                found.push(path);
            }
        }
        ensure!(
            !found.is_empty(),
            "{} holds no experiment_*.csv: give a folder that `foresail experiment --simulate` or the published \
             main.py wrote",
            place.display()
        );
        found.sort();
        files.extend(found);
    }
    // A file that is named twice is one run all the same.
    let mut known = BTreeSet::new();
    files.retain(|file| known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    Ok(files)
}

/// Reads one run.
///
/// # Errors
/// Where the file cannot be read or is none of this experiment; single bad rows are no error.
pub fn run(path: &Path) -> Result<Run> {
    let shown = path.display();
    let text = text_of(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_slice());
    let headers = reader
        .headers()
        .with_context(|| format!("{shown}, line 1"))?;
    let columns = Columns::of(headers).map_err(|lacking| {
        anyhow::anyhow!("{shown} is no file of this experiment: it lacks the column {lacking}")
    })?;
    let name = path
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut run = Run {
        name,
        mode: String::new(),
        rows: Vec::new(),
        mistakes: Vec::new(),
        unread: 0,
        lacking: 0,
        beside: None,
    };
    for record in reader.records() {
        ensure!(
            run.rows.len() < ROWS_MAX,
            "{shown} has more than {ROWS_MAX} rows"
        );
        let line = match &record {
            Ok(record) => record.position().map_or(0, csv::Position::line),
            Err(error) => error.position().map_or(0, csv::Position::line),
        };
        let read = record
            .map_err(|e| e.to_string())
            .and_then(|r| columns.row(&r));
        let read = read.and_then(|(mode, row)| {
            if run.mode.is_empty() {
                run.mode.clone_from(&mode);
            }
            let later = run.rows.last().is_none_or(|last| last.at < row.at);
            if mode != run.mode {
                return Err(format!("mode {mode} in a file of {}", run.mode));
            }
            later
                .then_some(row)
                .ok_or_else(|| "its time is not after the row before".to_owned())
        });
        match read {
            Ok(row) => run.rows.push(row),
            Err(why) => {
                run.unread += 1;
                if run.unread <= MISTAKES_MAX {
                    run.mistakes
                        .push(format!("{}, line {line}: {why}; left out", run.name));
                }
            }
        }
    }
    if run.unread > MISTAKES_MAX {
        run.mistakes.push(format!(
            "{}: and {} more lines",
            run.name,
            run.unread - MISTAKES_MAX
        ));
    }
    ensure!(
        !run.rows.is_empty(),
        "{shown} has no row that can be read{}",
        run.mistakes
            .first()
            .map_or_else(String::new, |m| format!(": {m}"))
    );
    run.beside = beside::read(&path.with_extension("jsonl"), &mut run.mistakes)?;
    run.check();
    Ok(run)
}

impl Run {
    /// CPU of a pod in percent of what it requests: by the file beside it where there is one, since
    /// the column holds nginx's share where the published simulator is shown.
    #[must_use]
    pub fn cpu_percent(&self, row: &Found) -> Option<f64> {
        let head = self.beside.as_ref().map(|b| b.head.cpu_request);
        let request = head.or(row.cpu_request).filter(|r| *r > 0.0)?;
        Some(row.cpu? * 100.0 / request)
    }

    /// Holds the rows against what stands beside them.
    fn check(&mut self) {
        let Some(beside) = &self.beside else {
            return;
        };
        if beside.head.mode != self.mode {
            let own = &beside.head.mode;
            self.mistakes.push(format!(
                "{}: the file beside it is of mode {own}; left out",
                self.name
            ));
            self.beside = None;
            return;
        }
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return;
        };
        let (before, after) = beside.lacking(first.at, last.at);
        let rows = beside.rows();
        for (lacking, place) in [(before, "begin"), (after, "end")] {
            if lacking > 0 {
                self.mistakes.push(format!(
                    "{} is cut short: of its {rows} rows {lacking} are missing at its {place}",
                    self.name
                ));
            }
        }
        self.lacking = usize::try_from(before.saturating_add(after)).unwrap_or(usize::MAX);
    }
}

/// The bytes of a CSV file with plain ends of lines: the reader counts a line too few after others.
fn text_of(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let mut bytes = Vec::new();
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() as u64 <= BYTES_MAX,
        "{shown} is larger than {BYTES_MAX} bytes: cut it into runs"
    );
    let mut before = 0;
    bytes.retain(|byte| {
        let kept = before != b'\r' || *byte != b'\n';
        before = *byte;
        kept
    });
    bytes
        .iter_mut()
        .filter(|b| **b == b'\r')
        .for_each(|b| *b = b'\n');
    Ok(bytes)
}
