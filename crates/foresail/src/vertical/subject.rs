//! The Deployment whose requests are looked at: its pods, what they use, what the namespace allows,
//! and who else moves them. Everything here only reads.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::pods::{PodSeen, time};
use foresail_adapters::kubernetes::resize::{self, ContainerSize, PodSize};
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_core::hpa::resolve::{PodMetrics, sample};
use foresail_core::hpa::{PodReading, Reading};
use foresail_core::observe::{MemoryKill, TargetState};
use foresail_core::propose::plan::{Resources, Setting, TargetId};
use foresail_core::quantity::units::Replicas;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Container, LimitRange, Pod, ResourceQuota};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};

use super::fit::quantity;
use super::qos::{Qos, qos};
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
    /// Its pods that are not being deleted, by name.
    pub pods: Vec<Pod>,
    /// What each pod's containers used, where that could be read.
    pub usage: Result<Vec<PodMetrics>, String>,
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

    /// The name of one container as a target of the engine.
    #[must_use]
    pub fn target(&self, container: &str) -> TargetId {
        TargetId::new(&format!(
            "{}/Deployment/{}/{container}",
            self.namespace, self.name
        ))
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`Fault`] where the Deployment or its pods cannot be read; usage that cannot be read is told.
    pub async fn look(&self) -> Result<Subject, Fault> {
        let deployment = call(self.deployments().get(&self.name)).await?;
        let pods = self.list_pods(&deployment).await?;
        let usage = metrics::resource_metrics(&self.clients.read, &self.namespace).await;
        Ok(Subject {
            deployment,
            pods,
            // A pod of which nonsense is told has no usage.
            usage: usage
                .map(|all| all.into_values().filter_map(Result::ok).collect())
                .map_err(|f| f.to_string()),
        })
    }

    /// The Deployment's own pods that are not being deleted, by name.
    ///
    /// # Errors
    /// [`Fault`] of the call.
    pub async fn list_pods(&self, deployment: &Deployment) -> Result<Vec<Pod>, Fault> {
        let selector = WorkloadSeen::from(deployment).scale.selector;
        let parameters = ListParams::default().labels(&selector.unwrap_or_default());
        let listed = call(self.pods().list(&parameters)).await?;
        let ours = |p: &Pod| p.metadata.deletion_timestamp.is_none() && is_of(p, &self.name);
        let mut pods: Vec<Pod> = listed.items.into_iter().filter(ours).collect();
        pods.sort_by_key(ResourceExt::name_any);
        Ok(pods)
    }

    /// What the namespace allows.
    ///
    /// # Errors
    /// [`Fault`] of the calls.
    pub async fn room(&self) -> Result<Room, Fault> {
        let (client, all) = (&self.clients.read, ListParams::default());
        let ranges: Api<LimitRange> = Api::namespaced(client.clone(), &self.namespace);
        let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &self.namespace);
        let ranges = call(ranges.list(&all)).await?;
        let quotas = call(quotas.list(&all)).await?;
        Ok(Room::new(&ranges.items, &quotas.items))
    }

    /// Who else moves it.
    ///
    /// # Errors
    /// [`Fault`] of the calls; a server without VerticalPodAutoscalers has none.
    pub async fn rivals(&self) -> Result<Rivals, Fault> {
        let all = ListParams::default();
        let api: Api<HorizontalPodAutoscaler> =
            Api::namespaced(self.clients.read.clone(), &self.namespace);
        let listed = call(api.list(&all)).await?;
        let hpas = listed.items.iter().flat_map(|h| self.shares(h)).collect();
        let gvk = GroupVersionKind::gvk("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "verticalpodautoscalers");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.clients.read.clone(), &self.namespace, &resource);
        let vpas = match call(api.list(&all)).await {
            Ok(listed) => listed
                .items
                .iter()
                .filter(|v| self.acts(v))
                .map(ResourceExt::name_any)
                .collect(),
            Err(Fault::NotFound(_)) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        Ok(Rivals { hpas, vpas })
    }

    /// The targets of an HPA on the Deployment that are shares of a request.
    fn shares(&self, object: &HorizontalPodAutoscaler) -> Vec<HpaTarget> {
        let seen = HpaSeen::from(object);
        let on_it = seen.target.kind == "Deployment" && seen.target.name == self.name;
        let spec = seen.spec.filter(|_| on_it);
        let share = |metric: &foresail_core::hpa::MetricSpec| {
            let read = metric
                .resource
                .as_ref()
                .or(metric.container_resource.as_ref())?;
            Some(HpaTarget {
                name: object.name_any(),
                resource: read.name.clone(),
                percent: read.target.average_utilization?,
            })
        };
        spec.iter()
            .flat_map(|s| s.metrics.iter().filter_map(share))
            .collect()
    }

    /// `true` for a VerticalPodAutoscaler on the Deployment that changes pods.
    fn acts(&self, object: &DynamicObject) -> bool {
        let text = |path: &str| object.data.pointer(path).and_then(|v| v.as_str());
        text("/spec/targetRef/kind") == Some("Deployment")
            && text("/spec/targetRef/name") == Some(self.name.as_str())
            && text("/spec/updatePolicy/updateMode") != Some("Off")
    }
}

/// `true` for a pod that a ReplicaSet of this Deployment made.
///
/// Source: kubernetes/kubernetes:pkg/controller/deployment/sync.go, a ReplicaSet is named
/// DEPLOYMENT-HASH.
fn is_of(pod: &Pod, name: &str) -> bool {
    let hash = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get("pod-template-hash"));
    let owner = hash.map(|hash| format!("{name}-{hash}"));
    let mut owners = pod.metadata.owner_references.iter().flatten();
    owners.any(|o| o.kind == "ReplicaSet" && Some(&o.name) == owner.as_ref())
}

