//! What the 25 columns lack, as JSON lines beside each CSV file.
//!
//! The first line says what was run, then one line per row, at last what the whole came to; a file
//! without its last line was cut.

use foresail_core::propose::delta::Record;
use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::row::Simulated;
use super::schedule::Schedule;
use super::world::CPU_REQUEST;

/// What the head calls itself.
pub const KIND: &str = "foresail-experiment";

/// Version of the form.
pub const VERSION: u8 = 1;

/// The first line: what was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// [`KIND`].
    pub record: String,
    /// [`VERSION`].
    pub v: u8,
    /// The mode.
    pub mode: String,
    /// The only source of chance.
    pub seed: u64,
    /// Who was asked.
    pub adviser: String,
    /// `true` where that is a language model.
    pub is_model: bool,
    /// `true` where the simulator's columns are those of the published simulator.
    pub naive: bool,
    /// `true` where changes are withheld until enough of them were right.
    pub gated: bool,
    /// The workload's namespace and name.
    pub workload: (String, String),
    /// Begin.
    pub start: Timestamp,
    /// Seconds between two rows.
    pub interval_seconds: f64,
    /// Seconds of the whole run.
    pub length_seconds: f64,
    /// Seconds of the past that the adviser may be shown.
    pub history_seconds: f64,
    /// The fewest and the most replicas.
    pub bounds: (u32, u32),
    /// What is aimed at, CPU and memory, in percent of the request.
    pub targets: (u32, u32),
    /// CPU that a pod requests, in millicores, whatever request the simulator's columns divide by.
    #[serde(default = "cpu_request")]
    pub cpu_request: f64,
    /// Seconds of the past that the policy that forecasts began with, live and rehearsed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub past_seconds: f64,
    /// Demand that it counts a replica for; `None` where it learns that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capacity: Option<f64>,
    /// Simulated seconds that an answer took; `None` where it took its own time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency_seconds: Option<f64>,
    /// `true` where it ran on a cluster and not on simulated pods.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub live: bool,
    /// What requests were promised; empty where nobody counts them.
    pub slo: String,
    /// What came, and what pods were put under.
    pub schedule: Schedule,
}

fn is_zero(seconds: &f64) -> bool {
    *seconds <= 0.0
}

fn cpu_request() -> f64 {
    f64::from(CPU_REQUEST)
}

/// A later line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// Beside one row.
    Row(Box<Told>),
    /// The last one.
    End(Box<End>),
    /// The last one of a run that was interrupted: what it came to is not known.
    Interrupted {
        /// Rows until then.
        rows: u64,
        /// Writes until then.
        writes: u64,
    },
}

/// How far a run came.
#[derive(Clone, Debug, PartialEq)]
pub struct Flown {
    /// Rows.
    pub rows: u64,
    /// Writes.
    pub writes: u64,
    /// What the whole came to; `None` where it was interrupted.
    pub end: Option<End>,
}

impl Flown {
    /// The last line of the file.
    #[must_use]
    pub fn line(&self) -> Line {
        let (rows, writes) = (self.rows, self.writes);
        match &self.end {
            Some(end) => Line::End(Box::new(end.clone())),
            None => Line::Interrupted { rows, writes },
        }
    }
}

/// What belongs to one row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    /// The row's time.
    pub at: Timestamp,
    /// The exact HPA.
    pub exact: Option<Simulated>,
    /// The published simulator.
    pub naive: Option<Simulated>,
    /// What was asked and answered.
    pub asked: Option<Exchange>,
    /// What the adviser's record was, where it had a say.
    pub record: Option<Record>,
    /// Guards that stepped in, in all turns of the interval.
    pub guards: Vec<Stepped>,
    /// Writes in the interval.
    pub writes: u64,
    /// Turns of the loop in the interval.
    pub turns: u64,
}

/// One question and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exchange {
    /// The hash of the prompt.
    pub question: String,
    /// What the exact HPA asked for, within the bounds.
    pub baseline: u32,
    /// What is added to it.
    pub delta: Option<i32>,
    /// How sure the adviser says it is, in percent.
    pub said_percent: Option<u8>,
    /// `true` where the answer lay outside its range.
    pub limited: bool,
    /// `true` where a schema was asked for and nobody held the model to it.
    pub schema_ignored: bool,
    /// Rows that it was shown.
    pub rows: usize,
    /// Exchanges until there was an answer or none.
    pub attempts: usize,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// `true` where the answer came too late and was let go.
    pub late: bool,
    /// Tokens of prompts and answers, where the endpoint tells.
    pub tokens: (Option<u64>, Option<u64>),
    /// Why there is no answer.
    pub failure: Option<String>,
}

/// One guard that moved what was wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stepped {
    /// Which.
    pub by: String,
    /// From where to where.
    pub replicas: (i64, i64),
    /// Why.
    pub why: String,
    /// `true` where the adviser's number was moved.
    pub of_adviser: bool,
}

/// What the whole run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct End {
    /// Rows of the run.
    pub rows: u64,
    /// Writes.
    pub writes: u64,
    /// Requests that came; this and what follows of requests is `None` where nobody counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<f64>,
    /// Those that broke the promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<f64>,
    /// Those of them that were never served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unserved: Option<f64>,
    /// Capacity paid for.
    pub replica_minutes: f64,
    /// What no plan with so many late requests costs less than; `None` where nobody knows all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_replica_minutes: Option<f64>,
    /// Minutes in which the promise was not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_minutes: Option<u64>,
    /// Minutes with requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_minutes: Option<u64>,
    /// Changes of direction within the flap window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaps: Option<u64>,
    /// Requests and late ones, minute by minute.
    pub minutes: Vec<(f64, f64)>,
}

impl End {
    /// Capacity paid for above the least that was possible; `None` where that is not known.
    #[must_use]
    pub fn above_least(&self) -> Option<f64> {
        Some(self.replica_minutes - self.least_replica_minutes?)
    }

    /// Requests that broke the promise, in percent; `None` where nobody counted any.
    #[must_use]
    pub fn late_percent(&self) -> Option<f64> {
        let requests = self.requests.filter(|n| *n > 0.0)?;
        Some(self.late? * 100.0 / requests)
    }
}
