//! What is to be run: items, their setups, the policies asked for.

use anyhow::{Context, Result, bail};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::SpecProblem;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::experiment::{Item, Policy, Setup, default_policies, further_policies};
use serde_json::Value;

use super::options::Options;
use super::{prometheus, sample, trace};

/// Parameters that depend on where the workload comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) service: Span,
    pub(super) concurrency: u32,
    pub(super) cpu_per_request: Span,
    /// Form of the service time where the trace knows it.
    pub(super) shape: Shape,
}

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// Name of the workload.
    pub name: String,
    /// What it is.
    pub summary: String,
    /// Every item.
    pub items: Vec<Item>,
    /// Names of the policies, in the order in which they are shown.
    pub policies: Vec<String>,
    /// Sentences that a reader must know.
    pub notes: Vec<String>,
    /// What the items' parameters are where no flag says otherwise.
    pub is_sample: bool,
}

/// Builds a setup of flags, settings and the workload's own defaults.
pub(super) fn setup_of(options: &Options, target: TargetId, defaults: &Defaults) -> Setup {
    let args = &options.args;
    let one = Served::of(options, defaults);
    let cluster = ClusterConfig {
        service: Times {
            mean: one.service,
            shape: args.service_shape.0.unwrap_or(defaults.shape),
        },
        concurrency: one.concurrency,
        queueing: options.queueing,
        queue_max: args.queue_max,
        timeout: args.timeout,
        cpu_request_millicores: args.cpu_request,
        cpu_per_request: one.cpu_per_request,
        memory_request_gib: args.memory_request,
        startup: Times {
            mean: options.startup,
            shape: args.startup_shape.0.unwrap_or_default(),
        },
        startup_cpu_millicores: args.startup_cpu,
        initial: options.bounds.0,
        slo: options.slo,
        price: options.price,
        ..ClusterConfig::default()
    };
    let pipeline = Pipeline {
        sync: options.sync,
        scrape: args.scrape,
        window: args.metric_window,
        delay: options.metric_delay,
        loss: args.metric_loss,
        concurrency: false,
        ..Pipeline::default()
    };
    let (min, max) = options.bounds;
    let schedule = Vec::new();
    Setup {
        cluster,
        pipeline,
        min,
        max,
        hpa_target_percent: options.hpa_target,
        schedule,
        target,
        aapa: options.aapa.knobs.clone(),
        own: options.own.as_ref().map(|own| own.spec.clone()),
    }
}

/// How one pod serves requests.
struct Served {
    service: Span,
    concurrency: u32,
    cpu_per_request: Span,
}

impl Served {
    /// Of the flags, and of a given capacity where those say nothing else.
    ///
    /// A capacity of C requests per second keeps a pod's CPU request busy, and as many slots as the
    /// service time fills at that rate; the service time is stretched to fill them exactly.
    fn of(options: &Options, defaults: &Defaults) -> Self {
        let args = &options.args;
        let mut one = Self {
            service: args.service.unwrap_or(defaults.service),
            concurrency: args.concurrency.unwrap_or(defaults.concurrency),
            cpu_per_request: args
                .cpu_per_request
                .or(args.service)
                .unwrap_or(defaults.cpu_per_request),
        };
        let Some(capacity) = args.capacity else {
            return one;
        };
        if args.concurrency.is_none() {
            let slots = capacity * one.service.seconds();
            one.concurrency = Replicas::covering(slots, 1.0)
                .map_or(1, Replicas::get)
                .max(1);
        }
        let exact = |seconds: f64| Span::from_seconds_f64(seconds);
        if args.service.is_none() {
            let filled = exact(f64::from(one.concurrency) / capacity);
            one.service = filled.unwrap_or(one.service);
        }
        if args.cpu_per_request.is_none() {
            let cpu = exact(f64::from(args.cpu_request) / 1000.0 / capacity);
            one.cpu_per_request = cpu.unwrap_or(one.cpu_per_request);
        }
        one
    }
}

/// Mean rate of an item and the rate of its first minutes, in requests per second.
#[must_use]
pub(crate) fn rates(item: &Item) -> (f64, f64) {
    let mean = item.workload.expected() / item.workload.length().seconds();
    let first = item.workload.first_rate();
    (mean, first)
}

