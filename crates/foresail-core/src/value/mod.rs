//! What a decision is worth: promises, cost, and what queueing theory says of capacity; and the
//! workflows whose stages share one promise.

pub mod capacity;
pub mod cost;
pub mod rei;
pub mod slo;
pub mod workflow;
