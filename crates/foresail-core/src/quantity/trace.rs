//! One item of a trace: its demand, and what is known of its run time and memory.

use super::series::Series;

/// Demand of one item over equal steps, as a reader hands it out; one at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceItem {
    /// Its name; unique within the trace.
    pub id: String,
    /// What calls it, where the trace tells; any text.
    pub trigger: String,
    /// Requests per step; a gap is missing, never zero.
    pub demand: Series,
    /// Run time of one request.
    pub durations: Option<Percentiles>,
    /// Memory of one container in megabytes.
    pub memory: Option<Percentiles>,
}

/// A distribution by some of its percentiles.
///
/// Units: milliseconds for run times, megabytes (10^6 bytes) for memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Percentiles {
    /// Mean.
    pub average: f64,
    /// Number of samples behind it.
    pub count: f64,
    /// Percentile (0 to 100) and value, ascending.
    pub points: Vec<(f64, f64)>,
}

impl TraceItem {
    /// All requests of the item, gaps left out.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.demand.iter().flatten().sum()
    }
}
