//! What the engine's types must carry, shown by small proposers: requests, pools under one memory
//! budget, a tuner's trials, advice as a delta, a learner. Each is recorded, killed half-way,
//! restored and replayed identically.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

use foresail_core::act::{Outcome, Seq, Settled};
use foresail_core::admit::{Admission, Arbiter, Budgets, Decision};
use foresail_core::engine::{Engine, Input, Snapshot, Tick};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::history::View;
use foresail_core::hpa::{HpaSpec, MetricSpec, Phase, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::advice::{Advice, Best, Measurement, Says, Trial, Tuner};
use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Proposal, Proposer, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas};
use foresail_core::spec::{Floor, PoolSpec, ProposerSpec, Spec, TargetSpec, ValidSpec};

const START: Timestamp = Timestamp::from_seconds(1_000_000);

fn id(name: &str) -> TargetId {
    TargetId::new(name)
}

fn hpa(percent: i32) -> HpaSpec {
    HpaSpec {
        min_replicas: Some(1),
        max_replicas: 50,
        metrics: vec![MetricSpec::cpu_utilization(percent)],
        ..HpaSpec::default()
    }
}

fn spec_of(targets: &[&str], proposer: &str) -> Spec {
    let mut spec = Spec::of_hpa(id(targets[0]), hpa(60));
    let target = |name: &&str| TargetSpec {
        id: id(name),
        hpa: hpa(60),
        capacity: None,
        pool: None,
        ..TargetSpec::default()
    };
    spec.targets = targets.iter().map(target).collect();
    spec.proposers = vec![ProposerSpec::named(proposer)];
    spec
}

/// A target with pods that use `usage` of a request of one core.
fn state(name: &str, replicas: u32, usage: i64, now: Timestamp) -> TargetState {
    let pod = Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(START - Span::from_seconds(9000)),
        ready: Ready::True,
        ready_changed_at: START - Span::from_seconds(8000),
        count: 1,
    };
    let sample = PodSample {
        value: usage,
        at: now - Span::from_seconds(15),
        window: Span::from_seconds(30),
    };
    let reading = PodReading {
        request: Some(1000),
        sample: Some(sample),
    };
    let mut current = Setting::replicas(Replicas::new(replicas));
    current.per_pod.set("cpu", "1".parse().unwrap());
    TargetState {
        target: id(name),
        current,
        status_replicas: Replicas::new(replicas),
        ready: Replicas::new(replicas),
        pods: vec![pod; replicas as usize],
        readings: vec![Reading::Pods(vec![reading; replicas as usize])],
        ..TargetState::default()
    }
}

fn samples(now: Timestamp, targets: Vec<TargetState>) -> Input {
    let (health, leading) = (Health::default(), true);
    Input::Samples(Samples {
        at: now,
        health,
        leading,
        targets,
        values: Vec::new(),
    })
}

/// A proposer by its constructor, so that a second engine can be built of it.
type Maker = fn() -> Box<dyn Proposer>;

fn build(spec: &Spec, maker: Maker) -> Engine {
    Engine::new(
        ValidSpec::new(spec.clone()).expect("a valid spec"),
        vec![maker()],
    )
}

fn tell(engine: &Engine, tick: &Tick) -> String {
    let one = |i| Explanation::new(tick, i, engine.spec(), &Identity::default(), None);
    let all: Vec<_> = (0..tick.targets.len()).filter_map(one).collect();
    serde_json::to_string(&all).expect("JSON")
}

/// Feeds inputs; returns what each tick told and the last tick.
fn fly(engine: &mut Engine, inputs: &[Input]) -> (Vec<String>, Option<Tick>) {
    let mut told = Vec::new();
    let mut last = None;
    for input in inputs {
        if let Some(tick) = engine.feed(input.clone()) {
            told.push(tell(engine, &tick));
            last = Some(tick);
        }
    }
    (told, last)
}

