//! F6: watches stay open and say nothing any more.

use std::time::{Duration, Instant};

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[(
    "faults::f06_a_watch_that_fell_silent_is_given_up_and_the_change_is_seen",
    false,
    a_watch_that_fell_silent_is_given_up_and_the_change_is_seen,
)];

/// How long a watch lives here; 60 s where nothing is said.
const LIFE: Duration = Duration::from_secs(15);

/// How much later a silent one is given up, begun anew, and what changed carried out.
const LATER: Duration = Duration::from_secs(10);

fn a_watch_that_fell_silent_is_given_up_and_the_change_is_seen(rig: &Rig) {
    let scene = Scene::new(rig, "f06-silent", 3);
    let mut start = Start::new(&scene.namespace, "a");
    start.more = vec!["--watch-timeout".to_owned(), format!("{}s", LIFE.as_secs())];
    let mut controller = Controller::start(rig, start);
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);

    controller.proxy.stall_watches();
    let silent = Instant::now();
    scene
        .change("w0", &json!({"spec": {"minReplicas": 9}}))
        .unwrap();
    rig.delete(&format!("{}/w2", scene.objects())).unwrap();
    // Metrics and scales are read, not watched: who needs no watch is decided as ever.
    scene.demand(|i| [20, 30, 20][i]);
    scene.wait_asked(LIFE, |i| [2, 3, 2][i]);
    scene.wait_asked(LIFE + LATER, |i| [9, 3, 2][i]);
    let seen = silent.elapsed();
    println!("f06: a change under silent watches was carried out after {seen:?}");
    assert!(seen <= LIFE + LATER, "{seen:?}");
    scene.demand(|i| [20, 30, 50][i]);
    let reads = || {
        let of = |e: &crate::entry::Entry| e.verb == "GET" && e.path.contains("queue%3Dw2");
        controller.proxy.chosen(of).len()
    };
    wait_until(LATER, "no pass of what was deleted", || {
        let before = reads();
        std::thread::sleep(Duration::from_secs(3));
        (reads() == before).then_some(())
    });
    assert_eq!(scene.asked()[2], 2, "nobody scales it any more");

    check(&scene, &mut [&mut controller], Allowed::default());
    scene.end();
}
