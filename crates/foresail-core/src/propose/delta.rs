//! A change on top of the reactive floor that an adviser asks for, and how often its like was right.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Absence;
use super::plan::TargetId;

/// What an adviser asks for, target by target.
#[derive(Clone, Debug, PartialEq)]
pub struct Deltas {
    /// What the adviser says of its own confidence, in percent; told, and never believed.
    pub said_percent: Option<u8>,
    /// Its reasoning.
    pub text: String,
    /// Each target's own, or why there is none.
    pub targets: Vec<(TargetId, Result<Delta, Absence>)>,
}

/// A change of replicas on top of the reactive floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What is asked for, within the most that a proposer lets through.
    pub asked: i32,
    /// What of it is left: none of a way down while the floor rises.
    pub taken: i32,
    /// How often the adviser's changes were right so far.
    pub record: Record,
    /// What that record is worth.
    pub standing: Standing,
    /// `true` where it is wished; `false` where it is only told.
    pub acts: bool,
}

/// How often an adviser was right, as it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Changes that were asked for and have been scored.
    pub changes: u32,
    /// Those of them that were right.
    pub hits: u32,
    /// Answers of no change that have been scored.
    pub steady: u32,
    /// Those of them that were right.
    pub steady_hits: u32,
    /// What the hits promise at the least, in whole percent; zero before the first.
    pub trust_percent: u8,
    /// Changes that must be scored before any is believed.
    pub needed: u32,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Enough of its changes were right.
    Trusted,
    /// Too few have been scored.
    Learning,
    /// Too few were right.
    Doubted,
}

impl Record {
    /// What the record says, in a few words.
    #[must_use]
    pub fn clause(&self, standing: Standing) -> String {
        match standing {
            Standing::Trusted => format!("{} of {} right", self.hits, self.changes),
            Standing::Learning => format!("learning: {} of {}", self.changes, self.needed),
            Standing::Doubted => format!("doubted: {} of {} right", self.hits, self.changes),
        }
    }
}

/// A change with its sign, as it is told; a true minus is one character wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed(pub i32);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("±0"),
            n if n < 0 => write!(f, "−{}", n.unsigned_abs()),
            n => write!(f, "+{n}"),
        }
    }
}
