//! Load on a server: what is sent when.

pub mod stages;
