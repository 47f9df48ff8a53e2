//! Kubernetes: read what is there, write one number against the version that was read.
//!
//! Every call has a deadline and is made once; what cannot be read is a fault, never zero.

pub mod lease;
