//! F36, F37: bounds that the user moves, and objects that cannot be carried out.

use std::time::Duration;

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f37_a_bound_that_moves_is_met_in_one_write_and_nonsense_writes_nothing",
    false,
    a_bound_that_moves_is_met_in_one_write_and_nonsense_writes_nothing,
)];

fn a_bound_that_moves_is_met_in_one_write_and_nonsense_writes_nothing(rig: &Rig) {
    let scene = Scene::new(rig, "f37", 3);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 200);
    scene.wait_asked(SOON, |_| 20);
    // A conflict with what the cluster writes meanwhile is decided anew and is no second write.
    let accepted = |controller: &Controller| {
        let puts = controller.proxy.scale_puts();
        puts.iter().filter(|p| p.server == Some(200)).count()
    };
    let before = accepted(&controller);
    // A lowered ceiling is the user's command: at once, in one write, past windows and budgets.
    scene
        .change("w0", &json!({"spec": {"maxReplicas": 5}}))
        .unwrap();
    scene.wait_asked(SOON, |i| if i == 0 { 5 } else { 20 });
    scene
        .change(
            "w1",
            &json!({"spec": {"minReplicas": 30, "maxReplicas": 60}}),
        )
        .unwrap();
    scene.wait_asked(SOON, |i| [5, 30, 20][i]);
    assert_eq!(accepted(&controller), before + 2, "one write each");
    // What no server takes.
    for spec in [
        json!({"minReplicas": 9, "maxReplicas": 3}),
        json!({"minReplicas": -1}),
        json!({"maxReplicas": 2_147_483_647}),
    ] {
        assert!(
            scene.change("w2", &json!({"spec": spec})).is_err(),
            "{spec}"
        );
    }
    // What the server takes and the engine cannot carry out: nothing is written, the others go on.
    let knobs = json!([{"name": "static", "knobs": {"replicas": "many"}}]);
    scene
        .change("w2", &json!({"spec": {"proposers": knobs}}))
        .unwrap();
    scene.wait_condition(SOON, "w2", "Ready", ("False", "ConfigInvalid"));
    scene.demand(|_| 250);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(scene.asked(), [5, 30, 20]);
    scene
        .change("w2", &json!({"spec": {"proposers": null}}))
        .unwrap();
    scene.wait_asked(SOON, |i| [5, 30, 25][i]);
    scene.wait_condition(SOON, "w2", "Ready", ("True", "Reconciled"));

    check(&scene, &mut [&mut controller], Allowed::default());
    scene.end();
}
