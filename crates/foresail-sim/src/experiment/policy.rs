//! Policies as specs: proposers, floor, guards and their own metrics pipeline.

use std::collections::BTreeMap;

use foresail_core::hpa::{
    Behavior, HpaSpec, MetricSpec, Policy as RatePolicy, PolicyType, ScalingRules,
};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{
    CombineRule, CombineSpec, Floor, ProposerSpec, ResourceSpec, Spec, TargetSpec,
};
use serde_json::{Value, json};

use crate::config::{ClusterConfig, Pipeline};
use crate::fault::Fault;

/// What all policies of a comparison share.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The cluster.
    pub cluster: ClusterConfig,
    /// The pipeline of policies that read CPU.
    pub pipeline: Pipeline,
    /// The fewest replicas.
    pub min: u32,
    /// The most replicas.
    pub max: u32,
    /// CPU utilization that the HPA aims at, in percent of the request.
    pub hpa_target_percent: u32,
    /// Rules of the schedule; empty = there is none.
    pub schedule: Vec<Value>,
    /// Name of the target in explanations.
    pub target: TargetId,
    /// Knobs of policy `aapa`.
    pub aapa: BTreeMap<String, Value>,
    /// Requests of a pod that may be changed, with their bounds; empty = none, and no policy sizes pods.
    pub resources: BTreeMap<String, ResourceSpec>,
    /// The user's own HPA, whose metric is the pods' CPU; absent = Kubernetes' defaults.
    pub own: Option<HpaSpec>,
}

/// One policy, ready to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// What the engine is told.
    pub spec: Spec,
    /// What it gets to see.
    pub pipeline: Pipeline,
    /// `true` where it reads the pods' CPU.
    pub reads_cpu: bool,
    /// Replicas that it begins with.
    pub initial: u32,
}

impl Setup {
    /// Demand that one replica is counted for: its CPU request filled up to the HPA's target.
    ///
    /// Units: requests per second.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.cluster.request_capacity() * f64::from(self.hpa_target_percent) / 100.0
    }

    /// Replicas for a rate of demand, within the bounds.
    #[must_use]
    pub fn replicas_for(&self, rate: f64) -> u32 {
        let covering = Replicas::covering(rate, self.capacity()).map_or(self.max, Replicas::get);
        covering.clamp(self.min, self.max)
    }

    /// The HPA that aims at this share of the CPU request; all else as the user has it.
    #[must_use]
    pub fn hpa_spec(&self, target_percent: u32) -> HpaSpec {
        let percent = i32::try_from(target_percent).unwrap_or(i32::MAX);
        let own = self.own.as_ref().filter(|own| !own.metrics.is_empty());
        let metrics = match own {
            Some(own) if target_percent == self.hpa_target_percent => own.metrics.clone(),
            _ => vec![MetricSpec::cpu_utilization(percent)],
        };
        HpaSpec {
            min_replicas: i32::try_from(self.min).ok(),
            max_replicas: i32::try_from(self.max).unwrap_or(i32::MAX),
            metrics,
            behavior: self.own.as_ref().and_then(|own| own.behavior.clone()),
            ..HpaSpec::default()
        }
    }

    fn spec(&self, hpa: HpaSpec, proposers: Vec<ProposerSpec>, floor: Floor) -> Spec {
        let mut spec = Spec::of_hpa(self.target.clone(), hpa);
        spec.proposers = proposers;
        spec.interval = self.pipeline.sync;
        spec.combine = CombineSpec {
            floor,
            ..CombineSpec::default()
        };
        spec.targets = vec![TargetSpec {
            id: self.target.clone(),
            hpa: spec.targets.swap_remove(0).hpa,
            capacity: Some(Quantity::from_f64(self.capacity(), Unit::PerSecond)),
            pool: None,
            startup: Some(self.cluster.startup.mean),
            resources: self.resources.clone(),
            ..TargetSpec::default()
        }];
        spec
    }

    fn policy(&self, name: &str, summary: &str, spec: Spec, initial: u32) -> Policy {
        let (name, summary) = (name.to_owned(), summary.to_owned());
        Policy {
            name,
            summary,
            spec,
            pipeline: self.pipeline.clone(),
            reads_cpu: true,
            initial,
        }
    }
}

