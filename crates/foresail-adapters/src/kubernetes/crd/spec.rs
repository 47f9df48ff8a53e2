//! What the user wants: `spec`.

use std::collections::BTreeMap;

use foresail_core::quantity::units::parse_kubernetes_milli;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::behavior::Behavior;
use super::metric::{Amount, Metric};
use super::schema;
use super::status::PredictiveAutoscalerStatus;
use crate::kubernetes::scale::Target;

/// What one workload is scaled by, within which bounds, and what may be done about it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "autoscaling.foresail.dev",
    version = "v1alpha1",
    kind = "PredictiveAutoscaler",
    plural = "predictiveautoscalers",
    singular = "predictiveautoscaler",
    shortname = "pas",
    category = "autoscaling",
    namespaced,
    status = "PredictiveAutoscalerStatus",
    derive = "PartialEq",
    doc = "Scales one workload ahead of its demand, never below what a HorizontalPodAutoscaler would ask for."
)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveAutoscalerSpec {
    /// What is scaled: an object of the same namespace with the subresource scale, such as a Deployment.
    /// It cannot be changed: create a new object for another target.
    pub scale_target_ref: TargetRef,
    /// What may be done. "Off": nothing is decided (write it in quotes, YAML reads a bare Off as false).
    /// Shadow: decides and explains, writes nothing but its own status. Advise: decides and waits for
    /// approval. Auto: acts.
    #[serde(default)]
    pub mode: Mode,
    /// Seconds between two decisions.
    #[serde(default = "default_sync")]
    #[schemars(range(min = 1, max = 300))]
    pub sync_period_seconds: i32,
    /// The fewest replicas. 0 needs a metric that can be read without a pod: Object, External or
    /// Prometheus.
    #[serde(default = "default_min")]
    #[schemars(range(min = 0, max = 10_000))]
    pub min_replicas: i32,
    /// The most replicas.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_replicas: i32,
    /// How a decision is carried out. Where absent: HPAFloor where an HPA owns the target, else Scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actuation: Option<Actuation>,
    /// What is measured, 1 to 10 metrics, as in a HorizontalPodAutoscaler; of their answers the largest
    /// counts.
    #[schemars(length(min = 1, max = 10))]
    pub metrics: Vec<Metric>,
    /// How fast it may go, as in a HorizontalPodAutoscaler. Where absent: Kubernetes' rules for an
    /// absent behavior, which are not those of an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// How demand is forecast.
    #[serde(default)]
    pub forecast: ForecastSpec,
    /// Who may wish for replicas, 1 to 8. Where absent: predictive where a metric has role Forecast or
    /// Both, else hpa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub proposers: Option<Vec<ProposerRef>>,
    /// How several wishes become one.
    #[serde(default)]
    pub combine: Combine,
    /// What is never done, whatever is wished.
    #[serde(default)]
    pub guardrails: Guardrails,
    /// What the pods' containers ask for.
    #[serde(default)]
    pub vertical: Vertical,
    /// What is switched off for a while.
    #[serde(default)]
    pub suspend: Suspend,
    /// What is kept of past decisions.
    #[serde(default)]
    pub explain: Explain,
}

impl PredictiveAutoscalerSpec {
    /// Of an object whose spec cannot be read: mode Off, no target and nothing measured.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            scale_target_ref: TargetRef {
                api_version: String::new(),
                kind: String::new(),
                name: String::new(),
            },
            mode: Mode::Off,
            sync_period_seconds: default_sync(),
            min_replicas: default_min(),
            max_replicas: default_min(),
            actuation: None,
            metrics: Vec::new(),
            behavior: None,
            forecast: ForecastSpec::default(),
            proposers: None,
            combine: Combine::default(),
            guardrails: Guardrails::default(),
            vertical: Vertical::default(),
            suspend: Suspend::default(),
            explain: Explain::default(),
        }
    }
}

fn default_sync() -> i32 {
    15
}

fn default_min() -> i32 {
    1
}

/// Names the object that is scaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// group/version, such as apps/v1.
    #[schemars(length(min = 1, max = 253))]
    pub api_version: String,
    /// Kind, such as Deployment.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

impl TargetRef {
    /// `true` where another names the same object, whatever its version.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.group() == other.group() && self.kind == other.kind && self.name == other.name
    }

    /// The group without its version; empty for the core group.
    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(g, _)| g)
    }
}

