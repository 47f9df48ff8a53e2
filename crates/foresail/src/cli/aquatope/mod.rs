//! `foresail aquatope`: the nets of AQUATOPE's pools, trained on functions of a trace.

mod data;
mod dataset;
mod tell;
mod train;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::exit::Code;

/// Train AQUATOPE's nets: pools of containers from a forecast that knows how sure it is
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
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &AquatopeArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::TrainEncoder(args) => train::encoder(args, out),
        What::TrainPredictor(args) => train::head(args, out),
    }
}
