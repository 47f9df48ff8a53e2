//! The flags of `foresail optimize`: those of the published manager with their defaults, and ours.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};
use foresail_core::quantity::time::Span;
use foresail_core::value::cost::Price;
use foresail_models::registry::TUNERS;

use super::deployment::DeploymentArgs;
use crate::cli::provider::ProviderArgs;
use crate::cli::{Output, whole};

/// Find the cheapest CPU and memory of a workflow's stages, or the requests of a Deployment's pods
#[derive(Args, Debug)]
pub struct OptimizeArgs {
    /// A published workflow (see `foresail workflow list`) or a workflow file
    #[arg(value_name = "WORKFLOW", required_unless_present_any = ["workflow_config", "deployment"])]
    pub(super) workflow: Option<String>,
    /// The same by the published flag: a workflow file, or a published workflow's name
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "workflow")]
    pub(super) workflow_config: Option<String>,
    /// Who asks for the trials [default: bayes where it is known, else random]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(TUNERS.iter().map(|t| t.name)))]
    pub(super) tuner: Option<String>,
    /// Knobs of the tuner that have no flag of their own
    #[arg(long = "tuner-knob", value_name = "NAME=VALUE")]
    pub(super) knobs: Vec<String>,
    #[command(flatten)]
    pub(super) published: PublishedArgs,
    #[command(flatten)]
    pub(super) protocol: ProtocolArgs,
    #[command(flatten)]
    pub(super) live: DeploymentArgs,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole)]
    pub(super) seed: u64,
    /// What all measurements together may cost; at least 0.001
    #[arg(long, value_name = "MONEY", value_parser = cap)]
    pub(super) spend_cap: Option<f64>,
    /// Write what was measured, and go on from it when the same search is run again
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
    /// Search on for so many trials from what the journal knows: the workflow has drifted
    #[arg(long, value_name = "COUNT", requires = "journal", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) reopen: Option<u64>,
    /// Write a flight record of every decision
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Write trials, figure, page and the best into a folder
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// How the end is printed; csv prints the trials [default: table]
    #[arg(long, short, value_enum)]
    pub(super) output: Option<Output>,
    #[command(flatten)]
    pub(super) provider: ProviderArgs,
}

/// The flags of the published manager; knobs of the tuner, where it has them.
#[derive(Args, Debug)]
#[command(next_help_heading = "Published flags (underscores are taken too)")]
pub(super) struct PublishedArgs {
    /// Trials of chance before the first batch
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(super) n_init: u32,
    /// Batches after them
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(super) n_batch: u32,
    /// Draws of the acquisition
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub(super) mc_samples: u32,
    /// Trials of a batch; they are measured one at a time
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(super) batch_size: u32,
    /// Searches for the acquisition's maximum
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(super) num_restarts: u32,
    /// Points that they start from
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub(super) raw_samples: u32,
    /// Cost of a plan that breaks the promise; 0 or too low is automatic: above all that is seen
    #[arg(long, value_name = "COST", default_value_t = 0.0)]
    pub(super) infeasible_cost: f64,
    /// Measure again what the other measurements do not lead to expect
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true")]
    pub(super) anomaly_detection: bool,
    /// Probability with which a sound measurement is not held for odd
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(super) confidence: f64,
    /// Tell every trial on stderr
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true")]
    pub(super) verbose: bool,
}

/// How a plan is measured.
#[derive(Args, Debug)]
#[command(next_help_heading = "Measurement")]
pub(super) struct ProtocolArgs {
    /// End-to-end seconds that are promised, in the place of the workflow's own
    #[arg(long, value_name = "SECONDS", value_parser = above_zero)]
    pub(super) qos: Option<f64>,
    /// Percentile that the promise holds for, in the place of the workflow's own
    #[arg(long, value_name = "PERCENT", value_parser = percentile)]
    pub(super) percentile: Option<f64>,
    /// Requests of each repeat
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) requests: u32,
    /// Times that the percentile is measured; the median counts
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeats: u32,
    /// Requests after a change that are discarded: their containers start
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(super) warmups: u32,
    /// End a measurement once its percentile is sure to be so many times the promise; `off` never
    #[arg(long, value_name = "FACTOR", default_value = "2", value_parser = abort)]
    pub(super) qos_abort: Abort,
    /// How long one answer is waited for
    #[arg(long, value_name = "SPAN", default_value = "300s", value_parser = wait)]
    pub(super) timeout: Span,
    /// Price of a vCPU-hour
    #[arg(long, value_name = "MONEY", default_value_t = Price::FUNCTIONS.cpu_core_hour, value_parser = zero_or_more)]
    pub(super) cpu_price: f64,
    /// Price of a GB-hour
    #[arg(long, value_name = "MONEY", default_value_t = Price::FUNCTIONS.memory_gib_hour, value_parser = zero_or_more)]
    pub(super) memory_price: f64,
}

/// When a measurement is ended early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Abort(pub(super) Option<f64>);

fn number(text: &str, fits: impl Fn(f64) -> bool, must: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && fits(*n));
    number.ok_or_else(|| format!("must be {must}"))
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text, |n| n > 0.0, "a number above 0")
}

fn zero_or_more(text: &str) -> Result<f64, String> {
    number(text, |n| n >= 0.0, "a number of 0 or more")
}

fn percentile(text: &str) -> Result<f64, String> {
    number(text, |n| n > 0.0 && n <= 100.0, "above 0 and at most 100")
}

fn cap(text: &str) -> Result<f64, String> {
    number(text, |n| (0.001..=1e12).contains(&n), "0.001 or more")
}

fn abort(text: &str) -> Result<Abort, String> {
    if text == "off" {
        return Ok(Abort(None));
    }
    let factor = number(text, |n| n >= 1.0, "a number of 1 or more, or `off`")?;
    Ok(Abort(Some(factor)))
}

fn wait(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    let fits = span > Span::ZERO && span <= Span::from_seconds(86_400);
    fits.then_some(span)
        .ok_or_else(|| "must be above 0 and at most a day".to_owned())
}
