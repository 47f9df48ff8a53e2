//! F31: the store takes nothing, as on a full disk, while the process runs and when it begins.

use std::time::{Duration, Instant};

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f31_without_a_store_the_way_up_goes_on_and_nothing_goes_down",
    false,
    without_a_store_the_way_up_goes_on_and_nothing_goes_down,
)];

/// The time within which all is well again once there is space.
/// Source: specs/reliability.md F31.
const BACK_MAX: Duration = Duration::from_secs(30);

fn without_a_store_the_way_up_goes_on_and_nothing_goes_down(rig: &Rig) {
    let scene = Scene::new(rig, "f31", 2);
    let mut start = Start::new(&scene.namespace, "a");
    start.limited = Some(false);
    let mut controller = Controller::start(rig, start);
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    scene.wait_condition(SOON, "w0", "Stored", ("True", "Usable"));

    controller.limit_files(true);
    outage(&scene, &controller, 4);

    // And from the first moment on.
    controller.stop();
    controller.start.limited = Some(true);
    controller.begin();
    controller.wait_leading(SOON);
    outage(&scene, &controller, 6);

    let allowed = Allowed {
        store_gone: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut controller], allowed);
    assert!(found.counts.of("I24 intent first") >= 6);
    assert!(found.counts.of("I27 decisions kept") >= 6);
    scene.end();
}

/// Up to so many while nothing can be stored, not down, and down again once it can.
fn outage(scene: &Scene, controller: &Controller, replicas: u32) {
    let reason = ("False", "StoreUnusable");
    scene.wait_condition(SOON, "w0", "Stored", reason);
    scene.wait_event("w0", "StoreUnusable");
    let begin = Instant::now();
    scene.demand(|_| 10 * replicas);
    scene.wait_asked(Duration::from_secs(10), |_| i64::from(replicas));
    let up = begin.elapsed();
    scene.demand(|_| 10 * (replicas - 1));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(scene.asked(), [i64::from(replicas); 2], "nothing goes down");
    for name in &scene.names {
        assert_eq!(scene.status(name)["guard"]["health"], "HoldDown", "{name}");
    }
    // More is asked for again: what was not allowed to go down is in nobody's way.
    scene.demand(|_| 10 * (replicas + 1));
    scene.wait_asked(Duration::from_secs(10), |_| i64::from(replicas + 1));
    scene.demand(|_| 10 * (replicas - 1));
    controller.limit_files(false);
    let space = Instant::now();
    scene.wait_condition(BACK_MAX, "w0", "Stored", ("True", "Usable"));
    let back = space.elapsed();
    scene.wait_asked(BACK_MAX, |_| i64::from(replicas - 1));
    println!(
        "f31: up within {up:?} without a store; the store is back after {back:?}, the way down after {:?}",
        space.elapsed()
    );
}
