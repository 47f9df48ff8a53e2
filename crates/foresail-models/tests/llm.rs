//! `llm` in an engine: what it makes of advice, whom it believes, and what it does without.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::{BasisTold, Explanation, Identity};
use foresail_core::hpa::{
    Amount, HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, NamedMetric, Reading,
};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::delta::Standing;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::propose::{Absence, Basis};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{Floor, ProposerSpec, Spec};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use serde_json::{Value, json};

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);

fn target() -> TargetId {
    TargetId::new("default/Deployment/web")
}

fn at(minute: i64) -> Timestamp {
    START + Span::from_seconds(60 * minute)
}

/// An HPA on 100 requests per second and replica, and `llm` with these knobs on top.
fn spec(knobs: &[(&str, Value)]) -> Spec {
    let metric = MetricSpec {
        kind: "External".to_owned(),
        external: Some(NamedMetric {
            metric: MetricIdentifier {
                name: "demand".to_owned(),
                selector: None,
            },
            described_object: None,
            target: MetricTarget {
                kind: "AverageValue".to_owned(),
                average_value: Some(Amount::Text("100".to_owned())),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 50,
        metrics: vec![metric],
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(target(), hpa);
    spec.interval = Span::from_seconds(60);
    let mut llm = ProposerSpec::named("llm");
    for (name, value) in knobs {
        llm.knobs.insert((*name).to_owned(), value.clone());
    }
    spec.proposers = vec![llm];
    spec
}

fn engine(knobs: &[(&str, Value)]) -> Engine {
    engine_of(spec(knobs), Seed(1)).expect("valid")
}

fn advice(minute: i64, delta: i32) -> Input {
    Input::Advice(Advice {
        by: "llm".to_owned(),
        at: at(minute),
        until: at(minute) + Span::from_seconds(90),
        says: Says::Delta(vec![(target(), delta)]),
        confidence_percent: Some(99),
        text: "it is rising".to_owned(),
    })
}

/// One minute with so many requests per second on so many ready replicas.
fn minute(engine: &mut Engine, minute: i64, current: u32, demand: Option<i64>) -> Tick {
    let reading = demand.map_or(Reading::Failed, |d| Reading::Total(vec![d * 1000]));
    let replicas = Replicas::new(current);
    let state = TargetState {
        target: target(),
        current: Setting::replicas(replicas),
        status_replicas: replicas,
        ready: replicas,
        readings: vec![reading],
        read_at: demand.map(|_| at(minute)),
        ..TargetState::default()
    };
    engine.feed(Input::Samples(Samples {
        at: at(minute),
        health: Health::default(),
        leading: true,
        targets: vec![state],
        values: Vec::new(),
    }));
    engine
        .feed(Input::Tick { now: at(minute) })
        .expect("a tick")
}

fn wish(tick: &Tick) -> Option<u32> {
    let wish = tick.judged[0].proposal.wish(&target());
    wish.and_then(|s| s.replicas).map(Replicas::get)
}

fn standing(tick: &Tick) -> Standing {
    match &tick.judged[0].proposal.basis {
        Basis::Deltas(deltas) => deltas.targets[0].1.as_ref().expect("a delta").standing,
        other => panic!("{other:?}"),
    }
}

fn told(engine: &Engine, tick: &Tick) -> Explanation {
    Explanation::new(tick, 0, engine.spec(), &Identity::default(), None).expect("one")
}

#[test]
fn it_wishes_the_hpas_answer_with_the_change_while_the_advice_is_good() {
    let act = [("untrusted", json!("act"))];
    for (said, taken) in [(1, 1), (2, 2), (0, 0), (-2, -2), (100, 2), (i32::MIN, -2)] {
        let mut engine = engine(&act);
        engine.feed(advice(0, said));
        for i in 0..2 {
            let tick = minute(&mut engine, i, 6, Some(600));
            let reactive = tick.targets[0].wanted.reactive.replicas.unwrap().get();
            assert_eq!(reactive, 6);
            assert_eq!(
                wish(&tick),
                Some(6_u32.saturating_add_signed(taken)),
                "{said} at {i}"
            );
            // The floor lies under it: what is taken away is never carried out.
            let decided = tick.targets[0].decided.replicas.unwrap().get();
            assert_eq!(decided, 6_u32.saturating_add_signed(taken.max(0)), "{said}");
        }
        let stale = minute(&mut engine, 2, 6, Some(600));
        let basis = &stale.judged[0].proposal.basis;
        assert_eq!(*basis, Basis::Absent(Absence::NoAdvice));
        // What was added stays for the HPA's own stabilization window.
        let held = 6_u32.saturating_add_signed(taken.max(0));
        assert_eq!(stale.targets[0].decided.replicas.unwrap().get(), held);
    }
}

#[test]
fn a_relaxed_floor_lets_it_take_away_and_bounds_still_hold() {
    let mut spec = spec(&[("untrusted", json!("act"))]);
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    let mut engine = engine_of(spec, Seed(1)).expect("valid");
    engine.feed(advice(0, -2));
    let tick = minute(&mut engine, 0, 6, Some(600));
    assert_eq!(
        tick.targets[0].wanted.setting.replicas,
        Some(Replicas::new(4))
    );
    let mut engine = engine_of(engine.spec().written().clone(), Seed(1)).expect("valid");
    engine.feed(advice(1, -2));
    let tick = minute(&mut engine, 1, 1, Some(50));
    assert_eq!(tick.targets[0].decided.replicas, Some(Replicas::new(1)));
}

#[test]
fn without_samples_there_is_no_wish() {
    let mut engine = engine(&[("untrusted", json!("act"))]);
    engine.feed(advice(0, 2));
    let tick = minute(&mut engine, 0, 6, None);
    assert_eq!(wish(&tick), None);
    assert_eq!(tick.targets[0].decided.replicas, Some(Replicas::new(6)));
    let told = told(&engine, &tick);
    let absent = BasisTold::Absent {
        absent: Absence::NoMetric,
    };
    assert_eq!(told.proposals[0].basis, absent);
}

/// Demand of a minute; each rising or falling replica is a minute of it.
type Demand = fn(i64) -> i64;

/// Plays `minutes` of demand and advice, replicas as decided, and gives the last tick and the first
/// minute with a wish.
fn play(
    engine: &mut Engine,
    minutes: i64,
    demand: Demand,
    says: fn(i64) -> i32,
) -> (Tick, Option<i64>) {
    let (mut current, mut first, mut last) = (10, None, None);
    for i in 0..minutes {
        engine.feed(advice(i, says(i)));
        let tick = minute(engine, i, current, Some(demand(i)));
        current = tick.targets[0].decided.replicas.unwrap().get();
        if wish(&tick).is_some() {
            first.get_or_insert(i);
        }
        last = Some(tick);
    }
    (last.expect("a tick"), first)
}

#[test]
fn it_is_believed_once_ten_changes_were_right_and_not_by_its_own_word() {
    let mut engine = engine(&[]);
    // One replica more each minute, and it says so. The first answer is scored five minutes later.
    let (tick, first) = play(&mut engine, 30, |i| 1000 + 100 * i, |_| 1);
    assert_eq!(first, Some(5 + 9));
    assert_eq!(standing(&tick), Standing::Trusted);
    let told = told(&engine, &tick);
    let text = serde_json::to_string(&told).expect("JSON");
    let again: Explanation = serde_json::from_str(&text).expect("the same");
    assert_eq!(again, told);
    assert!(matches!(
        &told.proposals[0].basis,
        BasisTold::Delta {
            delta: 1,
            acts: true,
            ..
        }
    ));
    assert!(
        told.to_string().contains("+1 on the floor, 25 of 25 right"),
        "{told}"
    );
    // Wilson's lower end at 25 of 25.
    assert_eq!(told.proposals[0].confidence_percent, 93);
}

#[test]
fn what_is_withheld_is_told_and_moves_nothing() {
    let mut engine = engine(&[]);
    let (tick, first) = play(&mut engine, 10, |i| 1000 + 100 * i, |_| 1);
    assert_eq!((first, standing(&tick)), (None, Standing::Learning));
    let told = told(&engine, &tick).to_string();
    assert!(
        told.contains("llm none: +1 withheld, learning: 5 of 10"),
        "{told}"
    );
    let reactive = tick.targets[0].wanted.reactive.replicas;
    assert_eq!(tick.targets[0].decided.replicas, reactive);
}

#[test]
fn neither_always_zero_nor_always_one_more_is_believed_on_flat_demand() {
    let flat: Demand = |_| 1000;
    let (tick, first) = play(&mut engine(&[]), 120, flat, |_| 0);
    assert_eq!((first, standing(&tick)), (None, Standing::Learning));
    let (tick, first) = play(&mut engine(&[]), 120, flat, |_| 1);
    assert_eq!((first, standing(&tick)), (None, Standing::Doubted));
    // Acting does not prove it right either: the HPA's tolerance would hold what it added.
    let act = [("untrusted", json!("act"))];
    let mut acting = engine(&act);
    let (tick, _) = play(&mut acting, 120, |_| 2000, |_| 1);
    assert_eq!(standing(&tick), Standing::Doubted);
    assert_eq!(tick.targets[0].decided.replicas, Some(Replicas::new(21)));
}

#[test]
fn trust_is_lost_as_it_was_won() {
    let mut engine = engine(&[("window", json!(20))]);
    let (tick, _) = play(&mut engine, 30, |i| 1000 + 50 * i.min(30), |_| 2);
    assert_eq!(standing(&tick), Standing::Trusted);
    let flat = minute(&mut engine, 31, 26, Some(2500));
    assert!(flat.judged[0].proposal.plan.is_empty());
    for i in 32..60 {
        engine.feed(advice(i, 2));
        minute(&mut engine, i, 26, Some(2500));
    }
    engine.feed(advice(60, 2));
    let tick = minute(&mut engine, 60, 26, Some(2500));
    assert_eq!((wish(&tick), standing(&tick)), (None, Standing::Doubted));
}

#[test]
fn nothing_is_taken_away_while_the_hpas_answer_rises() {
    for (floor, want) in [(true, 8), (false, 6)] {
        let knobs = [
            ("untrusted", json!("act")),
            ("floorWhileRising", json!(floor)),
        ];
        let mut engine = engine(&knobs);
        minute(&mut engine, 0, 6, Some(600));
        engine.feed(advice(1, -2));
        let tick = minute(&mut engine, 1, 6, Some(800));
        assert_eq!(wish(&tick), Some(want), "{floor}");
    }
}

#[test]
fn a_restored_engine_goes_on_as_if_nothing_had_happened() {
    let says = |i: i64| [1, 0, 2, -1, 1][(i % 5) as usize];
    let demand = |i: i64| 1000 + 100 * (i % 17) + 30 * i;
    let step = |engine: &mut Engine, i: i64| {
        engine.feed(advice(i, says(i)));
        let tick = minute(engine, i, 12, Some(demand(i)));
        serde_json::to_string(&told(engine, &tick)).expect("JSON")
    };
    let (mut whole, mut first) = (engine(&[]), engine(&[]));
    for i in 0..33 {
        assert_eq!(step(&mut whole, i), step(&mut first, i));
    }
    let text = serde_json::to_string(&first.snapshot()).expect("JSON");
    let mut second = engine(&[]);
    second
        .restore(serde_json::from_str(&text).expect("the same"))
        .expect("restorable");
    for i in 33..90 {
        assert_eq!(step(&mut whole, i), step(&mut second, i), "{i}");
    }
}

#[test]
fn a_window_that_is_too_short_is_refused() {
    let problems = engine_of(spec(&[("window", json!(5))]), Seed(1)).expect_err("too short");
    assert_eq!(problems[0].path, "proposers[0].knobs.minAnswers");
    assert!(
        problems[0].to_string().contains("raise `window`"),
        "{}",
        problems[0]
    );
}

#[test]
fn advice_of_another_kind_or_for_another_target_is_none() {
    let mut engine = engine(&[("untrusted", json!("act"))]);
    let Input::Advice(good) = advice(0, 1) else {
        panic!("advice")
    };
    let other = TargetId::new("default/Deployment/other");
    for says in [
        Says::Plan(vec![(target(), Setting::replicas(Replicas::new(40)))]),
        Says::Delta(vec![(other, 2)]),
        Says::Delta(Vec::new()),
    ] {
        engine.feed(Input::Advice(Advice {
            says,
            ..good.clone()
        }));
        let tick = minute(&mut engine, 0, 6, Some(600));
        assert_eq!(wish(&tick), None);
        assert_eq!(tick.targets[0].decided.replicas, Some(Replicas::new(6)));
    }
}
