//! The journal of a search: what was measured, line by line, so that a search that was cut short
//! goes on where it was.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use foresail_core::propose::plan::Plan;
use serde::{Deserialize, Serialize};

use super::found::Cut;
use super::measure::Measured;

/// Version of the form.
const VERSION: u8 = 1;

/// The longest line that is read back.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Everything that a search depends on, by name.
pub type Conditions = BTreeMap<String, String>;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Line {
    /// The first.
    Search {
        /// Version of the form.
        v: u8,
        /// Everything that the search depends on.
        conditions: Conditions,
    },
    /// The setting that was in force before, and what it came to.
    Former {
        /// What was in force.
        plan: Plan,
        /// What it came to.
        measured: Measured,
    },
    /// A trial.
    Trial {
        /// Its number.
        number: u64,
        /// What was tried.
        plan: Plan,
        /// What it came to.
        measured: Measured,
    },
    /// The workflow had drifted: the search was opened again.
    Reopened {
        /// Trials that were allowed more.
        trials: u64,
        /// What was in force then.
        plan: Plan,
        /// What that came to in the drifted workflow.
        measured: Measured,
    },
    /// The best, measured again in the end.
    Again {
        /// What was in force then.
        plan: Plan,
        /// What it came to.
        measured: Measured,
    },
    /// A measurement that the cap or a person cut short: it tells nothing but what it cost.
    Cut(Cut),
}

impl Line {
    /// The name of the first number that no measurement can have.
    fn wrong(&self) -> Option<&'static str> {
        let fits = |number: f64| number.is_finite() && number >= 0.0;
        let m = match self {
            Self::Search { .. } => return None,
            Self::Cut(cut) => return (!fits(cut.spend)).then_some("spend"),
            Self::Former { measured, .. }
            | Self::Trial { measured, .. }
            | Self::Reopened { measured, .. }
            | Self::Again { measured, .. } => measured,
        };
        let all = [
            ("cost", m.cost.is_none_or(fits)),
            ("latency", m.latency.is_none_or(fits)),
            ("spend", fits(m.spend)),
            ("seconds", fits(m.seconds)),
            ("critical", m.critical.iter().all(|share| fits(*share))),
        ];
        all.into_iter()
            .find(|(_, fits)| !fits)
            .map(|(name, _)| name)
    }
}

/// The lines of before, and the file that takes more.
#[derive(Debug)]
pub struct Journal {
    name: String,
    before: VecDeque<Line>,
    cut: Cut,
    file: File,
}

/// The file of a journal, made where there is none; nothing in it is changed.
pub(crate) fn opened(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    options.open(path)
}

/// What is told where a journal cannot be written.
pub(crate) fn unwritable(name: &str) -> String {
    format!("cannot write the journal {name}; give another place with --journal")
}

impl Journal {
    /// Opens a journal, or begins one; a line cut short is cut off. Conditions whose names are
    /// `forgiven` may be others than those that it was begun under.
    ///
    /// # Errors
    /// Where the file cannot be read or written, or is of a search under other conditions.
    pub fn open(path: &Path, conditions: &Conditions, forgiven: &[&str]) -> Result<Self> {
        let name = path.display().to_string();
        let told = || unwritable(&name);
        let mut file = opened(path).with_context(told)?;
        let header = line_bytes(&Line::Search {
            v: VERSION,
            conditions: conditions.clone(),
        })?;
        let Contents {
            lines: mut before,
            whole,
            rest,
        } = read(&file, &name)?;
        match before.pop_front() {
            // Only what this search began to write may be cut off: else it is somebody's file.
            None if !header.starts_with(&rest) => {
                bail!("{name}: no journal of a search, it is left as it is; give another --journal")
            }
            None => {}
            Some(Line::Search {
                v,
                conditions: mut of,
            }) => {
                for key in forgiven {
                    if let (Some(old), Some(new)) = (of.get_mut(*key), conditions.get(*key)) {
                        old.clone_from(new);
                    }
                }
                check(&name, v, &of, conditions)?;
            }
            Some(_) => bail!("{name}, line 1: no journal of a search; give another --journal"),
        }
        file.set_len(whole).with_context(told)?;
        file.seek(SeekFrom::End(0)).with_context(told)?;
        let mut cut = Cut::default();
        before.retain(|line| match line {
            Line::Cut(other) => {
                cut.add(*other);
                false
            }
            _ => true,
        });
        let mut journal = Self {
            name,
            before,
            cut,
            file,
        };
        if whole == 0 {
            journal.append(&header)?;
        }
        Ok(journal)
    }

