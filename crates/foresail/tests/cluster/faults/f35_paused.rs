//! F35: the leader is paused at a point of its pass for longer than its lease, and goes on.

use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Gate, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f35_a_paused_leader_that_goes_on_writes_nothing_of_what_it_had_in_mind",
    false,
    a_paused_leader_that_goes_on_writes_nothing_of_what_it_had_in_mind,
)];

/// Where the pass is when the leader is paused: an answer lies ready, or a request was sent.
const POINTS: [(&str, &str, &str); 4] = [
    ("the metric's answer", "GET", "queue%3Dw0"),
    ("the scale's answer", "GET", "/w0/scale"),
    ("the write's answer", "PUT", "/w0/scale"),
    ("the status' answer", "PATCH", "/w0/status"),
];

fn a_paused_leader_that_goes_on_writes_nothing_of_what_it_had_in_mind(rig: &Rig) {
    let scene = Scene::new(rig, "f35", 2);
    let mut leader = scene.controller("a");
    leader.wait_leading(SOON);
    let mut other = scene.controller("b");
    let mut replicas = 1;
    for (what, verb, path) in POINTS {
        replicas += 1;
        let before = leader.proxy.scale_puts().len();
        pause_at(&scene, &leader, &other, (what, verb, path), replicas);
        let gone_on = leader.proxy.scale_puts().len();
        // What was sent before the pause counts; nothing comes after it.
        let allowed = if verb == "PUT" || verb == "PATCH" {
            2
        } else {
            1
        };
        assert!(
            gone_on <= before + allowed,
            "{what}: {} writes",
            gone_on - before
        );
        std::mem::swap(&mut leader, &mut other);
    }
    let allowed = Allowed {
        open: true,
        unlogged: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut leader, &mut other], allowed);
    assert_eq!(found.late, 0);
    assert!(found.counts.of("I22 apart") >= 3);
    scene.end();
}

/// Pauses the leader at one point until the other leads and has done the work, and lets it go on.
fn pause_at(
    scene: &Scene,
    leader: &Controller,
    other: &Controller,
    (what, verb, path): (&str, &'static str, &str),
    replicas: u32,
) {
    let gate = Gate::new();
    let rule = Rule::new(verb, path, Action::HoldAnswer(gate.clone())).most(1);
    scene.demand(|_| 10 * replicas);
    if verb == "GET" && path.starts_with("queue") {
        // The pass that reads the new demand.
        std::thread::sleep(Duration::from_millis(500));
    }
    let rule = leader.proxy.rule(rule);
    wait_until(SOON, what, || (rule.hits() >= 1).then_some(()));
    leader.pause();
    gate.open();
    other.wait_leading(Duration::from_secs(30));
    scene.wait_asked(SOON, |_| i64::from(replicas));
    leader.proxy.clear();
    leader.resume();
    wait_until(SOON, "the paused leader knows", || {
        (!leader.leads()).then_some(())
    });
    std::thread::sleep(Duration::from_secs(1));
}