/// One whole flight, then: the same inputs as JSON again, and killed in the middle and restored
/// from a snapshot as JSON; all must tell the same.
fn check_replay(spec: &Spec, maker: Maker, inputs: &[Input]) -> Tick {
    let (whole, last) = fly(&mut build(spec, maker), inputs);
    let lines: Vec<String> = inputs
        .iter()
        .map(|i| serde_json::to_string(i).expect("JSON"))
        .collect();
    let read: Vec<Input> = lines
        .iter()
        .map(|l| serde_json::from_str(l).expect("the same"))
        .collect();
    assert_eq!(read, inputs, "inputs read back as they were");
    assert_eq!(
        fly(&mut build(spec, maker), &read).0,
        whole,
        "a replay is identical"
    );
    for half in 0..inputs.len() {
        let mut first = build(spec, maker);
        let (mut told, _) = fly(&mut first, &inputs[..half]);
        let state = serde_json::to_string(&first.snapshot()).expect("JSON");
        drop(first);
        let mut second = build(spec, maker);
        let snapshot: Snapshot = serde_json::from_str(&state).expect("the same");
        second.restore(snapshot).expect("restorable");
        told.extend(fly(&mut second, &inputs[half..]).0);
        assert_eq!(told, whole, "killed after input {half}");
    }
    last.expect("a tick")
}

// A request halved under the floor.

/// Wishes half the CPU request and no other number of replicas.
#[derive(Debug)]
struct Halves;

impl Proposer for Halves {
    fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
        let mut setting = Setting::replicas(Replicas::new(2));
        setting.per_pod.set("cpu", "500m".parse().unwrap());
        let plan = vec![(view.spec.targets()[0].id.clone(), setting)];
        Proposal {
            plan,
            ..Proposal::replicas(&view.spec.targets()[0].id, Replicas::ZERO, Basis::Fixed)
        }
    }
}

#[test]
fn a_request_halved_under_the_floor_drops_no_replica() {
    let mut inputs = Vec::new();
    for i in 0..6 {
        let now = START + Span::from_seconds(15 * i);
        // 4 pods at 60 % of one core: 4 at the old request, 8 at half of it.
        inputs.push(samples(now, vec![state("web", 4, 600, now)]));
        inputs.push(Input::Tick { now });
    }
    let tick = check_replay(&spec_of(&["web"], "halves"), || Box::new(Halves), &inputs);
    let web = &tick.targets[0];
    assert_eq!(
        web.wanted.reactive.replicas,
        Some(Replicas::new(8)),
        "the floor at the proposed request"
    );
    assert!(
        web.decided.replicas >= Some(Replicas::new(4)),
        "{:?}",
        web.decided
    );
    assert_eq!(
        web.decided.per_pod.get("cpu"),
        Some("500m".parse().unwrap())
    );
}

// Two functions under one memory budget.

/// Wishes a pool of ten for every function.
#[derive(Debug)]
struct Pools;

impl Proposer for Pools {
    fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
        let wish = Setting {
            pool: Some(Replicas::new(10)),
            keep_alive: Some(Span::from_seconds(600)),
            ..Setting::default()
        };
        let plan: Plan = view
            .spec
            .targets()
            .iter()
            .map(|t| (t.id.clone(), wish.clone()))
            .collect();
        let (interval, ratio_milli) = (None, None);
        Proposal {
            plan,
            interval,
            confidence: Confidence::FULL,
            ratio_milli,
            cooldowns: Vec::new(),
            basis: Basis::Fixed,
        }
    }
}

