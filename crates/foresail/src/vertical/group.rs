//! The pods of one workload: what they ask for, what they use, how far their resizes are.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::pods::{PodSeen, time};
use foresail_adapters::kubernetes::resize::{self, ContainerSize, PodSize};
use foresail_core::hpa::resolve::{PodMetrics, sample};
use foresail_core::hpa::{PodReading, Reading};
use foresail_core::observe::{MemoryKill, TargetState};
use foresail_core::propose::plan::{Resources, Setting, TargetId};
use foresail_core::quantity::units::Replicas;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::fit::quantity;
use super::qos::{Qos, qos};
use super::subject::RESOURCES;

/// Pods of one workload, as one look showed them.
#[derive(Debug)]
pub struct PodGroup {
    /// Its pods that are not being deleted, by name.
    pub pods: Vec<Pod>,
    /// What each pod's containers used, where that could be read.
    pub usage: Result<Vec<PodMetrics>, String>,
    /// Replicas that are asked for.
    pub replicas: u32,
    /// `true` while pods of several templates are there.
    pub rolling: bool,
}

/// Whose pods they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Deployment, StatefulSet or ReplicaSet.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Owner<'_> {
    /// `true` for a pod that it made, by itself or by a ReplicaSet of its own.
    ///
    /// Source: kubernetes/kubernetes:pkg/controller/deployment/sync.go, a ReplicaSet is named
    /// DEPLOYMENT-HASH.
    #[must_use]
    pub fn made(&self, pod: &Pod) -> bool {
        let labels = pod.metadata.labels.as_ref();
        let hash = labels.and_then(|l| l.get("pod-template-hash"));
        let (kind, name) = match self.kind {
            "Deployment" => ("ReplicaSet", hash.map(|h| format!("{}-{h}", self.name))),
            kind => (kind, Some(self.name.to_owned())),
        };
        let mut owners = pod.metadata.owner_references.iter().flatten();
        owners.any(|o| o.kind == kind && Some(&o.name) == name.as_ref())
    }
}

/// An owner's pods that are not being deleted, by name.
///
/// # Errors
/// [`Fault`] of the call.
pub async fn list(api: &Api<Pod>, selector: &str, owner: Owner<'_>) -> Result<Vec<Pod>, Fault> {
    let listed = call(api.list(&ListParams::default().labels(selector))).await?;
    let ours = |p: &Pod| p.metadata.deletion_timestamp.is_none() && owner.made(p);
    let mut pods: Vec<Pod> = listed.items.into_iter().filter(ours).collect();
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

fn size_of(container: &Container) -> ContainerSize {
    ContainerSize::new(container.resources.as_ref())
}

impl PodGroup {
    /// Pods that run.
    pub fn running(&self) -> impl Iterator<Item = &Pod> {
        let runs = |p: &&Pod| {
            let phase = p.status.as_ref().and_then(|s| s.phase.as_deref());
            phase == Some("Running")
        };
        self.pods.iter().filter(runs)
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

    /// Names of the containers of its pods that run, in the order of the first.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let specs = self.running().filter_map(|p| p.spec.as_ref());
        for container in specs.flat_map(|s| &s.containers) {
            if !names.contains(&container.name) {
                names.push(container.name.clone());
            }
        }
        names
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
    pub fn state(&self, target: TargetId, container: &str) -> TargetState {
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
        let replicas = Replicas::new(self.replicas);
        TargetState {
            target,
            current: Setting {
                replicas: Some(replicas),
                per_pod,
                ..Setting::default()
            },
            status_replicas: Replicas::new(u32::try_from(self.pods.len()).unwrap_or(u32::MAX)),
            ready: Replicas::new(u32::try_from(ready).unwrap_or(u32::MAX)),
            pods: seen.iter().map(|p| p.state).collect(),
            readings,
            rollout: self.rolling,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_pods_that_it_made_are_its_own() {
        let pod = |kind: &str, owner: &str| -> Pod {
            let owner = json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "u", "controller": true}]);
            let meta = json!({"name": "p", "labels": {"pod-template-hash": "5d9c"}, "ownerReferences": owner});
            serde_json::from_value(json!({"metadata": meta})).unwrap()
        };
        let made = |kind, pod: &Pod| Owner { kind, name: "web" }.made(pod);
        assert!(made("Deployment", &pod("ReplicaSet", "web-5d9c")));
        for other in ["web-api-5d9c", "web-7f", "web"] {
            assert!(!made("Deployment", &pod("ReplicaSet", other)), "{other}");
        }
        assert!(made("StatefulSet", &pod("StatefulSet", "web")));
        assert!(!made("StatefulSet", &pod("StatefulSet", "web-2")));
        assert!(!made("StatefulSet", &pod("ReplicaSet", "web")));
    }

    #[test]
    fn the_size_of_most_pods_counts_and_usage_that_is_not_read_is_no_zero() {
        let group = |cpus: &[&str]| {
            let pod = |(i, cpu): (usize, &&str)| -> Pod {
                let containers = json!([{"name": "main", "resources": {"requests": {"cpu": cpu}}}]);
                serde_json::from_value(json!({"metadata": {"name": format!("p{i}")},
                    "spec": {"containers": containers}, "status": {"phase": "Running"}}))
                .unwrap()
            };
            PodGroup {
                pods: cpus.iter().enumerate().map(pod).collect(),
                usage: Err("none".to_owned()),
                replicas: 4,
                rolling: false,
            }
        };
        let found = group(&["100m", "200m", "200m", "100m"]);
        assert_eq!(
            found.sizes().unwrap()["main"].requests["cpu"],
            100,
            "of equals the first"
        );
        assert_eq!(group(&[]).sizes(), None);
        assert!(found.memory_used().is_empty());
    }
}