/// Rules that limit nothing, for policies that bring their own rates.
fn unlimited() -> Behavior {
    let rules = |value| ScalingRules {
        stabilization_window_seconds: Some(0),
        policies: Some(vec![RatePolicy {
            kind: PolicyType::Pods,
            value,
            period_seconds: 1,
        }]),
        ..ScalingRules::default()
    };
    Behavior {
        scale_up: Some(rules(1_000_000)),
        scale_down: Some(rules(1_000_000)),
    }
}

/// The policies without a floor.
const ALONE: [(&str, &str); 6] = [
    (
        "aapa-published",
        "AAPA as it was published, defects included, without a floor",
    ),
    (
        "simple-ceiling",
        "the median of a forecast, without a floor",
    ),
    (
        "buffered",
        "the median of a forecast and 15 % more, without a floor",
    ),
    (
        "confidence-aware",
        "the upper quantile of a forecast, without a floor",
    ),
    (
        "policy-aware",
        "one step at a time on a forecast, without a floor",
    ),
    ("persistence", "the last value, without a floor"),
];

/// The share of the reactive floor that a relaxed one always keeps, in percent.
/// Source: specs/product_interface.md C.1, `floorMinSharePercent`.
const RELAXED_SHARE: u8 = 50;

/// The reactive floor taken away: the policy answers for itself.
const NO_FLOOR: Floor = Floor::Relaxed {
    min_share_percent: 0,
};

fn proposer(name: &str, knobs: &Value) -> ProposerSpec {
    let mut spec = ProposerSpec::named(name);
    for (key, value) in knobs.as_object().into_iter().flatten() {
        spec.knobs.insert(key.clone(), value.clone());
    }
    spec
}

/// The HPA with a target and a down window of its own.
#[must_use]
pub fn hpa(
    setup: &Setup,
    target_percent: u32,
    down_window_seconds: Option<i32>,
    initial: u32,
) -> Policy {
    let mut hpa = setup.hpa_spec(target_percent);
    if down_window_seconds.is_some() {
        let behavior = hpa.behavior.get_or_insert_default();
        let down = behavior.scale_down.get_or_insert_default();
        down.stabilization_window_seconds = down_window_seconds;
    }
    let spec = setup.spec(hpa, vec![ProposerSpec::named("hpa")], Floor::Strict);
    let summary = if setup.own.is_some() {
        "your HPA, exactly as Kubernetes runs it"
    } else {
        "the Kubernetes HPA on CPU, exactly"
    };
    setup.policy("hpa", summary, spec, initial)
}

fn fixed(setup: &Setup, replicas: u32) -> Policy {
    let mut hpa = setup.hpa_spec(setup.hpa_target_percent);
    hpa.behavior = Some(unlimited());
    let knobs = json!({"replicas": replicas});
    let spec = setup.spec(hpa, vec![proposer("static", &knobs)], NO_FLOOR);
    let mut policy = setup.policy(
        "static",
        "always the same number, sized to the mean demand",
        spec,
        replicas,
    );
    policy.reads_cpu = false;
    policy
}

fn kpa(setup: &Setup, initial: u32) -> Policy {
    let mut hpa = setup.hpa_spec(setup.hpa_target_percent);
    hpa.behavior = Some(unlimited());
    let knobs = json!({"concurrency": setup.cluster.concurrency});
    let mut spec = setup.spec(hpa, vec![proposer("kpa", &knobs)], NO_FLOOR);
    let pipeline = Pipeline {
        loss: setup.pipeline.loss,
        ..Pipeline::knative()
    };
    spec.interval = pipeline.sync;
    let mut policy = setup.policy(
        "kpa",
        "Knative's autoscaler on requests in flight",
        spec,
        initial,
    );
    policy.pipeline = pipeline;
    policy.reads_cpu = false;
    policy
}

fn schedule(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let knobs = json!({"rules": setup.schedule});
    let spec = setup.spec(hpa, vec![proposer("schedule", &knobs)], Floor::Strict);
    setup.policy(
        "schedule",
        "numbers by the clock, the HPA as their floor",
        spec,
        initial,
    )
}

