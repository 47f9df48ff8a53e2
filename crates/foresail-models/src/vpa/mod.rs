//! The recommender of the Vertical Pod Autoscaler: what a container should ask for, from what it used.
//!
//! CPU samples and one memory peak a day go into histograms whose old samples fade; percentiles of
//! them with a margin are what is recommended, between bounds that are wide while little is known.
//! Everything here equals k8s.io/autoscaler/vertical-pod-autoscaler 1.8.1 on the vectors of
//! `tests/golden/vpa`, bit for bit where numbers are whole. [`crate::propose::vpa`] is the proposer.

mod aggregate;
mod checkpoint;
mod container;
mod elementary;
mod estimate;
mod histogram;

pub use aggregate::{Aggregate, Aggregation, SavedAggregate};
pub use checkpoint::Checkpoint;
pub use container::Container;
pub use estimate::{Estimation, Estimations, Range, cpu_min, memory_min};
pub use histogram::{Buckets, Histogram, SavedHistogram};
