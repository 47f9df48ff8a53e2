//! Archetypes: classes of demand by their shape, each scaled in a way of its own.
//!
//! Source: AAPA, arXiv 2507.05653, section III (the four classes; Idle is this project's).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::Replicas;

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

    /// What it is scaled by unless the user says otherwise; `None` for Idle.
    #[must_use]
    pub const fn strategy(self) -> Option<Strategy> {
        match self {
            Self::Spike => Some(Strategy::SPIKE),
            Self::Periodic => Some(Strategy::PERIODIC),
            Self::Ramp => Some(Strategy::RAMP),
            Self::Stationary => Some(Strategy::STATIONARY),
            Self::Idle => None,
        }
    }
}

impl fmt::Display for Archetype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an archetype is scaled by, before doubt is counted in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strategy {
    /// CPU utilization that is aimed at, as a share of the request.
    pub target: f64,
    /// The least time between a change and the next way down.
    pub cooldown: Span,
    /// The fewest replicas.
    pub min: Replicas,
    /// The most replicas.
    pub max: Replicas,
}

impl Strategy {
    /// That of Spike.
    pub const SPIKE: Self = Self::of(0.30, 1200, 2);
    /// That of Periodic.
    pub const PERIODIC: Self = Self::of(0.75, 180, 1);
    /// That of Ramp.
    pub const RAMP: Self = Self::of(0.60, 420, 1);
    /// That of Stationary.
    pub const STATIONARY: Self = Self::of(0.55, 720, 1);

    /// A row of the table: CPU target, cooldown in seconds, fewest replicas; at most 100.
    ///
    /// Source: GuilinDev/aapa-simulator:src/core/strategies.py and its config/default.yaml.
    const fn of(target: f64, cooldown: i64, min: u32) -> Self {
        Self {
            target,
            cooldown: Span::from_seconds(cooldown),
            min: Replicas::new(min),
            max: Replicas::new(100),
        }
    }
}

/// A strategy with doubt counted in: what [`adjust`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adjusted {
    /// What doubt multiplies replicas and cooldown by, from 1 to 1.5.
    pub multiplier: f64,
    /// CPU utilization that is aimed at, as a share of the request.
    pub target: f64,
    /// The least time between a change and the next way down.
    pub cooldown: Span,
    /// The fewest replicas.
    pub min: Replicas,
}

/// The strategy at this confidence: the less is known, the lower its target, the longer its
/// cooldown and the more replicas it keeps.
///
/// `m = 1 + 0.5·(1 − c)`; target · (1 − 0.2·(1 − c)); cooldown · m; ceil(replicas · m). Applied at
/// every confidence, without a threshold. `confidence` outside 0 to 1 counts as the nearer end, and
/// what is no number as 0.
/// Source: AAPA, arXiv 2507.05653, Algorithm 1. Its inputs are the three keys that a strategy has in
/// the configuration: CPU target, cooldown, fewest replicas.
#[must_use]
pub fn adjust(confidence: f64, strategy: &Strategy) -> Adjusted {
    let confidence = if confidence.is_nan() { 0.0 } else { confidence };
    let doubt = 1.0 - confidence.clamp(0.0, 1.0);
    let multiplier = 1.0 + 0.5 * doubt;
    let millis = strategy.cooldown.seconds() * multiplier * 1000.0;
    // A product that is whole but for rounding must not become one more.
    let min = (f64::from(strategy.min.get()) * multiplier - 1e-9).ceil();
    Adjusted {
        multiplier,
        target: strategy.target * (1.0 - 0.2 * doubt),
        cooldown: Span::from_millis(millis.round() as i64),
        min: Replicas::saturating(min as i64),
    }
}

/// What made another number of demand over capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Turn {
    /// A burst has begun: times the burst's factor.
    Burst,
    /// The fewest replicas of the archetype are kept.
    Pool,
    /// The reactive floor, under the safe default.
    Floor,
    /// Demand is within the dead band around what is there.
    DeadBand,
    /// What is needed before a new replica could serve is kept.
    Soon,
    /// The most replicas of the archetype are reached.
    Most,
}