    /// What was spent before on measurements that were cut short.
    #[must_use]
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// The next line of before; `None` once all were taken.
    pub fn next_before(&mut self) -> Option<Line> {
        self.before.pop_front()
    }

    /// The next line of before where it opens the search again.
    pub fn next_reopened(&mut self) -> Option<Line> {
        let reopens = matches!(self.before.front(), Some(Line::Reopened { .. }));
        reopens.then(|| self.before.pop_front()).flatten()
    }

    /// The next line of before where the best was measured again.
    pub fn next_again(&mut self) -> Option<(Plan, Measured)> {
        match self.before.front() {
            Some(Line::Again { .. }) => {}
            _ => return None,
        }
        match self.before.pop_front() {
            Some(Line::Again { plan, measured }) => Some((plan, measured)),
            _ => None,
        }
    }

    /// `true` where a line of before opens the search again.
    #[must_use]
    pub fn reopens(&self) -> bool {
        let mut lines = self.before.iter();
        lines.any(|line| matches!(line, Line::Reopened { .. }))
    }

    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a line; it is on disk when this returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, line: &Line) -> Result<()> {
        self.append(&line_bytes(line)?)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data())
            .with_context(|| {
                let name = &self.name;
                format!("cannot write the journal {name}; free some space, and run it again")
            })
    }
}

/// Refuses a journal of a search under other conditions, and names the first of them.
fn check(name: &str, v: u8, of: &Conditions, wanted: &Conditions) -> Result<()> {
    if v != VERSION {
        bail!("{name} is of version {v}; this binary reads version {VERSION}");
    }
    let keys = of.keys().chain(wanted.keys());
    let other = keys.into_iter().find(|k| of.get(*k) != wanted.get(*k));
    if let Some(key) = other {
        let told = |c: &Conditions| c.get(key).cloned().unwrap_or_else(|| "none".to_owned());
        bail!(
            "{name} is of another search: {key} was {}, now it is {}; give the same flags, or another --journal",
            told(of),
            told(wanted)
        );
    }
    Ok(())
}

fn line_bytes(line: &Line) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a file holds.
struct Contents {
    /// Every whole line.
    lines: VecDeque<Line>,
    /// Bytes that they fill.
    whole: u64,
    /// What comes after them: a line that was cut short.
    rest: Vec<u8>,
}

fn read(file: &File, name: &str) -> Result<Contents> {
    let mut reader = BufReader::new(file);
    let mut lines = VecDeque::new();
    let mut whole = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX as u64 + 1);
        limited
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("cannot read the journal {name}"))?;
        if bytes.len() > LINE_BYTES_MAX {
            bail!("{name}: a line longer than {LINE_BYTES_MAX} bytes: no journal of a search");
        }
        if bytes.last() != Some(&b'\n') {
            return Ok(Contents {
                lines,
                whole,
                rest: bytes,
            });
        }
        let number = lines.len() + 1;
        let line: Line = serde_json::from_slice(&bytes).with_context(|| {
            format!("{name}, line {number}: no line of a journal; give another --journal")
        })?;
        if let Some(wrong) = line.wrong() {
            bail!("{name}, line {number}: {wrong}: must be 0 or more; give another --journal");
        }
        lines.push_back(line);
        whole += bytes.len() as u64;
    }
}
