//! What the tests of the engine share: small proposers and scenes by hand.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::history::View;
use foresail_core::hpa::{
    Behavior, HpaSpec, MetricSpec, Phase, Pod, PodReading, PodSample, Policy, PolicyType, Reading,
    Ready, ScalingRules,
};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::propose::{Absence, Basis, Confidence, Context, Outlook, Proposal, Proposer};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{ProposerSpec, Spec, ValidSpec};

/// The time of the tests' decisions.
pub const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// The one target.
pub fn target() -> TargetId {
    TargetId::new("default/Deployment/web")
}

/// Seconds as a span.
pub fn seconds(n: i64) -> Span {
    Span::from_seconds(n)
}

/// Wishes a number, whatever it sees.
#[derive(Debug)]
pub struct Wishes(pub u32);

impl Proposer for Wishes {
    fn propose(&mut self, _: &View<'_>, _: &Context<'_>) -> Proposal {
        Proposal::replicas(&target(), Replicas::new(self.0), Basis::Fixed)
    }
}

/// Wishes the HPA's own answer.
#[derive(Debug)]
pub struct Hpa;

impl Proposer for Hpa {
    fn propose(&mut self, _: &View<'_>, context: &Context<'_>) -> Proposal {
        let reactive = context.reactive[0];
        let (metric, ratio_milli) = (reactive.metric, reactive.ratio_milli);
        match reactive.replicas {
            Some(replicas) => Proposal::replicas(
                &target(),
                replicas,
                Basis::Hpa {
                    metric,
                    ratio_milli,
                },
            ),
            None => Proposal::absent(Absence::NoMetric),
        }
    }
}

/// A forecast with given quantiles.
#[derive(Clone, Debug)]
pub struct Forecasts {
    pub q10: f64,
    pub q50: f64,
    pub q90: f64,
    pub observed: f64,
    pub capacity: f64,
}

impl Proposer for Forecasts {
    fn propose(&mut self, _: &View<'_>, context: &Context<'_>) -> Proposal {
        let Some(replicas) = Replicas::covering(self.q90, self.capacity) else {
            return Proposal::absent(Absence::NoHistory);
        };
        let outlook = Outlook {
            forecaster: "test",
            q10: self.q10,
            q50: self.q50,
            q90: self.q90,
            q50_now: self.q50,
            observed: Some(self.observed),
            made_at: context.now,
            horizon: Span::from_seconds(120),
            coverage_percent: Some(80),
            level_percent: 90,
            demand: self.q90,
            capacity: self.capacity,
            fitted_at: None,
            relearnt_at: None,
        };
        let basis = Basis::Forecast(Box::new(outlook));
        Proposal {
            confidence: Confidence::percent(80),
            ..Proposal::replicas(&target(), replicas, basis)
        }
    }
}

/// Policies of one direction.
pub fn rules(window: i32, pods: i32, period: i32) -> ScalingRules {
    ScalingRules {
        stabilization_window_seconds: Some(window),
        policies: Some(vec![Policy {
            kind: PolicyType::Pods,
            value: pods,
            period_seconds: period,
        }]),
        ..ScalingRules::default()
    }
}

/// An HPA on CPU at 60 % with bounds.
pub fn hpa(min: i32, max: i32) -> HpaSpec {
    HpaSpec {
        min_replicas: Some(min),
        max_replicas: max,
        metrics: vec![MetricSpec::cpu_utilization(60)],
        ..HpaSpec::default()
    }
}

/// A spec of one target with these proposers by name.
pub fn spec(hpa: HpaSpec, proposers: &[&str]) -> Spec {
    let mut spec = Spec::of_hpa(target(), hpa);
    spec.proposers = proposers
        .iter()
        .map(|name| ProposerSpec::named(name))
        .collect();
    spec
}

/// An engine of a spec and proposers of the tests.
pub fn engine(spec: Spec, proposers: Vec<Box<dyn Proposer>>) -> Engine {
    Engine::new(ValidSpec::new(spec).expect("a valid spec"), proposers)
}

/// `count` ready pods that started an hour ago, each with this CPU of a request of one core.
pub fn state(current: u32, usage: &[Option<i64>], age: i64) -> TargetState {
    let pod = Pod {
        phase: Phase::Running,
        deleting: false,
        started_at: Some(NOW - seconds(3600)),
        ready: Ready::True,
        ready_changed_at: NOW - seconds(3590),
        count: 1,
    };
    let reading = |value: &Option<i64>| PodReading {
        request: Some(1000),
        sample: value.map(|value| PodSample {
            value,
            at: NOW - seconds(age),
            window: seconds(30),
        }),
    };
    TargetState {
        target: target(),
        current: Setting::replicas(Replicas::new(current)),
        status_replicas: Replicas::new(u32::try_from(usage.len()).unwrap_or(0)),
        ready: Replicas::new(u32::try_from(usage.len()).unwrap_or(0)),
        pods: vec![pod; usage.len()],
        readings: vec![Reading::Pods(usage.iter().map(reading).collect())],
        ..TargetState::default()
    }
}

/// Samples of one target.
pub fn samples(state: TargetState) -> Input {
    let (health, leading) = (Health::default(), true);
    Input::Samples(Samples {
        at: NOW,
        health,
        leading,
        targets: vec![state],
        values: Vec::new(),
    })
}

/// What an engine decides of a state at [`NOW`].
pub fn decide(engine: &mut Engine, state: TargetState) -> Tick {
    engine.feed(samples(state));
    engine.feed(Input::Tick { now: NOW }).expect("a tick")
}

/// The decided replicas of a tick.
pub fn decided(tick: &Tick) -> u32 {
    tick.targets[0].decided.replicas.expect("replicas").get()
}

/// Behavior with both directions given.
pub fn behavior(up: ScalingRules, down: ScalingRules) -> Behavior {
    Behavior {
        scale_up: Some(up),
        scale_down: Some(down),
    }
}
