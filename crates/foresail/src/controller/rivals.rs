//! Whose target it is: ours, or another autoscaler's.

use std::sync::Arc;

use foresail_adapters::kubernetes::autoscaler::AutoscalerSeen;
use foresail_adapters::kubernetes::crd::{ActuationType, PredictiveAutoscaler};

use k8s_openapi::jiff::Timestamp;

use super::look::Look;
use super::world::World;

/// Another who scales the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    /// An HPA.
    Hpa(String),
    /// A KEDA ScaledObject, by the HPA that it made.
    ScaledObject(String),
    /// An older object of our own kind.
    Older(String),
    /// An HPA is asked for as actuator, and it is not there.
    HpaMissing(String),
    /// HPAs cannot be read, and why: there may be one.
    Unseen(String),
}

impl std::fmt::Display for Rival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hpa(name) => write!(f, "the HorizontalPodAutoscaler {name}"),
            Self::ScaledObject(owner) => f.write_str(owner),
            Self::Older(name) => write!(f, "the older PredictiveAutoscaler {name}"),
            Self::HpaMissing(name) => write!(f, "the HorizontalPodAutoscaler {name} is not there"),
            Self::Unseen(_) => {
                f.write_str("a HorizontalPodAutoscaler, perhaps: they cannot be read")
            }
        }
    }
}

/// Whose target it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Ours, to be moved this way.
    Ours(ActuationType),
    /// Another's.
    Rival(Rival),
}

/// By what the oldest is found.
fn age(object: &PredictiveAutoscaler) -> (Option<Timestamp>, Option<&str>) {
    let meta = &object.metadata;
    let made = meta.creation_timestamp.as_ref().map(|t| t.0);
    (made, meta.name.as_deref())
}

/// The oldest of the objects that name a target owns it; equal ages go by name.
fn older(world: &World, object: &PredictiveAutoscaler) -> Option<String> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    // Every object of the namespace is asked at each pass: nothing is copied.
    let target = &object.spec.scale_target_ref;
    let mine = age(object);
    let same = |seen: &AutoscalerSeen| {
        let o = &seen.object;
        o.spec.scale_target_ref.is_same(target)
            && o.metadata.uid != object.metadata.uid
            && age(o) < mine
    };
    let found = world.autoscalers.select(namespace, same);
    found.into_iter().next().map(|(name, _)| name)
}

/// Whose target an object's is.
///
/// Without a word on the actuation, an HPA that moves the target stays its actuator and only its
/// floor is raised.
pub(crate) fn claim(world: &World, object: &Arc<PredictiveAutoscaler>, look: &Look) -> Claim {
    if !world.hpas.is_synced() {
        return Claim::Rival(Rival::Unseen(world.hpas.trouble().unwrap_or_default()));
    }
    if let Some(name) = older(world, object) {
        return Claim::Rival(Rival::Older(name));
    }
    let live = look.hpa.as_ref().filter(|(_, hpa)| !hpa.is_inert());
    let scaled_object = live
        .and_then(|(_, hpa)| hpa.owner.clone())
        .filter(|o| o.starts_with("ScaledObject/"));
    if let Some(owner) = scaled_object {
        return Claim::Rival(Rival::ScaledObject(owner));
    }
    let asked = object.spec.actuation.as_ref();
    match (asked.map(|a| a.kind), live) {
        (Some(ActuationType::Scale), Some((name, _))) => Claim::Rival(Rival::Hpa(name.clone())),
        (Some(ActuationType::Scale) | None, None) => Claim::Ours(ActuationType::Scale),
        (None, Some(_)) => Claim::Ours(ActuationType::HpaFloor),
        (Some(ActuationType::HpaFloor), found) => {
            let named = asked.and_then(|a| a.hpa_name.clone());
            match (found, named) {
                (Some((name, _)), Some(named)) if *name != named => {
                    Claim::Rival(Rival::Hpa(name.clone()))
                }
                (Some(_), _) => Claim::Ours(ActuationType::HpaFloor),
                (None, named) => Claim::Rival(Rival::HpaMissing(named.unwrap_or_default())),
            }
        }
    }
}
