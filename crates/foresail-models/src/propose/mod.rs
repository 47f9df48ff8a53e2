//! The proposers, one file each.

pub mod advised;
pub mod fixed;
pub mod hpa;
pub mod kpa;
pub mod predictive_hpa;
pub mod schedule;
