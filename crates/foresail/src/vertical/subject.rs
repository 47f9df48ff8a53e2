//! The Deployment whose requests are looked at: its pods, what they use, what the namespace allows,
//! and who else moves them. Everything here only reads.

use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::resize::{ContainerSize, PodSize};
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_core::propose::plan::TargetId;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Container, LimitRange, Pod, ResourceQuota};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};

use super::adviser;
use super::group::{self, Owner, PodGroup};
use super::room::Room;

/// The resources that are sized.
pub const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Where it is.
#[derive(Debug)]
pub struct Place {
    /// The clients.
    pub clients: Clients,
    /// The namespace.
    pub namespace: String,
    /// The Deployment's name.
    pub name: String,
    /// What the server can do.
    pub features: Features,
}

/// What one look showed.
#[derive(Debug)]
pub struct Subject {
    /// The Deployment.
    pub deployment: Deployment,
    /// Its pods and what they use.
    pub group: PodGroup,
}

/// Who else moves its pods or their sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// HPAs that reckon with a share of the request, each with the resource.
    pub hpas: Vec<HpaTarget>,
    /// Vertical Pod Autoscalers on it that act.
    pub vpas: Vec<String>,
}

/// An HPA's target that is a share of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpaTarget {
    /// The HPA's name.
    pub name: String,
    /// Of which resource.
    pub resource: String,
    /// Percent of the request.
    pub percent: i32,
}

impl Place {
    /// Pods, to be read.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.clients.read.clone(), &self.namespace)
    }

    /// Pods, to be written.
    #[must_use]
    pub fn pods_written(&self) -> Api<Pod> {
        Api::namespaced(self.clients.write.clone(), &self.namespace)
    }

    /// Deployments, to be read.
    #[must_use]
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.clients.read.clone(), &self.namespace)
    }

    /// Deployments, to be written.
    #[must_use]
    pub fn deployments_written(&self) -> Api<Deployment> {
        Api::namespaced(self.clients.write.clone(), &self.namespace)
    }

    /// The Deployment as it is told.
    #[must_use]
    pub fn what(&self) -> String {
        format!("Deployment {}/{}", self.namespace, self.name)
    }

    /// Whose pods they are.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        Owner {
            kind: "Deployment",
            name: &self.name,
        }
    }

    /// The name of one container as a target of the engine.
    #[must_use]
    pub fn target(&self, container: &str) -> TargetId {
        adviser::target(&self.namespace, self.owner(), container)
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`Fault`] where the Deployment or its pods cannot be read; usage that cannot be read is told.
    pub async fn look(&self) -> Result<Subject, Fault> {
        let deployment = call(self.deployments().get(&self.name)).await?;
        let pods = self.list_pods(&deployment).await?;
        let usage = metrics::resource_metrics(&self.clients.read, &self.namespace).await;
        let group = PodGroup {
            pods,
            // A pod of which nonsense is told has no usage.
            usage: usage
                .map(|all| all.into_values().filter_map(Result::ok).collect())
                .map_err(|f| f.to_string()),
            replicas: replicas(&deployment),
            rolling: is_rolling(&deployment),
        };
        Ok(Subject { deployment, group })
    }

    /// The Deployment's own pods that are not being deleted, by name.
    ///
    /// # Errors
    /// [`Fault`] of the call.
    pub async fn list_pods(&self, deployment: &Deployment) -> Result<Vec<Pod>, Fault> {
        let selector = WorkloadSeen::from(deployment).scale.selector;
        group::list(&self.pods(), &selector.unwrap_or_default(), self.owner()).await
    }

    /// What the namespace allows.
    ///
    /// # Errors
    /// [`Fault`] of the calls.
    pub async fn room(&self) -> Result<Room, Fault> {
        room(&self.clients.read, &self.namespace).await
    }

    /// Who else moves it.
    ///
    /// # Errors
    /// [`Fault`] of the calls; a server without VerticalPodAutoscalers has none.
    pub async fn rivals(&self) -> Result<Rivals, Fault> {
        let api: Api<HorizontalPodAutoscaler> =
            Api::namespaced(self.clients.read.clone(), &self.namespace);
        let listed = call(api.list(&ListParams::default())).await?;
        let on_it = |h: &HpaSeen| h.target.kind == "Deployment" && h.target.name == self.name;
        let hpas = listed
            .items
            .iter()
            .map(|h| (h.name_any(), HpaSeen::from(h)));
        let hpas = hpas.filter(|(_, h)| on_it(h));
        Ok(Rivals {
            hpas: hpas.flat_map(|(name, h)| shares(&name, &h)).collect(),
            vpas: vpas(&self.clients.read, &self.namespace, self.owner()).await?,
        })
    }
}

/// What a namespace allows.
///
/// # Errors
/// [`Fault`] of the calls.
pub async fn room(client: &Client, namespace: &str) -> Result<Room, Fault> {
    let all = ListParams::default();
    let ranges: Api<LimitRange> = Api::namespaced(client.clone(), namespace);
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let ranges = call(ranges.list(&all)).await?;
    let quotas = call(quotas.list(&all)).await?;
    Ok(Room::new(&ranges.items, &quotas.items))
}

