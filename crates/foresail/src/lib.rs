//! Foresail's command line as a library, so that tests can call what the binary runs.

mod aware;
pub mod cli;
pub mod compare;
pub mod config;
pub mod conformance;
pub mod controller;
pub mod exit;
pub mod experiment;
pub mod forecast;
pub mod interrupt;
pub mod load;
pub mod optimize;
pub mod record;
pub mod serve;
pub mod shadow_score;
pub mod stress;
pub mod study;
pub mod sweep;
pub mod watch;
