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
/// Where the pod has requests of its own and no container is named, what the pod needs as a whole;
/// else the sum over its containers and over init containers that go on running, each of which
/// must have one.
/// Source: replica_calculator.go, calculateRequests and calculatePodRequestsFromContainers.
#[must_use]
pub fn request(
    pod: &PodSpec,
    resource: &str,
    container: Option<&str>,
    gates: &Gates,
) -> Option<i64> {
    if container.is_none() && gates.pod_level_resources && pod.has_own_requests() {
        return pod.whole_request(resource);
    }
    let beside = pod.init_containers.iter().filter(|c| c.restarts_always);
    let counted = pod.containers.iter().chain(beside);
    let named = counted.filter(|c| container.is_none_or(|name| c.name == name));
    let (mut sum, mut found): (i64, bool) = (0, container.is_none());
    for one in named {
        sum = sum.saturating_add(*one.requests.get(resource)?);
        found = true;
    }
    found.then_some(sum)
}

/// `true` for resources that a pod as a whole may request.
fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

impl PodSpec {
    /// `true` where the pod as a whole requests a resource that it may; others are not read.
    ///
    /// Source: component-helpers, resource/helpers.go, IsPodLevelRequestsSet.
    fn has_own_requests(&self) -> bool {
        let own = self.pod_requests.iter().flat_map(BTreeMap::keys);
        own.into_iter().any(|resource| is_pod_level(resource))
    }

    /// What the scheduler sets aside; `None` where neither the pod nor a container names any.
    ///
    /// The pod's own request, else the larger of what its containers need together and what its
    /// init containers need in their order. One that names none needs nothing.
    /// Source: component-helpers, resource/helpers.go, PodRequests.
    fn whole_request(&self, resource: &str) -> Option<i64> {
        let own = self.pod_requests.as_ref().and_then(|r| r.get(resource));
        if let Some(own) = own.filter(|_| is_pod_level(resource)) {
            return Some(*own);
        }
        let add = |sum: Option<i64>, one: Option<i64>| match (sum, one) {
            (Some(sum), Some(one)) => Some(sum.saturating_add(one)),
            (sum, one) => sum.or(one),
        };
        let of = |container: &Container| container.requests.get(resource).copied();
        let mut together = self.containers.iter().map(of).fold(None, add);
        let (mut beside, mut starting) = (None, None);
        for init in &self.init_containers {
            let needs = add(beside, of(init));
            starting = starting.max(needs);
            if init.restarts_always {
                beside = needs;
                together = add(together, of(init));
            }
        }
        together.max(starting)
    }
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
/// [`Reading::Failed`] where the metrics API gave nothing. A pod whose metrics lack the one
/// container that counts has no sample.
/// Source: metrics/client.go, GetResourceMetric and getContainerMetrics.
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
    // A container that is not named counts as all of them.
    let container = container.as_deref().filter(|c| !c.is_empty());
    if metrics.is_empty() {
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
