//! What the strategies do on demand of known form, told by a classifier that always says the same.

use std::sync::Arc;

use foresail_core::act::Outcome;
use foresail_core::engine::{Engine, Input};
use foresail_core::hpa::{Behavior, HpaSpec, ScalingRules};
use foresail_core::observe::{Health, Sample, Samples};
use foresail_core::spec::{CombineSpec, Floor, ProposerSpec, Spec};
use serde_json::{Value, json};

use super::*;
use crate::classify::{Verdict, Window};
use crate::knobs::Knobs;
use crate::refit;
use crate::rng::Seed;

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);
const INTERVAL: i64 = 15;
const STARTUP: i64 = 45;

/// Demand that a replica of the tests serves at the HPA's 80 %: 12.5 req/s when it is full.
const CAPACITY: f64 = 10.0;

/// Always the same archetype, as sure as it is told.
#[derive(Debug)]
struct Always(Archetype, f64);

impl Classifier for Always {
    fn verdict(&self, _: &Window) -> Verdict {
        let rest = (1.0 - self.1) / 3.0;
        let mut scores = [rest; 4];
        if let Some(place) = self.0.place() {
            scores[place] = self.1;
        }
        Verdict {
            archetype: self.0,
            scores,
            confidence: self.1,
        }
    }
}