impl Turn {
    /// What it did, as it stands before the number that came of it.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Burst => "more in a burst",
            Self::Pool => "the fewest kept",
            Self::Floor => "reactive floor",
            Self::DeadBand => "within the dead band",
            Self::Soon => "kept until then",
            Self::Most => "at most",
        }
    }
}

/// How a target was scaled by its archetype.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled {
    /// Whose strategy was used: the safe default's where doubt is too large.
    pub by: Archetype,
    /// CPU target of that strategy, as a share of the request.
    pub target: f64,
    /// The strategy with doubt counted in.
    pub adjusted: Adjusted,
    /// Demand that sized the wish, in requests per second.
    pub demand: f64,
    /// Demand that one replica serves at the adjusted target, in requests per second.
    pub capacity: f64,
    /// What made another number of the quotient.
    pub turn: Option<Turn>,
    /// The forecaster behind the demand, with the time to which it was fitted.
    pub forecast: Option<(&'static str, Option<Timestamp>)>,
}

/// A target's archetype, and what was made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Classed {
    /// The archetype in force; `None` while none is known and the rule without one decides.
    pub archetype: Option<Archetype>,
    /// Its probability, from 0 to 1.
    pub confidence: f64,
    /// How it was scaled; `None` where there is no strategy.
    pub scaled: Option<Scaled>,
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    /// Confidence, then CPU target, cooldown in seconds and replicas before and after.
    /// Source: specs/aapa_aquatope.md 3.4.
    const VECTORS: [(f64, [f64; 3], [f64; 3]); 5] = [
        (1.0, [0.3, 1200.0, 2.0], [0.3, 1200.0, 2.0]),
        (0.6, [0.3, 1200.0, 2.0], [0.276, 1440.0, 3.0]),
        (0.0, [0.3, 1200.0, 2.0], [0.24, 1800.0, 3.0]),
        (0.5, [0.75, 180.0, 1.0], [0.675, 225.0, 2.0]),
        (0.8, [0.6, 420.0, 1.0], [0.576, 462.0, 2.0]),
    ];

    fn strategy([target, cooldown, min]: [f64; 3]) -> Strategy {
        Strategy {
            target,
            cooldown: Span::from_seconds(cooldown as i64),
            min: Replicas::new(min as u32),
            max: Replicas::new(100),
        }
    }

    #[test]
    fn doubt_is_counted_in_as_published() {
        for (confidence, before, [target, cooldown, min]) in VECTORS {
            let got = adjust(confidence, &strategy(before));
            assert!((got.target - target).abs() < 1e-12, "{confidence} {got:?}");
            assert_eq!(
                got.cooldown,
                Span::from_seconds(cooldown as i64),
                "{confidence}"
            );
            assert_eq!(got.min, Replicas::new(min as u32), "{confidence}");
        }
    }

    #[test]
    fn what_is_no_confidence_is_none() {
        let spike = strategy([0.3, 1200.0, 2.0]);
        assert_eq!(adjust(f64::NAN, &spike), adjust(0.0, &spike));
        assert_eq!(adjust(7.0, &spike), adjust(1.0, &spike));
        assert_eq!(adjust(f64::NEG_INFINITY, &spike), adjust(0.0, &spike));
    }

    #[test]
    fn every_class_but_idle_has_a_strategy() {
        for class in Archetype::CLASSES {
            assert!(class.strategy().is_some(), "{class}");
        }
        assert_eq!(Archetype::Idle.strategy(), None);
    }

    proptest! {
        #[test]
        fn less_confidence_never_asks_for_less(a in 0.0..=1.0_f64, b in 0.0..=1.0_f64,
            target in 0.05..=1.0_f64, cooldown in 0.0..=7200.0_f64, min in 0_u32..=50) {
            let base = strategy([target, cooldown, f64::from(min)]);
            let [low, high] = if a <= b { [a, b] } else { [b, a] }.map(|c| adjust(c, &base));
            prop_assert!(low.target <= high.target);
            prop_assert!(low.cooldown >= high.cooldown);
            prop_assert!(low.min >= high.min && low.multiplier >= high.multiplier);
            prop_assert!(high.min >= base.min && high.cooldown >= base.cooldown);
        }
    }
}
