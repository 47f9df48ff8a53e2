//! The proposer `aware` with a policy of its own: the moves of a frozen learner on the same states.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "tests may fail loudly, and use a part of what they share"
)]

#[path = "support/learner.rs"]
mod support;

use foresail_core::engine::{Engine, Input};
use foresail_core::hpa::{Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas};
use foresail_core::spec::{CombineRule, ProposerSpec, ValidSpec};
use foresail_models::registry::engine_of;
use foresail_models::rl::axes::{Axes, Move, Moves};
use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::env::{Env, EnvStep, Facts};
use foresail_models::rl::learner::{Learner, LearnerSettings};
use foresail_models::rl::reward::{Reward, StepMeasured};
use foresail_models::rl::state;
use foresail_models::rl::training::{Training, TrainingRules};
use foresail_models::rng::Seed;
use serde_json::json;

const START: Timestamp = Timestamp::from_seconds(1_767_571_200);
const PROMISED: f64 = 0.99;
/// Moves of an episode.
const STEPS: usize = 6;

fn engine(bootstrap: usize) -> Engine {
    let mut spec = support::spec();
    let mut aware = ProposerSpec::named("aware");
    for (knob, value) in [("bootstrapEpisodes", bootstrap), ("steps", STEPS)] {
        aware.knobs.insert(knob.to_owned(), json!(value));
    }
    spec.proposers = vec![aware, ProposerSpec::named("hpa")];
    spec.combine.rule = CombineRule::First;
    engine_of(spec, Seed(1)).unwrap()
}

fn policy(seed: u64) -> Learner {
    let settings = LearnerSettings {
        state: state::width(&support::axes()),
        ..support::settings()
    };
    Learner::new(settings, Seed(seed)).unwrap()
}

fn install(engine: &mut Engine, bytes: &[u8]) {
    let artifact = engine.store(bytes.to_vec());
    engine.feed(Input::Installed { artifact });
}

fn first() -> Setting {
    let mut setting = Setting::replicas(Replicas::new(4));
    setting.per_pod.set("cpu", "500m".parse().unwrap());
    setting
}

/// A minute in which this is asked for: demand is a wave, the pods share it.
fn minute(i: i64, current: &Setting) -> Input {
    let now = START + Span::from_seconds(60 * i);
    let demand = 20.0 + 10.0 * (i as f64 / 9.0).sin();
    let kept = if i % 5 == 4 { 0.97 } else { 1.0 };
    let target = support::spec().targets[0].id.clone();
    let sample = |metric, value: f64| Sample {
        target: target.clone(),
        metric,
        at: now,
        value: Some(value),
    };
    let replicas = current.replicas.unwrap();
    let pod = Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(START - Span::from_seconds(9000)),
        ready: Ready::True,
        ready_changed_at: START - Span::from_seconds(8000),
        count: replicas.get(),
    };
    let usage = PodSample {
        value: (demand * 50.0 / f64::from(replicas.get())) as i64,
        at: now,
        window: Span::from_seconds(30),
    };
    let reading = PodReading {
        request: current.per_pod.get("cpu").map(Quantity::milli),
        sample: Some(usage),
    };
    let state = TargetState {
        target: target.clone(),
        current: current.clone(),
        status_replicas: replicas,
        ready: replicas,
        pods: vec![pod],
        readings: vec![Reading::Pods(vec![reading])],
        ..TargetState::default()
    };
    Input::Samples(Samples {
        at: now,
        health: Health::default(),
        leading: true,
        targets: vec![state],
        values: vec![sample(Metric::Demand, demand), sample(Metric::Kept, kept)],
    })
}

/// One turn: what was wished by `aware`, and what is asked for from now on.
fn turn(engine: &mut Engine, i: i64, current: &Setting) -> (Option<Setting>, Setting) {
    let now = START + Span::from_seconds(60 * i);
    let tick = engine.feed(Input::Tick { now }).expect("a tick");
    let target = &tick.targets[0];
    let id = &support::spec().targets[0].id;
    let wish = tick.judged[0].proposal.wish(id).cloned();
    let mut decided = current.clone();
    if let Some(replicas) = target.decided.replicas {
        decided.replicas = Some(replicas);
    }
    if let Some(cpu) = target.decided.per_pod.get("cpu") {
        decided.per_pod.set("cpu", cpu);
    }
    (wish, decided)
}

/// What a learner sees, may do and is paid, minute by minute.
struct Recorded {
    axes: Axes,
    steps: Vec<Step>,
    next: usize,
    moved: Vec<Moves>,
}

struct Step {
    current: Setting,
    state: Vec<f32>,
    legal: Vec<bool>,
    used: Vec<f64>,
    preserved: f64,
}

impl Recorded {
    fn executed(&self, step: usize) -> Moves {
        let [from, to] = [step, step + 1].map(|s| &self.steps[s].current);
        self.axes.executed(from, to)
    }
}

impl Env for Recorded {
    fn axes(&self) -> &Axes {
        &self.axes
    }

    fn state(&self) -> Option<Vec<f32>> {
        self.steps.get(self.next).map(|s| s.state.clone())
    }

    fn legal(&self) -> Vec<bool> {
        self.steps[self.next].legal.clone()
    }

