//! The command line: one file per command, one line per command below.
//!
//! Data goes to stdout, everything else to stderr.

pub mod aquatope;
pub mod aware;
pub mod classify;
pub mod cluster;
pub mod compare;
pub mod config;
pub mod conformance;
pub mod dashes;
pub mod decide;
pub mod doctor;
pub mod experiment;
pub mod explain;
pub mod forecast;
pub mod load;
pub mod manifests;
pub mod optimize;
pub mod progress;
pub mod reading;
pub mod replay;
pub mod report;
pub mod run;
pub mod score;
pub mod serve;
pub mod simulate;
pub mod stress;
pub mod study;
pub mod trace;
mod trace_check;
mod trace_generate;
mod trace_stages;
mod typed;
pub mod watch;
mod watch_cluster;
pub mod workflow;

use std::io::Write;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use foresail_adapters::results::{Column, Table};
use serde_json::json;

use crate::config::{Environment, Settings};
use crate::exit::Code;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[value(alias = "text")]
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
    pub fn of(flag: Option<Self>, settings: &Settings) -> Result<Self> {
        let text = settings.text("output.format");
        match flag {
            Some(output) => Ok(output),
            None => Self::from_str(text, true).map_err(|e| anyhow::anyhow!("output.format: {e}")),
        }
    }

    /// The flag's, else that of the settings of this place, for commands without other settings.
    ///
    /// # Errors
    /// Where a setting is unknown or wrong.
    pub fn here(flag: Option<Self>) -> Result<Self> {
        match flag {
            Some(output) => Ok(output),
            None => Self::of(None, &Settings::load(None, &Environment)?),
        }
    }
}

/// A whole number, as a seed is one.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("must be a whole number of 0 to {}", u64::MAX))
}

