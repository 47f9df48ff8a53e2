//! What the watches and the metrics APIs show, as the passes read it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use foresail_adapters::kubernetes::autoscaler::{Arriving, AutoscalerSeen};
use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::{Kinds, Target};
use foresail_adapters::kubernetes::server_time::ServerTime;
use foresail_adapters::kubernetes::watch::{self, Change, Key, Watched};
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_adapters::prometheus::Prometheus;
use foresail_core::hpa::resolve::PodMetrics;
use foresail_core::quantity::time::Span;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Resource};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::jumps::JUMP_MAX;

/// How long what a namespace's pods use is good for several objects' passes.
const USAGE_FRESH: Duration = Duration::from_secs(3);

/// What pods of a namespace use, by pod, or why it is not known.
type Usage = Result<Arc<metrics::OfPods<PodMetrics>>, Arc<Fault>>;

/// Usage of one namespace with the time at which it was read.
type UsageSlot = Arc<Mutex<Option<(Instant, Usage)>>>;

/// What pods use, by namespace.
#[derive(Debug, Default)]
struct Usages {
    slots: BTreeMap<String, UsageSlot>,
    /// Which were read when, oldest first: what is no longer good is dropped.
    read: VecDeque<(Instant, String)>,
}

impl Usages {
    fn slot(&mut self, namespace: &str) -> UsageSlot {
        if let Some(found) = self.slots.get(namespace) {
            return Arc::clone(found);
        }
        let slot = UsageSlot::default();
        self.slots.insert(namespace.to_owned(), Arc::clone(&slot));
        slot
    }

    /// Notes a reading, and drops those that nobody may use any more.
    fn note(&mut self, namespace: &str, at: Instant) {
        self.read.push_back((at, namespace.to_owned()));
        while let Some((at, _)) = self.read.front()
            && at.elapsed() >= USAGE_FRESH
        {
            let Some((at, old)) = self.read.pop_front() else {
                return;
            };
            // Whoever holds a slot is about to read it anew.
            let over = self.slots.get(&old).is_some_and(|slot| {
                let held = slot.try_lock();
                held.is_ok_and(|s| s.as_ref().is_none_or(|(read, _)| *read <= at))
            });
            if over {
                self.slots.remove(&old);
            }
        }
    }
}

/// Everything that passes read.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clients: Clients,
    pub(crate) autoscalers: Arc<Watched<AutoscalerSeen>>,
    pub(crate) pods: Arc<Watched<PodSeen>>,
    pub(crate) deployments: Arc<Watched<WorkloadSeen>>,
    pub(crate) stateful_sets: Arc<Watched<WorkloadSeen>>,
    pub(crate) replica_sets: Arc<Watched<WorkloadSeen>>,
    pub(crate) hpas: Arc<Watched<HpaSeen>>,
    pub(crate) kinds: Kinds,
    pub(crate) features: RwLock<Features>,
    pub(crate) prometheus: Option<Arc<Prometheus>>,
    /// What the server's clock says.
    pub(crate) time: ServerTime,
    /// The server ends each watch after so long.
    watch_life: Duration,
    usage: Mutex<Usages>,
}

impl World {
    /// A world of which nothing is known yet, within some namespaces or all.
    pub(crate) fn new(
        clients: Clients,
        features: Features,
        prometheus: Option<Prometheus>,
        (time, watch_life): (ServerTime, Duration),
        namespaces: &[String],
    ) -> Self {
        let scopes = namespaces.len().max(1);
        Self {
            clients,
            autoscalers: Arc::new(Watched::new("predictiveautoscalers", scopes)),
            pods: Arc::new(Watched::new("pods", scopes)),
            deployments: Arc::new(Watched::new("deployments", scopes)),
            stateful_sets: Arc::new(Watched::new("statefulsets", scopes)),
            replica_sets: Arc::new(Watched::new("replicasets", scopes)),
            hpas: Arc::new(Watched::new("horizontalpodautoscalers", scopes)),
            kinds: Kinds::default(),
            features: RwLock::new(features),
            prometheus: prometheus.map(Arc::new),
            time,
            watch_life,
            usage: Mutex::default(),
        }
    }

