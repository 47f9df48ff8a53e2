//! The published study of Prophet and LSTM policies, run again: data, training, simulation, figures.
//!
//! The published rules and corrected ones are always both run: the first for a verdict on each
//! published figure, the second for what the policies are worth where nobody knows the future.
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications.

mod figures;
mod files;
mod models;
mod published;
mod replay;
mod results;
mod told;
mod trace;
mod verdicts;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Args, FromArgMatches};
use foresail_models::rng::Seed;
use foresail_sim::workload::published::{SEED, SHAPES, Shape};
use rayon::prelude::*;

use super::Study;
use crate::cli::progress::bar;
use crate::cli::{Output, whole};
use crate::exit::Code;
use models::Model;
use replay::{POLICIES, Policy, Rules, replay, score};
use results::{ModelResult, Results, Run};
use told::{errors, published_prophet, rolled};
use trace::Trace;

/// The registry's line.
pub const STUDY: Study = Study {
    name: "prophet-lstm",
    summary: "Five policies on forecasts of Prophet and an LSTM, as published and corrected",
    flags: Flags::augment_args,
    run,
};

/// The most seeds of a net.
const SEEDS_MAX: u64 = 100;

/// Flags of the study.
#[derive(Args, Clone, Debug)]
struct Flags {
    /// Where `data/` and `reports/` go
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Run on this trace, in any format, instead of the published one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "trace_seed"])]
    trace: Option<PathBuf>,
    /// Which published trace
    #[arg(long, value_name = "NAME", default_value = "mixed",
          value_parser = PossibleValuesParser::new(SHAPES.map(|s| s.name)))]
    scenario: String,
    /// Seed of the trace; 7 is the published one
    #[arg(long, value_name = "N", default_value_t = SEED, value_parser = whole)]
    trace_seed: u64,
    /// Write the tables of the published rules, their leaks and mistakes included
    #[arg(long)]
    seed_parity: bool,
    /// Models: prophet, lstm, or any forecaster of the registry, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "prophet,lstm,last"
    )]
    models: Vec<String>,
    /// Minutes that a container starts for, under the corrected rules
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=45))]
    startup: u64,
    /// Minutes between two fits, under the corrected rules; nets are fitted once
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    refit: u64,
    /// The only source of chance of the nets
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// Seeds that each net is trained with, from --seed on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: u64,
    /// Two days to learn from and one to test on, for a quick look; too little for the net
    #[arg(long)]
    quick: bool,
    /// How the table is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

fn run(matches: &ArgMatches, out: &mut dyn Write) -> Result<Code> {
    let flags = Flags::from_arg_matches(matches)?;
    let output = Output::here(flags.output)?;
    let models = models::named(&flags.models, flags.refit as usize)?;
    // The place is tried before the work, so that nobody waits for nothing.
    let reports = files::begin(&flags.out)?;
    let trace = data(&flags)?;
    let results = train_and_replay(&flags, &models, &trace)?;
    files::write(reports, &results, &command(&flags))?;
    files::print(&results, output, out)?;
    if output == Output::Table {
        let page = flags.out.join("reports/index.html");
        writeln!(out, "report: {}", page.display())?;
    }
    Ok(Code::Done)
}

/// Stage one: the trace, written where `--out` says.
fn data(flags: &Flags) -> Result<Trace> {
    let stage = bar(2, "Data");
    let shape: Option<&Shape> = SHAPES.iter().find(|s| s.name == flags.scenario);
    let mut trace = match &flags.trace {
        Some(path) => Trace::read(path)?,
        None => Trace::made(shape.context("no such scenario")?, flags.trace_seed),
    };
    stage.step("made");
    if flags.quick {
        trace.shorten();
    }
    if trace.test().iter().all(|v| *v <= 0.0) {
        bail!("the test half of the trace has no demand: there is nothing to scale");
    }
    trace.write(&flags.out)?;
    stage.step("written");
    stage.finish();
    Ok(trace)
}

/// One model with one seed: what it said under both rules.
struct Trained {
    published: Vec<replay::Told>,
    corrected: Vec<replay::Told>,
}

