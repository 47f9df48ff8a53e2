//! Whose calls: generated functions under several seeds, or those of a trace.

use anyhow::{Context, Result};
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
    let functions = flags.functions.map(usize::try_from).transpose()?;
    let options = Options::new(RunArgs {
        trace: flags.trace.clone(),
        functions,
        durations: flags.durations.clone(),
        memory: flags.memory.clone(),
        seed: Some(flags.seed),
        ..RunArgs::of_functions()?
    })?;
    let functions = functions_of(&options, &FunctionArgs::default())?;
    Ok(Subject {
        name: "trace".to_owned(),
        seed: Seed(flags.seed),
        functions,
        platform: Platform::default(),
    })
}
