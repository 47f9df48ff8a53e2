//! `foresail config view`: every setting, and where it comes from.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::config::{Environment, KEYS, Settings};
use crate::exit::Code;

/// Show the settings
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Print every setting with its value
    View {
        /// Also say where each value comes from
        #[arg(long)]
        origin: bool,
        /// Settings file [default: ./foresail.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// Where a setting is unknown or wrong.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> Result<Code> {
    let What::View { origin, config } = &args.what;
    let settings = Settings::load(config.as_deref(), &Environment)?;
    for (name, value, from) in settings.iter() {
        let doc = KEYS.iter().find(|k| k.name == name).map_or("", |k| k.doc);
        let from = if *origin {
            format!("  ({from})")
        } else {
            String::new()
        };
        writeln!(out, "{name:<24} {value:<18}{from}  # {doc}")?;
    }
    Ok(Code::Done)
}
