//! `foresail experiment run-all`: the modes one after another under one schedule, each on a twin of its
//! own, then the same schedule rehearsed under everybody, and one report.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use foresail_adapters::kubernetes::client::Place;

use super::live::{Plan, Scene, needs, one};
use super::options::{ModeArg, Options};
use super::report;
use super::simulate::{self, Ran};
use super::summary::print;
use crate::cli::Output;
use crate::exit::Code;
use crate::experiment::Mode;
use crate::experiment::asked::{Asker, Choice};
use crate::experiment::live::strain::{Pods, Strained};
use crate::experiment::live::twin::{container, selector, twin};
use crate::experiment::schedule::Schedule;
use crate::interrupt;

/// The longest that the pods of a twin may take to be ready and measured, and to be gone.
const STEADY: Duration = Duration::from_secs(300);

/// The phases, as the published README names them, and ours.
const PHASES: [(&str, Mode); 4] = [
    ("a", Mode::HpaOnly),
    ("b", Mode::AiScaler),
    ("c", Mode::Comparison),
    ("d", Mode::Predictive),
];

/// The modes under one schedule, each on a twin of the deployment, the same rehearsed, and one report
#[derive(Args, Clone, Debug)]
pub(super) struct RunAllArgs {
    #[command(flatten)]
    options: Options,
    /// Port of the pods that load goes to [default: the first]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Leave out the same schedule in the simulator, which comes last
    #[arg(long)]
    no_rehearsal: bool,
}

/// One phase with what its schedule came to.
type Phase = (Ran, Strained);

/// Runs the command.
///
/// # Errors
/// Where something that a run needs is not there, a twin cannot be made, or a phase fails; twins are
/// taken away all the same.
pub(super) fn run(args: &RunAllArgs, out: &mut dyn Write) -> Result<Code> {
    let mut options = args.options.clone();
    ensure!(
        options.mode == ModeArg::Comparison,
        "run-all runs every mode: leave out --mode"
    );
    options.check_live(true)?;
    let output = Output::here(options.output)?;
    let schedule = match &options.stress {
        Some(file) => Schedule::read(file)?,
        None => Schedule::default(),
    };
    if options.duration <= 0.0 {
        options.duration = schedule.length().seconds() / 60.0;
    }
    let scene = Scene::new(&options)?;
    interrupt::catch();
    let choice = options.choice(Choice::of_live());
    needs(&scene, &choice, Mode::AiScaler, true)?;
    let meant = phases_of(&options);
    let record = options.record.as_deref();
    let mut asker = Some(Asker::new(&choice, &options.model, Duration::ZERO, record)?);
    let mut phases: Vec<Phase> = Vec::new();
    let mut worked = Ok(());
    for phase in meant.iter().copied() {
        if interrupt::asked() {
            break;
        }
        match whole(args, &options, &schedule, &scene, phase, &mut asker) {
            Ok(ran) => phases.push(ran),
            Err(error) => {
                worked = Err(error);
                break;
            }
        }
    }
    let left = scene.runtime.block_on(scene.site.delete_twins(STEADY));
    worked?;
    left?;
    let whole = phases.len() == meant.len();
    let whole = whole && phases.iter().all(|(r, _)| r.flown.end.is_some());
    let mut rehearsed = Vec::new();
    if let (true, false, Some(asker)) = (whole, args.no_rehearsal, &mut asker) {
        match rehearse(&options, asker) {
            Ok(all) => rehearsed = all,
            // Hours of phases are not thrown away for it.
            Err(error) => eprintln!("warning: the rehearsal: {error:#}"),
        }
    }
    let runs = Runs {
        phases,
        rehearsed,
        whole,
    };
    finish(&options, runs, asker, output, out)
}

/// The phases that can be run: a forecast needs to be told of the demand.
fn phases_of(options: &Options) -> Vec<(&'static str, Mode)> {
    let is_told = options.demand_query.is_some();
    if !is_told {
        eprintln!(
            "note: phase d, mode predictive, is left out: give --demand-query with the PromQL of the demand"
        );
    }
    let can = |(_, mode): &(&str, Mode)| is_told || *mode != Mode::Predictive;
    PHASES.into_iter().filter(can).collect()
}

