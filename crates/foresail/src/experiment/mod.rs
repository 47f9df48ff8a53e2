//! The experiment of a language model against the HPA, rehearsed in the simulator and live.
//!
//! One workload under a schedule of stress, three modes: the HPA governs and the adviser is only
//! logged, the adviser's changes are taken on top of the HPA, or nobody writes anything. Each run
//! leaves the published experiment's CSV file with its 25 columns, and beside it one that holds what
//! those columns lack. All modes go through the one engine.
//! Source: alcocuzzi/etp, folder autoscaler.

pub mod asked;
pub mod beside;
mod columns;
pub mod exact;
pub mod fly;
pub mod interval;
pub mod live;
pub mod naive;
pub mod pilots;
pub mod read;
pub mod report;
pub mod row;
pub mod rules;
pub mod schedule;
pub mod scripted;
pub mod told;
pub mod webapp;
pub mod world;

/// Who governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The HPA; the adviser is asked and only logged.
    HpaOnly,
    /// The HPA with the adviser's change on top; where there is none, the HPA alone.
    AiScaler,
    /// Nobody: what both would do is logged, and nothing is written.
    Comparison,
}

impl Mode {
    /// Every mode, in the order in which they are run.
    pub const ALL: [Self; 3] = [Self::HpaOnly, Self::AiScaler, Self::Comparison];

    /// Its name, as files and flags have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HpaOnly => "hpa_only",
            Self::AiScaler => "ai_scaler",
            Self::Comparison => "comparison",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}
