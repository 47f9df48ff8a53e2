//! What was in force before a search changed anything, on disk until the search has ended well.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use foresail_adapters::atomic::write_file;
use foresail_adapters::workflow::{Answer, System, SystemError};
use foresail_core::propose::plan::Plan;
use foresail_core::quantity::time::Span;
use serde::{Deserialize, Serialize};

/// Version of the form.
const VERSION: u8 = 1;

/// The largest file that is read back.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    v: u8,
    /// Who had it: the provider and where it is.
    place: String,
    plan: Plan,
}

/// The file of what was in force.
#[derive(Clone, Debug)]
pub struct Former {
    path: PathBuf,
    place: String,
}

impl Former {
    /// The file at a path, of this provider's place.
    #[must_use]
    pub fn new(path: &Path, place: &str) -> Self {
        Self {
            path: path.to_owned(),
            place: place.to_owned(),
        }
    }

    /// What a search that never ended had found in force; `None` where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, or is of another place.
    pub fn left(&self) -> Result<Option<Plan>> {
        let name = self.path.display();
        let size = match std::fs::metadata(&self.path) {
            Ok(meta) => meta.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {name}")),
        };
        if size > FILE_BYTES_MAX {
            bail!("{name}: larger than {FILE_BYTES_MAX} bytes: no former setting");
        }
        let bytes = std::fs::read(&self.path).with_context(|| format!("cannot read {name}"))?;
        let written: Written = serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{name}: no former setting of a search; move it away, or give another --journal"
            )
        })?;
        if written.v != VERSION || written.place != self.place {
            bail!(
                "{name}: it is the former setting of {} (version {}), this is {}; give another --journal, or move it away",
                written.place,
                written.v,
                self.place
            );
        }
        Ok(Some(written.plan))
    }

    fn keep(&self, plan: &Plan) -> Result<(), String> {
        let written = Written {
            v: VERSION,
            place: self.place.clone(),
            plan: plan.clone(),
        };
        let text = serde_json::to_vec(&written).map_err(|e| e.to_string())?;
        write_file(&self.path, |file| file.write_all(&text)).map_err(|e| e.to_string())
    }

    /// The search has ended well: what is in force is what shall be.
    ///
    /// # Errors
    /// Where the file cannot be taken away.
    pub fn forget(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// A system whose former setting is on disk before it is changed.
#[derive(Debug)]
pub struct Kept<S> {
    system: S,
    former: Former,
    /// What was in force at the begin, once it was asked for.
    first: Option<Plan>,
    kept: bool,
}

impl<S: System> Kept<S> {
    /// A system that was not changed yet; what a process before this one left is put back.
    ///
    /// # Errors
    /// Where that cannot be read or put back.
    pub fn new(mut system: S, former: Former) -> Result<Self> {
        let mut kept = false;
        if let Some(plan) = former.left()? {
            eprintln!(
                "note: a search before this one did not end ({}): the setting from before it is put back first",
                former.path.display()
            );
            system.apply(&plan)?;
            kept = true;
        }
        Ok(Self {
            system,
            former,
            first: None,
            kept,
        })
    }

    /// The system itself.
    #[must_use]
    pub fn system(&self) -> &S {
        &self.system
    }

    /// The system itself, without the file: for what writes nothing.
    pub fn only(&mut self) -> &mut S {
        &mut self.system
    }
}

impl<S: System> System for Kept<S> {
    fn current(&mut self) -> Result<Plan, SystemError> {
        let plan = self.system.current()?;
        self.first.get_or_insert_with(|| plan.clone());
        Ok(plan)
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), SystemError> {
        if !self.kept {
            let first = match &self.first {
                Some(first) => first.clone(),
                None => self.system.current()?,
            };
            self.former.keep(&first).map_err(|why| {
                let path = self.former.path.display();
                SystemError::new(format!("cannot keep the former setting at {path}"), why)
            })?;
            self.kept = true;
        }
        self.system.apply(plan)
    }

    fn request(&mut self, wait: Span) -> Result<Answer, SystemError> {
        self.system.request(wait)
    }

    fn resume(&mut self, requests: u64, in_force: &Plan) -> Result<(), SystemError> {
        self.system.resume(requests, in_force)
    }
}
