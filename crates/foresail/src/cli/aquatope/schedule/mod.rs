//! `foresail aquatope schedule`: pools of a workflow's or trace's functions, decided minute by minute
//! in the simulator by the same engine that serves, and what they are worth beside keep-alives.

mod calls;
mod live;
mod stages;
mod told;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use foresail_core::quantity::time::Span;
use foresail_models::forecast::pool_net::PoolNet;
use foresail_models::propose::pool::net::shipped;
use foresail_models::rng::Seed;
use foresail_sim::config::Times;
use foresail_sim::driver::Deaf;
use foresail_sim::function::driver::KeepListener;
use foresail_sim::function::policy::{FunctionPolicy, fixed, histogram, net};
use foresail_sim::function::{Function, FunctionMeasures, Keep, Platform};
use serde_json::json;

use self::calls::Calls;
use self::told::{Changes, Flown, Level, print};
use crate::cli::provider::ProviderArgs;
use crate::cli::{Output, whole};
use crate::compare::function_mode::{FIXED_REFERENCE, Memory, fly};
use crate::exit::Code;
use crate::forecast::pool_net;

/// File of a net that serves, in its folder.
const NET: &str = "predict.safetensors";

/// Time between two decisions. Source: steps of the published training.
const MINUTE: Span = Span::from_seconds(60);

/// Flags of `aquatope schedule`.
#[derive(Args, Debug)]
pub(super) struct ScheduleArgs {
    /// Steps that the net reads; must be those of the net
    #[arg(long, value_name = "N", default_value_t = 48)]
    n_input_steps: usize,
    /// Steps ahead that the net tells; must be those of the net
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_output_steps: usize,
    /// Folder of the trained net; the shipped one serves where it holds no predict.safetensors
    #[arg(long, value_name = "FOLDER", default_value = "model_artifacts")]
    model_dir: PathBuf,
    #[command(flatten)]
    calls: Calls,
    /// Passes with dropout left on; one tells a point, its doubt being that of the residuals
    #[arg(long, value_name = "N", default_value_t = 128,
        value_parser = clap::value_parser!(u64).range(1..=1024))]
    passes: u64,
    /// Share of the next minute's peaks that a pool holds, 0.5 to 0.999
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = share)]
    quantile: f64,
    /// How a quantile between two whole numbers becomes containers
    #[arg(long, value_enum, default_value = "nearest")]
    rounding: RoundingArg,
    /// How long an idle container beyond the pool stays warm after its last use
    #[arg(long, value_name = "SPAN", default_value = "600s", value_parser = keep_alive)]
    keep_alive: Span,
    /// Memory that all warm pools may hold together, such as 4GiB; what the keep-alive holds beyond
    /// them is not counted [default: no bound]
    #[arg(long, value_name = "BYTES")]
    memory_budget: Option<Memory>,
    /// The most containers of one pool
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,
    /// Mean start-up time of a container
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    cold_start: Span,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How it is told [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Told>,
    #[command(flatten)]
    live: live::LiveArgs,
    #[command(flatten)]
    provider: ProviderArgs,
}

/// How a schedule can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Told {
    /// For people
    #[value(alias = "text")]
    Table,
    /// For programs
    Json,
}

impl From<Told> for Output {
    fn from(told: Told) -> Self {
        match told {
            Told::Table => Self::Table,
            Told::Json => Self::Json,
        }
    }
}

/// How a quantile between two whole numbers becomes containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoundingArg {
    /// To the nearest whole number, as peaks are whole
    Nearest,
    /// To the next whole number above
    Up,
}

impl RoundingArg {
    /// The word of the proposer's knob.
    fn word(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Up => "up",
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if (0.5..=0.999).contains(&share) {
        Ok(share)
    } else {
        Err("must be 0.5 to 0.999".to_owned())
    }
}

fn keep_alive(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    if !span.is_negative() && span <= Span::from_seconds(604_800) {
        Ok(span)
    } else {
        Err("must be 0 to 7 days".to_owned())
    }
}

/// What every policy is run on.
struct Scene {
    platform: Platform,
    functions: Vec<Function>,
    budget: Option<u64>,
    seed: Seed,
}

impl Scene {
    fn fly<L: KeepListener>(
        &self,
        policy: &FunctionPolicy,
        listener: L,
    ) -> Result<(FunctionMeasures, L)> {
        let both = (&self.platform, self.functions.as_slice());
        fly(policy, both, self.budget, self.seed, listener)
    }
}

impl ScheduleArgs {
    /// The net's file, absent = the shipped one, and the net.
    fn net(&self) -> Result<(Option<Vec<u8>>, PoolNet)> {
        let path = self.model_dir.join(NET);
        let (file, net) = if path.exists() {
            let (file, net) = pool_net::read(&path)?;
            (Some(file), net)
        } else {
            eprintln!(
                "note: {} is not there; the shipped net serves (`foresail aquatope train-predictor` trains another)",
                path.display()
            );
            (None, shipped()?)
        };
        self.check(&net)?;
        Ok((file, net))
    }