fn train(model: &Model, trace: &Trace, flags: &Flags, seed: u64) -> Result<Trained> {
    let (startup, seed) = (flags.startup as usize, Seed(seed));
    let once = |leads: &[usize]| rolled(&*model.fit, trace, None, leads, seed);
    let mut told = match model.refit {
        // One fit serves both rules.
        None => once(&[0, startup])?,
        Some(_) => {
            let published = if model.name == "prophet" {
                vec![published_prophet(trace)?]
            } else {
                once(&[0])?
            };
            let corrected = rolled(&*model.fit, trace, model.refit, &[startup], seed)?;
            published.into_iter().chain(corrected).collect()
        }
    };
    let corrected = told.pop().context("no forecast under corrected rules")?;
    let published = told.pop().context("no forecast under published rules")?;
    Ok(Trained {
        published,
        corrected,
    })
}

/// Stages two and three: every model with every seed, then every policy on what it said.
fn train_and_replay(flags: &Flags, models: &[Model], trace: &Trace) -> Result<Results> {
    let seeds_of = |m: &Model| if m.chance { flags.seeds } else { 1 };
    let jobs: Vec<(usize, u64)> = (0..models.len())
        .flat_map(|m| (0..seeds_of(&models[m])).map(move |s| (m, s)))
        .collect();
    let stage = bar(jobs.len() as u64, "Training");
    let trained: Vec<Result<Trained>> = jobs
        .par_iter()
        .map(|(model, seed)| {
            let model = &models[*model];
            let trained = train(model, trace, flags, flags.seed.wrapping_add(*seed));
            stage.step(&model.name);
            trained
        })
        .collect();
    stage.finish();
    let trained = trained.into_iter().collect::<Result<Vec<_>>>()?;
    let rules = [
        Rules::Published,
        Rules::Corrected {
            startup: flags.startup as usize,
        },
    ];
    let stage = bar((2 * jobs.len() * POLICIES.len()) as u64, "Simulation");
    let [published, corrected] = rules.map(|rules| {
        let mut all: Vec<ModelResult> = models.iter().map(|m| ModelResult::new(&m.name)).collect();
        for ((model, seed), trained) in jobs.iter().zip(&trained) {
            let seed = flags.seed.wrapping_add(*seed);
            replay_all(&mut all[*model], trace, trained, (rules, seed));
            POLICIES.iter().for_each(|p| stage.step(p.title()));
        }
        all
    });
    stage.finish();
    Ok(Results {
        trace: trace.clone(),
        published,
        corrected,
        startup: flags.startup as usize,
        refit: flags.refit as usize,
        parity: flags.seed_parity,
    })
}

fn replay_all(
    result: &mut ModelResult,
    trace: &Trace,
    trained: &Trained,
    (rules, seed): (Rules, u64),
) {
    let demand = trace.test();
    let (told, ahead) = match rules {
        Rules::Published => (&trained.published, 0),
        Rules::Corrected { startup } => (&trained.corrected, startup),
    };
    // The study had a band from Prophet alone.
    let banded = rules != Rules::Published || result.name == "prophet";
    for policy in POLICIES
        .into_iter()
        .filter(|p| banded || *p != Policy::Confident)
    {
        let minutes = replay(policy, demand, told, rules);
        result.runs.push(Run {
            policy,
            seed,
            scores: score(&minutes, rules),
            // One seed's minutes stand for all in the files.
            minutes: if result.errors.is_empty() {
                minutes
            } else {
                Vec::new()
            },
        });
    }
    result.errors.push(errors(told, demand, ahead));
    if result.told.is_empty() {
        result.told.clone_from(told);
    }
}

/// The command that makes the same report again, without places of this machine.
fn command(flags: &Flags) -> String {
    let mut text = "foresail study prophet-lstm".to_owned();
    if let Some(file) = flags.trace.as_ref().and_then(|t| t.file_name()) {
        text += &format!(" --trace {}", file.to_string_lossy());
    } else {
        text += &format!(
            " --scenario {} --trace-seed {}",
            flags.scenario, flags.trace_seed
        );
    }
    text += &format!(" --models {}", flags.models.join(","));
    text += &format!(" --startup {} --refit {}", flags.startup, flags.refit);
    text += &format!(" --seed {} --seeds {}", flags.seed, flags.seeds);
    for (given, flag) in [
        (flags.seed_parity, " --seed-parity"),
        (flags.quick, " --quick"),
    ] {
        if given {
            text += flag;
        }
    }
    text
}
