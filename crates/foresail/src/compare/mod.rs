//! The main job: every policy on one workload, and what to make of it.

pub(crate) mod aapa_file;
mod build;
mod fluid_mode;
pub mod function_mode;
mod headline;
mod listen;
mod measures;
mod options;
mod own_hpa;
mod paired;
pub(crate) mod plan;
pub mod prometheus;
pub(crate) mod reference;
mod regret;
mod sample;
pub mod scenario;
pub mod trace;
mod verdict;

pub use build::{Comparison, compare};
pub(crate) use fluid_mode::measures as fluid_measures;
pub use function_mode::FunctionArgs;
pub use measures::measures;
pub(crate) use options::jobs;
pub use options::{GapsArg, ModeArg, Options, RunArgs};
pub(crate) use plan::policies_of;
pub use plan::{Plan, plan};
pub(crate) use verdict::settings_tried;

/// The report's files in a results folder, from its model alone.
pub mod files;
