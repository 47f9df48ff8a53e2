//! The engine with the proposer `vpa`, a target for each container, and what it advises.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use foresail_adapters::kubernetes::resize::{Amounts, PodSize};
use foresail_core::admit::Decision;
use foresail_core::engine::{Engine, Input, Snapshot, Tick};
use foresail_core::explain::{BasisTold, Explanation, Identity};
use foresail_core::guard::{GuardName, Limit};
use foresail_core::hpa::{HpaSpec, MetricSpec};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Axis, TargetId};
use foresail_core::propose::requests::RequestRange;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::{
    CombineRule, CombineSpec, Floor, Mode, ProposerSpec, Resize, ResourceSpec, Spec, SpecProblem,
    TargetSpec,
};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fit::{Cut, Fitted, quantity};
use super::group::{Owner, PodGroup};
use super::subject::RESOURCES;

/// The least CPU of a pod, which its containers share. Source: the recommender's
/// `pod-recommendation-min-cpu-millicores`.
const POD_CPU_MILLI: f64 = 25.0;

/// The least memory of a pod, in MiB. Source: `pod-recommendation-min-memory-mb`.
const POD_MEMORY_MIB: f64 = 250.0;

/// The least that can be written, and what no node has: bounds where the user has none.
const UNBOUNDED: [(&str, i64, i64); 2] = [
    ("cpu", 1, 100_000_000),
    ("memory", (1 << 20) * 1000, (1 << 50) * 1000),
];

/// Memory is rounded to so many bytes, for people.
const MEMORY_STEP_BYTES: u32 = 1 << 20;

/// One container that is sized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedContainer {
    /// Its name.
    pub container: String,
    /// Its name as a target of the engine.
    pub target: TargetId,
    /// Bounds of those of its resources that are sized.
    pub bounds: BTreeMap<String, ResourceSpec>,
}

/// Bounds of one resource, in thousandths; without a bound of the user's, what can be written.
#[must_use]
pub fn bounds(resource: &str, least: Option<i64>, most: Option<i64>) -> ResourceSpec {
    let known = UNBOUNDED.iter().find(|(name, ..)| *name == resource);
    let (low, high) = known.map_or((1, i64::MAX), |(_, low, high)| (*low, *high));
    ResourceSpec {
        min: quantity(resource, least.unwrap_or(low)),
        max: quantity(resource, most.unwrap_or(high)),
        step: quantity(resource, if resource == "memory" { 1000 } else { 1 }),
    }
}

/// The name of one container of a workload as a target of the engine.
#[must_use]
pub fn target(namespace: &str, owner: Owner<'_>, container: &str) -> TargetId {
    let Owner { kind, name } = owner;
    TargetId::new(&format!("{namespace}/{kind}/{name}/{container}"))
}

/// Knobs of the proposer, where they are not its own defaults.
#[must_use]
pub fn knobs() -> BTreeMap<String, Value> {
    BTreeMap::from([("roundMemoryBytes".to_owned(), json!(MEMORY_STEP_BYTES))])
}

/// What the user says of it.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Knobs of the proposer.
    pub knobs: BTreeMap<String, Value>,
    /// How pods get other requests.
    pub resize: Resize,
    /// What is allowed.
    pub mode: Mode,
    /// Time between two looks.
    pub interval: Span,
}

/// What an adviser learnt, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Learnt {
    engine: Snapshot,
    seen: Option<(Timestamp, Timestamp)>,
    samples: u64,
    used: BTreeMap<String, i64>,
}

/// An engine over the containers of one workload.
#[derive(Debug)]
pub struct Adviser {
    engine: Engine,
    sized: Vec<SizedContainer>,
    tick: Option<Tick>,
    /// Times of the first and the newest sample that was taken in.
    seen: Option<(Timestamp, Timestamp)>,
    /// Samples of CPU that were taken in.
    samples: u64,
    /// The most memory that each container was seen to use, in thousandths of a byte.
    used: BTreeMap<String, i64>,
}

/// What is advised for one container.
#[derive(Clone, Debug)]
pub struct Advised {
    /// The container.
    pub container: String,
    /// The whole story, what the namespace cut included.
    pub explanation: Explanation,
    /// What is known of each resource.
    pub ranges: BTreeMap<String, RequestRange>,
}

