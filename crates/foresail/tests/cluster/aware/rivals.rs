//! Who else scales a component is told to the server, with the rights that its manifest gives it.

use std::sync::Arc;

use foresail::firm::component::Bounds;
use foresail::firm::live::{Demand, Live, Sources};
use foresail::firm::place::Place as _;
use foresail_adapters::kubernetes::client::{Clients, Place};
use foresail_adapters::stats::{Embedded, Retention, Store};
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::ValidSpec;
use serde_json::{Value, json};

use super::manifests;
use crate::rig::Rig;

const PARTS: &str = "aware-rival-parts";
const SHOP: &str = "aware-rival";

/// What the server sees now; each time as one that has just begun, which remembers no rival.
fn rival(rig: &Rig, place: &Place) -> Option<String> {
    let name = format!("{SHOP}/web").parse().unwrap();
    let valid = ValidSpec::new(Bounds::default().spec(&name).unwrap()).unwrap();
    rig.block(async {
        let clients = Clients::new(place).await.unwrap();
        let sources = Sources {
            store: Store::Embedded(Arc::new(Embedded::new(Retention::default()))),
            demand: Demand::None,
            kept: None,
        };
        let live = Live::new(clients, name, None, &valid.targets()[0], sources);
        let seen = live.look(Timestamp::from_seconds(1_800_000_000)).await;
        seen.unwrap().rival
    })
}

fn autoscaler(name: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": mode, "minReplicas": 1, "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    })
}

fn hpa(policy: &str, owners: &Value) -> Value {
    let rules = json!({"selectPolicy": policy});
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "old", "ownerReferences": owners},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1, "maxReplicas": 9, "behavior": {"scaleUp": rules, "scaleDown": rules},
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    })
}

pub(super) fn are_told(rig: &Rig) {
    rig.namespace(SHOP);
    rig.namespace(PARTS);
    for object in manifests(PARTS, &format!("{SHOP}/web")) {
        if ["ServiceAccount", "Role", "RoleBinding"].contains(&object["kind"].as_str().unwrap()) {
            rig.apply_object(PARTS, &object).unwrap();
        }
    }
    let asked = json!({"requests": {"cpu": "256m", "memory": "512Mi"}});
    rig.deployment((SHOP, "web"), 1, &asked, &json!({}));
    let token = rig.token(PARTS, "firm-server");
    let place = Place {
        kubeconfig: Some(rig.kubeconfig_of("aware-rival.kubeconfig", &token)),
        ..Place::default()
    };
    let sees = |who: Option<&str>| assert_eq!(rival(rig, &place).as_deref(), who);
    sees(None);

    // Until here perhaps no server knew our kind: that is no rival either.
    crate::crd::install(rig);
    // An object of ours: one that only watches is no rival, and one that may write is.
    let ours =
        format!("/apis/autoscaling.foresail.dev/v1alpha1/namespaces/{SHOP}/predictiveautoscalers");
    rig.post(&ours, &autoscaler("web", "Shadow")).unwrap();
    sees(None);
    // A later one that would write is kept from it by the one that owns the target.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    rig.post(&ours, &autoscaler("late", "Auto")).unwrap();
    sees(None);
    rig.patch(&format!("{ours}/web"), &json!({"spec": {"mode": "Advise"}}))
        .unwrap();
    sees(Some("the PredictiveAutoscaler web"));
    rig.delete(&format!("{ours}/web")).unwrap();
    sees(Some("the PredictiveAutoscaler late"));
    rig.delete(&format!("{ours}/late")).unwrap();
    sees(None);

    // An HPA: one that moves nothing is no rival; one that KEDA made stands for its ScaledObject.
    let theirs = format!("/apis/autoscaling/v2/namespaces/{SHOP}/horizontalpodautoscalers");
    let owners = json!([{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "1"}]);
    for (policy, owners, who) in [
        ("Disabled", Value::Null, None),
        ("Max", Value::Null, Some("the HorizontalPodAutoscaler old")),
        ("Max", owners, Some("ScaledObject/web")),
    ] {
        rig.post(&theirs, &hpa(policy, &owners)).unwrap();
        sees(who);
        rig.delete(&format!("{theirs}/old")).unwrap();
    }
    sees(None);
}
