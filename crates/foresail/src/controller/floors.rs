//! Floors of HPAs that were raised are given back once nobody holds them.

use std::sync::Arc;

use foresail_adapters::kubernetes::crd::{ActuationType, Mode as CrdMode};
use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::FIELD_MANAGER;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::api::{Patch, PatchParams};

use super::Shared;
use super::act::{self, HPA_MIN};
use super::pilot::Pilot;

/// An object is gone: what it raised is given back.
pub(crate) fn give_back(shared: &Arc<Shared>, pilot: &Pilot) {
    let target = pilot.object.target();
    let raised = |h: &HpaSeen| h.target.is_same(&target) && h.annotations.contains_key(HPA_MIN);
    for (name, hpa) in shared.world.hpas.select(&pilot.key.0, raised) {
        begin(shared, &pilot.key.0, name, hpa);
    }
}

/// Looks for floors that no object in mode Auto holds any more, as after a start.
pub(crate) fn sweep(shared: &Arc<Shared>) {
    for (namespace, name) in shared.world.hpas.keys() {
        let Some(hpa) = shared.world.hpas.get(&namespace, &name) else {
            continue;
        };
        if !hpa.annotations.contains_key(HPA_MIN) {
            continue;
        }
        let holds = shared.world.autoscalers.select(&namespace, |seen| {
            let object = &seen.object;
            let how = object.spec.actuation.as_ref().map(|a| a.kind);
            object.target().is_same(&hpa.target)
                && object.spec.mode == CrdMode::Auto
                && how != Some(ActuationType::Scale)
        });
        if holds.is_empty() {
            begin(shared, &namespace, name, hpa);
        }
    }
}

fn begin(shared: &Arc<Shared>, namespace: &str, name: String, hpa: Arc<HpaSeen>) {
    let (shared, namespace) = (Arc::clone(shared), namespace.to_owned());
    tokio::spawn(async move {
        let Ok(_) = shared.leadership.fence(shared.clock.mono()) else {
            return;
        };
        let api: Api<HorizontalPodAutoscaler> =
            Api::namespaced(shared.world.clients.write.clone(), &namespace);
        let patch = Patch::Merge(serde_json::json!({
            "metadata": { "uid": hpa.uid, "annotations": { HPA_MIN: null } },
            "spec": { "minReplicas": act::own_min(&hpa) },
        }));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match call(api.patch(&name, &parameters, &patch)).await {
            Ok(_) => tracing::info!(namespace, hpa = name, "its own minReplicas is back"),
            Err(fault) => {
                tracing::warn!(namespace, hpa = name, why = %fault, "its minReplicas is not back yet");
            }
        }
    });
}
