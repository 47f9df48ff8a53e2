//! F39: the target is gone, comes back as another, is set to zero by hand, or may not be written.

use std::time::Duration;

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f39_a_target_that_is_gone_or_paused_is_left_alone",
    false,
    a_target_that_is_gone_or_paused_is_left_alone,
)];

fn a_target_that_is_gone_or_paused_is_left_alone(rig: &Rig) {
    let scene = Scene::new(rig, "f39", 3);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 30);
    scene.wait_asked(SOON, |_| 3);
    let w0 = "/apis/apps/v1/namespaces/f39/deployments/w0";
    rig.delete(w0).unwrap();
    scene.wait_condition(SOON, "w0", "Ready", ("False", "TargetNotFound"));
    // Zero by hand means paused, whatever the demand.
    scene.by_hand("w1", 0);
    scene.wait_condition(SOON, "w1", "ScalingActive", ("False", "ScalingDisabled"));
    // Not allowed any more.
    controller
        .proxy
        .rule(Rule::new("PUT", "/w2/scale", Action::Status(403, None)));
    scene.demand(|_| 50);
    scene.wait_condition(SOON, "w2", "AbleToScale", ("False", "FailedUpdateScale"));
    let refused = controller.proxy.scale_puts().len();
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(
        controller.proxy.scale_puts().len(),
        refused,
        "a refused write waits"
    );
    assert_eq!(rig.replicas("f39", "w1").0, 0);
    // Another one under the old name: decided on its own number, never on the old one's.
    let resources = json!({"requests": {"cpu": "10m"}});
    rig.deployment(("f39", "w0"), 1, &resources, &json!({}));
    controller.proxy.clear();
    scene.by_hand("w1", 1);
    scene.wait_condition(SOON, "w0", "Ready", ("True", "Reconciled"));
    scene.wait_asked(Duration::from_secs(60), |_| 5);

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    let to_w1 = found
        .puts
        .iter()
        .filter(|p| p.object == "w1" && p.to != 3 && p.to != 5);
    assert_eq!(to_w1.count(), 0, "nothing but 3 and 5 was ever written");
    scene.end();
}
