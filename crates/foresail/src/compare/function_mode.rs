//! Function mode of a comparison: keep-alives and pools over all functions of a trace at once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use foresail_adapters::io::azure2019;
use foresail_adapters::results::six_digits;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_core::quantity::units::Quantity;
use foresail_core::spec::SpecProblem;
use foresail_models::rng::Seed;
use foresail_sim::config::{Shape, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::function::driver::{KeepListener, KeepPilot};
use foresail_sim::function::measure::at_level;
use foresail_sim::function::policy::{
    FIXED_MINUTES, FunctionPolicy, Reads, default_policies, fixed, policies,
};
use foresail_sim::function::{Function, FunctionMeasures, Keep, Platform, run};
use foresail_sim::service::times_of;
use foresail_sim::workload::population::Population;
use foresail_web::page::text::number;
use foresail_web::read_model::{
    Assumption, PolicyReport, RunReport, Tradeoff, VERSION, WorkloadReport,
};
use rayon::prelude::*;

use super::build::{Comparison, minutes_per_bucket, thinned};
use super::listen::Rows;
use super::measures::function_measures;
use super::options::Options;
use super::trace::{self, Busiest, DEFAULTS, Known};
use crate::forecast::pool_net;

/// The most functions of one comparison: the most targets of one engine.
const FUNCTIONS_MAX: usize = 10_000;

/// Memory of a container where the trace does not tell.
const MEMORY_DEFAULT: u64 = 128 << 20;

/// Keep-alive that warm memory is told as a share of, in minutes; that of the paper's figures.
pub(crate) const FIXED_REFERENCE: u32 = 10;

/// Flags of function mode alone.
#[derive(Args, Clone, Debug, Default)]
pub struct FunctionArgs {
    /// Function mode: mean start-up time of a container [default: 1s]
    #[arg(long)]
    pub cold_start: Option<Span>,
    /// Function mode: memory that all warm pools may hold together, such as 4GiB
    #[arg(long, value_name = "BYTES")]
    pub warm_memory_budget: Option<Memory>,
    /// Function mode: memory that all containers may hold together
    #[arg(long, value_name = "BYTES")]
    pub host_memory: Option<Memory>,
    /// Function mode: memory of a container where the trace does not tell [default: 128MiB]
    #[arg(long, value_name = "BYTES")]
    pub container_memory: Option<Memory>,
    /// Function mode: a net of policy aquatope-pool instead of the shipped one
    #[arg(long, value_name = "FILE")]
    pub pool_net: Option<PathBuf>,
}

impl FunctionArgs {
    /// Refuses flags of function mode in another one.
    ///
    /// # Errors
    /// Where one of them was given.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--cold-start", self.cold_start.is_some()),
            ("--warm-memory-budget", self.warm_memory_budget.is_some()),
            ("--host-memory", self.host_memory.is_some()),
            ("--container-memory", self.container_memory.is_some()),
            ("--pool-net", self.pool_net.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => {
                bail!("{name} is a flag of --mode function; add that, or leave it out")
            }
            None => Ok(()),
        }
    }
}

/// Bytes as a flag: `4GiB`, `4Gi`, `512M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

