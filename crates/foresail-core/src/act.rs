//! The one effect of a decision, and what came of it.

use serde::{Deserialize, Serialize};

use crate::propose::plan::Plan;
use crate::quantity::time::Timestamp;

/// The number of a tick, counted from 1 within one engine's life.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// What the one write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Written.
    Applied,
    /// Something had changed since; not written.
    Stale,
    /// The write failed.
    Failed,
}

/// What was really done for a tick; a learner learns from this and not from its wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which tick.
    pub seq: Seq,
    /// When that tick was.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// The settings that were written; empty where none was.
    pub executed: Plan,
}
