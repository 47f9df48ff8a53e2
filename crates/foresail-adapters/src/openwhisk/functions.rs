//! Functions of a namespace of OpenWhisk as a provider.
//!
//! A size is the action's limits: memory everywhere, CPU with a fork. A pool is stem cells of the
//! action's kind or image and memory, which every action of that kind and memory shares, and needs a
//! fork to change while the server runs. How many were busy is counted from the records of what has
//! ended: a call that still runs has none yet.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use foresail_core::quantity::time::{Span, Timestamp};
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::action::{Action, Exec, Limits};
use super::activation::Activation;
use super::client::OpenWhisk;
use super::failure::{Failure, RUNTIMES};
use super::invoke::{Invocation, Sent};
use super::key::Key;
use super::kinds::Source;
use super::runtimes::{Cell, Manifest};
use crate::provider::{
    Activity, FunctionSeen, FunctionSize, Provider, Reply, Steps, Stop, SystemError, error, peaks,
};

/// The longest run of an action where it does not say.
/// Source: apache/openwhisk, apiv1swagger.json, `ActionLimits.timeout`.
const TIMEOUT_MS: u64 = 60_000;

/// What is called as one workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The action: a sequence, or a function itself.
    pub action: String,
    /// The function of each stage, by its place; shape `[stages]`.
    pub stages: Vec<usize>,
    /// Parameters of each call.
    pub parameters: Map<String, Value>,
}

/// How stem cells are set.
#[derive(Clone, Debug)]
pub struct Stems {
    /// The manifest that was in force before.
    pub manifest: Manifest,
    /// The controller's own key.
    pub admin: Key,
    /// Managed invokers: each keeps a manifest's counts for itself.
    pub invokers: u32,
}

/// Functions of a namespace.
#[derive(Debug)]
pub struct Functions {
    runtime: Runtime,
    server: OpenWhisk,
    names: Vec<String>,
    called: Option<Called>,
    stems: Option<Stems>,
    /// The longest run of each function, as it was last seen.
    longest: Vec<Span>,
    /// Pools as they were last set.
    pools: Vec<u32>,
    cells: Vec<Cell>,
    /// The manifest that was set last; before, what is in force is what a file says.
    in_force: Option<Manifest>,
    /// `true` where the last write of a manifest failed: it may be in force all the same.
    unsure: bool,
    /// `true` once every function's kind was seen to be one that the server runs.
    kinds_checked: bool,
    stop: Stop,
}

