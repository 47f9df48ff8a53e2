//! `foresail experiment report`: tables and pictures of runs that are there.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::cli::Output;
use crate::exit::Code;
use crate::experiment::{read, report};
use crate::study::report as page;

/// Tables and pictures of CSV files, also of those that the published experiment wrote
#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    /// CSV files of the experiment, or folders that hold them
    #[arg(required = true, value_name = "FOLDER|CSV")]
    places: Vec<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "FOLDER", default_value = "experiment-report")]
    out: PathBuf,
    /// How the tables are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where a file cannot be read or is none of the experiment, or the report not be written.
pub(super) fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let made = made(&read::files(&args.places)?, &args.out)?;
    let folder = page::begin(&args.out)?;
    page::print(&made, output, out)?;
    page::write(folder, made)?;
    eprintln!("report: {}", args.out.join("index.html").display());
    Ok(Code::Done)
}

/// Writes the report of some files into a folder.
///
/// # Errors
/// As [`run`].
pub(super) fn write(files: &[PathBuf], out: &Path) -> Result<()> {
    let folder = page::begin(out)?;
    page::write(folder, made(files, out)?)
}

fn made(files: &[PathBuf], out: &Path) -> Result<page::Report> {
    let runs = files
        .iter()
        .map(|f| read::run(f))
        .collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let command = format!(
        "foresail experiment report {} --out {}",
        names.join(" "),
        out.display()
    );
    report::report(&runs, command)
}
