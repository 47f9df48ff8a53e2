//! The command line: one file per command, one line per command below.
//!
//! Data goes to stdout, everything else to stderr.

pub mod compare;
pub mod conformance;
pub mod progress;

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::exit::Code;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

impl Output {
    /// The flag's, else the setting's.
    ///
    /// # Errors
    /// Where the setting is none of them.
    pub fn of(flag: Option<Self>, settings: &crate::config::Settings) -> Result<Self> {
        let text = settings.text("output.format");
        match flag {
            Some(output) => Ok(output),
            None => Self::from_str(text, true).map_err(|e| anyhow::anyhow!("output.format: {e}")),
        }
    }
}

/// An autoscaler that forecasts demand, knows how sure it is, and can always say why
#[derive(Parser, Debug)]
#[command(
    name = "foresail",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run every policy on a workload and write one report
    Compare(Box<compare::CompareArgs>),
    /// Compare decisions with those of Kubernetes' own controller
    Conformance(conformance::ConformanceArgs),
}

/// Runs a command; data goes to `out`.
///
/// # Errors
/// Whatever the command could not do, with the mend.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<Code> {
    match cli.command {
        Command::Compare(args) => compare::run(*args, out),
        Command::Conformance(args) => conformance::run(&args, out),
    }
}
