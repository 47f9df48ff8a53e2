//! The two files of a training: weights by PyTorch's names, everything else as text beside them.
//!
//! Safetensors hold numbers and nothing that could run; every count is checked before anything of its
//! size is made.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Span;
use foresail_nn::lstm::stack::Stack;
use foresail_nn::safetensors::{self, SafetensorsError};
use foresail_nn::{Layer, Parameter, named};
use serde::{Deserialize, Serialize};

use super::encoder_decoder::{self, EncoderDecoder};
use super::head::Head;
use super::serve::{Own, PoolNet};
use super::train::Report;
use super::windows::Known;
use super::{PoolNetError, Training, check_share};
use crate::rng::{Seed, child};

/// The most bytes of a file.
pub const BYTES_MAX: usize = safetensors::BYTES_MAX;

/// Key of the settings in a file.
const STATE: &str = "foresail";

/// Names of the two kinds of file.
const KINDS: [&str; 2] = ["encoder-decoder", "prediction network"];

/// The most functions that a file names: its header has room for so many.
const KNOWN_MAX: usize = 4096;

/// The longest name of a function, in bytes.
const NAME_MAX: usize = 1024;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Not such a file, or weights of another net.
    #[error(transparent)]
    Tensors(#[from] SafetensorsError),
    /// Weights without their settings, or with others.
    #[error("its settings are damaged: {0}; train it again")]
    Settings(String),
    /// The other of the two files.
    #[error("this is the file of another net ({found}), that of the {needed} is needed")]
    Kind {
        /// What it is.
        found: String,
        /// What it should be.
        needed: &'static str,
    },
}

/// A trained encoder-decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub(super) training: Training,
    pub(super) step: Span,
    pub(super) known: Vec<Known>,
    pub(super) report: Report,
    pub(super) net: EncoderDecoder,
}

/// All but its weights.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State<T> {
    kind: String,
    v: u32,
    own: T,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EncoderOwn {
    training: Training,
    /// Units: nanoseconds.
    step: i64,
    known: Vec<Known>,
    report: Report,
}

impl Trained {
    /// How it was trained.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// What came of its training.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The functions that it has learnt from, with their scales.
    #[must_use]
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// How many numbers it has learnt.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.net.count()
    }

    /// The net itself.
    #[must_use]
    pub fn net(&self) -> &EncoderDecoder {
        &self.net
    }

    /// The file `lstm_encoder_decoder.safetensors`.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let own = EncoderOwn {
            training: self.training,
            step: self.step.nanos(),
            known: self.known.clone(),
            report: self.report.clone(),
        };
        safetensors::write(&self.net, &texts(KINDS[0], &own))
    }
}

fn texts(kind: &str, own: &impl Serialize) -> BTreeMap<String, String> {
    let state = State {
        kind: kind.to_owned(),
        v: 1,
        own,
    };
    let text = serde_json::to_string(&state).unwrap_or_default();
    BTreeMap::from([(STATE.to_owned(), text)])
}

/// Reads the settings of one kind of file.
fn own<T: for<'a> Deserialize<'a>>(
    file: &safetensors::File,
    kind: &'static str,
) -> Result<T, FileError> {
    let damaged = |why: String| FileError::Settings(why);
    let text = file.metadata.get(STATE);
    let text = text.ok_or_else(|| damaged("it has none".to_owned()))?;
    let state: State<serde_json::Value> =
        serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if state.kind != kind {
        let found = state.kind.chars().take(40).collect();
        let needed = kind;
        return Err(FileError::Kind { found, needed });
    }
    if state.v != 1 {
        return Err(damaged(format!("version {}, this is 1", state.v)));
    }
    serde_json::from_value(state.own).map_err(|e| damaged(e.to_string()))
}

/// Checks what every file has, whoever wrote it.
fn check(
    training: &Training,
    step: i64,
    known: &[Known],
    report: &Report,
) -> Result<(), FileError> {
    let damaged = |why: &str| Err(FileError::Settings(why.to_owned()));
    training.check()?;
    if step <= 0 {
        return damaged("its steps have no length");
    }
    let named = |k: &Known| k.id.len() <= NAME_MAX && k.scale.is_sound();
    if known.len() > KNOWN_MAX || !known.iter().all(named) {
        return damaged("its functions have no sound names and scales");
    }
    let losses = [
        report.best.training,
        report.best.validation,
        report.test,
        report.persistence,
    ];
    if !losses.iter().all(|l| *l >= 0.0 && l.is_finite()) {
        return damaged("its losses are not finite");
    }
    Ok(())
}

impl From<PoolNetError> for FileError {
    fn from(error: PoolNetError) -> Self {
        Self::Settings(error.to_string())
    }
}

/// Reads what [`Trained::save`] gave.
///
/// # Errors
/// [`FileError`] for a file that is damaged, of another kind or net, or out of bounds.
pub fn restore_encoder(bytes: &[u8]) -> Result<Trained, FileError> {
    let file = safetensors::read(bytes)?;
    let own: EncoderOwn = own(&file, KINDS[0])?;
    check(&own.training, own.step, &own.known, &own.report)?;
    let mut net = EncoderDecoder::new(&own.training, &mut child(Seed(0), "pool net restored"));
    safetensors::load(&mut net, &file)?;
    Ok(Trained {
        training: own.training,
        step: Span::from_nanos(own.step),
        known: own.known,
        report: own.report,
        net,
    })
}

/// Reads what [`PoolNet::save`] gave.
///
/// # Errors
/// [`FileError`] for a file that is damaged, of another kind or net, or out of bounds.
pub fn restore_net(bytes: &[u8]) -> Result<PoolNet, FileError> {
    let file = safetensors::read(bytes)?;
    let own: Own = own(&file, KINDS[1])?;
    check(&own.training, own.step, &own.known, &own.report)?;
    check_share(own.encoder_dropout)?;
    let sound = own.spreads.len() == own.training.reach;
    if !(sound && own.spreads.iter().all(super::Spread::is_sound)) {
        let why = "its spreads do not fit its steps ahead".to_owned();
        return Err(FileError::Settings(why));
    }
    let mut stream = child(Seed(0), "pool net restored");
    let mut weights = Weights {
        encoder: encoder_decoder::encoder(&mut stream),
        head: Head::new(&own.training, &mut stream),
    };
    safetensors::load(&mut weights, &file)?;
    Ok(PoolNet {
        encoder: weights.encoder,
        head: weights.head,
        own,
    })
}

impl PoolNet {
    /// The file `predict.safetensors`: all that serving needs, the encoder included.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let weights = Weights {
            encoder: self.encoder.clone(),
            head: self.head.clone(),
        };
        safetensors::write(&weights, &texts(KINDS[1], &self.own))
    }
}

/// Both nets under the names of the published module.
struct Weights {
    encoder: Stack,
    head: Head,
}

impl Layer for Weights {
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut all = named("encoder.model", self.encoder.parameters());
        all.extend(self.head.parameters());
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter)> {
        let mut all = named("encoder.model", self.encoder.parameters_mut());
        all.extend(self.head.parameters_mut());
        all
    }
}
