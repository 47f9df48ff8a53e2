//! `foresail aware eval`: a frozen policy on workloads, beside the heuristic and other policies.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::env::Facts;
use foresail_models::rl::training::{Training, TrainingRules};
use foresail_models::rng::Seed;
use rayon::prelude::*;
use serde_json::json;

use super::learn::load;
use super::told::used;
use crate::aware::course::STRETCH;
use crate::aware::place::{DEMAND, worlds};
use crate::aware::{Course, Flown, fly_policy};
use crate::cli::{Output, print_csv, print_table, whole};
use crate::exit::Code;

/// Policies beside the learnt one.
const BESIDE: [&str; 5] = ["hpa-vpa", "hpa", "vpa", "predictive", "aapa"];

/// Flags of `aware eval`.
#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// The trained policy
    #[arg(long, value_name = "FILE", default_value = "aware-policy")]
    policy: PathBuf,
    /// Workloads, each on an application of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workloads: u32,
    /// Number of the first workload [default: 1000, which no training has by default; of a trace 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    first: Option<u32>,
    /// A trace whose busiest items are the workloads, from --first on [default: generated ones]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Episodes on each workload
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    episodes: u32,
    /// Steps of an episode, a minute each
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    steps: u32,
    /// Share of the reactive floor that always holds, in percent [default: all of it]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    min_share_percent: Option<u8>,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// What one policy came to on all workloads.
struct Sum {
    name: String,
    reward: f64,
    facts: Facts,
}

fn sum(name: &str, flown: &[Flown]) -> Sum {
    let mut facts = Facts::default();
    flown.iter().for_each(|f| facts.add(&f.facts));
    let rewards: f64 = flown.iter().map(|f| f.reward).sum();
    Sum {
        name: name.to_owned(),
        reward: rewards / flown.len().max(1) as f64,
        facts,
    }
}

/// Runs the command.
///
/// # Errors
/// Where a workload or the policy cannot be used.
pub(super) fn run(args: &EvalArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let (learner, _) = load(&args.policy)?;
    let (episodes, steps) = (args.episodes as usize, args.steps as usize);
    let first = args
        .first
        .unwrap_or(if args.trace.is_some() { 0 } else { 1000 });
    let span = (first as usize, args.workloads as usize);
    let worlds = worlds(args.trace.as_ref(), span, DEMAND, Seed(args.seed))?;
    let course = Course {
        steps,
        stretch: STRETCH,
        seed: Seed(args.seed),
        min_share_percent: args.min_share_percent,
    };
    let rules = TrainingRules {
        steps,
        bootstrap: BootstrapRules::none(),
        learns: false,
        ..TrainingRules::default()
    };
    let learnt = worlds
        .par_iter()
        .map(|world| {
            let mut own = learner.clone();
            let mut training = Training::new(&own, rules);
            course.learn(world, (&mut own, &mut training), episodes, None, |_| {})
        })
        .collect::<Result<Vec<_>>>()?;
    let mut sums = vec![sum("aware", &learnt.concat())];
    for name in BESIDE {
        let flown = worlds
            .par_iter()
            .map(|world| fly_policy(&course, world, name, episodes))
            .collect::<Result<Vec<_>>>()?;
        sums.push(sum(name, &flown.concat()));
    }
    print(&sums, output, out)?;
    Ok(Code::Done)
}

const COLUMNS: [&str; 8] = [
    "policy",
    "reward",
    "violations_percent",
    "bad_minutes",
    "kills",
    "cpu_used_percent",
    "memory_used_percent",
    "cost",
];

fn print(sums: &[Sum], output: Output, out: &mut dyn Write) -> Result<()> {
    let cells = |s: &Sum| {
        vec![
            s.name.clone(),
            format!("{:.2}", s.reward),
            format!("{:.3}", s.facts.violations_percent()),
            s.facts.bad_minutes.to_string(),
            s.facts.kills.to_string(),
            used(s.facts.cores),
            used(s.facts.gib),
            format!("{:.2}", s.facts.cost),
        ]
    };
    let rows: Vec<Vec<String>> = sums.iter().map(cells).collect();
    match output {
        Output::Table => print_table(&COLUMNS, rows, out),
        Output::Csv => print_csv(&COLUMNS, &rows, out),
        Output::Json => {
            let one = |s: &Sum| {
                json!({
                    "policy": s.name,
                    "reward": s.reward,
                    "violationsPercent": s.facts.violations_percent(),
                    "badMinutes": s.facts.bad_minutes,
                    "kills": s.facts.kills,
                    "cores": {"asked": s.facts.cores.0, "used": s.facts.cores.1},
                    "gib": {"asked": s.facts.gib.0, "used": s.facts.gib.1},
                    "cost": s.facts.cost,
                })
            };
            let all: Vec<_> = sums.iter().map(one).collect();
            Ok(writeln!(out, "{}", json!({"v": 1, "policies": all}))?)
        }
    }
}
