//! The size of a pod that runs: asked for through `pods/NAME/resize`, read back from the pod.
//!
//! The API server takes the wish into `spec` and the kubelet answers in `status`: the condition
//! `PodResizePending` with reason `Deferred` or `Infeasible`, `PodResizeInProgress` while it works,
//! and neither where nothing is due. What the containers really have stands in
//! `status.containerStatuses[].resources`.
//! Source: specs/control_plane.md 6.1; Kubernetes documentation, "Resize CPU and Memory Resources
//! assigned to Containers".

use std::collections::BTreeMap;
use std::time::Duration;

use foresail_core::quantity::units::{Quantity, Unit};
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::client::CALL;
use super::fault::{Fault, call, within};
use super::pods::amounts;
use super::scale::FIELD_MANAGER;

/// Why a resize is not done: the words of the condition `PodResizePending`.
const INFEASIBLE: &str = "Infeasible";

/// Amounts by resource, in thousandths: of a core for `cpu`, of a byte for `memory`.
pub type Amounts = BTreeMap<String, i64>;

/// What one container asks for and may use at most; a resource that is not named is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSize {
    /// What it asks for.
    pub requests: Amounts,
    /// What it may use at most.
    pub limits: Amounts,
}

/// The sizes of a pod's containers by their names.
pub type PodSize = BTreeMap<String, ContainerSize>;

/// How far a resize has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is due: the containers have what is asked for.
    Done,
    /// The kubelet has not answered yet.
    Asked,
    /// The kubelet is at work; the text is its own where it met an error.
    InProgress(String),
    /// The node has no room at present; the kubelet tries again by itself.
    Deferred(String),
    /// The node can never give as much: another node, or another size.
    Infeasible(String),
}

impl Progress {
    /// `true` where nothing more will happen by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Infeasible(_))
    }
}

impl ContainerSize {
    /// The size that some resources describe.
    #[must_use]
    pub fn new(resources: Option<&ResourceRequirements>) -> Self {
        let side = |of: Option<_>| of.map(amounts).unwrap_or_default();
        Self {
            requests: side(resources.and_then(|r| r.requests.as_ref())),
            limits: side(resources.and_then(|r| r.limits.as_ref())),
        }
    }

    /// The same container with another amount of one resource, in thousandths: the limit where
    /// there is one, and the request in the same share of it as before, so that a pod keeps its QoS
    /// class; only the request where there is no limit. `None` where it has neither: a pod cannot
    /// be given what would change its class.
    #[must_use]
    pub fn with(&self, resource: &str, milli: i64) -> Option<Self> {
        let (request, limit) = (self.requests.get(resource), self.limits.get(resource));
        let mut new = self.clone();
        if limit.is_some() {
            new.limits.insert(resource.to_owned(), milli);
        }
        let share = match (request, limit) {
            (Some(request), Some(limit)) if *limit > 0 => {
                let share = i128::from(milli) * i128::from(*request) / i128::from(*limit);
                Some(i64::try_from(share).unwrap_or(milli))
            }
            (Some(_), _) => Some(milli),
            (None, Some(_)) => None,
            (None, None) => return None,
        };
        if let Some(share) = share {
            new.requests.insert(resource.to_owned(), share);
        }
        Some(new)
    }

    /// What it gets of a resource at most, in thousandths: the limit, else the request.
    #[must_use]
    pub fn most(&self, resource: &str) -> Option<i64> {
        let of = |side: &Amounts| side.get(resource).copied();
        of(&self.limits).or_else(|| of(&self.requests))
    }

    /// As Kubernetes writes it.
    pub(super) fn json(&self) -> Value {
        json!({"requests": texts(&self.requests), "limits": texts(&self.limits)})
    }
}