/// Prints rows of texts as CSV with a header; what a row lacks at its end is empty.
pub(crate) fn print_csv(columns: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> Result<()> {
    let column = |i: usize| rows.iter().map(|row| row.get(i).cloned()).collect();
    let named = columns.iter().enumerate();
    let table = Table {
        columns: named
            .map(|(i, name)| ((*name).to_owned(), Column::Text(column(i))))
            .collect(),
    };
    Ok(table.write_csv(out)?)
}

/// A table; columns of numbers stand at the right.
pub(crate) fn print_table(
    columns: &[&str],
    rows: Vec<Vec<String>>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(columns.iter().map(|c| c.to_uppercase()));
    let is_number = |text: &String| {
        text.trim_start_matches(['+', '-'])
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let numbers: Vec<bool> = (0..columns.len())
        .map(|i| rows.iter().all(|r| r.get(i).is_some_and(is_number)))
        .collect();
    for row in rows {
        table.add_row(row);
    }
    for (column, is_number) in table.column_iter_mut().zip(numbers) {
        if is_number {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    writeln!(out, "{table}")?;
    Ok(())
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
    /// Run the controller
    Run(run::RunArgs),
    /// Score what an engine would have done against what the autoscaler in charge did
    Score(score::ScoreArgs),
    /// Feed inputs to an engine and print what it decides
    Decide(decide::DecideArgs),
    /// Say why a number is what it is, and what a changed setting would have given
    Explain(explain::ExplainArgs),
    /// Show objects of a cluster with what they decided
    Get(cluster::get::GetArgs),
    /// Show everything that is known of one object, each trouble with its mend
    Describe(cluster::describe::DescribeArgs),
    /// Let a decision of an object in mode Advise be carried out
    Approve(cluster::approve::ApproveArgs),
    /// Hold an object's target still, in one direction or at a number
    Suspend(cluster::suspend::SuspendArgs),
    /// Let go of what `suspend` holds
    Resume(cluster::suspend::ResumeArgs),
    /// Check objects in files or in a cluster, and say what will go wrong
    Lint(Box<cluster::lint::LintArgs>),
    /// From a HorizontalPodAutoscaler to Foresail step by step, and back
    Migrate(cluster::migrate::MigrateArgs),
    /// Replay a flight record; prints `identical` or the first difference
    Replay(replay::ReplayArgs),
    /// Compare decisions with those of Kubernetes' own controller
    Conformance(conformance::ConformanceArgs),
    /// Backtest, fit, show and explain forecasters
    Forecast(forecast::ForecastArgs),
    /// Features, labels and archetypes of windows of demand
    Classify(classify::ClassifyArgs),
    /// AQUATOPE: pools of containers from a forecast that knows how sure it is
    Aquatope(aquatope::AquatopeArgs),
    /// AWARE: replicas and requests by a learnt policy that is safe from the first minute
    Aware(aware::AwareArgs),
    /// Run a published study again and say of each figure what came of it
    Study(study::StudyArgs),
    /// A language model against the HPA on one workload under stress: rehearse it, and report on it
    Experiment(Box<experiment::ExperimentArgs>),
    /// Send HTTP requests when they are due, whatever became of those before, and tell what came of them
    Load(Box<load::LoadArgs>),
    /// Put the pods of a workload under stress, by commands in their containers
    Stress(Box<stress::StressArgs>),
    /// Find the cheapest CPU and memory of a workflow's stages that keep its promise
    Optimize(Box<optimize::OptimizeArgs>),
    /// Look at workflows
    Workflow(workflow::WorkflowArgs),
    /// Look at traces, check, convert, make and cut them
    Trace(trace::TraceArgs),
    /// Rebuild the report from a results folder
    Report(report::ReportArgs),
    /// Show recorded runs as pages: the fleet, each object, each decision
    Serve(serve::ServeArgs),
    /// Print what installs the controller into a cluster
    Manifests(manifests::ManifestsArgs),
    /// Check this machine and its cluster, and say what to mend
    Doctor(Box<doctor::DoctorArgs>),
    /// Show the settings
    Config(config::ConfigArgs),
    /// Print completions for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version {
        /// How it is printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
}

/// Runs at most so many things at once as the flag says.
pub(crate) fn limit_jobs(jobs: Option<usize>) {
    if let Some(jobs) = jobs.filter(|j| *j > 0) {
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
        Command::Run(args) => run::run(&args),
        Command::Decide(args) => decide::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Get(args) => cluster::get::run(&args, out),
        Command::Describe(args) => cluster::describe::run(&args, out),
        Command::Approve(args) => cluster::approve::run(&args, out),
        Command::Suspend(args) => cluster::suspend::run(&args, out),
        Command::Resume(args) => cluster::suspend::run_resume(&args, out),
        Command::Migrate(args) => cluster::migrate::run(&args, out),
        Command::Lint(args) => cluster::lint::run(&args, out),
        Command::Watch(args) => watch::run(&args, out),
        Command::Score(args) => score::run(&args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Conformance(args) => conformance::run(&args, out),
        Command::Forecast(args) => forecast::run(&args, out),
        Command::Classify(args) => classify::run(&args, out),
        Command::Aquatope(args) => aquatope::run(&args, out),
        Command::Aware(args) => aware::run(&args, out),
        Command::Study(args) => study::run(&args, out),
        Command::Experiment(args) => experiment::run(&args, out),
        Command::Load(args) => load::run(&args, out),
        Command::Stress(args) => stress::run(&args, out),
        Command::Optimize(args) => optimize::run(&args, out),
        Command::Workflow(args) => workflow::run(&args, out),
        Command::Trace(args) => trace::run(&args, out),
        Command::Report(args) => report::run(&args, out),
        Command::Serve(args) => serve::run(&args, out),
        Command::Manifests(args) => manifests::run(&args, out),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Config(args) => config::run(&args, out),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "foresail", out);
            Ok(Code::Done)
        }
        Command::Version { output } => version(output, out),
    }
}

/// Prints the version, whatever the settings are.
fn version(output: Option<Output>, out: &mut dyn Write) -> Result<Code> {
    let version = env!("CARGO_PKG_VERSION");
    match Output::here(output).unwrap_or(Output::Table) {
        Output::Table => writeln!(out, "foresail {version}")?,
        Output::Json => writeln!(out, "{}", json!({"v": 1, "version": version}))?,
        Output::Csv => print_csv(&["version"], &[vec![version.to_owned()]], out)?,
    }
    Ok(Code::Done)
}
