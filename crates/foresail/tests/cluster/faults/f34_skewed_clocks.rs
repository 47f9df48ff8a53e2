//! F34: candidates whose times of day are minutes apart, and a lease whose times somebody rewrites.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f34_times_of_day_that_differ_neither_steal_a_lease_nor_share_it",
    false,
    times_of_day_that_differ_neither_steal_a_lease_nor_share_it,
)];

/// By how many seconds each candidate's time of day is ahead.
const SKEWS: [(&str, i64); 3] = [("a", 60), ("b", -60), ("c", 0)];

/// Longer than any lease here lasts: whoever takes it for over has taken it by then.
const CALM: Duration = Duration::from_secs(10);

fn times_of_day_that_differ_neither_steal_a_lease_nor_share_it(rig: &Rig) {
    let scene = Scene::new(rig, "f34-skew", 2);
    let mut all: Vec<Controller> = SKEWS
        .into_iter()
        .map(|(name, ahead)| {
            let mut one = Controller::held(rig, Start::new(&scene.namespace, name));
            one.proxy
                .rule(Rule::new("", "/leases", Action::Skew(ahead)));
            one.begin();
            one
        })
        .collect();
    let first = leader(&all);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    std::thread::sleep(CALM);
    assert_eq!(
        leader(&all),
        first,
        "a lease that is renewed is nobody else's"
    );

    // Its times are minutes off, either way; the holder goes on, and so do the others.
    for minutes in [1, -1, 60, -60] {
        rewrite(&scene, minutes);
        std::thread::sleep(CALM / 4);
        assert_eq!(leader(&all), first, "{minutes} minutes");
    }
    scene.demand(|_| 30);
    scene.wait_asked(SOON, |_| 3);

    // One that sleeps is replaced when its lease is over, not before.
    all[first].pause();
    let asleep = Instant::now();
    let second = wait_until(Duration::from_secs(25), "another leads", || {
        (0..all.len()).find(|i| *i != first && all[*i].leads())
    });
    let taken = asleep.elapsed();
    all[first].resume();
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |_| 4);
    // One that ends gives it back.
    all[second].stop();
    let ended = Instant::now();
    all[second].begin();
    wait_until(SOON, "the third leads", || {
        (0..all.len()).find(|i| *i != second && all[*i].leads())
    });
    println!(
        "f34: taken over {taken:?} after the leader fell asleep, {:?} after the next gave it back",
        ended.elapsed()
    );
    assert!(taken <= Duration::from_secs(25));
    scene.demand(|_| 50);
    scene.wait_asked(SOON, |_| 5);

    let taken = |c: &Controller| {
        let log = c.log();
        let leads = log.iter().filter(|l| l["message"] == "this process leads");
        leads.count()
    };
    let leaderships: usize = all.iter().map(taken).sum();
    assert_eq!(leaderships, 3, "as many leaderships as were made to be");
    let allowed = Allowed {
        open: true,
        unlogged: true,
        ..Allowed::default()
    };
    let mut all: Vec<&mut Controller> = all.iter_mut().collect();
    let found = check(&scene, &mut all, allowed);
    assert_eq!(found.late, 0);
    assert!(found.counts.of("I22 apart") >= 3);
    scene.end();
}

/// Who leads; exactly one does.
fn leader(all: &[Controller]) -> usize {
    let leads = || -> Vec<usize> { (0..all.len()).filter(|i| all[*i].leads()).collect() };
    let leads = wait_until(SOON, "a leader", || Some(leads()).filter(|l| !l.is_empty()));
    assert_eq!(leads.len(), 1, "{leads:?}");
    leads[0]
}

/// Somebody sets the time of the last renewal to another, as one whose clock is off would.
fn rewrite(scene: &Scene, minutes: i64) {
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/foresail",
        scene.namespace
    );
    let lease = scene.rig.get(&path).unwrap();
    let told: Timestamp = lease["spec"]["renewTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let moved = told + SignedDuration::from_mins(minutes);
    let change = json!({"spec": {"renewTime": format!("{moved:.6}")}});
    scene.rig.patch(&path, &change).unwrap();
}