impl Functions {
    /// These functions of a namespace; nothing is asked yet.
    ///
    /// # Errors
    /// Where the system gives no event queue.
    pub fn new(server: OpenWhisk, names: Vec<String>) -> Result<Self, SystemError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let timeout = Span::from_millis(i64::try_from(TIMEOUT_MS).unwrap_or(i64::MAX));
        Ok(Self {
            runtime: runtime.map_err(|e| error("the network cannot be used", e))?,
            server,
            called: None,
            stems: None,
            longest: vec![timeout; names.len()],
            pools: vec![0; names.len()],
            cells: Vec::new(),
            in_force: None,
            unsure: false,
            kinds_checked: false,
            stop: Stop::default(),
            names,
        })
    }

    /// The same, which ends a wait as soon as somebody asks for the end.
    #[must_use]
    pub fn stopping(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Waits for a call.
    fn wait<T>(
        &self,
        told: &str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, SystemError> {
        let done = self.stop.wait(&self.runtime, told, call)?;
        done.map_err(|e| error(told, e))
    }

    /// The same, called as a workflow.
    #[must_use]
    pub fn called(self, called: Called) -> Self {
        Self {
            called: Some(called),
            ..self
        }
    }

    /// The same, with stem cells that can be set.
    #[must_use]
    pub fn stems(self, stems: Stems) -> Self {
        Self {
            stems: Some(stems),
            ..self
        }
    }

    /// Creates the workflow's sequence of its functions, or replaces it.
    ///
    /// # Errors
    /// Where there is no workflow, or the server refuses it.
    pub fn create_sequence(&mut self) -> Result<(), SystemError> {
        let told = "cannot create the sequence";
        let Some(called) = &self.called else {
            return Err(error(told, "no workflow is named"));
        };
        let of = |place: &usize| self.server.whole_name(&self.names[*place]);
        let names: Vec<String> = called.stages.iter().map(of).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let exec = Exec::sequence(&names);
        let put = self
            .server
            .put(&called.action, &exec, Limits::default(), true);
        self.wait(told, put).map(|_| ())
    }

    /// Creates a function from its source, or replaces its code; without a kind the one that the file's
    /// ending means, as the server has it by default.
    ///
    /// # Errors
    /// Where the server has no such kind or deprecates it, the kind needs an entry and none is named, or
    /// the server refuses it.
    pub fn create_function(&mut self, source: &Source) -> Result<(), SystemError> {
        let told = format!("cannot create the function {}", source.name);
        let kinds = self.wait(&told, self.server.kinds())?;
        let exec = source.exec(kinds.as_ref()).map_err(|e| error(&told, e))?;
        let put = self
            .server
            .put(&source.name, &exec, Limits::default(), true);
        self.wait(&told, put).map(|_| ())
    }

    fn actions(&mut self) -> Result<Vec<Action>, SystemError> {
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let told = format!("cannot read the action {name}");
            all.push(self.wait(&told, self.server.action(name))?);
        }
        let longest = |action: &Action| {
            let most = action.limits.timeout.unwrap_or(TIMEOUT_MS);
            Span::from_millis(i64::try_from(most).unwrap_or(i64::MAX))
        };
        self.longest = all.iter().map(longest).collect();
        Ok(all)
    }

    /// Refuses functions that the server keeps and does not run any more, and a manifest that would
    /// take a runtime away.
    fn check_kinds(&mut self, actions: &[Action]) -> Result<(), SystemError> {
        if self.kinds_checked {
            return Ok(());
        }
        let told = "cannot read the kinds of runtimes";
        // A gateway may hide the host's root: then the server itself refuses what it does not run.
        if let Some(kinds) = self.wait(told, self.server.kinds())? {
            for action in actions {
                let told = || format!("cannot use the function {}", action.name);
                kinds.check(&action.exec).map_err(|e| error(told(), e))?;
            }
            if let Some(stems) = &self.stems {
                let told = "cannot use the runtimes manifest";
                let checked = stems.manifest.check(&kinds);
                checked.map_err(|e| error(told, e))?;
            }
        }
        self.kinds_checked = true;
        Ok(())
    }

    /// Finds each function's stem cells, and what they hold at present.
    fn find_cells(&mut self, actions: &[Action]) -> Result<(), SystemError> {
        let Some(stems) = &self.stems else {
            return Ok(());
        };
        let mut cells = Vec::with_capacity(actions.len());
        for action in actions {
            let memory = action.limits.memory.unwrap_or(256);
            let cell = stems.manifest.cell(&action.exec, memory);
            let told = || format!("cannot find the stem cells of {}", action.name);
            cells.push(cell.map_err(|e| error(told(), e))?);
        }
        if self.cells != cells {
            for place in 0..cells.len() {
                // The first of those that share stem cells is told all of them.
                let is_first = !cells[..place].contains(&cells[place]);
                let manifest = self.in_force.as_ref().unwrap_or(&stems.manifest);
                let all = manifest.count(&cells[place]) * stems.invokers;
                self.pools[place] = if is_first { all } else { 0 };
            }
            self.cells = cells;
        }
        Ok(())
    }

    /// The reply that an invocation is; `Err` where the sequence is not the workflow.
    fn reply(&self, called: &Called, got: &Invocation) -> Result<Reply, SystemError> {
        let runs: Vec<&Activation> = match got.record.sequence {
            true => got.components.iter().collect(),
            false => vec![&got.record],
        };
        let mut seconds = vec![Vec::new(); called.stages.len()];
        for (place, run) in runs.iter().enumerate() {
            let told = || format!("cannot read what {} ran", called.action);
            let Some(function) = called.stages.get(place) else {
                let why = format!(
                    "it ran {} actions, the workflow has {}",
                    runs.len(),
                    called.stages.len()
                );
                return Err(error(told(), why));
            };
            let expected = &self.names[*function];
            if !run.action.ends_with(&format!("/{expected}")) && run.action != *expected {
                let why = format!(
                    "action {} of it was {}, the workflow has {expected}; --create-sequence makes it anew",
                    place + 1,
                    run.action
                );
                return Err(error(told(), why));
            }
            seconds[place] = vec![run.duration / 1000.0];
        }
        let why = || {
            let failing = runs.iter().find(|r| !r.success);
            let who = failing.map_or(called.action.as_str(), |r| r.action.as_str());
            format!("the activation of {who} failed (id {})", got.record.id)
        };
        let failed = (!got.success()).then(why);
        Ok(Reply {
            latency: Some(got.latency).filter(|_| failed.is_none()),
            seconds,
            cold: got.is_cold(),
            failed,
        })
    }
}

/// A time of a record: whole milliseconds, which a product of floating point would not stay.
fn at(milliseconds: f64) -> Timestamp {
    Timestamp::from_nanos((milliseconds.round() as i64).saturating_mul(1_000_000))
}

fn milliseconds(at: Timestamp) -> i64 {
    at.nanos() / 1_000_000
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(span.nanos().unsigned_abs())
}

