//! `foresail aquatope train-encoder` and `train-predictor`: every flag of the published scripts, with
//! its documented default.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::atomic::write_file;
use foresail_models::forecast::pool_net::{
    BYTES_MAX, Epoch, PoolNetError, Shape, Trained, Training, WINDOWS_MAX, restore_encoder, train,
};
use foresail_models::rng::Seed;

use super::data::Functions;
use super::tell;
use crate::cli::progress::{Bar, counted};
use crate::cli::{Output, whole};
use crate::exit::{Code, Coded};
use crate::forecast::stored::{self, refuse_pickle};

/// Files of a training, in its folder.
const ENCODER: &str = "lstm_encoder_decoder.safetensors";
const HEAD: &str = "predict.safetensors";

/// Where dropout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShapeArg {
    /// Also on outputs of one channel, as published
    Published,
    /// Not on outputs of one channel
    Sound,
}

impl From<ShapeArg> for Shape {
    fn from(shape: ShapeArg) -> Self {
        match shape {
            ShapeArg::Published => Self::Published,
            ShapeArg::Sound => Self::Sound,
        }
    }
}

/// What both trainings share.
#[derive(Args, Debug)]
struct Common {
    /// Steps that the net reads
    #[arg(long, value_name = "N", default_value_t = 48)]
    n_input_steps: usize,
    /// Passes over the windows
    #[arg(long, value_name = "N", default_value_t = 128)]
    num_epochs: usize,
    /// Windows of one step of Adam
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    /// Epochs without a better validation after which training ends; 0 = never
    #[arg(long, value_name = "N", default_value_t = 0)]
    patience: usize,
    /// Windows that are learnt from at most, every k-th of more
    #[arg(long, value_name = "N", default_value_t = WINDOWS_MAX)]
    windows_max: usize,
    #[command(flatten)]
    functions: Functions,
    /// Folder of the two model files
    #[arg(long, value_name = "FOLDER", default_value = "model_artifacts")]
    out: PathBuf,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How it is told [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Flags of `aquatope train-encoder`.
#[derive(Args, Debug)]
pub(super) struct EncoderArgs {
    #[command(flatten)]
    common: Common,
    /// Steps ahead that the decoder tells
    #[arg(long, value_name = "N", default_value_t = 12)]
    n_output_steps: usize,
    /// Learning rate of Adam
    #[arg(long, value_name = "RATE", default_value_t = 1e-4)]
    learning_rate: f64,
    /// Share of channels that dropout leaves out
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    variational_dropout_p: f64,
    /// Where dropout stands
    #[arg(long, value_enum, default_value = "sound")]
    shape: ShapeArg,
}

/// Flags of `aquatope train-predictor`.
#[derive(Args, Debug)]
pub(super) struct HeadArgs {
    #[command(flatten)]
    common: Common,
    /// Steps ahead that the network tells
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_output_steps: usize,
    /// Learning rate of Adam
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f64,
    /// Share of numbers that dropout leaves out
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    dropout_p: f64,
    /// Where dropout stands; must be as in the encoder [default: as in the encoder]
    #[arg(long, value_enum)]
    shape: Option<ShapeArg>,
    /// The trained encoder [default: lstm_encoder_decoder.safetensors in the folder of --out]
    #[arg(long, value_name = "FILE")]
    encoder: Option<PathBuf>,
}

impl Common {
    fn training(&self, shape: Shape, reach: usize, rate: f64, dropout: f64) -> Result<Training> {
        let training = Training {
            shape,
            window: self.n_input_steps,
            reach,
            epochs: self.num_epochs,
            batch: self.batch_size,
            rate,
            dropout,
            patience: self.patience,
            windows_max: self.windows_max,
        };
        training.check()?;
        Ok(training)
    }

    /// Makes the folder before anything long is begun.
    fn place(&self, name: &str) -> Result<PathBuf> {
        let folder = &self.out;
        let cannot = || format!("{}: give another folder with --out", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        Ok(folder.join(name))
    }

    fn bar(&self) -> Bar {
        counted(self.num_epochs as u64, "Training", "epochs")
    }
}

/// Says how far a training is.
fn watch(bar: &Bar, epoch: &Epoch) {
    bar.step(&format!(
        "loss {:.4}, validation {:.4}",
        epoch.training, epoch.validation
    ));
}

/// A history that is too short has an exit code of its own.
fn failed(error: PoolNetError) -> anyhow::Error {
    match error {
        PoolNetError::TooShort { .. } | PoolNetError::OnlyGaps { .. } => Coded {
            code: Code::TooLittleData,
            message: error.to_string(),
        }
        .into(),
        _ => error.into(),
    }
}

/// Runs `aquatope train-encoder`.
///
/// # Errors
/// Where a function cannot be read, is too short, or the file not be written.
pub(super) fn encoder(args: &EncoderArgs, out: &mut dyn Write) -> Result<Code> {
    let common = &args.common;
    let output = Output::here(common.output)?;
    let (reach, rate) = (args.n_output_steps, args.learning_rate);
    let training = common.training(args.shape.into(), reach, rate, args.variational_dropout_p)?;
    let path = common.place(ENCODER)?;
    let series = common.functions.read(common.seed)?;
    let bar = common.bar();
    let trained = train::encoder(&series, &training, Seed(common.seed), &mut |epoch| {
        watch(&bar, epoch);
    });
    bar.finish();
    let trained = trained.map_err(failed)?;
    write(&path, &trained.save())?;
    tell::encoder(&trained, &path, output, out)?;
    Ok(Code::Done)
}

/// Runs `aquatope train-predictor`.
///
/// # Errors
/// Where the encoder or a function cannot be read, one is too short, or the file not be written.
pub(super) fn head(args: &HeadArgs, out: &mut dyn Write) -> Result<Code> {
    let common = &args.common;
    let output = Output::here(common.output)?;
    let encoder = match &args.encoder {
        Some(file) => file.clone(),
        None => common.out.join(ENCODER),
    };
    let encoder = read_encoder(&encoder)?;
    let shape = args.shape.map_or(encoder.training().shape, Shape::from);
    let (reach, rate) = (args.n_output_steps, args.learning_rate);
    let training = common.training(shape, reach, rate, args.dropout_p)?;
    let path = common.place(HEAD)?;
    let series = common.functions.read(common.seed)?;
    let bar = common.bar();
    let seed = Seed(common.seed);
    let net = train::head(&encoder, &series, &training, seed, &mut |epoch| {
        watch(&bar, epoch);
    });
    bar.finish();
    let net = net.map_err(failed)?;
    write(&path, &net.save())?;
    tell::head(&net, &path, output, out)?;
    Ok(Code::Done)
}

/// Reads the encoder that a network is put behind.
fn read_encoder(path: &Path) -> Result<Trained> {
    refuse_pickle(path)?;
    let name = || path.display().to_string();
    if !path.exists() {
        bail!(
            "{}: there is no trained encoder; run `foresail aquatope train-encoder` first, or name its file with --encoder",
            name()
        );
    }
    let bytes = stored::bytes(path, BYTES_MAX)?;
    restore_encoder(&bytes).with_context(name)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(write_file(path, |w| w.write_all(bytes))?)
}
