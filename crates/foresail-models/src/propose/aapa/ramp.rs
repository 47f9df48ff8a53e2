//! Ramp: demand's own slope goes on until what is asked for now serves.
//!
//! The slope is of demand and not of the replicas asked for before: a rise of one's own answers is no
//! trend. A fall is followed and not foreseen.
//! Source: Theil 1950 and Sen 1968, the median of the slopes of all pairs; as published it is of
//! replicas (GuilinDev/aapa-simulator:src/core/strategies.py).

use foresail_core::propose::archetype::Strategy;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::larger;

use super::strategies::{Need, Rule, Scene, common, median};
use crate::knobs::{Knob, Knobs};
use crate::propose::on_forecast::STEP;

/// Points without which there is no slope.
const POINTS_MIN: usize = 3;

const COMMON: [Knob; 4] = common(Strategy::RAMP);

/// Its knobs.
pub(super) const KNOBS: &[Knob] = &[
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
    Knob::number(
        "trendWindowSteps",
        [10.0, 3.0, 60.0],
        "minutes whose slope goes on",
    ),
];

/// How a change that goes on is met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    window: usize,
}

impl Ramp {
    pub(super) fn new(knobs: &Knobs) -> Self {
        Self {
            window: knobs.number("trendWindowSteps") as usize,
        }
    }
}

/// The robust line through points: its value at zero and its slope; `None` for fewer than three.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < POINTS_MIN {
        return None;
    }
    let pairs = points.iter().enumerate();
    let slopes = pairs.flat_map(|(i, a)| {
        let later = points[i + 1..].iter();
        later.map(move |b| (b.1 - a.1) / (b.0 - a.0))
    });
    let slope = median(slopes.filter(|s| s.is_finite()))?;
    let level = median(points.iter().map(|(x, y)| y - slope * x))?;
    Some((level, slope))
}

impl Rule for Ramp {
    fn need(&self, scene: &Scene<'_>, capacity: f64) -> Option<Need> {
        let (level, slope) = line(&scene.recent(self.window))?;
        // A step's value is the mean of its minute, so it stands for the minute's middle.
        let end = Timestamp::from_nanos(scene.last()?.saturating_mul(STEP.nanos()));
        let since = (scene.now - end).seconds() / STEP.seconds() + 0.5;
        let lead = scene.known.lead.seconds() / STEP.seconds();
        let at = |steps: f64| larger(level + slope * steps, 0.0);
        Need::covering(larger(at(since), at(since + lead)), capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_point_does_not_turn_the_line() {
        let mut points: Vec<(f64, f64)> = (-9..=0)
            .map(|x| (f64::from(x), 40.0 + 3.0 * f64::from(x)))
            .collect();
        assert_eq!(line(&points), Some((40.0, 3.0)));
        points[7].1 = 4000.0;
        let (level, slope) = line(&points).unwrap();
        assert!((slope - 3.0).abs() < 1e-9 && (level - 40.0).abs() < 1e-9);
        assert_eq!(line(&points[..2]), None);
    }
}
