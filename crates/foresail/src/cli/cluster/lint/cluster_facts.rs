//! What a cluster tells around objects of ours.

use anyhow::Result;
use foresail_adapters::kubernetes::crd::{GROUP, KIND, VERSION};
use foresail_adapters::kubernetes::fault::{Fault, call};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::cli::cluster::{Cluster, coded};

/// Kinds that are read: group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 6] = [
    (GROUP, VERSION, KIND, "predictiveautoscalers"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    (
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    ),
];

/// Reads every object that a check looks at.
pub(super) async fn read(cluster: &Cluster, all: bool) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for (group, version, kind, plural) in KINDS {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> = match all {
            true => Api::all_with(cluster.read(), &resource),
            false => Api::namespaced_with(cluster.read(), &cluster.namespace, &resource),
        };
        let list = match call(api.list(&ListParams::default())).await {
            Ok(list) => list,
            // Files can be judged by the cluster before our kind is there.
            Err(Fault::NotFound(_)) if kind == KIND => continue,
            Err(fault) => return Err(coded(plural, &fault)),
        };
        for object in list.items {
            let mut value = serde_json::to_value(object)?;
            // Items of a list do not say what they are.
            value["apiVersion"] = format!("{group}/{version}").into();
            value["kind"] = kind.into();
            objects.push(value);
        }
    }
    Ok(objects)
}
