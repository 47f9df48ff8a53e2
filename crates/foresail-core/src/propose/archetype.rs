//! Archetypes: classes of demand by their shape, each scaled in a way of its own.
//!
//! Source: AAPA, arXiv 2507.05653, section III (the four classes; Idle is this project's).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A class of demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Archetype {
    /// Sudden bursts out of little.
    Spike,
    /// A pattern that comes again.
    Periodic,
    /// A change that goes on.
    Ramp,
    /// A level with noise around it.
    Stationary,
    /// No demand at all; there is no strategy for it.
    Idle,
}

impl Archetype {
    /// The classes that a classifier tells apart; scores stand in this order.
    pub const CLASSES: [Self; 4] = [Self::Spike, Self::Periodic, Self::Ramp, Self::Stationary];

    /// Its place in [`Self::CLASSES`]; `None` for Idle.
    #[must_use]
    pub fn place(self) -> Option<usize> {
        Self::CLASSES.iter().position(|class| *class == self)
    }

    /// Its name as it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spike => "Spike",
            Self::Periodic => "Periodic",
            Self::Ramp => "Ramp",
            Self::Stationary => "Stationary",
            Self::Idle => "Idle",
        }
    }
}

impl fmt::Display for Archetype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
