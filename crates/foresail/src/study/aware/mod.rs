//! AWARE run again: bootstrapping, meta-learning, transfer and retraining on workloads that no training
//! has seen, beside HPA, VPA, both, `predictive` and `aapa`.
//!
//! The published artifact cannot be run (its cluster, applications and learnt weights are not there, and
//! its reward has a sign error); its method is, in a simulator with the engine in it. Every arm flies
//! the same worlds under the same seeds.
//! Source: Qiu et al., AWARE, USENIX ATC 2023; specs/hpa_aware_studies.md 2.8.

mod arms;
mod figures;
mod headlines;
mod journal;
mod run;
mod tables;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgMatches, Args, FromArgMatches};
use foresail_models::rng::Seed;

use super::Study;
use super::report::{self, Report};
use crate::cli::progress::bar;
use crate::cli::{Output, whole};
use crate::exit::Code;
use run::Plan;

/// The registry's line.
pub const STUDY: Study = Study {
    name: "aware",
    summary: "Learnt policies of replicas and requests: bootstrapping, meta-learning, retraining",
    flags: Flags::augment_args,
    run,
};

/// Flags of the study.
#[derive(Args, Clone, Debug)]
struct Flags {
    /// Where the tables, figures and the page go
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    out: PathBuf,
    /// Runs that are done, so that a broken-off study goes on [default: beside --out]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// A trace whose busiest items are the workloads [default: generated ones]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Workloads that the meta-learner is trained on
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(2..=1000))]
    taught: u32,
    /// Episodes on each of them
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    taught_episodes: u32,
    /// Workloads that no training has seen
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    unseen: u32,
    /// Episodes on each of them
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(40..=10_000))]
    episodes: u32,
    /// Episodes of the heuristic in arms with bootstrapping
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    bootstrap_episodes: u32,
    /// Seeds, from --seed on
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// At most 8 taught and 4 unseen workloads, 60 episodes and 2 seeds: minutes
    #[arg(long)]
    quick: bool,
    /// How the tables are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

impl Flags {
    fn plan(&self) -> Plan {
        let few = |n: u32, most: u32| if self.quick { n.min(most) } else { n } as usize;
        let seeds = if self.quick {
            self.seeds.min(2)
        } else {
            self.seeds
        };
        Plan {
            trace: self.trace.clone(),
            taught: few(self.taught, 8),
            taught_episodes: few(self.taught_episodes, 20),
            unseen: few(self.unseen, 4),
            episodes: few(self.episodes, 60),
            bootstrap: few(self.bootstrap_episodes, 20),
            seeds: (0..seeds)
                .map(|i| Seed(self.seed.wrapping_add(i)))
                .collect(),
        }
    }
}

fn run(matches: &ArgMatches, out: &mut dyn Write) -> Result<Code> {
    let flags = Flags::from_arg_matches(matches)?;
    let output = Output::here(flags.output)?;
    let plan = flags.plan();
    if 2 * plan.bootstrap > plan.episodes {
        bail!(
            "--episodes {} leaves no phase after {} of the heuristic: give at least twice --bootstrap-episodes",
            plan.episodes,
            plan.bootstrap
        );
    }
    // A place that cannot be written is told before the work, not after it.
    let folder = report::begin(&flags.out)?;
    let beside = || flags.out.with_extension("journal.jsonl");
    let path = flags.journal.clone().unwrap_or_else(beside);
    let mut journal = journal::Journal::open(&path, &plan)?;
    let stage = bar(plan.runs() as u64, "Flying");
    let results = run::all(&plan, &mut journal, &|name| stage.step(name))?;
    stage.finish();
    let study = tables::Study {
        plan: &plan,
        results: &results,
    };
    let report = Report {
        title: "AWARE",
        headline: study.headline(),
        notes: notes(&plan),
        tables: study.tables(),
        figures: figures::all(&plan, &results),
        command: command(&flags, &plan),
    };
    report::print(&report, output, out)?;
    report::write(folder, report)?;
    if output == Output::Table {
        writeln!(out, "report: {}", flags.out.join("index.html").display())?;
    }
    Ok(Code::Done)
}

fn command(flags: &Flags, plan: &Plan) -> String {
    let trace = flags
        .trace
        .as_ref()
        .map_or_else(String::new, |t| format!(" --trace {}", t.display()));
    format!(
        "foresail study aware --taught {} --taught-episodes {} --unseen {} --episodes {} --bootstrap-episodes {} --seeds {} --seed {}{trace}",
        plan.taught,
        plan.taught_episodes,
        plan.unseen,
        plan.episodes,
        plan.bootstrap,
        plan.seeds.len(),
        flags.seed
    )
}

fn notes(plan: &Plan) -> Vec<String> {
    vec![
        "Workloads are demands of four archetypes (or the busiest items of a trace), each on an application of its own: service time, CPU and memory per request, start-up and first sizes are drawn. The cluster, applications and learnt weights of the paper are in no source that we reach; its figures stand beside ours for what they are, those of other worlds.".to_owned(),
        format!(
            "An episode is 100 steps of a minute. Reward per step: 0.7 × SLO preserved × 2 + 0.3 × (CPU used + memory used), less 0.1 for a reversal and for growing lag; at most 200 an episode. Policies without a learner fly the same {} episodes.",
            plan.episodes
        ),
        format!(
            "Before that the meta-learner has learnt on {} other workloads, {} episodes on each; transfer has had as many episodes in all, on one of them. After the change of the workload `drift, learning on` learns in every episode, `drift, as it was` in none.",
            plan.taught, plan.taught_episodes
        ),
        "Every arm wishes under the same floor and guards: replicas never below the exact HPA at the requests that are asked for. What the published system would do without them is not flown.".to_owned(),
    ]
}
