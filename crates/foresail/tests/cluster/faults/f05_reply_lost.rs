//! F5: the server carries a write out, and its answer is lost.

use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::{Action, Rule, When};

pub const ROWS: &[Row] = &[(
    "faults::f05_a_write_whose_answer_is_lost_is_looked_for_and_counted_once",
    false,
    a_write_whose_answer_is_lost_is_looked_for_and_counted_once,
)];

fn a_write_whose_answer_is_lost_is_looked_for_and_counted_once(rig: &Rig) {
    const OBJECTS: usize = 10;
    const STEPS: u32 = 8;
    let scene = Scene::new(rig, "f05", OBJECTS);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    let lost = Rule::new("PUT", "/scale", Action::ResetAfter).when(When::Every(2));
    let lost = controller.proxy.rule(lost);
    let status = Rule::new("PATCH", "/status", Action::ResetAfter).when(When::Every(3));
    let status = controller.proxy.rule(status);
    for step in 2..=STEPS + 1 {
        scene.demand(|_| 10 * step);
        scene.wait_asked(SOON, |_| i64::from(step));
    }
    controller.proxy.clear();
    // A pass more, so that the last of them are looked for.
    std::thread::sleep(Duration::from_secs(3));
    scene.wait_condition(SOON, "w0", "AbleToScale", ("True", ""));

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    let trials = OBJECTS * STEPS as usize;
    assert_eq!(
        found.counts.of("three logs: accepted"),
        trials,
        "one write a step"
    );
    // Besides those there are only writes that the server refused, for the target's state had changed.
    let refused = found.puts.iter().filter(|p| p.code == Some(409)).count();
    assert_eq!(found.counts.of("three logs: sent"), trials + refused);
    assert!(lost.hits() as usize >= trials / 2);
    assert!(status.hits() > 0);
    println!(
        "f05: {trials} writes, {} answers lost, {} of the status",
        lost.hits(),
        status.hits()
    );
    scene.end();
}
