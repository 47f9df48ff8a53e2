//! What the user wants: the spec as written.
//!
//! Nothing here is checked beyond its form; [`crate::spec::ValidSpec`] is what the engine takes.

mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hpa::{ControllerSettings, HpaSpec};
use crate::propose::plan::TargetId;
use crate::quantity::time::Span;
use crate::quantity::units::{Quantity, Replicas};

pub use validate::{SpecProblem, ValidSpec, ValidTarget, distance};

/// Samples older than this are stale.
/// Source: design.md, "What it never does"; specs/reliability.md 1.1 S2.
pub const STALE_AFTER: Span = Span::from_seconds(90);

/// Share of pods without samples above which nothing goes down, in percent.
/// Source: specs/reliability.md 1.1 S6.
pub const MISSING_PODS_PERCENT_MAX: u8 = 20;

/// What the user allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Nothing is decided.
    Off,
    /// Decides and explains, touches nothing.
    Shadow,
    /// Decides and waits for approval.
    Advise,
    /// Acts.
    #[default]
    Auto,
}

/// Everything that one engine is told to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The targets of this scope, in the order in which they are explained.
    pub targets: Vec<TargetSpec>,
    /// What is allowed.
    #[serde(default)]
    pub mode: Mode,
    /// Time between two ticks.
    #[serde(default = "interval", rename = "intervalSeconds")]
    pub interval: Span,
    /// Who may wish; `hpa` alone where absent.
    #[serde(default = "hpa_alone")]
    pub proposers: Vec<ProposerSpec>,
    /// How many wishes become one.
    #[serde(default)]
    pub combine: CombineSpec,
    /// What is allowed of it.
    #[serde(default)]
    pub guards: GuardSpec,
    /// The six settings of Kubernetes' controller.
    #[serde(default)]
    pub controller: ControllerSettings,
}

/// Time between two ticks: the sync period of Kubernetes' controller.
fn interval() -> Span {
    Span::from_seconds(15)
}

fn hpa_alone() -> Vec<ProposerSpec> {
    vec![ProposerSpec::named("hpa")]
}

impl Spec {
    /// The spec of one target under one HPA object, with proposer `hpa` alone.
    #[must_use]
    pub fn of_hpa(target: TargetId, hpa: HpaSpec) -> Self {
        Self {
            targets: vec![TargetSpec {
                id: target,
                hpa,
                ..TargetSpec::default()
            }],
            mode: Mode::Auto,
            interval: interval(),
            proposers: hpa_alone(),
            combine: CombineSpec::default(),
            guards: GuardSpec::default(),
            controller: ControllerSettings::default(),
        }
    }
}

/// One target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// Its name, unique within the spec.
    pub id: TargetId,
    /// Bounds, metrics of the reactive floor and behavior, in the words of autoscaling/v2.
    pub hpa: HpaSpec,
    /// Demand that one replica serves within the SLO (`100 req/s`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Quantity>,
    /// Bounds of the warm pool, where the target has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolSpec>,
    /// Time from a pod's creation to its readiness.
    #[serde(
        default,
        rename = "startupSeconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub startup: Option<Span>,
    /// The requests of a pod that may be changed, by resource (`cpu`, `memory`, others), with their
    /// bounds; a wish for any other resource is masked. Absent = nothing is bounded or masked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, ResourceSpec>,
    /// How a pod gets other requests.
    #[serde(default, skip_serializing_if = "Resize::is_in_place")]
    pub resize: Resize,
}

/// Bounds of one resource of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceSpec {
    /// The least that a pod may ask for.
    pub min: Quantity,
    /// The most.
    pub max: Quantity,
    /// One step of a learner that moves in steps.
    pub step: Quantity,
}

/// How a pod gets other requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resize {
    /// While it runs (Kubernetes 1.33 and newer).
    #[default]
    InPlace,
    /// By a new pod in its place: with one replica nothing would serve meanwhile.
    Recreate,
}

impl Resize {
    fn is_in_place(&self) -> bool {
        *self == Self::InPlace
    }
}

