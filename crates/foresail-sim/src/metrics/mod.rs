//! What is measured of a run, and what of it an autoscaler gets to see.

pub mod histogram;
pub mod measure;
pub mod scrape;
pub(crate) mod steadiness;