/// The engine's spec: a target for each container, sized by `vpa` alone.
///
/// The floor is off: replicas are another's here, and an HPA's floor is reckoned for pods and not
/// for containers.
fn spec(sized: &[SizedContainer], wishes: &Wishes) -> Spec {
    let hpa = HpaSpec {
        min_replicas: Some(1),
        max_replicas: i32::MAX,
        metrics: RESOURCES.map(|r| MetricSpec::utilization(r, 80)).to_vec(),
        ..HpaSpec::default()
    };
    let target = |one: &SizedContainer| TargetSpec {
        id: one.target.clone(),
        hpa: hpa.clone(),
        resources: one.bounds.clone(),
        resize: wishes.resize,
        ..TargetSpec::default()
    };
    let mut vpa = ProposerSpec::named("vpa");
    let count = sized.len().max(1) as f64;
    let own = [
        (
            "podRecommendationMinCpuMillicores",
            json!(POD_CPU_MILLI / count),
        ),
        (
            "podRecommendationMinMemoryMb",
            json!(POD_MEMORY_MIB / count),
        ),
    ];
    vpa.knobs = own.map(|(n, v)| (n.to_owned(), v)).into();
    vpa.knobs.extend(wishes.knobs.clone());
    Spec {
        targets: sized.iter().map(target).collect(),
        mode: wishes.mode,
        interval: wishes.interval,
        proposers: vec![vpa],
        combine: CombineSpec {
            rule: CombineRule::First,
            floor: Floor::Relaxed {
                min_share_percent: 0,
            },
            ..CombineSpec::default()
        },
        guards: foresail_core::spec::GuardSpec::default(),
        controller: foresail_core::hpa::ControllerSettings::default(),
    }
}

impl Adviser {
    /// An engine that knows nothing yet.
    ///
    /// # Errors
    /// Where bounds or knobs are none that it can use; each problem with its mend.
    pub fn new(sized: Vec<SizedContainer>, wishes: &Wishes) -> Result<Self> {
        let engine = engine_of(spec(&sized, wishes), Seed(42))
            .map_err(|problems| anyhow::anyhow!("{}", SpecProblem::joined(&problems)))?;
        Ok(Self {
            engine,
            sized,
            tick: None,
            seen: None,
            samples: 0,
            used: BTreeMap::new(),
        })
    }

    /// The containers that are sized.
    #[must_use]
    pub fn sized(&self) -> &[SizedContainer] {
        &self.sized
    }

    /// What it learnt, to be stored.
    #[must_use]
    pub fn learnt(&self) -> Learnt {
        Learnt {
            engine: self.engine.snapshot(),
            seen: self.seen,
            samples: self.samples,
            used: self.used.clone(),
        }
    }

    /// Goes on from what one before it learnt; containers that it did not know begin anew.
    ///
    /// # Errors
    /// Where that is of another form.
    pub fn go_on(&mut self, learnt: Learnt) -> Result<()> {
        self.engine.restore(learnt.engine)?;
        (self.seen, self.samples, self.used) = (learnt.seen, learnt.samples, learnt.used);
        Ok(())
    }

    /// Takes in one look and decides; the engine's health says what may go down.
    pub fn look(&mut self, group: &PodGroup, health: Health, at: Timestamp) {
        for (container, memory) in group.memory_used() {
            self.note_used(&container, memory);
        }
        let states = self.sized.iter();
        let states = states.map(|one| group.state(one.target.clone(), &one.container));
        let states = states.collect();
        self.feed(states, health, at);
    }

    /// Remembers what a container used, in thousandths of a byte.
    pub fn note_used(&mut self, container: &str, memory: i64) {
        let most = self.used.entry(container.to_owned()).or_insert(memory);
        *most = (*most).max(memory);
    }

    /// Takes in the state of every container, in their order, and decides.
    pub fn feed(&mut self, targets: Vec<TargetState>, health: Health, at: Timestamp) {
        self.count(&targets);
        let samples = Samples {
            at,
            health,
            leading: true,
            targets,
            values: Vec::new(),
        };
        self.engine.feed(Input::Samples(samples));
        self.tick = self.engine.feed(Input::Tick { now: at });
    }