/// Bounds of a warm pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolSpec {
    /// The fewest containers kept warm.
    #[serde(default)]
    pub min: Replicas,
    /// The most.
    pub max: Replicas,
    /// Memory that one container holds (`128Mi`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// One proposer with its own knobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposerSpec {
    /// Its name in the registry.
    pub name: String,
    /// Its knobs, as the registry documents them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub knobs: BTreeMap<String, serde_json::Value>,
    /// What its wish owes to itself before it meets the others.
    #[serde(default)]
    pub shape: ShapeSpec,
}

impl ProposerSpec {
    /// A proposer with its default knobs.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            knobs: BTreeMap::new(),
            shape: ShapeSpec::default(),
        }
    }
}

/// Steps that a wish goes through on its own; each absent one is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ShapeSpec {
    /// A ratio this close to 1, in percent, changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_percent: Option<u8>,
    /// `true`: while pods that are starting already cover the wish, nothing goes down.
    pub readiness: bool,
    /// A wish of this many percent of the ready pods starts a panic, in which nothing goes down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic_percent: Option<u32>,
    /// How long a panic lasts after the last such wish.
    #[serde(rename = "panicSeconds")]
    pub panic: Span,
    /// The least time between the last change and the next way down.
    #[serde(rename = "cooldownSeconds")]
    pub cooldown: Span,
}

/// How many wishes become one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CombineSpec {
    /// Which wish is taken.
    pub rule: CombineRule,
    /// What lies under every wish.
    pub floor: Floor,
    /// Which wishes are dropped.
    pub gate: GateSpec,
}

/// Which of the trusted wishes is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CombineRule {
    /// The one with the most replicas; of equals the first.
    #[default]
    Largest,
    /// The first in the order of the spec.
    First,
    /// The median of the replicas, the larger of the two middle ones.
    Median,
}

/// The reactive floor: what the exact HPA asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Floor {
    /// No wish may go below it.
    #[default]
    Strict,
    /// A wish may go below it, down to a share.
    Relaxed {
        /// The share of the floor that always holds, in percent; 0 takes the floor away.
        #[serde(rename = "minSharePercent")]
        min_share_percent: u8,
    },
}

/// Which wishes are dropped before they are combined.
///
/// Source of the defaults: specs/reliability.md 1.1 S4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GateSpec {
    /// Less confidence than this drops a wish.
    pub confidence_percent_min: u8,
    /// Coverage of the 80 % band below this drops a forecast.
    pub coverage_percent_min: u8,
    /// Coverage of the 80 % band above this drops a forecast.
    pub coverage_percent_max: u8,
    /// A forecast for now this many times above or below what was observed is dropped.
    pub observed_factor_max: f64,
    /// Spend above this drops a trial, in thousandths of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_milli_max: Option<u64>,
}

impl Default for GateSpec {
    fn default() -> Self {
        Self {
            confidence_percent_min: 0,
            coverage_percent_min: 65,
            coverage_percent_max: 95,
            observed_factor_max: 4.0,
            spend_milli_max: None,
        }
    }
}

/// What is allowed of a wanted setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GuardSpec {
    /// Samples older than this never scale down.
    #[serde(rename = "staleAfterSeconds")]
    pub stale_after: Span,
    /// A larger share of pods without samples never scales down.
    pub missing_pods_percent_max: u8,
    /// No way down this long after the target was taken over.
    #[serde(rename = "minUptimeSeconds")]
    pub min_uptime: Span,
    /// What may be spent and changed.
    pub budget: BudgetSpec,
    /// `true`: nothing is changed.
    pub paused: bool,
}

impl Default for GuardSpec {
    fn default() -> Self {
        Self {
            stale_after: STALE_AFTER,
            missing_pods_percent_max: MISSING_PODS_PERCENT_MAX,
            min_uptime: Span::ZERO,
            budget: BudgetSpec::default(),
            paused: false,
        }
    }
}

/// What one target may spend and change; each absent limit is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BudgetSpec {
    /// The most replicas that can be paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas_max: Option<Replicas>,
    /// The most replicas removed within the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_max: Option<Replicas>,
    /// The most changes within the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_max: Option<u32>,
    /// The period over which removals and changes are counted.
    #[serde(rename = "periodSeconds")]
    pub period: Span,
}

impl Default for BudgetSpec {
    fn default() -> Self {
        let period = Span::from_seconds(60);
        Self {
            replicas_max: None,
            removed_max: None,
            changes_max: None,
            period,
        }
    }
}
