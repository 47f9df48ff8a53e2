//! Pods step by step: at most so many at once, one that fails goes back, later ones follow.

use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize};
use serde_json::{Value, json};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn size(cpu: i64) -> PodSize {
    let size = ContainerSize {
        requests: Amounts::from([("cpu".to_owned(), cpu)]),
        limits: Amounts::new(),
    };
    PodSize::from([("main".to_owned(), size)])
}

/// A pod that asks for and has so much, with a condition of its resize.
fn pod(name: &str, (asks, has): (i64, i64), condition: Option<(&str, &str)>) -> Pod {
    let resources = |milli: i64| json!({"requests": {"cpu": format!("{milli}m")}});
    let mut conditions = vec![json!({"type": "Ready", "status": "True"})];
    conditions.extend(condition.map(
        |(kind, reason)| json!({"type": kind, "status": "True", "reason": reason, "message": "no room"}),
    ));
    let status = json!({"name": "main", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "resources": resources(has)});
    let object: Value = json!({
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {"containers": [{"name": "main", "resources": resources(asks)}]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [status]},
    });
    serde_json::from_value(object).unwrap()
}

fn group(pods: Vec<Pod>) -> PodGroup {
    PodGroup {
        replicas: u32::try_from(pods.len()).unwrap(),
        pods,
        usage: Ok(Vec::new()),
        rolling: false,
    }
}

fn names(next: &Next) -> Vec<&str> {
    next.ask.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn one_pod_after_another_and_later_ones_too() {
    let mut goal = Goal::new(size(200));
    let old = |name: &str| pod(name, (100, 100), None);
    let new = |name: &str| pod(name, (200, 200), None);
    let next = goal.next(&group(vec![old("a"), old("b")]), at(0));
    assert_eq!((names(&next), next.done, next.due), (vec!["a"], 0, 2));
    assert_eq!(next.worst.unwrap().0, ResizeState::Pending);
    goal.asked(&old("a"), at(0));
    // The kubelet is at work on it: nobody else is asked.
    let working = pod("a", (200, 100), Some(("PodResizeInProgress", "")));
    let next = goal.next(&group(vec![working, old("b")]), at(15));
    assert_eq!(names(&next), Vec::<&str>::new());
    let next = goal.next(&group(vec![new("a"), old("b")]), at(30));
    assert_eq!((names(&next), next.done), (vec!["b"], 1));
    goal.asked(&old("b"), at(30));
    let next = goal.next(&group(vec![new("a"), new("b")]), at(45));
    assert_eq!((next.done, next.due, next.worst), (2, 0, None));
    // What a watch shows of it is enough to see that nothing is left, or that a pod was made.
    let seen = |pods: &[Pod]| -> Vec<PodSeen> { pods.iter().map(PodSeen::from).collect() };
    assert!(!goal.concerns(seen(&[new("a"), new("b")]).iter()));
    assert!(goal.concerns(seen(&[new("a"), new("b"), old("c")]).iter()));
    let next = goal.next(&group(vec![new("a"), new("b"), old("c")]), at(60));
    assert_eq!(names(&next), ["c"]);
}

#[test]
fn a_tenth_of_many_is_under_way_at_once() {
    let mut goal = Goal::new(size(200));
    let all = (0..25).map(|i| pod(&format!("p{i:02}"), (100, 100), None));
    let next = goal.next(&group(all.collect()), at(0));
    assert_eq!(names(&next), ["p00", "p01", "p02"]);
}

#[test]
fn a_pod_whose_node_cannot_goes_back_and_the_others_go_on() {
    let mut goal = Goal::new(size(900));
    let old = |name: &str| pod(name, (100, 100), None);
    goal.asked(&old("a"), at(0));
    let refused = pod("a", (900, 100), Some(("PodResizePending", "Infeasible")));
    let next = goal.next(&group(vec![refused, old("b")]), at(15));
    let withdrawn = &next.withdraw[0];
    assert_eq!(withdrawn.pod.0, "a");
    assert_eq!(
        (&withdrawn.to, withdrawn.failure),
        (&size(100), Failure::Infeasible)
    );
    assert!(
        withdrawn.why.contains("Infeasible: no room"),
        "{}",
        withdrawn.why
    );
    assert_eq!(names(&next), ["b"]);
    // It has not gone back yet.
    let still = pod("a", (900, 100), Some(("PodResizePending", "Infeasible")));
    let again = goal.next(&group(vec![still]), at(20));
    assert!(again.withdraw[0].again && again.withdraw[0].to == size(100));
    // It is left alone for an hour.
    let next = goal.next(&group(vec![old("a"), pod("b", (900, 900), None)]), at(30));
    assert_eq!((names(&next).len(), next.done, next.due), (0, 1, 0));
    assert_eq!(next.worst.unwrap().0, ResizeState::Infeasible);
    // Meanwhile nothing else is decided; then it is, before the pod is asked again.
    let next = goal.next(&group(vec![old("a"), pod("b", (900, 900), None)]), at(90));
    assert!(!goal.may_change(&next));
    let mut other = Goal::new(size(800)).after(Some(goal.clone()));
    assert_eq!(names(&other.next(&group(vec![old("a")]), at(95))).len(), 0);
    let later = goal.next(&group(vec![old("a")]), at(15 + 3600));
    assert_eq!(names(&later), ["a"]);
    assert!(goal.may_change(&later) && !goal.may_change(&later));
}

#[test]
fn a_deferred_resize_is_waited_for_five_minutes() {
    let mut goal = Goal::new(size(900));
    goal.asked(&pod("a", (100, 100), None), at(0));
    let deferred = || {
        group(vec![pod(
            "a",
            (900, 100),
            Some(("PodResizePending", "Deferred")),
        )])
    };
    for seconds in [15, 300] {
        let next = goal.next(&deferred(), at(seconds));
        assert!(next.withdraw.is_empty());
        assert_eq!(next.worst.unwrap().0, ResizeState::Deferred);
    }
    let next = goal.next(&deferred(), at(315));
    assert_eq!(next.withdraw[0].failure, Failure::Deferred);
}

#[test]
fn a_pod_that_does_not_become_ready_again_is_put_back_after_an_hour() {
    let mut goal = Goal::new(size(200));
    goal.asked(&pod("a", (100, 100), None), at(0));
    let mut broken = pod("a", (200, 200), None);
    broken.status.as_mut().unwrap().conditions = None;
    let group = group(vec![broken]);
    assert_eq!(goal.next(&group, at(3600)).due, 1);
    let next = goal.next(&group, at(3601));
    assert_eq!(next.withdraw[0].failure, Failure::Late);
    assert_eq!(next.withdraw[0].to, size(100));
}
