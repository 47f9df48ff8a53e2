//! F14: what a metric says is no measurement. It is never zero, and no large number either.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::laws::{Allowed, check};
use super::of_pods::{by_cpu, by_query, by_rate, pod_of, query, rate, set_cpu, usage, wait_usage};
use super::rhythm::not_delayed;
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::Rig;
use crate::rule::{Action, Change, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f14_what_is_no_measurement_moves_nothing",
    false,
    what_is_no_measurement_moves_nothing,
)];

/// Values of external metrics, one of a workload each.
fn external() -> [Value; 9] {
    [
        json!("NaN"),
        json!("-50"),
        json!("1e308"),
        json!(""),
        json!("+Inf"),
        json!(5),
        json!(null),
        json!({"value": "5"}),
        json!("18446744073709551615"),
    ]
}

/// What Prometheus says, one of a workload each.
const QUERIED: [&str; 4] = ["NaN", "-3", "1e308", "+Inf"];

const PODS: i32 = 10;

/// Sets everything back to what keeps each workload where it is.
fn sound(scene: &Scene, controller: &Controller) {
    let proxy = &controller.proxy;
    proxy.clear();
    proxy.rule(usage(|items| {
        items
            .iter_mut()
            .for_each(|item| set_cpu(item, &json!("50m")));
    }));
    proxy.rule(rate(scene, "rate", |_| (json!("10"), 0)));
    for i in 0..QUERIED.len() {
        proxy.rule(query(&format!("p{i}"), "20", 0));
    }
}

fn nonsense(scene: &Scene, controller: &Controller) {
    let proxy = &controller.proxy;
    proxy.clear();
    for (i, value) in external().into_iter().enumerate() {
        let change = Change::new(move |_, answer| answer["items"][0]["value"] = value.clone());
        let rule = Rule::new("GET", "external.metrics.k8s.io", Action::Edit(change));
        proxy.rule(rule.and(&format!("queue%3Dw{i}")));
    }
    // One pod of ten says nonsense, the others that there is next to nothing to do.
    proxy.rule(usage(|items| {
        items.sort_by(|a, b| pod_of(a).cmp(pod_of(b)));
        items
            .iter_mut()
            .for_each(|item| set_cpu(item, &json!("5m")));
        if let Some(first) = items.first_mut() {
            set_cpu(first, &json!("NaN"));
        }
    }));
    proxy.rule(rate(scene, "rate", |i| match i {
        0 => (json!("-7"), 0),
        1 => (json!(true), 0),
        _ => (json!("1"), 0),
    }));
    for (i, value) in QUERIED.iter().enumerate() {
        proxy.rule(query(&format!("p{i}"), value, 0));
    }
}

fn what_is_no_measurement_moves_nothing(rig: &Rig) {
    let count = external().len();
    let mut scene = Scene::new(rig, "f14", count + 1).guarded();
    scene.add("cpu", (PODS, "50m"), &by_cpu());
    scene.add("rate", (PODS, "50m"), &by_rate());
    for i in 0..QUERIED.len() {
        let name = format!("p{i}");
        scene.add(&name, (2, "1m"), &by_query(&name));
    }
    let mut controller = Controller::held(rig, Start::new("f14", "a"));
    let address = format!("http://{}", controller.proxy.address);
    controller.start.more = vec!["--prometheus-url".to_owned(), address];
    wait_usage(rig, "f14", PODS as usize);
    sound(&scene, &controller);
    controller.begin();
    controller.wait_leading(SOON);
    scene.demand(|_| 30);
    let steady = |i: usize| match i {
        i if i <= count => 3,
        i if i <= count + 2 => i64::from(PODS),
        _ => 2,
    };
    scene.wait_asked(SOON, steady);
    let quiet = Instant::now();
    std::thread::sleep(Duration::from_secs(4));

    nonsense(&scene, &controller);
    let begin = Instant::now();
    // The last external metric is sound, and its workload goes on.
    scene.demand(|i| if i == count { 40 } else { 10 });
    let under = |i: usize| if i == count { 4 } else { steady(i) };
    scene.wait_asked(SOON, under);
    for name in scene.names.iter().filter(|n| **n != format!("w{count}")) {
        let of_pods = matches!(name.as_str(), "cpu" | "rate");
        if !of_pods {
            let reason = ("False", "FailedGetExternalMetric");
            scene.wait_condition(SOON, name, "ScalingActive", reason);
        }
        crate::rig::wait_until(SOON, &format!("{name} holds"), || {
            (scene.status(name)["guard"]["health"] == "HoldDown").then_some(())
        });
    }
    let before = controller.proxy.scale_puts().len();
    std::thread::sleep(Duration::from_secs(6));
    let asked: Vec<i64> = (0..scene.names.len()).map(under).collect();
    assert_eq!(scene.asked(), asked, "nothing moved");
    assert_eq!(controller.proxy.scale_puts().len(), before);
    let other = format!("w{count}");
    let end = Instant::now();
    not_delayed(&controller, &[other.as_str()], (quiet, begin), (begin, end));

    sound(&scene, &controller);
    scene.demand(|i| if i == count { 40 } else { 30 });
    let found = check(&scene, &mut [&mut controller], Allowed::default());
    println!(
        "f14: {} external values, {} of Prometheus, 3 of pods: {} writes beyond the way up",
        count,
        QUERIED.len(),
        found.puts.iter().filter(|p| p.is_accepted()).count() - count - 2
    );
    scene.end();
}
