//! The proposer against the recommender fed by hand, and the updater's rules.

use std::collections::BTreeMap;

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::hpa::{HpaSpec, MetricSpec, Pod, PodReading, PodSample, Reading};
use foresail_core::observe::{Health, MemoryKill, Samples, TargetState};
use foresail_core::propose::plan::{Resources, Setting, TargetId};
use foresail_core::propose::requests::{Renewal, RequestRange, Requested};
use foresail_core::propose::{Absence, Basis};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas};
use foresail_core::spec::{ProposerSpec, ResourceSpec, Spec};
use serde_json::json;

use super::knobs::{KNOBS, aggregation, estimations};
use crate::knobs::Knobs;
use crate::registry::engine_of;
use crate::rng::Seed;
use crate::vpa::{Aggregate, Container};

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);
const MIB: i64 = 1 << 20;

fn target() -> TargetId {
    TargetId::new("default/Deployment/web")
}

fn at(minutes: i64) -> Timestamp {
    START + Span::from_seconds(60 * minutes)
}

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn spec(resources: &[(&str, &str, &str)]) -> Spec {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 50,
        metrics: vec![
            MetricSpec::cpu_utilization(60),
            MetricSpec::utilization("memory", 80),
        ],
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(target(), hpa);
    let bounds = |(name, min, max): &(&str, &str, &str)| {
        let bounds = ResourceSpec {
            min: quantity(min),
            max: quantity(max),
            step: quantity("1"),
        };
        ((*name).to_owned(), bounds)
    };
    spec.targets[0].resources = resources.iter().map(bounds).collect();
    spec.proposers = vec![ProposerSpec::named("vpa")];
    spec
}

fn engine(spec: Spec) -> Engine {
    engine_of(spec, Seed(1)).unwrap_or_else(|p| panic!("{p:?}"))
}

fn pod(count: u32, started: i64) -> Pod {
    Pod {
        started_at: Some(at(started)),
        count,
        ..Pod::default()
    }
}

fn reading(value: Option<i64>, minute: i64) -> PodReading {
    let sample = value.map(|value| PodSample {
        value,
        at: at(minute),
        window: Span::from_seconds(30),
    });
    PodReading {
        request: None,
        sample,
    }
}

/// A pod with what was read of it: millicores, mebibytes.
type Listed = (Pod, Option<i64>, Option<i64>);

/// One look: pods with millicores and mebibytes of each; what asks for 100m and 256Mi.
fn look(minute: i64, pods: &[Listed]) -> TargetState {
    let of = |value: fn(&Listed) -> Option<i64>| {
        let readings = pods.iter().map(|p| reading(value(p), minute));
        Reading::Pods(readings.collect())
    };
    let mut per_pod = Resources::NONE;
    per_pod.set("cpu", quantity("100m"));
    per_pod.set("memory", quantity("256Mi"));
    TargetState {
        target: target(),
        current: Setting {
            per_pod,
            ..Setting::replicas(Replicas::new(2))
        },
        pods: pods.iter().map(|(pod, ..)| *pod).collect(),
        readings: vec![of(|p| p.1), of(|p| p.2.map(|mebi| mebi * MIB * 1000))],
        ..TargetState::default()
    }
}

/// Four ticks on one look, as a driver that looks once a minute.
fn turn(engine: &mut Engine, minute: i64, state: TargetState) -> Tick {
    engine.feed(Input::Samples(Samples {
        at: at(minute),
        health: Health::default(),
        leading: true,
        targets: vec![state],
        values: Vec::new(),
    }));
    let ticks = (0..4).map(|i| at(minute) + Span::from_seconds(15 * i));
    ticks
        .filter_map(|now| engine.feed(Input::Tick { now }))
        .last()
        .unwrap()
}

fn requested(tick: &Tick) -> Result<Requested, Absence> {
    match &tick.judged[0].proposal.basis {
        Basis::Requests(all) => all[0].1.clone(),
        Basis::Absent(why) => Err(*why),
        other => panic!("{other:?}"),
    }
}

