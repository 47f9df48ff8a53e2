//! Requests of pods: bounds, what may not be cut, and two proposers on one target.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::engine::Tick;
use foresail_core::explain::{Explanation, Identity};
use foresail_core::history::View;
use foresail_core::observe::{MemoryKill, TargetState};
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Basis, Context, Proposal, Proposer};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{Resize, ResourceSpec, Spec};
use support::{NOW, Wishes, decide, engine, hpa, seconds, spec, state};

/// Wishes requests alone.
#[derive(Debug)]
struct Sizes(&'static str, &'static str);

impl Proposer for Sizes {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let mut setting = Setting::default();
        setting.per_pod.set("cpu", self.0.parse().unwrap());
        setting.per_pod.set("memory", self.1.parse().unwrap());
        let target = view.spec.targets()[0].id.clone();
        Proposal::certain(vec![(target, setting)], Basis::Fixed)
    }
}

/// Counts and sizes by two proposers; cpu 128m to 2048m, memory 256Mi to 3Gi.
fn two(resize: Resize) -> Spec {
    let mut spec = spec(hpa(1, 10), &["wishes", "sizes"]);
    let bounds = |min: &str, max: &str, step: &str| ResourceSpec {
        min: min.parse().unwrap(),
        max: max.parse().unwrap(),
        step: step.parse().unwrap(),
    };
    let target = &mut spec.targets[0];
    let cpu = bounds("128m", "2048m", "128m");
    target.resources.insert("cpu".to_owned(), cpu);
    let memory = bounds("256Mi", "3Gi", "128Mi");
    target.resources.insert("memory".to_owned(), memory);
    target.resize = resize;
    spec
}

/// So many pods that use 100m of their request, at 1 core and 1 GiB.
fn at(replicas: u32, usage: i64) -> TargetState {
    let mut state = state(replicas, &vec![Some(usage); replicas as usize], 15);
    state.current.per_pod.set("cpu", "1".parse().unwrap());
    state.current.per_pod.set("memory", "1Gi".parse().unwrap());
    state
}

fn told(spec: Spec, wanted: u32, sizes: Sizes, state: TargetState) -> (Setting, Vec<String>) {
    let mut engine = engine(spec, vec![Box::new(Wishes(wanted)), Box::new(sizes)]);
    let tick: Tick = decide(&mut engine, state);
    let identity = Identity::default();
    let told = Explanation::new(&tick, 0, engine.spec(), &identity, None).unwrap();
    let broken = told.broken_laws((Replicas::new(1), Replicas::new(10)));
    assert!(broken.is_empty(), "{broken:?}");
    let limits = told.limits.iter();
    let limits = limits.map(|l| format!("{} {} {}→{}", l.by, l.axis, l.from, l.to));
    (tick.targets[0].decided.clone(), limits.collect())
}

fn size(setting: &Setting) -> (String, String) {
    let text = |name| setting.per_pod.get(name).unwrap().to_string();
    (text("cpu"), text("memory"))
}

#[test]
fn one_counts_and_the_other_sizes_within_bounds() {
    let sizes = Sizes("4", "512Mi");
    let (decided, limits) = told(two(Resize::InPlace), 4, sizes, at(4, 10));
    assert_eq!(decided.replicas, Some(Replicas::new(4)));
    assert_eq!(size(&decided), ("2048m".to_owned(), "512Mi".to_owned()));
    assert_eq!(limits, ["Bounds perPod.cpu 4→2048m"]);
}

#[test]
fn a_resource_that_is_not_allowed_is_masked() {
    let mut spec = two(Resize::InPlace);
    spec.targets[0].resources.remove("memory");
    let (decided, _) = told(spec, 4, Sizes("2", "512Mi"), at(4, 10));
    assert_eq!(decided.per_pod.get("memory"), None);
    assert!(decided.per_pod.get("cpu").is_some());
}

