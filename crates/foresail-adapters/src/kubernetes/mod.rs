//! Kubernetes: the object that users write, and what the engine makes of it.

pub mod convert;
pub mod crd;
