//! F15: samples that are old, or of the future.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::laws::{Allowed, check};
use super::of_pods::{by_cpu, by_query, query, set_cpu, time_before, usage, wait_usage};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Change, Rule};

pub const ROWS: &[Row] = &[(
    "faults::f15_old_samples_and_those_of_the_future_take_nothing_away",
    false,
    old_samples_and_those_of_the_future_take_nothing_away,
)];

/// The age from which a sample is stale; of w1 alone, the others keep the usual 90 s.
const STALE: u64 = 15;

/// Each series carries a time so many seconds before now.
fn aged(name: &str, age: i64) -> Rule {
    let change = Change::new(move |_, answer| {
        answer["items"][0]["timestamp"] = json!(time_before(age));
    });
    let rule = Rule::new("GET", "external.metrics.k8s.io", Action::Edit(change));
    rule.and(&format!("queue%3D{name}"))
}

/// The answer that came first is the answer for ever: what serves it looks alive and is dead.
fn dead(name: &str) -> Rule {
    let first: Arc<Mutex<Option<Value>>> = Arc::default();
    let change = Change::new(move |_, answer| {
        let mut first = first.lock().unwrap();
        *answer = first.get_or_insert_with(|| answer.clone()).clone();
    });
    let rule = Rule::new("GET", "external.metrics.k8s.io", Action::Edit(change));
    rule.and(&format!("queue%3D{name}"))
}

fn old_samples_and_those_of_the_future_take_nothing_away(rig: &Rig) {
    let mut scene = Scene::new(rig, "f15", 4).guarded();
    scene
        .change(
            "w1",
            &json!({"spec": {"guardrails": {"staleAfterSeconds": STALE}}}),
        )
        .unwrap();
    scene.add("cpu", (4, "50m"), &by_cpu());
    scene.add("query", (3, "1m"), &by_query("query"));
    let mut controller = Controller::held(rig, Start::new("f15", "a"));
    let address = format!("http://{}", controller.proxy.address);
    controller.start.more = vec!["--prometheus-url".to_owned(), address];
    wait_usage(rig, "f15", 4);
    controller.proxy.rule(query("query", "30", 0));
    controller.begin();
    controller.wait_leading(SOON);
    scene.demand(|_| 50);
    let steady = |i: usize| [5, 5, 5, 5, 4, 3][i];
    scene.wait_asked(SOON, steady);

    // w1's source dies while the last thing it said is still true.
    controller.proxy.clear();
    controller.proxy.rule(dead("w1"));
    std::thread::sleep(Duration::from_millis(1500));
    let died = Instant::now();
    controller.proxy.rule(aged("w0", 100));
    controller.proxy.rule(aged("w2", -60));
    controller.proxy.rule(usage(|items| {
        for item in items {
            item["timestamp"] = json!(time_before(100));
            set_cpu(item, &json!("1m"));
        }
    }));
    controller.proxy.rule(query("query", "1", 100));
    scene.demand(|i| if i == 3 { 60 } else { 10 });
    let holds = |name: &str, limit: Duration| {
        wait_until(limit, &format!("{name} holds"), || {
            (scene.status(name)["guard"]["health"] == "HoldDown").then_some(())
        });
    };
    for name in ["w0", "w2", "cpu", "query"] {
        holds(name, SOON);
    }
    scene.wait_condition(SOON, "w0", "ScalingActive", ("False", "measured 10"));
    scene.wait_condition(SOON, "w2", "ScalingActive", ("False", "from now"));
    holds("w1", SOON);
    println!(
        "f15: a dead source is noticed {:?} after its last sample",
        died.elapsed()
    );
    assert!(died.elapsed() <= Duration::from_secs(STALE + 10));
    std::thread::sleep(Duration::from_secs(5));
    let under = |i: usize| if i == 3 { 6 } else { steady(i) };
    assert_eq!(scene.asked(), (0..6).map(under).collect::<Vec<_>>());

    controller.proxy.clear();
    controller.proxy.rule(query("query", "30", 0));
    scene.demand(|i| if i == 3 { 60 } else { 50 });
    check(&scene, &mut [&mut controller], Allowed::default());
    scene.end();
}
