//! F34: two controllers, one lease.

use std::time::{Duration, Instant};

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Gate, Rule};

pub const ROWS: &[Row] = &[
    (
        "faults::f34_a_leader_without_the_server_is_replaced_and_writes_nothing",
        false,
        a_leader_without_the_server_is_replaced_and_writes_nothing,
    ),
    (
        "faults::f34_a_write_under_way_at_a_take_over_comes_late_once_and_is_mended",
        false,
        a_write_under_way_at_a_take_over_comes_late_once_and_is_mended,
    ),
];

fn a_leader_without_the_server_is_replaced_and_writes_nothing(rig: &Rig) {
    let scene = Scene::new(rig, "f34", 3);
    let mut first = scene.controller("a");
    first.wait_leading(SOON);
    let mut second = scene.controller("b");
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);

    // The leader alone loses the server.
    first.proxy.rule(Rule::new("", "", Action::BlackHole));
    first.proxy.stall_watches();
    let dark = Instant::now();
    scene.demand(|_| 40);
    second.wait_leading(Duration::from_secs(25));
    println!(
        "f34: taken over {:?} after the leader lost the server",
        dark.elapsed()
    );
    scene.wait_asked(SOON, |_| 4);
    first.proxy.clear();
    first.proxy.cut_watches();

    // A third party writes itself into the lease.
    let path = "/apis/coordination.k8s.io/v1/namespaces/f34/leases/foresail";
    rig.patch(path, &json!({"spec": {"holderIdentity": "a-stranger"}}))
        .unwrap();
    wait_until(SOON, "nobody leads", || {
        (!first.leads() && !second.leads()).then_some(())
    });
    scene.demand(|_| 60);
    wait_until(SOON, "one leads", || {
        (first.leads() || second.leads()).then_some(())
    });
    scene.wait_asked(SOON, |_| 6);

    let allowed = Allowed {
        open: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut first, &mut second], allowed);
    assert!(found.counts.of("I22 apart") >= 1);
    assert_eq!(found.late, 0);
    scene.end();
}

fn a_write_under_way_at_a_take_over_comes_late_once_and_is_mended(rig: &Rig) {
    let scene = Scene::new(rig, "f34-late", 2);
    let mut first = scene.controller("a");
    first.wait_leading(SOON);
    let mut second = scene.controller("b");
    still(&scene);

    // The leader's writes are under way when it falls asleep; until they come, the demand is back
    // where it was, so its successor has nothing to write that would move the version.
    let gate = Gate::new();
    let held = first
        .proxy
        .rule(Rule::new("PUT", "/scale", Action::Hold(gate.clone())));
    scene.demand(|_| 30);
    wait_until(SOON, "both writes under way", || {
        (held.hits() >= 2).then_some(())
    });
    first.pause();
    scene.demand(|_| 10);
    second.wait_leading(Duration::from_secs(25));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.asked(), [1, 1]);
    gate.open();
    wait_until(SOON, "both writes late", || {
        first
            .proxy
            .scale_puts()
            .iter()
            .all(|p| p.server.is_some())
            .then_some(())
    });
    let late = Instant::now();
    scene.wait_asked(SOON, |_| 1);
    println!("f34: mended {:?} after the late writes", late.elapsed());
    first.resume();
    first.proxy.clear();
    std::thread::sleep(Duration::from_secs(5));
    assert!(!first.leads());
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);

    let allowed = Allowed {
        late: 2,
        open: true,
        unlogged: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut first, &mut second], allowed);
    println!(
        "f34: {} late writes at one take-over of 2 objects",
        found.late
    );
    for object in ["w0", "w1"] {
        let old = found
            .puts
            .iter()
            .filter(|p| p.object == object && p.to == 3);
        let (accepted, refused): (Vec<_>, Vec<_>) = old.partition(|p| p.is_accepted());
        assert!(accepted.len() <= 1, "more than one late write of {object}");
        assert_eq!(accepted.len() + refused.len(), 1, "{object}");
        assert!(refused.iter().all(|p| p.code == Some(409)), "{object}");
    }
    scene.end();
}

/// Waits until nothing changes the targets any more: a change would refuse the late write.
fn still(scene: &Scene) {
    let versions = || -> Vec<String> {
        let of = |name: &String| {
            let path = format!(
                "/apis/apps/v1/namespaces/{}/deployments/{name}",
                scene.namespace
            );
            scene.rig.get(&path).unwrap()["metadata"]["resourceVersion"].to_string()
        };
        scene.names.iter().map(of).collect()
    };
    let mut before = Vec::new();
    wait_until(SOON, "targets that stand still", || {
        std::thread::sleep(Duration::from_secs(3));
        let now = versions();
        let same = now == before;
        before = now;
        same.then_some(())
    });
}
