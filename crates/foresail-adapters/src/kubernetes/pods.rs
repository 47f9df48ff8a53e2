//! Pods as the API server describes them, pruned to what a decision needs.

use std::collections::BTreeMap;

use foresail_core::hpa::resolve::{Container, PodSpec};
use foresail_core::hpa::{Phase, Pod, Ready};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::parse_kubernetes_milli;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A pod, pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its unique name.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Name and requests.
    pub spec: PodSpec,
    /// What the formula needs of it.
    pub state: Pod,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Why the scheduler finds no place for it, where it does not.
    pub unschedulable: Option<String>,
    /// The label of its template, where its owner writes one.
    pub template: Option<String>,
}

/// A time of the API.
#[must_use]
pub fn time(time: &Time) -> Timestamp {
    let nanos = time.0.as_nanosecond();
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Amounts by resource, in thousandths; what is no quantity is left out.
pub(super) fn amounts(amounts: &BTreeMap<String, Quantity>) -> BTreeMap<String, i64> {
    let read = |(name, amount): (&String, &Quantity)| {
        Some((name.clone(), parse_kubernetes_milli(&amount.0).ok()?))
    };
    amounts.iter().filter_map(read).collect()
}

pub(super) fn container(container: &core::Container) -> Container {
    let requests = container
        .resources
        .as_ref()
        .and_then(|r| r.requests.as_ref());
    Container {
        name: container.name.clone(),
        requests: requests.map(amounts).unwrap_or_default(),
        restarts_always: container.restart_policy.as_deref() == Some("Always"),
    }
}

fn state(pod: &core::Pod) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let phase = match status.phase.as_deref() {
        Some("Pending") => Phase::Pending,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some("Running") => Phase::Running,
        _ => Phase::Unknown,
    };
    let conditions = status.conditions.unwrap_or_default();
    let ready = conditions.iter().find(|c| c.type_ == "Ready");
    let ready_is = match ready.map(|c| c.status.as_str()) {
        None => Ready::Absent,
        Some("True") => Ready::True,
        Some("False") => Ready::False,
        Some(_) => Ready::Unknown,
    };
    let changed = ready.and_then(|c| c.last_transition_time.as_ref());
    Pod {
        phase,
        deleting: pod.metadata.deletion_timestamp.is_some(),
        started_at: status.start_time.as_ref().map(time),
        ready: ready_is,
        ready_changed_at: changed.map(time).unwrap_or_default(),
        count: 1,
    }
}

fn unschedulable(pod: &core::Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled")?;
    let refused =
        scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable");
    refused.then(|| scheduled.message.clone().unwrap_or_default())
}

/// The label that Deployments and StatefulSets put on pods of one template.
const TEMPLATE_LABELS: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

impl From<&core::Pod> for PodSeen {
    fn from(pod: &core::Pod) -> Self {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let of_spec = pod.spec.as_ref();
        let own = of_spec.and_then(|s| s.resources.as_ref());
        let spec = PodSpec {
            name: pod.metadata.name.clone().unwrap_or_default(),
            containers: of_spec
                .map_or_else(Vec::new, |s| s.containers.iter().map(container).collect()),
            init_containers: of_spec
                .and_then(|s| s.init_containers.as_ref())
                .map_or_else(Vec::new, |all| all.iter().map(container).collect()),
            pod_requests: own.and_then(|r| r.requests.as_ref()).map(amounts),
        };
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            template: TEMPLATE_LABELS.iter().find_map(|l| labels.get(*l).cloned()),
            labels,
            spec,
            state: state(pod),
            created_at: pod.metadata.creation_timestamp.as_ref().map(time),
            unschedulable: unschedulable(pod),
        }
    }
}

impl PodSeen {
    /// `true` where it serves and is not going away.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.ready == Ready::True
            && self.state.phase == Phase::Running
            && !self.state.deleting
    }

    /// Time from its creation to its readiness, where it is ready.
    #[must_use]
    pub fn startup(&self) -> Option<foresail_core::quantity::time::Span> {
        let created = self.created_at.filter(|_| self.is_ready())?;
        let took = self.state.ready_changed_at - created;
        (took >= foresail_core::quantity::time::Span::ZERO).then_some(took)
    }
}