/// What may be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Nothing is decided.
    Off,
    /// Decides and explains, touches nothing.
    #[default]
    Shadow,
    /// Decides and waits for approval.
    Advise,
    /// Acts.
    Auto,
}

impl Mode {
    /// `true` where its decisions may come to be written.
    #[must_use]
    pub fn may_write(self) -> bool {
        match self {
            Self::Off | Self::Shadow => false,
            Self::Advise | Self::Auto => true,
        }
    }
}

impl PredictiveAutoscaler {
    /// What it scales.
    #[must_use]
    pub fn target(&self) -> Target {
        let named = &self.spec.scale_target_ref;
        Target {
            api_version: named.api_version.clone(),
            kind: named.kind.clone(),
            name: named.name.clone(),
        }
    }
}

/// How a decision is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Actuation {
    /// Scale: replicas of the target are written. HPAFloor: an HPA goes on scaling the target, and only
    /// its minReplicas is raised and lowered.
    #[serde(rename = "type")]
    pub kind: ActuationType,
    /// The HPA whose minReplicas is written; for HPAFloor alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub hpa_name: Option<String>,
}

/// Where a decision is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActuationType {
    /// To the target's scale.
    Scale,
    /// To `minReplicas` of an HPA.
    #[serde(rename = "HPAFloor")]
    HpaFloor,
}

/// How demand is forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ForecastSpec {
    /// Which forecaster; auto weighs several by how well they did of late.
    #[schemars(schema_with = "schema::forecaster")]
    pub forecaster: String,
    /// Demand that one replica serves, in the unit of the metric that is forecast. Where absent: that
    /// metric's averageValue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_quantity")]
    pub capacity: Option<Amount>,
    /// Seconds from a pod's creation to its readiness; 0: learnt from the pods.
    #[schemars(range(min = 0, max = 3600))]
    pub startup_seconds: i32,
    /// Seconds of history that a model is fitted to.
    #[schemars(range(min = 3600, max = 5_184_000))]
    pub history_seconds: i32,
}

impl Default for ForecastSpec {
    fn default() -> Self {
        Self {
            forecaster: "auto".to_owned(),
            capacity: None,
            startup_seconds: 0,
            history_seconds: 1_209_600,
        }
    }
}

/// One proposer with its knobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposerRef {
    /// Its name, as foresail explain and the reference list it.
    #[schemars(schema_with = "schema::proposer")]
    pub name: String,
    /// Its knobs: numbers, words, true or false, each in quotes ("19"); a list or a map as JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::knobs")]
    pub knobs: BTreeMap<String, String>,
}

impl ProposerRef {
    /// A proposer with its default knobs.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            knobs: BTreeMap::new(),
        }
    }
}

/// How several wishes become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Combine {
    /// Which wish is taken: the Largest, the First in the order of proposers, or the Median.
    pub rule: CombineRule,
}

/// Which of the trusted wishes is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CombineRule {
    /// The one with the most replicas.
    #[default]
    Largest,
    /// The first in the order of the spec.
    First,
    /// The median, the larger of the two middle ones.
    Median,
}

/// What is never done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Guardrails {
    /// Strict: no forecast brings replicas below the HPA's own answer. Relaxed: a trusted forecast may,
    /// down to floorMinSharePercent of it.
    pub floor: FloorRule,
    /// With a Relaxed floor: the share of the HPA's answer that always holds, in percent.
    #[schemars(range(min = 1, max = 100))]
    pub floor_min_share_percent: i32,
    /// Metrics older than this many seconds never scale down.
    #[schemars(range(min = 15, max = 300))]
    pub stale_after_seconds: i32,
    /// While more than this share of the pods has no metrics, in percent, nothing goes down.
    #[schemars(range(min = 0, max = 100))]
    pub max_missing_percent: i32,
    /// Nothing goes down this many seconds after the target was taken over.
    #[schemars(range(min = 0, max = 86_400))]
    pub min_uptime_seconds: i32,
    /// What may be spent and changed.
    pub budget: Budget,
}

impl Default for Guardrails {
    fn default() -> Self {
        Self {
            floor: FloorRule::Strict,
            floor_min_share_percent: 50,
            stale_after_seconds: 90,
            max_missing_percent: 20,
            min_uptime_seconds: 0,
            budget: Budget::default(),
        }
    }
}

/// What lies under a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FloorRule {
    /// The HPA's answer.
    #[default]
    Strict,
    /// A share of it.
    Relaxed,
}

