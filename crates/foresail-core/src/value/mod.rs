//! What a decision is worth: promises, cost, and what queueing theory says of capacity.

pub mod capacity;
pub mod cost;
pub mod rei;
pub mod slo;
