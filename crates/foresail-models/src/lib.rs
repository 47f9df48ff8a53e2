//! Proposers, forecasters, and the registry that builds an engine.
//!
//! Pure given a seed: no clock, no I/O, no order of a hash map. A new proposer is one file in
//! `propose` and one line in [`registry::PROPOSERS`].

pub mod bayes;
pub mod classify;
mod envelope;
pub mod forecast;
pub mod knobs;
pub mod normal;
pub mod optim;
pub mod propose;
pub mod refit;
pub mod registry;
pub mod rl;
pub mod rng;
pub mod trees;
pub mod tune;
pub mod vpa;
