//! F1: the scale was changed between the read and the write.

use std::collections::BTreeMap;
use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Gate, Rule, When};

pub const ROWS: &[Row] = &[(
    "faults::f01_a_conflict_is_decided_anew_and_a_hand_is_not_overwritten",
    false,
    a_conflict_is_decided_anew_and_a_hand_is_not_overwritten,
)];

fn a_conflict_is_decided_anew_and_a_hand_is_not_overwritten(rig: &Rig) {
    let scene = Scene::new(rig, "f01", 8);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);

    // Every write is refused, though nothing changed.
    let all = controller
        .proxy
        .rule(Rule::new("PUT", "/scale", Action::Status(409, None)));
    scene.demand(|_| 30);
    wait_until(SOON, "24 conflicts", || (all.hits() >= 24).then_some(()));
    scene.wait_condition(SOON, "w0", "AbleToScale", ("False", "changed since"));
    controller.proxy.clear();
    scene.wait_asked(SOON, |_| 3);

    // Every second one is.
    let some = Rule::new("PUT", "/scale", Action::Status(409, None)).when(When::Every(2));
    let some = controller.proxy.rule(some);
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |_| 4);
    controller.proxy.clear();

    // A person is faster: the write is under way when the number changes.
    let gate = Gate::new();
    let hold = Rule::new("PUT", "/w0/scale", Action::Hold(gate.clone())).most(1);
    let hold = controller.proxy.rule(hold);
    scene.demand(|i| if i == 0 { 50 } else { 40 });
    wait_until(SOON, "a write of w0 under way", || {
        (hold.hits() == 1).then_some(())
    });
    scene.by_hand("w0", 7);
    gate.open();
    scene.wait_asked(SOON, |i| if i == 0 { 5 } else { 4 });
    scene.wait_condition(SOON, "w0", "AbleToScale", ("True", ""));

    let conflicts = all.hits() + some.hits() + 1;
    let found = check(&scene, &mut [&mut controller], Allowed::default());
    // The server itself adds some: the state of a target that is being scaled changes too.
    assert!(found.counts.of("I25 conflicts") >= conflicts as usize);
    assert!(conflicts >= 25, "{conflicts}");
    // What the person wrote is what the next decision began with.
    let mut from = found
        .decided
        .iter()
        .filter(|d| d.object == "w0" && d.was_sent());
    assert_eq!(from.next_back().map(|d| (d.from, d.to)), Some((7, 5)));
    // After the last conflict of each object its next write is the one that settles it.
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, one) in found
        .decided
        .iter()
        .enumerate()
        .filter(|(_, d)| d.outcome == "stale")
    {
        last.insert(&one.object, i);
    }
    for (object, i) in last {
        let mut after = found.decided[i + 1..]
            .iter()
            .filter(|d| d.object == object && d.was_sent());
        assert_eq!(
            after.next().map(|d| d.outcome.as_str()),
            Some("applied"),
            "{object}"
        );
    }
    // A number that changed meanwhile is looked at once more within the pass, and not again.
    let gap = Duration::from_millis(500);
    let mut of: BTreeMap<&str, Vec<&super::record::Put>> = BTreeMap::new();
    for put in &found.puts {
        of.entry(&put.object).or_default().push(put);
    }
    let three = |all: &Vec<&super::record::Put>| {
        let soon = |w: &&[&super::record::Put]| w[2].entry.at - w[0].entry.at < gap;
        all.windows(3).filter(soon).count()
    };
    let quick: usize = of.values().map(three).sum();
    assert_eq!(quick, 0, "a conflict must not be answered in a loop");
    scene.end();
}