fn spec(knobs: Value) -> ValidSpec {
    let rules = ScalingRules {
        stabilization_window_seconds: Some(0),
        ..ScalingRules::default()
    };
    let hpa = HpaSpec {
        max_replicas: 1000,
        behavior: Some(Behavior {
            scale_up: None,
            scale_down: Some(rules),
        }),
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(TargetId::new("web"), hpa);
    spec.interval = Span::from_seconds(INTERVAL);
    spec.targets[0].capacity = Some(format!("{CAPACITY} req/s").parse().unwrap());
    spec.targets[0].startup = Some(Span::from_seconds(STARTUP));
    let mut aapa = ProposerSpec::named("aapa");
    aapa.knobs = serde_json::from_value(knobs).unwrap();
    spec.proposers = vec![aapa];
    let floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    spec.combine = CombineSpec {
        floor,
        ..CombineSpec::default()
    };
    ValidSpec::new(spec).unwrap()
}

/// One target under `aapa`, whose pods need their start-up.
struct World {
    engine: Engine,
    current: Replicas,
    /// Replicas after each tick, with its second.
    decided: Vec<(i64, u32)>,
}

impl World {
    fn new(archetype: Archetype, confidence: f64, knobs: Value) -> Self {
        let spec = spec(knobs);
        let given = &spec.written().proposers[0].knobs;
        let knobs = Knobs::read(ENTRY.knobs, given, "knobs").unwrap();
        let build = Build {
            knobs: &knobs,
            spec: &spec,
            seed: Seed(1),
            path: "knobs",
        };
        let aapa = Aapa::new(&build, Arc::new(Always(archetype, confidence))).unwrap();
        Self {
            engine: Engine::new(spec.clone(), vec![Box::new(aapa)]),
            current: Replicas::ONE,
            decided: Vec::new(),
        }
    }

    /// Runs from one second to another; `demand` is of a second, a point is told after each minute.
    fn run(&mut self, seconds: std::ops::Range<i64>, demand: impl Fn(i64) -> f64) {
        for second in seconds.step_by(usize::try_from(INTERVAL).unwrap()) {
            let now = START + Span::from_seconds(second);
            let value = (second % 60 == 0).then(|| demand(second));
            self.engine.feed(self.samples(now, value));
            let tick = self.engine.feed(Input::Tick { now }).unwrap();
            for installed in refit::answer(&mut self.engine, &tick) {
                self.engine.feed(installed);
            }
            let decided = tick.targets[0].decided.replicas.unwrap();
            if decided != self.current {
                let executed = vec![(TargetId::new("web"), Setting::replicas(decided))];
                let (seq, outcome) = (tick.seq, Outcome::Applied);
                self.engine.feed(Input::Settled {
                    seq,
                    outcome,
                    executed,
                });
                self.current = decided;
            }
            self.decided.push((second, decided.get()));
        }
    }

    fn samples(&self, now: Timestamp, demand: Option<f64>) -> Input {
        let target = TargetId::new("web");
        let value = |value| Sample {
            target: target.clone(),
            metric: Metric::Demand,
            at: now,
            value: Some(value),
        };
        let state = TargetState {
            target: target.clone(),
            current: Setting::replicas(self.current),
            status_replicas: self.current,
            ready: self.current,
            ..TargetState::default()
        };
        let (health, leading) = (Health::default(), true);
        Input::Samples(Samples {
            at: now,
            health,
            leading,
            targets: vec![state],
            values: demand.map(value).into_iter().collect(),
        })
    }

    fn after(&self, second: i64) -> impl Iterator<Item = u32> {
        self.decided
            .iter()
            .filter(move |(s, _)| *s >= second)
            .map(|(_, r)| *r)
    }
}

const HOUR: i64 = 3600;

/// Replicas that serve a demand at a share of their CPU, in closed form.
fn covering(demand: f64, share: f64) -> u32 {
    (demand / (CAPACITY / 0.8 * share) - 1e-9).ceil() as u32
}

#[test]
fn a_level_at_full_cpu_gets_a_second_replica_within_one_window() {
    let mut world = World::new(Archetype::Stationary, 1.0, json!({}));
    world.run(60..2 * HOUR, |_| 5.0);
    assert_eq!(world.current, Replicas::ONE);
    // One replica at 100 %, as published frozen there for ever.
    world.run(2 * HOUR..2 * HOUR + 300, |_| CAPACITY / 0.8);
    assert_eq!(world.current, Replicas::new(2));
}

#[test]
fn noise_within_the_dead_band_changes_nothing() {
    let level = 10.0 * CAPACITY / 0.8 * 0.55;
    let noisy = |s: i64| level * (1.0 + 0.09 * f64::from((s / 60 % 3) as i32 - 1));
    let mut world = World::new(Archetype::Stationary, 1.0, json!({}));
    world.run(60..2 * HOUR, |_| level);
    world.run(2 * HOUR..6 * HOUR, noisy);
    assert!(world.after(2 * HOUR).all(|r| r == 10));
}

#[test]
fn a_ramp_is_met_by_its_own_slope_and_not_by_its_replicas() {
    let rising = |s: i64| 20.0 + s as f64 / 60.0;
    let mut world = World::new(Archetype::Ramp, 1.0, json!({}));
    world.run(60..3 * HOUR, rising);
    let (second, last) = *world.decided.last().unwrap();
    // What is there when one asked for at the next decision serves; a minute's mean is half a
    // minute old, so that the line may be up to one step off.
    let ahead = |extra: i64| covering(rising(second + STARTUP + INTERVAL + extra), 0.6);
    assert!((ahead(0)..=ahead(60)).contains(&last), "{last}");
    // A constant demand from here on: replicas rose until now, and must not go on rising.
    let level = rising(3 * HOUR);
    world.run(3 * HOUR..5 * HOUR, |_| level);
    let most = world.after(3 * HOUR + 600).max();
    assert_eq!(most, Some(covering(level, 0.6)));
}

#[test]
fn what_recurs_is_there_before_it_comes() {
    let sine = |s: i64| 60.0 + 40.0 * (std::f64::consts::TAU * s as f64 / 1200.0).sin();
    let unserved = |archetype| {
        let mut world = World::new(archetype, 1.0, json!({"periodic": {"cooldownSeconds": 0}}));
        world.run(60..8 * HOUR, sine);
        let missing = world.decided.iter().filter(|(second, replicas)| {
            let served = second + STARTUP;
            let rises = sine(served + 30) > sine(served - 30);
            rises && *second >= 6 * HOUR && *replicas < covering(sine(served), 0.75)
        });
        let rising = world.decided.iter().filter(|(s, _)| *s >= 6 * HOUR).count() / 2;
        missing.count() as f64 / rising as f64
    };
    let (periodic, ramp) = (
        unserved(Archetype::Periodic),
        unserved(Archetype::Stationary),
    );
    assert!(periodic < 0.02, "{periodic} of the rise is served late");
    assert!(ramp > 0.2, "without a forecast {ramp}");
}

#[test]
fn bursts_meet_a_warm_pool_and_more_than_their_measure() {
    let mut world = World::new(Archetype::Spike, 1.0, json!({}));
    world.run(60..2 * HOUR, |_| 0.1);
    assert!(world.after(HOUR + 60).all(|r| r == 2), "warm pool");
    world.run(2 * HOUR..2 * HOUR + 60, |_| 50.0);
    assert_eq!(world.current.get(), covering(50.0 * 1.5, 0.3));
    // Twenty minutes after the last change nothing has gone yet; then all at once.
    world.run(2 * HOUR + 60..2 * HOUR + 1200, |_| 0.1);
    assert_eq!(world.current.get(), covering(50.0 * 1.5, 0.3));
    world.run(2 * HOUR + 1200..2 * HOUR + 1260, |_| 0.1);
    assert_eq!(world.current.get(), 2);
}

#[test]
fn doubt_lowers_the_target_and_keeps_more() {
    // Algorithm 1 at 0.6: target 0.3 → 0.276, two replicas → three.
    let mut world = World::new(Archetype::Spike, 0.6, json!({}));
    world.run(60..2 * HOUR, |_| 0.1);
    assert_eq!(world.current.get(), 3);
    let mut world = World::new(
        Archetype::Periodic,
        0.4,
        json!({"stationary": {"cooldownSeconds": 0}}),
    );
    world.run(60..4 * HOUR, |_| 50.0);
    // Below one half the safe default decides: 0.55 · (1 − 0.2·0.6) = 0.484.
    assert_eq!(world.current.get(), covering(50.0, 0.484));
}

#[test]
fn values_of_the_user_stand_over_the_defaults() {
    let knobs = json!({"ramp": {"targetPercent": 50, "minReplicas": 4, "maxReplicas": 6}});
    let mut world = World::new(Archetype::Ramp, 1.0, knobs);
    for (demand, want) in [(1.0, 4), (30.0, covering(30.0, 0.5)), (900.0, 6)] {
        let from = world.decided.len() as i64 * INTERVAL;
        world.run(from + 60 - from % 60..from + 2 * HOUR, |_| demand);
        assert_eq!(world.current.get(), want, "{demand}");
    }
}

#[test]
fn without_demand_there_is_no_strategy_and_no_wish() {
    let mut world = World::new(Archetype::Idle, 1.0, json!({}));
    world.run(60..2 * HOUR, |_| 0.0);
    let now = START + Span::from_seconds(2 * HOUR);
    world.engine.feed(world.samples(now, Some(0.0)));
    let tick = world.engine.feed(Input::Tick { now }).unwrap();
    let proposal = &tick.judged[0].proposal;
    assert!(proposal.plan.is_empty());
    let Basis::Archetypes(all) = &proposal.basis else {
        panic!("{:?}", proposal.basis);
    };
    let classed = all[0].1.as_ref().unwrap();
    assert_eq!(
        (classed.archetype, &classed.scaled),
        (Some(Archetype::Idle), &None)
    );
}

#[test]
fn an_hour_with_many_gaps_gives_no_archetype() {
    let mut world = World::new(Archetype::Ramp, 1.0, json!({}));
    for minute in (1..200).filter(|m| m % 10 != 0) {
        world.run(minute * 60..minute * 60 + 60, |_| 50.0);
    }
    let now = START + Span::from_seconds(200 * 60);
    world.engine.feed(world.samples(now, Some(50.0)));
    let tick = world.engine.feed(Input::Tick { now }).unwrap();
    let basis = &tick.judged[0].proposal.basis;
    assert_eq!(
        *basis,
        Basis::Absent(Absence::NoHistory),
        "a tenth is missing"
    );
}

#[test]
fn each_target_has_its_own_archetype_and_keeps_it_by_name() {
    let memory = |name: &str| Memory::new(TargetId::new(name));
    let mut memories = vec![memory("a"), memory("web")];
    let points = (1..=60).map(|m| foresail_core::history::Point {
        at: START + Span::from_seconds(60 * m),
        value: 1.0,
    });
    let points = points.collect();
    let rule = Rule {
        stride: 10,
        margin: 0.3,
    };
    let ramp = Always(Archetype::Ramp, 0.9);
    let force = memories[1].look(&points, &ramp, rule);
    assert_eq!(force.map(|f| f.archetype), Some(Archetype::Ramp));
    fit_memories(&mut memories, &spec(json!({})));
    let [kept] = &memories[..] else {
        panic!("{memories:?}");
    };
    let told = kept
        .clone()
        .look(&points, &Always(Archetype::Spike, 0.9), rule);
    assert_eq!(
        told, force,
        "not judged anew before ten minutes have passed"
    );
}

#[test]
fn bad_values_are_told_with_their_place() {
    let read = |knobs: Value| {
        let of = |name: &str| {
            let map = knobs.get(name).cloned().unwrap_or(json!({}));
            serde_json::from_value(map).unwrap()
        };
        let problems = Strategies::read(of, "proposers[0].knobs")
            .err()
            .unwrap_or_default();
        SpecProblem::joined(&problems)
    };
    let text = read(
        json!({"spike": {"targetPercnt": 30, "minReplicas": 200}, "ramp": {"targetPercent": 0}}),
    );
    for part in [
        "proposers[0].knobs.spike.targetPercnt",
        "did you mean `targetPercent`?",
        "proposers[0].knobs.ramp.targetPercent",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = read(json!({"periodic": {"minReplicas": 9, "maxReplicas": 3}}));
    assert!(
        text.contains("knobs.periodic.minReplicas: 9 is above maxReplicas = 3"),
        "{text}"
    );
}

#[test]
fn usage_tells_a_burst_once_and_never_of_what_was_just_added() {
    let spec = spec(json!({}));
    let seen = |history, ratio_milli| Seen {
        target: &spec.targets()[0],
        history,
        reactive: Reactive {
            replicas: Some(Replicas::ONE),
            metric: 0,
            ratio_milli,
        },
        known: Known {
            ahead: Err(Absence::NoHistory),
            capacity: Some(CAPACITY),
            lead: Span::from_seconds(STARTUP + INTERVAL),
        },
    };
    let mut world = World::new(Archetype::Spike, 1.0, json!({}));
    world.run(60..2 * HOUR, |_| 0.1);
    let history = world.engine.target_history(0).unwrap();
    let state = history.state.as_ref().unwrap();
    let changed = history.changes().back().unwrap().at;
    let told = |seconds, ratio| {
        let now = changed + Span::from_seconds(seconds);
        usage(&seen(history, ratio), state, CAPACITY, now)
    };
    // Two pods at 125 % of the HPA's target serve 2 · 10 · 1.25.
    assert_eq!(told(STARTUP + INTERVAL + 60, 1250), Some(25.0));
    assert_eq!(told(STARTUP + INTERVAL + 59, 1250), None);
}

/// The demand of some minutes as an engine remembers it, the last one now.
fn remembered(demand: &[f64]) -> Engine {
    let mut engine = Engine::new(spec(json!({})), Vec::new());
    for (minute, value) in demand.iter().enumerate() {
        let now = START + Span::from_seconds(60 * minute as i64);
        engine.feed(Input::Samples(Samples {
            at: now,
            health: Health::default(),
            leading: true,
            targets: vec![TargetState {
                target: TargetId::new("web"),
                ..TargetState::default()
            }],
            values: vec![Sample {
                target: TargetId::new("web"),
                metric: Metric::Demand,
                at: now,
                value: Some(*value),
            }],
        }));
    }
    engine
}

proptest::proptest! {
    #[test]
    fn more_demand_and_less_confidence_never_ask_for_less(
        demand in proptest::collection::vec(0.0..500.0_f64, 12..20), current in 0_u32..40,
        factor in 1.0..3.0_f64, sure in 0.0..=1.0_f64, doubt in 0.0..=1.0_f64) {
        let strategies = Strategies::read(|_| Default::default(), "knobs").unwrap();
        let known = Known {
            ahead: Err(Absence::NoHistory),
            capacity: Some(CAPACITY),
            lead: Span::from_seconds(STARTUP + INTERVAL),
        };
        let more: Vec<f64> = demand.iter().map(|d| d * factor).collect();
        let ask = |by, demand: &[f64], confidence| {
            let engine = remembered(demand);
            let history = engine.target_history(0)?;
            let scene = Scene {
                history,
                full_capacity: CAPACITY / 0.8,
                usage: None,
                current: Replicas::new(current),
                known: &known,
                now: START + Span::from_seconds(60 * demand.len() as i64),
            };
            strategies.scale(by, confidence, &scene).map(|(_, replicas)| replicas)
        };
        for by in [Archetype::Spike, Archetype::Ramp, Archetype::Stationary] {
            let plain = ask(by, &demand, sure);
            proptest::prop_assert!(plain.is_some() && ask(by, &more, sure) >= plain, "{}", by);
            proptest::prop_assert!(ask(by, &demand, sure * doubt) >= plain, "{}", by);
        }
        // Without a forecast what recurs cannot be met, and the safe default must.
        proptest::prop_assert!(ask(Archetype::Periodic, &demand, sure).is_none());
    }
}
