//! Helm, kustomize and `foresail manifests` make the same objects, and the chart refuses the rest.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::{chart, documents, helm, kustomize, manifests, output, text};
use crate::rig::Rig;

type Objects = BTreeMap<String, Value>;

/// Objects by kind, namespace and name, without what Helm says of itself.
pub(super) fn named(objects: Vec<Value>) -> Objects {
    let mut all = Objects::new();
    for mut object in objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        // Helm keeps the CRD by an annotation, and labels it as its own.
        for (part, words) in [
            (
                "labels",
                &["helm.sh/chart", "app.kubernetes.io/managed-by"][..],
            ),
            ("annotations", &["helm.sh/resource-policy"]),
        ] {
            if let Some(found) = metadata.get_mut(part).and_then(Value::as_object_mut) {
                found.retain(|key, _| !words.contains(&key.as_str()));
            }
        }
        let is_crd = object["kind"] == "CustomResourceDefinition";
        let metadata = object["metadata"].as_object_mut().unwrap();
        if is_crd {
            metadata.remove("labels");
        }
        metadata.retain(|_, value| value.as_object().is_none_or(|o| !o.is_empty()));
        let key = ["/kind", "/metadata/namespace", "/metadata/name"].map(|p| text(&object, p));
        let key = key.join("/");
        assert!(
            all.insert(key.clone(), object).is_none(),
            "{key} is there twice"
        );
    }
    all
}

/// Fails with the first difference.
fn same(what: &str, left: &Objects, right: &Objects) {
    let keys = |o: &Objects| o.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(left), keys(right), "{what}");
    for (key, object) in left {
        assert_eq!(object, &right[key], "{what}: {key}");
    }
}

/// Without the namespace, which Helm makes by a flag of its own.
fn without_namespace(objects: Vec<Value>, name: &str) -> Objects {
    let mut all = named(objects);
    let namespace = all
        .remove(&format!("Namespace//{name}"))
        .expect("the namespace");
    let label = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(label, "restricted");
    all
}

pub(super) fn three_ways_make_the_same_objects(rig: &Rig) {
    let rows: [(&str, &[&str], &[&str]); 3] = [
        ("base", &[], &[]),
        ("shadow", &["actuation.scale=false"], &["--shadow"]),
        (
            "namespaced",
            &["watchNamespaces={default}"],
            &["--watch-namespace", "default"],
        ),
    ];
    for (folder, values, args) in rows {
        let Some(chart) = chart(rig, "foresail", values) else {
            return;
        };
        let Some(base) = kustomize(folder) else {
            return;
        };
        let chart = named(chart);
        same(
            &format!("chart and kustomize {folder}"),
            &chart,
            &without_namespace(base, "foresail"),
        );
        let printed = without_namespace(manifests(args), "foresail");
        same(&format!("chart and manifests {args:?}"), &chart, &printed);
    }
    let digest = format!("image.invalid/foresail@sha256:{}", "0a".repeat(32));
    let values = [
        "watchNamespaces={shop,till}",
        "actuation.hpaFloor=true",
        "vertical.apply=true",
        "prometheus.url=http://prometheus.monitoring/a?b=c#d",
        "prometheus.plainHttp=true",
        "replicas=1",
        &format!("image.digest=sha256:{}", "0a".repeat(32)),
    ];
    let args = [
        "--image",
        &digest,
        "--namespace",
        "own",
        "--watch-namespace",
        "shop",
        "--watch-namespace",
        "till",
        "--hpa-floor",
        "--vertical",
        "--prometheus-url",
        "http://prometheus.monitoring/a?b=c#d",
        "--plain-http",
        "--replicas",
        "1",
    ];
    let chart = named(chart(rig, "own", &values).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    let printed = documents(&output(command.arg("manifests").args(args)).stdout);
    same(
        "chart and manifests with everything",
        &chart,
        &without_namespace(printed, "own"),
    );
}

pub(super) fn the_chart_refuses_what_it_cannot_do(rig: &Rig) {
    let image = "image.repository=image.invalid/foresail";
    let rows: [(&[&str], &str); 11] = [
        (&[], "image.repository is not set: build the image"),
        (&[image, "sharding.mode=Lease"], "sharding"),
        (&[image, "image.tagg=1"], "tagg"),
        (&[image, "image.digest=sha256:12"], "digest"),
        (
            &[image, "maxMode=Auto", "actuation.scale=false"],
            "set actuation.scale or actuation.hpaFloor",
        ),
        (
            &[image, "vertical.apply=true", "maxMode=Shadow"],
            "vertical.apply resizes pods of objects in mode Auto alone",
        ),
        (
            &[image, "dashboard.enabled=true", "watchNamespaces={a}"],
            "TokenReview, a cluster-wide right",
        ),
        (&[image, "watchNamespaces={A}"], "watchNamespaces"),
        (
            &[image, "serviceAccount.create=false"],
            "serviceAccount.name=NAME",
        ),
        (
            &[image, "prometheus.url=http://prometheus:9090"],
            "set prometheus.plainHttp=true",
        ),
        (
            &[image, "prometheus.url=http://me:secret@prometheus:9090"],
            "url",
        ),
    ];
    for (values, want) in rows {
        let Some(mut command) = helm(rig, "foresail", values) else {
            return;
        };
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{values:?} is taken");
        assert!(told.contains(want), "{values:?}: {told}");
    }
}