fn ranges(tick: &Tick) -> BTreeMap<String, RequestRange> {
    requested(tick).unwrap().ranges.into_iter().collect()
}

fn wished(tick: &Tick) -> Option<Setting> {
    tick.judged[0].proposal.wish(&target()).cloned()
}

/// Usage of pod `p` in a minute: millicores and mebibytes.
fn usage(p: i64, minute: i64) -> (i64, i64) {
    let wave = (minute * 7 + p * 3) % 41;
    (40 + 9 * wave + 100 * p, 150 + 4 * wave + 30 * p)
}

#[test]
fn each_sample_of_each_pod_counts_once() {
    let knobs = Knobs::read(KNOBS, &BTreeMap::new(), "").unwrap();
    let (aggregation, by) = (aggregation(&knobs), estimations(&knobs));
    let mut aggregate = Aggregate::new(&aggregation);
    let mut containers = [Container::default(); 3];
    let mut engine = engine(spec(&[]));
    for minute in 0..300 {
        let mut pods = Vec::new();
        for (p, container) in (0..).zip(&mut containers) {
            let (milli, mebi) = usage(p, minute);
            container.add_cpu(&mut aggregate, (milli, at(minute)), 1);
            container.add_memory(&mut aggregate, (mebi * MIB, at(minute)), &aggregation, 1);
            // The last two start at the same instant.
            pods.push((pod(1, -60 * (p / 2)), Some(milli), Some(mebi)));
        }
        let tick = turn(&mut engine, minute, look(minute, &pods));
        let told = ranges(&tick);
        let (cpu, memory) = (by.cpu(&aggregate, 1), by.memory(&aggregate, 1));
        let got = &told["cpu"];
        let got = [got.lower, got.target, got.upper, got.uncapped].map(Quantity::milli);
        assert_eq!(got, [cpu.lower, cpu.target, cpu.upper, cpu.uncapped]);
        let got = &told["memory"];
        let got = [got.lower, got.target, got.upper].map(|q| q.milli() / 1000);
        assert_eq!(got, [memory.lower, memory.target, memory.upper]);
    }
}

#[test]
fn a_group_counts_as_its_pods_and_goes_on_so_when_it_splits_or_shrinks() {
    let told = |sizes: &dyn Fn(i64) -> Vec<u32>| {
        let mut engine = engine(spec(&[]));
        let mut last = None;
        for minute in 0..120 {
            let other = usage(5, minute);
            let mut pods = vec![(pod(2, -30), Some(other.0), Some(other.1))];
            let (milli, mebi) = usage(0, minute);
            let group = sizes(minute).into_iter();
            pods.extend(group.map(|n| (pod(n, 0), Some(milli), Some(mebi))));
            last = Some(turn(&mut engine, minute, look(minute, &pods)));
        }
        ranges(&last.unwrap())
    };
    let single = told(&|minute| vec![1; if minute < 60 { 6 } else { 4 }]);
    let grouped = told(&|minute| vec![if minute < 60 { 6 } else { 4 }]);
    let split = told(&|minute| if minute < 60 { vec![4, 2] } else { vec![1, 3] });
    assert_eq!(single, grouped);
    assert_eq!(single, split);
    let fewer = told(&|_| vec![1]);
    assert_ne!(single["cpu"], fewer["cpu"], "the group's weight counts");
    let median = |of: &BTreeMap<String, RequestRange>| of["memory"].lower.milli();
    assert!(median(&single) < median(&fewer), "six smaller against two");
}

