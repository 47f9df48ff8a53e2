//! `foresail replay`: a flight record again, compared byte for byte.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::exit::Code;
use crate::record::{Reader, Replayed, replay};

/// Replay a flight record; prints `identical` or the first difference
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The record, as --record wrote it
    record: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Where the record cannot be read or is not whole.
pub fn run(args: &ReplayArgs, out: &mut dyn Write) -> Result<Code> {
    match replay(Reader::open(&args.record)?)? {
        Replayed::Identical { ticks } => {
            writeln!(out, "identical")?;
            eprintln!("{ticks} ticks");
            Ok(Code::Done)
        }
        Replayed::Differs {
            line,
            recorded,
            replayed,
        } => {
            writeln!(
                out,
                "differs at line {line}\nrecorded {recorded}\nreplayed {replayed}"
            )?;
            Ok(Code::No)
        }
    }
}
