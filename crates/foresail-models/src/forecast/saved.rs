//! A fitted forecaster as bytes that can run no code: a line of JSON, then the model's own state.
//!
//! The line names the model, the version of the form and the hash of what follows, so that a
//! damaged file and one of another version are told apart and refused whole.

use serde::{Deserialize, Serialize};

use super::Forecaster;
use crate::registry::{FORECASTERS, forecaster_names};

/// Version of the form; a file of another one is refused.
pub const VERSION: u32 = 1;

/// The most bytes of a model file.
pub const BYTES_MAX: usize = 64 << 20;

/// The most forecasters within one file: those of an ensemble with what they stand on.
///
/// A file made to hold one in another without end would exhaust the stack.
const NESTED_MAX: usize = 64;

/// How every first line begins.
const BEGIN: &[u8] = br#"{"foresail":"forecaster","v":"#;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    /// Always `forecaster`.
    foresail: String,
    v: u32,
    model: String,
    /// Length of a step in nanoseconds.
    step: i64,
    /// Time of the first step that was not seen, in nanoseconds.
    next: i64,
    /// blake3 of the state, in hexadecimal.
    hash: String,
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
    #[error(
        "the file holds more than {NESTED_MAX} forecasters in one another; fit the model again"
    )]
    Nested,
    /// The state is not what was written.
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

/// The bytes of a fitted forecaster.
///
/// Units: `step` and `next` in nanoseconds.
#[must_use]
pub fn write(model: &str, forecaster: &dyn Forecaster, step: i64, next: i64) -> Vec<u8> {
    let state = forecaster.save();
    let head = Head {
        foresail: "forecaster".to_owned(),
        v: VERSION,
        model: model.to_owned(),
        step,
        next,
        hash: blake3::hash(&state).to_hex().to_string(),
    };
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend(state);
    bytes
}

/// Reads what [`write()`] gave.
///
/// # Errors
/// [`SavedError`] where it is something else, damaged, too large or of another version.
pub fn read(bytes: &[u8]) -> Result<Saved, SavedError> {
    if bytes.len() > BYTES_MAX {
        return Err(SavedError::TooLarge { bytes: bytes.len() });
    }
    // A zip archive or a bare pickle: the two forms of torch.save.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        return Err(SavedError::Pickle);
    }
    let end = bytes.iter().position(|b| *b == b'\n');
    let end = end.ok_or(SavedError::Form)?;
    let head: serde_json::Value =
        serde_json::from_slice(&bytes[..end]).map_err(|_| SavedError::Form)?;
    let version = head.get("v").and_then(serde_json::Value::as_u64);
    match version.and_then(|v| u32::try_from(v).ok()) {
        Some(VERSION) => {}
        Some(found) if head.get("foresail").is_some() => {
            return Err(SavedError::Version { found });
        }
        _ => return Err(SavedError::Form),
    }
    let head: Head = serde_json::from_value(head).map_err(|_| SavedError::Form)?;
    // Written by hand in another way it could hide from the count.
    if serde_json::to_vec(&head).ok().as_deref() != Some(&bytes[..end]) {
        return Err(SavedError::Form);
    }
    let heads = bytes.windows(BEGIN.len()).filter(|w| *w == BEGIN);
    if heads.count() > NESTED_MAX {
        return Err(SavedError::Nested);
    }
    let state = &bytes[end + 1..];
    if blake3::hash(state).to_hex().as_str() != head.hash {
        return Err(SavedError::Damaged);
    }
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
