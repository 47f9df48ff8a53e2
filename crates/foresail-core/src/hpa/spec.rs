//! The HPA object's spec as the API writes it, and the controller's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::quantity::time::Span;

/// `autoscaling/v2` HorizontalPodAutoscalerSpec, before the API server's defaulting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaSpec {
    /// What is scaled; not read here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_target_ref: Option<ObjectReference>,
    /// The fewest replicas; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// The most replicas.
    pub max_replicas: i32,
    /// What is measured; CPU at 80 % of the request where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSpec>,
    /// How fast it may go; absent = Kubernetes' older rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
}

/// Names an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectReference {
    /// `group/version`.
    #[serde(default)]
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// Names a metric, with an optional label selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricIdentifier {
    /// Its name.
    pub name: String,
    /// Which of its series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<serde_json::Value>,
}

/// The set point of a metric; the form depends on `type`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricTarget {
    /// `Utilization`, `Value` or `AverageValue`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Percent of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_utilization: Option<i32>,
    /// Per pod, a Kubernetes quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_value: Option<Amount>,
    /// In all, a Kubernetes quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
}

/// A Kubernetes quantity as JSON or YAML writes it: a text or a plain number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// `10`.
    Whole(i64),
    /// `1.5`.
    Real(f64),
    /// `250m`.
    Text(String),
}

impl Amount {
    /// The quantity's text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Real(x) => x.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A metric of a resource that pods request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceMetric {
    /// `cpu`, `memory`, …
    pub name: String,
    /// The one container that counts, for `ContainerResource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The set point.
    pub target: MetricTarget,
}

/// A metric of pods, an object or the outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedMetric {
    /// Which metric.
    pub metric: MetricIdentifier,
    /// The object it belongs to, for `Object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_object: Option<ObjectReference>,
    /// The set point.
    pub target: MetricTarget,
}

/// One metric of an HPA; the field named by `type` is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSpec {
    /// `Resource`, `ContainerResource`, `Pods`, `Object` or `External`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `Resource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceMetric>,
    /// For `ContainerResource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_resource: Option<ResourceMetric>,
    /// For `Pods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<NamedMetric>,
    /// For `Object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<NamedMetric>,
    /// For `External`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<NamedMetric>,
}

impl MetricSpec {
    /// CPU utilization at `percent` of the request.
    #[must_use]
    pub fn cpu_utilization(percent: i32) -> Self {
        Self::utilization("cpu", percent)
    }

    /// The resource that a metric of pods reads, of one container or all; `None` for other metrics.
    #[must_use]
    pub fn resource_name(&self) -> Option<&str> {
        let metric = self.resource.as_ref().or(self.container_resource.as_ref());
        metric.map(|m| m.name.as_str())
    }

    /// Utilization of a resource at `percent` of the request.
    #[must_use]
    pub fn utilization(resource: &str, percent: i32) -> Self {
        let target = MetricTarget {
            kind: "Utilization".to_owned(),
            average_utilization: Some(percent),
            ..MetricTarget::default()
        };
        let resource = ResourceMetric {
            name: resource.to_owned(),
            container: None,
            target,
        };
        Self {
            kind: "Resource".to_owned(),
            resource: Some(resource),
            ..Self::default()
        }
    }
}

/// How fast an HPA may go in each direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Upwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,
    /// Downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Rules of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingRules {
    /// Window over past raw values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stabilization_window_seconds: Option<i32>,
    /// Which of the policies counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// The policies; Kubernetes' defaults where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<Policy>>,
    /// Ratio within which nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Amount>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: this direction is off.
    Disabled,
}

/// One policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub kind: PolicyType,
    /// How many.
    pub value: i32,
    /// Within how many seconds.
    pub period_seconds: i32,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyType {
    /// Pods.
    Pods,
    /// Percent of the number at the period's start.
    Percent,
}

/// What becomes of an integer overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The largest number there is.
    #[default]
    Saturate,
    /// What Kubernetes gives on amd64: the value wraps, and the HPA scales down under extreme load.
    BugCompatible,
}

impl Overflow {
    /// `int32(value)`: the nearest there is, or what Go gives on amd64.
    pub(super) fn to_i32(self, value: f64) -> i32 {
        let fits = value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
        match self {
            Self::BugCompatible if !fits => i32::MIN,
            Self::BugCompatible | Self::Saturate => value as i32,
        }
    }

    /// The sum of 32-bit numbers in 32 bits: the nearest there is, or wrapped.
    pub(super) fn narrow(self, sum: i64) -> i32 {
        match self {
            Self::BugCompatible => sum as i32,
            Self::Saturate => {
                i32::try_from(sum).unwrap_or(if sum < 0 { i32::MIN } else { i32::MAX })
            }
        }
    }
}

/// Feature gates that change the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Gates {
    /// `HPAScaleToZero`, on by default since 1.37.
    pub scale_to_zero: bool,
    /// `PodLevelResources`.
    pub pod_level_resources: bool,
    /// `HPAConfigurableTolerance`, locked on in 1.37.
    pub configurable_tolerance: bool,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            scale_to_zero: true,
            pod_level_resources: true,
            configurable_tolerance: true,
        }
    }
}

impl Gates {
    /// Sets gates by Kubernetes' names; returns the names that are not known here.
    pub fn set(&mut self, named: &BTreeMap<String, bool>) -> Vec<String> {
        let mut unknown = Vec::new();
        for (name, on) in named {
            match name.as_str() {
                "HPAScaleToZero" => self.scale_to_zero = *on,
                "PodLevelResources" => self.pod_level_resources = *on,
                "HPAConfigurableTolerance" => self.configurable_tolerance = *on,
                "HPAGeneration" | "HPAOptimizedSelectorStore" => {}
                other => unknown.push(other.to_owned()),
            }
        }
        unknown
    }
}

/// The settings of Kubernetes' controller; flags there, parameters here.
///
/// Source: pkg/controller/podautoscaler/config/v1alpha1/defaults.go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ControllerSettings {
    /// Window of the older rules, and of a down window that is not given.
    #[serde(rename = "downscaleStabilizationSeconds")]
    pub downscale_stabilization: Span,
    /// Time after a pod's start in which its CPU samples are mistrusted.
    #[serde(rename = "cpuInitializationPeriodSeconds")]
    pub cpu_initialization_period: Span,
    /// Time after a pod's start within which a lost readiness counts as never reached.
    #[serde(rename = "initialReadinessDelaySeconds")]
    pub initial_readiness_delay: Span,
    /// Ratio within which nothing is done.
    pub tolerance: f64,
    /// Feature gates.
    pub gates: Gates,
    /// What becomes of an overflow; no spec can ask for Kubernetes' own.
    #[serde(skip)]
    pub overflow: Overflow,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self {
            downscale_stabilization: Span::from_seconds(300),
            cpu_initialization_period: Span::from_seconds(300),
            initial_readiness_delay: Span::from_seconds(30),
            tolerance: 0.1,
            gates: Gates::default(),
            overflow: Overflow::Saturate,
        }
    }
}
