//! What an agent did, step by step: each is written down before it is asked for and after it is answered.
//!
//! One file of lines for each episode. A line that was cut short by a crash is as if it had not been
//! written: a question without an answer is asked again by its own number, and the server answers it from
//! its memory, so that no transition is lost and none is made twice.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use foresail_adapters::atomic::write_file;
use foresail_models::rl::axes::Moves;
use serde::{Deserialize, Serialize};

/// The largest file of one episode.
const BYTES_MAX: u64 = 256 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Line {
    /// A step is about to be asked for.
    Asked(Asked),
    /// It was answered, and its end was seen.
    Done(Done),
}

/// A step that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// Counts the steps of the agent's life, from 0 on, without a gap.
    pub seq: u64,
    /// The episode.
    pub episode: usize,
    /// The step within it.
    pub step: usize,
    /// What the server knows it by.
    pub request: String,
    /// What was seen before it; `None` where something of it was not known.
    pub state: Option<Vec<f32>>,
    /// What was legal then.
    pub legal: Vec<bool>,
    /// What is wished; `None`: the heuristic acts.
    pub moves: Option<Moves>,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Done {
    /// That of its question.
    pub seq: u64,
    /// What was executed.
    pub executed: Moves,
    /// What it was worth.
    pub reward: f64,
    /// What was seen at its end.
    pub state: Option<Vec<f32>>,
    /// What is legal then.
    pub legal: Vec<bool>,
    /// The server's decision.
    pub decision: u64,
    /// What the server said of it.
    pub status: String,
}

/// Who the agent is: its requests are told apart from those of any other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Life {
    v: u8,
    id: String,
    component: String,
}

/// The journal in a folder.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    life: Life,
    open: Option<(usize, File)>,
}

impl Journal {
    /// The journal of an agent of this component; `id` names its life where the folder is new.
    ///
    /// # Errors
    /// Where the folder cannot be used, or belongs to the agent of another component.
    pub fn open(folder: &Path, component: &str, id: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("agent.json");
        let life = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Life>(&bytes)
                .with_context(|| format!("{}: not an agent's journal", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let life = Life {
                    v: 1,
                    id: id.to_owned(),
                    component: component.to_owned(),
                };
                let bytes = serde_json::to_vec(&life)?;
                write_file(&path, |w| w.write_all(&bytes))?;
                life
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        if life.component != component {
            bail!(
                "{} is the journal of {}, not of {component}: give another --journal",
                folder.display(),
                life.component
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            life,
            open: None,
        })
    }

    /// The number by which the server knows a step.
    #[must_use]
    pub fn request(&self, seq: u64) -> String {
        format!("{}-{seq}", self.life.id)
    }

    fn path(&self, episode: usize) -> PathBuf {
        self.folder.join(format!("episode-{episode:06}.jsonl"))
    }

    /// What is written of an episode; what a crash cut short is taken away.
    ///
    /// # Errors
    /// Where it cannot be read, or a line that is whole is none.
    pub fn read(&self, episode: usize) -> Result<Vec<Line>> {
        let path = self.path(episode);
        let name = path.display();
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| name.to_string()),
            Ok(meta) if meta.len() > BYTES_MAX => {
                bail!("{name}: {} bytes are too many", meta.len())
            }
            Ok(_) => {}
        }
        let text = fs::read(&path).with_context(|| name.to_string())?;
        let whole = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |end| end + 1);
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(&path);
            let cut = file.and_then(|f| f.set_len(whole as u64).and_then(|()| f.sync_all()));
            cut.with_context(|| name.to_string())?;
        }
        let lines = text[..whole]
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty());
        let read = |(number, line): (usize, &[u8])| {
            serde_json::from_slice(line).with_context(|| format!("{name}, line {}", number + 1))
        };
        lines.enumerate().map(read).collect()
    }

    /// Writes a line so that no crash takes it away.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&mut self, episode: usize, line: &Line) -> Result<()> {
        let path = self.path(episode);
        if self.open.as_ref().is_none_or(|(of, _)| *of != episode) {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.with_context(|| path.display().to_string())?;
            self.open = Some((episode, file));
        }
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let Some((_, file)) = &mut self.open else {
            bail!("{}: not open", path.display());
        };
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        written.with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(seq: u64) -> Line {
        Line::Asked(Asked {
            seq,
            episode: 0,
            step: seq as usize,
            request: format!("a-{seq}"),
            state: Some(vec![0.25, 1.0]),
            legal: vec![true; 3],
            moves: None,
        })
    }

    #[test]
    fn a_line_that_was_cut_short_is_as_if_it_had_not_been_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), "shop/web", "a").unwrap();
        journal.write(0, &asked(0)).unwrap();
        journal.write(0, &asked(1)).unwrap();
        let path = folder.path().join("episode-000000.jsonl");
        let text = fs::read(&path).unwrap();
        for cut in 1..text.len() / 2 {
            fs::write(&path, &text[..text.len() - cut]).unwrap();
            let mut journal = Journal::open(folder.path(), "shop/web", "other").unwrap();
            assert_eq!(journal.request(7), "a-7", "the life is the one that began");
            assert_eq!(journal.read(0).unwrap(), [asked(0)]);
            journal.write(0, &asked(1)).unwrap();
            assert_eq!(journal.read(0).unwrap(), [asked(0), asked(1)]);
        }
        let told = Journal::open(folder.path(), "shop/api", "b")
            .unwrap_err()
            .to_string();
        assert!(told.contains("journal of shop/web"), "{told}");
    }
}
