//! What a comparison is told: flags over settings over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Command, FromArgMatches, ValueEnum};
use foresail_adapters::registry::format_names;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::value::cost::Price;
use foresail_core::value::slo::Slo;
use foresail_models::rng::Seed;
use foresail_sim::config::{Queueing, Shape};
use foresail_sim::workload::{Mmpp, Within, Workload};

use super::aapa_file;
use super::own_hpa::OwnHpa;
use super::prometheus::RangeArgs;
use crate::cli::whole;
use crate::config::aapa::AapaConfig;
use crate::config::{Environment, Settings};

/// How the requests of a trace come: within each step, or by a process that jumps between states.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrivalsArg {
    /// Each step has its count.
    Within(Within),
    /// The trace's rate, slower and faster by the states; a step's count is a mean.
    Mmpp(Mmpp),
}

impl std::str::FromStr for ArrivalsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("mmpp:")) {
            ("poisson", _) => Ok(Self::Within(Within::Poisson)),
            ("uniform", _) => Ok(Self::Within(Within::Uniform)),
            ("bursty", _) => Ok(Self::Within(Within::Bursty)),
            (_, Some(states)) => states.parse().map(Self::Mmpp).map_err(|e| e.to_string()),
            _ => Err("write poisson, uniform, bursty or mmpp:RATE/STAY,RATE/STAY".to_owned()),
        }
    }
}

impl std::fmt::Display for ArrivalsArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Within(within) => write!(f, "{within:?}"),
            Self::Mmpp(process) => write!(
                f,
                "MMPP of {} states around the trace's rate",
                process.shares().len()
            ),
        }
    }
}

impl ArrivalsArg {
    /// Counts per step as a workload.
    #[must_use]
    pub fn workload(&self, start: Timestamp, step: Span, counts: Vec<u32>) -> Workload {
        match self {
            Self::Within(within) => Workload::Counts {
                start,
                step,
                counts,
                within: *within,
            },
            Self::Mmpp(process) => {
                let mean = process.mean_rate() * step.seconds();
                let part = |count: u32| (step, f64::from(count) / mean);
                Workload::Mmpp {
                    start,
                    parts: counts.into_iter().map(part).collect(),
                    process: process.clone(),
                }
            }
        }
    }
}

/// What a gap of a trace means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GapsArg {
    /// The trace is refused.
    Error,
    /// No request came.
    Zero,
    /// As many as in the step before.
    Hold,
}

/// What is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Requests, pods and queues of each item, one by one.
    #[default]
    Event,
    /// Calls and containers of all items together: keep-alive and pools.
    Function,
    /// Demand as a rate, pods as counted groups: for thousands of functions.
    Fluid,
}

/// Where requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueueArg {
    /// In one queue before all pods.
    Central,
    /// In a queue of the least loaded pod.
    PerPod,
}

/// A number of runs at once.
pub(crate) fn jobs(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("must be 0 (one per core) to {JOBS_MAX}"))
}

/// A number of items, or all of them.
fn functions(text: &str) -> Result<usize, String> {
    if text == "all" {
        return Ok(usize::MAX);
    }
    text.parse()
        .map_err(|_| "write a number of functions, or all".to_owned())
}

/// Form of the distribution of a time; `None` is that of the trace's percentiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapeArg(pub Option<Shape>);

impl std::str::FromStr for ShapeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "constant" => Ok(Self(Some(Shape::Constant))),
            None if text == "exponential" => Ok(Self(Some(Shape::Exponential))),
            None if text == "trace" => Ok(Self(None)),
            Some((form @ ("lognormal" | "gamma"), cv)) => {
                let cv = cv
                    .parse()
                    .map_err(|_| format!("`{cv}` is no coefficient of variation"))?;
                Ok(Self(Some(match form {
                    "gamma" => Shape::Gamma(cv),
                    _ => Shape::Lognormal(cv),
                })))
            }
            _ => Err(
                "write constant, exponential, lognormal:CV, gamma:CV or trace, such as lognormal:1.5"
                    .to_owned(),
            ),
        }
    }
}

