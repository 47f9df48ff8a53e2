//! `foresail experiment`: a language model against the HPA, rehearsed or on a cluster, and its report.

mod live;
mod manifests;
mod options;
mod places;
mod report;
mod run_all;
mod simulate;
mod summary;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::exit::Code;
use options::Options;

/// A language model against the HPA on one workload under stress: live, rehearsed, and the report
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ExperimentArgs {
    #[command(subcommand)]
    command: Option<Verb>,
    #[command(flatten)]
    options: Options,
}

/// What can be done with runs that are there.
#[derive(Subcommand, Debug)]
enum Verb {
    /// Tables and pictures of CSV files, also of those that the published experiment wrote
    Report(report::ReportArgs),
    /// The modes under one schedule, each on a twin of the deployment, the same rehearsed, and one report
    RunAll(Box<run_all::RunAllArgs>),
    /// Print the workload and its HPA, for kubectl apply -f -
    Manifests(manifests::ManifestsArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &ExperimentArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.command {
        Some(Verb::Report(args)) => report::run(args, out),
        Some(Verb::RunAll(args)) => run_all::run(args, out),
        Some(Verb::Manifests(args)) => manifests::run(args, out),
        None if args.options.simulate => simulate::run(&args.options, out),
        None => live::run(&args.options, out),
    }
}
