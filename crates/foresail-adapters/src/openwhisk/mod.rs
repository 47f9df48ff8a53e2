//! OpenWhisk: its REST API (actions, limits, sequences, activations), and what a fork of it needs
//! (runtimes that are changed while it runs).

pub mod action;
pub mod activation;
pub mod client;
pub mod failure;
pub mod functions;
pub mod invoke;
pub mod key;
pub mod kinds;
pub mod runtimes;

pub use client::OpenWhisk;
pub use failure::Failure;
pub use functions::Functions;
pub use key::Key;
