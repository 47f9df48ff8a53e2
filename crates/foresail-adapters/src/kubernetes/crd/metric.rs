//! What is measured: MetricSpec of autoscaling/v2, key by key, and metrics of Prometheus.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

pub use foresail_core::hpa::Amount;

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name in status, events and explanations. Where absent, one made of what it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub name: Option<String>,
    /// What it is for. React: the reactive floor, which is the HPA's own answer. Forecast: its series is
    /// the demand that is forecast. Both. At most one metric is Forecast or Both, of type Prometheus or
    /// External; its averageValue is the demand that one replica serves.
    #[serde(default)]
    pub role: Role,
    /// Which of the fields below is given: Resource, ContainerResource, Pods, Object, External (as in
    /// autoscaling/v2) or Prometheus.
    #[serde(rename = "type")]
    pub kind: MetricType,
    /// CPU or memory of all containers of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceMetric>,
    /// CPU or memory of one container of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_resource: Option<ContainerResourceMetric>,
    /// A metric of each pod, averaged over the pods (custom.metrics.k8s.io).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsMetric>,
    /// A metric of one object (custom.metrics.k8s.io).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectMetric>,
    /// A metric of something outside the cluster (external.metrics.k8s.io).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalMetric>,
    /// A query to Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusMetric>,
}

/// What a metric is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// The reactive floor.
    #[default]
    React,
    /// The demand that is forecast.
    Forecast,
    /// Both.
    Both,
}

/// Where a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricType {
    /// CPU or memory of pods.
    Resource,
    /// CPU or memory of one container of each pod.
    ContainerResource,
    /// A metric of each pod.
    Pods,
    /// A metric of one object.
    Object,
    /// A metric of the outside.
    External,
    /// A query to Prometheus.
    Prometheus,
}

/// The set point of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricTarget {
    /// Which of the fields below is given: Utilization, AverageValue or Value.
    #[serde(rename = "type")]
    pub kind: TargetType,
    /// Percent of what pods request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub average_utilization: Option<i32>,
    /// Per pod, a quantity above zero; write a fraction in quotes ("1.5") or in thousandths (1500m).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_quantity")]
    pub average_value: Option<Amount>,
    /// In all, a quantity above zero; write a fraction in quotes ("1.5") or in thousandths (1500m).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_quantity")]
    pub value: Option<Amount>,
}

/// The form of a set point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// Percent of the request.
    Utilization,
    /// Per pod.
    AverageValue,
    /// In all.
    Value,
}

/// CPU or memory of all containers of each pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetric {
    /// cpu, memory or another resource that pods request.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The set point: Utilization or AverageValue.
    pub target: MetricTarget,
}

/// CPU or memory of one container of each pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerResourceMetric {
    /// cpu, memory or another resource that pods request.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The container's name.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// The set point: Utilization or AverageValue.
    pub target: MetricTarget,
}

/// A metric of each pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodsMetric {
    /// Which metric.
    pub metric: MetricIdentifier,
    /// The set point: AverageValue.
    pub target: MetricTarget,
}

/// A metric of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMetric {
    /// The object, in the namespace of this one.
    pub described_object: ObjectReference,
    /// Which metric.
    pub metric: MetricIdentifier,
    /// The set point: Value or AverageValue.
    pub target: MetricTarget,
}

/// A metric of the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetric {
    /// Which metric.
    pub metric: MetricIdentifier,
    /// The set point: Value or AverageValue.
    pub target: MetricTarget,
}

/// A query to the controller's Prometheus.
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "brackets of a query are no link"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusMetric {
    /// PromQL that gives one series or one number, such as
    /// sum(rate(http_requests_total{namespace="shop",app="web"}[1m])).
    #[schemars(length(min = 1, max = 2048))]
    pub query: String,
    /// The set point: AverageValue or Value.
    pub target: MetricTarget,
    /// What an empty answer means: Error (unknown: nothing scales down by it) or Zero.
    #[serde(default)]
    pub empty_is: EmptyIs,
}

/// What an empty answer of Prometheus means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EmptyIs {
    /// Unknown.
    #[default]
    Error,
    /// Zero.
    Zero,
}

