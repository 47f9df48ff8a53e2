//! The main job: every policy on one workload, and what to make of it.

mod build;
mod headline;
mod listen;
mod measures;
mod options;
mod own_hpa;
mod plan;
pub mod prometheus;
mod sample;
pub mod scenario;
pub mod trace;
mod verdict;

pub use build::{Comparison, compare};
pub use measures::measures;
pub use options::{Options, RunArgs};
pub(crate) use plan::policies_of;
pub use plan::{Plan, plan};
pub(crate) use verdict::settings_tried;

/// The report's files in a results folder, from its model alone.
pub mod files;
