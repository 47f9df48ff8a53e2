//! What is told of an object: `status`. A field that is not known is left out; it is never zero.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use foresail_core::quantity::time::Timestamp;

use super::schema;

/// The state of one object and of its target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveAutoscalerStatus {
    /// Generation of the spec that this status is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The target as kind/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub target_ref: Option<String>,
    /// One word: Pending, Learning, Shadow, Advising, Active, Degraded or Suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Replicas that the target asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// Pods of the target that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// What is decided: written in mode Auto, else only told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// What an HPA with these metrics would ask for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactive_replicas: Option<i32>,
    /// What the forecast asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_replicas: Option<i32>,
    /// Another autoscaler of the same target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incumbent: Option<Incumbent>,
    /// When replicas were last changed by this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_scale_time: Option<Timestamp>,
    /// Shape of the demand: Spike, Periodic, Ramp, Stationary or Idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub archetype: Option<String>,
    /// Demand that one replica serves, as it was learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub capacity: Option<String>,
    /// Seconds from a pod's creation to its readiness, as they were learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_seconds: Option<i32>,
    /// The forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastStatus>,
    /// Each metric, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub metrics: Vec<MetricStatus>,
    /// The whole story of the last decision, as foresail explain prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub last_decision: Option<serde_json::Value>,
    /// Past decisions, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub decisions: Vec<DecisionStatus>,
    /// What was done against what would have been done, since the object came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowStatus>,
    /// What the pods' containers should ask for, and how far a resize is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertical: Option<VerticalStatus>,
    /// What the controller needs to go on after a restart; nothing for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardStatus>,
    /// Conditions; AbleToScale, ScalingActive and ScalingLimited are those of an HPA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One word for the whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing was decided yet.
    Pending,
    /// The forecast is not trusted yet.
    Learning,
    /// Decides and touches nothing.
    Shadow,
    /// Decides and waits for approval.
    Advising,
    /// Acts.
    Active,
    /// Less than the spec asks for is possible; conditions say why.
    Degraded,
    /// Switched off by the user.
    Suspended,
}

/// Another autoscaler of the same target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incumbent {
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
}

/// The forecast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastStatus {
    /// The forecaster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub model: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub made_at: Option<Timestamp>,
    /// When its model was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub trained_at: Option<Timestamp>,
    /// Seconds from a decision until a replica asked for by it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time_seconds: Option<i32>,
    /// Demand at the times ahead that are decided for: one, when a replica asked for now serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub points: Vec<ForecastPoint>,
    /// Share of what came that the 80 % band held, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage_percent: Option<i32>,
    /// What coveragePercent should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_coverage_percent: Option<i32>,
    /// Why it is not trusted, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub why: Option<String>,
}

/// Demand at one time ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastPoint {
    /// Seconds after madeAt.
    pub offset_seconds: i64,
    /// The 10 % quantile.
    #[schemars(length(max = 63))]
    pub p10: String,
    /// The median.
    #[schemars(length(max = 63))]
    pub p50: String,
    /// The 90 % quantile.
    #[schemars(length(max = 63))]
    pub p90: String,
}

/// One metric as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// What was read; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub current: Option<String>,
    /// The set point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub target: Option<String>,
    /// When it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub sample_time: Option<Timestamp>,
    /// true: too old to scale down by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<bool>,
    /// What this metric alone asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_replicas: Option<i32>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub why: Option<String>,
}

/// One past decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStatus {
    /// uid/generation/epoch/number, as in every log line and event.
    #[schemars(length(max = 128))]
    pub id: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Timestamp>,
    /// Replicas before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<i32>,
    /// Replicas decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<i32>,
    /// The guard that bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub binding: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub outcome: Option<String>,
}

/// A figure of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BothSides {
    /// Of the autoscaler that acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub incumbent: Option<String>,
    /// Of what would have been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub foresail: Option<String>,
}

/// What was done against what would have been done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowStatus {
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub since: Option<Timestamp>,
    /// Replica-hours paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_hours: Option<BothSides>,
    /// Minutes with fewer ready replicas than demand needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes_short: Option<BothSides>,
    /// Changes of the number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<BothSides>,
    /// How many decisions were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<i64>,
    /// Better, Worse, Undecided or Insufficient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub verdict: Option<String>,
    /// Why this verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub why: Option<String>,
}

/// What the pods' containers should ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerticalStatus {
    /// When it was advised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Timestamp>,
    /// Seconds that samples span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_seconds: Option<i64>,
    /// Each container that is sized.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub containers: Vec<ContainerStatus>,
}

/// What one container should ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// What it should ask for.
    #[serde(default, skip_serializing_if = "RequestAmounts::is_empty")]
    pub target: RequestAmounts,
    /// Less is too little.
    #[serde(default, skip_serializing_if = "RequestAmounts::is_empty")]
    pub lower_bound: RequestAmounts,
    /// More is too much.
    #[serde(default, skip_serializing_if = "RequestAmounts::is_empty")]
    pub upper_bound: RequestAmounts,
    /// The target before it was held within minAllowed and maxAllowed.
    #[serde(default, skip_serializing_if = "RequestAmounts::is_empty")]
    pub uncapped_target: RequestAmounts,
    /// How far the pods are with the last resize; of several pods the one that is least far. Absent
    /// where nothing was resized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizeState>,
}

/// Amounts of CPU and memory; one that is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestAmounts {
    /// CPU in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cpu: Option<String>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub memory: Option<String>,
}

impl RequestAmounts {
    /// `true` where neither is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}

/// How far a resize is, in the order of what is told where pods differ.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ResizeState {
    /// Every pod has what was decided.
    Applied,
    /// The kubelet is at work on a pod.
    InProgress,
    /// A pod was not asked yet, or its kubelet has not answered.
    Pending,
    /// A node has no room at present; the kubelet tries again.
    Deferred,
    /// A node can never give as much.
    Infeasible,
}

/// What the controller needs to go on after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardStatus {
    /// Life of the leading process that wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// A write that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentStatus>,
    /// What came of the last write: Applied, NotApplied, Superseded or Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub outcome: Option<String>,
    /// What the controller allows itself: Predict, Guarded, HoldDown or Frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub health: Option<String>,
    /// minReplicas of the HPA before it was first raised, with HPAFloor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa_min_before: Option<i32>,
}

/// A write that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntentStatus {
    /// The decision's id.
    #[schemars(length(max = 128))]
    pub id: String,
    /// Replicas before.
    pub from: i32,
    /// Replicas to be written.
    pub to: i32,
    /// Version of the scale that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub resource_version: Option<String>,
    /// When it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expires: Option<Timestamp>,
}
