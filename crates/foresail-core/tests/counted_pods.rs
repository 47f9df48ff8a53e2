//! Pods as counted groups: every formula weighs an entry by its count.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::hpa::{
    ControllerSettings, MetricSpec, Observed, Phase, Pod, PodReading, PodSample, Reading, Ready,
    Rules, Selector, proposal, statuses,
};
use foresail_core::observe::TargetState;
use foresail_core::propose::plan::Resources;
use foresail_core::quantity::units::Replicas;
use proptest::prelude::*;
use support::{Hpa, NOW, decide, engine, hpa, seconds, spec, state};

/// One group of pods, and what one metric says of each of them.
fn group() -> impl Strategy<Value = (Pod, PodReading)> {
    let phases = prop_oneof![
        6 => Just(Phase::Running),
        1 => Just(Phase::Pending),
        1 => Just(Phase::Failed)
    ];
    let ready =
        prop_oneof![4 => Just(Ready::True), 1 => Just(Ready::False), 1 => Just(Ready::Absent)];
    let sample = prop::option::weighted(0.8, (0..3000_i64, 0..200_i64));
    let pod = (phases, any::<bool>(), 0..900_i64, ready, 1..40_u32);
    (pod, sample).prop_map(|((phase, deleting, age, ready, count), sample)| {
        let pod = Pod {
            phase,
            deleting,
            started_at: Some(NOW - seconds(age)),
            ready,
            ready_changed_at: NOW - seconds(age / 2),
            count,
        };
        let sample = sample.map(|(value, age)| PodSample {
            value,
            at: NOW - seconds(age),
            window: seconds(30),
        });
        let reading = PodReading {
            request: Some(1000),
            sample,
        };
        (pod, reading)
    })
}

/// The same pods one by one.
fn expanded(groups: &[(Pod, PodReading)]) -> Vec<(Pod, PodReading)> {
    let each = |(pod, reading): &(Pod, PodReading)| {
        let one = (Pod { count: 1, ..*pod }, *reading);
        std::iter::repeat_n(one, pod.count as usize)
    };
    groups.iter().flat_map(each).collect()
}

fn target_state(current: u32, groups: &[(Pod, PodReading)]) -> TargetState {
    let (pods, readings): (Vec<_>, Vec<_>) = groups.iter().copied().unzip();
    let all: u32 = pods.iter().map(|p| p.count).sum();
    TargetState {
        status_replicas: Replicas::new(all),
        pods,
        readings: vec![Reading::Pods(readings)],
        ..state(current, &[], 15)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_group_counts_as_its_pods_one_by_one(
        groups in prop::collection::vec(group(), 0..8),
        current in 1..120_i32,
        percent in 20..150_i32,
    ) {
        let mut written = hpa(1, 1000);
        written.metrics = vec![MetricSpec::cpu_utilization(percent)];
        let rules = Rules::compile(&written, ControllerSettings::default()).expect("valid");
        let answers = [groups.clone(), expanded(&groups)].map(|pods| {
            let state = target_state(1, &pods);
            let seen = Observed {
                pods: &state.pods,
                readings: &state.readings,
                current,
                status_replicas: current,
                scaled_to_zero: false,
                selector: Selector::Valid,
                requests: &Resources::NONE,
            };
            (proposal(&rules, &seen, NOW), statuses(&rules, &seen, NOW))
        });
        prop_assert_eq!(&answers[0], &answers[1]);
    }

    #[test]
    fn the_whole_tick_is_the_same_vetoes_included(
        groups in prop::collection::vec(group(), 1..8),
        current in 1..60_u32,
        with_other in any::<bool>(),
    ) {
        let names: &[&str] = if with_other { &["hpa", "hpa"] } else { &["hpa"] };
        let ticks = [groups.clone(), expanded(&groups)].map(|pods| {
            let proposers = names.iter().map(|_| Box::new(Hpa) as Box<_>).collect();
            let mut engine = engine(spec(hpa(1, 1000), names), proposers);
            decide(&mut engine, target_state(current, &pods))
        });
        prop_assert_eq!(&ticks[0], &ticks[1]);
    }
}

#[test]
fn a_pod_of_its_own_is_written_as_before() {
    let text = serde_json::to_string(&Pod::default()).unwrap();
    assert!(!text.contains("count"), "{text}");
    let read: Pod = serde_json::from_str(&text).unwrap();
    assert_eq!((read, read.count), (Pod::default(), 1));
    let group = Pod {
        count: 7,
        ..Pod::default()
    };
    let text = serde_json::to_string(&group).unwrap();
    assert!(text.ends_with("\"count\":7}"), "{text}");
    assert_eq!(serde_json::from_str::<Pod>(&text).unwrap(), group);
}
