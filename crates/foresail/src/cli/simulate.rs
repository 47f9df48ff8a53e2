//! `foresail simulate`: policies over seeds, and flight records of what they decide.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::Identity;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::run::pilot;
use foresail_sim::simulation;
use foresail_web::page::text::number;
use rayon::prelude::*;
use serde_json::json;

use crate::cli::{Output, progress};
use crate::compare::{ModeArg, Options, Plan, RunArgs, measures, plan, policies_of, scenario};
use crate::exit::Code;
use crate::record::Recorder;
use crate::sweep;

/// What is logged while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Log {
    /// One line per change on stderr.
    Short,
}

/// Flags that say what a scenario says.
const OF_THE_SCENARIO: [&str; 36] = [
    "trace",
    "prometheus",
    "query",
    "format",
    "functions",
    "durations",
    "memory",
    "skip_bad_rows",
    "gaps",
    "arrivals",
    "schedule",
    "slo",
    "service",
    "service_shape",
    "concurrency",
    "cpu_per_request",
    "cpu_request",
    "memory_request",
    "startup",
    "startup_shape",
    "startup_cpu",
    "queue",
    "queue_max",
    "timeout",
    "sync",
    "scrape",
    "metric_window",
    "metric_delay",
    "metric_loss",
    "cost_per_replica_hour",
    "prices",
    "min",
    "max",
    "hpa_target",
    "quick",
    "config",
];

/// Run policies on a workload over several seeds
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// A scenario: workload, cluster, pipeline, policies and faults in one YAML file
    #[arg(value_name = "SCENARIO", conflicts_with_all = OF_THE_SCENARIO)]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Seeds, counted up from --seed
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Run a sweep: policies × parameters × seeds × traces in one YAML file; resumes by itself
    #[arg(long, value_name = "FILE", conflicts_with_all = OF_THE_SCENARIO,
        conflicts_with_all = ["scenario", "seeds", "seed", "record", "log", "policies"])]
    sweep: Option<PathBuf>,
    /// Where a sweep's results and its journal go
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "foresail-sweep",
        requires = "sweep"
    )]
    out: PathBuf,
    /// Write a flight record of the first policy on the first item with the first seed
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print each change of the first policy on the first item
    #[arg(long, value_enum)]
    log: Option<Log>,
    /// How the summary is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// One run's figures by name.
struct Run {
    policy: String,
    item: String,
    seed: u64,
    figures: Vec<(String, f64, usize)>,
}

/// Runs the command.
///
/// # Errors
/// Where the workload cannot be read or a policy not be run.
pub fn run(args: &SimulateArgs, out: &mut dyn Write) -> Result<Code> {
    if let Some(file) = &args.sweep {
        return sweep(file, args, out);
    }
    let options = options_of(args)?;
    super::limit_jobs(options.args.jobs);
    anyhow::ensure!(
        options.args.mode == ModeArg::Event,
        "simulate runs event mode alone: use `foresail compare` for the other modes"
    );
    anyhow::ensure!(args.seeds > 0, "--seeds 0: must be 1 or more");
    let output = Output::of(args.output, &options.settings)?;
    let first = plan_of(args, &options)?;
    if args.record.is_some() || args.log.is_some() {
        watch(args, &options, &first)?;
    }
    let seeds: Vec<u64> = (0..args.seeds)
        .map(|i| options.seed.0.wrapping_add(i))
        .collect();
    let bar = progress::bar(
        (seeds.len() * first.policies.len() * first.items.len()) as u64,
        "Simulating",
    );
    let mut runs = Vec::new();
    for seed in seeds {
        let mut options = options.clone();
        options.seed = Seed(seed);
        let plan = if args.seeds > 1 && first.is_sample {
            plan_of(args, &options)?
        } else {
            plan_again(&first)
        };
        runs.extend(run_seed(&plan, seed, &|| bar.step(""))?);
    }
    bar.finish();
    print(&runs, output, out)?;
    Ok(Code::Done)
}