#[test]
fn what_was_not_read_is_not_wished_and_no_zero() {
    let mut engine = engine(spec(&[]));
    let silent = [(pod(2, 0), None, None)];
    let tick = turn(&mut engine, 0, look(0, &silent));
    assert_eq!(requested(&tick), Err(Absence::NoHistory));
    assert_eq!(wished(&tick), None);
    // CPU alone is read: memory has no wish, not even the minimum.
    for minute in 1..200 {
        let pods = [(pod(2, 0), Some(500), None)];
        turn(&mut engine, minute, look(minute, &pods));
    }
    let before = turn(&mut engine, 200, look(200, &[(pod(2, 0), Some(500), None)]));
    let wish = wished(&before).expect("100m is below what was used");
    assert!(wish.per_pod.get("memory").is_none() && wish.replicas.is_none());
    let target = wish.per_pod.get("cpu").unwrap().milli();
    assert!((500..700).contains(&target), "{target}");
    // Silence and nonsense leave all as it was.
    for minute in 201..220 {
        let value = (minute % 2 == 0).then_some(-5);
        turn(
            &mut engine,
            minute,
            look(minute, &[(pod(2, 0), value, value)]),
        );
    }
    let after = turn(&mut engine, 220, look(220, &silent));
    assert_eq!(ranges(&before), ranges(&after));
}

#[test]
fn wishes_lie_within_what_the_target_allows() {
    let mut engine = engine(spec(&[("cpu", "50m", "300m")]));
    let mut last = None;
    for minute in 0..120 {
        let pods = [(pod(1, 0), Some(900), Some(700))];
        last = Some(turn(&mut engine, minute, look(minute, &pods)));
    }
    let tick = last.unwrap();
    let wish = wished(&tick).unwrap();
    assert_eq!(wish.per_pod.get("cpu"), Some(quantity("300m")));
    assert_eq!(
        wish.per_pod.get("memory"),
        None,
        "memory may not be changed"
    );
    let told = ranges(&tick);
    assert!(told["cpu"].uncapped.milli() > 900);
    assert_eq!(
        tick.targets[0].decided.per_pod.get("cpu"),
        Some(quantity("300m"))
    );
}

/// Ten hours at one usage; then what is told, by the age of the pods.
fn after_ten_hours(milli: i64, mebi: i64, started: i64) -> (Tick, Requested) {
    let mut engine = engine(spec(&[]));
    let mut last = None;
    for minute in 0..600 {
        let pods = [(pod(1, started), Some(milli), Some(mebi))];
        last = Some(turn(&mut engine, minute, look(minute, &pods)));
    }
    let tick = last.unwrap();
    let told = requested(&tick).unwrap();
    (tick, told)
}

#[test]
fn requests_within_their_bounds_are_kept_until_a_pod_has_lived_long() {
    // 100m are asked for. Usage of 130m: the lower bound is above that.
    let (tick, told) = after_ten_hours(130, 170, 0);
    assert_eq!(told.renewal, Some(Renewal::Outside));
    assert!(wished(&tick).unwrap().per_pod.get("cpu").unwrap().milli() > 130);
    // Usage of 60m: the target is 78m, the upper bound some 265m.
    let (tick, told) = after_ten_hours(60, 170, 0);
    assert_eq!((told.renewal, wished(&tick)), (None, None));
    assert_eq!(tick.targets[0].decided.per_pod.get("cpu"), None);
    // The same with pods of thirteen hours: 22 % is enough.
    let (tick, told) = after_ten_hours(60, 170, -3 * 60);
    assert_eq!(told.renewal, Some(Renewal::Far));
    assert!(wished(&tick).unwrap().per_pod.get("cpu").unwrap().milli() < 100);
    // Usage of which the target is nearly what is asked for is not worth a change.
    let (_, told) = after_ten_hours(80, 170, -3 * 60);
    assert_eq!(told.renewal, None, "{told:?}");
}

fn killed(minute: i64, count: usize) -> TargetState {
    let pods = [(pod(3, 0), Some(60), Some(180))];
    let kill = MemoryKill {
        at: at(minute) - Span::from_seconds(5),
        memory: quantity("256Mi"),
    };
    TargetState {
        kills: vec![kill; count],
        ..look(minute, &pods)
    }
}