fn size_of(container: &Container) -> ContainerSize {
    ContainerSize::new(container.resources.as_ref())
}

impl Subject {
    /// Pods that run.
    pub fn running(&self) -> impl Iterator<Item = &Pod> {
        let runs = |p: &&Pod| {
            let phase = p.status.as_ref().and_then(|s| s.phase.as_deref());
            phase == Some("Running")
        };
        self.pods.iter().filter(runs)
    }

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

    /// What most of its pods have, by container: the API server has filled in defaults there.
    #[must_use]
    pub fn sizes(&self) -> Option<PodSize> {
        let mut counted: Vec<(PodSize, usize)> = Vec::new();
        for size in self.running().map(resize::asked) {
            match counted.iter_mut().find(|(s, _)| *s == size) {
                Some((_, count)) => *count += 1,
                None => counted.push((size, 1)),
            }
        }
        // Of equals the first: `max_by_key` would take the last.
        let most = counted.iter().map(|(_, n)| *n).max()?;
        counted
            .into_iter()
            .find(|(_, n)| *n == most)
            .map(|(s, _)| s)
    }

    /// Init containers of its pods; `true` for those that go on running.
    #[must_use]
    pub fn beside(&self) -> Vec<(ContainerSize, bool)> {
        let spec = self.pods.first().and_then(|p| p.spec.as_ref());
        let all = spec.and_then(|s| s.init_containers.as_ref());
        let runs = |c: &Container| c.restart_policy.as_deref() == Some("Always");
        all.into_iter()
            .flatten()
            .map(|c| (size_of(c), runs(c)))
            .collect()
    }

    /// The class of its pods.
    #[must_use]
    pub fn qos(&self) -> Option<Qos> {
        let (sizes, beside) = (self.sizes()?, self.beside());
        Some(qos(sizes.values().chain(beside.iter().map(|(s, _)| s))))
    }

    /// `true` where its pods are sized as a whole, which is not read here.
    #[must_use]
    pub fn sizes_pods_as_a_whole(&self) -> bool {
        let own = |p: &Pod| p.spec.as_ref().and_then(|s| s.resources.clone());
        self.pods
            .iter()
            .filter_map(own)
            .any(|r| r.requests.is_some() || r.limits.is_some())
    }

