//! How fast it may go: `behavior` of autoscaling/v2, key by key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::Amount;
use super::schema;

/// How fast it may go in each direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Upwards. Where absent: no stabilization, and the larger of 4 pods and 100 percent per 15 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,
    /// Downwards. Where absent: 300 seconds of stabilization, and 100 percent per 15 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Rules of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// Window over past raw values, of which upwards the least and downwards the largest counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// Which of the policies counts: the one that allows the largest change (Max, the default), the
    /// smallest (Min), or none (Disabled: this direction is off).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// Limits of the change; Kubernetes' own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub policies: Option<Vec<Policy>>,
    /// Ratio of a metric to its target within which nothing is done, such as "0.05". Where absent: the
    /// controller's own, 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tolerance")]
    pub tolerance: Option<Amount>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None.
    Disabled,
}

/// One limit of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// What value counts: Pods, or Percent of the pods at the period's start.
    #[serde(rename = "type")]
    pub kind: PolicyType,
    /// How many.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub value: i32,
    /// Within how many seconds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyType {
    /// Pods.
    Pods,
    /// Percent of the number at the period's start.
    Percent,
}
