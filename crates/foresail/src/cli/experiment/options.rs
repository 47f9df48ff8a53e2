//! Every option of the published experiment, by its name and with its default, and some of ours.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use foresail_core::quantity::time::Span;

use crate::cli::run::HpaArgs;
use crate::cli::{Output, whole};
use crate::experiment::Mode;
use crate::experiment::asked::Choice;
use crate::experiment::world::PAST_MAX;

/// Modes by their published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeArg {
    /// The HPA governs; the adviser is asked and only logged
    #[value(name = "hpa_only")]
    HpaOnly,
    /// The adviser's changes on top of the HPA; without them the HPA alone
    #[value(name = "ai_scaler")]
    AiScaler,
    /// Nobody governs: nothing is written
    #[value(name = "comparison")]
    Comparison,
    /// Foresail's own policy on a forecast of the demand, the HPA as its floor
    #[value(name = "predictive")]
    Predictive,
    /// The published HPA simulator, its mistakes included; in the simulator alone
    #[value(name = "naive_hpa")]
    NaiveHpa,
    /// The cheapest plan of one who knows all demand to come; in the simulator alone
    #[value(name = "oracle")]
    Oracle,
    /// All of them one after another on the same seeds, and the report
    #[value(name = "all")]
    All,
}

impl ModeArg {
    /// The modes to run.
    pub(super) fn modes(self) -> Vec<Mode> {
        match self {
            Self::HpaOnly => vec![Mode::HpaOnly],
            Self::AiScaler => vec![Mode::AiScaler],
            Self::Comparison => vec![Mode::Comparison],
            Self::Predictive => vec![Mode::Predictive],
            Self::NaiveHpa => vec![Mode::NaiveHpa],
            Self::Oracle => vec![Mode::Oracle],
            Self::All => Mode::ALL.to_vec(),
        }
    }
}

/// The flags.
#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    /// Rehearse in the simulator: no cluster, no Prometheus, and no model unless --llm or --ollama-url names one
    #[arg(long)]
    pub(super) simulate: bool,
    /// Who governs
    #[arg(long, value_enum, default_value = "comparison")]
    pub(super) mode: ModeArg,
    /// Seconds between two rows
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) interval: u32,
    /// Minutes; 0 = until an interrupt, in the simulator the length of the schedule
    #[arg(long, value_name = "MINUTES", default_value_t = 0.0)]
    pub(super) duration: f64,
    /// Prometheus; without effect in the simulator [default: http://localhost:9090]
    #[arg(long, value_name = "URL")]
    pub(super) prometheus_url: Option<String>,
    /// Where the model answers; in the simulator it is asked only where this is given [default:
    /// http://localhost:11434/v1]
    #[arg(long, value_name = "URL", conflicts_with = "llm")]
    pub(super) ollama_url: Option<String>,
    /// The model's name, where one is asked
    #[arg(long, value_name = "NAME", default_value = "qwen2.5-coder:3b")]
    pub(super) model: String,
    /// The workload's namespace; in the simulator a name and nothing more
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) namespace: String,
    /// The workload's name
    #[arg(long, value_name = "NAME", default_value = "webapp")]
    pub(super) deployment: String,
    /// The fewest replicas
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) min_replicas: u32,
    /// The most replicas
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) max_replicas: u32,
    /// CPU that is aimed at, in percent of the request
    #[arg(long, value_name = "PERCENT", default_value_t = 60)]
    pub(super) cpu_target: u32,
    /// Memory that is aimed at, in percent of the request
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    pub(super) memory_target: u32,
    /// Minutes of the past that the adviser is shown, ten rows at most
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    pub(super) history_minutes: u32,
    /// Where the CSV files go
    #[arg(long, value_name = "FOLDER", default_value = "./experiment_data")]
    pub(super) output_dir: PathBuf,
    /// One line per row on stderr
    #[arg(long)]
    pub(super) verbose: bool,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    pub(super) seed: u64,
    /// Seeds, counted up from --seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) seeds: u64,
    /// What comes and what pods are put under, as TOML or JSON [default: the published README's half hour]
    #[arg(long, value_name = "FILE")]
    pub(super) stress: Option<PathBuf>,
    /// Who is asked: `scripted:NAME` (a rule, no language model), `replay:FILE`, or an endpoint's address
    /// [default: scripted:trend in the simulator, else --ollama-url]
    #[arg(long, value_name = "WHO")]
    pub(super) llm: Option<Choice>,
    /// Record questions and answers; `--llm replay:FILE` gives the same run again
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Simulated time that an answer takes; later than half an interval it is let go [default: 2s for a
    /// rule, else as it was measured]
    #[arg(long, value_name = "SPAN")]
    pub(super) latency: Option<Span>,
    /// Take changes only once enough of them were right, as measured; else every one within ±2
    #[arg(long)]
    pub(super) gated: bool,
    /// Fill the `hpa_sim_` columns with the published simulator instead of the exact HPA
    #[arg(long)]
    pub(super) naive_hpa: bool,
    /// Demand in requests per second as PromQL, for mode predictive on a cluster; `{deployment}` stands for
    /// the deployment's name
    #[arg(long, value_name = "PROMQL")]
    pub(super) demand_query: Option<String>,
    /// The past that mode predictive begins with: on a cluster what Prometheus has of the demand, in the
    /// simulator the schedule once an hour
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    pub(super) past: Span,
    /// Demand that mode predictive counts a replica for, req/s [default: learnt]
    #[arg(long, value_name = "N")]
    pub(super) capacity: Option<f64>,
    /// How the summary is printed [default: table]
    #[arg(long, short, value_enum)]
    pub(super) output: Option<Output>,
    #[command(flatten)]
    pub(super) live: LiveOptions,
}

