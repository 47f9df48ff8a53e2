//! What pods should ask for, as a proposer tells it.

use serde::{Deserialize, Serialize};

use crate::quantity::units::Quantity;

/// What one resource of a pod should ask for.
///
/// Units: cores for CPU, bytes for memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestRange {
    /// What a pod asks for at present, where that is known.
    pub current: Option<Quantity>,
    /// Less is too little.
    pub lower: Quantity,
    /// What to ask for.
    pub target: Quantity,
    /// More is too much.
    pub upper: Quantity,
    /// The target before it was held within what is allowed.
    pub uncapped: Quantity,
}

impl RequestRange {
    /// `true` where what is asked for is not known, too little or too much.
    #[must_use]
    pub fn is_left(&self) -> bool {
        let bounds = self.lower.milli()..=self.upper.milli();
        self.current.is_none_or(|c| !bounds.contains(&c.milli()))
    }
}

/// Why requests are to be changed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Renewal {
    /// A request lies outside of its bounds.
    Outside,
    /// Pods have lived long, and their requests are far enough from the targets.
    Far,
    /// A container was killed for memory soon after its start.
    Killed,
}

/// What a target's pods should ask for, and whether that is worth a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Each resource of which something is known, with its name.
    pub ranges: Vec<(String, RequestRange)>,
    /// Why they are to be changed; `None` = kept as they are.
    pub renewal: Option<Renewal>,
}
