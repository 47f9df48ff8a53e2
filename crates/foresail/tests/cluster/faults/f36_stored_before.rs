//! F36: objects that were stored before the schema had any rule.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::laws::{Allowed, check};
use super::rhythm::{decided_alike, not_delayed};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, repository, wait_until};

pub const ROWS: &[Row] = &[(
    "faults::f36_objects_from_before_the_rules_are_told_and_stop_no_other",
    true,
    objects_from_before_the_rules_are_told_and_stop_no_other,
)];

/// Bytes of an annotation that the API server still takes.
const LONG: usize = 200 << 10;

fn definition() -> Value {
    let text = std::fs::read_to_string(repository().join("deploy/crd.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The definition without a rule and without a type.
fn without_rules() -> Value {
    let mut lax = definition();
    for version in lax["spec"]["versions"].as_array_mut().unwrap() {
        version["schema"]["openAPIV3Schema"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    lax
}

/// What is wrong with each, and what its condition names.
fn bad() -> Vec<(&'static str, Value, &'static str)> {
    let target = json!({"type": "AverageValue", "averageValue": "ten"});
    let quantity =
        json!([{"type": "External", "external": {"metric": {"name": "q"}, "target": target}}]);
    vec![
        ("type", json!({"minReplicas": "three"}), "spec.minReplicas"),
        ("mode", json!({"mode": "Fast"}), "Fast"),
        ("absent", json!({"scaleTargetRef": null}), "scaleTargetRef"),
        ("quantity", json!({"metrics": quantity}), "averageValue"),
        (
            "bounds",
            json!({"minReplicas": 9, "maxReplicas": 3}),
            "minReplicas",
        ),
    ]
}

/// The object of one workload with other fields in its spec.
fn object_with(scene: &Scene, name: &str, fields: &Value) -> Value {
    let mut object = scene.object(name);
    for (field, value) in fields.as_object().unwrap() {
        object["spec"][field] = value.clone();
        if value.is_null() {
            object["spec"].as_object_mut().unwrap().remove(field);
        }
    }
    object
}

fn objects_from_before_the_rules_are_told_and_stop_no_other(rig: &Rig) {
    let scene = Scene::new(rig, "f36", 4);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    let quiet = Instant::now();
    std::thread::sleep(Duration::from_secs(4));

    let begin = Instant::now();
    rig.apply_object("default", &without_rules()).unwrap();
    let all = bad();
    for (name, fields, _) in &all {
        let object = object_with(&scene, name, fields);
        // The server may go by the old schema for a moment.
        wait_until(SOON, &format!("{name} is stored"), || {
            rig.post(&scene.objects(), &object).ok()
        });
    }
    let long = json!({"foresail.test/long": "x".repeat(LONG)});
    rig.annotate(&format!("{}/w3", scene.objects()), &long);
    rig.apply_object("default", &definition()).unwrap();
    wait_until(SOON, "the rules hold again", || {
        let object = object_with(&scene, "late", &json!({"minReplicas": -1}));
        rig.post(&scene.objects(), &object).is_err().then_some(())
    });

    let told = |name: &str, text: &str| {
        scene.wait_condition(SOON, name, "Ready", ("False", "ConfigInvalid"));
        scene.wait_condition(SOON, name, "Ready", ("False", text));
    };
    for (name, _, text) in &all {
        told(name, text);
    }
    println!(
        "f36: {} bad objects told {:?} after the first",
        all.len(),
        begin.elapsed()
    );
    scene.demand(|_| 30);
    scene.wait_asked(SOON, |_| 3);
    let others = ["w0", "w1", "w2"];
    not_delayed(
        &controller,
        &others,
        (quiet, begin),
        (begin, Instant::now()),
    );
    // One that begins among them, too, leads and serves the others.
    controller.stop();
    controller.begin();
    wait_until(SOON, "the second life leads", || {
        let lines = controller.log().into_iter();
        let led = lines.filter(|line| line["message"] == "leads").count();
        (led == 2).then_some(())
    });
    controller.wait_leading(SOON);
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |_| 4);
    told("type", "spec.minReplicas");
    assert!(
        controller
            .proxy
            .scale_puts()
            .iter()
            .all(|p| p.target().starts_with('w'))
    );

    // Mended by a hand, one is served; the others are removed.
    let path = |name: &str| format!("{}/{name}", scene.objects());
    for (name, ..) in &all[1..] {
        rig.delete(&path(name)).unwrap();
    }
    let resources = json!({"requests": {"cpu": "10m"}});
    rig.deployment((&scene.namespace, "type"), 1, &resources, &json!({}));
    scene
        .change("type", &json!({"spec": {"minReplicas": 3}}))
        .unwrap();
    scene.wait_condition(SOON, "type", "Ready", ("True", "Reconciled"));
    wait_until(SOON, "its bounds are met", || {
        (rig.replicas("f36", "type").0 == 3).then_some(())
    });

    // Of the object `type` no demand is told: nothing but its bounds moves it, and it holds.
    let allowed = Allowed {
        unsettled: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut controller], allowed);
    decided_alike(&found.decided, &others);
    scene.end();
}
