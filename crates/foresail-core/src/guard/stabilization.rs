//! The HPA's windows over its own past raw values.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::hpa;
use crate::propose::plan::Setting;
use crate::quantity::units::Replicas;

/// Keeps replicas where they are while recent raw values disagree with the change.
///
/// The rule is the HPA's (`hpa::stabilize`): with `behavior` the result is held between the least
/// raw value of the up window and the greatest of the down window, without it at the greatest of
/// the last 300 s.
/// Source: kubernetes/kubernetes:pkg/controller/podautoscaler/horizontal.go,
/// stabilizeRecommendation and stabilizeRecommendationWithBehaviors.
#[derive(Debug)]
pub(crate) struct Stabilization;

impl Guard for Stabilization {
    fn name(&self) -> GuardName {
        GuardName::Stabilization
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        scene.wish && !scene.straight_to_bound()
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let Some(replicas) = wanted.replicas else {
            return Vec::new();
        };
        let current = scene.current().as_i32();
        let records = &scene.history.records;
        let stabilized = hpa::stabilize(
            scene.rules(),
            records,
            current,
            replicas.as_i32(),
            scene.now,
        )
        .replicas;
        let to = Replicas::saturating(i64::from(stabilized));
        let why = if to > replicas {
            Why::StabilizedDown(to)
        } else {
            Why::StabilizedUp(to)
        };
        if to == replicas {
            Vec::new()
        } else {
            vec![scene.limit(self.name(), replicas, to, why)]
        }
    }
}