impl std::str::FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}`: write bytes above 0 such as 4GiB, 512Mi or 2G");
        let short = text.strip_suffix('B').unwrap_or(text);
        let quantity: Quantity = short.parse().map_err(|_| bad())?;
        match u64::try_from(quantity.milli() / 1000) {
            Ok(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(bad()),
        }
    }
}

/// What is to be run.
#[derive(Debug)]
pub struct FunctionPlan {
    name: String,
    summary: String,
    notes: Vec<String>,
    functions: Vec<Function>,
    platform: Platform,
    warm_memory: Option<u64>,
    policies: Vec<FunctionPolicy>,
}

impl FunctionPlan {
    /// Runs that are to be made.
    #[must_use]
    pub fn runs(&self) -> u64 {
        (self.policies.len() + FIXED_MINUTES.len()) as u64
    }
}

/// Reads the functions and decides what is to be run on them.
///
/// # Errors
/// Where the trace or the list of policies cannot be read, or a flag is out of range.
pub fn plan(options: &Options, args: &FunctionArgs) -> Result<FunctionPlan> {
    if options.own.is_some() {
        bail!(
            "--hpa scales replicas, which functions do not have: leave it or --mode function out"
        );
    }
    let mut plan = match &options.args.trace {
        None => generated(options)?,
        Some(path) => of_trace(path, options, args)?,
    };
    plan.platform = Platform {
        cold_start: Times {
            mean: args.cold_start.unwrap_or(Span::from_seconds(1)),
            shape: options.args.startup_shape.0.unwrap_or_default(),
        },
        concurrency: options.args.concurrency.unwrap_or(1),
        memory: args.host_memory.map(|m| m.0),
        keep: Keep::default(),
    };
    plan.warm_memory = args.warm_memory_budget.map(|m| m.0);
    plan.policies = chosen(&options.args.policies)?;
    if let Some(path) = &args.pool_net {
        install(path, &mut plan.policies)?;
    }
    plan.platform.check(&plan.functions)?;
    Ok(plan)
}

/// Gives the policy with a net that of a file.
fn install(path: &Path, policies: &mut [FunctionPolicy]) -> Result<()> {
    let (file, _) = pool_net::read(path).context("--pool-net")?;
    let served = policies.iter_mut().find(|p| p.name == "aquatope-pool");
    let served = served.context("--pool-net is for policy aquatope-pool; add it to --policies")?;
    served.artifact = Some(file);
    Ok(())
}

fn chosen(list: &str) -> Result<Vec<FunctionPolicy>> {
    if list == "all" {
        return Ok(default_policies());
    }
    let mut known = policies();
    let names: Vec<String> = known.iter().map(|p| p.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asked: Vec<&str> = list
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .collect();
    for name in &asked {
        if !names.contains(name) {
            let problem =
                SpecProblem::unknown("--policies", "policy of function mode", name, &names);
            bail!("{problem}");
        }
    }
    known.retain(|p| asked.contains(&p.name.as_str()));
    if known.is_empty() {
        bail!("--policies names none; write all, or names such as keepalive-histogram");
    }
    Ok(known)
}

fn empty_plan(name: String, summary: String, functions: Vec<Function>) -> FunctionPlan {
    FunctionPlan {
        name,
        summary,
        notes: Vec::new(),
        functions,
        platform: Platform::default(),
        warm_memory: None,
        policies: Vec::new(),
    }
}

fn most_functions(options: &Options) -> Result<Option<usize>> {
    match options.args.functions {
        Some(n) if n > FUNCTIONS_MAX => {
            bail!("--functions {n}: one engine has at most {FUNCTIONS_MAX}; write fewer")
        }
        given => Ok(given),
    }
}

fn generated(options: &Options) -> Result<FunctionPlan> {
    let mut population = Population::default();
    population.functions = most_functions(options)?.unwrap_or(population.functions);
    if options.args.quick {
        population.days = 1;
    }
    let functions = population.functions(options.seed);
    let summary = format!(
        "{} generated functions, {} days: popularity over eight decades, timers, bursts",
        population.functions, population.days
    );
    Ok(empty_plan("population".to_owned(), summary, functions))
}

/// The functions of a trace, or generated ones where there is none.
///
/// # Errors
/// Where the trace cannot be read.
pub(crate) fn functions_of(options: &Options, args: &FunctionArgs) -> Result<Vec<Function>> {
    let plan = match &options.args.trace {
        None => generated(options)?,
        Some(path) => of_trace(path, options, args)?,
    };
    Ok(plan.functions)
}

fn of_trace(path: &Path, options: &Options, args: &FunctionArgs) -> Result<FunctionPlan> {
    let most = most_functions(options)?.unwrap_or(FUNCTIONS_MAX);
    let Busiest { items, of, skipped } = trace::busiest(path, &options.args, most)?;
    let known = Known::read(path, &options.args)?;
    let functions = items
        .into_iter()
        .map(|item| function_of(item, options, args, &known))
        .collect::<Result<Vec<_>>>()?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let summary = format!(
        "trace {name}, the {} busiest of {of} functions",
        functions.len()
    );
    let mut plan = empty_plan(name, summary, functions);
    if skipped > 0 {
        let text = format!("{skipped} rows of the trace could not be read and were skipped.");
        plan.notes.push(text);
    }
    Ok(plan)
}

fn function_of(
    mut item: TraceItem,
    options: &Options,
    args: &FunctionArgs,
    known: &Known,
) -> Result<Function> {
    azure2019::join(&mut item, &known.durations, &known.memory);
    let counts = trace::whole_counts(&item.id, &item.demand, options)?;
    let given = options.args.service.unwrap_or(DEFAULTS.service);
    let shape = options.args.service_shape.0.unwrap_or_default();
    let recorded = item.durations.as_ref().and_then(times_of);
    let recorded_memory = item.memory.as_ref().map(|m| (m.average * 1e6) as u64);
    let default_memory = args.container_memory.map_or(MEMORY_DEFAULT, |m| m.0);
    Ok(Function {
        workload: options
            .args
            .arrivals
            .workload(item.demand.start(), item.demand.step(), counts),
        id: item.id,
        service: recorded.unwrap_or(Times { mean: given, shape }),
        memory: recorded_memory.filter(|m| *m > 0).unwrap_or(default_memory),
    })
}

/// Runs a policy over functions on their platform; `warm_memory` is what its pools may hold together,
/// in bytes.
///
/// # Errors
/// Where the policy, or what it is run on, is none that can be simulated.
pub(crate) fn fly<L: KeepListener>(
    policy: &FunctionPolicy,
    (platform, functions): (&Platform, &[Function]),
    warm_memory: Option<u64>,
    seed: Seed,
    listener: L,
) -> Result<(FunctionMeasures, L)> {
    let scene = (platform, functions);
    let pilot = KeepPilot::new(policy, scene, warm_memory, seed, listener);
    let mut pilot = pilot.map_err(|problems| {
        anyhow!("policy {}: {}", policy.name, SpecProblem::joined(&problems))
    })?;
    let measures = run(platform, functions, seed, &mut pilot)?;
    Ok((measures, pilot.listener))
}

fn run_one<L: KeepListener>(
    plan: &FunctionPlan,
    policy: &FunctionPolicy,
    options: &Options,
    listener: L,
) -> Result<(FunctionMeasures, L)> {
    let scene = (&plan.platform, plan.functions.as_slice());
    fly(policy, scene, plan.warm_memory, options.seed, listener)
}

/// One setting of the fixed keep-alive: its minutes, and what it came to.
type Swept = (u32, FunctionMeasures);

/// Runs every policy of the plan and the fixed keep-alive at every setting; `done` is called after
/// each run.
///
/// # Errors
/// Where a policy cannot be run.
pub fn compare(
    options: &Options,
    plan: &FunctionPlan,
    command: &str,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Comparison> {
    let line: Vec<Result<Swept>> = FIXED_MINUTES
        .par_iter()
        .map(|minutes| {
            let (measures, _) = run_one(plan, &fixed(*minutes), options, Deaf)?;
            done("fixed keep-alive");
            Ok((*minutes, measures))
        })
        .collect();
    let line = line.into_iter().collect::<Result<Vec<Swept>>>()?;
    let runs: Vec<_> = plan
        .policies
        .par_iter()
        .map(|policy| {
            let outcome = run_one(plan, policy, options, Rows::new(&policy.name, "functions"));
            done(&policy.name);
            outcome
        })
        .collect();
    let reference = line.iter().find(|(m, _)| *m == FIXED_REFERENCE);
    let reference = reference.map_or(f64::NAN, |(_, m)| m.warm_memory_time());
    let (mut policies, mut rows, mut workload) = (Vec::new(), Vec::new(), None);
    for (policy, outcome) in plan.policies.iter().zip(runs) {
        let (measured, listener) = outcome.context("the comparison stopped")?;
        workload.get_or_insert_with(|| workload_report(plan, &measured));
        policies.push(policy_report(policy, &measured, reference));
        rows.push(listener);
    }
    let workload = workload.context("no policy was run")?;
    let mut notes = plan.notes.clone();
    notes.extend(by_function(&policies, &line));
    let report = RunReport {
        own: None,
        paired: None,
        oracle: None,
        v: VERSION,
        title: plan.name.clone(),
        headline: headline(&policies, &line),
        notes,
        workload,
        slo: String::new(),
        command: command.to_owned(),
        assumptions: assumptions(options, plan),
        policies,
        frontier: Vec::new(),
        tradeoffs: tradeoffs(&line, reference),
    };
    Ok(Comparison {
        report,
        ticks: Rows::table(rows),
    })
}

fn workload_report(plan: &FunctionPlan, measured: &FunctionMeasures) -> WorkloadReport {
    let first = &plan.functions[0].workload;
    let bucket = minutes_per_bucket(measured.minutes.len());
    let demand = measured.minutes.chunks(bucket).map(|minutes| {
        minutes.iter().map(|m| m.calls as f64).sum::<f64>() / (60 * minutes.len()) as f64
    });
    WorkloadReport {
        name: plan.name.clone(),
        summary: plan.summary.clone(),
        from: first.start().to_string(),
        to: (first.start() + first.length()).to_string(),
        start_seconds: first.start().seconds_floor(),
        bucket_seconds: bucket as i64 * 60,
        items: plan.functions.len(),
        requests: measured.requests.arrived,
        demand: demand.collect(),
    }
}

fn policy_report(
    policy: &FunctionPolicy,
    measured: &FunctionMeasures,
    reference: f64,
) -> PolicyReport {
    let pipeline = match policy.reads {
        Reads::Nothing => "looks at nothing".to_owned(),
        Reads::IdleTimes => format!("decides every {}; idle times as they end", policy.interval),
        Reads::BusyPeaks => format!(
            "decides every {}; the most that were busy at once since",
            policy.interval
        ),
        Reads::Future => format!("decides every {}; the future", policy.interval),
    };
    PolicyReport {
        name: policy.name.clone(),
        summary: policy.summary.clone(),
        pipeline,
        measures: function_measures(measured, reference),
        ready: Vec::new(),
        current: Vec::new(),
        capacity: Vec::new(),
        violations: Vec::new(),
        wait_tail: thinned(&measured.wait.tail()),
        told: Vec::new(),
        archetypes: Vec::new(),
    }
}

fn tradeoffs(line: &[Swept], reference: f64) -> Vec<Tradeoff> {
    let one = |name: &str, title: &str, x: (&str, &str), y: (&str, &str)| {
        let point = |(minutes, measured): &Swept| {
            let measures = function_measures(measured, reference);
            let of = |key: &str| {
                measures
                    .iter()
                    .find(|m| m.key == key)
                    .map_or(f64::NAN, |m| m.value)
            };
            (format!("{minutes} min"), of(x.0), of(y.0))
        };
        let own = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        Tradeoff {
            name: name.to_owned(),
            title: title.to_owned(),
            caption: "Each point is a policy; lower and further left is better. The line is the fixed keep-alive \
                      at each of its settings: a policy is worth its trouble where it lies below that line."
                .to_owned(),
            x: own(x),
            y: own(y),
            line: line.iter().map(point).collect(),
        }
    };
    let memory = ("warm_memory_gb_s", "memory held by idle containers, GB·s");
    let relative = (
        "warm_memory_of_fixed_percent",
        "memory of idle containers, % of that of 10 minutes of keep-alive",
    );
    vec![
        one(
            "cold-memory",
            "Cold starts against warm memory",
            memory,
            ("cold_percent", "calls with a cold start, %"),
        ),
        one(
            "cold-functions",
            "Cold starts of the function at the third quartile",
            relative,
            (
                "function_cold_p75_percent",
                "cold starts of the function at the third quartile, %",
            ),
        ),
    ]
}

/// The value on the line where `of` reaches `at`: between neighbours a straight line.
fn on_line(
    line: &[Swept],
    at: f64,
    of: impl Fn(&FunctionMeasures) -> f64,
    value: impl Fn(&FunctionMeasures) -> f64,
) -> Option<f64> {
    line.windows(2).find_map(|pair| {
        let (a, b) = (of(&pair[0].1), of(&pair[1].1));
        let share = (at - a) / (b - a);
        let between = (0.0..=1.0).contains(&share);
        let (low, high) = (value(&pair[0].1), value(&pair[1].1));
        between.then_some(low + share * (high - low))
    })
}

/// The policy that the headline is about: the product's own where it was flown.
fn spoken_of(policies: &[PolicyReport]) -> Option<&PolicyReport> {
    let own = policies.iter().find(|p| p.name == "aquatope-pool");
    let other = |p: &&PolicyReport| !["keepalive-fixed", "oracle"].contains(&p.name.as_str());
    own.or_else(|| policies.iter().find(other))
}

/// One sentence: what the best policy is worth beside the fixed keep-alive's whole line.
fn headline(policies: &[PolicyReport], line: &[Swept]) -> String {
    let Some(policy) = spoken_of(policies) else {
        return "The fixed keep-alive: its line shows what memory buys.".to_owned();
    };
    let of = |key: &str| policy.measure(key).unwrap_or(f64::NAN);
    let (cold, warm) = (of("cold_percent"), of("warm_memory_gb_s"));
    let memory = on_line(
        line,
        cold,
        FunctionMeasures::cold_percent,
        FunctionMeasures::warm_memory_time,
    );
    let as_few = match memory {
        Some(memory) => format!(
            "for as few the fixed keep-alive holds {} times that memory",
            number(memory / warm, 2)
        ),
        None => "no fixed keep-alive of 1 to 120 minutes has as few".to_owned(),
    };
    let share = on_line(
        line,
        warm,
        FunctionMeasures::warm_memory_time,
        FunctionMeasures::cold_percent,
    );
    let as_much = match share {
        Some(share) => format!(
            "; with as much memory it starts cold {} % of the time",
            number(share, 2)
        ),
        None => "; none holds as much".to_owned(),
    };
    format!(
        "{} starts cold on {} % of the calls and keeps {} GB·s warm: {as_few}{as_much}.",
        policy.name,
        number(cold, 2),
        number(warm, 0)
    )
}

/// What half and three quarters of the functions see: a busy function's calls drown a rare one's.
fn by_function(policies: &[PolicyReport], line: &[Swept]) -> Option<String> {
    let policy = spoken_of(policies)?;
    let (_, fixed) = line.iter().find(|(m, _)| *m == FIXED_REFERENCE)?;
    let of_fixed = at_level(&fixed.cold_percents(), 0.75)?;
    let percent = |value: f64| number(value, 1);
    Some(format!(
        "By function: three quarters start cold on at most {} % of their calls under {}, on at most {} % under \
         {FIXED_REFERENCE} fixed minutes; it keeps {} % of their warm memory.",
        percent(policy.measure("function_cold_p75_percent")?),
        policy.name,
        percent(of_fixed),
        percent(policy.measure("warm_memory_of_fixed_percent")?)
    ))
}

fn assumptions(options: &Options, plan: &FunctionPlan) -> Vec<Assumption> {
    let one = |name: &str, value: String, change: &str| Assumption {
        name: name.to_owned(),
        value,
        change: change.to_owned(),
    };
    let bytes = |bytes: Option<u64>| {
        bytes.map_or("no bound".to_owned(), |b| {
            format!("{} GB", six_digits(b as f64 / 1e9))
        })
    };
    let of_tables = |f: &&Function| matches!(f.service.shape, Shape::Table(_));
    let tables = plan.functions.iter().filter(of_tables).count();
    let platform = &plan.platform;
    vec![
        one("start-up of a container", format!("mean {}, {:?}", platform.cold_start.mean, platform.cold_start.shape), "--cold-start, --startup-shape"),
        one("calls at once per container", platform.concurrency.to_string(), "--concurrency"),
        one("run times", format!("{tables} of {} functions by recorded percentiles", plan.functions.len()), "--durations, --service"),
        one("memory of all containers", bytes(platform.memory), "--host-memory"),
        one("memory of all warm pools", bytes(plan.warm_memory), "--warm-memory-budget"),
        one("short memory", "the longest idle container goes, those of pools last; where all are busy, the call is rejected".to_owned(), "–"),
        one("calls within a step", format!("{:?}", options.args.arrivals), "--arrivals"),
        one("seed", options.seed.0.to_string(), "--seed"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_in_bytes_of_any_unit() {
        let of = |text: &str| text.parse::<Memory>().ok().map(|m| m.0);
        assert_eq!(of("4GiB"), Some(4 << 30));
        assert_eq!(of("4Gi"), Some(4 << 30));
        assert_eq!(of("2G"), Some(2_000_000_000));
        for bad in ["", "0", "-1Gi", "four", "B"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_of_policies_are_checked() {
        assert_eq!(chosen("all").unwrap().len(), default_policies().len());
        assert_eq!(chosen("predictive").unwrap()[0].name, "predictive");
        assert_eq!(
            chosen("keepalive-histogram").unwrap()[0].name,
            "keepalive-histogram"
        );
        let error = chosen("keepalive-histogran").unwrap_err().to_string();
        assert!(
            error.contains("did you mean `keepalive-histogram`"),
            "{error}"
        );
        assert!(chosen(",").is_err());
    }
}
