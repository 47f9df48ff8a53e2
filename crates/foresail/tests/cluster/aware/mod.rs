//! AWARE, distributed: what installs it, and its four processes, each killed once.

mod four;
mod parts;
mod rivals;

use std::process::Command;

use serde_json::{Value, json};

use crate::Row;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[
    (
        "aware::the_manifests_are_taken",
        false,
        the_manifests_are_taken,
    ),
    (
        "aware::whoever_else_scales_the_component_is_told",
        false,
        rivals::are_told,
    ),
    (
        "aware::four_processes_are_killed_once_each_and_no_transition_is_lost_or_doubled",
        true,
        four::killed_once_each,
    ),
];

/// All objects that `foresail manifests --aware` prints.
fn manifests(namespace: &str, component: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["manifests", "--aware", "--image", "foresail:0.1.0"])
        .args(["--namespace", namespace, "--component", component])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let read = |document: &str| serde_saphyr::from_str::<Value>(document).unwrap();
    text.split("\n---")
        .map(read)
        .filter(|o| !o.is_null())
        .collect()
}

/// The real API server takes every object as it is, and the strictest Pod Security Standard every pod.
fn the_manifests_are_taken(rig: &Rig) {
    let mut namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aware-dry"}});
    namespace["metadata"]["labels"] = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    });
    rig.post("/api/v1/namespaces", &namespace).unwrap();
    rig.namespace("aware-shop");
    let all = manifests("aware-dry", "aware-shop/web");
    let kinds: Vec<&str> = all.iter().filter_map(|o| o["kind"].as_str()).collect();
    for kind in [
        "DaemonSet",
        "Deployment",
        "NetworkPolicy",
        "Role",
        "Service",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    for object in &all {
        let path = rig.path_of("aware-dry", object);
        let query =
            format!("{path}?fieldManager=test&force=true&dryRun=All&fieldValidation=Strict");
        let content = "application/apply-patch+yaml";
        let taken = rig.ask(http::Method::PATCH, &query, content, object);
        assert!(taken.is_ok(), "{path}: {taken:?}");
        // A pod template is judged with the pod: ask for one as it would be made.
        if let Some(template) = object.pointer("/spec/template") {
            let mut pod = template.clone();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!("dry");
            let accounts = "/api/v1/namespaces/aware-dry/pods?dryRun=All&fieldValidation=Strict";
            if pod["spec"]["serviceAccountName"].is_string() {
                pod["spec"]["serviceAccountName"] = json!("default");
            }
            let taken = rig.post(accounts, &pod);
            assert!(taken.is_ok(), "{path}: its pod: {taken:?}");
        }
    }
}
