//! The HPA's own limits over random inputs: no result leaves them, nothing overflows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::{self, ControllerSettings, Record, Records, Rules, Shortcut};
use proptest::prelude::*;
use support::{Hpa, NOW, decide, decided, engine, hpa as hpa_spec, seconds, spec, state};

fn rules(min: i32, max: i32) -> Rules {
    Rules::compile(&hpa_spec(min, max), ControllerSettings::default()).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Legacy rules: always within [min, max(min, min(max, max(2·current, 4)))], or the shortcut.
    #[test]
    fn legacy_results_stay_within_twice_the_current(
        min in 1..50_i32,
        more in 0..1000_i32,
        current in 0..1100_i32,
        raw in proptest::num::i32::ANY,
        ago in 0..600_i64,
        recorded in proptest::num::i32::ANY,
    ) {
        let rules = rules(min, min.saturating_add(more));
        let max = rules.max();
        let recommendations = vec![Record { at: NOW - seconds(ago), replicas: recorded }];
        let records = Records { recommendations, ..Records::default() };
        match hpa::shortcut(&rules, current, false) {
            Shortcut::AboveMax => prop_assert!(current > max),
            Shortcut::BelowMin => prop_assert!(current < min && current != 0),
            Shortcut::Disabled => prop_assert_eq!(current, 0),
            Shortcut::Metrics => {
                let raw = raw.max(0);
                let stable = hpa::stabilize(&rules, &records, current, raw, NOW).replicas;
                let rated = hpa::rate_limit(&rules, &records, current, stable, NOW).replicas;
                let result = hpa::bound(&rules, current, rated, false);
                let most = min.max(max.min((current * 2).max(4)));
                prop_assert!((min..=most).contains(&result), "{} not in {}..={}", result, min, most);
                prop_assert!(stable >= raw, "without behavior stabilization only raises");
            }
        }
    }
}

#[test]
fn the_line_for_people_says_who_what_and_why() {
    let check = |current: u32, usage: i64, want: &str| {
        let mut engine = engine(spec(hpa_spec(1, 10), &["hpa"]), vec![Box::new(Hpa)]);
        let tick = decide(
            &mut engine,
            state(current, &vec![Some(usage); current as usize], 15),
        );
        let told =
            Explanation::new(&tick, 0, engine.spec(), &Identity::default(), None).expect("one");
        assert_eq!(told.to_string(), want);
        assert!(
            want.chars().count() <= 120,
            "{} characters",
            want.chars().count()
        );
        decided(&tick)
    };
    assert_eq!(check(4, 900, "web 4→6: hpa cpu at 150 % of target = 6"), 6);
    assert_eq!(check(4, 610, "web 4: hpa cpu at 102 % of target = 4"), 4);
    let limited = "web 4→8: hpa cpu at 500 % of target = 20; rate 20→8, at most twice the current, at least 4: 8";
    assert_eq!(check(4, 3000, limited), 8);
    let held = "web 4: hpa cpu at 17 % of target = 1; stabilization 1→4, 4 was wanted within the down window";
    assert_eq!(check(4, 100, held), 4);
}