/// Flags of every command that simulates.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The trace to replay; the built-in sample where absent. A file, or a folder of Azure day files
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Format of the trace, where its header does not tell
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(format_names()))]
    pub format: Option<String>,
    /// How the workload is simulated
    #[arg(long, value_enum, default_value_t = ModeArg::Event)]
    pub mode: ModeArg,
    /// Fluid mode: demand above capacity waits for later, instead of being lost
    #[arg(long)]
    pub backlog: bool,
    /// Simulate the N busiest items of the trace, each on its own, or all
    #[arg(long, value_name = "N", value_parser = functions, allow_hyphen_values = true)]
    pub functions: Option<usize>,
    /// Run times of an Azure 2019 trace
    #[arg(long, value_name = "FILE")]
    pub durations: Option<PathBuf>,
    /// Memory of an Azure 2019 trace; only in function mode it does more than cost
    #[arg(long, value_name = "FILE")]
    pub memory: Option<PathBuf>,
    /// Skip rows that cannot be read, and say how many
    #[arg(long)]
    pub skip_bad_rows: bool,
    /// What a gap of the trace means
    #[arg(long, value_enum, default_value_t = GapsArg::Error)]
    pub gaps: GapsArg,
    /// How requests lie within a step of the trace: poisson, uniform, bursty, or
    /// mmpp:RATE/STAY,RATE/STAY for states of relative rates and mean stays
    #[arg(long, value_name = "FORM", default_value = "poisson")]
    pub arrivals: ArrivalsArg,
    /// Policies to run: all, or names with commas between
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub policies: String,
    /// Your own HPA's manifest: policy hpa is run with it, and the report judges it
    #[arg(long, value_name = "FILE")]
    pub hpa: Option<PathBuf>,
    /// Requests per second that one replica serves for ever; sets concurrency and CPU per request
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    pub capacity: Option<f64>,
    /// YAML file with the rules of policy schedule
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,
    /// AAPA's YAML configuration: values of policy aapa, and the start-up
    #[arg(long, value_name = "FILE")]
    pub aapa_config: Option<PathBuf>,
    /// The only source of chance [default: 42]
    #[arg(long, value_parser = whole, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// The promise [default: wait<200ms:99%]
    #[arg(long)]
    pub slo: Option<Slo>,
    /// Mean time that a request is served [default: 100ms; the sample: 2s]
    #[arg(long, allow_hyphen_values = true)]
    pub service: Option<Span>,
    /// Form of the service time: constant, exponential, lognormal:CV, gamma:CV, or trace for that
    /// of the percentiles in --durations
    #[arg(long, default_value = "exponential")]
    pub service_shape: ShapeArg,
    /// Requests that a pod serves at once [default: 10; the sample: 2]
    #[arg(long, allow_hyphen_values = true)]
    pub concurrency: Option<u32>,
    /// CPU time of a mean request [default: 100ms; the sample: 1s]
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_per_request: Option<Span>,
    /// CPU request of a pod in millicores
    #[arg(long, default_value_t = 1000, allow_hyphen_values = true)]
    pub cpu_request: u32,
    /// Memory request of a pod in GiB
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    pub memory_request: f64,
    /// Time from a pod's creation to its readiness [default: 45s]
    #[arg(long, allow_hyphen_values = true)]
    pub startup: Option<Span>,
    /// Form of the start-up time
    #[arg(long, default_value = "constant")]
    pub startup_shape: ShapeArg,
    /// CPU that a pod burns while it starts, in millicores
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub startup_cpu: u32,
    /// Where requests wait
    #[arg(long, value_enum, default_value_t = QueueArg::Central)]
    pub queue: QueueArg,
    /// Requests that may wait; more are rejected
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub queue_max: Option<u32>,
    /// Waiting longer, a request gives up
    #[arg(long, allow_hyphen_values = true)]
    pub timeout: Option<Span>,
    /// Time between two decisions of policies on CPU [default: 15s]
    #[arg(long, allow_hyphen_values = true)]
    pub sync: Option<Span>,
    /// Time between two samples of a pod's CPU
    #[arg(long, default_value = "15s", allow_hyphen_values = true)]
    pub scrape: Span,
    /// Span that a sample is the mean of
    #[arg(long, default_value = "30s", allow_hyphen_values = true)]
    pub metric_window: Span,
    /// Age of a measurement before it is seen [default: 30s]
    #[arg(long, allow_hyphen_values = true)]
    pub metric_delay: Option<Span>,
    /// Share of samples that are lost, 0 to 1
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    pub metric_loss: f64,
    /// Price of a replica for an hour [default: 0.04]
    #[arg(long, value_name = "PRICE", allow_hyphen_values = true)]
    pub cost_per_replica_hour: Option<f64>,
    /// TOML file with the prices replica_hour, cpu_core_hour, memory_gib_hour
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// The fewest replicas [default: 1]
    #[arg(long, allow_hyphen_values = true)]
    pub min: Option<u32>,
    /// The most replicas [default: 100]
    #[arg(long, allow_hyphen_values = true)]
    pub max: Option<u32>,
    /// CPU utilization that the HPA aims at, in percent [default: 80]
    #[arg(long, allow_hyphen_values = true)]
    pub hpa_target: Option<u32>,
    /// Runs at once [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs, allow_hyphen_values = true)]
    pub jobs: Option<usize>,
    /// A short run, to see that all is well
    #[arg(long)]
    pub quick: bool,
    /// Settings file [default: ./foresail.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The most replicas that a target may have.
