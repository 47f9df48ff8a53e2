//! `foresail optimize --provider`: the search on a workflow that is really there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use foresail_adapters::kubernetes::functions::Functions as Deployments;
use foresail_adapters::openwhisk::Functions as Actions;
use foresail_adapters::provider::{Live, Provider, Tally};
use foresail_adapters::workflow::System;
use foresail_core::propose::advice::Tuner;
use foresail_core::propose::plan::Plan;

use super::flags::OptimizeArgs;
use crate::cli::provider::Found;
use crate::config::{Environment, Settings};
use crate::live::{Former, Kept, LiveWorkflow};
use crate::optimize::{Found as Outcome, Protocol};

/// A live workflow, whose former setting comes back.
#[derive(Debug)]
pub(super) enum Driven {
    OpenWhisk(Box<Kept<Live<Actions>>>),
    Kubernetes(Box<Kept<Live<Deployments>>>),
}

/// The system and the file of what was in force.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) driven: Driven,
    former: Former,
}

impl Session {
    /// Finds the workflow's functions; what a search before this one left is put back.
    pub(super) fn begin(args: &OptimizeArgs, flow: &LiveWorkflow) -> Result<Self> {
        let settings = Settings::load(None, &Environment)?;
        let former = Former::new(&former_file(args, flow), &args.provider.place());
        let found = args
            .provider
            .find(flow.functions(), Some(flow), &settings)?;
        let stages = flow.stages();
        let driven = match found {
            Found::OpenWhisk(functions) => {
                let live = Live::new(*functions, stages);
                Driven::OpenWhisk(Box::new(kept(args, live, &former)?))
            }
            Found::Kubernetes(functions) => {
                let live = Live::new(*functions, stages);
                Driven::Kubernetes(Box::new(kept(args, live, &former)?))
            }
        };
        Ok(Self { driven, former })
    }

    pub(super) fn system(&mut self) -> &mut dyn System {
        match &mut self.driven {
            Driven::OpenWhisk(kept) => kept.as_mut(),
            Driven::Kubernetes(kept) => kept.as_mut(),
        }
    }

    fn tally(&self) -> Tally {
        match &self.driven {
            Driven::OpenWhisk(kept) => kept.system().tally(),
            Driven::Kubernetes(kept) => kept.system().tally(),
        }
    }

    /// The search came to its end, well or not: tells what of its requests were no plain samples, and
    /// forgets the former setting where what is in force is meant to be.
    pub(super) fn end(&mut self, outcome: &Result<Outcome>) -> Result<()> {
        let tally = self.tally();
        if tally.cold + tally.failed + tally.late > 0 {
            eprintln!(
                "note: of {} requests {} met a cold start, {} failed, {} had no answer in time",
                tally.requests, tally.cold, tally.failed, tally.late
            );
        }
        let Some(left) = self.former.left()? else {
            return Ok(());
        };
        let is_back = match outcome {
            Ok(_) => true,
            Err(_) => self.system().current().is_ok_and(|now| now == left),
        };
        if is_back {
            self.former.forget()?;
        }
        Ok(())
    }

    /// Says how what was found outlives its pods.
    pub(super) fn tell_lasting(&self, outcome: &Outcome) {
        let Driven::Kubernetes(kept) = &self.driven else {
            return;
        };
        if kept.system().provider().is_in_place() && outcome.in_force != outcome.former {
            eprintln!(
                "note: the pods that run have these sizes, their templates do not: a new pod has the old one until the template is changed (`kubectl set resources`, or --resize rollout)"
            );
        }
    }
}

fn kept<P: Provider>(args: &OptimizeArgs, live: Live<P>, former: &Former) -> Result<Kept<Live<P>>> {
    if args.provider.dry_run {
        // Nothing is put back either.
        ensure!(
            former.left()?.is_none(),
            "a search before this one did not end: run it without --dry-run first, so that its former setting is put back"
        );
    }
    Kept::new(live, former.clone())
}

/// Beside the journal, else in the folder at hand.
fn former_file(args: &OptimizeArgs, flow: &LiveWorkflow) -> PathBuf {
    match &args.journal {
        Some(journal) => {
            let mut name = journal.clone().into_os_string();
            name.push(".former");
            PathBuf::from(name)
        }
        None => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let shown = |c: char| if fits(c) { c } else { '-' };
            let name: String = flow.subject.name().chars().map(shown).collect();
            Path::new(".").join(format!("foresail-optimize-{name}.former"))
        }
    }
}

/// Tells what a search would do, and does nothing.
pub(super) fn rehearse(
    session: &mut Session,
    flow: &LiveWorkflow,
    tuner: &mut dyn Tuner,
    protocol: &Protocol,
) -> Result<()> {
    let current = session.system().current()?;
    let sizes = |plan: &Plan| {
        flow.subject
            .sizes_of(plan)
            .context("a plan that leaves sizes open")
    };
    for (stage, size) in flow.stage_functions.iter().zip(sizes(&current)?) {
        eprintln!(
            "dry run: {stage} has {} cores and {} MiB",
            size.cpu_cores, size.memory_mib
        );
    }
    let asked = tuner.ask();
    let first = asked.first().context("the tuner asks for no trial")?;
    eprintln!("dry run: the first trial:");
    match &mut session.driven {
        Driven::OpenWhisk(kept) => kept.only().apply(&first.plan)?,
        Driven::Kubernetes(kept) => kept.only().apply(&first.plan)?,
    }
    eprintln!(
        "dry run: {} requests for each trial; nothing was written or sent",
        protocol.warmups + protocol.repeats * protocol.requests
    );
    Ok(())
}