/// The HPA on a forecast, over the plain HPA of the setup as its floor.
fn predictive_hpa(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let proposers = vec![
        ProposerSpec::named("predictive-hpa"),
        ProposerSpec::named("hpa"),
    ];
    let spec = setup.spec(hpa, proposers, Floor::Strict);
    let summary = "the HPA on the demand ahead, the reactive HPA as its floor";
    setup.policy("predictive-hpa", summary, spec, initial)
}

/// Foresail's own policy over the plain HPA of the setup, its floor whole.
#[must_use]
pub fn predictive(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let spec = setup.spec(hpa, vec![ProposerSpec::named("predictive")], Floor::Strict);
    let summary = "what the demand ahead is worth, the reactive HPA as its floor";
    setup.policy("predictive", summary, spec, initial)
}

/// The same where a trusted forecast may go below the floor, down to half of it.
fn predictive_relaxed(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let floor = Floor::Relaxed {
        min_share_percent: RELAXED_SHARE,
    };
    let spec = setup.spec(hpa, vec![ProposerSpec::named("predictive")], floor);
    let summary = "what the demand ahead is worth, also below the reactive HPA";
    setup.policy("predictive-relaxed", summary, spec, initial)
}

/// Archetypes over the plain HPA of the setup, whose rules hold as well: without a wish it decides
/// alone, and must be the HPA that it is.
fn aapa(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let mut aapa = ProposerSpec::named("aapa");
    aapa.knobs.clone_from(&setup.aapa);
    let spec = setup.spec(hpa, vec![aapa], Floor::Strict);
    let summary = "a strategy for each archetype of demand, the reactive HPA as its floor";
    setup.policy("aapa", summary, spec, initial)
}

/// A policy that answers for itself, as it was published: no floor, no rates.
fn alone(setup: &Setup, name: &str, summary: &str, initial: u32) -> Policy {
    let mut hpa = setup.hpa_spec(setup.hpa_target_percent);
    hpa.behavior = Some(unlimited());
    let spec = setup.spec(hpa, vec![ProposerSpec::named(name)], NO_FLOOR);
    let mut policy = setup.policy(name, summary, spec, initial);
    policy.reads_cpu = false;
    policy
}

/// The Predictive Horizontal Pod Autoscaler: the larger of the HPA and a Holt-Winters forecast of a
/// quarter of an hour ahead.
///
/// Source: jthomperoo/predictive-horizontal-pod-autoscaler (decision type `maximum`); the horizon is
/// that of AAPA's baseline.
fn holt_winters(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let knobs = json!({"forecaster": "holt-winters", "horizonSeconds": 900});
    let spec = setup.spec(hpa, vec![proposer("simple-ceiling", &knobs)], Floor::Strict);
    let summary = "a Holt-Winters forecast of 15 minutes ahead, the reactive HPA as its floor";
    setup.policy("holt-winters", summary, spec, initial)
}

/// Policies that are run where they are asked for by name.
#[must_use]
pub fn further_policies(setup: &Setup, first_rate: f64) -> Vec<Policy> {
    let initial = setup.replicas_for(first_rate);
    let mut policies = vec![
        predictive_relaxed(setup, initial),
        holt_winters(setup, initial),
        aapa(setup, initial),
    ];
    for (name, summary) in ALONE {
        policies.push(alone(setup, name, summary, initial));
    }
    policies
}

/// Policies that size pods, for a setup whose requests may be changed.
#[must_use]
pub fn sizing_policies(setup: &Setup, initial: u32) -> Vec<Policy> {
    [
        (
            "vpa",
            &["vpa"][..],
            "requests by the VPA's recommender, replicas as they are",
        ),
        (
            "hpa-vpa",
            &["hpa", "vpa"],
            "the HPA counts the pods, the VPA sizes them",
        ),
        (
            "aware",
            &["aware", "hpa", "vpa"],
            "replicas and requests by a learnt policy, HPA and VPA where it is not as good",
        ),
    ]
    .map(|(name, proposers, summary)| sizing(setup, (name, summary), proposers, initial))
    .to_vec()
}

fn sizing(
    setup: &Setup,
    (name, summary): (&str, &str),
    proposers: &[&str],
    initial: u32,
) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let alone = proposers == ["vpa"];
    let floor = if alone { NO_FLOOR } else { Floor::Strict };
    let proposers = proposers.iter().map(|p| ProposerSpec::named(p)).collect();
    let mut spec = setup.spec(hpa, proposers, floor);
    spec.combine.rule = CombineRule::First;
    setup.policy(name, summary, spec, initial)
}

