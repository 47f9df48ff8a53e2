//! The objects of a namespace: Deployments, their pods, and how both get another size.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::client::{CALL, Clients};
use super::super::fault::{Fault, call};
use super::super::pods::PodSeen;
use super::super::resize::{self, ContainerSize, PodSize, Progress};
use super::super::scale::{self, FIELD_MANAGER, Target};
use super::{LABEL, LOOK, MEBI, Options, span};
use crate::provider::{FunctionSeen, FunctionSize, SystemError, error};

/// The objects of a namespace.
pub(super) struct Cluster<'a> {
    pub(super) deployments: Api<Deployment>,
    pub(super) pods: Api<Pod>,
    pub(super) clients: &'a Clients,
    pub(super) options: &'a Options,
}

impl Cluster<'_> {
    /// Deployments of the functions, in their order.
    pub(super) async fn all(&self, names: &[String]) -> Result<Vec<Deployment>, SystemError> {
        let listed = call(self.deployments.list(&ListParams::default())).await;
        let listed = listed.map_err(|e| error("cannot list deployments", e))?;
        let mut by: BTreeMap<String, Deployment> = BTreeMap::new();
        for deployment in listed.items {
            let label = deployment.labels().get(LABEL).cloned();
            let of = label.unwrap_or_else(|| deployment.name_any());
            let name = deployment.name_any();
            if let Some(other) = by.insert(of.clone(), deployment) {
                let why = format!(
                    "{} and {name} both say `{of}`; give one another label {LABEL}",
                    other.name_any()
                );
                return Err(error("which deployment is the function", why));
            }
        }
        let find = |name: &String| {
            by.remove(name).ok_or_else(|| {
                let why = format!(
                    "namespace {} has none of this name or with the label {LABEL}={name}",
                    self.options.namespace
                );
                error(format!("no deployment of the function {name}"), why)
            })
        };
        names.iter().map(find).collect()
    }

    /// Pods of a Deployment that are there to stay.
    async fn pods(&self, deployment: &Deployment) -> Result<Vec<Pod>, Fault> {
        let spec = deployment.spec.as_ref();
        let labels = spec.and_then(|s| s.selector.match_labels.as_ref());
        let pairs = labels.into_iter().flatten();
        let text: Vec<String> = pairs.map(|(k, v)| format!("{k}={v}")).collect();
        if text.is_empty() {
            let why = "its selector has no labels".to_owned();
            return Err(Fault::Invalid(why));
        }
        let listed = call(
            self.pods
                .list(&ListParams::default().labels(&text.join(","))),
        )
        .await?;
        let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        Ok(listed.items.into_iter().filter(stays).collect())
    }

    fn size_of(&self, all: &PodSize, first: Option<&str>) -> FunctionSize {
        let name = self.options.container.as_deref().or(first);
        let container = name.and_then(|n| all.get(n));
        let of = |resource: &str, unit: f64| {
            let milli = container.and_then(|c| c.most(resource))?;
            Some(milli as f64 / 1000.0 / unit)
        };
        FunctionSize {
            cpu_cores: of("cpu", 1.0),
            memory_mib: of("memory", MEBI),
        }
    }

    /// A Deployment as it is; its size is that of a pod that runs, else of its template.
    pub(super) async fn seen(&self, deployment: &Deployment) -> Result<FunctionSeen, Fault> {
        let pods = self.pods(deployment).await?;
        let ready = |pod: &&Pod| PodSeen::from(*pod).is_ready();
        let template = template_of(deployment);
        let first = first_container(&template);
        let granted = pods.iter().find(ready).map(resize::granted);
        let of_pod = granted.map(|g| self.size_of(&g, first.as_deref()));
        let asked = self.size_of(&resize::asked(&template), first.as_deref());
        let size = of_pod
            .filter(|s| s.cpu_cores.is_some() || s.memory_mib.is_some())
            .unwrap_or(asked);
        let replicas = deployment.spec.as_ref().and_then(|s| s.replicas);
        let count = pods.iter().filter(ready).count();
        Ok(FunctionSeen {
            size,
            pool: Some(u32::try_from(replicas.unwrap_or(1)).unwrap_or(0)),
            ready: Some(u32::try_from(count).unwrap_or(u32::MAX)),
        })
    }

    /// Writes a number of replicas against the version that is read now; a conflict is told and not
    /// sent again.
    pub(super) async fn scale(&self, deployment: &Deployment, pool: u32) -> Result<(), Fault> {
        let target = Target {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: deployment.name_any(),
        };
        let kinds = scale::Kinds::default();
        let api = kinds
            .api(&self.clients.write, &self.options.namespace, &target)
            .await?;
        let seen = scale::read(&api, &target.name).await?;
        let pool = i32::try_from(pool).unwrap_or(i32::MAX);
        if seen.asked == pool {
            return Ok(());
        }
        let written = scale::write(
            &api,
            &target.name,
            &self.options.namespace,
            &seen,
            pool,
            CALL,
        );
        written.await.map(|_| ())
    }

    /// What a container shall have; the mend where it cannot.
    ///
    /// The request's share of the limit is that of `base`, which is the same for each change: taken
    /// from the size before, it would lose a rounding each time and never come back.
    fn wanted(
        &self,
        (all, base): (&PodSize, &PodSize),
        first: &str,
        size: FunctionSize,
    ) -> Result<PodSize, String> {
        let name = self.options.container.as_deref().unwrap_or(first);
        let Some(old) = all.get(name) else {
            return Err(format!("no container `{name}`; pass --container NAME"));
        };
        // What a LimitRange gave a pod stands in no template.
        let has_same = |b: &&ContainerSize| {
            b.requests.keys().eq(old.requests.keys()) && b.limits.keys().eq(old.limits.keys())
        };
        let mut new = base.get(name).filter(has_same).unwrap_or(old).clone();
        let milli = |value: f64, unit: f64| (value * unit * 1000.0).round() as i64;
        let each = [
            ("cpu", size.cpu_cores.map(|c| milli(c, 1.0))),
            // Whole bytes: a fraction of one is none.
            (
                "memory",
                size.memory_mib.map(|m| milli((m * MEBI).round(), 1.0)),
            ),
        ];
        for (resource, amount) in each {
            let Some(amount) = amount else { continue };
            new = new.with(resource, amount).ok_or_else(|| {
                format!("container `{name}` has neither a {resource} request nor a limit; give it one in the template: a pod that runs cannot change its QoS class")
            })?;
        }
        Ok(BTreeMap::from([(name.to_owned(), new)]))
    }

    /// Resizes every pod of a Deployment and waits until all have it.
    pub(super) async fn in_place(
        &self,
        deployment: &Deployment,
        base: &PodSize,
        size: FunctionSize,
    ) -> Result<(), String> {
        let text = |fault: Fault| fault.to_string();
        let end = Instant::now() + span(self.options.most);
        let pods = self.pods(deployment).await.map_err(text)?;
        let mut due = Vec::new();
        for pod in &pods {
            let asked = resize::asked(pod);
            let first = first_container(pod).unwrap_or_default();
            let new = self.wanted((&asked, base), &first, size)?;
            let is_new = new.iter().any(|(name, size)| asked.get(name) != Some(size));
            let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
            if is_new {
                let answer = resize::ask(&self.pods, &name, &uid, &new).await;
                answer.map_err(|fault| format!("pod {name}: {fault}"))?;
            }
            due.push(name);
        }
        for name in due {
            self.await_resize(&name, end).await?;
        }
        Ok(())
    }

    async fn await_resize(&self, name: &str, end: Instant) -> Result<(), String> {
        loop {
            let pod = call(self.pods.get_opt(name)).await;
            let pod = pod.map_err(|fault| format!("pod {name}: {fault}"))?;
            // One that went away needs no size.
            let Some(pod) = pod else { return Ok(()) };
            let why = match resize::progress(&pod) {
                Progress::Done => return Ok(()),
                Progress::Infeasible(why) => {
                    return Err(format!(
                        "pod {name}: its node can never give as much ({why}); allow smaller sizes, or pass --resize rollout"
                    ));
                }
                Progress::Deferred(why) => format!("its node has no room at present ({why})"),
                Progress::InProgress(why) if why.is_empty() => "it is under way".to_owned(),
                Progress::InProgress(why) => format!("it is under way ({why})"),
                Progress::Asked => "the kubelet has not answered".to_owned(),
            };
            if Instant::now() >= end {
                return Err(format!(
                    "pod {name}: not resized within {}: {why}; pass a longer --apply-timeout",
                    self.options.most
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives the template another size and waits until its rollout is whole.
    pub(super) async fn rollout(
        &self,
        deployment: &Deployment,
        base: &PodSize,
        size: FunctionSize,
    ) -> Result<(), String> {
        let template = template_of(deployment);
        let first = first_container(&template).unwrap_or_default();
        let asked = resize::asked(&template);
        let new = self.wanted((&asked, base), &first, size)?;
        let name = deployment.name_any();
        if new.iter().any(|(name, size)| asked.get(name) != Some(size)) {
            let containers: Vec<Value> = new
                .iter()
                .map(|(name, size)| json!({"name": name, "resources": size.json()}))
                .collect();
            let body = json!({"spec": {"template": {"spec": {"containers": containers}}}});
            let by = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Strategic(body);
            let patched = call(self.deployments.patch(&name, &by, &patch)).await;
            patched.map_err(|fault| fault.to_string())?;
        }
        let end = Instant::now() + span(self.options.most);
        loop {
            let now = call(self.deployments.get(&name)).await;
            if is_whole(&now.map_err(|fault| fault.to_string())?) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!(
                    "its rollout is not whole within {}; look at `kubectl rollout status deploy/{name}`, or pass a longer --apply-timeout",
                    self.options.most
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A Deployment's template as a pod.
pub(super) fn template_of(deployment: &Deployment) -> Pod {
    let template = deployment.spec.as_ref().map(|s| s.template.clone());
    Pod {
        spec: template.and_then(|t| t.spec),
        ..Pod::default()
    }
}

fn first_container(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    spec.containers.first().map(|c| c.name.clone())
}

/// `true` where every pod is of the newest template and ready.
fn is_whole(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|s| s.replicas)
        .unwrap_or(1);
    let seen = status.observed_generation >= deployment.metadata.generation;
    let of = |count: Option<i32>| count.unwrap_or(0) == wanted;
    seen && of(status.replicas) && of(status.updated_replicas) && of(status.ready_replicas)
}