/// Runs what of a sweep is not in its journal yet.
fn sweep(file: &Path, args: &SimulateArgs, out: &mut dyn Write) -> Result<Code> {
    let options = Options::new(args.run.clone())?;
    let output = Output::of(args.output, &options.settings)?;
    super::limit_jobs(options.args.jobs);
    let sweep = sweep::read(file)?;
    let prepared = sweep::Prepared::new(&sweep, &options, &args.out)?;
    let estimate = prepared.estimate(rayon::current_num_threads());
    prepared.check(&estimate)?;
    eprintln!(
        "sweep {}: {} runs, {} of them finished before; the rest takes about {:.0} s",
        sweep.name,
        estimate.runs,
        estimate.finished,
        estimate.rest.as_secs_f64()
    );
    let bar = progress::bar(estimate.runs as u64, "Sweeping");
    let ran = prepared.run(&|| bar.step(""))?;
    bar.finish();
    sweep::write(&sweep, &ran, &args.out)?;
    sweep::print(&sweep, &ran, output, out)?;
    eprintln!("sweep: {}", args.out.display());
    Ok(Code::Done)
}

/// Options as the flags have them; a scenario's seed where no flag gives one.
fn options_of(args: &SimulateArgs) -> Result<Options> {
    let mut options = Options::new(args.run.clone())?;
    if let Some(path) = args.scenario.as_ref().filter(|_| args.run.seed.is_none()) {
        options.seed = Seed(scenario::read(path)?.seed);
    }
    Ok(options)
}

fn plan_of(args: &SimulateArgs, options: &Options) -> Result<Plan> {
    match &args.scenario {
        Some(path) => scenario::plan(path, options),
        None => plan(options),
    }
}

/// The same plan for another seed: a trace's counts do not depend on it.
fn plan_again(plan: &Plan) -> Plan {
    Plan {
        name: plan.name.clone(),
        summary: plan.summary.clone(),
        items: plan.items.clone(),
        policies: plan.policies.clone(),
        notes: plan.notes.clone(),
        is_sample: plan.is_sample,
    }
}

fn run_seed(plan: &Plan, seed: u64, step: &(dyn Fn() + Sync)) -> Result<Vec<Run>> {
    let pairs: Vec<_> = plan
        .items
        .iter()
        .flat_map(|i| policies_of(i).into_iter().map(move |p| (i, p)))
        .collect();
    let wanted = pairs
        .into_par_iter()
        .filter(|(_, p)| plan.policies.contains(&p.name));
    let runs: Vec<Result<Run>> = wanted
        .map(|(item, policy)| {
            let (measured, _) = foresail_sim::experiment::run::run_one(
                item,
                &policy,
                Seed(seed),
                foresail_sim::driver::Deaf,
            )?;
            step();
            let figures = measures(&measured, &item.setup.cluster.slo.to_string());
            let figures = figures
                .into_iter()
                .map(|m| (m.key, m.value, m.digits))
                .collect();
            Ok(Run {
                policy: policy.name,
                item: item.id.clone(),
                seed,
                figures,
            })
        })
        .collect();
    runs.into_iter().collect()
}

/// Writes the record and the log of the first policy on the first item.
struct Watcher {
    recorder: Option<Arc<Mutex<Option<Recorder>>>>,
    log: bool,
    identity: Identity,
}

impl Listener for Watcher {
    fn input(&mut self, input: &Input) {
        if let Some(recorder) = self
            .recorder
            .as_ref()
            .and_then(|r| r.lock().ok())
            .as_mut()
            .and_then(|r| r.as_mut())
        {
            recorder.input(input);
        }
    }

    fn ticked(&mut self, tick: &Tick, engine: &Engine) {
        if let Some(recorder) = self
            .recorder
            .as_ref()
            .and_then(|r| r.lock().ok())
            .as_mut()
            .and_then(|r| r.as_mut())
        {
            recorder.tick(tick, engine.spec());
        }
    }

    fn told(&mut self, story: &Story<'_>) {
        if self.log
            && story.outcome.is_some()
            && let Some(explanation) = story.explanation(&self.identity)
        {
            eprintln!("{} {explanation}", story.tick.at);
        }
    }
}

