//! Workflows: stages as a directed graph without cycles, that share one end-to-end promise.
//!
//! A stage begins when every stage before it that runs has ended. Stages may depend on chance
//! (`branch`), run in several copies at once (`timing`), and are paid for the time they run.
//! Invariant: a [`Workflow`] has a start, no cycle and no name twice; `order` is topological.

mod branch;
mod check;
mod promise;
mod timing;

use serde::{Deserialize, Serialize};

use super::cost::Price;
use crate::spec::SpecProblem;

pub use branch::Outcome;
pub use check::{COPIES_MAX, STAGES_MAX};
pub use promise::Promise;
pub use timing::Timing;

/// One stage as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageSpec {
    /// Its name, unique within the workflow.
    pub name: String,
    /// Names of the stages that it waits for; a stage without any starts with the request.
    #[serde(default)]
    pub after: Vec<String>,
    /// Copies that run at the same time, one per chunk of the input.
    #[serde(default = "one", rename = "parallel")]
    pub copies: u32,
    /// The chance that it runs once its turn has come, above 0 and at most 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Stages with the same word here exclude each other: at most one of them runs, each with its
    /// own probability.
    #[serde(default)]
    pub choice: Option<String>,
}

fn one() -> u32 {
    1
}

fn always() -> f64 {
    1.0
}

impl StageSpec {
    /// A stage of one copy that always runs.
    #[must_use]
    pub fn new(name: &str, after: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            after: after.iter().map(|a| (*a).to_owned()).collect(),
            copies: 1,
            probability: 1.0,
            choice: None,
        }
    }

    /// The same stage in several copies.
    #[must_use]
    pub fn copies(self, copies: u32) -> Self {
        Self { copies, ..self }
    }

    /// The same stage, one of those that exclude each other.
    #[must_use]
    pub fn chosen(self, choice: &str, probability: f64) -> Self {
        let choice = Some(choice.to_owned());
        Self {
            probability,
            choice,
            ..self
        }
    }
}

/// One stage that can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Places of the stages that it waits for.
    pub after: Vec<usize>,
    /// Copies that run at the same time; 1 or more.
    pub copies: u32,
    /// The chance that it runs once its turn has come, above 0 and at most 1.
    pub probability: f64,
    /// Number of the choice that it belongs to, where it does.
    pub choice: Option<usize>,
}

/// What one pod of a stage has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Size {
    /// Cores of CPU.
    pub cpu_cores: f64,
    /// Memory in MiB.
    pub memory_mib: f64,
}

impl Size {
    /// What running for so many seconds costs.
    #[must_use]
    pub fn cost(self, seconds: f64, price: &Price) -> f64 {
        price.cost(seconds / 60.0, self.cpu_cores, self.memory_mib / 1024.0)
    }
}

/// A workflow that can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    name: String,
    stages: Vec<Stage>,
    order: Vec<usize>,
    choices: usize,
}

impl Workflow {
    /// Checks a workflow whole.
    ///
    /// # Errors
    /// Every problem found, each with its path (`stages[2].after[0]`) and the mend; cycles are
    /// named stage by stage.
    pub fn new(name: &str, stages: &[StageSpec]) -> Result<Self, Vec<SpecProblem>> {
        check::compile(name, stages)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stages, in the order in which they were written.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Places of the stages, each after all that it waits for.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// What one request costs.
    ///
    /// `seconds` as [`Workflow::timing`] takes them; `sizes` of each stage, shape `[stages]`.
    /// Every copy that ran is paid for, whether it was waited for or not.
    #[must_use]
    pub fn cost(&self, seconds: &[Vec<f64>], sizes: &[Size], price: &Price) -> f64 {
        let of_stage = |(seconds, size): (&Vec<f64>, &Size)| {
            seconds.iter().map(|s| size.cost(*s, price)).sum::<f64>()
        };
        seconds.iter().zip(sizes).map(of_stage).sum()
    }
}
