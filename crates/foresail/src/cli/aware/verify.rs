//! `foresail aware verify`: the checks of the replication's `verify_aware.py`, and those that it lacks.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_models::rng::Seed;
use serde_json::json;

use crate::aware::verify::{Check, checks};
use crate::cli::{Output, print_csv, print_table, whole};
use crate::exit::Code;

/// Flags of `aware verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where a check cannot be made.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let checks = checks(Seed(args.seed))?;
    let passed = checks.iter().filter(|c| c.holds).count();
    let word = |c: &Check| if c.holds { "ok" } else { "FAILED" };
    let cells = |c: &Check| vec![word(c).to_owned(), c.name.to_owned(), c.found.clone()];
    let rows: Vec<Vec<String>> = checks.iter().map(cells).collect();
    let columns = ["result", "check", "found"];
    match output {
        Output::Table => {
            print_table(&columns, rows, out)?;
            writeln!(out, "{passed} of {} checks hold", checks.len())?;
        }
        Output::Csv => print_csv(&columns, &rows, out)?,
        Output::Json => {
            let one = |c: &Check| json!({"check": c.name, "holds": c.holds, "found": c.found});
            let all: Vec<_> = checks.iter().map(one).collect();
            writeln!(out, "{}", json!({"v": 1, "checks": all}))?;
        }
    }
    Ok(if passed == checks.len() {
        Code::Done
    } else {
        Code::No
    })
}
