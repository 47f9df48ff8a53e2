//! The HPA's `behavior` policies.

use super::{Guard, GuardName, Limit, Scene};
use crate::hpa;
use crate::propose::plan::Setting;
use crate::quantity::units::Replicas;

/// Lets no step be larger than `behavior` allows, changes already made in the period counted.
///
/// The rule is the HPA's (`hpa::rate_limit`); without `behavior` it is Kubernetes' older one, at
/// most twice the current number and at least 4.
/// Source: kubernetes/kubernetes:pkg/controller/podautoscaler/horizontal.go,
/// convertDesiredReplicasWithBehaviorRate and convertDesiredReplicasWithRules.
#[derive(Debug)]
pub(crate) struct Rate;

impl Guard for Rate {
    fn name(&self) -> GuardName {
        GuardName::Rate
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
        let limited = hpa::rate_limit(
            scene.rules(),
            records,
            current,
            replicas.as_i32(),
            scene.now,
        );
        let to = Replicas::saturating(i64::from(limited.replicas));
        match limited.why {
            Some(why) if to != replicas => vec![scene.limit(self.name(), replicas, to, why)],
            _ => Vec::new(),
        }
    }
}
