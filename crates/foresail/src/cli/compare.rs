//! `foresail compare`: every policy on one workload, one report.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::cli::{Output, progress, typed};
use crate::compare::{
    Comparison, FunctionArgs, ModeArg, Options, Plan, RunArgs, compare, files, function_mode, plan,
};
use crate::exit::Code;

/// Run every policy on a workload and write one report
#[derive(Args, Debug)]
pub struct CompareArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    functions: FunctionArgs,
    /// Where the report goes
    #[arg(long, value_name = "FOLDER", default_value = "foresail-report")]
    out: PathBuf,
    /// How the summary is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where the workload cannot be read, a policy not be run, or the report not be written.
pub fn run(args: CompareArgs, out: &mut dyn Write) -> Result<Code> {
    let options = Options::new(args.run)?;
    let output = Output::of(args.output, &options.settings)?;
    super::limit_jobs(options.args.jobs);
    // The place is tried before the work, so that nobody waits for nothing.
    drop(foresail_adapters::atomic::ResultsFolder::begin(&args.out)?);
    let comparison = match options.args.mode {
        ModeArg::Event | ModeArg::Fluid => {
            args.functions.refuse()?;
            events(&options)?
        }
        ModeArg::Function => functions(&options, &args.functions)?,
    };
    let ticks = files::ticks_bytes(&comparison.ticks)?;
    files::write(&comparison.report, &ticks, &args.out)?;
    let report = &comparison.report;
    let place = args.out.join("index.html");
    match output {
        Output::Table => {
            files::print_table(report, out)?;
            files::print_paired(report, out)?;
            writeln!(out, "\n{}", report.headline)?;
            for note in &report.notes {
                writeln!(out, "{note}")?;
            }
            if let Some(own) = &report.own {
                writeln!(out, "\nYour HPA {}:", own.name)?;
                for sentence in own.verdict.iter().chain([&own.basis]) {
                    writeln!(out, "{sentence}")?;
                }
                let manifest = args.out.join(files::MANIFEST);
                writeln!(out, "apply: kubectl apply -f {}", manifest.display())?;
            }
            writeln!(out, "report: {}", place.display())?;
        }
        Output::Csv => files::summary(report).write_csv(out)?,
        Output::Json => {
            let policies: Vec<_> = report
                .policies
                .iter()
                .map(|p| {
                    let measures: serde_json::Map<_, _> = p
                        .measures
                        .iter()
                        .map(|m| (m.key.clone(), json!(m.value)))
                        .collect();
                    json!({"policy": p.name, "measures": measures})
                })
                .collect();
            let frontier = &report.frontier;
            let (own, oracle, paired) = (&report.own, &report.oracle, &report.paired);
            let value = json!({"v": 1, "headline": report.headline, "policies": policies, "frontier": frontier, "oracle": oracle, "own": own, "paired": paired});
            writeln!(out, "{value}")?;
        }
    }
    if output != Output::Table {
        eprintln!("report: {}", place.display());
    }
    Ok(Code::Done)
}

fn events(options: &Options) -> Result<Comparison> {
    let plan = plan(options)?;
    let bar = progress::bar(runs(options, &plan), "Comparing");
    let comparison = compare(options, &plan, &typed::command(), &|name| bar.step(name))?;
    bar.finish();
    Ok(comparison)
}

fn functions(options: &Options, args: &FunctionArgs) -> Result<Comparison> {
    let plan = function_mode::plan(options, args)?;
    let bar = progress::bar(plan.runs(), "Comparing");
    let done = |name: &str| bar.step(name);
    let comparison = function_mode::compare(options, &plan, &typed::command(), &done)?;
    bar.finish();
    Ok(comparison)
}

/// Runs that the progress bar counts: the policies and the settings of the frontier.
fn runs(options: &Options, plan: &Plan) -> u64 {
    let settings = match &options.own {
        Some(own) => crate::compare::settings_tried(plan, own),
        None => {
            foresail_sim::experiment::policy::FRONTIER_TARGETS.len()
                * foresail_sim::experiment::policy::FRONTIER_WINDOWS.len()
        }
    };
    (plan.policies.len() + settings) as u64
}
