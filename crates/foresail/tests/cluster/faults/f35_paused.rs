//! F35: the leader is paused at a point of its pass for longer than its lease, and goes on.

use std::sync::Arc;
use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Gate, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f35_a_leader_paused_at_any_point_of_its_pass_writes_nothing_when_it_goes_on",
    false,
    a_leader_paused_at_any_point_of_its_pass_writes_nothing_when_it_goes_on,
)];

/// A point of the pass, told by what the proxy sees of it.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// Nothing is under way.
    Between,
    /// A request was sent and reaches the server only after the other has done the work.
    Sent(&'static str, &'static str),
    /// An answer lies ready and is read when the process goes on.
    Answered(&'static str, &'static str),
    /// The lease was looked at once more, because its renewal takes too long: the last look before
    /// the write.
    LeaseChecked,
    /// A write got no answer, and the number is read back.
    ReadBack,
}

use Point::{Answered, Between, LeaseChecked, ReadBack, Sent};

/// All points of a pass between two requests; those of a lane come one after the other, and lanes at
/// the same time. What lies between an answer and the next request (the decision, the intent in the
/// store, the last look at the lease) is run through when the process goes on.
static LANES: [[(&str, Point); 2]; 6] = [
    [
        ("between two passes", Between),
        ("the write's answer", Answered("PUT", "/w0/scale")),
    ],
    [
        ("the metric is asked for", Sent("GET", "queue%3Dw0")),
        ("the write is read back", ReadBack),
    ],
    [
        ("the metric's answer", Answered("GET", "queue%3Dw0")),
        ("the write is on its way", Sent("PUT", "/w0/scale")),
    ],
    [
        ("the scale is asked for", Sent("GET", "/w0/scale")),
        ("the event's answer", Answered("POST", "/events")),
    ],
    [
        ("the scale's answer", Answered("GET", "/w0/scale")),
        ("the status' answer", Answered("PATCH", "/w0/status")),
    ],
    [
        ("the lease is looked at", LeaseChecked),
        ("the renewal is on its way", Sent("PUT", "/leases/foresail")),
    ],
];

fn a_leader_paused_at_any_point_of_its_pass_writes_nothing_when_it_goes_on(rig: &Rig) {
    std::thread::scope(|lanes| {
        for (number, points) in LANES.iter().enumerate() {
            lanes.spawn(move || lane(rig, &format!("f35-{number}"), points));
        }
    });
}

fn lane(rig: &Rig, namespace: &str, points: &[(&str, Point)]) {
    let scene = Scene::new(rig, namespace, 2);
    let mut leader = scene.controller("a");
    leader.wait_leading(SOON);
    let mut other = scene.controller("b");
    let mut replicas = 1;
    for (what, point) in points {
        replicas += 2;
        pause_at(&scene, &leader, &other, (what, *point), replicas);
        std::mem::swap(&mut leader, &mut other);
    }
    let allowed = Allowed {
        open: true,
        unlogged: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut leader, &mut other], allowed);
    assert_eq!(found.late, 0);
    assert!(found.counts.of("I22 apart") >= points.len());
    scene.end();
}

/// Pauses the leader at one point until the other leads and has done other work, and lets it go on.
fn pause_at(
    scene: &Scene,
    leader: &Controller,
    other: &Controller,
    (what, point): (&str, Point),
    replicas: u32,
) {
    let gate = Gate::new();
    reach(scene, leader, (what, point), &gate, replicas);
    leader.pause();
    if !matches!(point, Sent(..)) {
        gate.open();
    }
    // What was on its way to the proxy is there by then.
    std::thread::sleep(Duration::from_millis(300));
    let before = leader.proxy.scale_puts().len();
    other.wait_leading(SOON);
    scene.demand(|_| 10 * (replicas + 1));
    scene.wait_asked(SOON, |_| i64::from(replicas + 1));
    gate.open();
    leader.proxy.clear();
    leader.resume();
    wait_until(SOON, "the paused leader knows", || {
        (!leader.leads()).then_some(())
    });
    std::thread::sleep(Duration::from_millis(1500));
    let after = leader.proxy.scale_puts().len();
    assert_eq!(after, before, "{what}: it wrote when it went on");
    let asked = scene.asked();
    assert_eq!(asked, [i64::from(replicas + 1); 2], "{what}");
    println!("f35: {what}: {before} writes before, none after");
}

/// Brings the leader to a point, with more to do than it did.
fn reach(
    scene: &Scene,
    leader: &Controller,
    (what, point): (&str, Point),
    gate: &Gate,
    replicas: u32,
) {
    let once = |verb: &'static str, path: &str, action: Action| {
        leader.proxy.rule(Rule::new(verb, path, action).most(1))
    };
    let met = |rule: &Arc<Rule>| {
        wait_until(SOON, what, || (rule.hits() >= 1).then_some(()));
    };
    let held = || Action::HoldAnswer(gate.clone());
    let more = || scene.demand(|_| 10 * replicas);
    match point {
        Between => {
            more();
            scene.wait_asked(SOON, |_| i64::from(replicas));
        }
        Sent(verb, path) => {
            more();
            on_its_way(path);
            met(&once(verb, path, Action::Hold(gate.clone())));
        }
        Answered(verb, path) => {
            more();
            on_its_way(path);
            met(&once(verb, path, held()));
        }
        LeaseChecked => {
            let read = Gate::new();
            let reading = once("GET", "/w0/scale", Action::HoldAnswer(read.clone()));
            more();
            met(&reading);
            // The proof of the lease grows older than the two seconds for which it is believed.
            once("PUT", "/leases/foresail", held());
            std::thread::sleep(Duration::from_millis(2300));
            let looking = once("GET", "/leases/foresail", held());
            read.open();
            met(&looking);
        }
        ReadBack => {
            let writing = once("PUT", "/w0/scale", Action::ResetAfter);
            more();
            met(&writing);
            met(&once("GET", "/w0/scale", held()));
        }
    }
}

/// A metric is held about when the new demand can be read, and not before.
fn on_its_way(path: &str) {
    if path.starts_with("queue") {
        std::thread::sleep(Duration::from_millis(700));
    }
}
