//! A component in a cluster: scale, pods and rivals from the API server, usage from the metric store,
//! demand from the custom metrics API or from Prometheus; replicas are written through the scale, requests
//! through `pods/resize`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::metrics::object_metric;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::scale::{self, FIELD_MANAGER, Kinds, ScaleSeen};
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_adapters::prometheus::Prometheus;
use foresail_adapters::stats::{Store, name_of, usage_of};
use foresail_core::hpa::resolve::{self, PodMetrics, PodSpec};
use foresail_core::hpa::{self, MetricRule};
use foresail_core::observe::{ResourceUsage, TargetState};
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::ValidTarget;
use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use tokio::sync::Mutex;

use super::component::ComponentName;
use super::place::{Place, PodAsked, Sight, Written};
use super::resize;
use super::rival;

/// Samples that are asked for of each container: two of different times, with room for repeated ones.
const NEWEST: usize = 4;

/// How long it is believed that nobody else scales a component.
const RIVALS_LIFE: Duration = Duration::from_secs(30);

/// Resources whose requests are changed.
const RESIZED: [&str; 2] = ["cpu", "memory"];

/// Where demand comes from.
#[derive(Clone, Debug)]
pub enum Demand {
    /// Nobody tells it: the state is never known then, and no learner acts.
    None,
    /// A custom metric of the Deployment, in requests a second, with the version of its API.
    Custom(String, String),
    /// A query of Prometheus that gives one series of requests a second.
    Query(Arc<Prometheus>, String),
}

/// What a component's demand and promise are read from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The metric store.
    pub store: Store,
    /// Demand.
    pub demand: Demand,
    /// A query that gives the share of requests that kept the promise, 0 to 1.
    pub kept: Option<(Arc<Prometheus>, String)>,
}

/// A component in a cluster.
pub struct Live {
    clients: Clients,
    kinds: Kinds,
    name: ComponentName,
    container: Option<String>,
    sources: Sources,
    rules: Vec<MetricRule>,
    rivals: Mutex<Option<(Instant, Option<String>)>>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Live");
        told.field("name", &self.name).finish_non_exhaustive()
    }
}

impl Live {
    /// A component of a cluster; `container` is the one whose requests are changed, the first where absent.
    #[must_use]
    pub fn new(
        clients: Clients,
        name: ComponentName,
        container: Option<String>,
        target: &ValidTarget,
        sources: Sources,
    ) -> Self {
        Self {
            clients,
            kinds: Kinds::default(),
            name,
            container,
            rules: target.rules.metrics().to_vec(),
            sources,
            rivals: Mutex::new(None),
        }
    }

