//! From pods as Kubernetes describes them to what one metric says of them.

use std::collections::BTreeMap;

use super::pods::{PodReading, PodSample, Reading};
use super::rules::{MetricRule, Source};
use super::spec::Gates;
use crate::quantity::time::{Span, Timestamp};

/// A container's name and requests, in thousandths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Requests by resource.
    pub requests: BTreeMap<String, i64>,
    /// `true` for an init container that goes on running beside the others.
    pub restarts_always: bool,
}

/// A pod as Kubernetes describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// Its name.
    pub name: String,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its init containers.
    pub init_containers: Vec<Container>,
    /// Requests of the pod as a whole, where it has such.
    pub pod_requests: Option<BTreeMap<String, i64>>,
}

/// What the resource metrics API says of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodMetrics {
    /// The pod's name.
    pub pod: String,
    /// When it was measured.
    pub at: Timestamp,
    /// Over which window.
    pub window: Span,
    /// Usage in thousandths, by container and resource.
    pub containers: BTreeMap<String, BTreeMap<String, i64>>,
}

/// The request of one pod; `None` where it lacks.
///
/// The pod's own request counts where it has one and no container is named; else the sum over its
/// containers and over init containers that go on running.
/// Source: replica_calculator.go, calculatePodRequests and calculatePodLevelRequests.
#[must_use]
pub fn request(
    pod: &PodSpec,
    resource: &str,
    container: Option<&str>,
    gates: &Gates,
) -> Option<i64> {
    if let (Some(requests), None, true) = (&pod.pod_requests, container, gates.pod_level_resources)
    {
        return requests.get(resource).copied();
    }
    let beside = pod.init_containers.iter().filter(|c| c.restarts_always);
    let counted = pod.containers.iter().chain(beside);
    let named = counted.filter(|c| container.is_none_or(|name| c.name == name));
    let mut sum: i64 = 0;
    for one in named {
        sum = sum.saturating_add(*one.requests.get(resource)?);
    }
    Some(sum)
}

/// The sample of one pod; `None` where a container lacks the resource or there is none.
///
/// Source: metrics/client.go, getPodMetrics and getContainerMetrics.
#[must_use]
pub fn sample(metrics: &PodMetrics, resource: &str, container: Option<&str>) -> Option<PodSample> {
    let value = match container {
        Some(name) => *metrics.containers.get(name)?.get(resource)?,
        None => {
            let mut sum: i64 = 0;
            for usage in metrics.containers.values() {
                sum = sum.saturating_add(*usage.get(resource)?);
            }
            (!metrics.containers.is_empty()).then_some(sum)?
        }
    };
    Some(PodSample {
        value,
        at: metrics.at,
        window: metrics.window,
    })
}

/// What a resource metric says of every pod; samples of other pods come after them.
///
/// [`Reading::Failed`] where the metrics API gave nothing, or for one container lacks it in a pod.
#[must_use]
pub fn resource_reading(
    rule: &MetricRule,
    pods: &[PodSpec],
    metrics: &[PodMetrics],
    gates: &Gates,
) -> Reading {
    let Source::Resource { name, container } = &rule.source else {
        return Reading::Failed;
    };
    let container = container.as_deref();
    if metrics.is_empty() {
        return Reading::Failed;
    }
    if container.is_some_and(|c| metrics.iter().any(|m| !m.containers.contains_key(c))) {
        return Reading::Failed;
    }
    let of_pod = |pod: &PodSpec| PodReading {
        request: request(pod, name, container, gates),
        sample: metrics
            .iter()
            .find(|m| m.pod == pod.name)
            .and_then(|m| sample(m, name, container)),
    };
    let mut readings: Vec<PodReading> = pods.iter().map(of_pod).collect();
    let foreign = metrics
        .iter()
        .filter(|m| pods.iter().all(|p| p.name != m.pod));
    let foreign = foreign.filter_map(|m| sample(m, name, container));
    readings.extend(foreign.map(|s| PodReading {
        request: None,
        sample: Some(s),
    }));
    Reading::Pods(readings)
}

/// What a metric of pods says of every pod; samples of other pods come after them.
#[must_use]
pub fn pods_reading(pods: &[PodSpec], values: &[(String, PodSample)]) -> Reading {
    if values.is_empty() {
        return Reading::Failed;
    }
    let of_pod = |pod: &PodSpec| {
        let sample = values
            .iter()
            .find(|(name, _)| *name == pod.name)
            .map(|(_, s)| *s);
        PodReading {
            request: None,
            sample,
        }
    };
    let mut readings: Vec<PodReading> = pods.iter().map(of_pod).collect();
    let foreign = values
        .iter()
        .filter(|(name, _)| pods.iter().all(|p| p.name != *name));
    readings.extend(foreign.map(|(_, s)| PodReading {
        request: None,
        sample: Some(*s),
    }));
    Reading::Pods(readings)
}