fn advised(setup: &Setup, initial: u32) -> Policy {
    let hpa = setup.hpa_spec(setup.hpa_target_percent);
    let proposers = vec![ProposerSpec::named("advice"), ProposerSpec::named("hpa")];
    let spec = setup.spec(hpa, proposers, Floor::Strict);
    let summary = "what an adviser asks for, the HPA as its floor";
    setup.policy("advised", summary, spec, initial)
}

/// The oracle: whatever it is advised, at once and without a floor; it looks at nothing.
#[must_use]
pub fn oracle(setup: &Setup, initial: u32) -> Policy {
    let mut hpa = setup.hpa_spec(setup.hpa_target_percent);
    hpa.behavior = Some(unlimited());
    let spec = setup.spec(hpa, vec![ProposerSpec::named("oracle")], NO_FLOOR);
    let summary = "the cheapest plan of one who knows all demand to come";
    let mut policy = setup.policy("oracle", summary, spec, initial);
    // Reports of each second keep the guard against stale samples out of it.
    policy.pipeline.concurrency = true;
    policy.reads_cpu = false;
    policy
}

/// The default set for a workload with this mean rate and this rate at its begin.
///
/// `schedule` is left out where the setup has no rules, `advised` where nobody advises.
#[must_use]
pub fn default_policies(setup: &Setup, mean_rate: f64, first_rate: f64) -> Vec<Policy> {
    let initial = setup.replicas_for(first_rate);
    let mut policies = vec![
        fixed(setup, setup.replicas_for(mean_rate)),
        hpa(setup, setup.hpa_target_percent, None, initial),
        kpa(setup, initial),
        predictive_hpa(setup, initial),
        predictive(setup, initial),
    ];
    if !setup.schedule.is_empty() {
        policies.push(schedule(setup, initial));
    }
    let advises = |f: &Fault| matches!(f, Fault::LyingAdvice { .. });
    if setup.cluster.faults.iter().any(advises) {
        policies.push(advised(setup, initial));
    }
    policies
}

/// Targets of the HPA's frontier, in percent.
pub const FRONTIER_TARGETS: [u32; 6] = [40, 50, 60, 70, 80, 90];

/// Down windows of the HPA's frontier, in seconds.
pub const FRONTIER_WINDOWS: [i32; 3] = [0, 60, 300];

/// The HPA at every setting of its frontier: target, down window, policy.
///
/// One setting would be a straw man: who compares with the HPA must compare with the best one.
#[must_use]
pub fn frontier(setup: &Setup, first_rate: f64) -> Vec<(u32, i32, Policy)> {
    let mut settings = Vec::new();
    for target in FRONTIER_TARGETS {
        for window in FRONTIER_WINDOWS {
            let initial = setup.replicas_for(first_rate);
            settings.push((target, window, hpa(setup, target, Some(window), initial)));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_the_same_pods_and_begins_alike() {
        let setup = Setup {
            resources: BTreeMap::new(),
            cluster: ClusterConfig::default(),
            pipeline: Pipeline::default(),
            min: 1,
            max: 100,
            hpa_target_percent: 70,
            schedule: Vec::new(),
            target: TargetId::new("web"),
            aapa: BTreeMap::new(),
            own: None,
        };
        // Two busy pods are three at 70 %: 2.0 / 0.7.
        let busy = 2.0 * setup.cluster.request_capacity();
        assert_eq!(setup.replicas_for(busy), 3);
        let mut all = default_policies(&setup, busy, busy);
        all.extend(further_policies(&setup, busy));
        assert!(all.iter().any(|p| p.name == "aapa-published"));
        for policy in all {
            let target = &policy.spec.targets[0];
            let capacity = Quantity::from_f64(setup.capacity(), Unit::PerSecond);
            assert_eq!(target.capacity, Some(capacity), "{}", policy.name);
            assert_eq!(
                target.startup,
                Some(setup.cluster.startup.mean),
                "{}",
                policy.name
            );
            assert_eq!(policy.initial, 3, "{}", policy.name);
        }
    }
}