    fn count(&mut self, targets: &[TargetState]) {
        let Some(Some(foresail_core::hpa::Reading::Pods(cpu))) =
            targets.first().map(|t| t.readings.first())
        else {
            return;
        };
        let newest = self.seen.map(|(_, newest)| newest);
        let fresh = |at: &Timestamp| newest.is_none_or(|n| *at > n);
        let times: Vec<Timestamp> = cpu.iter().filter_map(|r| Some(r.sample?.at)).collect();
        self.samples += times.iter().filter(|at| fresh(at)).count() as u64;
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        self.seen = Some(match self.seen {
            Some((begin, end)) => (begin.min(*first), end.max(*last)),
            None => (*first, *last),
        });
    }

    /// Samples of CPU that were taken in, and the time that they span.
    #[must_use]
    pub fn history(&self) -> (u64, Span) {
        let span = self.seen.map_or(Span::ZERO, |(begin, end)| end - begin);
        (self.samples, span)
    }

    /// The most memory that each container was seen to use, in thousandths of a byte.
    #[must_use]
    pub fn used(&self) -> &BTreeMap<String, i64> {
        &self.used
    }

    /// Requests that the last tick decided, by container; only those that are wished.
    #[must_use]
    pub fn decided(&self) -> BTreeMap<String, Amounts> {
        let ticks = self.tick.iter().flat_map(|t| &t.targets);
        let decided = |(one, tick): (&SizedContainer, &foresail_core::engine::TargetTick)| {
            let amounts = tick.decided.per_pod.iter();
            let amounts = amounts.map(|(n, q)| (n.to_owned(), q.milli()));
            (one.container.clone(), amounts.collect::<Amounts>())
        };
        self.sized.iter().zip(ticks).map(decided).collect()
    }

    /// The story of each container, with what was cut after the engine.
    ///
    /// # Errors
    /// Where nothing was looked at yet.
    pub fn advised(&self, uid: &str, fitted: &Fitted) -> Result<Vec<Advised>> {
        let tick = self.tick.as_ref().context("nothing was looked at yet")?;
        let identity = Identity {
            uid: uid.to_owned(),
            generation: 1,
            epoch: 1,
        };
        let one = |(index, SizedContainer { container, .. }): (usize, &SizedContainer)| {
            let decision = self.admitted(tick, index, container, &fitted.cuts)?;
            let spec = self.engine.spec();
            let told = Explanation::new(tick, index, spec, &identity, Some(&decision))?;
            debug_assert_eq!(
                told.broken_laws((Replicas::ZERO, Replicas::MAX)),
                Vec::<String>::new()
            );
            let ranges = match told.proposals.first().map(|p| &p.basis) {
                Some(BasisTold::Requests { requests, .. }) => requests.clone(),
                _ => BTreeMap::new(),
            };
            Some(Advised {
                container: container.clone(),
                explanation: told,
                ranges,
            })
        };
        let all = self.sized.iter().enumerate().filter_map(one);
        Ok(all.collect())
    }

    /// What is admitted of one container's decision: the namespace's cuts follow the engine's own.
    fn admitted(
        &self,
        tick: &Tick,
        index: usize,
        container: &str,
        cuts: &[Cut],
    ) -> Option<Decision> {
        let (of, target) = (
            tick.targets.get(index)?,
            self.engine.spec().targets().get(index)?,
        );
        let mut decision = Decision {
            seq: tick.seq,
            target: target.id.clone(),
            current: of.current.clone(),
            setting: of.decided.clone(),
            limits: Vec::new(),
            to_write: tick.mode == Mode::Auto,
        };
        for cut in cuts.iter().filter(|c| c.container == container) {
            let axis = Axis::PerPod(cut.resource.clone());
            let to = quantity(&cut.resource, cut.to);
            decision.setting.set(&axis, to);
            decision.limits.push(Limit {
                by: GuardName::Admission,
                target: target.id.clone(),
                axis,
                from: quantity(&cut.resource, cut.from),
                to,
                why: cut.why.clone(),
            });
        }
        Some(decision)
    }
}

/// The patch of the pod template that has these sizes.
#[must_use]
pub fn patch(sizes: &PodSize) -> Value {
    let written = super::intent::written(sizes);
    let containers: Vec<Value> = written
        .iter()
        .map(|(name, size)| json!({"name": name, "resources": size}))
        .collect();
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}
