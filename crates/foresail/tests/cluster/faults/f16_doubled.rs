//! F16: pods and series are told twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::laws::{Allowed, check};
use super::of_pods::{by_cpu, set_cpu, time_before, usage, wait_usage};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::{Action, Change, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f16_what_two_scrapers_tell_counts_once",
    false,
    what_two_scrapers_tell_counts_once,
)];

const PODS: i32 = 4;

/// Each pod uses this, and is told twice more: the same once again, and another number of earlier.
fn pods_doubled(cpu: &'static str) -> Rule {
    usage(move |items| {
        items.iter_mut().for_each(|item| set_cpu(item, &json!(cpu)));
        let mut more = items.clone();
        let earlier = |mut item: Value| {
            item["timestamp"] = json!(time_before(80));
            set_cpu(&mut item, &json!("900m"));
            item
        };
        more.extend(items.iter().cloned().map(earlier));
        // The earlier ones first, so that it is no matter of order.
        more.reverse();
        items.splice(0..0, more);
    })
}

/// Each series is told three times in the same way.
fn series_doubled() -> Rule {
    let change = Change::new(|_, answer| {
        let Some(items) = answer["items"].as_array_mut() else {
            return;
        };
        let mut earlier = items.clone();
        for item in &mut earlier {
            item["timestamp"] = json!(time_before(80));
            item["value"] = json!("500");
        }
        let same = items.clone();
        items.splice(0..0, earlier);
        items.extend(same);
    });
    Rule::new("GET", "external.metrics.k8s.io", Action::Edit(change))
}

fn what_two_scrapers_tell_counts_once(rig: &Rig) {
    let mut scene = Scene::new(rig, "f16", 2).guarded();
    scene.add("cpu", (PODS, "50m"), &by_cpu());
    wait_usage(rig, "f16", PODS as usize);
    let mut controller = scene.controller("a");
    controller.proxy.rule(pods_doubled("50m"));
    controller.proxy.rule(series_doubled());
    controller.wait_leading(SOON);
    scene.demand(|_| 40);
    scene.wait_asked(SOON, |i| [4, 4, 4][i]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(scene.asked(), [4, 4, 4], "as many as without the doubles");
    // Half as much again: 150 % of the set point, and of 4 pods 6.
    controller.proxy.clear();
    controller.proxy.rule(pods_doubled("75m"));
    controller.proxy.rule(series_doubled());
    scene.demand(|_| 60);
    scene.wait_asked(SOON, |_| 6);

    controller.proxy.clear();
    let found = check(&scene, &mut [&mut controller], Allowed::default());
    let wrong = found.puts.iter().filter(|p| !matches!(p.to, 4 | 6)).count();
    assert_eq!(wrong, 0, "the error in replicas is none");
    scene.end();
}
