//! What the account may do, by the API server's own answers.

use serde_json::json;

use super::{MINUTE, apply, manifests, rights_of};
use crate::rig::{Rig, wait_until};

/// What an account may do, by the API server's own answer.
pub(crate) fn may(rig: &Rig, account: &str, verb: &str, path: &str, namespace: &str) -> bool {
    let (group, rest) = path.split_once('/').unwrap();
    let mut parts = rest.split('/');
    let (resource, subresource) = (parts.next().unwrap(), parts.next().unwrap_or(""));
    let (resource, name) = resource.split_once('=').unwrap_or((resource, ""));
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": account, "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {"group": group, "resource": resource, "subresource": subresource, "name": name, "verb": verb, "namespace": namespace},
        },
    });
    let answer = rig
        .post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &body)
        .unwrap();
    answer["status"]["allowed"] == true
}

pub(super) fn rights_are_enough_and_no_more(rig: &Rig) {
    rig.namespace("install-seen");
    rig.namespace("install-other");
    rig.namespace("install-rbac");
    let args = [
        "--namespace",
        "install-rbac",
        "--watch-namespace",
        "install-seen",
    ];
    apply(rig, &rights_of(manifests(&args)), false);
    let account = "system:serviceaccount:install-rbac:foresail";
    let yes = |verb: &str, path: &str, place: &str| {
        assert!(
            may(rig, account, verb, path, place),
            "may not {verb} {path} in {place}"
        );
    };
    let no = |verb: &str, path: &str, place: &str| {
        assert!(
            !may(rig, account, verb, path, place),
            "may {verb} {path} in {place}"
        );
    };
    // A right takes a moment to reach the authorizer.
    wait_until(MINUTE, "the first right", || {
        may(rig, account, "list", "/pods", "install-seen").then_some(())
    });
    for verb in ["list", "watch"] {
        yes(
            verb,
            "autoscaling.foresail.dev/predictiveautoscalers",
            "install-seen",
        );
        no(
            verb,
            "autoscaling.foresail.dev/predictiveautoscalers",
            "install-other",
        );
        no(verb, "/secrets", "install-seen");
        no(verb, "/configmaps", "install-seen");
    }
    no("get", "/secrets", "install-seen");
    yes(
        "patch",
        "autoscaling.foresail.dev/predictiveautoscalers/status",
        "install-seen",
    );
    no(
        "patch",
        "autoscaling.foresail.dev/predictiveautoscalers",
        "install-seen",
    );
    yes("update", "apps/deployments/scale", "install-seen");
    no("update", "apps/deployments", "install-seen");
    no("patch", "apps/deployments", "install-seen");
    no("update", "apps/deployments/scale", "install-other");
    no(
        "patch",
        "autoscaling/horizontalpodautoscalers",
        "install-seen",
    );
    yes("list", "metrics.k8s.io/pods", "install-seen");
    yes("get", "custom.metrics.k8s.io/pods/requests", "install-seen");
    yes("list", "external.metrics.k8s.io/queue", "install-seen");
    yes("create", "events.k8s.io/events", "install-seen");
    yes("create", "coordination.k8s.io/leases", "install-rbac");
    yes(
        "update",
        "coordination.k8s.io/leases=foresail",
        "install-rbac",
    );
    no("update", "coordination.k8s.io/leases=other", "install-rbac");
    no("list", "coordination.k8s.io/leases", "install-rbac");
    for (verb, path) in [
        ("create", "/pods/exec"),
        ("delete", "/pods"),
        ("create", "/pods/eviction"),
        ("patch", "/pods/resize"),
        ("impersonate", "/users"),
    ] {
        no(verb, path, "install-seen");
    }
}
