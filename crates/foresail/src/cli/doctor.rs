//! `foresail doctor`: what works here, and the mend for what does not.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_models::registry::proposer_names;

use crate::config::{Environment, Settings};
use crate::exit::Code;

/// Check this machine and say what to mend
#[derive(Args, Debug)]
pub struct DoctorArgs {}

/// Runs the command.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(_args: &DoctorArgs, out: &mut dyn Write) -> Result<Code> {
    let mut good = true;
    let mut say = |ok: bool, text: String| -> std::io::Result<()> {
        good &= ok;
        writeln!(out, "{:<5}{text}", if ok { "ok" } else { "fail" })
    };
    say(true, format!("foresail {}", env!("CARGO_PKG_VERSION")))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    say(true, format!("{threads} threads"))?;
    say(true, format!("proposers: {}", proposer_names().join(", ")))?;
    say(
        true,
        format!(
            "trace formats: {}",
            foresail_adapters::registry::format_names().join(", ")
        ),
    )?;
    match Settings::load(None, &Environment) {
        Ok(_) => say(true, "settings".to_owned())?,
        Err(error) => say(false, format!("settings: {error:#}"))?,
    }
    let here = tempfile_here();
    match here {
        Ok(()) => say(true, "this folder can be written".to_owned())?,
        Err(error) => say(
            false,
            format!("this folder cannot be written: {error}; pass --out FOLDER"),
        )?,
    }
    Ok(if good { Code::Done } else { Code::No })
}

/// Writes and removes a file here.
fn tempfile_here() -> std::io::Result<()> {
    let path = std::path::PathBuf::from(format!(".foresail-doctor.{}.tmp", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}
