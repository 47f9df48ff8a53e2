//! Whoever writes an object must be allowed to scale its target himself, where the policy is on.

use http::Method;
use serde_json::{Value, json};

use super::{MINUTE, apply, chart, text};
use crate::rig::{Rig, wait_until};

/// An object names what is scaled; whoever writes it must be allowed to scale that himself.
pub(super) fn an_author_needs_the_right_to_scale(rig: &Rig) {
    let Some(objects) = chart(
        rig,
        "install-policy",
        &[
            "admissionPolicy.enabled=true",
            "watchNamespaces={install-author}",
        ],
    ) else {
        return;
    };
    rig.namespace("install-author");
    let policy = |o: &Value| {
        text(o, "/apiVersion").starts_with("admissionregistration.")
            || text(o, "/kind") == "CustomResourceDefinition"
    };
    let objects: Vec<Value> = objects.into_iter().filter(policy).collect();
    assert_eq!(objects.len(), 3);
    apply(rig, &objects, false);
    rig.apply("install-author", AUTHORS);
    let list =
        "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/install-author/predictiveautoscalers";
    let as_user = |user: &str, method: Method, path: &str, body: &Value| {
        let mut config = rig.config_of(&rig.token("install-author", user));
        config.default_retry = false;
        let client = rig.block(async { kube::Client::try_from(config) }).unwrap();
        let content = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content);
        let request = request.body(serde_json::to_vec(body).unwrap()).unwrap();
        rig.block(client.request_text(request))
            .map_err(|e| e.to_string())
    };
    // The policy takes a moment to be in force.
    let one = |name: &str, target: &str| object(name, target);
    wait_until(MINUTE, "the policy in force", || {
        let told = as_user("author", Method::POST, list, &one("probe", "web"));
        let _ = rig.delete(&format!("{list}/probe"));
        told.err()
            .filter(|why| why.contains("may not update the scale of deployments/web"))
    });
    as_user("owner", Method::POST, list, &one("web", "web")).unwrap();
    let other = as_user("owner", Method::POST, list, &one("other", "other")).unwrap_err();
    assert!(
        other.contains("may not update the scale of deployments/other"),
        "{other}"
    );
    let path = format!("{list}/web");
    for patch in [
        json!({"spec": {"maxReplicas": 30}}),
        json!({"metadata": {"annotations": {"foresail.dev/approved": "1"}}}),
    ] {
        let told = as_user("author", Method::PATCH, &path, &patch).unwrap_err();
        assert!(told.contains("may not update the scale"), "{told}");
        as_user("owner", Method::PATCH, &path, &patch).unwrap();
    }
    let label = json!({"metadata": {"labels": {"team": "a"}}});
    as_user("author", Method::PATCH, &path, &label).unwrap();
    for object in objects
        .iter()
        .filter(|o| text(o, "/kind").starts_with("Validating"))
    {
        rig.delete(&rig.path_of("", object)).unwrap();
    }
    rig.delete("/api/v1/namespaces/install-author").unwrap();
}

fn object(name: &str, target: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "maxReplicas": 20,
            "metrics": [{"name": "q", "type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "1"}}}],
        },
    })
}

/// Both may write objects; the owner may scale `web` too.
const AUTHORS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: author}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: owner}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: author}
rules:
- {apiGroups: [autoscaling.foresail.dev], resources: [predictiveautoscalers], verbs: [get, create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: owner}
rules:
- {apiGroups: [apps], resources: [deployments/scale], resourceNames: [web], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: author}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: author}
subjects:
- {kind: ServiceAccount, name: author, namespace: install-author}
- {kind: ServiceAccount, name: owner, namespace: install-author}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: owner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: owner}
subjects:
- {kind: ServiceAccount, name: owner, namespace: install-author}
";
