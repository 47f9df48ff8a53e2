//! What numbers may be: times, counts, Kubernetes quantities, series.

pub mod series;
pub mod time;
pub mod trace;
pub mod units;
