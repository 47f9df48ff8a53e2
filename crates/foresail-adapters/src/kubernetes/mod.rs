//! Kubernetes: read what is there, write one number against the version that was read.
//!
//! Every call has a deadline and is made once; what cannot be read is a [`fault::Fault`], never zero.

pub mod client;
pub mod convert;
pub mod crd;
pub mod discover;
pub mod event;
pub mod exec;
pub mod fault;
pub mod forward;
pub mod lease;
pub mod metrics;
pub mod pods;
pub mod ready_pods;
pub mod rival;
pub mod scale;
pub mod selector;
pub mod watch;
pub mod workload;
