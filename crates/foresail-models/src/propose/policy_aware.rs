//! `policy-aware`: one replica up or down at a time, with a rest in between.
//!
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications, src/policies.py, policy
//! `policy`: no change within the cooldown; above what is there one more, at most 20; below 0.6 of it
//! one fewer, at least 1. The upper bound is the spec's here.

use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;

use super::on_forecast::{
    Ahead, FORECASTER, FORECASTER_KNOBS, HISTORY, HORIZON, OnForecast, REFIT, Scene, Settings,
    Sized, Sizing, covering,
};
use crate::knobs::Knob;
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "policy-aware",
    summary: "one replica up or down at a time on the median of a forecast, with a cooldown",
    knobs: &[
        FORECASTER,
        FORECASTER_KNOBS,
        Knob::number(
            "cooldownSeconds",
            [600.0, 0.0, 86_400.0],
            "the least time between two changes",
        ),
        Knob::number(
            "downPercent",
            [60.0, 0.0, 100.0],
            "share of the present replicas below which one goes",
        ),
        HORIZON,
        HISTORY,
        REFIT,
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build, 0.5)?;
    let sizing = Box::new(OneStep {
        cooldown: Span::from_seconds(build.knobs.number("cooldownSeconds") as i64),
        down: build.knobs.number("downPercent") / 100.0,
    });
    Ok(Box::new(OnForecast::new("policy-aware", settings, sizing)))
}

/// One step at a time.
#[derive(Debug)]
struct OneStep {
    cooldown: Span,
    down: f64,
}

impl OneStep {
    /// What one step makes of the present number where `needed` is asked for, in replicas.
    fn step(&self, current: Replicas, needed: f64, rests: bool) -> Replicas {
        let present = f64::from(current.get());
        match () {
            () if rests => current,
            () if needed > present => Replicas::saturating(current.as_i64() + 1),
            () if needed < self.down * present => {
                Replicas::saturating(current.as_i64() - 1).max(Replicas::ONE)
            }
            () => current,
        }
    }
}

impl Sizing for OneStep {
    fn size(&self, ahead: &Ahead, scene: &Scene<'_>) -> Option<Sized> {
        let sized = covering(ahead.soon.q50, ahead.later.q50, scene)?;
        let last = scene.history.changes().back();
        let rests = last.is_some_and(|c| scene.now - c.at < self.cooldown);
        let replicas = self.step(scene.current, sized.demand / scene.capacity, rests);
        Some(Sized { replicas, ..sized })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_at_a_time_and_none_within_the_cooldown() {
        let rule = OneStep {
            cooldown: Span::from_seconds(600),
            down: 0.6,
        };
        // Present, needed, rests: replicas by the published rule.
        for (current, needed, rests, wanted) in [
            (4, 9.0, false, 5),
            (4, 4.0, false, 4),
            (4, 2.5, false, 4),
            (4, 2.4, false, 4),
            (4, 2.3, false, 3),
            (1, 0.0, false, 1),
            (4, 9.0, true, 4),
            (4, 0.0, true, 4),
        ] {
            let got = rule.step(Replicas::new(current), needed, rests);
            assert_eq!(got, Replicas::new(wanted), "{current} {needed} {rests}");
        }
    }
}
