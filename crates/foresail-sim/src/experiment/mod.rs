//! Policies on workloads: what a policy is, how many are run, what comes out.

pub mod policy;
pub mod run;
pub mod scenario;
pub mod weeks;

pub use policy::{Policy, Setup, default_policies, frontier, further_policies, sizing_policies};
pub use run::{ExperimentError, Item, Outcome, run_all};