    async fn scale(&self) -> Result<(ScaleSeen, bool), Fault> {
        let target = self.name.target();
        let client = &self.clients.read;
        let api = self
            .kinds
            .api(client, &self.name.namespace, &target)
            .await?;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.name.namespace);
        let object = call(deployments.get(&self.name.name)).await?;
        let seen = WorkloadSeen::from(&object);
        let scale = scale::read(&api, &self.name.name).await?;
        Ok((scale, seen.rollout))
    }

    async fn pods(&self, scale: &ScaleSeen) -> Result<Vec<Pod>, Fault> {
        let Some(selector) = &scale.selector else {
            return Err(Fault::Invalid("its scale names no selector".to_owned()));
        };
        let api: Api<Pod> = Api::namespaced(self.clients.read.clone(), &self.name.namespace);
        let list = call(api.list(&ListParams::default().labels(selector))).await?;
        Ok(list.items)
    }

    /// Who scales it too.
    async fn rival(&self) -> Result<Option<String>, Fault> {
        let mut known = self.rivals.lock().await;
        if let Some((at, rival)) = &*known
            && at.elapsed() < RIVALS_LIFE
        {
            return Ok(rival.clone());
        }
        let target = self.name.target();
        let found = rival::scaler(&self.clients.read, &self.name.namespace, &target).await?;
        let rival = found.map(|scaler| scaler.to_string());
        *known = Some((Instant::now(), rival.clone()));
        Ok(rival)
    }

    /// What the store knows of pods; empty, with the trouble, where it knows nothing or is away.
    async fn usage(&self, pods: &[PodSpec], trouble: &mut Vec<String>) -> Vec<PodMetrics> {
        let named = pods.iter().flat_map(|pod| {
            let name = |c: &str| name_of(&self.name.namespace, &pod.name, c);
            pod.containers.iter().map(move |c| (pod, c, name(&c.name)))
        });
        let named: Vec<_> = named.collect();
        let names: Vec<String> = named.iter().map(|(_, _, name)| name.clone()).collect();
        let lists = match self.sources.store.newest(&names, NEWEST).await {
            Ok(lists) => lists,
            Err(error) => {
                trouble.push(error.to_string());
                return Vec::new();
            }
        };
        let mut all: Vec<PodMetrics> = Vec::new();
        for ((pod, container, _), list) in named.into_iter().zip(lists) {
            let Some(seen) = usage_of(&list) else {
                continue;
            };
            let at = match all.iter().position(|m| m.pod == pod.name) {
                Some(at) => at,
                None => {
                    all.push(PodMetrics {
                        pod: pod.name.clone(),
                        at: seen.at,
                        window: seen.window,
                        ..PodMetrics::default()
                    });
                    all.len() - 1
                }
            };
            let memory = i64::try_from(seen.memory).unwrap_or(i64::MAX);
            let used = [
                ("cpu".to_owned(), seen.cpu_milli),
                ("memory".to_owned(), memory.saturating_mul(1000)),
            ];
            let one = &mut all[at];
            one.at = one.at.min(seen.at);
            one.containers.insert(container.name.clone(), used.into());
        }
        if all.is_empty() && !pods.is_empty() {
            let told = "the metric store knows none of the pods: is the collector running?";
            trouble.push(told.to_owned());
        }
        all
    }

    async fn demand(&self, now: Timestamp, trouble: &mut Vec<String>) -> Option<(f64, Timestamp)> {
        let found = match &self.sources.demand {
            Demand::None => {
                Err("nobody tells the demand: pass --demand-metric or --demand-query".to_owned())
            }
            Demand::Custom(metric, version) => {
                let object = ("deployments.apps", self.name.name.as_str());
                let client = &self.clients.read;
                let asked = object_metric(
                    client,
                    version,
                    &self.name.namespace,
                    object,
                    (metric.as_str(), ""),
                );
                match asked.await {
                    Ok(value) => Ok((value.milli as f64 / 1000.0, value.at.unwrap_or(now))),
                    Err(fault) => Err(format!("the demand ({metric}): {fault}")),
                }
            }
            Demand::Query(server, query) => query_at(server, query, now).await,
        };
        found.map_err(|why| trouble.push(why)).ok()
    }
}

/// One value of Prometheus; an empty answer is none, and not zero.
async fn query_at(
    server: &Prometheus,
    query: &str,
    now: Timestamp,
) -> Result<(f64, Timestamp), String> {
    const HOLD: Span = Span::from_seconds(90);
    let told = server.at(query, now, HOLD).await;
    let told = told.map_err(|e| format!("Prometheus: {e}"))?;
    let value = told.value.filter(|v| *v >= 0.0);
    let value = value.ok_or_else(|| format!("Prometheus: `{query}` is no number of 0 or more"))?;
    Ok((value, told.measured_at))
}