fn watch(args: &SimulateArgs, options: &Options, plan: &Plan) -> Result<()> {
    let item = &plan.items[0];
    let policies = policies_of(item);
    let policy = policies
        .iter()
        .find(|p| plan.policies.first() == Some(&p.name))
        .context("no policy")?;
    let problems = |p: Vec<foresail_core::spec::SpecProblem>| anyhow::anyhow!("{}", p[0]);
    let engine = engine_of(policy.spec.clone(), options.seed).map_err(problems)?;
    let identity = Identity {
        uid: policy.name.clone(),
        generation: 1,
        epoch: 1,
    };
    let fly = |recorder: Option<Arc<Mutex<Option<Recorder>>>>, engine| -> Result<()> {
        let watcher = Watcher {
            recorder,
            log: args.log.is_some(),
            identity: identity.clone(),
        };
        let mut pilot = pilot(item, policy, engine, watcher);
        let mut cluster = item.setup.cluster.clone();
        cluster.initial = policy.initial;
        simulation::run(
            &cluster,
            &policy.pipeline,
            &item.workload,
            options.seed,
            &mut pilot,
        )?;
        Ok(())
    };
    let Some(path) = &args.record else {
        return fly(None, engine);
    };
    let mut failed = None;
    let gz = path.extension().is_some_and(|e| e == "gz");
    foresail_adapters::atomic::write_file(path, |out| {
        let record = || -> Result<()> {
            let shared = Shared::default();
            let recorder = Recorder::new(
                Box::new(shared.clone()),
                &engine,
                options.seed,
                &policy.name,
            )?;
            let cell = Arc::new(Mutex::new(Some(recorder)));
            fly(Some(Arc::clone(&cell)), engine)?;
            let recorder = cell
                .lock()
                .ok()
                .and_then(|mut r| r.take())
                .context("the recorder is gone")?;
            recorder.finish()?;
            let bytes = shared.take();
            if gz {
                let mut encoder =
                    flate2::write::GzEncoder::new(out, flate2::Compression::default());
                encoder.write_all(&bytes)?;
                encoder.finish()?;
            } else {
                out.write_all(&bytes)?;
            }
            Ok(())
        };
        record().map_err(|error| {
            let text = format!("{error:#}");
            failed = Some(error);
            std::io::Error::other(text)
        })
    })
    .map_err(|e| failed.take().unwrap_or_else(|| e.into()))?;
    eprintln!("record: {}", path.display());
    Ok(())
}

/// Bytes that a recorder writes and its owner takes.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|mut b| std::mem::take(&mut *b))
            .unwrap_or_default()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self
            .0
            .lock()
            .map_err(|_| std::io::Error::other("the record's bytes are gone"))?;
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn print(runs: &[Run], output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Json => {
            for run in runs {
                let figures: serde_json::Map<_, _> = run
                    .figures
                    .iter()
                    .map(|(k, v, _)| (k.clone(), json!(v)))
                    .collect();
                writeln!(
                    out,
                    "{}",
                    json!({"policy": run.policy, "item": run.item, "seed": run.seed, "measures": figures})
                )?;
            }
        }
        Output::Csv => {
            let names: Vec<&str> = runs
                .first()
                .map_or(&[][..], |r| &r.figures[..])
                .iter()
                .map(|f| f.0.as_str())
                .collect();
            writeln!(out, "policy,item,seed,{}", names.join(","))?;
            for run in runs {
                let figures: Vec<_> = run
                    .figures
                    .iter()
                    .map(|(_, v, _)| foresail_adapters::results::six_digits(*v))
                    .collect();
                writeln!(
                    out,
                    "{},{},{},{}",
                    run.policy,
                    run.item,
                    run.seed,
                    figures.join(",")
                )?;
            }
        }
        Output::Table => {
            let shown = [
                "violations_percent",
                "cost",
                "wait_p99_ms",
                "cold_starts",
                "actions",
                "flaps",
            ];
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::NOTHING);
            table.set_header(
                ["POLICY", "ITEM", "SEED"]
                    .into_iter()
                    .map(str::to_owned)
                    .chain(shown.iter().map(|s| s.to_uppercase())),
            );
            for run in runs {
                let item: String = run
                    .item
                    .rsplit('/')
                    .next()
                    .unwrap_or("")
                    .chars()
                    .take(12)
                    .collect();
                let figures = shown
                    .iter()
                    .filter_map(|k| run.figures.iter().find(|f| f.0 == *k));
                let cells = figures.map(|(_, v, digits)| number(*v, *digits));
                table.add_row(
                    [run.policy.clone(), item, run.seed.to_string()]
                        .into_iter()
                        .chain(cells),
                );
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(())
}
