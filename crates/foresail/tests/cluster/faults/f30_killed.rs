//! F30: the process is killed at any moment, again and again, while it scales.

use std::time::{Duration, Instant};

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f30_a_process_that_is_killed_loses_no_decision_and_writes_none_twice",
    false,
    a_process_that_is_killed_loses_no_decision_and_writes_none_twice,
)];

const KILLS: u32 = 20;

/// So long at most, in milliseconds, from the begin of a life, or of its leadership, to its end.
const LIFE_MAX_MS: u64 = 1500;

fn a_process_that_is_killed_loses_no_decision_and_writes_none_twice(rig: &Rig) {
    let scene = Scene::new(rig, "f30", 6);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    let (mut led, mut dice) = (0, 30);
    for kill in 0..KILLS {
        // Each object has something to do in each life: half of them up, half of them down.
        scene.demand(|i| {
            if (kill as usize + i).is_multiple_of(2) {
                30
            } else {
                50
            }
        });
        // Every second one leads before it ends; of the others some do.
        if kill.is_multiple_of(2) {
            controller.wait_leading(SOON);
        }
        std::thread::sleep(Duration::from_millis(roll(&mut dice) % LIFE_MAX_MS));
        led += u32::from(controller.leads());
        controller.kill();
        give_back(&scene);
        controller.begin();
    }
    controller.wait_leading(SOON);
    let back = Instant::now();
    scene.demand(|_| 80);
    // What an end left open is looked for until it cannot take effect any more.
    scene.wait_asked(Duration::from_secs(60), |_| 8);
    let back = back.elapsed();

    let allowed = Allowed {
        unlogged: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut controller], allowed);
    let log = controller.log();
    let of = |text: &str| log.iter().filter(|l| l["message"] == text).count();
    let opened: Vec<&str> = log
        .iter()
        .filter(|l| l["message"] == "store")
        .filter_map(|l| l["opened"].as_str())
        .collect();
    println!(
        "f30: {KILLS} kills, {led} of a leader; {} writes, {} left open were looked for; back after {back:?}",
        found.puts.len(),
        of("a write without an answer is known")
    );
    // The first begins it; of the others some were killed before they came to it.
    assert_eq!(opened[0], "Some(New)");
    assert!(opened[1..].iter().all(|o| *o == "Some(Kept)"), "{opened:?}");
    assert!(led >= KILLS / 2, "{led} of {KILLS} killed as leaders");
    assert!(found.counts.of("I27 decisions kept") >= 10);
    scene.end();
}

/// Source: Steele, Lea, Flood 2014, SplitMix64.
fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Its holder is dead and nobody else is there: the next life need not wait for the lease's end.
fn give_back(scene: &Scene) {
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/foresail",
        scene.namespace
    );
    let free = json!({"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}});
    scene.rig.patch(&path, &free).unwrap();
}
