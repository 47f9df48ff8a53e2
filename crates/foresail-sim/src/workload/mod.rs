//! When requests come.

pub mod archetype;
mod arrival;
mod mmpp;
pub mod numpy;
pub mod population;
pub mod published;
pub mod sample;

pub use arrival::{Arrivals, Within, Workload};
pub use mmpp::{Mmpp, MmppError};
