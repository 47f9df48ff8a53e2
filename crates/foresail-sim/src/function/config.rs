//! What is simulated in function mode: functions, and the platform that they run on.

use foresail_core::quantity::time::Span;

use crate::config::{ConfigProblem, Times, check_times, problem};
use crate::workload::Workload;

/// The most functions of one run.
pub const FUNCTIONS_MAX: usize = 1 << 24;

/// One function: when it is called, how long it runs, what a container of it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name, unique in the run.
    pub id: String,
    /// When it is called.
    pub workload: Workload,
    /// Run time of one call, without a cold start.
    pub service: Times,
    /// Memory of one container in bytes.
    pub memory: u64,
}

/// How a function's containers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How long an idle container stays warm.
    pub keep_alive: Span,
    /// Containers kept without demand, busy ones counted.
    pub pool: u32,
}

impl Default for Keep {
    /// Ten minutes and no pool, as the large platforms had it.
    fn default() -> Self {
        Self {
            keep_alive: Span::from_seconds(600),
            pool: 0,
        }
    }
}

/// What every function runs on; the same for every policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Platform {
    /// Time from a container's creation to its readiness.
    pub cold_start: Times,
    /// Calls that a container serves at once.
    pub concurrency: u32,
    /// Memory that all containers may hold together, in bytes. Absent = no bound.
    pub memory: Option<u64>,
    /// How containers are kept until a policy says otherwise.
    pub keep: Keep,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            cold_start: Times {
                mean: Span::from_seconds(1),
                shape: crate::config::Shape::Constant,
            },
            concurrency: 1,
            memory: None,
            keep: Keep::default(),
        }
    }
}

impl Platform {
    /// Checks every knob, and every function.
    ///
    /// # Errors
    /// [`ConfigProblem`] for the first that cannot be simulated, with the mend.
    pub fn check(&self, functions: &[Function]) -> Result<(), ConfigProblem> {
        check_times("coldStart", &self.cold_start, true)?;
        if self.concurrency == 0 || self.concurrency > 100_000 {
            let text = format!("{}: must be 1 to 100000", self.concurrency);
            return Err(problem("concurrency", text));
        }
        if functions.is_empty() || functions.len() > FUNCTIONS_MAX {
            let text = format!(
                "{} functions: must be 1 to {FUNCTIONS_MAX}",
                functions.len()
            );
            return Err(problem("functions", text));
        }
        let length = functions[0].workload.length();
        for function in functions {
            check_times("service", &function.service, false)?;
            if function.workload.length() != length {
                let text = format!(
                    "{} lasts {} and another one {length}: cut them to the same length",
                    function.id,
                    function.workload.length()
                );
                return Err(problem("functions", text));
            }
            if self.memory.is_some_and(|most| function.memory > most) {
                let text = format!(
                    "one container of {} holds {} bytes, more than all may: raise it",
                    function.id, function.memory
                );
                return Err(problem("hostMemory", text));
            }
        }
        Ok(())
    }
}
