//! `foresail aquatope`: the nets of AQUATOPE's pools, the pools themselves, and activation records.

mod activations;
mod data;
mod dataset;
mod schedule;
mod tell;
mod train;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::exit::Code;

/// AQUATOPE: pools of containers from a forecast that knows how sure it is
#[derive(Args, Debug)]
pub struct AquatopeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Train the encoder-decoder that finds what matters in the last steps of a function
    TrainEncoder(Box<train::EncoderArgs>),
    /// Train the network behind the encoder that tells the containers of the next step
    TrainPredictor(Box<train::HeadArgs>),
    /// Pools of functions, decided minute by minute, and what they are worth beside keep-alives
    Schedule(Box<schedule::ScheduleArgs>),
    /// OpenWhisk's activation records as a table: cold start, execution, storage, CPU time
    Activations(activations::ActivationsArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &AquatopeArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::TrainEncoder(args) => train::encoder(args, out),
        What::TrainPredictor(args) => train::head(args, out),
        What::Schedule(args) => schedule::run(args, out),
        What::Activations(args) => activations::run(args, out),
    }
}
