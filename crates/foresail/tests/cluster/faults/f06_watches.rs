//! F6: watches are cut, refused, too old, or silent.

use std::time::{Duration, Instant};

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[
    (
        "faults::f06_watches_that_are_cut_each_second_lose_nothing",
        false,
        watches_that_are_cut_each_second_lose_nothing,
    ),
    (
        "faults::f06_hpas_that_cannot_be_read_stop_writes_but_no_pass",
        false,
        hpas_that_cannot_be_read_stop_writes_but_no_pass,
    ),
];

/// Passes of an object so far: each begins with a read of its metric.
fn passes(controller: &Controller, name: &str) -> usize {
    let metric = format!("queue%3D{name}");
    controller
        .proxy
        .chosen(|e| e.verb == "GET" && e.path.contains(&metric))
        .len()
}

fn watches_that_are_cut_each_second_lose_nothing(rig: &Rig) {
    let scene = Scene::new(rig, "f06", 4);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    let cut_for = |seconds: u32| {
        for _ in 0..seconds {
            controller.proxy.cut_watches();
            std::thread::sleep(Duration::from_secs(1));
        }
    };

    // While they are cut, the demand moves: five writes of each object, all our own.
    for step in 2..=6 {
        scene.demand(|_| 10 * step);
        cut_for(3);
    }
    scene.wait_asked(SOON, |_| 6);
    controller.proxy.cut_watches();

    // A change of the spec is seen within three seconds of a cut.
    let path = "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/f06/predictiveautoscalers";
    rig.patch(&format!("{path}/w0"), &json!({"spec": {"minReplicas": 9}}))
        .unwrap();
    let changed = Instant::now();
    scene.wait_asked(SOON, |i| if i == 0 { 9 } else { 6 });
    println!(
        "f06: a change of the spec was carried out after {:?}",
        changed.elapsed()
    );

    // The version from which a watch goes on is too old: everything is listed anew, and what was
    // deleted meanwhile is noticed.
    let old = Rule::new("WATCH", "", Action::Status(410, None)).most(6);
    let old = controller.proxy.rule(old);
    controller.proxy.cut_watches();
    rig.delete(&format!("{path}/w3")).unwrap();
    wait_until(SOON, "six watches that are too old", || {
        (old.hits() >= 6).then_some(())
    });
    wait_until(SOON, "no pass of what was deleted", || {
        let before = passes(&controller, "w3");
        std::thread::sleep(Duration::from_secs(3));
        (passes(&controller, "w3") == before).then_some(())
    });

    // Other watches are refused for ever, and cut; passes and writes go on.
    controller.proxy.rule(Rule::new(
        "",
        "horizontalpodautoscalers",
        Action::Status(403, None),
    ));
    controller.proxy.cut_watches();
    let before = passes(&controller, "w1");
    scene.demand(|_| 80);
    cut_for(4);
    let limit = Instant::now();
    while limit.elapsed() < SOON && scene.asked()[1] != 8 {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(scene.asked(), [9, 8, 8, 6]);
    assert!(passes(&controller, "w1") >= before + 3);

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    let held = found
        .decided
        .iter()
        .filter(|d| d.health == "Frozen")
        .count();
    assert_eq!(held, 0, "an own write was taken for somebody else's");
    scene.end();
}

fn hpas_that_cannot_be_read_stop_writes_but_no_pass(rig: &Rig) {
    let scene = Scene::new(rig, "f06-hpas", 2);
    let start = Start::new(&scene.namespace, "a");
    let mut controller = Controller::held(rig, start);
    let refused = controller.proxy.rule(Rule::new(
        "",
        "horizontalpodautoscalers",
        Action::Status(403, None),
    ));
    controller.begin();
    controller.wait_leading(SOON);
    scene.demand(|_| 30);
    wait_until(SOON, "ten passes", || {
        (passes(&controller, "w0") >= 10).then_some(())
    });
    scene.wait_condition(SOON, "w0", "Conflicted", ("True", "HPAsUnreadable"));
    assert_eq!(scene.asked(), [1, 1]);
    assert!(controller.proxy.scale_puts().is_empty());
    assert!(refused.hits() > 2);
    controller.proxy.clear();
    scene.wait_asked(SOON, |_| 3);
    scene.wait_condition(SOON, "w0", "Conflicted", ("False", "NoRival"));
    check(&scene, &mut [&mut controller], Allowed::default());
    scene.end();
}