    /// Begins every watch, each in a task of its own.
    pub(crate) fn watch(
        &self,
        namespaces: &[String],
        tasks: &mut JoinSet<()>,
        changes: &mpsc::Sender<Change>,
    ) {
        let scopes: Vec<Option<&str>> = match namespaces {
            [] => vec![None],
            some => some.iter().map(|n| Some(n.as_str())).collect(),
        };
        let client = &self.clients.watch;
        let life = self.watch_life;
        for scope in scopes {
            let place = (client, scope, life);
            let told = Some(changes.clone());
            let ours =
                |o: Arriving, before: Option<&AutoscalerSeen>| AutoscalerSeen::new(o, before);
            begin(tasks, place, &self.autoscalers, ours, told);
            let pod = |p: Pod, _: Option<&PodSeen>| PodSeen::from(&p);
            begin(tasks, place, &self.pods, pod, None);
            let deployment = |d: Deployment, _: Option<&WorkloadSeen>| WorkloadSeen::from(&d);
            begin(tasks, place, &self.deployments, deployment, None);
            let set = |s: StatefulSet, _: Option<&WorkloadSeen>| WorkloadSeen::from(&s);
            begin(tasks, place, &self.stateful_sets, set, None);
            let set = |r: ReplicaSet, _: Option<&WorkloadSeen>| WorkloadSeen::from(&r);
            begin(tasks, place, &self.replica_sets, set, None);
            let hpa = |h: HorizontalPodAutoscaler, _: Option<&HpaSeen>| HpaSeen::from(&h);
            begin(tasks, place, &self.hpas, hpa, None);
        }
    }

    /// One of our objects, by namespace and name, without its status.
    pub(crate) fn autoscaler(&self, key: &Key) -> Option<Arc<PredictiveAutoscaler>> {
        let seen = self.autoscalers.get(&key.0, &key.1)?;
        Some(Arc::clone(&seen.object))
    }

    /// How far our time of day is off the server's, where that is too much to go down by ages.
    pub(crate) fn astray(&self) -> Option<Span> {
        let ahead = self.time.ahead();
        (ahead > JUMP_MAX || ahead < Span::ZERO - JUMP_MAX).then_some(ahead)
    }

    /// Every watch with what it is of: whether it was whole once, its silence, its trouble.
    pub(crate) fn watches(&self) -> [(&'static str, bool, Option<Duration>, Option<String>); 6] {
        fn of<T>(w: &Watched<T>) -> (&'static str, bool, Option<Duration>, Option<String>) {
            (w.what, w.is_synced(), w.silent_for(), w.trouble())
        }
        [
            of(&self.autoscalers),
            of(&self.pods),
            of(&self.deployments),
            of(&self.stateful_sets),
            of(&self.replica_sets),
            of(&self.hpas),
        ]
    }

    /// `true` once objects, pods and rivals were seen whole. HPAs that cannot be read stop no pass:
    /// a pass that does not know its rivals writes nothing (`rivals.rs`).
    pub(crate) fn is_synced(&self) -> bool {
        let optional = self.hpas.what;
        let mut all = self.watches().into_iter();
        all.all(|(what, synced, _, trouble)| synced || (what == optional && trouble.is_some()))
    }

    /// The shortest silence of all watches: the server lives as long as one of them hears it.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.watches().iter().filter_map(|(_, _, s, _)| *s).min()
    }

    /// A watched target; `None` for kinds that are not watched, or where it is not there.
    pub(crate) fn workload(&self, namespace: &str, target: &Target) -> Option<Arc<WorkloadSeen>> {
        self.watched_kind(target)?.get(namespace, &target.name)
    }

    /// The watch of a target's kind, where it has one.
    pub(crate) fn watched_kind(&self, target: &Target) -> Option<&Watched<WorkloadSeen>> {
        match (target.group(), target.kind.as_str()) {
            ("apps", "Deployment") => Some(&self.deployments),
            ("apps", "StatefulSet") => Some(&self.stateful_sets),
            ("apps", "ReplicaSet") => Some(&self.replica_sets),
            _ => None,
        }
    }

    /// What pods of a namespace use; read at most once in a while for all passes.
    pub(crate) async fn usage(&self, namespace: &str) -> Usage {
        let slot = self.usage.lock().await.slot(namespace);
        let mut slot = slot.lock().await;
        if let Some((at, usage)) = slot.as_ref()
            && at.elapsed() < USAGE_FRESH
        {
            return usage.clone();
        }
        let read = metrics::resource_metrics(&self.clients.read, namespace).await;
        let usage = read.map(Arc::new).map_err(Arc::new);
        let now = Instant::now();
        *slot = Some((now, usage.clone()));
        drop(slot);
        self.usage.lock().await.note(namespace, now);
        usage
    }

    /// What the server can do.
    pub(crate) fn features(&self) -> Features {
        let guard = self.features.read();
        guard
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

fn begin<K, T>(
    tasks: &mut JoinSet<()>,
    (client, scope, life): (&Client, Option<&str>, Duration),
    watched: &Arc<Watched<T>>,
    prune: impl Fn(K, Option<&T>) -> T + Send + Sync + 'static,
    told: Option<mpsc::Sender<Change>>,
) where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone,
    T: Send + Sync + 'static,
{
    let api: Api<K> = match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let scope = scope.map(str::to_owned);
    tasks.spawn(watch::run(
        api,
        (scope, life),
        Arc::clone(watched),
        prune,
        told,
    ));
}