#[test]
fn two_functions_share_a_gibibyte_of_warm_memory() {
    let mut spec = spec_of(&["f/resize", "f/thumb"], "pools");
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    for (target, memory) in spec.targets.iter_mut().zip(["64Mi", "128Mi"]) {
        let (min, max, memory) = (
            Replicas::ZERO,
            Replicas::new(20),
            Some(memory.parse().unwrap()),
        );
        target.pool = Some(PoolSpec { min, max, memory });
    }
    let idle = |name: &str| TargetState {
        target: id(name),
        current: Setting {
            pool: Some(Replicas::new(1)),
            ..Setting::default()
        },
        ..TargetState::default()
    };
    let inputs: Vec<Input> = (0..4)
        .flat_map(|i| {
            let now = START + Span::from_seconds(60 * i);
            [
                samples(now, vec![idle("f/resize"), idle("f/thumb")]),
                Input::Tick { now },
            ]
        })
        .collect();
    let tick = check_replay(&spec, || Box::new(Pools), &inputs);
    let valid = ValidSpec::new(spec).expect("a valid spec");
    let warm_memory: Option<Quantity> = Some("1Gi".parse().unwrap());
    let mut arbiter = Admission::new(Budgets {
        warm_memory,
        ..Budgets::default()
    });
    let decisions = arbiter.admit(&[(&valid, &tick)]);
    let pool = |d: &Decision| d.setting.pool.map_or(0, Replicas::get);
    // 10 × 64 Mi leave 384 Mi: three of 128 Mi.
    assert_eq!([pool(&decisions[0]), pool(&decisions[1])], [10, 3]);
    let told =
        Explanation::new(&tick, 1, &valid, &Identity::default(), Some(&decisions[1])).expect("one");
    assert!(
        told.to_string()
            .contains("pool 10→3, warm memory of all pools is 1Gi"),
        "{told}"
    );
    assert!(
        told.broken_laws((Replicas::ZERO, Replicas::new(50)))
            .is_empty()
    );
}

// A tuner of three stages, by ask and tell.

/// Tries a request for each of three stages, smaller every time, until the SLO breaks.
#[derive(Debug, Default)]
struct Bisects {
    next: u64,
    best: Option<u64>,
}

const STAGES: [&str; 3] = ["flow/a", "flow/b", "flow/c"];

fn stage_plan(millicores: i64) -> Plan {
    let setting = || {
        let mut setting = Setting::default();
        setting.per_pod.set(
            "cpu",
            Quantity::from_milli(millicores, foresail_core::quantity::units::Unit::Count),
        );
        setting
    };
    STAGES.iter().map(|s| (id(s), setting())).collect()
}

impl Tuner for Bisects {
    fn ask(&mut self) -> Vec<Trial> {
        if self.next > 2 {
            return Vec::new();
        }
        self.next += 1;
        let number = self.next;
        vec![Trial {
            number,
            plan: stage_plan(900 - 200 * number as i64),
            spend_milli: 100 * number,
        }]
    }

    fn tell(&mut self, trial: &Trial, measurement: &Measurement) {
        if measurement.slo_met {
            self.best = Some(trial.number);
        }
    }

    fn best(&self) -> Option<Best> {
        self.best.map(|number| Best {
            plan: stage_plan(900 - 200 * number as i64),
            objective: 1.0,
            excess: 0.0,
            feasible: true,
        })
    }

    fn reopen(&mut self, _trials: u64) {
        self.next = 0;
    }
}

/// Turns the trial that is advised into a wish.
#[derive(Debug)]
struct Trials;

impl Proposer for Trials {
    fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
        match view.advice("tuner").map(|a| (a, &a.says)) {
            Some((advice, Says::Trial(trial))) => Proposal {
                plan: trial.plan.clone(),
                interval: None,
                confidence: Confidence::FULL,
                ratio_milli: None,
                cooldowns: Vec::new(),
                basis: Basis::Trial {
                    number: trial.number,
                    spend_milli: trial.spend_milli,
                    since: advice.at,
                },
            },
            _ => Proposal::absent(Absence::NoAdvice),
        }
    }
}

