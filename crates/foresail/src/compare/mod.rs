//! The main job: every policy on one workload, and what to make of it.

mod build;
pub mod function_mode;
mod headline;
mod listen;
mod measures;
mod options;
mod plan;
mod sample;
pub mod trace;

pub use build::{Comparison, compare};
pub use function_mode::FunctionArgs;
pub use measures::measures;
pub use options::{ModeArg, Options, RunArgs};
pub(crate) use plan::policies_of;
pub use plan::{Plan, plan};

/// The report's files in a results folder, from its model alone.
pub mod files;