const REPLICAS_MAX: u32 = 100_000;

/// The most runs at once, each a thread.
const JOBS_MAX: usize = 1024;

impl RunArgs {
    /// The flags of `compare --mode function` where nobody gives any other.
    ///
    /// # Errors
    /// Never: there is nothing to be refused.
    pub fn of_functions() -> Result<Self> {
        let command = Self::augment_args(Command::new("compare"));
        let matches = command.try_get_matches_from(["compare", "--mode", "function"])?;
        Ok(Self::from_arg_matches(&matches)?)
    }
}

/// Flags over settings over defaults, checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The flags.
    pub args: RunArgs,
    /// The settings under them.
    pub settings: Settings,
    /// The seed.
    pub seed: Seed,
    /// The promise.
    pub slo: Slo,
    /// The prices.
    pub price: Price,
    /// Start-up.
    pub startup: Span,
    /// Sync period.
    pub sync: Span,
    /// Metric delay.
    pub metric_delay: Span,
    /// Bounds.
    pub bounds: (u32, u32),
    /// The HPA's target in percent.
    pub hpa_target: u32,
    /// Where requests wait.
    pub queueing: Queueing,
    /// Runs at once; 0 is one per core.
    pub jobs: usize,
    /// The user's own HPA.
    pub own: Option<OwnHpa>,
    /// AAPA's configuration.
    pub aapa: AapaConfig,
}

/// A file of prices.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    replica_hour: Option<f64>,
    cpu_core_hour: Option<f64>,
    memory_gib_hour: Option<f64>,
}

