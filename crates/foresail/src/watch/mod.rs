//! A live shadow: what an engine would have done beside the autoscaler that is in charge.
//!
//! The shadow is fed what Prometheus shows and lives a life of its own: it begins with the
//! incumbent's replicas, its decisions count as carried out, and what it adds serves after the
//! start-up time. Demand is taken for the same under both. Nothing is ever written to the cluster.

pub mod cluster;
pub mod llm;
pub(crate) mod metric;
pub mod observe;
pub(crate) mod past;
pub mod score;
pub mod shadow;
