//! Stationary: the level under the noise, and no change for what is noise.
//!
//! Also the safe default where it is doubtful which archetype there is.
//! Source: GuilinDev/aapa-simulator:src/core/strategies.py as described (spec 1.6); its band of one
//! replica, in which a single replica never becomes two, is a share of demand here.

use foresail_core::propose::archetype::{Strategy, Turn};

use super::strategies::{Need, Rule, Scene, common, median};
use crate::knobs::{Knob, Knobs};

const COMMON: [Knob; 4] = common(Strategy::STATIONARY);

/// Its knobs.
pub(super) const KNOBS: &[Knob] = &[
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
    Knob::number(
        "windowSteps",
        [5.0, 1.0, 60.0],
        "minutes whose median is the level",
    ),
    Knob::number(
        "deadBandPercent",
        [10.0, 0.0, 50.0],
        "how far demand may be from what is there without a change",
    ),
];

/// How a level with noise is met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stationary {
    window: usize,
    dead_band: f64,
}

impl Stationary {
    pub(super) fn new(knobs: &Knobs) -> Self {
        Self {
            window: knobs.number("windowSteps") as usize,
            dead_band: knobs.number("deadBandPercent") / 100.0,
        }
    }
}

impl Rule for Stationary {
    fn need(&self, scene: &Scene<'_>, capacity: f64) -> Option<Need> {
        let recent = scene.recent(self.window).into_iter();
        let demand = median(recent.map(|(_, value)| value))?;
        let need = Need::covering(demand, capacity)?;
        let there = capacity * f64::from(scene.current.get());
        let within = (demand - there).abs() <= self.dead_band * there + 1e-9;
        if there > 0.0 && within && need.replicas != scene.current {
            return Some(Need {
                replicas: scene.current,
                turn: Some(Turn::DeadBand),
                ..need
            });
        }
        Some(need)
    }
}
