//! The strategies with the user's values, and what they all look at.

use std::collections::BTreeMap;

use foresail_core::history::{Point, TargetHistory};
use foresail_core::observe::Metric;
use foresail_core::propose::archetype::{Adjusted, Archetype, Scaled, Strategy, Turn, adjust};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Replicas, larger};
use foresail_core::spec::SpecProblem;
use serde_json::Value;

use super::periodic::Periodic;
use super::ramp::Ramp;
use super::spike::Spike;
use super::stationary::Stationary;
use crate::knobs::{Knob, Knobs};
use crate::propose::on_forecast::{Known, STEP};
use crate::refit::step_of;

/// What a strategy looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) history: &'a TargetHistory,
    /// Demand that one replica serves at a utilization of one, in requests per second.
    pub(crate) full_capacity: f64,
    /// Demand that the pods' usage stands for at present, where it is read.
    pub(crate) usage: Option<f64>,
    /// Replicas asked for at present.
    pub(crate) current: Replicas,
    pub(crate) known: &'a Known,
    pub(crate) now: Timestamp,
}

impl Scene<'_> {
    /// The values of the last `steps` steps, each with its distance to the last one in steps; a
    /// missing one is left out.
    pub(crate) fn recent(&self, steps: usize) -> Vec<(f64, f64)> {
        let Some(last) = self.last() else {
            return Vec::new();
        };
        let points = self.history.points(Metric::Demand);
        let number = |p: &Point| step_of(p.at, STEP) - last;
        let first = 1 - i64::try_from(steps).unwrap_or(i64::MAX);
        let from = points.partition_point(|p| number(p) < first);
        let recent = points.range(from..);
        recent.map(|p| (number(p) as f64, p.value)).collect()
    }

    /// Number of the last step.
    pub(crate) fn last(&self) -> Option<i64> {
        self.history
            .points(Metric::Demand)
            .back()
            .map(|p| step_of(p.at, STEP))
    }
}

/// What a strategy asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Need {
    /// In requests per second.
    pub(crate) demand: f64,
    pub(crate) replicas: Replicas,
    pub(crate) turn: Option<Turn>,
    pub(crate) forecast: Option<(&'static str, Option<Timestamp>)>,
}

impl Need {
    /// As many replicas as cover a demand.
    pub(crate) fn covering(demand: f64, capacity: f64) -> Option<Self> {
        let replicas = Replicas::covering(demand, capacity)?;
        Some(Self {
            demand,
            replicas,
            turn: None,
            forecast: None,
        })
    }
}

