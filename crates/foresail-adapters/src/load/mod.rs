//! Load on a server: what is sent when, and an open-loop generator that sends it.
//!
//! Requests go out when they are due, whatever became of those before them, so that a slow server
//! does not slow down what is asked of it; every time is counted from the moment when a request was
//! due. `arrivals` says when that is, `generator` sends, `answer` reads, `targets` says to whom.

mod answer;
pub mod arrivals;
mod connection;
pub mod generator;
pub mod stages;
pub mod targets;
