//! What is kept, by its meaning; the bytes of snapshots, inputs, decisions and rows are the caller's.

use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntentState {
    /// Written down; the write may be under way.
    Open,
    /// The target was set.
    Applied,
    /// The target was not set, and will not be by this intent.
    NotApplied,
    /// Somebody else set the target first.
    Superseded,
    /// No answer came; the target must be read back.
    Unknown,
}

impl IntentState {
    /// `true` while the target may still change by this intent.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Unknown)
    }
}

/// A change of a target that is about to be written, so that a restart knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Of the decision; unique.
    pub id: String,
    /// The object whose target is changed.
    pub uid: String,
    /// Replicas before.
    pub from: u32,
    /// Replicas wanted.
    pub to: u32,
    /// Of the scale that was read; the write is refused where it moved.
    pub resource_version: String,
    /// Of the leadership under which it is written.
    pub epoch: u64,
    /// Counts the object's decisions; (epoch, seq) only grows.
    pub seq: u64,
    /// After this the write must not be begun.
    pub expires: Timestamp,
    /// What became of it.
    pub state: IntentState,
}

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Demand as it was measured, a point a minute.
    Demand,
    /// What is scored against the incumbent, a row an interval.
    Score,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Demand, Self::Score];

    /// How it is written in a key; never changes.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Demand => 1,
            Self::Score => 2,
        }
    }

    /// The time whose rows lie in one blob: some 60 rows, so that a blob is rewritten while it fills
    /// at a few kilobytes and is worth packing once it is full.
    pub(super) const fn block(self) -> Span {
        match self {
            Self::Demand => Span::from_seconds(3600),
            Self::Score => Span::from_seconds(900),
        }
    }
}

/// A record with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// When.
    pub at: Timestamp,
    /// What.
    pub bytes: Vec<u8>,
}

/// An engine as it was saved, and what it was fed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// The engine's snapshot; `None` where none was saved.
    pub snapshot: Option<Vec<u8>>,
    /// Inputs since, in order.
    pub inputs: Vec<Vec<u8>>,
}

/// What is kept of each object, and of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Decisions of one object.
    pub decisions_max: u64,
    /// Intents of one object that have an outcome.
    pub intents_max: usize,
    /// How long decisions are kept.
    pub decisions_age: Span,
    /// How long rows are kept.
    pub rows_age: Span,
    /// Bytes of all records together; beyond, the oldest rows go first.
    pub bytes_max: u64,
}

impl Default for Limits {
    /// Source: reliability figures: 50 decisions shown at most, one week of history, a store of
    /// 256 MiB for 10,000 objects.
    fn default() -> Self {
        Self {
            decisions_max: 50,
            intents_max: 20,
            decisions_age: Span::from_seconds(7 * 86_400),
            rows_age: Span::from_seconds(7 * 86_400),
            bytes_max: 256 << 20,
        }
    }
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Records and blocks of rows that went.
    pub removed: usize,
    /// Bytes of records that stay, keys included.
    pub kept_bytes: u64,
    /// Rows before this were given up although they were not too old, because all was too much.
    pub rows_cut_before: Option<Timestamp>,
}
