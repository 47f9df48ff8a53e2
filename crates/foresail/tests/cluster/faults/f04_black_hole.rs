//! F4: requests are taken and never answered; of one object, then of all.

use std::time::{Duration, Instant};

use super::laws::{Allowed, check};
use super::rhythm::{decided_alike, not_delayed};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f04_a_black_hole_for_one_object_is_not_felt_by_the_others",
    false,
    a_black_hole_for_one_object_is_not_felt_by_the_others,
)];

fn a_black_hole_for_one_object_is_not_felt_by_the_others(rig: &Rig) {
    const COUNT: usize = 12;
    let scene = Scene::new(rig, "f04", COUNT);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    let base = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let quiet = (base, Instant::now());

    let one = ["/w0/scale", "queue%3Dw0", "predictiveautoscalers/w0"];
    let rules: Vec<_> = one
        .iter()
        .map(|p| controller.proxy.rule(Rule::new("", p, Action::BlackHole)))
        .collect();
    let begin = Instant::now();
    scene.demand(|_| 30);
    scene.wait_asked(SOON, |i| if i == 0 { 1 } else { 3 });
    std::thread::sleep(Duration::from_secs(4));
    assert!(rules.iter().any(|r| r.hits() > 0));
    let others: Vec<&str> = scene.names[1..].iter().map(String::as_str).collect();
    not_delayed(&controller, &others, quiet, (begin, Instant::now()));

    // Now nothing is answered, and the watches say nothing.
    controller.proxy.clear();
    controller.proxy.rule(Rule::new("", "", Action::BlackHole));
    controller.proxy.stall_watches();
    let dark = Instant::now();
    scene.demand(|_| 50);
    wait_until(SOON, "the lease is given up", || {
        (!controller.leads()).then_some(())
    });
    let held = dark.elapsed();
    assert!(controller.is_alive());
    std::thread::sleep(Duration::from_secs(2));
    controller.proxy.clear();
    controller.proxy.cut_watches();
    let light = Instant::now();
    scene.wait_asked(Duration::from_secs(45), |_| 5);
    println!(
        "f04: stopped {held:?} after the begin, back {:?} after the end",
        light.elapsed()
    );

    let long = controller.proxy.chosen(|e| {
        let ended = e.ended.unwrap_or_else(Instant::now);
        e.fault.as_deref() == Some("BlackHole") && ended - e.at > Duration::from_secs(7)
    });
    assert!(
        long.is_empty(),
        "waited for longer than a call may take: {long:?}"
    );
    let found = check(&scene, &mut [&mut controller], Allowed::default());
    decided_alike(&found.decided, &others);
    let in_the_dark = found
        .puts
        .iter()
        .filter(|p| p.is_accepted() && p.entry.at > dark && p.entry.at < light);
    assert_eq!(in_the_dark.count(), 0);
    scene.end();
}