/// What may be spent and changed; an absent limit does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Budget {
    /// The most replicas that can be paid for; unlike maxReplicas it holds only what is wished, not what
    /// runs already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas_max: Option<i32>,
    /// The most replicas removed within periodSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub removed_max: Option<i32>,
    /// The most changes within periodSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub changes_max: Option<i32>,
    /// Seconds over which removals and changes are counted.
    #[schemars(range(min = 1, max = 86_400))]
    pub period_seconds: i32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            replicas_max: None,
            removed_max: None,
            changes_max: None,
            period_seconds: 60,
        }
    }
}

/// What the pods' containers ask for: advised as the Vertical Pod Autoscaler would, and resized in
/// place where that is wished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Vertical {
    /// "Off": nothing is looked at (write it in quotes). Recommend: status.vertical tells what
    /// containers should ask for. Apply: pods are resized too, while they run and never made anew,
    /// where the object's own mode is Auto.
    pub mode: VerticalMode,
    /// Seconds that samples must span before anything is resized.
    #[schemars(range(min = 0, max = 604_800))]
    pub min_history_seconds: i32,
    /// Which containers, and within which bounds. Where none is named: all, without bounds; Apply needs
    /// bounds.
    #[schemars(length(max = 16))]
    pub containers: Vec<ContainerPolicy>,
}

impl Default for Vertical {
    fn default() -> Self {
        Self {
            mode: VerticalMode::Off,
            min_history_seconds: 3600,
            containers: Vec::new(),
        }
    }
}

/// What is done about requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerticalMode {
    /// Nothing.
    #[default]
    Off,
    /// They are advised.
    Recommend,
    /// Pods are resized while they run.
    Apply,
}

/// How one container is sized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPolicy {
    /// The container's name; * for all that are not named.
    #[schemars(schema_with = "schema::container")]
    pub name: String,
    /// Which of its resources are sized.
    #[serde(default = "both_resources")]
    #[schemars(length(min = 1, max = 2))]
    pub controlled_resources: Vec<ControlledResource>,
    /// RequestsOnly: limits stay, and requests stay within them. RequestsAndLimits: limits keep their
    /// ratio to the requests.
    #[serde(default)]
    pub controlled_values: ControlledValues,
    /// The least that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_allowed: Option<AllowedAmounts>,
    /// The most that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_allowed: Option<AllowedAmounts>,
}

fn both_resources() -> Vec<ControlledResource> {
    vec![ControlledResource::Cpu, ControlledResource::Memory]
}

impl ContainerPolicy {
    /// The policy that sizes a container in every way, without bounds.
    #[must_use]
    pub fn open() -> Self {
        Self {
            name: EVERY_CONTAINER.to_owned(),
            controlled_resources: both_resources(),
            controlled_values: ControlledValues::default(),
            min_allowed: None,
            max_allowed: None,
        }
    }
}

/// The name of a policy for all containers that are not named.
pub const EVERY_CONTAINER: &str = "*";

/// A resource that is sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ControlledResource {
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
}

impl ControlledResource {
    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// What is changed along with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ControlledValues {
    /// Nothing.
    #[default]
    RequestsOnly,
    /// The limit.
    RequestsAndLimits,
}

/// Amounts by resource; one that is absent is no bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedAmounts {
    /// CPU in cores, such as 250m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_quantity")]
    pub cpu: Option<Amount>,
    /// Memory in bytes, such as 512Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_quantity")]
    pub memory: Option<Amount>,
}

impl AllowedAmounts {
    /// The amount of one resource, in thousandths; `None` where it is no bound, or no quantity.
    #[must_use]
    pub fn milli(&self, resource: ControlledResource) -> Option<i64> {
        let amount = match resource {
            ControlledResource::Cpu => self.cpu.as_ref(),
            ControlledResource::Memory => self.memory.as_ref(),
        };
        parse_kubernetes_milli(&amount?.text()).ok()
    }
}

/// What is switched off for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Suspend {
    /// true: nothing goes up.
    pub scale_up: bool,
    /// true: nothing goes down.
    pub scale_down: bool,
    /// So many replicas whatever is measured; minReplicas and maxReplicas do not hold meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub hold_at: Option<i32>,
}

/// What is kept of past decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Explain {
    /// How many past decisions status.decisions holds.
    #[schemars(range(min = 0, max = 50))]
    pub keep_decisions: i32,
}

impl Default for Explain {
    fn default() -> Self {
        Self { keep_decisions: 20 }
    }
}