/// One item's policies: the default set, then those that are asked for by name.
#[must_use]
pub(crate) fn policies_of(item: &Item) -> Vec<Policy> {
    let mut all = defaults_of(item);
    all.extend(further_policies(&item.setup, rates(item).1));
    all
}

/// One item's policies of the default set.
fn defaults_of(item: &Item) -> Vec<Policy> {
    let (mean, first) = rates(item);
    default_policies(&item.setup, mean, first)
}

/// Reads the workload and decides what is to be run on it.
///
/// # Errors
/// Where the trace, the schedule or the list of policies cannot be read.
pub fn plan(options: &Options) -> Result<Plan> {
    let mut plan = match &options.args.trace {
        None if options.args.range.is_asked() => prometheus::read(options)?,
        None => sample_plan(options),
        Some(path) => {
            let read = trace::read(path, options)?;
            let name = path
                .file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let mut notes = Vec::new();
            if read.skipped > 0 {
                notes.push(format!(
                    "{} rows of the trace could not be read and were skipped.",
                    read.skipped
                ));
            }
            let summary = if options.streamed().is_some() {
                format!("trace {name}, all that have requests of {} items", read.of)
            } else {
                format!(
                    "trace {name}, the {} busiest of {} items",
                    read.items.len(),
                    read.of
                )
            };
            Plan {
                name,
                summary,
                items: read.items,
                policies: Vec::new(),
                notes,
                is_sample: false,
            }
        }
    };
    if let Some(path) = &options.args.schedule {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let rules: Vec<Value> = serde_saphyr::from_str(&text).with_context(|| {
            format!(
                "{}: expected a list of {{cron, timeZone, durationSeconds, replicas}}",
                path.display()
            )
        })?;
        for item in &mut plan.items {
            item.setup.schedule.clone_from(&rules);
        }
    }
    plan.policies = chosen(options, &plan)?;
    if let Some(own) = &options.own {
        if !plan.policies.iter().any(|p| p == "hpa") {
            bail!("--hpa is judged by running it: add hpa to --policies");
        }
        plan.notes.extend(own.notes.iter().cloned());
    }
    let name = |warning: &String| format!("--aapa-config: {warning}.");
    plan.notes.extend(options.aapa.warnings.iter().map(name));
    check(&plan)?;
    Ok(plan)
}

fn sample_plan(options: &Options) -> Plan {
    let item = sample::item(options);
    let days = item.workload.length().whole_seconds() / 86_400;
    Plan {
        name: "sample".to_owned(),
        summary: format!(
            "built-in sample, {days} days: daily and weekly pattern, noise, bursts, a deploy"
        ),
        items: vec![item],
        policies: Vec::new(),
        notes: Vec::new(),
        is_sample: true,
    }
}

pub(super) fn chosen(options: &Options, plan: &Plan) -> Result<Vec<String>> {
    let first = plan.items.first();
    let names = |all: Vec<Policy>| all.into_iter().map(|p| p.name).collect::<Vec<_>>();
    if options.args.policies == "all" {
        return Ok(names(first.map(defaults_of).unwrap_or_default()));
    }
    let known = names(first.map(policies_of).unwrap_or_default());
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut chosen: Vec<String> = Vec::new();
    for name in options
        .args
        .policies
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
    {
        if name == "schedule" && !names.contains(&name) {
            bail!("policy schedule needs rules: give a YAML file with --schedule");
        }
        if !names.contains(&name) {
            bail!(
                "{}",
                SpecProblem::unknown("--policies", "policy", name, &names)
            );
        }
        if !chosen.iter().any(|c| c == name) {
            chosen.push(name.to_owned());
        }
    }
    if chosen.is_empty() {
        bail!("--policies names none; write all, or names such as hpa,kpa");
    }
    Ok(chosen)
}

/// Everything that a run would refuse, before anything is run.
pub(super) fn check(plan: &Plan) -> Result<()> {
    for item in &plan.items {
        let cluster = &item.setup.cluster;
        cluster
            .check(item.workload.length())
            .with_context(|| item.id.clone())?;
        item.setup.pipeline.check()?;
        for policy in policies_of(item)
            .iter()
            .filter(|p| plan.policies.contains(&p.name))
        {
            if let Err(problems) = foresail_models::registry::engine_of(
                policy.spec.clone(),
                foresail_models::rng::Seed::default(),
            ) {
                bail!("policy {}: {}", policy.name, SpecProblem::joined(&problems));
            }
        }
    }
    Ok(())
}