/// The flags of a run on a cluster.
#[derive(Args, Clone, Debug)]
pub(super) struct LiveOptions {
    /// Look at the five things that a live run needs, and end
    #[arg(long, conflicts_with_all = ["simulate", "restore"])]
    pub(super) check: bool,
    /// Put back what a run left behind that nobody ended, and end
    #[arg(long, conflicts_with = "simulate")]
    pub(super) restore: bool,
    /// The kubeconfig [default: KUBECONFIG, that of the user, or the pod's own account]
    #[arg(long, value_name = "FILE", conflicts_with = "simulate")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", conflicts_with = "simulate")]
    pub(super) context: Option<String>,
    /// The longest that is waited for the cluster when the HPA is put back
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) timeout: Span,
    #[command(flatten)]
    pub(super) hpa: HpaArgs,
}

impl Options {
    /// Who is asked, where nobody names another.
    pub(super) fn choice(&self, unnamed: Choice) -> Choice {
        match &self.ollama_url {
            Some(url) => Choice::Endpoint(url.clone()),
            None => self.llm.clone().unwrap_or(unnamed),
        }
    }

    /// Refuses what only a rehearsal can do; `has_schedule` where one is carried out.
    ///
    /// # Errors
    /// With the flag and the mend.
    pub(super) fn check_live(&self, has_schedule: bool) -> Result<()> {
        ensure!(
            self.mode != ModeArg::All,
            "--mode all needs a world in which three runs meet the same: `foresail experiment run-all` has twins for \
             that, and --simulate has seeds"
        );
        self.check_governor()?;
        for (is_given, flag, mend) in [
            (
                self.seeds != 1 && !has_schedule,
                "--seeds",
                "a cluster has no seeds; run it again",
            ),
            (
                self.latency.is_some(),
                "--latency",
                "an answer takes the time that it takes",
            ),
            (
                self.stress.is_some() && !has_schedule,
                "--stress",
                "stress comes from `foresail stress` and `foresail load`, or with a schedule from `experiment run-all`",
            ),
        ] {
            ensure!(
                !is_given,
                "{flag} is of the simulator: {mend}, or give --simulate"
            );
        }
        Ok(())
    }

    /// Refuses who cannot govern a cluster.
    fn check_governor(&self) -> Result<()> {
        ensure!(
            self.mode != ModeArg::NaiveHpa,
            "--mode naive_hpa is of the simulator: on a cluster what it would ask for is written beside the rows of \
             hpa_only; run that, or give --simulate"
        );
        ensure!(
            self.mode != ModeArg::Oracle,
            "--mode oracle is of the simulator: nobody knows what will come to a cluster; give --simulate"
        );
        ensure!(
            self.mode != ModeArg::Predictive || self.demand_query.is_some(),
            "--mode predictive forecasts the demand: give --demand-query with the PromQL that tells it, such as \
             'sum(rate(http_requests_total{{namespace=\"shop\"}}[1m]))'"
        );
        ensure!(
            !self.past.is_negative() && self.past <= PAST_MAX,
            "--past {}: must be 0 to {PAST_MAX}",
            self.past
        );
        Ok(())
    }

    /// The demand's query for a deployment.
    pub(super) fn demand_of(&self, deployment: &str) -> Option<String> {
        let query = self.demand_query.as_ref()?;
        Some(query.replace("{deployment}", deployment))
    }

    /// What was given without effect.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.prometheus_url.is_some() {
            notes.push(
                "--prometheus-url has no effect in the simulator: metrics come from its own pods"
                    .to_owned(),
            );
        }
        if self.demand_query.is_some() {
            notes.push(
                "--demand-query has no effect in the simulator: demand is that of its own schedule"
                    .to_owned(),
            );
        }
        notes
    }
}