fn activity(runs: &[Activation], steps: &Steps) -> Activity {
    let busy: Vec<_> = runs
        .iter()
        .map(|r| (at(r.began), at(r.began + r.lasted())))
        .collect();
    let began = runs.iter().filter(|r| at(r.began) >= steps.start);
    let count = |fits: fn(&&Activation) -> bool| began.clone().filter(fits).count() as u64;
    Activity {
        peaks: peaks(&busy, steps)
            .into_iter()
            .map(|p| Some(f64::from(p)))
            .collect(),
        calls: Some(count(|_| true)),
        failed: Some(count(|r| !r.success)),
        cold: Some(count(|r| r.cold_start > 0.0)),
    }
}

impl Provider for Functions {
    fn name(&self) -> &'static str {
        "openwhisk"
    }

    fn functions(&self) -> &[String] {
        &self.names
    }

    fn look(&mut self) -> Result<Vec<FunctionSeen>, SystemError> {
        let actions = self.actions()?;
        self.check_kinds(&actions)?;
        self.find_cells(&actions)?;
        let has_pools = self.stems.is_some();
        let seen = |(place, action): (usize, &Action)| FunctionSeen {
            size: FunctionSize {
                cpu_cores: action.limits.cpu,
                memory_mib: action.limits.memory.map(|mb| mb as f64),
            },
            pool: Some(self.pools[place]).filter(|_| has_pools),
            ready: None,
        };
        Ok(actions.iter().enumerate().map(seen).collect())
    }

    fn activity(&mut self, steps: &Steps) -> Result<Vec<Activity>, SystemError> {
        let mut all = Vec::with_capacity(self.names.len());
        for (name, longest) in self.names.iter().zip(&self.longest) {
            // What began before may still have run.
            let since = milliseconds(steps.start - *longest);
            let until = milliseconds(steps.end());
            let listed = self.server.records_between(Some(name), since, until);
            let told = format!("cannot list the activations of {name}");
            all.push(activity(&self.wait(&told, listed)?, steps));
        }
        Ok(all)
    }

    fn set_pools(&mut self, pools: &[Option<u32>]) -> Result<(), SystemError> {
        let told = "cannot set the stem cells";
        let Some(stems) = &self.stems else {
            let why =
                format!("{RUNTIMES}; with it, give --runtimes-manifest and --admin-auth-file");
            return Err(error(told, why));
        };
        let mut wanted = self.pools.clone();
        for (place, pool) in wanted.iter_mut().zip(pools) {
            *place = pool.unwrap_or(*place);
        }
        let mut sums: BTreeMap<&Cell, u32> = BTreeMap::new();
        for (cell, pool) in self.cells.iter().zip(&wanted) {
            *sums.entry(cell).or_default() += pool;
        }
        // From what was before, so that a cell which was taken out comes back as it was.
        let mut manifest = stems.manifest.clone();
        for (cell, sum) in sums {
            manifest = manifest.with(cell, sum.div_ceil(stems.invokers.max(1)));
        }
        if self.unsure || self.in_force.as_ref() != Some(&manifest) {
            let set = self.server.set_runtimes(&manifest, &stems.admin);
            let set = self.wait(told, set);
            self.unsure = set.is_err();
            set?;
        }
        if !self.server.is_dry() {
            self.in_force = Some(manifest);
            self.pools = wanted;
        }
        Ok(())
    }

    fn set_sizes(&mut self, sizes: &[Option<FunctionSize>]) -> Result<(), SystemError> {
        for (name, size) in self.names.iter().zip(sizes) {
            let Some(size) = size else { continue };
            let limits = Limits {
                memory: size.memory_mib.map(|mib| mib.round() as u64),
                cpu: size.cpu_cores,
                ..Limits::default()
            };
            let told = format!("cannot set the limits of {name}");
            self.wait(&told, self.server.set_limits(name, limits))?;
        }
        Ok(())
    }

    fn request(&mut self, wait: Span) -> Result<Reply, SystemError> {
        let Some(called) = &self.called else {
            return Err(error("cannot call the workflow", "none is named"));
        };
        let told = format!("cannot invoke {}", called.action);
        let sent = self
            .server
            .invoke(&called.action, &called.parameters, duration(wait));
        match self.wait(&told, sent)? {
            Sent::Ended(got) if got.latency <= wait.seconds() => self.reply(called, &got),
            Sent::Told => Err(error(told, "nothing is sent in a dry run")),
            Sent::Ended(_) | Sent::Late => Ok(Reply {
                // It is paid for as long as it was waited for, in a stage that nobody knows.
                seconds: vec![vec![wait.seconds()]; called.stages.len()],
                ..Reply::default()
            }),
        }
    }
}
