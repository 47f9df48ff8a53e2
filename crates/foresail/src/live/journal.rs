//! The journal of a pool scheduler: what the pools were before it, then what each minute decided.
//!
//! A line is a JSON object. `former` has the pools from before; it stands on disk before the first
//! write and stays in force until a line `end` says that they were put back, over any crash.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::optimize::journal::{opened, unwritable};

/// The longest line that is read back.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Pools by function.
pub type ByFunction = BTreeMap<String, u32>;

/// A journal that takes more.
#[derive(Debug)]
pub struct Journal {
    name: String,
    file: File,
    former: Option<ByFunction>,
    place: String,
}

impl Journal {
    /// Opens a journal of a provider's place, or begins one; a line cut short is cut off.
    ///
    /// # Errors
    /// Where it cannot be read or written, or is of something else.
    pub fn open(path: &Path, place: &str) -> Result<Self> {
        let name = path.display().to_string();
        let told = || unwritable(&name);
        let mut file = opened(path).with_context(told)?;
        let (former, whole) = read(&file, &name, place)?;
        file.set_len(whole).with_context(told)?;
        file.seek(SeekFrom::End(0)).with_context(told)?;
        Ok(Self {
            name,
            file,
            former,
            place: place.to_owned(),
        })
    }

    /// The pools from before, where a process that did not end well left them.
    #[must_use]
    pub fn former(&self) -> Option<&ByFunction> {
        self.former.as_ref()
    }

    /// Keeps the pools from before.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&mut self, pools: &ByFunction) -> Result<()> {
        self.add(&json!({"v": 1, "place": self.place.clone(), "former": pools}))?;
        self.former = Some(pools.clone());
        Ok(())
    }

    /// Adds a line; it is on disk when this returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, line: &Value) -> Result<()> {
        let text = format!("{line}\n");
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write the journal {}; free some space", self.name))
    }
}

/// The pools from before that are not put back yet, and how many bytes are whole lines.
fn read(file: &File, name: &str, place: &str) -> Result<(Option<ByFunction>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut former, mut whole, mut bytes) = (None, 0, Vec::new());
    for line in 1.. {
        bytes.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX + 1);
        limited
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("cannot read the journal {name}"))?;
        if bytes.last() != Some(&b'\n') {
            // What was cut short is ours where it is the end of a journal.
            if line == 1 && !bytes.is_empty() {
                bail!(
                    "{name}: no journal of a schedule, it is left as it is; give another --journal"
                );
            }
            break;
        }
        let no_line =
            || format!("{name}, line {line}: no line of a journal; give another --journal");
        let value: Value = serde_json::from_slice(&bytes).with_context(no_line)?;
        if let Some(pools) = value.get("former") {
            let of = value
                .get("place")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if of != place {
                bail!(
                    "{name}, line {line}: it is of {of}, this is {place}; give another --journal"
                );
            }
            former = Some(serde_json::from_value(pools.clone()).with_context(no_line)?);
        } else if value.get("end").is_some() {
            former = None;
        } else if line == 1 {
            bail!("{}", no_line());
        }
        whole += bytes.len() as u64;
    }
    Ok((former, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_from_before_stand_until_they_are_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let pools = ByFunction::from([("f".to_owned(), 2)]);
        let mut journal = Journal::open(&path, "here").unwrap();
        assert_eq!(journal.former(), None);
        journal.keep(&pools).unwrap();
        journal.add(&json!({"at": 1})).unwrap();
        drop(journal);
        // Killed in the middle of a line.
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"{\"at\": 2").unwrap();
        let mut journal = Journal::open(&path, "here").unwrap();
        assert_eq!(journal.former(), Some(&pools));
        assert!(Journal::open(&path, "there").is_err());
        journal.add(&json!({"end": "restored"})).unwrap();
        let again = Journal::open(&path, "here").unwrap();
        assert_eq!(again.former(), None);
        let other = folder.path().join("notes.txt");
        std::fs::write(&other, "mine").unwrap();
        assert!(Journal::open(&other, "here").is_err());
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
    }
}
