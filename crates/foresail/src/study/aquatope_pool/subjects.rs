//! Whose calls: generated functions under several seeds, or those of a trace.

use std::ffi::OsString;

use anyhow::{Context, Result};
use clap::{Args, Command, FromArgMatches};
use foresail_models::rng::Seed;
use foresail_sim::function::{Function, Platform};
use foresail_sim::workload::population::Population;

use super::{FUNCTIONS, Flags};
use crate::compare::function_mode::{FunctionArgs, functions_of};
use crate::compare::{Options, RunArgs};

/// Functions that share a platform, and the seed of their run.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) seed: Seed,
    pub(super) functions: Vec<Function>,
    pub(super) platform: Platform,
}

/// Every subject of the study.
///
/// # Errors
/// Where a trace cannot be read.
pub(super) fn all(flags: &Flags) -> Result<Vec<Subject>> {
    if flags.trace.is_some() {
        return Ok(vec![of_trace(flags)?]);
    }
    let functions = usize::try_from(flags.functions.unwrap_or(FUNCTIONS))?;
    let days = u32::try_from(flags.days).context("too many days")?;
    let one = |i: u64| {
        let seed = Seed(flags.seed.wrapping_add(i));
        Subject {
            name: format!("seed {}", seed.0),
            seed,
            functions: Population { functions, days }.functions(seed),
            platform: Platform::default(),
        }
    };
    Ok((0..flags.seeds).map(one).collect())
}

/// The functions of a trace as `compare --mode function` reads them.
fn of_trace(flags: &Flags) -> Result<Subject> {
    let mut words: Vec<OsString> = ["compare", "--mode", "function"]
        .map(OsString::from)
        .to_vec();
    let files = [
        ("--trace", &flags.trace),
        ("--durations", &flags.durations),
        ("--memory", &flags.memory),
    ];
    for (name, path) in files {
        if let Some(path) = path {
            words.extend([OsString::from(name), path.clone().into_os_string()]);
        }
    }
    words.extend(["--seed".into(), flags.seed.to_string().into()]);
    if let Some(functions) = flags.functions {
        words.extend(["--functions".into(), functions.to_string().into()]);
    }
    let matches = RunArgs::augment_args(Command::new("compare")).try_get_matches_from(words)?;
    let options = Options::new(RunArgs::from_arg_matches(&matches)?)?;
    let functions = functions_of(&options, &FunctionArgs::default())?;
    Ok(Subject {
        name: "trace".to_owned(),
        seed: Seed(flags.seed),
        functions,
        platform: Platform::default(),
    })
}
