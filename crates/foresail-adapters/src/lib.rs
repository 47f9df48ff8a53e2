//! The borders: trace formats, Prometheus, a language model, result files.
//!
//! Readers hand out one item at a time; writers never leave half a file. Knows no models.

pub mod access;
pub mod atomic;
pub mod clock;
pub mod io;
pub mod kubernetes;
pub mod llm;
pub mod load;
pub mod openwhisk;
pub mod prometheus;
pub mod provider;
pub mod registry;
pub mod results;
pub mod retry;
pub mod rpc;
pub mod service;
pub mod stats;
pub mod store;
pub mod workflow;
