//! Runs that are done, one line each: a study that was broken off goes on where it stood.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::run::{Plan, Row};

/// The most bytes of a journal.
const BYTES_MAX: u64 = 1 << 30;

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) arm: String,
    pub(super) world: usize,
    pub(super) seed: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    v: u8,
    study: String,
}

/// A journal that is open.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What it held when it was opened.
    pub(super) done: Vec<Entry>,
}

impl Journal {
    /// Opens or begins the journal of a plan; a last line that was cut is left out.
    ///
    /// # Errors
    /// Where it is of another study or plan, or cannot be written.
    pub(super) fn open(path: &Path, plan: &Plan) -> Result<Self> {
        let name = || path.display().to_string();
        let study = plan.described();
        let mut done = Vec::new();
        if path.exists() {
            let length = fs::metadata(path).with_context(name)?.len();
            if length > BYTES_MAX {
                bail!(
                    "{}: larger than any journal; give another --journal",
                    name()
                );
            }
            let text = fs::read_to_string(path).with_context(name)?;
            let mut lines = text.lines();
            let head = lines
                .next()
                .and_then(|l| serde_json::from_str::<Head>(l).ok());
            if head.is_none_or(|h| h.v != 1 || h.study != study) {
                bail!(
                    "{}: of another study or of other flags; remove it, or give another --journal",
                    name()
                );
            }
            let lines: Vec<&str> = lines.collect();
            for (number, line) in lines.iter().enumerate() {
                match serde_json::from_str::<Entry>(line) {
                    Ok(entry) => done.push(entry),
                    // Broken off while the last was written: it is flown again.
                    Err(_) if number + 1 == lines.len() => {}
                    Err(error) => bail!(
                        "{}, line {}: {error}; remove that line to fly its run again",
                        name(),
                        number + 2
                    ),
                }
            }
        }
        // Written anew, so that a line that was cut does not stand before the next.
        let head = Head { v: 1, study };
        let mut text = serde_json::to_string(&head)?;
        text.push('\n');
        for entry in &done {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        foresail_adapters::atomic::write_file(path, |w| w.write_all(text.as_bytes()))?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .with_context(name)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            done,
        })
    }

    /// Keeps runs that are done now.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub(super) fn keep(&mut self, entries: &[Entry]) -> Result<()> {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        let name = || self.path.display().to_string();
        self.file.write_all(text.as_bytes()).with_context(name)?;
        self.file.flush().with_context(name)
    }
}
