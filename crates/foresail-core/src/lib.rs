//! The decision: types, engine, guards, the exact Kubernetes HPA and explanations.

pub mod hpa;
pub mod propose;
pub mod quantity;
