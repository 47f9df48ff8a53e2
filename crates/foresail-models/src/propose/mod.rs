//! The proposers, one file each.

pub mod fixed;
pub mod hpa;
pub mod kpa;
pub mod oracle;
pub mod predictive_hpa;
pub mod schedule;
