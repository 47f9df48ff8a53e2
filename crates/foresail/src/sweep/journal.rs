//! The journal of a sweep: one line per finished run, so that a kill loses only what was running.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Name of the journal in a sweep's folder.
pub(super) const JOURNAL: &str = "sweep.journal";

/// The longest line that is read back.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Figures of one policy of a run, by the keys of its measures.
pub(super) type Figures = Vec<(String, f64)>;

/// One finished run of one policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The hash of everything that the figures depend on.
    run: String,
    /// `null` for a figure that there is none of.
    figures: Vec<(String, Option<f64>)>,
}

/// Finished runs by their key, and the file that takes more.
#[derive(Debug)]
pub(super) struct Journal {
    done: BTreeMap<String, Figures>,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of a folder, or begins one; a line cut short is cut off.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(JOURNAL);
        let told = || {
            format!(
                "cannot write {}; give another place with --out",
                path.display()
            )
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(told)?;
        let (done, whole) = read(&file).with_context(told)?;
        file.set_len(whole).with_context(told)?;
        file.seek(SeekFrom::End(0)).with_context(told)?;
        Ok(Self {
            done,
            file: Mutex::new(file),
        })
    }

    pub(super) fn finished(&self, key: &str) -> Option<&Figures> {
        self.done.get(key)
    }

    /// Adds a finished run; the line is on disk when this returns.
    pub(super) fn add(&self, key: &str, figures: &Figures) -> Result<()> {
        let line = line(key, figures)?;
        let mut file = self
            .file
            .lock()
            .map_err(|_| anyhow::anyhow!("the journal was left by a run that failed"))?;
        file.write_all(&line)
            .and_then(|()| file.sync_data())
            .context("cannot write the journal; free some space, and run the sweep again")
    }
}

/// The bytes of one line.
pub(super) fn line(key: &str, figures: &Figures) -> Result<Vec<u8>> {
    let finite =
        |(name, value): &(String, f64)| (name.clone(), Some(*value).filter(|v| v.is_finite()));
    let line = Line {
        run: key.to_owned(),
        figures: figures.iter().map(finite).collect(),
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Every whole line, and the bytes that they fill.
fn read(file: &File) -> std::io::Result<(BTreeMap<String, Figures>, u64)> {
    let mut reader = BufReader::new(file);
    let mut done = BTreeMap::new();
    let mut whole = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = std::io::Read::take(&mut reader, LINE_BYTES_MAX as u64);
        let count = limited.read_until(b'\n', &mut bytes)?;
        let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
            return Ok((done, whole));
        };
        if bytes.last() != Some(&b'\n') {
            return Ok((done, whole));
        }
        whole += count as u64;
        let value = |(name, v): (String, Option<f64>)| (name, v.unwrap_or(f64::NAN));
        done.insert(line.run, line.figures.into_iter().map(value).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_short_is_run_again_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let figures = vec![("cost".to_owned(), 1.5), ("p99".to_owned(), f64::NAN)];
        let journal = Journal::open(folder.path()).unwrap();
        journal.add("a", &figures).unwrap();
        journal.add("b", &figures).unwrap();
        drop(journal);
        let path = folder.path().join(JOURNAL);
        let bytes = std::fs::read(&path).unwrap();
        for cut in 1..bytes.len() / 2 {
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            let again = Journal::open(folder.path()).unwrap();
            let kept = again.finished("a").unwrap();
            assert!((kept[0].1 - 1.5).abs() < f64::EPSILON && kept[1].1.is_nan());
            assert!(again.finished("b").is_none(), "cut by {cut}");
            again.add("b", &figures).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }
}
