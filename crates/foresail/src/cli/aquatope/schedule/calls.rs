//! Whose calls a schedule is made for: the functions of a trace, or the stages of a workflow.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::function::Function;

use super::super::dataset;
use super::stages::{self, Known};
use crate::cli::workflow::subject;
use crate::compare::function_mode::{Memory, functions_of};
use crate::compare::{FunctionArgs, GapsArg, Options, RunArgs};

/// The calls, and how they are read.
#[derive(Args, Debug)]
pub(super) struct Calls {
    /// Workflow whose stages get pools: a file, or the name of a published one [default: the functions
    /// of the trace]
    #[arg(long, value_name = "FILE")]
    workflow_config: Option<String>,
    /// Calls of each function: a trace file, or a folder of Azure day files; with --workflow-config one
    /// item of calls of the workflow, or one named as each stage
    #[arg(long, value_name = "FILE", required_unless_present = "provider")]
    trace: Option<PathBuf>,
    /// A function of the trace by its whole name or the last part of it; may be repeated [default: all]
    #[arg(long, value_name = "ID")]
    trace_id: Vec<String>,
    /// The N busiest functions of the trace
    #[arg(long, value_name = "N", conflicts_with = "trace_id")]
    functions: Option<usize>,
    /// Run times of an Azure 2019 trace
    #[arg(long, value_name = "FILE")]
    durations: Option<PathBuf>,
    /// Memory of an Azure 2019 trace
    #[arg(long, value_name = "FILE")]
    memory: Option<PathBuf>,
    /// Mean run time where nothing tells one [default: 100ms]
    #[arg(long, value_name = "SPAN")]
    service: Option<Span>,
    /// Memory of a container where nothing tells it [default: 128MiB]
    #[arg(long, value_name = "BYTES")]
    container_memory: Option<Memory>,
    /// What a gap of the trace means
    #[arg(long, value_enum, default_value_t = GapsArg::Error)]
    gaps: GapsArg,
    /// Skip rows that cannot be read, and say how many
    #[arg(long)]
    skip_bad_rows: bool,
}

impl Calls {
    /// The workflow that is named.
    pub(super) fn workflow(&self) -> Option<&str> {
        self.workflow_config.as_deref()
    }

    /// `true` where nothing is said of a trace.
    pub(super) fn has_no_trace(&self) -> bool {
        self.trace.is_none()
            && self.trace_id.is_empty()
            && self.functions.is_none()
            && self.durations.is_none()
            && self.memory.is_none()
            && self.service.is_none()
            && self.container_memory.is_none()
    }

    /// Every function with its calls.
    ///
    /// # Errors
    /// Where a file cannot be read, or a function is not there.
    pub(super) fn read(&self, seed: u64) -> Result<Vec<Function>> {
        // Another provider needs none.
        ensure!(
            self.trace.is_some(),
            "--trace FILE: the simulator needs the calls of each function"
        );
        let mut all = self.of_trace(seed)?;
        if !self.trace_id.is_empty() {
            all = self.chosen(all)?;
        }
        let Some(named) = &self.workflow_config else {
            return Ok(all);
        };
        let known = Known {
            run_times: self.durations.is_some() || self.service.is_some(),
            memory: self.memory.is_some() || self.container_memory.is_some(),
        };
        stages::of_workflow(&subject(named)?, &all, known, Seed(seed))
    }

    /// The functions of the trace, as `compare --mode function` reads them.
    fn of_trace(&self, seed: u64) -> Result<Vec<Function>> {
        let options = Options::new(RunArgs {
            trace: self.trace.clone(),
            functions: self.functions,
            durations: self.durations.clone(),
            memory: self.memory.clone(),
            service: self.service,
            gaps: self.gaps,
            skip_bad_rows: self.skip_bad_rows,
            seed: Some(seed),
            ..RunArgs::of_functions()?
        })?;
        let args = FunctionArgs {
            container_memory: self.container_memory,
            ..FunctionArgs::default()
        };
        functions_of(&options, &args)
    }

    fn chosen(&self, all: Vec<Function>) -> Result<Vec<Function>> {
        for asked in &self.trace_id {
            let matching = all.iter().filter(|f| dataset::is_asked_for(&f.id, asked));
            match matching.count() {
                1 => {}
                0 => {
                    let names: BTreeSet<String> = all.into_iter().map(|f| f.id).collect();
                    let file = self.trace.clone().unwrap_or_default();
                    return Err(dataset::unknown(&file, asked, &names));
                }
                count => bail!(
                    "--trace-id {asked}: {count} functions end in this name; give the whole name"
                ),
            }
        }
        let is_chosen = |f: &Function| {
            let mut asked = self.trace_id.iter();
            asked.any(|a| dataset::is_asked_for(&f.id, a))
        };
        Ok(all.into_iter().filter(is_chosen).collect())
    }
}
