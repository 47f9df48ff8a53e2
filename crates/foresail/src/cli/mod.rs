//! The command line: one file per command, one line per command below.
//!
//! Data goes to stdout, everything else to stderr.

pub mod compare;
pub mod config;
pub mod conformance;
pub mod decide;
pub mod doctor;
pub mod explain;
pub mod progress;
pub mod replay;
pub mod report;
pub mod simulate;
pub mod trace;
pub mod watch;

use std::io::Write;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::exit::Code;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

impl Output {
    /// The flag's, else the setting's.
    ///
    /// # Errors
    /// Where the setting is none of them.
    pub fn of(flag: Option<Self>, settings: &crate::config::Settings) -> Result<Self> {
        let text = settings.text("output.format");
        match flag {
            Some(output) => Ok(output),
            None => Self::from_str(text, true).map_err(|e| anyhow::anyhow!("output.format: {e}")),
        }
    }
}

/// An autoscaler that forecasts demand, knows how sure it is, and can always say why
#[derive(Parser, Debug)]
#[command(name = "foresail", version, propagate_version = true, term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run every policy on a workload and write one report
    Compare(Box<compare::CompareArgs>),
    /// Run policies on a workload over several seeds
    Simulate(Box<simulate::SimulateArgs>),
    /// Watch what an engine would do beside the autoscaler that is in charge; writes nothing
    Watch(Box<watch::WatchArgs>),
    /// Feed inputs to an engine and print what it decides
    Decide(decide::DecideArgs),
    /// Say why a number is what it is, and what a changed setting would have given
    Explain(explain::ExplainArgs),
    /// Replay a flight record; prints `identical` or the first difference
    Replay(replay::ReplayArgs),
    /// Compare decisions with those of Kubernetes' own controller
    Conformance(conformance::ConformanceArgs),
    /// Look at traces, check, convert, make and cut them
    Trace(trace::TraceArgs),
    /// Rebuild the report from a results folder
    Report(report::ReportArgs),
    /// Check this machine and say what to mend
    Doctor(doctor::DoctorArgs),
    /// Show the settings
    Config(config::ConfigArgs),
    /// Print completions for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

/// Runs at most so many things at once as the flag says.
pub(crate) fn limit_jobs(options: &crate::compare::Options) {
    if let Some(jobs) = options.args.jobs.filter(|j| *j > 0) {
        // A second pool in one process would be an error; the first one stays.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(jobs)
            .build_global();
    }
}

/// Runs a command; data goes to `out`.
///
/// # Errors
/// Whatever the command could not do, with the mend.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<Code> {
    match cli.command {
        Command::Compare(args) => compare::run(*args, out),
        Command::Simulate(args) => simulate::run(&args, out),
        Command::Decide(args) => decide::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Watch(args) => watch::run(&args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Conformance(args) => conformance::run(&args, out),
        Command::Trace(args) => trace::run(&args, out),
        Command::Report(args) => report::run(&args, out),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Config(args) => config::run(&args, out),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "foresail", out);
            Ok(Code::Done)
        }
        Command::Version => {
            writeln!(out, "foresail {}", env!("CARGO_PKG_VERSION"))?;
            Ok(Code::Done)
        }
    }
}
