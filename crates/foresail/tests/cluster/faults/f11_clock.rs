//! F11: the time of day jumps, or is another than everybody else's.

use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::Rig;
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[
    (
        "faults::f11_a_jump_of_an_hour_freezes_and_then_holds_and_steals_no_lease",
        false,
        a_jump_of_an_hour_freezes_and_then_holds_and_steals_no_lease,
    ),
    (
        "faults::f11_a_clock_that_is_ten_minutes_off_takes_nothing_away",
        false,
        a_clock_that_is_ten_minutes_off_takes_nothing_away,
    ),
];

const HOUR: i64 = 3600;
const TEN_MINUTES: i64 = 600;

/// How often a process said that it leads.
fn times_leading(controller: &Controller) -> usize {
    let lines = controller.log().into_iter();
    lines.filter(|line| line["message"] == "leads").count()
}

fn a_jump_of_an_hour_freezes_and_then_holds_and_steals_no_lease(rig: &Rig) {
    let scene = Scene::new(rig, "f11", 2).guarded();
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    let mut other = scene.controller("b");
    scene.demand(|_| 50);
    scene.wait_asked(SOON, |_| 5);
    let before = controller.proxy.scale_puts().len();

    // An hour ahead, while there would be a way down.
    controller.shift_clock(HOUR);
    scene.demand(|_| 10);
    scene.wait_condition(
        SOON,
        "w0",
        "Held",
        ("True", "the time of day jumped; nothing is written"),
    );
    assert_eq!(scene.status("w0")["guard"]["health"], "Frozen");
    let ahead = ("True", "ahead of the API server's");
    scene.wait_condition(SOON, "w0", "Held", ahead);
    assert_eq!(scene.status("w0")["guard"]["health"], "HoldDown");
    // And back.
    controller.shift_clock(0);
    scene.wait_condition(
        SOON,
        "w1",
        "Held",
        ("True", "the time of day jumped; nothing is written"),
    );
    let holds = ("True", "the time of day jumped; nothing goes down before");
    scene.wait_condition(SOON, "w1", "Held", holds);
    assert_eq!(scene.asked(), [5, 5], "nothing went down");
    assert_eq!(controller.proxy.scale_puts().len(), before);
    // Up it goes in the meantime.
    scene.demand(|_| 70);
    scene.wait_asked(SOON, |_| 7);
    assert_eq!((times_leading(&controller), times_leading(&other)), (1, 0));

    // For five minutes more nothing goes down.
    let allowed = Allowed {
        unsettled: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut controller, &mut other], allowed);
    assert!(
        found
            .decided
            .iter()
            .all(|d| !d.was_sent() || d.to >= d.from)
    );
    scene.end();
}

fn a_clock_that_is_ten_minutes_off_takes_nothing_away(rig: &Rig) {
    let scene = Scene::new(rig, "f11-off", 2).guarded();
    for name in &scene.names {
        scene.by_hand(name, 5);
    }
    let begun = |name: &str, shift: i64| {
        let start = crate::process::Start::new(&scene.namespace, name);
        let mut one = Controller::held(rig, start);
        one.shift_clock(shift);
        one.begin();
        one
    };
    // One demand that is below what is there: by ages that are wrong it must not go down.
    let mut ahead = begun("ahead", TEN_MINUTES);
    ahead.wait_leading(SOON);
    let mut behind = begun("behind", -TEN_MINUTES);
    let told = ("True", "ahead of the API server's");
    scene.wait_condition(SOON, "w0", "Held", told);
    // Longer than a lease: what its holder wrote into it is ten minutes and more of the future.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!((times_leading(&ahead), times_leading(&behind)), (1, 0));
    assert_eq!(scene.status("w0")["guard"]["health"], "HoldDown");

    // The one that is behind takes over once the other cannot renew, and not before.
    ahead.proxy.rule(Rule::new("", "", Action::BlackHole));
    behind.wait_leading(SOON);
    let told = ("True", "behind the API server's");
    scene.wait_condition(SOON, "w0", "Held", told);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(scene.asked(), [5, 5]);
    assert!(ahead.proxy.scale_puts().is_empty() && behind.proxy.scale_puts().is_empty());
    // With the right time it is what it always was.
    let mut right = begun("right", 0);
    behind.proxy.rule(Rule::new("", "", Action::BlackHole));
    right.wait_leading(SOON);
    scene.wait_asked(SOON, |_| 1);
    ahead.proxy.clear();
    behind.proxy.clear();

    let allowed = Allowed {
        open: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut ahead, &mut behind, &mut right], allowed);
    assert!(found.counts.of("I22 apart") >= 2);
    scene.end();
}
