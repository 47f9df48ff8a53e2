//! What the live pages are shown of a pass.

use foresail_core::explain::Explanation;
use foresail_web::live::build::{Keeping, LiveObject, Seen, Standing};
use foresail_web::live::model::{ForecastPoint, Wrong};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Shared;
use super::pilot::Pilot;
use super::tell::Story;

/// Conditions of which the status False says that something is wrong.
const GOOD_WHEN_TRUE: [&str; 5] = [
    "Ready",
    "AbleToScale",
    "ScalingActive",
    "FeaturesPresent",
    "Stored",
];

/// Conditions of which the status True does.
const GOOD_WHEN_FALSE: [&str; 3] = ["Conflicted", "CapacityConstrained", "Held"];

fn wrong(conditions: &[Condition]) -> Vec<Wrong> {
    let is_wrong = |c: &&Condition| match c.status.as_str() {
        "False" => GOOD_WHEN_TRUE.contains(&c.type_.as_str()),
        _ => GOOD_WHEN_FALSE.contains(&c.type_.as_str()),
    };
    let told = |c: &Condition| Wrong {
        kind: c.type_.clone(),
        reason: c.reason.clone(),
        message: c.message.clone(),
    };
    conditions.iter().filter(is_wrong).map(told).collect()
}

/// Shows a pass.
pub(crate) fn publish(shared: &Shared, pilot: &Pilot, story: &Story, told: Option<&Explanation>) {
    let (namespace, name) = (&pilot.key.0, &pilot.key.1);
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let spec = &pilot.object.spec;
    let standing = Standing {
        phase: pilot
            .telling
            .status
            .phase
            .map(|p| format!("{p:?}"))
            .unwrap_or_default(),
        wrong: wrong(&pilot.telling.status.conditions),
        score: pilot.scoring.shown.clone(),
        frontier: pilot.scoring.frontier.clone(),
    };
    let seen = Seen {
        demand: story
            .look
            .as_ref()
            .and_then(|l| l.demand)
            .map(|(v, at)| (at, v))
            .into_iter()
            .collect(),
        forecast: story.tick.as_ref().and_then(ForecastPoint::of),
        bounds: Some((count(spec.min_replicas), count(spec.max_replicas))),
    };
    let begin = || LiveObject::new(namespace, name, Keeping::CONTROLLER);
    shared.live.update(namespace, name, begin, |object| {
        object.stand(standing);
        if let Some(told) = told {
            object.push(told.clone(), &seen);
        }
    });
}