/// Makes a need of what is seen; `capacity` is what one replica serves at the adjusted target.
pub(crate) trait Rule {
    /// The need; `None` where it cannot be told.
    fn need(&self, scene: &Scene<'_>, capacity: f64) -> Option<Need>;
}

/// The strategy of each archetype with the user's values.
#[derive(Clone, Debug)]
pub(crate) struct Strategies {
    spike: (Strategy, Spike),
    periodic: (Strategy, Periodic),
    ramp: (Strategy, Ramp),
    stationary: (Strategy, Stationary),
}

/// The knobs that each strategy has, with its defaults.
pub(crate) const fn common(strategy: Strategy) -> [Knob; 4] {
    let percent = (strategy.target * 100.0).round();
    let seconds = strategy.cooldown.whole_seconds() as f64;
    let (min, max) = (strategy.min.get() as f64, strategy.max.get() as f64);
    [
        Knob::number(
            "targetPercent",
            [percent, 1.0, 100.0],
            "CPU utilization that is aimed at",
        ),
        Knob::number(
            "cooldownSeconds",
            [seconds, 0.0, 86_400.0],
            "the least time between a change and the next way down",
        ),
        Knob::number("minReplicas", [min, 0.0, 1e6], "the fewest replicas"),
        Knob::number("maxReplicas", [max, 1.0, 1e6], "the most replicas"),
    ]
}

fn strategy(knobs: &Knobs) -> Strategy {
    let count = |name| Replicas::saturating(knobs.number(name) as i64);
    Strategy {
        target: knobs.number("targetPercent") / 100.0,
        cooldown: Span::from_millis((knobs.number("cooldownSeconds") * 1000.0) as i64),
        min: count("minReplicas"),
        max: count("maxReplicas"),
    }
}

impl Strategies {
    /// Reads the knobs of each strategy.
    ///
    /// # Errors
    /// Every problem, each with its path below `path`.
    pub(crate) fn read(
        of: impl Fn(&str) -> BTreeMap<String, Value>,
        path: &str,
    ) -> Result<Self, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        let mut read = |name: &str, known: &'static [Knob]| {
            let path = format!("{path}.{name}");
            let knobs = Knobs::read(known, &of(name), &path).unwrap_or_else(|found| {
                problems.extend(found);
                Knobs::default()
            });
            let mut strategy = strategy(&knobs);
            if name == "spike" {
                strategy.min = strategy.min.max(Spike::warm_pool(&knobs));
            }
            if strategy.min > strategy.max {
                let (min, max) = (strategy.min, strategy.max);
                let message = format!("{min} is above maxReplicas = {max}: raise it or lower this");
                problems.push(SpecProblem::new(format!("{path}.minReplicas"), message));
            }
            (strategy, knobs)
        };
        let (spike, spike_knobs) = read("spike", super::spike::KNOBS);
        let (periodic, periodic_knobs) = read("periodic", super::periodic::KNOBS);
        let (ramp, ramp_knobs) = read("ramp", super::ramp::KNOBS);
        let (stationary, stationary_knobs) = read("stationary", super::stationary::KNOBS);
        if problems.is_empty() {
            Ok(Self {
                spike: (spike, Spike::new(&spike_knobs)),
                periodic: (periodic, Periodic::new(&periodic_knobs)),
                ramp: (ramp, Ramp::new(&ramp_knobs)),
                stationary: (stationary, Stationary::new(&stationary_knobs)),
            })
        } else {
            Err(problems)
        }
    }

    /// Scales a target as an archetype is scaled, at this confidence.
    ///
    /// `None` for Idle, and where the strategy's rule cannot tell a need.
    pub(crate) fn scale(
        &self,
        by: Archetype,
        confidence: f64,
        scene: &Scene<'_>,
    ) -> Option<(Scaled, Replicas)> {
        let (strategy, rule): (&Strategy, &dyn Rule) = match by {
            Archetype::Spike => (&self.spike.0, &self.spike.1),
            Archetype::Periodic => (&self.periodic.0, &self.periodic.1),
            Archetype::Ramp => (&self.ramp.0, &self.ramp.1),
            Archetype::Stationary => (&self.stationary.0, &self.stationary.1),
            Archetype::Idle => return None,
        };
        let adjusted = adjust(confidence, strategy);
        let capacity = scene.full_capacity * adjusted.target;
        let need = rule.need(scene, capacity)?;
        let (replicas, turn) = bounded(need, strategy, &adjusted);
        let scaled = Scaled {
            by,
            target: strategy.target,
            adjusted,
            demand: need.demand,
            capacity,
            turn,
            forecast: need.forecast,
        };
        Some((scaled, replicas))
    }
}

/// A need within the bounds of its strategy, and what made another number of it.
fn bounded(need: Need, strategy: &Strategy, adjusted: &Adjusted) -> (Replicas, Option<Turn>) {
    let least = adjusted.min.min(strategy.max);
    if need.replicas < least {
        (least, Some(Turn::Pool))
    } else if need.replicas > strategy.max {
        (strategy.max, Some(Turn::Most))
    } else {
        (need.replicas, need.turn)
    }
}

/// The median of values in any order; `None` without any.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| crate::forecast::quantile::of_values(values, 0.5))
}

/// The last value, or the demand that usage stands for where that is more.
pub(crate) fn present(scene: &Scene<'_>) -> Option<f64> {
    let last = scene.history.points(Metric::Demand).back()?.value;
    Some(larger(last, scene.usage.unwrap_or(0.0)))
}