/// The same schedule in the simulator under everybody, a run for each seed.
fn rehearse(options: &Options, asker: &mut Asker) -> Result<Vec<Ran>> {
    let own = Options {
        output_dir: options.output_dir.join("rehearsed"),
        ..options.clone()
    };
    eprintln!("rehearsal: every mode, {} seed(s)", own.seeds);
    simulate::beside(&own, &Mode::ALL, asker)
}

/// What was run.
struct Runs {
    phases: Vec<Phase>,
    rehearsed: Vec<Ran>,
    /// `true` where every phase came to its end.
    whole: bool,
}

/// One phase: its twin is made, run, and taken away.
fn whole(
    args: &RunAllArgs,
    options: &Options,
    schedule: &Schedule,
    scene: &Scene<'_>,
    (suffix, mode): (&str, Mode),
    asker: &mut Option<Asker>,
) -> Result<Phase> {
    let (site, runtime) = (&scene.site, &scene.runtime);
    let replicas = schedule
        .replicas
        .clamp(options.min_replicas, options.max_replicas);
    let of = scene.deployment()?;
    let made = twin(&of, suffix, replicas)?;
    let name = made.metadata.name.clone().unwrap_or_default();
    runtime.block_on(async {
        site.delete_twins(STEADY).await?;
        site.make_twin(&made).await
    })?;
    eprintln!("phase {suffix}: mode {} on {name}", mode.name());
    let own = Options {
        deployment: name.clone(),
        ..options.clone()
    };
    let twins = Scene::new(&own)?;
    // A client is driven by the runtime that it was made on, and by no other.
    let steady = twins.site.wait_steady(replicas, STEADY);
    twins.runtime.block_on(steady)?;
    let mut whom = asker
        .take()
        .ok_or_else(|| anyhow::anyhow!("nobody is left to be asked"))?;
    whom.begin_run()?;
    let plan = Plan {
        schedule,
        pods: Pods {
            cluster: Place {
                kubeconfig: options.live.kubeconfig.clone(),
                context: options.live.context.clone(),
            },
            namespace: options.namespace.clone(),
            deployment: name,
            selector: selector(&made),
            container: container(&made),
            port: args.port,
        },
    };
    let done = one(&twins, mode, whom, Some(&plan))?;
    *asker = Some(done.asker);
    ensure!(
        !done.rival,
        "another HorizontalPodAutoscaler came on the twin {}: its rows are kept and the phases end",
        plan.pods.deployment
    );
    for trouble in &done.strained.troubles {
        eprintln!("warning: {trouble}");
    }
    Ok((done.ran, done.strained))
}

fn finish(
    options: &Options,
    runs: Runs,
    asker: Option<Asker>,
    output: Output,
    out: &mut dyn Write,
) -> Result<Code> {
    let Runs {
        phases,
        rehearsed,
        whole,
    } = runs;
    let (label, text) = match &asker {
        Some(asker) => (asker.label.clone(), asker.text()),
        None => (String::new(), String::new()),
    };
    if let Some(asker) = asker {
        asker.finish()?;
    }
    for (ran, strained) in &phases {
        eprintln!("rows: {}", ran.file.display());
        if let Some(load) = &strained.load {
            let ms =
                |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.0} ms"));
            eprintln!(
                "load: {} requests, {} answered, median {}, p99 {}",
                load.due,
                load.answered,
                ms(load.latency_ms.p50),
                ms(load.latency_ms.p99)
            );
        }
    }
    let runs = phases.into_iter().map(|(r, _)| r).chain(rehearsed);
    let runs: Vec<Ran> = runs.collect();
    let files: Vec<PathBuf> = runs.iter().map(|r| r.file.clone()).collect();
    print(&runs, (&label, &text), output, out)?;
    if !files.is_empty() {
        let folder = options.output_dir.join("report");
        report::write(&files, &folder)?;
        eprintln!("report: {}", folder.join("index.html").display());
    }
    if !whole {
        eprintln!("interrupted: rows until then are kept");
        return Ok(Code::Interrupted);
    }
    Ok(Code::Done)
}
