//! `foresail doctor`: what works here, and the mend for what does not.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_models::registry::proposer_names;
use serde_json::json;

use crate::cli::{Output, print_csv};
use crate::config::{Environment, Settings};
use crate::exit::Code;

/// Check this machine and say what to mend
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(args: &DoctorArgs, out: &mut dyn Write) -> Result<Code> {
    let checks = checks();
    let good = checks.iter().all(|(ok, _)| *ok);
    // Settings that are wrong are one of the findings, not the end of the command.
    match Output::here(args.output).unwrap_or(Output::Table) {
        Output::Table => {
            for (ok, text) in &checks {
                writeln!(out, "{:<5}{text}", if *ok { "ok" } else { "fail" })?;
            }
        }
        Output::Json => {
            let one = |(ok, text): &(bool, String)| json!({"ok": ok, "text": text});
            let all: Vec<_> = checks.iter().map(one).collect();
            writeln!(out, "{}", json!({"v": 1, "ok": good, "checks": all}))?;
        }
        Output::Csv => {
            let one = |(ok, text): &(bool, String)| vec![ok.to_string(), text.clone()];
            let rows: Vec<_> = checks.iter().map(one).collect();
            print_csv(&["ok", "text"], &rows, out)?;
        }
    }
    Ok(if good { Code::Done } else { Code::No })
}

/// What was looked at, and whether it is well.
fn checks() -> Vec<(bool, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let formats = foresail_adapters::registry::format_names().join(", ");
    vec![
        (true, format!("foresail {}", env!("CARGO_PKG_VERSION"))),
        (true, format!("{threads} threads")),
        (true, format!("proposers: {}", proposer_names().join(", "))),
        (true, format!("trace formats: {formats}")),
        match Settings::load(None, &Environment) {
            Ok(_) => (true, "settings".to_owned()),
            Err(error) => (false, format!("settings: {error:#}")),
        },
        match tempfile_here() {
            Ok(()) => (true, "this folder can be written".to_owned()),
            Err(error) => (
                false,
                format!("this folder cannot be written: {error}; pass --out FOLDER"),
            ),
        },
    ]
}

/// Writes and removes a file here.
fn tempfile_here() -> std::io::Result<()> {
    let path = std::path::PathBuf::from(format!(".foresail-doctor.{}.tmp", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}
