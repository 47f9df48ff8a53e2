//! F12: a whole metric is missing: not found, an error, no answer. It is never zero.

use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f12_a_metric_that_is_gone_takes_nothing_away",
    false,
    a_metric_that_is_gone_takes_nothing_away,
)];

fn faults() -> [Action; 4] {
    [
        Action::Status(404, None),
        Action::Status(500, None),
        Action::BlackHole,
        Action::Corrupt,
    ]
}

fn a_metric_that_is_gone_takes_nothing_away(rig: &Rig) {
    let scene = Scene::new(rig, "f12", faults().len());
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 50);
    scene.wait_asked(SOON, |_| 5);
    for (i, action) in faults().into_iter().enumerate() {
        let rule = Rule::new("GET", "external.metrics.k8s.io", action).and(&format!("w{i}"));
        controller.proxy.rule(rule);
    }
    // What would be a way down, if anybody could see it.
    scene.demand(|_| 10);
    for name in &scene.names {
        let reason = ("False", "FailedGetExternalMetric");
        scene.wait_condition(SOON, name, "ScalingActive", reason);
    }
    let before = controller.proxy.scale_puts().len();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(scene.asked(), [5; 4], "missing is not zero");
    assert_eq!(
        controller.proxy.scale_puts().len(),
        before,
        "and nothing is written"
    );
    for name in &scene.names {
        assert_eq!(scene.status(name)["guard"]["health"], "HoldDown", "{name}");
    }
    controller.proxy.clear();
    // Sixteen replicas too many, and the fleet gives away ten a minute.
    scene.wait_asked(Duration::from_secs(100), |_| 1);
    scene.wait_condition(SOON, "w0", "ScalingActive", ("True", ""));

    check(&scene, &mut [&mut controller], Allowed::default());
    scene.end();
}
