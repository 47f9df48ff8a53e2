//! Published studies run again: one folder or file each, one line in [`STUDIES`].
//!
//! A study runs the published method as it was published and in a corrected form, puts the published
//! figures beside both, and says of each what came of it.

pub mod aapa;
pub mod aquatope_pool;
pub mod aquatope_workflows;
pub mod aware;
pub mod prophet_lstm;
pub(crate) mod report;
pub(crate) mod stats;
mod verdict;

use std::io::Write;

use anyhow::Result;
use clap::{ArgMatches, Command};

use crate::exit::Code;

/// One study of the registry.
#[derive(Debug)]
pub struct Study {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it runs again, in one sentence.
    pub summary: &'static str,
    /// Its flags.
    pub flags: fn(Command) -> Command,
    /// Runs it with its flags as they were given.
    pub run: fn(&ArgMatches, &mut dyn Write) -> Result<Code>,
}

/// Every study.
pub static STUDIES: [Study; 5] = [
    aapa::STUDY,
    aquatope_pool::STUDY,
    aquatope_workflows::STUDY,
    aware::STUDY,
    prophet_lstm::STUDY,
];
