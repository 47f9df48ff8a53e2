//! Spike: a warm pool, much head-room, growth as soon as a burst begins, a slow way down.
//!
//! Between two points of demand the pods' own usage tells that a burst has begun. In a burst the
//! need is multiplied, since what is measured is already the past of what comes; the long cooldown
//! keeps what was added for the next burst.
//! Source: GuilinDev/aapa-simulator:src/core/{strategies,simulator}.py as described (spec 1.6); the
//! detection is on demand instead of replicas.

use foresail_core::propose::archetype::{Strategy, Turn};
use foresail_core::quantity::units::Replicas;

use super::strategies::{Need, Rule, Scene, common, median, present};
use crate::knobs::{Knob, Knobs};

/// Steps whose median a burst is measured against.
const BEFORE: usize = 10;

const COMMON: [Knob; 4] = common(Strategy::SPIKE);

/// Its knobs.
pub(super) const KNOBS: &[Knob] = &[
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
    Knob::number(
        "warmPoolReplicas",
        [2.0, 0.0, 1e6],
        "replicas kept without demand",
    ),
    Knob::number(
        "burstFactor",
        [1.5, 1.0, 100.0],
        "what the need is multiplied by in a burst",
    ),
    Knob::number(
        "surgeFactor",
        [1.5, 1.0, 100.0],
        "demand over the median of the last ten minutes from which on it is a burst",
    ),
];

/// How bursts are met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spike {
    burst: f64,
    surge: f64,
}

impl Spike {
    pub(super) fn new(knobs: &Knobs) -> Self {
        Self {
            burst: knobs.number("burstFactor"),
            surge: knobs.number("surgeFactor"),
        }
    }

    pub(super) fn warm_pool(knobs: &Knobs) -> Replicas {
        Replicas::saturating(knobs.number("warmPoolReplicas") as i64)
    }

    /// Whether a burst has begun: demand has left its level, or what is asked for is above its
    /// target already.
    fn bursts(self, demand: f64, scene: &Scene<'_>, capacity: f64) -> bool {
        let level = median(scene.recent(BEFORE).into_iter().map(|(_, value)| value));
        let surges = level.is_some_and(|level| demand > self.surge * level);
        surges || demand > capacity * f64::from(scene.current.get())
    }
}

impl Rule for Spike {
    fn need(&self, scene: &Scene<'_>, capacity: f64) -> Option<Need> {
        let demand = present(scene)?;
        if !self.bursts(demand, scene, capacity) {
            return Need::covering(demand, capacity);
        }
        let more = Need::covering(demand * self.burst, capacity)?;
        Some(Need {
            demand,
            turn: Some(Turn::Burst),
            ..more
        })
    }
}
