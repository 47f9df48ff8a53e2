//! F38: others who scale the same target.

use std::time::Duration;

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f38_a_rival_is_named_and_never_fought",
    false,
    a_rival_is_named_and_never_fought,
)];

fn hpa() -> serde_json::Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "w0"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w0"},
            "minReplicas": 1, "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    })
}

fn a_rival_is_named_and_never_fought(rig: &Rig) {
    let scene = Scene::new(rig, "f38", 3);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    // An HPA on a target whose scale we are told to write.
    let path = "/apis/autoscaling/v2/namespaces/f38/horizontalpodautoscalers";
    scene
        .change("w0", &json!({"spec": {"actuation": {"type": "Scale"}}}))
        .unwrap();
    rig.post(path, &hpa()).unwrap();
    scene.wait_condition(SOON, "w0", "Conflicted", ("True", "HPAFound"));
    // A second object of ours on one target: the older goes on.
    let mut second = scene.object("w1");
    second["metadata"]["name"] = json!("late");
    rig.post(&scene.objects(), &second).unwrap();
    scene.wait_condition(SOON, "late", "Conflicted", ("True", "AutoscalerFound"));
    // Somebody who sets the number again and again.
    let writes = |name: &str| {
        let puts = controller.proxy.scale_puts();
        puts.iter()
            .filter(|p| p.path.contains(&format!("/{name}/scale")))
            .count()
    };
    let (rival, ours) = (writes("w0"), writes("w2"));
    for flip in 0..12 {
        scene.by_hand("w2", 6 + flip % 2);
        std::thread::sleep(Duration::from_millis(1500));
    }
    scene.wait_condition(SOON, "w2", "Conflicted", ("True", "ReplicasReverted"));
    let fought = writes("w2") - ours;
    assert!((1..=4).contains(&fought), "{fought} writes against a hand");
    scene.demand(|_| 40);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(writes("w2") - ours, fought, "left alone by now");
    assert_eq!(writes("w0"), rival, "an HPA's target is not ours");
    // Without the HPA it is ours again, without a hand.
    rig.delete(&format!("{path}/w0")).unwrap();
    scene.wait_condition(SOON, "w0", "Conflicted", ("False", ""));
    scene.wait_asked(SOON, |i| [4, 4, 7][i]);

    // Two of the objects are held by their rivals still.
    let allowed = Allowed {
        unsettled: true,
        ..Allowed::default()
    };
    check(&scene, &mut [&mut controller], allowed);
    scene.end();
}