/// The targets of an HPA that are shares of a request; one that moves nothing has none.
#[must_use]
pub fn shares(name: &str, hpa: &HpaSeen) -> Vec<HpaTarget> {
    let share = |metric: &foresail_core::hpa::MetricSpec| {
        let read = metric
            .resource
            .as_ref()
            .or(metric.container_resource.as_ref())?;
        Some(HpaTarget {
            name: name.to_owned(),
            resource: read.name.clone(),
            percent: read.target.average_utilization?,
        })
    };
    let spec = hpa.spec.as_ref().filter(|_| !hpa.is_inert());
    spec.iter()
        .flat_map(|s| s.metrics.iter().filter_map(share))
        .collect()
}

/// Vertical Pod Autoscalers that change pods of a workload.
///
/// # Errors
/// [`Fault`] of the call; a server without them has none.
pub async fn vpas(
    client: &Client,
    namespace: &str,
    owner: Owner<'_>,
) -> Result<Vec<String>, Fault> {
    let gvk = GroupVersionKind::gvk("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "verticalpodautoscalers");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match call(api.list(&ListParams::default())).await {
        Ok(listed) => {
            let acting = listed.items.iter().filter(|v| acts(v, owner));
            Ok(acting.map(ResourceExt::name_any).collect())
        }
        Err(Fault::NotFound(_)) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// `true` for a VerticalPodAutoscaler on a workload that changes pods.
fn acts(object: &DynamicObject, owner: Owner<'_>) -> bool {
    let text = |path: &str| object.data.pointer(path).and_then(|v| v.as_str());
    text("/spec/targetRef/kind") == Some(owner.kind)
        && text("/spec/targetRef/name") == Some(owner.name)
        && text("/spec/updatePolicy/updateMode") != Some("Off")
}

fn size_of(container: &Container) -> ContainerSize {
    ContainerSize::new(container.resources.as_ref())
}

impl Subject {
    /// Names of the containers, in the order of the template.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        let spec = self.deployment.spec.as_ref();
        let template = spec.and_then(|s| s.template.spec.as_ref());
        let all = template.iter().flat_map(|t| &t.containers);
        all.map(|c| c.name.clone()).collect()
    }

    /// What the template asks for, by container.
    #[must_use]
    pub fn template(&self) -> PodSize {
        let spec = self.deployment.spec.as_ref();
        let template = spec.and_then(|s| s.template.spec.as_ref());
        let all = template.iter().flat_map(|t| &t.containers);
        all.map(|c| (c.name.clone(), size_of(c))).collect()
    }

    /// Pods that a rollout makes before old ones go: 25 % where the Deployment says nothing.
    /// Source: kubernetes/kubernetes:pkg/controller/deployment/util, ResolveFenceposts.
    #[must_use]
    pub fn surge(&self) -> u32 {
        let strategy = self
            .deployment
            .spec
            .as_ref()
            .and_then(|s| s.strategy.as_ref());
        if strategy.and_then(|s| s.type_.as_deref()) == Some("Recreate") {
            return 0;
        }
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
        let share = |percent: u32| (self.group.replicas * percent).div_ceil(100);
        match rolling.and_then(|r| r.max_surge.as_ref()) {
            Some(IntOrString::Int(count)) => u32::try_from(*count).unwrap_or(0),
            Some(IntOrString::String(text)) => {
                let percent = text.strip_suffix('%').and_then(|t| t.parse().ok());
                share(percent.unwrap_or(25))
            }
            None => share(25),
        }
    }
}

/// Replicas that are asked for.
fn replicas(deployment: &Deployment) -> u32 {
    let asked = deployment.spec.as_ref().and_then(|s| s.replicas);
    u32::try_from(asked.unwrap_or(1)).unwrap_or(0)
}

/// `true` while pods of several templates are there, or its controller has not seen the newest.
#[must_use]
pub fn is_rolling(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    let seen = status.and_then(|s| s.observed_generation).unwrap_or(0);
    let existing = status.and_then(|s| s.replicas).unwrap_or(0);
    let updated = status.and_then(|s| s.updated_replicas).unwrap_or(0);
    seen < deployment.metadata.generation.unwrap_or(0) || existing > updated
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn subject(deployment: &serde_json::Value) -> Subject {
        let deployment: Deployment = serde_json::from_value(deployment.clone()).unwrap();
        let group = PodGroup {
            pods: Vec::new(),
            usage: Err("none".to_owned()),
            replicas: replicas(&deployment),
            rolling: is_rolling(&deployment),
        };
        Subject { deployment, group }
    }

    #[test]
    fn a_surge_is_told_as_the_deployment_says() {
        let with = |strategy: serde_json::Value| {
            let spec =
                json!({"replicas": 10, "strategy": strategy, "selector": {}, "template": {}});
            subject(&json!({"metadata": {}, "spec": spec})).surge()
        };
        assert_eq!(with(json!({"type": "RollingUpdate"})), 3);
        assert_eq!(with(json!({"rollingUpdate": {"maxSurge": "15%"}})), 2);
        assert_eq!(with(json!({"rollingUpdate": {"maxSurge": 4}})), 4);
        assert_eq!(with(json!({"type": "Recreate"})), 0);
    }
}
