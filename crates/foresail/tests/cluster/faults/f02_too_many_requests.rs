//! F2: the server asks to wait.

use std::time::Duration;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::{Action, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f02_who_is_asked_to_wait_waits_and_then_decides_anew",
    false,
    who_is_asked_to_wait_waits_and_then_decides_anew,
)];

/// Seconds that each workload's writes are asked to wait.
const AFTER: [u32; 6] = [1, 1, 5, 5, 300, 300];

/// However long the server asks for, a new decision is tried within this.
const LONGEST: Duration = Duration::from_secs(30);

fn who_is_asked_to_wait_waits_and_then_decides_anew(rig: &Rig) {
    let scene = Scene::new(rig, "f02", AFTER.len());
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    for (i, after) in AFTER.iter().enumerate() {
        let path = format!("/w{i}/scale");
        controller
            .proxy
            .rule(Rule::new("PUT", &path, Action::Status(429, Some(*after))));
    }
    scene.demand(|_| 30);
    scene.wait_condition(SOON, "w0", "AbleToScale", ("False", "asks to wait 1 s"));
    scene.wait_condition(SOON, "w5", "AbleToScale", ("False", "asks to wait 300 s"));
    std::thread::sleep(Duration::from_secs(8));
    controller.proxy.clear();
    // By now the demand is another: what was decided under the fault is worth nothing.
    scene.demand(|_| 40);
    scene.wait_asked(LONGEST + SOON, |_| 4);

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    for (i, after) in AFTER.iter().enumerate() {
        let object = format!("w{i}");
        let puts: Vec<_> = found.puts.iter().filter(|p| p.object == object).collect();
        assert!(puts.len() >= 2, "{object}");
        let asked = Duration::from_secs(u64::from(*after)).min(LONGEST);
        for pair in puts.windows(2).filter(|w| w[0].entry.told == Some(429)) {
            let gap = pair[1].entry.at - pair[0].entry.at;
            assert!(gap >= asked, "{object} waited {gap:?} of {after} s");
        }
        let stored: Vec<i64> = puts
            .iter()
            .filter(|p| p.is_accepted())
            .map(|p| p.to)
            .collect();
        assert_eq!(stored.last(), Some(&4), "{object}");
    }
    for put in &found.puts {
        let second = found.puts.iter().filter(|p| {
            p.entry.at >= put.entry.at && p.entry.at - put.entry.at < Duration::from_secs(1)
        });
        assert!(second.count() <= 20, "more than the bucket holds");
    }
    scene.end();
}
