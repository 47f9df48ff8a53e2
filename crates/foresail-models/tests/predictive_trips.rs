//! `predictive` trusts its forecast while that is right, says so when it is not, and relearns.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::engine::{Engine, Input, Snapshot};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::{HpaSpec, MetricSpec, Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Metric, Sample, Samples, TargetState};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{Floor, ProposerSpec, Spec};
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::{Seed, child, uniform};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);

/// Requests per second that fill the CPU request of a replica up to the target of 60 %.
const CAPACITY: f64 = 60.0;

fn target() -> TargetId {
    TargetId::new("default/Deployment/web")
}

fn spec(floor: Floor) -> Spec {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: 100,
        metrics: vec![MetricSpec::cpu_utilization(60)],
        ..HpaSpec::default()
    };
    let mut spec = Spec::of_hpa(target(), hpa);
    spec.proposers = vec![ProposerSpec::named("predictive")];
    spec.combine.floor = floor;
    spec.targets[0].startup = Some(Span::from_seconds(60));
    spec
}

/// A target that does what is decided at once, one tick a minute.
struct World {
    engine: Engine,
    minute: i64,
    replicas: u32,
    noise: ChaCha8Rng,
    /// What was told of refits that failed.
    failed: Vec<String>,
}

impl World {
    fn new(spec: Spec) -> Self {
        Self {
            engine: engine_of(spec, Seed(1)).expect("valid"),
            minute: 0,
            replicas: 10,
            noise: child(Seed(9), "world"),
            failed: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        START + Span::from_seconds(60 * self.minute)
    }

    fn state(&self, demand: f64) -> TargetState {
        let replicas = Replicas::new(self.replicas);
        let pod = Pod {
            phase: Phase::Running,
            deleting: false,
            started_at: Some(START - Span::from_seconds(9000)),
            ready: Ready::True,
            ready_changed_at: START - Span::from_seconds(8000),
            count: 1,
        };
        // 100 req/s fill a request of one core.
        let usage = PodSample {
            value: (demand / f64::from(self.replicas) * 10.0) as i64,
            at: self.now(),
            window: Span::from_seconds(30),
        };
        let reading = PodReading {
            request: Some(1000),
            sample: Some(usage),
        };
        TargetState {
            target: target(),
            current: Setting::replicas(replicas),
            status_replicas: replicas,
            ready: replicas,
            pods: vec![pod; self.replicas as usize],
            readings: vec![Reading::Pods(vec![reading; self.replicas as usize])],
            ..TargetState::default()
        }
    }

    /// One minute in which `demand` came and was measured as `told`; the whole story of its tick.
    fn measured(&mut self, demand: f64, told: Option<f64>) -> Explanation {
        let now = self.now();
        let sample = Sample {
            target: target(),
            metric: Metric::Demand,
            at: now,
            value: told,
        };
        let samples = Samples {
            at: now,
            health: foresail_core::observe::Health::Predict,
            leading: true,
            targets: vec![self.state(demand)],
            values: vec![sample],
        };
        self.engine.feed(Input::Samples(samples));
        let tick = self.engine.feed(Input::Tick { now }).expect("a tick");
        let failed = &mut self.failed;
        let tell = |_: &_, error: &refit::RefitError| failed.push(error.to_string());
        for installed in refit::answer_telling(&mut self.engine, &tick, tell) {
            self.engine.feed(installed);
        }
        let told = Explanation::new(&tick, 0, self.engine.spec(), &Identity::default(), None);
        self.replicas = tick.targets[0].decided.replicas.expect("decided").get();
        self.minute += 1;
        told.expect("one target")
    }

    /// One minute around a level, with noise of 5 %.
    fn around(&mut self, level: f64) -> Explanation {
        let demand = level * (0.95 + 0.1 * uniform(&mut self.noise));
        self.measured(demand, Some(demand))
    }
}

fn by(told: &Explanation) -> &str {
    told.chosen_by.as_deref().unwrap_or("nobody")
}

#[test]
fn a_change_trips_it_the_floor_decides_it_relearns_and_every_step_is_told() {
    let mut world = World::new(spec(Floor::Relaxed {
        min_share_percent: 50,
    }));
    let first: Vec<_> = (0..100).map(|_| world.around(600.0)).collect();
    assert!(
        first[40].to_string().contains("predictive none: learning"),
        "{}",
        first[40]
    );
    assert_eq!(by(&first[40]), "floor");
    for _ in 0..500 {
        world.around(600.0);
    }
    let calm = world.around(600.0);
    assert_eq!(by(&calm), "predictive", "{calm}");
    assert!(
        calm.fitted_ago_seconds.expect("a model") < 6 * 3600,
        "{calm}"
    );
    let after: Vec<_> = (0..120).map(|_| world.around(1200.0)).collect();
    let tripped = after
        .iter()
        .position(|t| t.to_string().contains("relearning"));
    let tripped = tripped.expect("it is told");
    assert!(tripped < 15, "minute {tripped}");
    let told = after[tripped].to_string();
    let percent = told
        .split("predictive none: demand at ")
        .nth(1)
        .expect("a change");
    let percent: u32 = percent
        .split(' ')
        .next()
        .and_then(|p| p.parse().ok())
        .expect("a number");
    assert!((180..=220).contains(&percent), "{told}");
    assert!(
        told.contains("% of forecast 0 min ago, relearning 0 of 30"),
        "{told}"
    );
    let later = &after[tripped + 20];
    assert_eq!(by(later), "floor");
    assert!(
        later.to_string().contains("20 min ago, relearning"),
        "{later}"
    );
    assert_eq!(
        later.wanted["replicas"].replicas(),
        later.reactive.expect("R"),
        "all of the floor"
    );
    let again = after
        .iter()
        .skip(tripped)
        .position(|t| by(t) == "predictive");
    let again = tripped + again.expect("it is trusted again");
    assert!(
        (tripped + 30..tripped + 50).contains(&again),
        "minute {again}"
    );
    let told = after[again].to_string();
    assert!(told.contains("trusted again for 0 min"), "{told}");
    let wish = after[again + 5].proposals[0].wish["replicas"]
        .replicas()
        .get();
    assert!(
        (20..=23).contains(&wish),
        "1200 req/s over 60 and some noise: {wish}"
    );
}

#[test]
fn a_forecast_of_hours_ahead_is_scored_and_wishes() {
    let mut spec = spec(Floor::Relaxed {
        min_share_percent: 50,
    });
    let six_hours = json!(6 * 3600);
    spec.proposers[0].knobs = [("horizonSeconds".to_owned(), six_hours)].into();
    let mut world = World::new(spec);
    let told: Vec<_> = (0..900).map(|_| world.around(600.0)).collect();
    let wished = |t: &Explanation| t.proposals[0].wish.contains_key("replicas");
    let first = told.iter().position(wished).expect("it wishes");
    // Nothing that it said is due before six hours.
    assert!((360..600).contains(&first), "minute {first}");
    let count = told.iter().filter(|t| wished(t)).count();
    assert!(count > 100, "{count} minutes of 900");
}

#[test]
fn a_refit_that_fails_is_told_with_its_reason() {
    let mut spec = spec(Floor::Strict);
    let knobs = json!({"forecaster": "ets", "forecasterKnobs": {"seasonSteps": 5000}});
    spec.proposers[0].knobs = serde_json::from_value(knobs).unwrap();
    let mut world = World::new(spec);
    (0..40).for_each(|_| drop(world.around(600.0)));
    let told = world.failed.first().expect("it failed");
    assert!(told.contains("is longer than the history of"), "{told}");
}

#[test]
fn a_doubled_day_is_relearnt_with_its_shape() {
    let mut world = World::new(spec(Floor::Strict));
    let day = |i: i64| 600.0 + 300.0 * (i as f64 / 1440.0 * std::f64::consts::TAU).sin();
    for i in 0..4 * 1440 {
        world.around(day(i));
    }
    let mut trips = 0;
    let mut trusted = 0;
    for i in 4 * 1440..6 * 1440 {
        let told = world.around(2.0 * day(i));
        trips += i32::from(told.to_string().contains("of forecast 0 min ago"));
        trusted += i32::from(told.proposals[0].wish.contains_key("replicas"));
    }
    assert!((1..=2).contains(&trips), "{trips}");
    assert!(trusted > 2 * 1440 * 9 / 10, "{trusted}");
}

#[test]
fn what_is_missing_stale_or_nonsense_never_lowers() {
    for floor in [
        Floor::Strict,
        Floor::Relaxed {
            min_share_percent: 50,
        },
    ] {
        for nonsense in [None, Some(f64::NAN), Some(-5.0), Some(f64::INFINITY)] {
            let mut world = World::new(spec(floor));
            for _ in 0..600 {
                world.around(1200.0);
            }
            let before = world.replicas;
            for minute in 0..60 {
                let told = world.measured(1200.0, nonsense);
                let least = told.reactive.map_or(before, Replicas::get).min(before);
                assert!(world.replicas >= least, "{minute} {nonsense:?}: {told}");
                if minute > 3 {
                    assert!(!told.proposals[0].wish.contains_key("replicas"), "{told}");
                }
            }
        }
    }
}

#[test]
fn a_restart_in_the_middle_of_everything_changes_nothing() {
    let mut world = World::new(spec(Floor::Strict));
    let level = |i: i64| if i < 700 { 600.0 } else { 1500.0 };
    let mut other: Option<World> = None;
    for i in 0..900 {
        let told = world.around(level(i)).to_string();
        if let Some(other) = &mut other {
            assert_eq!(other.around(level(i)).to_string(), told, "minute {i}");
        }
        // In the calm, while it relearns, and after.
        if [650, 715, 800].contains(&i) {
            let text = serde_json::to_string(&world.engine.snapshot()).expect("JSON");
            let snapshot: Snapshot = serde_json::from_str(&text).expect("the same");
            let mut restored = World::new(spec(Floor::Strict));
            restored.engine.restore(snapshot).expect("restorable");
            (restored.minute, restored.replicas) = (world.minute, world.replicas);
            restored.noise = world.noise.clone();
            other = Some(restored);
        }
    }
}

#[test]
fn capacity_is_learnt_where_the_spec_does_not_say_it_and_the_spec_wins() {
    let mut world = World::new(spec(Floor::Strict));
    let mut told = world.around(600.0);
    for _ in 0..300 {
        told = world.around(600.0);
    }
    let basis = serde_json::to_value(&told.proposals[0].basis).expect("JSON");
    let capacity = basis["capacity"].as_str().expect("a capacity").to_owned();
    let learnt: f64 = capacity
        .trim_end_matches(" req/s")
        .parse()
        .expect("a number");
    assert!((learnt - CAPACITY).abs() < 0.05 * CAPACITY, "{capacity}");
    let mut given = spec(Floor::Strict);
    given.targets[0].capacity = Some("25 req/s".parse().expect("a quantity"));
    let mut world = World::new(given);
    for _ in 0..300 {
        told = world.around(600.0);
    }
    let basis = serde_json::to_value(&told.proposals[0].basis).expect("JSON");
    assert_eq!(basis["capacity"], json!("25 req/s"));
}

#[test]
fn without_a_capacity_and_without_a_floor_to_learn_it_from_the_spec_is_refused() {
    let off = Floor::Relaxed {
        min_share_percent: 0,
    };
    let problems = engine_of(spec(off), Seed(1)).expect_err("refused");
    assert!(problems[0].path.ends_with("capacity"), "{problems:?}");
}

#[test]
fn any_forecaster_of_the_registry_serves_with_its_knobs() {
    let mut with = spec(Floor::Strict);
    with.proposers[0]
        .knobs
        .insert("forecaster".to_owned(), json!("moving-quantile"));
    with.proposers[0]
        .knobs
        .insert("forecasterKnobs".to_owned(), json!({"windowSteps": 30}));
    let mut world = World::new(with.clone());
    let mut told = world.around(600.0);
    for _ in 0..300 {
        told = world.around(600.0);
    }
    let basis = serde_json::to_value(&told.proposals[0].basis).expect("JSON");
    assert_eq!(basis["forecaster"], "moving-quantile");
    for (knob, value, said) in [
        (
            "forecaster",
            json!("moving-quantil"),
            "did you mean `moving-quantile`?",
        ),
        (
            "forecasterKnobs",
            json!({"windowStep": 30}),
            "did you mean `windowSteps`?",
        ),
        (
            "forecasterKnobs",
            json!({"windowSteps": 1}),
            "must be a whole number from 2",
        ),
        (
            "forecasterKnobs",
            json!([1]),
            "must be knobs by their names",
        ),
    ] {
        let mut wrong = with.clone();
        wrong.proposers[0].knobs.insert(knob.to_owned(), value);
        let problems = engine_of(wrong, Seed(1)).expect_err("refused");
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(all.join("\n").contains(said), "{all:?}");
    }
}
