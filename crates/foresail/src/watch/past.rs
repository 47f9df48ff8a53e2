//! Demand as engines are told it: a point a minute, and the past that forecasters live through.

use foresail_core::engine::{Engine, Input};
use foresail_core::observe::{Health, Metric, Sample, Samples};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Timestamp;
use foresail_models::refit;

/// Points as the engine is told them.
pub(crate) fn samples(target: &TargetId, points: &[(Timestamp, f64)]) -> Vec<Sample> {
    let sample = |(at, value): &(Timestamp, f64)| Sample {
        target: target.clone(),
        metric: Metric::Demand,
        at: *at,
        value: Some(*value),
    };
    points.iter().map(sample).collect()
}

/// Lets an engine's forecasters live through past minutes.
pub(crate) fn live_through(engine: &mut Engine, minutes: &[(Timestamp, f64)]) {
    let Some(target) = engine.spec().targets().first().map(|t| t.id.clone()) else {
        return;
    };
    for point in minutes {
        let values = samples(&target, std::slice::from_ref(point));
        engine.feed(Input::Samples(Samples {
            at: point.0,
            health: Health::default(),
            leading: true,
            targets: Vec::new(),
            values,
        }));
        if let Some(tick) = engine.feed(Input::Tick { now: point.0 }) {
            for installed in refit::answer(engine, &tick) {
                engine.feed(installed);
            }
        }
    }
}
