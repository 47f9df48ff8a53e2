//! What the server remembers of a component over a restart: one small file, there whole or not at all.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use foresail_adapters::atomic::write_file;
use foresail_core::engine::Snapshot;
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::Timestamp;
use foresail_models::rl::axes::Moves;
use serde::{Deserialize, Serialize};

use super::component::ComponentName;

/// Answers that are remembered: an agent sends a step again within minutes, not after so many more.
const ANSWERS_MAX: usize = 64;

/// The largest file that is read.
const BYTES_MAX: u64 = 64 << 20;

/// A write that is about to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intent {
    /// The number of the step; empty where the caller gave none.
    pub request: String,
    /// What was asked for before.
    pub from: Setting,
    /// What shall be.
    pub to: Setting,
    /// The version of the scale that it is written against.
    pub version: String,
    /// When.
    pub at: Timestamp,
    /// The number of the decision.
    pub decision: u64,
}

/// A step that was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// Its number.
    pub request: String,
    /// The answer's message, in hexadecimal.
    pub message: String,
}

/// What is kept of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kept {
    /// Version of this form.
    pub v: u8,
    /// Steps that were executed.
    pub step: u64,
    /// What the last step did.
    pub before: Moves,
    /// The requests that pods shall have, once a step has decided them.
    pub decided: Setting,
    /// A write that may or may not have been made.
    pub open: Option<Intent>,
    /// The last answers.
    pub answers: VecDeque<Answer>,
    /// The engine.
    pub snapshot: Option<Snapshot>,
}

/// Version of the form.
const VERSION: u8 = 1;

/// The file of one component.
#[derive(Clone, Debug)]
pub struct File(Option<PathBuf>);

impl File {
    /// The file within a folder; without a folder nothing outlives the process.
    #[must_use]
    pub fn new(folder: Option<&Path>, name: &ComponentName) -> Self {
        let file = format!("{}.{}.json", name.namespace, name.name);
        Self(folder.map(|f| f.join(file)))
    }

    /// `true` where something outlives the process.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// What was kept, if anything was.
    ///
    /// # Errors
    /// Where the file cannot be read or is none of ours.
    pub fn read(&self) -> Result<Option<Kept>> {
        let Some(path) = &self.0 else {
            return Ok(None);
        };
        let name = path.display();
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| name.to_string()),
            Ok(meta) if meta.len() > BYTES_MAX => {
                bail!("{name}: {} bytes are too many", meta.len())
            }
            Ok(_) => {}
        }
        let bytes = std::fs::read(path).with_context(|| name.to_string())?;
        let kept: Kept = serde_json::from_slice(&bytes).with_context(|| {
            format!("{name}: not what this server wrote; move it away to begin without a memory")
        })?;
        if kept.v != VERSION {
            bail!("{name}: of version {}, this binary reads {VERSION}", kept.v);
        }
        Ok(Some(kept))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, kept: &Kept) -> Result<()> {
        let Some(path) = &self.0 else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(kept)?;
        write_file(path, |w| w.write_all(&bytes)).with_context(|| path.display().to_string())
    }
}

impl Kept {
    /// Nothing yet.
    #[must_use]
    pub fn new(axes: usize) -> Self {
        Self {
            v: VERSION,
            before: vec![foresail_models::rl::axes::Move::Hold; axes],
            ..Self::default()
        }
    }

    /// The answer to a step that was answered before.
    #[must_use]
    pub fn answer(&self, request: &str) -> Option<&Answer> {
        let mut answers = self.answers.iter();
        answers.find(|a| !request.is_empty() && a.request == request)
    }

    /// Remembers an answer.
    pub fn remember(&mut self, answer: Answer) {
        if answer.request.is_empty() {
            return;
        }
        self.answers.push_back(answer);
        while self.answers.len() > ANSWERS_MAX {
            self.answers.pop_front();
        }
    }
}
