//! Whose target it is: ours, or another autoscaler's.

use std::sync::Arc;

use foresail_adapters::kubernetes::autoscaler::AutoscalerSeen;
use foresail_adapters::kubernetes::crd::{ActuationType, PredictiveAutoscaler};
use foresail_adapters::kubernetes::rival::{Scaler, owner};

use super::look::Look;
use super::world::World;

/// Why a target is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    /// Another scales it; of our own kind one that owns it.
    Other(Scaler),
    /// An HPA is asked for as actuator, and it is not there.
    HpaMissing(String),
    /// HPAs cannot be read, and why: there may be one.
    Unseen(String),
}

impl std::fmt::Display for Rival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(Scaler::Autoscaler(name)) => {
                write!(f, "the older PredictiveAutoscaler {name}")
            }
            Self::Other(scaler) => scaler.fmt(f),
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

/// The other object that owns the target.
fn older(world: &World, object: &Arc<PredictiveAutoscaler>) -> Option<String> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    // Every object of the namespace is asked at each pass: nothing is copied.
    let target = &object.spec.scale_target_ref;
    let same = |seen: &AutoscalerSeen| {
        let o = &seen.object;
        o.spec.scale_target_ref.is_same(target) && o.metadata.uid != object.metadata.uid
    };
    let others = world.autoscalers.select(namespace, same);
    let naming = others.iter().map(|(_, seen)| &*seen.object);
    let owner = owner(naming.chain([&**object]))?;
    let is_other = owner.metadata.uid != object.metadata.uid;
    owner.metadata.name.clone().filter(|_| is_other)
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
        return Claim::Rival(Rival::Other(Scaler::Autoscaler(name)));
    }
    let seen = look.hpa.as_ref();
    let scaler = seen.and_then(|(name, hpa)| hpa.scaler(name));
    if let Some(keda @ Scaler::ScaledObject(_)) = scaler {
        return Claim::Rival(Rival::Other(keda));
    }
    let live = seen.filter(|_| scaler.is_some());
    let rival = |name: &String| Claim::Rival(Rival::Other(Scaler::Hpa(name.clone())));
    let asked = object.spec.actuation.as_ref();
    match (asked.map(|a| a.kind), live) {
        (Some(ActuationType::Scale), Some((name, _))) => rival(name),
        (Some(ActuationType::Scale) | None, None) => Claim::Ours(ActuationType::Scale),
        (None, Some(_)) => Claim::Ours(ActuationType::HpaFloor),
        (Some(ActuationType::HpaFloor), found) => {
            let named = asked.and_then(|a| a.hpa_name.clone());
            match (found, named) {
                (Some((name, _)), Some(named)) if *name != named => rival(name),
                (Some(_), _) => Claim::Ours(ActuationType::HpaFloor),
                (None, named) => Claim::Rival(Rival::HpaMissing(named.unwrap_or_default())),
            }
        }
    }
}
