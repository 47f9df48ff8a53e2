//! The smallest and the largest allowed.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::hpa::{self, Shortcut};
use crate::propose::plan::{Axis, Setting};
use crate::quantity::units::{Quantity, Replicas};

/// Keeps every axis within its bounds; a number that is outside goes straight to the bound.
///
/// The rule for replicas is the HPA's (`hpa::bound`). A pool never has fewer containers than are
/// busy.
/// Source: kubernetes/kubernetes:pkg/controller/podautoscaler/horizontal.go, reconcileAutoscaler.
#[derive(Debug)]
pub(crate) struct Bounds;

impl Guard for Bounds {
    fn name(&self) -> GuardName {
        GuardName::Bounds
    }

    fn applies(&self, _scene: &Scene<'_>) -> bool {
        true
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let mut limits = Vec::new();
        limits.extend(
            wanted
                .replicas
                .and_then(|replicas| of_replicas(replicas, scene)),
        );
        limits.extend(wanted.pool.and_then(|pool| of_pool(pool, scene)));
        limits.extend(of_requests(wanted, scene));
        limits
    }
}

fn of_replicas(replicas: Replicas, scene: &Scene<'_>) -> Option<Limit> {
    let (min, max) = (scene.rules().min(), scene.rules().max());
    let to = match scene.shortcut {
        Shortcut::AboveMax => max,
        Shortcut::BelowMin => min,
        Shortcut::Disabled => scene.current().as_i32(),
        Shortcut::Metrics if !scene.wish => return None,
        Shortcut::Metrics => {
            let (current, scaled_to_zero) = (scene.current().as_i32(), scene.state.scaled_to_zero);
            hpa::bound(scene.rules(), current, replicas.as_i32(), scaled_to_zero)
        }
    };
    let to = Replicas::saturating(i64::from(to));
    let why = match scene.shortcut {
        Shortcut::Disabled => Why::ScalingDisabled,
        _ if to < replicas => Why::AboveMax(to.into()),
        _ => Why::BelowMin(to.into()),
    };
    (to != replicas).then(|| scene.limit(GuardName::Bounds, replicas, to, why))
}

fn of_pool(pool: Replicas, scene: &Scene<'_>) -> Option<Limit> {
    let bounds = scene.target.pool.as_ref()?;
    let busy = scene.state.busy.unwrap_or(Replicas::ZERO);
    let least = bounds.min.max(busy.min(bounds.max));
    let (to, why) = if pool > bounds.max {
        (bounds.max, Why::AboveMax(bounds.max.into()))
    } else if pool < least {
        let why = if busy > bounds.min {
            Why::PoolBusy(busy)
        } else {
            Why::BelowMin(least.into())
        };
        (least, why)
    } else {
        return None;
    };
    let (from, to) = (Quantity::from(pool), Quantity::from(to));
    Some(scene.limit_on(Axis::Pool, GuardName::Bounds, (from, to), why))
}

fn of_requests(wanted: &Setting, scene: &Scene<'_>) -> impl Iterator<Item = Limit> {
    let outside = |(name, from): (&str, Quantity)| {
        let to = scene.target.bounded(name, from);
        let why = if to.milli() < from.milli() {
            Why::AboveMax(to)
        } else {
            Why::BelowMin(to)
        };
        let axis = Axis::PerPod(name.to_owned());
        (to != from).then(|| scene.limit_on(axis, GuardName::Bounds, (from, to), why))
    };
    wanted.per_pod.iter().filter_map(outside)
}
