//! The main job: every policy on one workload, and what to make of it.

mod build;
mod headline;
mod listen;
mod measures;
mod options;
mod plan;
pub mod prometheus;
mod sample;
pub mod trace;

pub use build::{Comparison, compare};
pub use measures::measures;
pub use options::{Options, RunArgs};
pub(crate) use plan::policies_of;
pub use plan::{Plan, plan};

/// The report's files in a results folder, from its model alone.
pub mod files;
