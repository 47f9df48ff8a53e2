//! AAPA's study run again: windows, labels, training, evaluation, simulation.
//!
//! The published method and ours on the same functions, pods and arrivals, beside the plain HPA at
//! every setting and one who knows the future. The paper's numbers stand in a column of their own.
//! Source: arXiv 2507.05653 v3; GuilinDev/aapa-simulator.

mod analysis;
mod doubt;
mod figures;
mod learn;
mod published;
mod simulate;
mod subjects;
mod tables;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, FromArgMatches};
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Span;
use foresail_models::classify::window::Ring;
use foresail_models::classify::{Classifier, STRIDE, WINDOW};
use foresail_models::registry::{DEFAULT_CLASSIFIER, classifier};
use foresail_models::rng::Seed;
use foresail_sim::workload::Workload;
use foresail_sim::workload::archetype::Functions;

use super::Study;
use super::report::{self, Report};
use crate::cli::progress::bar;
use crate::cli::{Output, whole};
use crate::compare::aapa_file;
use crate::exit::Code;
use analysis::Group;
use simulate::Flown;
use subjects::{Served, Subject};

/// The registry's line.
pub const STUDY: Study = Study {
    name: "aapa",
    summary: "Archetypes of demand and a strategy for each, as published and as meant",
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
    /// Functions of each archetype under each seed; of a trace the busiest so many
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    functions: u64,
    /// Days of generated functions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=14))]
    days: u64,
    /// Seeds of generated functions, from --seed on
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// Start-up of a pod; the paper has 2s [default: 30s]
    #[arg(long, value_name = "SPAN")]
    startup: Option<Span>,
    /// AAPA's own configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One function of each archetype and two seeds
    #[arg(long)]
    quick: bool,
    /// How the tables are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Start-up where nobody says otherwise. Source: AAPA's configuration, `pod_startup_time`.
const STARTUP: Span = Span::from_seconds(30);

fn run(matches: &ArgMatches, out: &mut dyn Write) -> Result<Code> {
    let mut flags = Flags::from_arg_matches(matches)?;
    if flags.quick {
        flags.functions = 1;
        flags.seeds = 2;
    }
    let output = Output::here(flags.output)?;
    let served = served(&flags)?;
    let subjects = subjects(&flags, &served)?;
    // A place that cannot be written is told before the work, not after it.
    let folder = report::begin(&flags.out)?;
    let seed = Seed(flags.seed);
    let stage = bar(6, "Classification");
    let classification = learn::classification(seed, &|name| stage.step(name))?;
    stage.finish();
    let stage = bar(subjects.len() as u64, "Simulation");
    let flown = simulate::fly_all(&subjects, &|name| stage.step(name))?;
    stage.finish();
    let stage = bar(doubt::STEPS, "Doubt");
    let at = doubt::at_each(&subjects, &flown, &|name| stage.step(name))?;
    stage.finish();
    let flown = with_archetypes(&subjects, flown)?;
    let groups = Group::all(&flown);
    let study = tables::Study {
        groups: &groups,
        classification: &classification,
        seed,
    };
    let report = Report {
        title: "AAPA",
        headline: study.headline(),
        notes: notes(&flags, &subjects, &served),
        tables: study.tables(&at),
        figures: figures::all(&groups, &classification, &at),
        command: command(&flags),
    };
    report::print(&report, output, out)?;
    report::write(folder, report)?;
    if output == Output::Table {
        let page = flags.out.join("index.html");
        writeln!(out, "report: {}", page.display())?;
    }
    Ok(Code::Done)
}

fn served(flags: &Flags) -> Result<Served> {
    let mut knobs = BTreeMap::new();
    let mut startup = None;
    if let Some(path) = &flags.config {
        let config = aapa_file::read(path)?;
        for warning in &config.warnings {
            eprintln!("warning: {warning}");
        }
        (knobs, startup) = (config.knobs, config.startup);
    }
    let startup = flags.startup.or(startup).unwrap_or(STARTUP);
    Ok(Served { startup, knobs })
}

fn subjects(flags: &Flags, served: &Served) -> Result<Vec<Subject>> {
    let count = usize::try_from(flags.functions).context("too many functions")?;
    if let Some(path) = &flags.trace {
        return subjects::of_trace(path, count, Seed(flags.seed), served);
    }
    let seeds: Vec<Seed> = (0..flags.seeds)
        .map(|i| Seed(flags.seed.wrapping_add(i)))
        .collect();
    let functions = Functions {
        per_class: count,
        days: u32::try_from(flags.days).context("too many days")?,
    };
    Ok(subjects::generated(&seeds, functions, served))
}

/// Functions with the class that they are counted under: the true one, or the one told most often;
/// none where no window was told, which counts in the mix alone.
fn with_archetypes(
    subjects: &[Subject],
    flown: Vec<Flown>,
) -> Result<Vec<(Option<Archetype>, Flown)>> {
    let tells = classifier(DEFAULT_CLASSIFIER, "classifier")
        .map_err(|p| anyhow::anyhow!(foresail_core::spec::SpecProblem::joined(&p)))?;
    let counted = |s: &Subject| s.truth.or_else(|| told_most_often(s, &*tells));
    let pairs = subjects.iter().zip(flown);
    Ok(pairs.map(|(s, flown)| (counted(s), flown)).collect())
}

fn told_most_often(subject: &Subject, tells: &dyn Classifier) -> Option<Archetype> {
    let Workload::Counts { counts, .. } = &subject.item.workload else {
        return None;
    };
    let mut ring = Ring::default();
    let mut told = [0_usize; 4];
    for (minute, count) in counts.iter().enumerate() {
        ring.push(Some(f64::from(*count)));
        let due = minute + 1 >= WINDOW && (minute + 1 - WINDOW).is_multiple_of(STRIDE);
        if let Some(window) = ring.window().filter(|_| due)
            && let Some(class) = tells.verdict(window).archetype.place()
        {
            told[class] += 1;
        }
    }
    let most = (0..4).max_by_key(|c| (told[*c], 4 - c));
    let most = most.filter(|c| told[*c] > 0);
    most.map(|c| Archetype::CLASSES[c])
}

fn notes(flags: &Flags, subjects: &[Subject], served: &Served) -> Vec<String> {
    let startup = served.startup;
    let what = match &flags.trace {
        Some(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!(
                "{} busiest functions of {name}; each counts under the archetype that its windows were told most often, for its truth is not known.",
                subjects.len()
            )
        }
        None => format!(
            "{} generated functions of known archetype: {} of each under each of {} seeds, {} days each.",
            subjects.len(),
            flags.functions,
            flags.seeds,
            flags.days
        ),
    };
    let pods = format!(
        "Pods of one core serve one request at once and start for {startup}; 1 to 100 of them; every policy sees the same arrivals."
    );
    vec![what, pods]
}

/// The command that makes the same report again, without places of this machine.
fn command(flags: &Flags) -> String {
    let mut text = "foresail study aapa".to_owned();
    match flags.trace.as_ref().and_then(|t| t.file_name()) {
        Some(file) => text += &format!(" --trace {}", file.to_string_lossy()),
        None => text += &format!(" --days {} --seeds {}", flags.days, flags.seeds),
    }
    text += &format!(" --functions {} --seed {}", flags.functions, flags.seed);
    if let Some(startup) = flags.startup {
        text += &format!(" --startup {startup}");
    }
    if let Some(file) = flags.config.as_ref().and_then(|c| c.file_name()) {
        text += &format!(" --config {}", file.to_string_lossy());
    }
    text
}
