//! Workflows of functions: how long a stage takes at a size, with noise; the published workflows;
//! files; and what the cheapest possible plan costs.
//!
//! Everything is a function of seed and request number: the same request is drawn whatever was
//! drawn before it, so a search that is resumed sees what it would have seen.

pub mod bound;
pub mod file;
mod front;
mod graph;
mod lagrange;
pub mod model;
pub mod noise;
pub mod profiles;
pub mod published;
pub mod subject;
pub mod surface;
