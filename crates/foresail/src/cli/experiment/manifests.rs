//! `foresail experiment manifests`: the experiment's workload and its HPA as YAML.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::exit::Code;
use crate::experiment::webapp::{Hpa, WEBAPP};

/// Print the workload and its HPA, for kubectl apply -f -
#[derive(Args, Debug)]
pub(super) struct ManifestsArgs {
    /// Namespace
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// The workload's name
    #[arg(long, value_name = "NAME", default_value = "webapp")]
    deployment: String,
    /// The HPA alone
    #[arg(long, conflicts_with = "no_hpa")]
    only_hpa: bool,
    /// The workload alone
    #[arg(long)]
    no_hpa: bool,
    /// The fewest replicas
    #[arg(long, value_name = "N", default_value_t = Hpa::default().min)]
    min_replicas: u32,
    /// The most replicas
    #[arg(long, value_name = "N", default_value_t = Hpa::default().max)]
    max_replicas: u32,
    /// CPU that is aimed at, in percent of the request
    #[arg(long, value_name = "PERCENT", default_value_t = Hpa::default().cpu_percent)]
    cpu_target: u32,
    /// Memory that is aimed at, in percent of the request
    #[arg(long, value_name = "PERCENT", default_value_t = Hpa::default().memory_percent)]
    memory_target: u32,
}

/// Runs the command.
///
/// # Errors
/// Where a number is out of its range.
pub(super) fn run(args: &ManifestsArgs, out: &mut dyn Write) -> Result<Code> {
    let hpa = Hpa {
        min: args.min_replicas,
        max: args.max_replicas,
        cpu_percent: args.cpu_target,
        memory_percent: args.memory_target,
    };
    ensure!(
        (1..=hpa.max).contains(&hpa.min),
        "--min-replicas {}: must be 1 to --max-replicas {}",
        hpa.min,
        hpa.max
    );
    for (name, percent) in [("cpu", hpa.cpu_percent), ("memory", hpa.memory_percent)] {
        ensure!(
            (1..=1000).contains(&percent),
            "--{name}-target {percent}: must be 1 to 1000 percent"
        );
    }
    let all = WEBAPP.objects(&args.namespace, &args.deployment, &hpa)?;
    let wanted = all.iter().filter(|object| {
        let is_hpa = object["kind"] == "HorizontalPodAutoscaler";
        if is_hpa { !args.no_hpa } else { !args.only_hpa }
    });
    let texts: Vec<String> = wanted
        .map(|object| {
            serde_saphyr::to_string(object).context("an object cannot be written as YAML")
        })
        .collect::<Result<_>>()?;
    write!(out, "{}", texts.join("---\n"))?;
    Ok(Code::Done)
}
