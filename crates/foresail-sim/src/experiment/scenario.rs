//! A scenario as data: what comes, on what it runs, what goes wrong, who decides.
//!
//! Files are read elsewhere: this crate does no I/O.

use std::collections::BTreeMap;

use std::path::PathBuf;

use foresail_core::hpa::{Behavior, HpaSpec};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::Setup;
use super::run::Item;
use crate::config::{ClusterConfig, Pipeline};
use crate::fault::Fault;
use crate::workload::{Mmpp, Within, Workload, sample};

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub summary: String,
    /// The only source of chance, where no flag says another.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What comes.
    pub workload: Demand,
    /// What it runs on.
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// What policies on CPU get to see, and when.
    #[serde(default)]
    pub pipeline: Pipeline,
    /// Bounds of the replicas.
    #[serde(default)]
    pub replicas: Bounds,
    /// CPU utilization that the HPA aims at, in percent of the request.
    #[serde(default = "hpa_target")]
    pub hpa_target_percent: u32,
    /// How fast the HPA may go, in the words of autoscaling/v2; absent = Kubernetes' older rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// Rules of policy `schedule`.
    #[serde(default)]
    pub schedule: Vec<Value>,
    /// Policies to run; empty = all.
    #[serde(default)]
    pub policies: Vec<String>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn seed() -> u64 {
    Seed::default().0
}

fn hpa_target() -> u32 {
    80
}

/// Bounds of the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Bounds {
    /// The fewest.
    pub min: u32,
    /// The most.
    pub max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: 1, max: 100 }
    }
}

/// What comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Demand {
    /// The built-in sample.
    Sample {
        /// How many days of it.
        days: u32,
        /// How requests lie within a minute.
        #[serde(default)]
        within: Within,
    },
    /// A trace from a file.
    Trace {
        /// Its path, from the scenario's folder.
        file: PathBuf,
        /// Its format, where the header does not tell.
        #[serde(default)]
        format: Option<String>,
        /// The busiest items of it, each on its own.
        #[serde(default)]
        functions: Option<usize>,
        /// Run times of an Azure 2019 trace: the service time of each item is then its table.
        #[serde(default)]
        durations: Option<PathBuf>,
        /// How requests lie within a step.
        #[serde(default)]
        within: Within,
    },
    /// A Poisson process.
    Poisson {
        /// Requests per second.
        rate: f64,
        /// Length.
        #[serde(rename = "forSeconds")]
        length: Span,
    },
    /// A Poisson process whose rate is a line on each part: ramps and steps.
    Rates(Vec<Part>),
    /// A Poisson process whose rate jumps between states.
    Mmpp {
        /// The states.
        process: Mmpp,
        /// Length.
        #[serde(rename = "forSeconds")]
        length: Span,
    },
    /// Whole counts.
    Counts {
        /// Length of one step.
        #[serde(rename = "stepSeconds")]
        step: Span,
        /// Requests in each.
        counts: Vec<u32>,
        /// How they lie within.
        #[serde(default)]
        within: Within,
    },
}

/// One part of a demand that ramps and steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Part {
    /// Length.
    #[serde(rename = "forSeconds")]
    pub length: Span,
    /// Requests per second at its begin.
    pub from: f64,
    /// Requests per second at its end; those of its begin where absent.
    #[serde(default)]
    pub to: Option<f64>,
}

impl Scenario {
    /// The workload of a seed; `None` for a trace, which has to be read first.
    #[must_use]
    pub fn workload(&self, seed: Seed) -> Option<Workload> {
        let start = Timestamp::EPOCH;
        Some(match &self.workload {
            Demand::Trace { .. } => return None,
            Demand::Sample { days, within } => {
                let mut parameters = sample::Sample {
                    days: *days,
                    ..sample::Sample::default()
                };
                parameters.deploy_day = parameters.deploy_day.min(days.saturating_sub(1));
                let rates = parameters.rates(seed);
                Workload::Counts {
                    start: sample::START,
                    step: rates.step(),
                    counts: sample::counts(&rates, seed),
                    within: *within,
                }
            }
            Demand::Poisson { rate, length } => Workload::poisson(*rate, *length),
            Demand::Rates(parts) => {
                let part = |p: &Part| (p.length, p.from, p.to.unwrap_or(p.from));
                let parts = parts.iter().map(part).collect();
                Workload::Rates { start, parts }
            }
            Demand::Mmpp { process, length } => Workload::Mmpp {
                start,
                parts: vec![(*length, 1.0)],
                process: process.clone(),
            },
            Demand::Counts {
                step,
                counts,
                within,
            } => Workload::Counts {
                start,
                step: *step,
                counts: counts.clone(),
                within: *within,
            },
        })
    }

    /// Puts a trace in the place of the workload.
    pub fn replay(&mut self, file: PathBuf) {
        self.workload = Demand::Trace {
            file,
            format: None,
            functions: None,
            durations: None,
            within: Within::default(),
        };
    }

    /// What all policies share, for a target.
    #[must_use]
    pub fn setup(&self, target: TargetId) -> Setup {
        let mut cluster = self.cluster.clone();
        cluster.faults.clone_from(&self.faults);
        Setup {
            resources: BTreeMap::new(),
            cluster,
            pipeline: self.pipeline.clone(),
            min: self.replicas.min,
            max: self.replicas.max,
            hpa_target_percent: self.hpa_target_percent,
            schedule: self.schedule.clone(),
            target,
            aapa: BTreeMap::new(),
            own: self.behavior.clone().map(|behavior| HpaSpec {
                behavior: Some(behavior),
                ..HpaSpec::default()
            }),
        }
    }

    /// The one item of a scenario that needs no trace.
    #[must_use]
    pub fn item(&self, name: &str, seed: Seed) -> Option<Item> {
        Some(Item {
            id: name.to_owned(),
            workload: self.workload(seed)?,
            setup: self.setup(TargetId::new(&format!("scenario/Deployment/{name}"))),
        })
    }
}
