//! F40: pods that may not be made or find no place, and a namespace that goes away.

use std::time::{Duration, Instant};

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[(
    "faults::f40_pods_without_a_place_are_told_and_a_namespace_can_go",
    false,
    pods_without_a_place_are_told_and_a_namespace_can_go,
)];

fn pods_without_a_place_are_told_and_a_namespace_can_go(rig: &Rig) {
    let scene = Scene::new(rig, "f40", 2);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    // Four pods in all, and each deployment wants four.
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "4"}},
    });
    rig.post("/api/v1/namespaces/f40/resourcequotas", &quota)
        .unwrap();
    // By another of the cluster's controllers, which is slow on a busy machine.
    wait_until(4 * SOON, "the quota counts", || {
        let quota = rig.get("/api/v1/namespaces/f40/resourcequotas/few").ok()?;
        (quota["status"]["used"]["pods"] == "4").then_some(())
    });
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |_| 4);
    scene.wait_condition(SOON, "w0", "CapacityConstrained", ("True", "QuotaExceeded"));
    rig.delete("/api/v1/namespaces/f40/resourcequotas/few")
        .unwrap();
    // The deployment's controller tries again after a while of its own.
    let limit = Duration::from_secs(90);
    scene.wait_condition(limit, "w0", "CapacityConstrained", ("False", "Recovered"));

    check(&scene, &mut [&mut controller], Allowed::default());
    let begin = Instant::now();
    scene.end();
    wait_until(Duration::from_secs(60), "the namespace is gone", || {
        rig.get("/api/v1/namespaces/f40").is_err().then_some(())
    });
    println!(
        "f40: the namespace was gone after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
}
