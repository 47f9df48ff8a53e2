//! Charts, the offline report and the live page: numbers in, SVG, PNG and HTML out.
//!
//! Shows what was decided and measured, and computes no decision. The same model gives the same
//! bytes: no clock time, duration or path ever gets in.

pub mod curve;
pub mod experiment;
pub mod figure;
pub mod forecast;
pub mod live;
pub mod page;
pub mod png;
pub mod read_model;
pub mod reliability;
pub mod search;
mod strip;
pub mod study;
pub mod sweep;
pub mod tradeoff;
