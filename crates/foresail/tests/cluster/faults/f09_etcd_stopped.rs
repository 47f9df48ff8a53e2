//! F9: etcd hangs for longer than anybody waits, and goes on.

use std::time::{Duration, Instant};

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[(
    "faults::f09_a_hanging_etcd_freezes_everybody_and_ends_no_process",
    true,
    a_hanging_etcd_freezes_everybody_and_ends_no_process,
)];

/// How long the API server may be silent before nothing is written, and what is needed to notice.
const FROZEN: Duration = Duration::from_secs(45);

fn a_hanging_etcd_freezes_everybody_and_ends_no_process(rig: &Rig) {
    let scene = Scene::new(rig, "f09-etcd", 2);
    let mut controller = scene.controller("a");
    // One whose lease outlasts the hang: it goes on with its passes, and may write nothing.
    let held = Scene::new(rig, "f09-held", 2);
    let mut start = Start::new(&held.namespace, "a");
    start.times = (90, 70, 2);
    let mut patient = Controller::start(rig, start);
    controller.wait_leading(SOON);
    patient.wait_leading(SOON);
    for scene in [&scene, &held] {
        scene.demand(|_| 20);
        scene.wait_asked(SOON, |_| 2);
    }

    rig.signal("STOP", "etcd");
    let dark = Instant::now();
    scene.demand(|_| 40);
    held.demand(|_| 40);
    wait_until(SOON, "the lease is given up", || {
        (!controller.leads()).then_some(())
    });
    let given_up = dark.elapsed();
    let frozen = || {
        let mut lines = patient.log().into_iter();
        lines.any(|line| line["health"] == "Frozen").then_some(())
    };
    let began = wait_until(FROZEN, "Frozen", || frozen().map(|()| dark.elapsed()));
    assert!(controller.is_alive() && patient.is_alive());
    rig.signal("CONT", "etcd");
    let light = Instant::now();
    wait_until(SOON, "the API server", || rig.get("/readyz").ok());
    let ready = Instant::now();
    controller.wait_leading(Duration::from_secs(25));
    println!(
        "f09: lease given up after {given_up:?}, Frozen after {began:?}; ready {:?} after the end, leads again {:?} later",
        ready - light,
        ready.elapsed()
    );
    scene.wait_asked(SOON, |_| 4);
    held.wait_asked(SOON, |_| 4);
    println!(
        "f09: everything is carried out {:?} after the end",
        light.elapsed()
    );

    let allowed = Allowed {
        server_gone: true,
        ..Allowed::default()
    };
    for (scene, one) in [(&scene, &mut controller), (&held, &mut patient)] {
        let found = check(scene, &mut [one], allowed);
        let in_the_dark = found
            .puts
            .iter()
            .filter(|p| p.is_accepted() && p.entry.at > dark && p.entry.at < light);
        assert_eq!(in_the_dark.count(), 0);
    }
    scene.end();
    held.end();
}
