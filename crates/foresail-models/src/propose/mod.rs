//! The proposers, one file each.

pub mod advised;
pub mod fixed;
pub mod hpa;
pub mod keepalive_fixed;
pub mod keepalive_histogram;
pub mod kpa;
pub mod oracle;
pub mod predictive_hpa;
pub mod schedule;
