//! AQUATOPE's resource manager run again: the cheapest sizes of a workflow's stages that keep a promise.
//!
//! Every tuner searches the same workflows under the same protocol and seeds; what it leaves in force
//! is measured again on a fresh run. The published manager cannot run; its acquisition, under which a
//! plan that breaks the promise is worth more than any that keeps it, is an arm of its own.
//! Source: Zhou, Zhang & Delimitrou, ASPLOS 2023; zzhou612/aquatope.

mod figures;
mod run;
mod tables;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgMatches, Args, FromArgMatches};
use foresail_core::spec::SpecProblem;
use foresail_models::rng::Seed;
use foresail_sim::workflow::published::{WORKFLOWS, workflow_names};

use super::Study;
use super::report::{self, Report};
use crate::cli::progress::bar;
use crate::cli::{Output, whole};
use crate::exit::Code;

/// The registry's line.
pub const STUDY: Study = Study {
    name: "aquatope-workflows",
    summary: "Sizes of a workflow's stages by Bayesian optimisation, as published and as meant",
    flags: Flags::augment_args,
    run,
};

/// Flags of the study.
#[derive(Args, Clone, Debug)]
struct Flags {
    /// Where the tables, figures and the page go
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    out: PathBuf,
    /// Workflows, by their names
    #[arg(long, value_name = "NAMES", default_value = "all")]
    workflows: String,
    /// Seeds of each search, from --seed on
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// Times that what is in force in the end is measured again
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    again: u64,
    /// Two workflows and three seeds
    #[arg(long)]
    quick: bool,
    /// How the tables are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// A workflow that differs from `social-network-read-home` in name alone: it would count twice.
const TWIN: &str = "social-network-read-user";

/// Workflows of a quick run.
const QUICK: &str = "reference,chain";

fn run(matches: &ArgMatches, out: &mut dyn Write) -> Result<Code> {
    let mut flags = Flags::from_arg_matches(matches)?;
    if flags.quick {
        if flags.workflows == "all" {
            QUICK.clone_into(&mut flags.workflows);
        }
        flags.seeds = flags.seeds.min(3);
        flags.again = flags.again.min(10);
    }
    let output = Output::here(flags.output)?;
    let names = chosen(&flags.workflows)?;
    // A place that cannot be written is told before the work, not after it.
    let folder = report::begin(&flags.out)?;
    let stage = bar(run::searches(names.len(), flags.seeds), "Searching");
    let seeds: Vec<Seed> = (0..flags.seeds)
        .map(|i| Seed(flags.seed.wrapping_add(i)))
        .collect();
    let searched = run::all(&names, &seeds, flags.again, &|name| stage.step(name))?;
    stage.finish();
    let study = tables::Study {
        searched: &searched,
        seed: Seed(flags.seed),
    };
    let report = Report {
        title: "AQUATOPE: workflows",
        headline: study.headline(),
        notes: notes(&flags),
        tables: study.tables(),
        figures: figures::all(&searched),
        command: format!(
            "foresail study aquatope-workflows --workflows {} --seeds {} --seed {} --again {}",
            flags.workflows, flags.seeds, flags.seed, flags.again
        ),
    };
    report::print(&report, output, out)?;
    report::write(folder, report)?;
    if output == Output::Table {
        writeln!(out, "report: {}", flags.out.join("index.html").display())?;
    }
    Ok(Code::Done)
}

fn chosen(list: &str) -> Result<Vec<&'static str>> {
    let mut known = workflow_names();
    if list == "all" {
        known.retain(|name| *name != TWIN);
        return Ok(known);
    }
    let mut names = Vec::new();
    for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let Some(entry) = WORKFLOWS.iter().find(|w| w.name == name) else {
            bail!(
                "{}",
                SpecProblem::unknown("--workflows", "workflow", name, &known)
            );
        };
        if !names.contains(&entry.name) {
            names.push(entry.name);
        }
    }
    if names.is_empty() {
        bail!("--workflows names none; write all, or names such as {QUICK}");
    }
    Ok(names)
}

fn notes(flags: &Flags) -> Vec<String> {
    vec![
        "Workflows have the stages of the published benchmarks; how long a stage takes at a size, its noise and the promises are ours (`foresail workflow show NAME`), for the images, models and data of the originals are not here.".to_owned(),
        format!(
            "Every search has 70 trials, each of one warm-up and three repeats of 20 requests, one configuration at a time, under {} seeds. In the end what is in force is measured again {} times on requests that no search has seen.",
            flags.seeds, flags.again
        ),
    ]
}
