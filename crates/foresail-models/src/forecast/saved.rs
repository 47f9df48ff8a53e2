//! A fitted forecaster as bytes that can run no code, see `envelope.rs`.

use serde::{Deserialize, Serialize};

use super::Forecaster;
use crate::envelope::{self, Broken, NESTED_MAX};
use crate::registry::{FORECASTERS, forecaster_names};

pub use crate::envelope::{BYTES_MAX, VERSION};

/// What the first line says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    model: String,
    /// Length of a step in nanoseconds.
    step: i64,
    /// Time of the first step that was not seen, in nanoseconds.
    next: i64,
}

/// A forecaster read back, and where its series stood.
#[derive(Debug)]
pub struct Saved {
    /// Its name in the registry.
    pub model: &'static str,
    /// Length of a step in nanoseconds.
    pub step: i64,
    /// Time of the first step that was not seen, in nanoseconds.
    pub next: i64,
    /// The forecaster.
    pub forecaster: Box<dyn Forecaster>,
}

/// Why a model file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// Not such a file at all.
    #[error("not a model file of foresail; write one with `foresail forecast fit --out FILE`")]
    Form,
    /// PyTorch's pickle, which can run code.
    #[error(
        "a PyTorch pickle (.pt, .pth) can run code and is not read; save the state dict with safetensors.torch.save_file"
    )]
    Pickle,
    /// Another version of the form.
    #[error("the file has version {found}, this program reads {VERSION}; fit the model again")]
    Version {
        /// What it says.
        found: u32,
    },
    /// Longer than any model.
    #[error("the file has {bytes} bytes, at most {BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Forecasters within forecasters, more than any model has.
    #[error("the file holds more than {NESTED_MAX} models in one another; fit the model again")]
    Nested,
    /// Head or state are not what was written.
    #[error("the file is damaged: its content does not match its hash; fit the model again")]
    Damaged,
    /// A model that is not there.
    #[error("the file holds `{model}`, known are {}", forecaster_names().join(", "))]
    Unknown {
        /// What it says.
        model: String,
    },
    /// The hash is right but the state is not one of this model.
    #[error("the state of {model} is not readable: {why}; fit the model again")]
    State {
        /// Which model.
        model: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl From<Broken> for SavedError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Form => Self::Form,
            Broken::Pickle => Self::Pickle,
            Broken::Version(found) => Self::Version { found },
            Broken::TooLarge(bytes) => Self::TooLarge { bytes },
            Broken::Damaged => Self::Damaged,
            Broken::Nested => Self::Nested,
        }
    }
}

/// The kind of model that the first line names.
const KIND: &str = "forecaster";

/// How every model file begins, whichever its version.
#[must_use]
pub fn begins() -> String {
    format!("{{\"foresail\":\"{KIND}\",")
}

/// The bytes of a fitted forecaster.
///
/// Units: `step` and `next` in nanoseconds.
#[must_use]
pub fn write(model: &str, forecaster: &dyn Forecaster, step: i64, next: i64) -> Vec<u8> {
    let state = forecaster.save();
    let head = Head {
        model: model.to_owned(),
        step,
        next,
    };
    envelope::seal(KIND, &head, &state)
}

/// Reads what [`write()`] gave.
///
/// # Errors
/// [`SavedError`] where it is something else, damaged, too large or of another version.
pub fn read(bytes: &[u8]) -> Result<Saved, SavedError> {
    let (head, state): (Head, _) = envelope::open(KIND, bytes)?;
    let entry = FORECASTERS.iter().find(|e| e.name == head.model);
    let entry = entry.ok_or(SavedError::Unknown { model: head.model })?;
    let forecaster = (entry.restore)(state).map_err(|why| SavedError::State {
        model: entry.name,
        why,
    })?;
    Ok(Saved {
        model: entry.name,
        step: head.step,
        next: head.next,
        forecaster,
    })
}