/// Amounts as people write them for Kubernetes, which keeps the text: thousandths of a core, memory in
/// binary units where it divides.
fn texts(amounts: &Amounts) -> BTreeMap<&str, String> {
    let text = |(name, milli): (&String, &i64)| match name.as_str() {
        // Bytes have no fraction: the next whole one above.
        "memory" => {
            let whole = milli.div_euclid(1000) + i64::from(milli.rem_euclid(1000) > 0);
            Quantity::from_milli(whole.saturating_mul(1000), Unit::Bytes).to_string()
        }
        _ => Quantity::from_milli(*milli, Unit::Count).to_string(),
    };
    let each = amounts.iter();
    each.map(|pair| (pair.0.as_str(), text(pair))).collect()
}

/// What a pod's containers are asked to have.
#[must_use]
pub fn asked(pod: &Pod) -> PodSize {
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    containers
        .map(|c| (c.name.clone(), ContainerSize::new(c.resources.as_ref())))
        .collect()
}

/// What they have, as the kubelet tells; a container that it does not tell of is not in it.
#[must_use]
pub fn granted(pod: &Pod) -> PodSize {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|s| s.container_statuses.as_ref());
    let told = statuses.into_iter().flatten();
    let told = told.filter_map(|s| Some((s.name.clone(), s.resources.as_ref()?)));
    told.map(|(name, r)| (name, ContainerSize::new(Some(r))))
        .collect()
}

/// How far the last resize of a pod has come.
#[must_use]
pub fn progress(pod: &Pod) -> Progress {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_ref());
    let of = |kind: &str| {
        let mut all = conditions.into_iter().flatten();
        // A condition that answers an earlier wish says nothing of the last one.
        let stale =
            |seen: Option<i64>| seen.is_some_and(|s| s < pod.metadata.generation.unwrap_or(s));
        let found =
            all.find(|c| c.type_ == kind && c.status == "True" && !stale(c.observed_generation))?;
        let text = found.message.clone().unwrap_or_default();
        Some((found.reason.clone().unwrap_or_default(), text))
    };
    if let Some((reason, text)) = of("PodResizePending") {
        return match reason == INFEASIBLE {
            true => Progress::Infeasible(text),
            false => Progress::Deferred(text),
        };
    }
    if let Some((_, text)) = of("PodResizeInProgress") {
        return Progress::InProgress(text);
    }
    let seen = status.and_then(|s| s.observed_generation);
    let is_old = seen.is_some_and(|seen| pod.metadata.generation.is_some_and(|g| seen < g));
    let has = granted(pod);
    let differs = |(name, size): (String, ContainerSize)| has.get(&name) != Some(&size);
    if is_old || asked(pod).into_iter().any(differs) {
        Progress::Asked
    } else {
        Progress::Done
    }
}

/// `true` where the server lets pods be resized while they run.
///
/// # Errors
/// [`Fault`] of the call.
pub async fn is_served(client: &Client) -> Result<bool, Fault> {
    let all = call(client.list_core_api_resources("v1")).await?;
    Ok(all.resources.iter().any(|r| r.name == "pods/resize"))
}

/// Asks for other sizes of a pod's containers; those that are not named stay. `uid` is that of the
/// pod which is meant: another one of the same name is refused.
///
/// # Errors
/// [`Fault::Invalid`] where the server refuses the sizes (another QoS class, below a LimitRange);
/// [`Fault`] of the call.
pub async fn ask(api: &Api<Pod>, name: &str, uid: &str, sizes: &PodSize) -> Result<Pod, Fault> {
    ask_within(CALL, api, (name, uid), sizes).await
}

