//! What every proposer of the registry owes, whichever it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::{HpaSpec, Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{ProposerSpec, Spec};
use foresail_models::knobs::Kind;
use foresail_models::refit;
use foresail_models::registry::{Entry, PROPOSERS, engine_of};
use foresail_models::rng::Seed;
use serde_json::json;

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);

fn target() -> TargetId {
    TargetId::new("default/Deployment/web")
}

fn spec(entry: &Entry) -> Spec {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 50,
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(target(), hpa);
    spec.targets[0].capacity = Some("10 req/s".parse().unwrap());
    let mut proposer = ProposerSpec::named(entry.name);
    if entry.name == "schedule" {
        let rule = json!({"cron": "*/30 * * * *", "durationSeconds": 600, "replicas": 7});
        proposer.knobs.insert("rules".to_owned(), json!([rule]));
    }
    spec.proposers = vec![proposer];
    spec
}

fn engine(entry: &Entry) -> Engine {
    engine_of(spec(entry), Seed(1)).unwrap_or_else(|p| panic!("{}: {p:?}", entry.name))
}

/// Samples of one minute: CPU, concurrency each second, demand, all following `level`.
fn minute(i: i64, level: f64) -> Input {
    let now = START + Span::from_seconds(60 * i);
    let sample = |metric, at, value: f64| Sample {
        target: target(),
        metric,
        at,
        value: Some(value),
    };
    let mut values = vec![sample(Metric::Demand, now, level)];
    values.extend(
        (0..60).map(|s| sample(Metric::Concurrency, now - Span::from_seconds(59 - s), level)),
    );
    // A function that is called now and then: idle for a few minutes, each time ending in this one.
    let idle = sample(Metric::IdleTime, now, level * 20.0);
    values.push(idle);
    let pod = Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(START - Span::from_seconds(9000)),
        ready: Ready::True,
        ready_changed_at: START - Span::from_seconds(8000),
        count: 1,
    };
    let usage = PodSample {
        value: (level * 100.0) as i64,
        at: now,
        window: Span::from_seconds(30),
    };
    let reading = PodReading {
        request: Some(1000),
        sample: Some(usage),
    };
    let state = TargetState {
        target: target(),
        current: Setting::replicas(Replicas::new(4)),
        status_replicas: Replicas::new(4),
        ready: Replicas::new(4),
        idle_since: Some(now),
        pods: vec![pod; 4],
        readings: vec![Reading::Pods(vec![reading; 4])],
        ..TargetState::default()
    };
    let (health, leading) = (Health::default(), true);
    Input::Samples(Samples {
        at: now,
        health,
        leading,
        targets: vec![state],
        values,
    })
}

fn level(i: i64) -> f64 {
    20.0 + 10.0 * (i as f64 / 200.0).sin() + (i % 7) as f64 / 10.0
}

fn tick(i: i64) -> Input {
    Input::Tick {
        now: START + Span::from_seconds(60 * i),
    }
}

/// One tick, and what it asks to be fitted.
fn turn(engine: &mut Engine, i: i64) -> Tick {
    let tick = engine.feed(tick(i)).expect("a tick");
    for installed in refit::answer(engine, &tick) {
        engine.feed(installed);
    }
    tick
}

fn tell(engine: &mut Engine, i: i64) -> String {
    let tick = turn(engine, i);
    let told = Explanation::new(&tick, 0, engine.spec(), &Identity::default(), None).expect("one");
    serde_json::to_string(&told).expect("JSON")
}

#[test]
fn a_restored_proposer_goes_on_as_if_nothing_had_happened() {
    for entry in &PROPOSERS {
        let mut whole = engine(entry);
        let mut first = engine(entry);
        for i in 0..1700 {
            for engine in [&mut whole, &mut first] {
                engine.feed(minute(i, level(i)));
            }
            assert_eq!(tell(&mut whole, i), tell(&mut first, i), "{}", entry.name);
        }
        let text = serde_json::to_string(&first.snapshot()).expect("JSON");
        let mut second = engine(entry);
        second
            .restore(serde_json::from_str(&text).expect("the same"))
            .expect("restorable");
        for i in 1700..1760 {
            for engine in [&mut whole, &mut second] {
                engine.feed(minute(i, level(i)));
            }
            assert_eq!(
                tell(&mut whole, i),
                tell(&mut second, i),
                "{} at {i}",
                entry.name
            );
        }
    }
}

#[test]
fn more_load_never_brings_a_smaller_wish() {
    for entry in &PROPOSERS {
        let wish = |factor: f64| {
            let mut engine = engine(entry);
            for i in 0..200 {
                engine.feed(minute(i, level(i) * factor));
                turn(&mut engine, i);
            }
            let tick = turn(&mut engine, 200);
            tick.judged[0]
                .proposal
                .wish(&target())
                .and_then(|s| s.replicas)
        };
        assert!(
            wish(2.0) >= wish(1.0),
            "{}: {:?} and {:?}",
            entry.name,
            wish(1.0),
            wish(2.0)
        );
    }
}