#[test]
fn a_trial_that_breaks_the_slo_or_costs_too_much_is_dropped() {
    let mut spec = spec_of(&STAGES, "trials");
    spec.combine.gate.spend_milli_max = Some(250);
    let mut tuner = Bisects::default();
    let mut inputs = Vec::new();
    let mut gates = Vec::new();
    let mut engine = build(&spec, || Box::new(Trials));
    let mut second = 0;
    while let Some(trial) = tuner.ask().pop() {
        let now = START + Span::from_seconds(second);
        let until = now + Span::from_seconds(600);
        let says = Says::Trial(trial.clone());
        let advice = Advice {
            by: "tuner".to_owned(),
            at: now,
            until,
            says,
            confidence_percent: None,
            text: String::new(),
        };
        inputs.push(Input::Advice(advice));
        // The second trial is too small: the SLO breaks while it runs.
        for broken in [false, trial.number == 2] {
            let now = START + Span::from_seconds(second);
            let states = STAGES.iter().map(|s| TargetState {
                slo_broken: broken,
                ..state(s, 2, 500, now)
            });
            inputs.push(samples(now, states.collect()));
            inputs.push(Input::Tick { now });
            second += 60;
        }
        let (_, last) = fly(&mut engine, &inputs[inputs.len() - 5..]);
        let tick = last.expect("a tick");
        gates.push(tick.judged[0].gate);
        let slo_met = tick.judged[0].gate.is_none();
        tuner.tell(
            &trial,
            &Measurement {
                objective: Some(1.0),
                excess: None,
                slo_met,
            },
        );
        let at = START + Span::from_seconds(second);
        let says = Says::TrialEnded(trial.number);
        inputs.push(Input::Advice(Advice {
            by: "tuner".to_owned(),
            at,
            until: at,
            says,
            confidence_percent: None,
            text: String::new(),
        }));
        engine.feed(inputs[inputs.len() - 1].clone());
    }
    use foresail_core::combine::gate::Gate;
    assert_eq!(gates, [None, Some(Gate::SloBroken), Some(Gate::Spend)]);
    assert_eq!(tuner.best, Some(1));
    check_replay(&spec, || Box::new(Trials), &inputs);
}

// A delta on the baseline, as a language model gives it.

/// Adds the advised delta to the reactive baseline.
#[derive(Debug)]
struct Deltas;

impl Proposer for Deltas {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        let Some(advice) = view.advice("model") else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let Says::Delta(deltas) = &advice.says else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let baseline = context.reactive[0].replicas.map_or(0, Replicas::as_i64);
        let replicas = Replicas::saturating(baseline + i64::from(deltas[0].1));
        let basis = Basis::Advice {
            text: advice.text.clone(),
        };
        let confidence = Confidence::percent(advice.confidence_percent.unwrap_or(0));
        Proposal {
            confidence,
            ..Proposal::replicas(&deltas[0].0, replicas, basis)
        }
    }
}

#[test]
fn advice_is_a_delta_on_the_baseline_under_the_same_guards() {
    let spec = spec_of(&["web"], "deltas");
    let advise = |second: i64, delta: i32| {
        let at = START + Span::from_seconds(second);
        let until = at + Span::from_seconds(45);
        let says = Says::Delta(vec![(id("web"), delta)]);
        let text = "traffic doubles at nine ".repeat(100);
        Input::Advice(Advice {
            by: "model".to_owned(),
            at,
            until,
            says,
            confidence_percent: Some(70),
            text,
        })
    };
    let at = |second: i64| {
        let now = START + Span::from_seconds(second);
        [
            samples(now, vec![state("web", 4, 900, now)]),
            Input::Tick { now },
        ]
    };
    let mut inputs = vec![advise(0, 1)];
    inputs.extend(at(0));
    let tick = check_replay(&spec, || Box::new(Deltas), &inputs);
    assert_eq!(
        tick.targets[0].decided.replicas,
        Some(Replicas::new(7)),
        "6 of the HPA and one more"
    );
    inputs.push(advise(15, 1000));
    inputs.extend(at(15));
    let tick = check_replay(&spec, || Box::new(Deltas), &inputs);
    assert_eq!(
        tick.targets[0].decided.replicas,
        Some(Replicas::new(8)),
        "at most twice the current"
    );
    inputs.push(advise(30, -5));
    inputs.extend(at(30));
    let tick = check_replay(&spec, || Box::new(Deltas), &inputs);
    assert!(
        tick.targets[0].decided.replicas >= Some(Replicas::new(6)),
        "never below the floor"
    );
    inputs.extend(at(120));
    let tick = check_replay(&spec, || Box::new(Deltas), &inputs);
    assert_eq!(
        tick.judged[0].proposal.basis,
        Basis::Absent(Absence::NoAdvice),
        "old advice is no advice"
    );
    let told = build(&spec, || Box::new(Deltas));
    let longest = fly(&mut build(&spec, || Box::new(Deltas)), &inputs[..3]).0;
    assert!(
        longest[0].len() < 4096,
        "the reasoning is cut: {} bytes",
        longest[0].len()
    );
    drop(told);
}

