//! AQUATOPE's nets: how many containers a function needs at its peak in the next step, and how sure.
//!
//! An encoder reads the last steps of a function and the time of day and week, and is trained with a
//! decoder that tells the steps ahead (`encoder_decoder`). Its weights then stay, and a small net
//! behind it (`head`, the published prediction network) tells the next step. Passes with dropout left
//! on give mean and variance; the errors of the validation part give what no pass knows of (`spread`).
//! One net serves many functions: each is seen relative to its own mean and deviation.
//! Source: Zhou, Zhang & Delimitrou, AQUATOPE, ASPLOS 2023, and its published code. What the published
//! code does otherwise: dropout also stands on the output of one-unit layers ([`Shape::Published`]),
//! so that a quarter of all passes sees nothing at all.

pub mod encoder_decoder;
pub mod head;
mod learn;
pub mod peaks;
mod saved;
mod serve;
mod spread;
mod time;
pub mod train;
mod windows;

use foresail_core::observe::VALUE_MAX;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use serde::{Deserialize, Serialize};

pub use learn::Epoch;
pub use saved::{BYTES_MAX, FileError, Trained, restore_encoder, restore_net};
pub use serve::{Ask, AskError, PASSES, PoolNet, Told};
pub use spread::Spread;
pub use time::{FEATURES, features};
pub use windows::{Known, Scale};

/// What the net sees of a step: its value and four numbers of its time.
pub const INPUTS: usize = 1 + FEATURES;

/// Windows of the validation and of the test part of each function, at least: fewer say nothing of
/// errors.
pub const WINDOWS_MIN: usize = 20;

/// Windows that are learnt from where nothing else is said; their latents take 192 MiB at 48 steps.
pub const WINDOWS_MAX: usize = 1 << 20;

/// Where dropout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// On the output of every recurrent layer, as in the published code. The last layer of the
    /// encoder has one unit: at a rate of .25 a quarter of the passes sees no latent at all.
    Published,
    /// Not on outputs of one channel.
    Sound,
}

/// How a net is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Training {
    /// Where dropout stands.
    pub shape: Shape,
    /// Steps that the net reads.
    pub window: usize,
    /// Steps ahead that it tells.
    pub reach: usize,
    /// Passes over the windows.
    pub epochs: usize,
    /// Windows of one step of Adam.
    pub batch: usize,
    /// Learning rate of Adam.
    pub rate: f64,
    /// Share of numbers that dropout leaves out.
    pub dropout: f64,
    /// Epochs without a better validation after which training ends; 0 = never. The weights are those
    /// of the best epoch either way.
    pub patience: usize,
    /// Windows that are learnt from at most; of more, every k-th is taken.
    pub windows_max: usize,
}

impl Training {
    /// The documented defaults of the encoder-decoder, in the sound shape.
    #[must_use]
    pub fn encoder() -> Self {
        Self {
            shape: Shape::Sound,
            window: 48,
            reach: 12,
            epochs: 128,
            batch: 128,
            rate: 1e-4,
            dropout: 0.25,
            patience: 0,
            windows_max: WINDOWS_MAX,
        }
    }

    /// The documented defaults of the prediction network.
    #[must_use]
    pub fn head() -> Self {
        Self {
            reach: 1,
            rate: 1e-3,
            ..Self::encoder()
        }
    }

    /// Bounds of every setting, wherever it comes from.
    ///
    /// # Errors
    /// [`PoolNetError::Setting`] for the first that is out of them.
    pub fn check(&self) -> Result<(), PoolNetError> {
        let within = |what: &str, value: usize, least: usize, most: usize| {
            let fine = (least..=most).contains(&value);
            let must = || format!("must be {least} to {most}");
            fine.then_some(())
                .ok_or_else(|| setting(format!("{what} {value}"), must()))
        };
        within("input steps", self.window, 2, 1440)?;
        within("output steps", self.reach, 1, self.window)?;
        within("epochs", self.epochs, 1, 100_000)?;
        within("batch", self.batch, 1, 65_536)?;
        within("windows", self.windows_max, 1, 1 << 24)?;
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            let must = "must be above 0 and at most 1".to_owned();
            return Err(setting(format!("learning rate {}", self.rate), must));
        }
        check_share(self.dropout)
    }

    /// Steps of a function without which a part would have fewer than [`WINDOWS_MIN`] windows.
    #[must_use]
    pub fn needed(&self) -> usize {
        10 * (self.window + self.reach + WINDOWS_MIN - 1)
    }
}

fn setting(what: String, must: String) -> PoolNetError {
    PoolNetError::Setting { what, must }
}

fn check_share(dropout: f64) -> Result<(), PoolNetError> {
    let must = || "must be 0 to below 1".to_owned();
    (0.0..1.0)
        .contains(&dropout)
        .then_some(())
        .ok_or_else(|| setting(format!("dropout {dropout}"), must()))
}

/// One function: its peak of containers in use at once, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSeries {
    /// Its name; unique among those that are trained together.
    pub id: String,
    /// Units: containers. A gap is missing, never zero.
    pub peaks: Series,
}

/// Why no net could be trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolNetError {
    /// A setting that no net has.
    #[error("{what}: {must}")]
    Setting {
        /// Which one, and its value.
        what: String,
        /// What it must be.
        must: String,
    },
    /// Nothing to learn from.
    #[error("no function was given; name one at least")]
    NoSeries,
    /// The same name twice.
    #[error("{id} was given twice; name each function once")]
    Twice {
        /// Which name.
        id: String,
    },
    /// Too short a history.
    #[error(
        "{id}: {needed} steps are needed, so that its last tenth has {WINDOWS_MIN} windows; {found} are there; give a longer history or fewer input and output steps"
    )]
    TooShort {
        /// Which function.
        id: String,
        /// Steps without which nothing is trained.
        needed: usize,
        /// Steps that are there.
        found: usize,
    },
    /// A part in which every window has a gap.
    #[error(
        "{id}: the {part} part has no window without a gap; give a history with fewer missing steps"
    )]
    OnlyGaps {
        /// Which function.
        id: String,
        /// Which part of its history.
        part: &'static str,
    },
    /// Steps of another length.
    #[error(
        "{id} has steps of {step}, the others of {others}; train functions of one step together"
    )]
    Steps {
        /// Which function.
        id: String,
        /// Its step.
        step: Span,
        /// That of the others.
        others: Span,
    },
    /// A value that no number of containers is.
    #[error("{id}: step {step} has the value {value:e}; containers are 0 to {VALUE_MAX:e}")]
    Value {
        /// Which function.
        id: String,
        /// Its step, counted from 1.
        step: usize,
        /// What stands there.
        value: f64,
    },
    /// The encoder is of another form than what it is to serve.
    #[error("{what}; train the encoder with the same settings")]
    Encoder {
        /// What differs.
        what: String,
    },
    /// The numbers ran out of range.
    #[error("the training did not end in finite numbers; lower the learning rate")]
    NotFinite,
}

#[cfg(test)]
mod tests;