/// The same within another deadline than that of all calls.
///
/// # Errors
/// As [`ask`].
pub async fn ask_within(
    most: Duration,
    api: &Api<Pod>,
    (name, uid): (&str, &str),
    sizes: &PodSize,
) -> Result<Pod, Fault> {
    let containers = sizes
        .iter()
        .map(|(name, size)| json!({"name": name, "resources": size.json()}));
    let containers: Vec<Value> = containers.collect();
    let body = json!({"metadata": {"uid": uid}, "spec": {"containers": containers}});
    let by = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    within(most, api.patch_resize(name, &by, &Patch::Strategic(body))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(asked: &Value, has: &Value, conditions: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "generation": 2},
            "spec": {"containers": [{"name": "c", "resources": asked}]},
            "status": {
                "observedGeneration": 2, "conditions": conditions,
                "containerStatuses": [{"name": "c", "resources": has, "image": "", "imageID": "", "ready": true, "restartCount": 0}],
            },
        }))
        .unwrap()
    }

    fn size(cpu: &str) -> Value {
        json!({"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"cpu": cpu}})
    }

    fn condition(kind: &str, reason: &str) -> Value {
        json!([{"type": kind, "status": "True", "reason": reason, "message": "why"}])
    }

    #[test]
    fn the_conditions_tell_how_far_it_is() {
        let (old, new, none) = (size("100m"), size("120m"), json!([]));
        let of = |c: &Value| progress(&pod(&new, &old, c));
        assert_eq!(of(&none), Progress::Asked);
        let pending = |reason| of(&condition("PodResizePending", reason));
        assert_eq!(pending("Deferred"), Progress::Deferred("why".to_owned()));
        assert_eq!(
            pending("Infeasible"),
            Progress::Infeasible("why".to_owned())
        );
        let working = of(&condition("PodResizeInProgress", ""));
        assert_eq!(working, Progress::InProgress("why".to_owned()));
        assert!(!working.is_over());
        // The same amount in other words.
        let done = progress(&pod(&size("0.12"), &new, &none));
        assert!(done == Progress::Done && done.is_over());
        let mut unseen = pod(&new, &new, &none);
        unseen.metadata.generation = Some(3);
        assert_eq!(progress(&unseen), Progress::Asked);
        // Put back: the refusal of the wish before stands there for a moment more.
        let refused = condition("PodResizePending", "Infeasible");
        let mut back = pod(&old, &old, &refused);
        back.metadata.generation = Some(3);
        let conditions = back.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions[0].observed_generation = Some(2);
        assert_eq!(progress(&back), Progress::Asked);
        let status = back.status.as_mut().unwrap();
        status.conditions.as_mut().unwrap()[0].observed_generation = Some(3);
        assert!(matches!(progress(&back), Progress::Infeasible(_)));
        let mut untold = pod(&new, &new, &none);
        untold.status = None;
        assert_eq!(progress(&untold), Progress::Asked, "untold is not done");
    }

    #[test]
    fn another_size_keeps_the_qos_class() {
        let of = |resources: Value| {
            let r: ResourceRequirements = serde_json::from_value(resources).unwrap();
            ContainerSize::new(Some(&r))
        };
        // Guaranteed stays guaranteed.
        let equal = of(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}));
        let equal = equal.with("cpu", 300).unwrap();
        assert_eq!((equal.requests["cpu"], equal.limits["cpu"]), (300, 300));
        // Burstable keeps its share.
        let half = of(json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}));
        let half = half.with("cpu", 3000).unwrap();
        assert_eq!((half.requests["cpu"], half.limits["cpu"]), (1500, 3000));
        let open = of(json!({"requests": {"memory": "64Mi"}}));
        let open = open.with("memory", 1000).unwrap();
        assert!(open.limits.is_empty());
        assert_eq!(open.most("memory"), Some(1000));
        assert_eq!(open.with("cpu", 1000), None, "best effort stays so");
        let text = of(json!({"requests": {"cpu": "1500m", "memory": "10"}})).json();
        assert_eq!(text["requests"], json!({"cpu": "1500m", "memory": "10"}));
        let text = of(json!({"requests": {"cpu": "2", "memory": "262144k"}})).json();
        assert_eq!(text["requests"], json!({"cpu": "2", "memory": "250Mi"}));
    }
}
