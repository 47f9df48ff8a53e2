//! `foresail config view`: every setting, and where it comes from.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{Output, print_csv};
use crate::config::{Environment, KEYS, Origin, Settings};
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
        /// How they are printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
}

/// Runs the command.
///
/// # Errors
/// Where a setting is unknown or wrong.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> Result<Code> {
    let What::View {
        origin,
        config,
        output,
    } = &args.what;
    let settings = Settings::load(config.as_deref(), &Environment)?;
    let doc = |name: &str| KEYS.iter().find(|k| k.name == name).map_or("", |k| k.doc);
    match Output::of(*output, &settings)? {
        Output::Table => {
            for (name, value, from) in settings.iter() {
                let from = if *origin {
                    format!("  ({from})")
                } else {
                    String::new()
                };
                writeln!(out, "{name:<24} {value:<18}{from}  # {}", doc(name))?;
            }
        }
        Output::Json => {
            let one = |(name, value, from): (&str, &str, &Origin)| json!({"name": name, "value": value, "origin": from.to_string(), "doc": doc(name)});
            let all: Vec<_> = settings.iter().map(one).collect();
            writeln!(out, "{}", json!({"v": 1, "settings": all}))?;
        }
        Output::Csv => {
            let row = |(name, value, from): (&str, &str, &Origin)| {
                [name, value, &from.to_string(), doc(name)].map(str::to_owned)
            };
            let rows: Vec<_> = settings.iter().map(row).map(Vec::from).collect();
            print_csv(&["name", "value", "origin", "doc"], &rows, out)?;
        }
    }
    Ok(Code::Done)
}
