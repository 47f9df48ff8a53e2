//! When requests come.

mod arrival;
pub mod sample;

pub use arrival::{Arrivals, Within, Workload};