    /// Replicas that are asked for.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        let asked = self.deployment.spec.as_ref().and_then(|s| s.replicas);
        u32::try_from(asked.unwrap_or(1)).unwrap_or(0)
    }

    /// `true` while pods of several templates are there, or its controller has not seen the newest.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        is_rolling(&self.deployment)
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
        let share = |percent: u32| (self.replicas() * percent).div_ceil(100);
        match rolling.and_then(|r| r.max_surge.as_ref()) {
            Some(IntOrString::Int(count)) => u32::try_from(*count).unwrap_or(0),
            Some(IntOrString::String(text)) => {
                let percent = text.strip_suffix('%').and_then(|t| t.parse().ok());
                share(percent.unwrap_or(25))
            }
            None => share(25),
        }
    }

    /// A pod whose resize is under way, with how far it is.
    #[must_use]
    pub fn resizing(&self) -> Option<(String, resize::Progress)> {
        let mut each = self.running().map(|p| (p.name_any(), resize::progress(p)));
        each.find(|(_, progress)| *progress != resize::Progress::Done)
    }

    /// Containers that the kubelet starts anew for another amount of a resource.
    #[must_use]
    pub fn restarts(&self) -> Vec<(String, String)> {
        let spec = self.pods.first().and_then(|p| p.spec.as_ref());
        let of = |c: &Container| {
            let policies = c.resize_policy.iter().flatten();
            let restarting = policies.filter(|p| p.restart_policy == "RestartContainer");
            let pair = |p: &k8s_openapi::api::core::v1::ContainerResizePolicy| {
                (c.name.clone(), p.resource_name.clone())
            };
            restarting.map(pair).collect::<Vec<_>>()
        };
        spec.iter()
            .flat_map(|s| &s.containers)
            .flat_map(of)
            .collect()
    }

    /// Usage of one pod's container, in thousandths of a resource.
    fn reading(
        &self,
        pod: &Pod,
        container: &str,
        resource: &str,
        request: Option<i64>,
    ) -> PodReading {
        let name = pod.name_any();
        let all = self.usage.as_deref().unwrap_or(&[]);
        let metrics = all.iter().find(|m| m.pod == name);
        PodReading {
            request,
            sample: metrics.and_then(|m| sample(m, resource, Some(container))),
        }
    }

    /// The most memory that each container was seen to use, in thousandths of a byte.
    #[must_use]
    pub fn memory_used(&self) -> BTreeMap<String, i64> {
        let mut used = BTreeMap::new();
        let all = self.usage.as_deref().unwrap_or(&[]);
        for pod in self.running() {
            let name = pod.name_any();
            for metrics in all.iter().filter(|m| m.pod == name) {
                for (container, of) in &metrics.containers {
                    if let Some(memory) = of.get("memory") {
                        let most = used.entry(container.clone()).or_insert(*memory);
                        *most = (*most).max(*memory);
                    }
                }
            }
        }
        used
    }

    /// One container of all pods as a target of the engine.
    #[must_use]
    pub fn state(&self, place: &Place, container: &str) -> TargetState {
        let size = self.sizes().and_then(|s| s.get(container).cloned());
        let size = size.unwrap_or_default();
        let mut per_pod = Resources::default();
        for resource in RESOURCES {
            if let Some(milli) = size.requests.get(resource) {
                per_pod.set(resource, quantity(resource, *milli));
            }
        }
        let reading = |resource: &str| {
            let request = size.requests.get(resource).copied();
            let all = self.pods.iter();
            Reading::Pods(
                all.map(|p| self.reading(p, container, resource, request))
                    .collect(),
            )
        };
        let readings = match &self.usage {
            Ok(_) => RESOURCES.map(reading).to_vec(),
            Err(_) => vec![Reading::Failed, Reading::Failed],
        };
        let seen: Vec<PodSeen> = self.pods.iter().map(PodSeen::from).collect();
        let ready = seen.iter().filter(|p| p.is_ready()).count();
        let replicas = Replicas::new(self.replicas());
        TargetState {
            target: place.target(container),
            current: Setting {
                replicas: Some(replicas),
                per_pod,
                ..Setting::default()
            },
            status_replicas: Replicas::new(u32::try_from(self.pods.len()).unwrap_or(u32::MAX)),
            ready: Replicas::new(u32::try_from(ready).unwrap_or(u32::MAX)),
            pods: seen.iter().map(|p| p.state).collect(),
            readings,
            rollout: self.is_rolling(),
            kills: self.kills(container, &size),
            ..TargetState::default()
        }
    }

    /// Containers that were killed for memory and started again since.
    fn kills(&self, container: &str, size: &ContainerSize) -> Vec<MemoryKill> {
        let Some(memory) = size.requests.get("memory") else {
            return Vec::new();
        };
        let kill = |pod: &Pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let own = statuses.iter().find(|s| s.name == container)?;
            let ended = own.last_state.as_ref()?.terminated.as_ref()?;
            let killed = ended.reason.as_deref() == Some("OOMKilled");
            let at = ended.finished_at.as_ref().filter(|_| killed)?;
            Some(MemoryKill {
                at: time(at),
                memory: quantity("memory", *memory),
            })
        };
        self.pods.iter().filter_map(kill).collect()
    }
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

    #[test]
    fn only_pods_of_its_own_replica_sets_are_its_own() {
        let pod = |owner: &str| -> Pod {
            let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "u", "controller": true}]);
            let meta = json!({"name": "p", "labels": {"pod-template-hash": "5d9c"}, "ownerReferences": owner});
            serde_json::from_value(json!({"metadata": meta})).unwrap()
        };
        assert!(is_of(&pod("web-5d9c"), "web"));
        for other in ["web-api-5d9c", "web-7f", "web"] {
            assert!(!is_of(&pod(other), "web"), "{other}");
        }
    }

    fn subject(deployment: &serde_json::Value, cpus: &[&str]) -> Subject {
        let pod = |(i, cpu): (usize, &&str)| -> Pod {
            let resources = json!({"requests": {"cpu": cpu}});
            let containers = json!([{"name": "main", "resources": resources}]);
            serde_json::from_value(json!({"metadata": {"name": format!("p{i}")},
                "spec": {"containers": containers}, "status": {"phase": "Running"}}))
            .unwrap()
        };
        Subject {
            deployment: serde_json::from_value(deployment.clone()).unwrap(),
            pods: cpus.iter().enumerate().map(pod).collect(),
            usage: Err("none".to_owned()),
        }
    }

    #[test]
    fn the_size_of_most_pods_counts_and_usage_that_is_not_read_is_no_zero() {
        let found = subject(&json!({"metadata": {}}), &["100m", "200m", "200m", "100m"]);
        assert_eq!(
            found.sizes().unwrap()["main"].requests["cpu"],
            100,
            "of equals the first"
        );
        assert_eq!(subject(&json!({"metadata": {}}), &[]).sizes(), None);
        assert!(found.memory_used().is_empty());
    }

    #[test]
    fn a_surge_is_told_as_the_deployment_says() {
        let with = |strategy: serde_json::Value| {
            let spec =
                json!({"replicas": 10, "strategy": strategy, "selector": {}, "template": {}});
            subject(&json!({"metadata": {}, "spec": spec}), &[]).surge()
        };
        assert_eq!(with(json!({"type": "RollingUpdate"})), 3);
        assert_eq!(with(json!({"rollingUpdate": {"maxSurge": "15%"}})), 2);
        assert_eq!(with(json!({"rollingUpdate": {"maxSurge": 4}})), 4);
        assert_eq!(with(json!({"type": "Recreate"})), 0);
    }
}
