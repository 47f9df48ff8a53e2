//! What a model is asked about: numbers alone.
//!
//! The types leave no room for a name: no label, no pod's name, no event can get into a prompt.

/// Rows that are told; older ones are left out.
/// Source: alcocuzzi/etp, autoscaler/ollama_predictor.py, `history.tail(10)`.
pub const ROWS_MAX: usize = 10;

/// One question about one workload. Times are ages, so that the same situation is the same question
/// whenever it is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Replicas that are asked for at present.
    pub current: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// The fewest replicas.
    pub min: u32,
    /// The most replicas.
    pub max: u32,
    /// What the exact HPA asks for.
    pub baseline: u32,
    /// How far ahead the model shall look, in seconds.
    pub horizon_seconds: u32,
    /// CPU that is aimed at, in percent of the request.
    pub cpu_target_percent: Option<u32>,
    /// Memory that is aimed at, in percent of the request.
    pub memory_target_percent: Option<u32>,
    /// Demand per replica that is aimed at, in requests per second.
    pub requests_target: Option<f64>,
    /// What was measured, the oldest first.
    pub rows: Vec<Row>,
}

/// What was measured at one time; what is unknown is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// How long ago, in seconds.
    pub age_seconds: u32,
    /// CPU of a pod on average, in thousandths of a core.
    pub cpu_milli: Option<f64>,
    /// Memory of a pod on average, in MiB.
    pub memory_mib: Option<f64>,
    /// CPU that a pod requests, in thousandths of a core.
    pub cpu_request_milli: Option<f64>,
    /// Memory that a pod requests, in MiB.
    pub memory_request_mib: Option<f64>,
    /// Demand of the whole workload, in requests per second.
    pub requests_per_second: Option<f64>,
    /// Pods that ran.
    pub pods: Option<u32>,
}