    fn step(&mut self, moves: Option<&[Move]>) -> EnvStep {
        self.moved.push(moves.expect("moves").to_vec());
        let executed = self.executed(self.next);
        let before = match self.next.checked_sub(1) {
            Some(before) => self.executed(before),
            None => vec![Move::Hold; self.axes.len()],
        };
        self.next += 1;
        let end = &self.steps[self.next];
        let measured = StepMeasured {
            preserved: end.preserved,
            used: end.used.clone(),
            lag_growth: 0.0,
        };
        EnvStep {
            reward: Reward::default().of(&measured, &executed, &before),
            executed,
            state: Some(end.state.clone()),
            facts: Facts::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.next + 1 >= self.steps.len()
    }
}

#[test]
fn an_installed_policy_makes_the_moves_of_a_frozen_learner_on_the_same_states() {
    let learner = policy(3);
    let bytes = learner.save(&[]).unwrap();
    let mut engine = engine(0);
    install(&mut engine, &bytes);
    let spec = ValidSpec::new(support::spec()).unwrap();
    let (target, axes) = (&spec.targets()[0], support::axes());
    let (mut current, mut before) = (first(), vec![Move::Hold; 2]);
    let (mut wishes, mut steps) = (Vec::new(), Vec::<Step>::new());
    for i in 0..(4 * STEPS as i64 + 1) {
        engine.feed(minute(i, &current));
        if let Some(last) = steps.last() {
            before = axes.executed(&last.current, &current);
        }
        let now = START + Span::from_seconds(60 * i);
        let view = engine.history().view(engine.spec(), now);
        steps.push(Step {
            state: state::observe(&view, 0, &axes, &before, PROMISED).expect("seen"),
            legal: axes.legal(target, &current),
            used: state::used(&view, 0, &axes).expect("used"),
            preserved: state::slo_preserved(view.target(0).unwrap(), PROMISED),
            current: current.clone(),
        });
        let (wish, decided) = turn(&mut engine, i, &current);
        wishes.push(wish.expect("a wish"));
        current = decided;
    }
    let mut recorded = Recorded {
        axes: axes.clone(),
        steps,
        next: 0,
        moved: Vec::new(),
    };
    let (mut frozen, _) = Learner::load(&bytes).unwrap();
    let rules = TrainingRules {
        steps: STEPS,
        bootstrap: BootstrapRules::none(),
        learns: false,
        ..TrainingRules::default()
    };
    let mut training = Training::new(&frozen, rules);
    for _ in 0..4 {
        training.episode(&mut frozen, &mut recorded, None);
    }
    assert!(training.memory.embedding.iter().any(|e| *e > 0.0));
    assert_eq!(recorded.moved.len(), 4 * STEPS);
    for (i, moves) in recorded.moved.iter().enumerate() {
        let want = axes.wish(target, &recorded.steps[i].current, moves);
        assert_eq!(wishes[i], want, "minute {i}");
    }
    let kinds: std::collections::BTreeSet<String> =
        wishes.iter().map(|w| format!("{w:?}")).collect();
    assert!(kinds.len() > 1, "it does more than hold");
}

#[test]
fn bootstrapping_keeps_it_silent_and_then_it_speaks() {
    let mut engine = engine(2);
    install(&mut engine, &policy(3).save(&[]).unwrap());
    let (mut current, mut spoke) = (first(), Vec::new());
    for i in 0..30 {
        engine.feed(minute(i, &current));
        let (wish, decided) = turn(&mut engine, i, &current);
        spoke.push(wish.is_some());
        current = decided;
    }
    // The twelfth move ends when the thirteenth begins.
    let begin = 2 * STEPS;
    assert!(spoke[..begin].iter().all(|s| !s), "{spoke:?}");
    assert!(spoke[begin], "{spoke:?}");
}

#[test]
fn without_a_policy_or_with_a_foreign_one_it_has_no_wish() {
    let mut engine = engine(0);
    let other = support::learner(1).save(&[]).unwrap();
    for artifact in [b"{}\n".to_vec(), Vec::new(), other] {
        install(&mut engine, &artifact);
        engine.feed(minute(0, &first()));
        assert_eq!(turn(&mut engine, 0, &first()).0, None);
    }
    // What is refused takes nothing from the one that serves.
    install(&mut engine, &policy(3).save(&[]).unwrap());
    install(&mut engine, b"{}\n");
    engine.feed(minute(1, &first()));
    assert!(turn(&mut engine, 1, &first()).0.is_some());
}

/// Both ways round: a state that comes before the policy, and one that comes after it.
#[test]
fn a_restart_goes_on_as_if_nothing_had_happened() {
    let bytes = policy(3).save(&[]).unwrap();
    for policy_first in [true, false] {
        let mut whole = engine(1);
        install(&mut whole, &bytes);
        let mut current = first();
        for i in 0..20 {
            whole.feed(minute(i, &current));
            current = turn(&mut whole, i, &current).1;
        }
        let text = serde_json::to_string(&whole.snapshot()).unwrap();
        let mut second = engine(1);
        if policy_first {
            install(&mut second, &bytes);
        }
        second
            .restore(serde_json::from_str(&text).unwrap())
            .unwrap();
        if !policy_first {
            install(&mut second, &bytes);
        }
        for i in 20..60 {
            let input = minute(i, &current);
            whole.feed(input.clone());
            second.feed(input);
            let told = turn(&mut whole, i, &current);
            assert_eq!(told, turn(&mut second, i, &current), "minute {i}");
            current = told.1;
        }
        assert_eq!(
            serde_json::to_string(&whole.snapshot()).unwrap(),
            serde_json::to_string(&second.snapshot()).unwrap()
        );
    }
}
