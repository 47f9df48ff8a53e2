//! `foresail workflow`: the published workflows, and what a workflow file says.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use foresail_core::spec::SpecProblem;
use foresail_core::value::cost::Price;
use foresail_core::value::workflow::Promise;
use foresail_sim::workflow::bound::bound;
use foresail_sim::workflow::file;
use foresail_sim::workflow::published::{WORKFLOWS, entry, workflow_names};
use foresail_sim::workflow::subject::Subject;
use serde_json::{Value, json};

use crate::cli::{Output, print_csv, print_table};
use crate::compare::scenario::read_yaml;
use crate::exit::{Code, Coded};

/// Look at workflows
#[derive(Args, Debug)]
pub struct WorkflowArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// The published workflows by name
    List {
        /// How it is printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
    /// The stages of a published workflow or of a workflow file
    Show {
        /// A published workflow's name or a workflow file
        workflow: String,
        /// How it is printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
}

/// A workflow by the name of a published one, or from a file.
///
/// # Errors
/// Where there is neither, or the file says something wrong; with its key.
pub fn subject(named: &str) -> Result<Subject> {
    let problems = |found: Vec<SpecProblem>| {
        let all: Vec<_> = found.iter().map(ToString::to_string).collect();
        anyhow!("{named}:\n       {}", all.join("\n       "))
    };
    if let Some(entry) = entry(named) {
        return entry.subject().map_err(problems);
    }
    let path = Path::new(named);
    if !path.exists() {
        let problem =
            SpecProblem::unknown("workflow", "file or workflow", named, &workflow_names());
        let (code, message) = (Code::NotFound, problem.to_string());
        return Err(Coded { code, message }.into());
    }
    let value: Value = read_yaml(path)?;
    file::read(&value).map_err(problems)
}

/// Runs the command.
///
/// # Errors
/// Where a workflow cannot be read.
pub fn run(args: &WorkflowArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.verb {
        Verb::List { output } => list(Output::here(*output)?, out)?,
        Verb::Show { workflow, output } => {
            show(&subject(workflow)?, Output::here(*output)?, out)?;
        }
    }
    Ok(Code::Done)
}

/// `true` where the least cost without noise is a bound under noise too: calls vary around a mean
/// that lies at their median or above it, so that a percentile up to the median may be kept by
/// sizes that are too slow on the mean.
pub(super) fn bound_holds(promise: Promise) -> bool {
    promise.level > 0.5
}

fn list(output: Output, out: &mut dyn Write) -> Result<()> {
    let columns = ["workflow", "stages", "promise", "what it is"];
    let rows: Vec<Vec<String>> = WORKFLOWS
        .iter()
        .map(|e| {
            let stages = (e.stages)().len().to_string();
            let promise = format!("p{} ≤ {} s", e.promise[1], e.promise[0]);
            vec![e.name.to_owned(), stages, promise, e.summary.to_owned()]
        })
        .collect();
    match output {
        Output::Table => print_table(&columns, rows, out),
        Output::Csv => print_csv(&columns, &rows, out),
        Output::Json => {
            let all: Vec<Value> = WORKFLOWS
                .iter()
                .map(|e| json!({"name": e.name, "summary": e.summary, "qosSeconds": e.promise[0], "percentile": e.promise[1], "stages": (e.stages)().len()}))
                .collect();
            Ok(writeln!(out, "{}", json!({"v": 1, "workflows": all}))?)
        }
    }
}

fn show(subject: &Subject, output: Output, out: &mut dyn Write) -> Result<()> {
    let columns = [
        "stage",
        "after",
        "parallel",
        "chance",
        "fixed s",
        "core s",
        "MiB needed",
    ];
    let workflow = &subject.model.workflow;
    let stages = workflow.stages();
    let rows: Vec<Vec<String>> = stages
        .iter()
        .zip(&subject.model.surfaces)
        .map(|(stage, surface)| {
            let after: Vec<&str> = stage
                .after
                .iter()
                .map(|a| stages[*a].name.as_str())
                .collect();
            vec![
                stage.name.clone(),
                after.join(" "),
                stage.copies.to_string(),
                stage.probability.to_string(),
                surface.fixed_seconds.to_string(),
                surface.work_core_seconds.to_string(),
                surface.memory_mib.to_string(),
            ]
        })
        .collect();
    let promise = subject.promise;
    let least = bound_holds(promise).then(|| bound(subject, &Price::FUNCTIONS));
    match output {
        Output::Csv => print_csv(&columns, &rows, out),
        Output::Table => {
            print_table(&columns, rows, out)?;
            let percent = (promise.level * 1e8).round() / 1e6;
            writeln!(out, "\npromise: p{percent} ≤ {} s", promise.seconds)?;
            match least {
                Some(Ok(bound)) => writeln!(
                    out,
                    "no sizes that keep it cost less than {:.4} per 1,000 requests, without noise",
                    1000.0 * bound.cost
                )?,
                Some(Err(error)) => writeln!(out, "{error}")?,
                None => {}
            }
            Ok(())
        }
        Output::Json => {
            let one = |(stage, surface): (&foresail_core::value::workflow::Stage, _)| {
                let after: Vec<&str> = stage
                    .after
                    .iter()
                    .map(|a| stages[*a].name.as_str())
                    .collect();
                json!({"name": stage.name, "after": after, "parallel": stage.copies, "probability": stage.probability, "surface": surface})
            };
            let all: Vec<Value> = stages
                .iter()
                .zip(&subject.model.surfaces)
                .map(one)
                .collect();
            let value = json!({"v": 1, "name": workflow.name(), "qosSeconds": promise.seconds, "percentile": 100.0 * promise.level,
                "boundPer1000": least.and_then(Result::ok).map(|b| 1000.0 * b.cost), "stages": all});
            Ok(writeln!(out, "{value}")?)
        }
    }
}
