//! What is wished.

pub mod plan;
