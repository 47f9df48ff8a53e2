//! AQUATOPE's pools run again: cold starts against the memory of idle containers.
//!
//! Nothing of the paper's evaluation but its abstract is known here, and the published scheduler cannot
//! run; so its nets are trained in the published shape and flown as the scheduler would have used them,
//! beside ours, every keep-alive that platforms have, other forecasters under the same rule, and one
//! who knows the future. Every policy sees the same calls.
//! Source: Zhou, Zhang & Delimitrou, ASPLOS 2023; zzhou612/aquatope.

mod accuracy;
mod analysis;
mod figures;
mod fly;
mod nets;
mod subjects;
mod tables;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use foresail_models::rng::Seed;

use super::Study;
use super::report::{self, Report};
use crate::cli::progress::bar;
use crate::cli::{Output, whole};
use crate::exit::Code;
use nets::Nets;
use subjects::Subject;

/// The registry's line.
pub const STUDY: Study = Study {
    name: "aquatope-pool",
    summary: "Prewarmed pools from a forecast that knows how sure it is, as published and as meant",
    flags: Flags::augment_args,
    run,
};

/// Flags of the study.
#[derive(Args, Clone, Debug)]
struct Flags {
    /// Where the tables, figures and the page go
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    out: PathBuf,
    /// Functions of this trace, in any format, instead of generated ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["days", "seeds"])]
    trace: Option<PathBuf>,
    /// Recorded run times of the trace's functions
    #[arg(long, value_name = "FILE", requires = "trace")]
    durations: Option<PathBuf>,
    /// Recorded memory of the trace's functions
    #[arg(long, value_name = "FILE", requires = "trace")]
    memory: Option<PathBuf>,
    /// Functions under each seed; of a trace the busiest so many [default: 24, of a trace all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=10_000))]
    functions: Option<u64>,
    /// Days of generated functions
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=14))]
    days: u64,
    /// Seeds of generated functions, from --seed on
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// Epochs for which both shapes of the nets are trained, on functions of another seed
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=1000))]
    epochs: u64,
    /// Two seeds of few functions, and two epochs
    #[arg(long)]
    quick: bool,
    /// How the tables are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Functions where nobody says how many.
const FUNCTIONS: u64 = 24;

fn run(matches: &ArgMatches, out: &mut dyn Write) -> Result<Code> {
    let mut flags = Flags::from_arg_matches(matches)?;
    if flags.quick {
        flags.functions = flags.functions.or(Some(12));
        flags.seeds = 2;
        flags.days = 1;
        flags.epochs = 2;
    }
    let output = Output::here(flags.output)?;
    let subjects = subjects::all(&flags)?;
    // A place that cannot be written is told before the work, not after it.
    let folder = report::begin(&flags.out)?;
    let stage = bar(2 * flags.epochs * 2, "Training");
    let nets = Nets::train(&flags, &|name| stage.step(name))?;
    stage.finish();
    let stage = bar(subjects.len() as u64, "Forecasts");
    let told = accuracy::all(&subjects, &nets, &|name| stage.step(name))?;
    stage.finish();
    let stage = bar(fly::runs(&subjects), "Simulation");
    let flown = fly::all(&subjects, &nets, &|name| stage.step(name))?;
    stage.finish();
    let study = tables::Study {
        flown: &flown,
        told: &told,
        nets: &nets,
        seed: Seed(flags.seed),
    };
    let report = Report {
        title: "AQUATOPE: pools",
        headline: study.headline(),
        notes: notes(&flags, &subjects),
        tables: study.tables(),
        figures: figures::all(&flown),
        command: command(&flags),
    };
    report::print(&report, output, out)?;
    report::write(folder, report)?;
    if output == Output::Table {
        writeln!(out, "report: {}", flags.out.join("index.html").display())?;
    }
    Ok(Code::Done)
}

fn notes(flags: &Flags, subjects: &[Subject]) -> Vec<String> {
    let count: usize = subjects.iter().map(|s| s.functions.len()).sum();
    let what = match &flags.trace {
        Some(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{count} functions of {name}, which no net has seen.")
        }
        None => format!(
            "{count} generated functions: {} under each of {} seeds, {} days; the nets of this study were trained on functions of another seed.",
            subjects.first().map_or(0, |s| s.functions.len()),
            subjects.len(),
            flags.days
        ),
    };
    let world = "A container starts in 1 s and serves one call at once; every policy sees the same calls and run times and decides once a minute.".to_owned();
    vec![what, world]
}

/// The command that makes the same report again, without places of this machine.
fn command(flags: &Flags) -> String {
    let mut text = "foresail study aquatope-pool".to_owned();
    let files = [
        ("trace", &flags.trace),
        ("durations", &flags.durations),
        ("memory", &flags.memory),
    ];
    for (name, path) in files {
        if let Some(file) = path.as_ref().and_then(|p| p.file_name()) {
            text += &format!(" --{name} {}", file.to_string_lossy());
        }
    }
    if flags.trace.is_none() {
        text += &format!(" --days {} --seeds {}", flags.days, flags.seeds);
    }
    if let Some(functions) = flags.functions {
        text += &format!(" --functions {functions}");
    }
    text + &format!(" --epochs {} --seed {}", flags.epochs, flags.seed)
}
