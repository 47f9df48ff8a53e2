//! The proposers, one file each; those on a forecast share `on_forecast`.

pub mod aapa;
pub mod aapa_published;
pub mod advised;
pub mod buffered;
pub mod confidence_aware;
pub mod fixed;
pub mod hpa;
pub mod keepalive_fixed;
pub mod keepalive_histogram;
pub mod kpa;
pub(crate) mod on_forecast;
pub mod oracle;
pub mod persistence;
pub mod policy_aware;
pub mod pool;
pub mod predictive;
pub mod predictive_hpa;
pub mod schedule;
pub mod simple_ceiling;
pub mod trial;