#[test]
fn kills_raise_memory_once_each() {
    let fly = |kills: &dyn Fn(i64) -> usize| {
        let mut engine = engine(spec(&[]));
        let all = (0..60).map(|minute| turn(&mut engine, minute, killed(minute, kills(minute))));
        let tick = all.last().unwrap();
        (
            ranges(&tick)["memory"].clone(),
            requested(&tick).unwrap().renewal,
        )
    };
    let (none, kept) = fly(&|_| 0);
    let (one, _) = fly(&|minute| usize::from(minute == 50));
    let (three, renewal) = fly(&|minute| if minute == 50 { 3 } else { 0 });
    // One in three is above the 90th percentile: 256Mi + 100Mi, and the margin of 15 %.
    assert!(none.target.milli() / 1000 < 300 * MIB);
    assert!(one.target.milli() / 1000 > 409 * MIB, "{one:?}");
    assert_eq!(one.target, three.target);
    assert!(one.lower < three.lower, "the median moves with all three");
    assert_eq!((kept, renewal), (None, Some(Renewal::Outside)));
}

#[test]
fn a_kill_soon_after_a_start_changes_requests_within_their_bounds() {
    let renewal = |kill_at: i64, now: i64| {
        let mut engine = engine(spec(&[]));
        let all = (0..=now).map(|minute| {
            let count = usize::from(minute == kill_at);
            turn(&mut engine, minute, killed(minute, count))
        });
        requested(&all.last().unwrap()).unwrap().renewal
    };
    assert_eq!(renewal(5, 6), Some(Renewal::Killed));
    assert_eq!(renewal(5, 16), None, "ten minutes later it counts no more");
    assert_eq!(renewal(30, 31), None, "long after the start");
}

#[test]
fn kills_of_pods_that_are_not_listed_count_and_nonsense_does_not() {
    let mut engine = engine(spec(&[]));
    turn(&mut engine, 0, killed(0, 0));
    let gone = TargetState {
        pods: Vec::new(),
        readings: Vec::new(),
        ..killed(1, 2)
    };
    let before = ranges(&turn(&mut engine, 1, gone))["memory"].clone();
    assert!(before.target.milli() / 1000 > 409 * MIB);
    let mut future = killed(2, 1);
    future.kills[0].at = at(500);
    future.kills[0].memory = quantity("-5");
    let after = ranges(&turn(&mut engine, 2, future))["memory"].clone();
    assert_eq!((after.target, after.lower), (before.target, before.lower));
}

#[test]
fn a_restored_one_goes_on_to_the_last_bit_and_damaged_state_is_refused() {
    let state = |minute: i64| {
        let (milli, mebi) = usage(0, minute);
        let pods = [
            (pod(3, 0), Some(milli), Some(mebi)),
            (pod(1, minute / 50), Some(2 * milli), None),
        ];
        TargetState {
            kills: killed(minute, usize::from(minute % 17 == 0)).kills,
            ..look(minute, &pods)
        }
    };
    let mut whole = engine(spec(&[]));
    for minute in 0..400 {
        turn(&mut whole, minute, state(minute));
    }
    let text = serde_json::to_string(&whole.snapshot()).unwrap();
    let mut second = engine(spec(&[]));
    second
        .restore(serde_json::from_str(&text).unwrap())
        .unwrap();
    for minute in 400..460 {
        let (a, b) = (
            turn(&mut whole, minute, state(minute)),
            turn(&mut second, minute, state(minute)),
        );
        assert_eq!(ranges(&a), ranges(&b));
    }
    let (a, b) = (whole.snapshot(), second.snapshot());
    assert_eq!(a.proposers, b.proposers);
    let mut damaged = serde_json::to_value(&a).unwrap();
    damaged["proposers"][0][1] = json!("5b7d");
    let damaged = serde_json::from_value(damaged).unwrap();
    assert!(engine(spec(&[])).restore(damaged).is_err());
}