impl Place for Live {
    async fn look(&self, now: Timestamp) -> Result<Sight, String> {
        let why = |fault: Fault| format!("{}: {fault}", self.name);
        let (scale, rollout) = self.scale().await.map_err(why)?;
        let mut found = self.pods(&scale).await.map_err(why)?;
        // Those that go away are neither resized nor counted as asked for.
        found.sort_by_key(|p| p.metadata.deletion_timestamp.is_some());
        let seen: Vec<PodSeen> = found.iter().map(PodSeen::from).collect();
        let specs: Vec<PodSpec> = seen.iter().map(|p| p.spec.clone()).collect();
        let mut trouble = Vec::new();
        let metrics = self.usage(&specs, &mut trouble).await;
        let gates = hpa::Gates::default();
        let reading = |rule: &MetricRule| resolve::resource_reading(rule, &specs, &metrics, &gates);
        let memory = specs.iter().map(|pod| hpa::PodReading {
            request: resolve::request(pod, "memory", None, &gates),
            sample: metrics
                .iter()
                .find(|m| m.pod == pod.name)
                .and_then(|m| resolve::sample(m, "memory", None)),
        });
        let staying = found
            .iter()
            .filter(|p| p.metadata.deletion_timestamp.is_none());
        let asked = staying.filter_map(|p| resize::asked(p, self.container.as_deref()));
        let asked: Vec<PodAsked> = asked.collect();
        let count = |n: i32| Replicas::saturating(i64::from(n));
        let ready = seen.iter().filter(|p| p.is_ready()).count();
        let state = TargetState {
            current: Setting {
                replicas: Some(count(scale.asked)),
                per_pod: resize::common(&asked, &RESIZED),
                ..Setting::default()
            },
            status_replicas: count(scale.existing),
            ready: Replicas::saturating(i64::try_from(ready).unwrap_or(i64::MAX)),
            readings: self.rules.iter().map(reading).collect(),
            usage: vec![ResourceUsage {
                resource: "memory".to_owned(),
                pods: memory.collect(),
            }],
            pods: seen.iter().map(|p| p.state).collect(),
            rollout,
            ..TargetState::default()
        };
        let demand = self.demand(now, &mut trouble).await;
        let kept = match &self.sources.kept {
            None => None,
            Some((server, query)) => {
                let told = query_at(server, query, now).await;
                told.map_err(|why| trouble.push(why)).ok()
            }
        };
        Ok(Sight {
            state,
            scale: (scale.uid, scale.version),
            pods: asked,
            demand,
            kept,
            rival: self.rival().await.map_err(why)?,
            trouble,
        })
    }

    async fn write(&self, seen: &Sight, to: &Setting) -> Written {
        let resized = join_all(seen.pods.iter().map(|pod| self.resize(pod, to))).await;
        let refused: Vec<String> = resized.into_iter().flatten().collect();
        if let Some(first) = refused.first() {
            let (count, all) = (refused.len(), seen.pods.len());
            return Written::Refused(format!(
                "{count} of {all} pods keep their requests: {first}"
            ));
        }
        match (to.replicas, seen.state.current.replicas) {
            (Some(to), Some(from)) if to != from => self.scale_to(seen, to).await,
            _ => Written::Applied,
        }
    }
}

impl Live {
    /// Asks one pod's kubelet; the reason where it is refused.
    async fn resize(&self, pod: &PodAsked, to: &Setting) -> Option<String> {
        let body = resize::patch(pod, to)?;
        let api: Api<Pod> = Api::namespaced(self.clients.write.clone(), &self.name.namespace);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Strategic(body);
        match call(api.patch_subresource("resize", &pod.name, &parameters, &patch)).await {
            // One that is gone meanwhile needs nothing.
            Ok(_) | Err(Fault::NotFound(_)) => None,
            Err(fault) => Some(format!("{}: {fault}", pod.name)),
        }
    }

    async fn scale_to(&self, seen: &Sight, to: Replicas) -> Written {
        let client = &self.clients.write;
        let target = self.name.target();
        let api = match self.kinds.api(client, &self.name.namespace, &target).await {
            Ok(api) => api,
            Err(fault) => return Written::Refused(fault.to_string()),
        };
        let read = ScaleSeen {
            uid: seen.scale.0.clone(),
            version: seen.scale.1.clone(),
            asked: to.as_i32(),
            existing: 0,
            selector: None,
        };
        let most = foresail_adapters::kubernetes::client::CALL;
        let namespace = &self.name.namespace;
        match scale::write(&api, &self.name.name, namespace, &read, to.as_i32(), most).await {
            Ok(_) => Written::Applied,
            Err(fault @ Fault::Conflict(_)) => Written::Stale(fault.to_string()),
            Err(fault @ (Fault::Unknown(_) | Fault::Failed(_))) => {
                Written::Unknown(fault.to_string())
            }
            Err(fault) => Written::Refused(fault.to_string()),
        }
    }
}