/// Names a metric, with an optional label selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricIdentifier {
    /// The metric's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which of its series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which series of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::match_labels")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further demands, all of which must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub match_expressions: Option<Vec<LabelDemand>>,
}

/// A demand on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelDemand {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    pub operator: LabelOperator,
    /// The values of In and NotIn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub values: Option<Vec<String>>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

/// Names an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// group/version, such as apps/v1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub api_version: Option<String>,
    /// Kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl Metric {
    /// Which of the fields named like a type are given.
    pub(super) fn fields(&self) -> Vec<MetricType> {
        let given = [
            (self.resource.is_some(), MetricType::Resource),
            (
                self.container_resource.is_some(),
                MetricType::ContainerResource,
            ),
            (self.pods.is_some(), MetricType::Pods),
            (self.object.is_some(), MetricType::Object),
            (self.external.is_some(), MetricType::External),
            (self.prometheus.is_some(), MetricType::Prometheus),
        ];
        given
            .into_iter()
            .filter_map(|(there, kind)| there.then_some(kind))
            .collect()
    }

    /// Every set point that is given: the type that it is for, its field and itself.
    pub(super) fn targets(&self) -> Vec<(MetricType, &'static str, &MetricTarget)> {
        let all = [
            self.resource
                .as_ref()
                .map(|m| (MetricType::Resource, "resource", &m.target)),
            self.container_resource.as_ref().map(|m| {
                (
                    MetricType::ContainerResource,
                    "containerResource",
                    &m.target,
                )
            }),
            self.pods
                .as_ref()
                .map(|m| (MetricType::Pods, "pods", &m.target)),
            self.object
                .as_ref()
                .map(|m| (MetricType::Object, "object", &m.target)),
            self.external
                .as_ref()
                .map(|m| (MetricType::External, "external", &m.target)),
            self.prometheus
                .as_ref()
                .map(|m| (MetricType::Prometheus, "prometheus", &m.target)),
        ];
        all.into_iter().flatten().collect()
    }

    /// The metrics of the metrics APIs that are named, each with its field.
    pub(super) fn identifiers(&self) -> Vec<(&'static str, &MetricIdentifier)> {
        let all = [
            self.pods.as_ref().map(|m| ("pods", &m.metric)),
            self.object.as_ref().map(|m| ("object", &m.metric)),
            self.external.as_ref().map(|m| ("external", &m.metric)),
        ];
        all.into_iter().flatten().collect()
    }

    /// The set point of the field that the metric's type names; `None` where that is not given.
    #[must_use]
    pub fn target(&self) -> Option<&MetricTarget> {
        let mut targets = self.targets().into_iter();
        targets
            .find(|(kind, _, _)| *kind == self.kind)
            .map(|(_, _, target)| target)
    }

    /// What it is called where the user gave it no name: what it measures.
    #[must_use]
    pub fn called(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        match self.kind {
            MetricType::Resource => self.resource.as_ref().map(|m| m.name.clone()),
            MetricType::ContainerResource => {
                let of = self.container_resource.as_ref();
                of.map(|m| format!("{} of {}", m.name, m.container))
            }
            MetricType::Pods => self.pods.as_ref().map(|m| m.metric.name.clone()),
            MetricType::Object => self.object.as_ref().map(|m| m.metric.name.clone()),
            MetricType::External => self.external.as_ref().map(|m| m.metric.name.clone()),
            MetricType::Prometheus => None,
        }
        .unwrap_or_else(|| "prometheus".to_owned())
    }
}

impl MetricIdentifier {
    /// Which of its series, as the metrics APIs take it; empty for all.
    #[must_use]
    pub fn series(&self) -> String {
        let Some(selector) = &self.selector else {
            return String::new();
        };
        let labels = selector.match_labels.iter().flatten();
        let mut all: Vec<String> = labels.map(|(k, v)| format!("{k}={v}")).collect();
        for demand in selector.match_expressions.iter().flatten() {
            let values = demand.values.clone().unwrap_or_default().join(",");
            let key = &demand.key;
            all.push(match demand.operator {
                LabelOperator::In => format!("{key} in ({values})"),
                LabelOperator::NotIn => format!("{key} notin ({values})"),
                LabelOperator::Exists => key.clone(),
                LabelOperator::DoesNotExist => format!("!{key}"),
            });
        }
        all.join(",")
    }
}
