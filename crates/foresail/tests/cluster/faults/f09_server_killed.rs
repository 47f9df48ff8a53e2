//! F9: the API server is killed and comes back.

use std::time::{Duration, Instant};

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[(
    "faults::f09_a_killed_api_server_ends_no_process_and_is_found_again",
    true,
    a_killed_api_server_ends_no_process_and_is_found_again,
)];

fn a_killed_api_server_ends_no_process_and_is_found_again(rig: &Rig) {
    let scene = Scene::new(rig, "f09", 4);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);

    rig.stop("kube-apiserver");
    wait_until(SOON, "the lease is given up", || {
        (!controller.leads()).then_some(())
    });
    assert!(controller.is_alive());
    rig.start_again("kube-apiserver");
    wait_until(SOON, "the API server", || rig.get("/readyz").ok());
    let ready = Instant::now();
    controller.wait_leading(Duration::from_secs(25));
    println!(
        "f09: leads again {:?} after the server was ready",
        ready.elapsed()
    );
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |_| 4);

    let allowed = Allowed {
        server_gone: true,
        ..Allowed::default()
    };
    check(&scene, &mut [&mut controller], allowed);
    scene.end();
}
