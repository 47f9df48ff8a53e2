//! The guards' own vectors: what was wanted, what is decided, and the chain between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::Record;
use foresail_core::observe::TargetState;
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::Floor;
use support::{NOW, Wishes, behavior, decide, decided, engine, hpa, rules, seconds, spec, state};

/// One vector: wanted, current, and what else is so.
#[derive(Default)]
struct Vector {
    age: i64,
    change_at: Option<i64>,
    raw: Option<(i32, i64)>,
    paused: bool,
}

/// min 1, max 10, up +3 per 60 s, down −2 per 60 s, down window 300 s, stale after 90 s.
fn check(wanted: u32, current: u32, vector: &Vector, want: u32, chain: &[&str]) {
    let mut spec = spec(hpa(1, 10), &["wishes"]);
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    spec.targets[0].hpa.behavior = Some(behavior(rules(0, 3, 60), rules(300, 2, 60)));
    let mut engine = engine(spec, vec![Box::new(Wishes(wanted))]);
    let records = engine.records_mut(0).expect("one target");
    // A raw value long ago, so that an empty memory does not begin with the current number.
    let (raw, ago) = vector.raw.unwrap_or((0, 10_000));
    records.recommendations.push(Record {
        at: NOW - seconds(ago),
        replicas: raw,
    });
    if let Some(ago) = vector.change_at {
        let event = foresail_core::hpa::ScaleEvent {
            at: NOW - seconds(ago),
            change: 2,
            outdated: false,
        };
        records.up.push(event);
    }
    let usage = vec![Some(100); current as usize];
    let state = TargetState {
        paused: vector.paused,
        ..state(current, &usage, vector.age.max(15))
    };
    let tick = decide(&mut engine, state);
    let identity = Identity::default();
    let told = Explanation::new(&tick, 0, engine.spec(), &identity, None).expect("one target");
    let limits: Vec<String> = told
        .limits
        .iter()
        .map(|l| format!("{} {}→{}", l.by, l.from, l.to))
        .collect();
    assert_eq!(limits, chain, "wanted {wanted}, current {current}: {told}");
    assert_eq!(decided(&tick), want, "{told}");
    let broken = told.broken_laws((Replicas::new(1), Replicas::new(10)));
    assert!(broken.is_empty(), "{broken:?}");
    for limit in &told.limits {
        assert!(limit.why.to_string().chars().count() <= 60, "{}", limit.why);
    }
    let text = serde_json::to_string(&told).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Explanation>(&text).expect("the same"),
        told
    );
}

#[test]
fn rate_lets_three_more_through() {
    check(9, 4, &Vector::default(), 7, &["Rate 9→7"]);
}

#[test]
fn rate_counts_what_was_added_within_the_period() {
    check(
        9,
        4,
        &Vector {
            change_at: Some(30),
            ..Vector::default()
        },
        5,
        &["Rate 9→5"],
    );
}

#[test]
fn stale_samples_never_scale_down() {
    check(
        2,
        6,
        &Vector {
            age: 120,
            ..Vector::default()
        },
        6,
        &["Freshness 2→6"],
    );
}

#[test]
fn a_raw_value_of_the_window_holds_the_way_down() {
    check(
        2,
        6,
        &Vector {
            raw: Some((5, 200)),
            ..Vector::default()
        },
        5,
        &["Stabilization 2→5"],
    );
}

#[test]
fn a_raw_value_that_left_the_window_holds_nothing() {
    check(
        2,
        6,
        &Vector {
            raw: Some((5, 400)),
            ..Vector::default()
        },
        4,
        &["Rate 2→4"],
    );
}

#[test]
fn two_limits_chain_without_a_gap() {
    check(
        14,
        9,
        &Vector::default(),
        10,
        &["Rate 14→12", "Bounds 12→10"],
    );
}

#[test]
fn current_above_the_maximum_goes_straight_there() {
    check(7, 12, &Vector::default(), 10, &["Bounds 7→10"]);
}

#[test]
fn a_pause_still_shows_what_would_have_happened() {
    check(
        9,
        4,
        &Vector {
            paused: true,
            ..Vector::default()
        },
        4,
        &["Rate 9→7", "Paused 7→4"],
    );
}

#[test]
fn zero_is_below_a_minimum_of_one() {
    check(0, 1, &Vector::default(), 1, &["Bounds 0→1"]);
}
