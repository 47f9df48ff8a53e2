//! F13: some pods have no sample. Few are filled in as an HPA does it, many forbid every way down.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::laws::{Allowed, check};
use super::of_pods::{by_cpu, pod_of, set_cpu, usage, wait_usage};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::Rig;
use crate::rule::Rule;

pub const ROWS: &[Row] = &[(
    "faults::f13_few_missing_pods_are_filled_in_as_an_hpa_does_and_many_forbid_the_way_down",
    false,
    few_missing_pods_are_filled_in_as_an_hpa_does_and_many_forbid_the_way_down,
)];

const PODS: i32 = 20;

/// What an HPA asks for: pods without a sample count as if they used all of their request.
/// Source: replica_calculator.go, GetResourceReplicas, on the way down.
fn filled_in(used_percent: i64, missing: i64) -> i64 {
    let all = i64::from(PODS);
    let usage = ((all - missing) * used_percent + missing * 100) / all;
    // Utilization over its set point of 50, times all pods.
    (usage * all + 49) / 50
}

/// Usage of each pod, without the first so many of each workload.
fn without(of: &'static [(&'static str, usize)], cpu: &'static str) -> Rule {
    usage(move |items| {
        let pods: BTreeSet<String> = items.iter().map(|i| pod_of(i).to_owned()).collect();
        let mut gone = BTreeSet::new();
        for (name, count) in of {
            let own = pods.iter().filter(|p| p.starts_with(&format!("{name}-")));
            gone.extend(own.take(*count).cloned());
        }
        items.retain(|item| !gone.contains(pod_of(item)));
        items.iter_mut().for_each(|item| set_cpu(item, &json!(cpu)));
    })
}

fn few_missing_pods_are_filled_in_as_an_hpa_does_and_many_forbid_the_way_down(rig: &Rig) {
    let mut scene = Scene::new(rig, "f13", 0);
    for name in ["many", "few"] {
        scene.add(name, (PODS, "50m"), &by_cpu());
    }
    let mut controller = scene.controller("a");
    controller.proxy.rule(without(&[], "50m"));
    controller.wait_leading(SOON);
    wait_usage(rig, "f13", 2 * PODS as usize);
    assert_eq!(scene.asked(), [20, 20]);

    // A fifth of what is requested, so 8 would do; of one workload three in ten pods are not known, of
    // the other one in twenty.
    controller.proxy.clear();
    let fault = without(&[("many", 6), ("few", 1)], "20m");
    controller.proxy.rule(fault);
    let expected = filled_in(20, 1);
    assert!(
        (9..20).contains(&expected) && filled_in(20, 6) < 20,
        "there is a way down"
    );
    scene.wait_asked(SOON, |i| [20, expected][i]);
    scene.wait_condition(SOON, "many", "Held", ("True", "Vetoed"));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(
        scene.asked(),
        [20, expected],
        "many that are missing forbid the way down"
    );
    println!("f13: 1 of {PODS} missing: {expected} replicas, as an HPA; 6 of {PODS}: none removed");
    controller.proxy.clear();
    controller.proxy.rule(without(&[], "50m"));

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    assert!(found.puts.iter().all(|p| p.object == "few"));
    scene.end();
}
