//! Prometheus as it is met: instant and range queries over HTTP, read only.
//!
//! Nothing here is ever written to the server. A step without a sample is a gap and an empty answer
//! is unknown, never zero. Tokens and keys come by file or environment and are never printed. What
//! is asked for is a function of the arguments alone: the time comes from the caller.

mod error;
mod parse;
mod query;

pub use crate::access::{Access, Token};
pub use error::PrometheusError;
pub use parse::{Found, Labels, parse};
pub use query::{At, Line, Prometheus, Range, Ranged};

/// Points that a server answers for one series at most; longer ranges are cut into several queries.
/// Source: prometheus/prometheus:web/api/v1/api.go, queryRange ("exceeded maximum resolution").
pub const POINTS_MAX: u32 = 11_000;

/// The largest answer that is read.
pub const ANSWER_BYTES_MAX: u64 = 50 << 20;