#[test]
fn the_one_replica_is_not_made_anew() {
    let (decided, limits) = told(two(Resize::Recreate), 1, Sizes("2", "2Gi"), at(1, 10));
    assert_eq!(size(&decided), ("1".to_owned(), "1Gi".to_owned()));
    let want = ["Resize perPod.cpu 2→1", "Resize perPod.memory 2Gi→1Gi"];
    assert_eq!(limits, want);
    let (decided, _) = told(two(Resize::InPlace), 1, Sizes("2", "2Gi"), at(1, 10));
    assert_eq!(size(&decided), ("2".to_owned(), "2Gi".to_owned()));
}

/// A smaller request makes the same usage a larger share of it, so more replicas are needed; where they
/// may not come at once (at most twice as many), nothing is cut.
#[test]
fn a_cut_lifts_the_floor_and_is_held_where_the_replicas_do_not_come() {
    // 4 pods use 400m each; the target is 60 %. At 500m: 4 × 80/60 = 6; at 250m: 4 × 160/60 = 11.
    let (decided, limits) = told(two(Resize::InPlace), 4, Sizes("500m", "1Gi"), at(4, 400));
    assert_eq!(decided.replicas, Some(Replicas::new(6)), "{limits:?}");
    assert_eq!(decided.per_pod.get("cpu").unwrap().to_string(), "500m");
    let (decided, limits) = told(two(Resize::InPlace), 4, Sizes("250m", "1Gi"), at(4, 400));
    assert_eq!(decided.replicas, Some(Replicas::new(8)), "{limits:?}");
    assert_eq!(decided.per_pod.get("cpu").unwrap().to_string(), "1");
    assert!(
        limits.iter().any(|l| l == "Resize perPod.cpu 250m→1"),
        "{limits:?}"
    );
    // Of seven replicas at most six would be needed: too few are left to scale out with.
    let mut spec = two(Resize::InPlace);
    spec.targets[0].hpa.max_replicas = 7;
    let (decided, limits) = told(spec, 4, Sizes("500m", "1Gi"), at(4, 400));
    assert_eq!(
        decided.per_pod.get("cpu").unwrap().to_string(),
        "1",
        "{limits:?}"
    );
}

#[test]
fn stale_data_cuts_nothing() {
    let mut state = at(4, 10);
    for reading in &mut state.readings {
        if let foresail_core::hpa::Reading::Pods(pods) = reading {
            for sample in pods.iter_mut().filter_map(|p| p.sample.as_mut()) {
                sample.at = NOW - seconds(600);
            }
        }
    }
    let (decided, limits) = told(two(Resize::InPlace), 4, Sizes("500m", "2Gi"), state);
    assert_eq!(size(&decided), ("1".to_owned(), "2Gi".to_owned()));
    assert!(
        limits.contains(&"Freshness perPod.cpu 500m→1".to_owned()),
        "{limits:?}"
    );
}

#[test]
fn for_an_hour_no_pod_gets_as_little_memory_as_others_were_killed_with() {
    for (ago, memory) in [(10, "640Mi"), (3599, "640Mi"), (3600, "256Mi")] {
        let mut state = at(4, 10);
        state.kills = vec![MemoryKill {
            at: NOW - seconds(ago),
            memory: "512Mi".parse().unwrap(),
        }];
        let sizes = Sizes("1", "256Mi");
        let (decided, limits) = told(two(Resize::InPlace), 4, sizes, state);
        let got = decided.per_pod.get("memory").unwrap();
        // A fifth of 512 Mi is 102.4 Mi, and at least 100 Mi.
        let want: foresail_core::quantity::units::Quantity = memory.parse().unwrap();
        let near = (got.value() - want.value()).abs() < 30.0 * 1_048_576.0;
        assert!(near, "{ago}: {got} {limits:?}");
        let held = limits.iter().any(|l| l.starts_with("Resize perPod.memory"));
        assert_eq!(held, ago < 3600, "{limits:?}");
    }
}
