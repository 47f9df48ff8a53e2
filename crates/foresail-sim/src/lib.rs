//! Event-driven simulator: requests, pods, a metrics pipeline as it is, and the same engine that a
//! controller runs.
//!
//! Pure given a seed; rayon runs whole experiments side by side, with results in item order.

pub mod cluster;
pub mod config;
pub mod driver;
pub mod env;
mod event;
pub mod experiment;
pub mod fault;
pub mod fluid;
pub mod function;
pub mod metrics;
pub mod rng;
pub mod service;
pub mod simulation;
pub mod workflow;
pub mod workload;
