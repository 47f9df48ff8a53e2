//! The decision: types, engine, guards, the exact Kubernetes HPA and explanations.
//!
//! One closed input, one pure function: [`engine::Engine::feed`]. The folders follow the order of a
//! tick: observe, propose, shape, combine, guard, admit, act, explain.
//!
//! Invariants: nothing here reads a clock, does I/O, starts a thread or draws a random number;
//! nothing but [`spec::ValidSpec::new`] and constructors can fail; a missing value is never zero.

pub mod act;
pub mod admit;
pub mod combine;
pub mod engine;
pub mod explain;
pub mod guard;
pub mod history;
pub mod hpa;
pub mod observe;
pub mod propose;
pub mod quantity;
mod shape;
pub mod spec;
pub mod value;