    fn check(&self, net: &PoolNet) -> Result<()> {
        let (reads, tells) = (net.window(), net.reach());
        if self.n_input_steps != reads {
            bail!(
                "--n-input-steps {}: the net reads {reads} steps; write {reads}, or train it with as many",
                self.n_input_steps
            );
        }
        if self.n_output_steps != tells {
            bail!(
                "--n-output-steps {}: the net tells {tells} steps; write {tells}, or train it with as many",
                self.n_output_steps
            );
        }
        if net.step() != MINUTE {
            bail!(
                "the net's steps are {}, pools are decided each minute; train it on a trace with steps of a minute",
                net.step()
            );
        }
        Ok(())
    }

    fn policy(&self, file: Option<Vec<u8>>) -> FunctionPolicy {
        let policy = net(file)
            .with("passes", json!(self.passes))
            .with(
                "quantilePercent",
                json!(Level::new(self.quantile).percent()),
            )
            .with("keepAliveSeconds", json!(self.keep_alive.seconds()))
            .with("rounding", json!(self.rounding.word()));
        FunctionPolicy {
            pool_max: self.max,
            ..policy
        }
    }
}

/// Runs `aquatope schedule`.
///
/// # Errors
/// Where the net, the workflow or the trace cannot be read, or they do not fit together.
pub(super) fn run(args: &ScheduleArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output.map(Output::from))?;
    if output == Output::Csv {
        bail!("output.format csv: a schedule is a table or JSON lines; write --output json");
    }
    if args.provider.live().is_some() {
        return live::run(args, output, out);
    }
    args.provider.check_simulated()?;
    args.live.check_simulated()?;
    let (file, net) = args.net()?;
    let scene = Scene {
        platform: Platform {
            cold_start: Times {
                mean: args.cold_start,
                ..Platform::default().cold_start
            },
            keep: Keep::default(),
            ..Platform::default()
        },
        functions: args.calls.read(args.seed)?,
        budget: args.memory_budget.map(|m| m.0),
        seed: Seed(args.seed),
    };
    scene.platform.check(&scene.functions)?;
    warn_of_short(&scene, net.window());
    let policy = args.policy(file);
    let level = Level::new(args.quantile);
    let listener = Changes::new(&scene.functions, level);
    let (measured, changes) = scene.fly(&policy, listener)?;
    tell_beyond(scene.budget, &measured);
    let mut flown = vec![Flown::new(&policy.name, measured)];
    for reference in [fixed(FIXED_REFERENCE), histogram()] {
        let (measured, _) = scene.fly(&reference, Deaf)?;
        flown.push(Flown::new(&reference.name, measured));
    }
    print(&changes, &flown, scene.budget, output, out)?;
    Ok(Code::Done)
}

/// A budget of pools is none of the containers that the keep-alive holds beyond them.
fn tell_beyond(budget: Option<u64>, measured: &FunctionMeasures) {
    let most = measured.memory_most();
    if let Some(budget) = budget.filter(|b| most > *b) {
        eprintln!(
            "note: all containers together held up to {:.3} GB, above the budget of {:.3} GB: it bounds the pools, not what the keep-alive holds beyond them (a shorter --keep-alive holds less)",
            most as f64 / 1e9,
            budget as f64 / 1e9
        );
    }
}

/// A history that is too short is no error: until there is enough of it, the keep-alive alone holds.
fn warn_of_short(scene: &Scene, window: usize) {
    let length = scene.functions[0].workload.length();
    let minutes = length.whole_seconds() / 60;
    if minutes <= window as i64 {
        eprintln!(
            "warning: {minutes} minutes of calls; the net reads {window}: pools stay empty, the keep-alive alone holds"
        );
    } else {
        eprintln!(
            "note: until minute {window} of {minutes} the net has too little to read and the keep-alive alone holds"
        );
    }
}
