//! A wish by archetype: its cooldown is enforced, and each target's own archetype is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::act::Outcome;
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::row::{COLUMNS, Cell, Measured, Usage};
use foresail_core::explain::{BasisTold, Explanation, Identity};
use foresail_core::guard::GuardName;
use foresail_core::history::View;
use foresail_core::hpa::ScalingRules;
use foresail_core::observe::Samples;
use foresail_core::propose::archetype::{Archetype, Classed, Scaled, adjust};
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Absence, Basis, Confidence, Context, Proposal, Proposer};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{Floor, Spec};
use support::{NOW, decided, engine, hpa, seconds, spec, state, target};

/// Periodic with 93 %: 655 req/s over 37 a replica.
fn classed() -> Classed {
    let strategy = Archetype::Periodic.strategy().expect("one");
    Classed {
        archetype: Some(Archetype::Periodic),
        confidence: 0.93,
        scaled: Some(Scaled {
            by: Archetype::Periodic,
            target: strategy.target,
            adjusted: adjust(0.8, &strategy),
            demand: 655.0,
            capacity: 37.0,
            turn: None,
            forecast: Some(("auto", Some(NOW - seconds(840)))),
        }),
    }
}

/// Wishes one number after another, held by a cooldown of 180 s.
#[derive(Debug)]
struct Wishes(Vec<u32>);

impl Proposer for Wishes {
    fn propose(&mut self, _: &View<'_>, _: &Context<'_>) -> Proposal {
        let basis = Basis::Archetypes(vec![(target(), Ok(classed()))]);
        Proposal {
            confidence: Confidence::percent(93),
            cooldowns: vec![(target(), seconds(180))],
            ..Proposal::replicas(&target(), Replicas::new(self.0.remove(0)), basis)
        }
    }
}

fn alone() -> Spec {
    let mut spec = spec(hpa(1, 100), &["wishes"]);
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    let down = ScalingRules {
        stabilization_window_seconds: Some(0),
        ..ScalingRules::default()
    };
    let behavior = spec.targets[0].hpa.behavior.get_or_insert_default();
    behavior.scale_down = Some(down);
    spec
}

/// One tick so many seconds from now; what it decides is executed.
fn step(engine: &mut Engine, after: i64, current: u32) -> Tick {
    let now = NOW + seconds(after);
    let state = state(current, &vec![Some(100); current as usize], -after);
    engine.feed(Input::Samples(Samples {
        at: now,
        health: foresail_core::observe::Health::default(),
        leading: true,
        targets: vec![state],
        values: Vec::new(),
    }));
    let tick = engine.feed(Input::Tick { now }).expect("a tick");
    let setting = Setting::replicas(Replicas::new(decided(&tick)));
    engine.feed(Input::Settled {
        seq: tick.seq,
        outcome: Outcome::Applied,
        executed: vec![(target(), setting)],
    });
    tick
}

#[test]
fn two_ways_down_within_the_cooldown_are_one_and_the_way_up_is_free() {
    let mut engine = engine(alone(), vec![Box::new(Wishes(vec![5, 4, 7, 6, 6]))]);
    let mut current = 6;
    let mut told = Vec::new();
    // The cooldown counts from the last change, the one up at second 20 too.
    for after in [0, 10, 20, 199, 200] {
        let tick = step(&mut engine, after, current);
        current = decided(&tick);
        let held = tick.judged[0]
            .shape
            .iter()
            .any(|l| l.by == GuardName::Cooldown);
        told.push((current, held));
    }
    let want = [(5, false), (5, true), (7, false), (7, true), (6, false)];
    assert_eq!(told, want);
}

#[test]
fn an_explanation_tells_archetype_probability_and_what_doubt_did() {
    let mut engine = engine(alone(), vec![Box::new(Wishes(vec![18]))]);
    let tick = step(&mut engine, 0, 15);
    let told = Explanation::new(&tick, 0, engine.spec(), &Identity::default(), None).unwrap();
    // Algorithm 1 at 0.8: 0.75 · (1 − 0.2·0.2) = 0.72, 180 s · 1.1.
    let line = told.to_string();
    let want = "web 15→18: wishes Periodic 93 %: 655 req/s ÷ 37 (target 75→72 %) = 18";
    assert_eq!(line, want);
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["archetype"], "Periodic");
    assert_eq!(json["fittedAgoSeconds"], 840);
    let basis = &json["proposals"][0]["basis"];
    assert_eq!(basis["archetype"], "Periodic");
    assert_eq!(basis["confidencePercent"], 93);
    let scaled = &basis["scaled"];
    assert_eq!(scaled["multiplier"], "1100m");
    assert_eq!(
        (&scaled["targetPercent"], &scaled["adjustedTargetPercent"]),
        (&75.into(), &72.into())
    );
    assert_eq!(scaled["cooldownSeconds"], 198);
    let again: Explanation = serde_json::from_value(json).unwrap();
    assert_eq!(again, told);
    let row = told.row(Usage::default(), Measured::default());
    let cell = |name: &str| {
        let place = COLUMNS
            .iter()
            .position(|(column, ..)| *column == name)
            .unwrap();
        row[place].clone()
    };
    assert_eq!(cell("archetype"), Cell::Text(Some("Periodic".to_owned())));
    assert_eq!(cell("demand"), Cell::Real(Some(655.0)));
    assert_eq!(cell("confidence_percent"), Cell::Int(Some(93)));
}

#[test]
fn each_target_is_told_its_own_archetype_and_none_that_is_not_known() {
    #[derive(Debug)]
    struct Two;
    impl Proposer for Two {
        fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
            let idle = Classed {
                archetype: Some(Archetype::Idle),
                confidence: 1.0,
                scaled: None,
            };
            let found = [Ok(classed()), Ok(idle), Err(Absence::NoHistory)];
            let ids = view.spec.targets().iter().map(|t| t.id.clone());
            let mut proposal = Proposal::absent(Absence::NoMetric);
            proposal.basis = Basis::Archetypes(ids.zip(found).collect());
            proposal
        }
    }
    let mut spec = alone();
    for name in ["b", "c"] {
        let mut other = spec.targets[0].clone();
        other.id = foresail_core::propose::plan::TargetId::new(name);
        spec.targets.push(other);
    }
    let mut engine = engine(spec, vec![Box::new(Two)]);
    let tick = engine.feed(Input::Tick { now: NOW }).expect("a tick");
    let tell = |place| {
        let identity = Identity::default();
        let told = Explanation::new(&tick, place, engine.spec(), &identity, None).unwrap();
        (told.archetype, told.proposals[0].basis.clone())
    };
    assert_eq!(tell(0).0, Some(Archetype::Periodic));
    let (archetype, basis) = tell(1);
    assert_eq!(archetype, Some(Archetype::Idle));
    let no_strategy = matches!(basis, BasisTold::Archetype { scaled: None, .. });
    assert!(no_strategy, "{basis:?}");
    let unknown = BasisTold::Absent {
        absent: Absence::NoHistory,
    };
    assert_eq!(tell(2), (None, unknown));
}