impl Options {
    /// Resolves flags, environment, file and defaults.
    ///
    /// # Errors
    /// Every unknown setting and wrong value, with its place and the mend.
    pub fn new(args: RunArgs) -> Result<Self> {
        let mut settings = Settings::load(args.config.as_deref(), &Environment)?;
        let text = |value: Option<String>| value;
        settings.flag("simulate.seed", text(args.seed.map(|s| s.to_string())));
        settings.flag("slo.promise", text(args.slo.map(|s| s.to_string())));
        let aapa = match &args.aapa_config {
            Some(path) => aapa_file::read(path)?,
            None => AapaConfig::default(),
        };
        let startup = args.startup.or(aapa.startup);
        settings.flag("simulate.startup", text(startup.map(|s| s.to_string())));
        settings.flag("simulate.sync", text(args.sync.map(|s| s.to_string())));
        settings.flag(
            "simulate.metric_delay",
            text(args.metric_delay.map(|s| s.to_string())),
        );
        settings.flag("simulate.min", text(args.min.map(|n| n.to_string())));
        settings.flag("simulate.max", text(args.max.map(|n| n.to_string())));
        settings.flag(
            "simulate.hpa_target",
            text(args.hpa_target.map(|n| n.to_string())),
        );
        settings.flag("simulate.jobs", text(args.jobs.map(|n| n.to_string())));
        settings.flag(
            "cost.replica_hour",
            text(args.cost_per_replica_hour.map(|p| p.to_string())),
        );
        if let Some(path) = &args.prices {
            let name = path.display();
            let file =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            let prices: Prices =
                toml::from_str(&file).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
            settings.flag(
                "cost.replica_hour",
                prices.replica_hour.map(|p| p.to_string()),
            );
            settings.flag(
                "cost.cpu_core_hour",
                prices.cpu_core_hour.map(|p| p.to_string()),
            );
            settings.flag(
                "cost.memory_gib_hour",
                prices.memory_gib_hour.map(|p| p.to_string()),
            );
        }
        let price = Price {
            replica_hour: settings.parse("cost.replica_hour")?,
            cpu_core_hour: settings.parse("cost.cpu_core_hour")?,
            memory_gib_hour: settings.parse("cost.memory_gib_hour")?,
        };
        let own = args
            .hpa
            .as_deref()
            .map(|path| OwnHpa::read(path, args.cpu_request));
        let own = own.transpose()?;
        let (bounds, hpa_target) = match &own {
            Some(own) => (own.bounds, own.target_percent),
            None => (
                (
                    settings.parse("simulate.min")?,
                    settings.parse("simulate.max")?,
                ),
                settings.parse("simulate.hpa_target")?,
            ),
        };
        let queueing = match args.queue {
            QueueArg::Central => Queueing::Central,
            QueueArg::PerPod => Queueing::PerPod,
        };
        let options = Self {
            seed: Seed(settings.parse("simulate.seed")?),
            slo: settings.parse("slo.promise")?,
            price,
            startup: settings.parse("simulate.startup")?,
            sync: settings.parse("simulate.sync")?,
            metric_delay: settings.parse("simulate.metric_delay")?,
            bounds,
            hpa_target,
            queueing,
            jobs: settings.parse("simulate.jobs")?,
            own,
            aapa,
            args,
            settings,
        };
        options.check()?;
        Ok(options)
    }

    /// The trace whose items are read and simulated chunk by chunk: all of them, in fluid mode.
    pub(super) fn streamed(&self) -> Option<&Path> {
        let all = self.args.mode == ModeArg::Fluid && self.args.functions == Some(usize::MAX);
        self.args.trace.as_deref().filter(|_| all)
    }

    fn check(&self) -> Result<()> {
        self.check_own()?;
        if self.args.backlog && self.args.mode != ModeArg::Fluid {
            bail!("--backlog belongs to --mode fluid: in event mode requests wait as they do");
        }
        let (min, max) = self.bounds;
        if max == 0 || min > max {
            bail!("--min {min} is above --max {max}, or --max is 0: raise --max or lower --min");
        }
        if min == 0 {
            bail!(
                "--min 0: these policies run on CPU of pods, which needs one: write --min 1 or more"
            );
        }
        if max > REPLICAS_MAX {
            let name = self
                .own
                .as_ref()
                .map_or("--max", |_| "maxReplicas of --hpa");
            bail!("{name} {max}: must be {REPLICAS_MAX} or less");
        }
        if self.jobs > JOBS_MAX {
            bail!(
                "--jobs {}: must be {JOBS_MAX} or less; 0 is one per core",
                self.jobs
            );
        }
        if self.hpa_target == 0 || self.hpa_target > 1000 {
            bail!(
                "--hpa-target {}: must be 1 to 1000 percent",
                self.hpa_target
            );
        }
        if !self.price.is_valid() {
            bail!("prices must be 0 or more: {:?}", self.price);
        }
        if self.args.startup_shape.0.is_none() {
            bail!("--startup-shape trace: a trace knows no start-up; name another form");
        }
        if self.args.functions == Some(0) {
            bail!("--functions 0: must be 1 or more");
        }
        Ok(())
    }

    fn check_own(&self) -> Result<()> {
        let args = &self.args;
        if let Some(capacity) = args.capacity
            && !(capacity.is_finite() && (1e-6..=1e9).contains(&capacity))
        {
            bail!("--capacity {capacity}: must be above 0, in requests per second");
        }
        if self.own.is_some() {
            let twice = [
                ("--min", args.min.is_some()),
                ("--max", args.max.is_some()),
                ("--hpa-target", args.hpa_target.is_some()),
            ];
            if let Some((flag, _)) = twice.iter().find(|(_, given)| *given) {
                bail!("{flag} stands in the HPA's manifest: change it there, or leave --hpa out");
            }
        }
        Ok(())
    }
}
