//! `foresail report`: the report of a results folder, built anew.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::compare::files;
use crate::exit::Code;

/// Rebuild the report from a results folder
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A results folder of `foresail compare`
    folder: PathBuf,
    /// Where the report goes; the folder itself where absent
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Where the folder holds no results, or the report cannot be written.
pub fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<Code> {
    let report = files::read_model(&args.folder)?;
    let path = args.folder.join(files::TICKS);
    let ticks = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let target = args.out.as_ref().unwrap_or(&args.folder);
    files::write(&report, &ticks, target)?;
    writeln!(out, "report: {}", target.join("index.html").display())?;
    Ok(Code::Done)
}