#[test]
fn nonsense_and_silence_are_survived() {
    for entry in &PROPOSERS {
        let mut engine = engine(entry);
        for i in 0..50 {
            for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
                engine.feed(minute(i, value));
                let tick = turn(&mut engine, i);
                let decided = tick.targets[0].decided.replicas.expect("replicas").get();
                assert!((1..=50).contains(&decided), "{}: {decided}", entry.name);
            }
        }
    }
}

#[test]
fn documented_knobs_are_taken_and_others_refused() {
    for entry in &PROPOSERS {
        assert!(!entry.summary.is_empty());
        for knob in entry.knobs {
            assert!(!knob.doc.is_empty(), "{}.{}", entry.name, knob.name);
            if let Kind::Number { default, min, max } = knob.kind {
                assert!(
                    (min..=max).contains(&default),
                    "{}.{}",
                    entry.name,
                    knob.name
                );
                let mut spec = spec(entry);
                spec.proposers[0]
                    .knobs
                    .insert(knob.name.to_owned(), json!(max + 1.0));
                let problems = engine_of(spec, Seed(1)).err().unwrap_or_default();
                assert!(
                    problems.iter().any(|p| p.path.ends_with(knob.name)),
                    "{}.{}",
                    entry.name,
                    knob.name
                );
            }
        }
        let mut spec = spec(entry);
        spec.proposers[0].knobs = BTreeMap::from([("colour".to_owned(), json!("blue"))]);
        assert!(engine_of(spec, Seed(1)).is_err(), "{}", entry.name);
    }
}

/// What the keep-alive proposers wish after `count` idle times of `minutes` each.
fn keep_alive_wish(name: &str, minutes: f64, count: i64) -> Setting {
    let entry = PROPOSERS.iter().find(|e| e.name == name).expect("known");
    let mut engine = engine(entry);
    for i in 0..count {
        engine.feed(minute(i, minutes * 3.0));
    }
    let tick = engine.feed(tick(count)).expect("a tick");
    let wish = tick.judged[0].proposal.wish(&target()).expect("a wish");
    assert_eq!(wish.replicas, None, "{name} leaves replicas alone");
    let decided = &tick.targets[0].decided;
    let (pool, keep_alive) = (decided.pool, decided.keep_alive);
    assert_eq!((pool, keep_alive), (wish.pool, wish.keep_alive));
    wish.clone()
}

#[test]
fn keep_alive_proposers_wish_on_their_own_axes_alone() {
    let seconds = |s: &Setting| s.keep_alive.expect("a keep-alive").whole_seconds();
    let fixed = keep_alive_wish("keepalive-fixed", 30.0, 20);
    assert_eq!((fixed.pool, seconds(&fixed)), (None, 600));
    // Too little is known: four hours. Then idle for half an hour each time: unloaded at once.
    let first = keep_alive_wish("keepalive-histogram", 30.0, 4);
    assert_eq!(
        (first.pool, seconds(&first)),
        (Some(Replicas::ZERO), 14_400)
    );
    let timer = keep_alive_wish("keepalive-histogram", 30.0, 20);
    assert_eq!((timer.pool, seconds(&timer)), (Some(Replicas::ZERO), 0));
    // Idle for seconds each time: the container just stays for 1.1 minutes.
    let busy = keep_alive_wish("keepalive-histogram", 0.2, 20);
    assert_eq!((busy.pool, seconds(&busy)), (Some(Replicas::ZERO), 66));
}

#[test]
fn the_oracle_wishes_what_was_advised_while_it_is_good_and_nothing_else() {
    let entry = PROPOSERS.iter().find(|e| e.name == "oracle").expect("one");
    let mut engine = engine(entry);
    let advise = |from: i64, to: i64, id: TargetId, replicas: u32| {
        let at = |i: i64| START + Span::from_seconds(60 * i);
        Input::Advice(Advice {
            by: "oracle".to_owned(),
            at: at(from),
            until: at(to),
            says: Says::Plan(vec![(id, Setting::replicas(Replicas::new(replicas)))]),
            confidence_percent: None,
            text: "the plan".to_owned(),
        })
    };
    engine.feed(advise(2, 4, target(), 9));
    engine.feed(advise(2, 9, TargetId::new("default/Deployment/other"), 30));
    engine.feed(advise(6, 9, target(), 3));
    let mut wishes = Vec::new();
    for i in 0..11 {
        engine.feed(minute(i, 20.0));
        let tick = engine.feed(tick(i)).expect("a tick");
        let wish = tick.judged[0].proposal.wish(&target()).cloned();
        wishes.push(wish.and_then(|s| s.replicas).map(Replicas::get));
    }
    // The newest good advice counts: from minute 2 on that is the other target's.
    let none = None;
    let want = [
        none,
        none,
        none,
        none,
        none,
        none,
        Some(3),
        Some(3),
        Some(3),
        Some(3),
        none,
    ];
    assert_eq!(wishes, want);
}
