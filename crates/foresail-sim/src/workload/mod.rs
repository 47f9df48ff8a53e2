//! When requests come.

mod arrival;
pub mod population;
pub mod sample;

pub use arrival::{Arrivals, Within, Workload};
