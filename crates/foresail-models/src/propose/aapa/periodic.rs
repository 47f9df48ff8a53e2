//! Periodic: what recurs is there before it comes, by one of this project's forecasters.
//!
//! The forecast covers the time from which a replica asked for now serves until one asked for at the
//! next decision does. A forecaster that is not trusted at present is not asked.
//! Source: AAPA, arXiv 2507.05653, section III (Holt–Winters with a horizon of 15 min); the
//! published code extrapolates five samples instead (spec 1.6).

use foresail_core::propose::archetype::{Strategy, Turn};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;

use super::strategies::{Need, Rule, Scene, common};
use crate::knobs::{Knob, Knobs};
use crate::propose::on_forecast::{self, covering};

const COMMON: [Knob; 4] = common(Strategy::PERIODIC);

/// Its knobs.
pub(super) const KNOBS: &[Knob] = &[
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
    Knob::number(
        "horizonSeconds",
        [900.0, 60.0, 14_400.0],
        "the farthest that a forecast is asked for; a slower start-up is not forecast",
    ),
];

/// How what recurs is met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periodic {
    horizon: Span,
}

impl Periodic {
    pub(super) fn new(knobs: &Knobs) -> Self {
        Self {
            horizon: Span::from_seconds(knobs.number("horizonSeconds") as i64),
        }
    }
}

impl Rule for Periodic {
    fn need(&self, scene: &Scene<'_>, capacity: f64) -> Option<Need> {
        let known = scene.known;
        let ahead = known
            .ahead
            .as_ref()
            .ok()
            .filter(|_| known.lead <= self.horizon)?;
        let there = on_forecast::Scene {
            capacity,
            current: scene.current,
            history: scene.history,
            now: scene.now,
        };
        let sized = covering(ahead.soon.sizing, ahead.later.sizing, &there)?;
        let later = Replicas::covering(ahead.later.sizing, capacity)?;
        Some(Need {
            demand: sized.demand,
            replicas: sized.replicas,
            turn: (sized.replicas > later).then_some(Turn::Soon),
            forecast: Some((ahead.forecaster, ahead.fitted_at)),
        })
    }
}
