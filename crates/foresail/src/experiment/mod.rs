//! The experiment of a language model against the HPA, rehearsed in the simulator and live.
//!
//! One workload under a schedule of stress, the three published modes: the HPA governs and the adviser
//! is only logged, the adviser's changes are taken on top of the HPA, or nobody writes anything; and
//! what they are held against: Foresail's own policy, and, rehearsed alone, the published HPA simulator
//! and an oracle. Each run leaves the published experiment's CSV file with its 25 columns, and beside
//! it one that holds what those columns lack. Whoever may scale on a cluster goes through the one
//! engine.
//! Source: alcocuzzi/etp, folder autoscaler.

pub mod asked;
pub mod beside;
mod columns;
pub mod exact;
pub mod fly;
pub mod interval;
pub mod live;
pub mod naive;
pub mod oracle;
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
    /// Foresail's own policy on a forecast of the demand, the HPA as its floor.
    Predictive,
    /// The published HPA simulator as it is, its mistakes included; rehearsed alone.
    NaiveHpa,
    /// The cheapest plan of one who knows all demand to come; rehearsed alone.
    Oracle,
}

impl Mode {
    /// Every mode, in the order in which they are run: the published ones, then ours.
    pub const ALL: [Self; 6] = [
        Self::HpaOnly,
        Self::AiScaler,
        Self::Comparison,
        Self::Predictive,
        Self::NaiveHpa,
        Self::Oracle,
    ];

    /// Its name, as files and flags have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HpaOnly => "hpa_only",
            Self::AiScaler => "ai_scaler",
            Self::Comparison => "comparison",
            Self::Predictive => "predictive",
            Self::NaiveHpa => "naive_hpa",
            Self::Oracle => "oracle",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// `true` where the adviser is asked.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(self, Self::HpaOnly | Self::AiScaler | Self::Comparison)
    }

    /// `true` where this program scales in the place of the cluster's own HPA.
    #[must_use]
    pub const fn takes_over(self) -> bool {
        matches!(self, Self::AiScaler | Self::Predictive)
    }
}