// A learner sees what was executed, not what it wished.

/// Wishes ten and remembers what it was told.
#[derive(Debug, Default)]
struct Learns {
    seen: Vec<(u64, u32)>,
}

impl Proposer for Learns {
    fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
        // Its wish tells what it learned, so that the replay must get that right too.
        let learned: u32 = self.seen.iter().map(|(_, n)| n).sum();
        Proposal::replicas(
            &view.spec.targets()[0].id,
            Replicas::new(20 + learned),
            Basis::Fixed,
        )
    }

    fn settled(&mut self, settled: &Settled) {
        let executed = settled.executed.first().and_then(|(_, s)| s.replicas);
        self.seen
            .push((settled.seq.0, executed.map_or(0, Replicas::get)));
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.seen).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |e: serde_json::Error| RestoreError {
            proposer: "learns".to_owned(),
            why: e.to_string(),
        };
        self.seen = serde_json::from_slice(state).map_err(failed)?;
        Ok(())
    }
}

#[test]
fn a_learner_sees_the_executed_action_and_not_its_wish() {
    let spec = spec_of(&["web"], "learns");
    let mut engine = build(&spec, || Box::new(Learns::default()));
    let mut inputs = Vec::new();
    let mut current = 4;
    for i in 0..5_u32 {
        let now = START + Span::from_seconds(15 * i64::from(i));
        let begin = inputs.len();
        inputs.push(samples(now, vec![state("web", current, 600, now)]));
        inputs.push(Input::Tick { now });
        let (_, tick) = fly(&mut engine, &inputs[begin..]);
        let tick = tick.expect("a tick");
        let decided = tick.targets[0].decided.replicas.expect("replicas");
        assert!(decided.get() <= 2 * current, "the wish of 20 is limited");
        // The third write fails.
        let failed = i == 2;
        let outcome = if failed {
            Outcome::Failed
        } else {
            Outcome::Applied
        };
        let executed = if failed {
            Vec::new()
        } else {
            vec![(id("web"), Setting::replicas(decided))]
        };
        let settled = Input::Settled {
            seq: tick.seq,
            outcome,
            executed,
        };
        engine.feed(settled.clone());
        inputs.push(settled);
        current = if failed { current } else { decided.get() };
    }
    let learned: Vec<(u64, u32)> = {
        let snapshot = engine.snapshot();
        let hex = &snapshot.proposers[0].1;
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!(learned[0], (1, 8), "executed 8, wished 20");
    assert_eq!(learned[2].1, 0, "nothing was executed");
    check_replay(&spec, || Box::new(Learns::default()), &inputs);
    assert_eq!(Seq(5), Seq(learned.last().unwrap().0));
}

// A proposer that breaks down does not take the others with it.

/// Fails every third time.
#[derive(Debug, Default)]
struct Fails {
    asked: u8,
}

impl Proposer for Fails {
    fn propose(&mut self, view: &View<'_>, _: &Context<'_>) -> Proposal {
        self.asked += 1;
        assert!(!self.asked.is_multiple_of(3), "this failure is meant");
        Proposal::replicas(&view.spec.targets()[0].id, Replicas::new(6), Basis::Fixed)
    }

    fn save(&self) -> Vec<u8> {
        vec![self.asked]
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        self.asked = state.first().copied().unwrap_or(0);
        Ok(())
    }
}

#[test]
fn a_proposer_that_fails_goes_on_from_its_last_saved_state() {
    let inputs: Vec<Input> = (0..8)
        .flat_map(|i| {
            let now = START + Span::from_seconds(15 * i);
            [
                samples(now, vec![state("web", 4, 600, now)]),
                Input::Tick { now },
            ]
        })
        .collect();
    let tick = check_replay(
        &spec_of(&["web"], "fails"),
        || Box::new(Fails::default()),
        &inputs,
    );
    assert_eq!(
        tick.judged[0].proposal.basis,
        Basis::Absent(Absence::Failed),
        "state 2 is tried again and again"
    );
    assert!(
        tick.targets[0].decided.replicas >= Some(Replicas::new(4)),
        "the floor holds without it"
    );
}
