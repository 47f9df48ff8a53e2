//! Functions that are Deployments, as a provider.
//!
//! A pool is a Deployment's replicas, set through its scale against the version that was read. A size
//! is what one container of each pod has: set in place through `pods/NAME/resize` where the server
//! has it, else by another template and its rollout; never by both. How many were busy comes from
//! Prometheus, a request goes to an address, and its stages' times come back in `Server-Timing`.

mod cluster;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use foresail_core::quantity::time::Span;
use kube::{Api, ResourceExt};
use tokio::runtime::Runtime;

use self::cluster::{Cluster, template_of};
use super::client::Clients;
use super::fault::Fault;
use super::resize::{self, PodSize};
use crate::prometheus::{Prometheus, PrometheusError, Range};
use crate::provider::{
    Activity, FunctionSeen, FunctionSize, Provider, Reply, Steps, Stop, SystemError, error,
};
use crate::service::Service;

/// Says which function a Deployment is; without it the Deployment's name does.
pub const LABEL: &str = "foresail.dev/function";

/// Bytes of a mebibyte.
const MEBI: f64 = 1_048_576.0;

/// The time between two looks at a change under way.
const LOOK: Duration = Duration::from_millis(500);

/// How sizes are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// In place where the server has it, else by a rollout.
    #[default]
    Auto,
    /// In place, or not at all.
    InPlace,
    /// By another template.
    Rollout,
}

/// What is told besides the functions' names.
pub struct Options {
    /// The namespace.
    pub namespace: String,
    /// The container that has the size; the first where absent.
    pub container: Option<String>,
    /// How sizes are set.
    pub way: Way,
    /// How long a change may take until every pod has it.
    pub most: Span,
    /// Where it is asked how many were busy, and how: `{function}` and `{namespace}` stand for names.
    pub busy: Option<(Prometheus, String)>,
    /// What answers for the workflow, and its stages' names in their order.
    pub service: Option<(Service, Vec<String>)>,
    /// Takes in what would be written, where nothing is.
    pub dry: Option<crate::openwhisk::client::Tell>,
    /// Ends a wait as soon as somebody asks for the end.
    pub stop: Stop,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("namespace", &self.namespace)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

/// Functions of a namespace.
pub struct Functions {
    runtime: Runtime,
    clients: Clients,
    names: Vec<String>,
    options: Options,
    /// `true` where pods can be resized in place; asked once.
    in_place: Option<bool>,
    /// The sizes of each function's template as it was first seen.
    bases: BTreeMap<String, PodSize>,
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions")
            .field("names", &self.names)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Functions {
    /// These functions; nothing is asked yet.
    #[must_use]
    pub fn new(runtime: Runtime, clients: Clients, names: Vec<String>, options: Options) -> Self {
        Self {
            runtime,
            clients,
            names,
            options,
            in_place: None,
            bases: BTreeMap::new(),
        }
    }

    /// `true` where sizes are set in place: templates then keep theirs.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.in_place == Some(true)
    }

    fn cluster(&self, write: bool) -> Cluster<'_> {
        let client = match write {
            true => &self.clients.write,
            false => &self.clients.read,
        };
        let namespace = &self.options.namespace;
        Cluster {
            deployments: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            clients: &self.clients,
            options: &self.options,
        }
    }

    /// Waits for what is under way, unless somebody asks for the end meanwhile.
    fn wait<F: Future>(&self, told: &str, work: F) -> Result<F::Output, SystemError> {
        self.options.stop.wait(&self.runtime, told, work)
    }

    fn tell(&self, text: &str) -> bool {
        let Some(tell) = &self.options.dry else {
            return false;
        };
        tell(&format!("would {text}"));
        true
    }

    /// Asks once whether pods can be resized in place.
    fn decide_way(&mut self) -> Result<bool, SystemError> {
        if let Some(known) = self.in_place {
            return Ok(known);
        }
        let served = match self.options.way {
            Way::Rollout => false,
            Way::Auto | Way::InPlace => {
                let told = "cannot ask whether pods can be resized";
                let asked = resize::is_served(&self.clients.read);
                let asked = self.wait(told, asked)?;
                asked.map_err(|e| error(told, e))?
            }
        };
        if self.options.way == Way::InPlace && !served {
            let why = "the server has no pods/resize (Kubernetes 1.33 or newer has); pass --resize rollout";
            return Err(error("cannot resize pods in place", why));
        }
        self.in_place = Some(served);
        Ok(served)
    }
}

fn told(name: &str, fault: &Fault) -> SystemError {
    error(format!("deployment of {name}"), fault)
}

fn span(span: Span) -> Duration {
    Duration::from_nanos(span.nanos().unsigned_abs())
}

impl Provider for Functions {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn functions(&self) -> &[String] {
        &self.names
    }

    fn look(&mut self) -> Result<Vec<FunctionSeen>, SystemError> {
        let cluster = self.cluster(false);
        let looked = async {
            let mut all = Vec::with_capacity(self.names.len());
            for (name, deployment) in self.names.iter().zip(cluster.all(&self.names).await?) {
                let seen = cluster.seen(&deployment).await;
                all.push(seen.map_err(|fault| told(name, &fault))?);
            }
            Ok(all)
        };
        self.wait("cannot look at the deployments", looked)?
    }

    fn activity(&mut self, steps: &Steps) -> Result<Vec<Activity>, SystemError> {
        let Some((server, query)) = &self.options.busy else {
            let why = "Kubernetes does not count requests under way; pass --prometheus URL and --busy-query 'max_over_time(in_flight{deployment=\"{function}\"}[1m])'";
            return Err(error("cannot tell how many were busy", why));
        };
        let range = Range {
            start: steps.start,
            end: steps.end(),
            step: steps.step,
        };
        let mut all = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let query = query.replace("{function}", name);
            let query = query.replace("{namespace}", &self.options.namespace);
            let told = format!("how many of {name} were busy");
            let peaks = match self.wait(&told, server.range(&query, &range))? {
                Ok(ranged) => (0..steps.count).map(|i| ranged.series.get(i)).collect(),
                // A function that was never called has no series: unknown, and no zero.
                Err(PrometheusError::Empty { .. }) => vec![None; steps.count],
                Err(other) => return Err(error(told, other)),
            };
            all.push(Activity {
                peaks,
                ..Activity::default()
            });
        }
        Ok(all)
    }

    fn set_pools(&mut self, pools: &[Option<u32>]) -> Result<(), SystemError> {
        let cluster = self.cluster(true);
        let set = async {
            let all = cluster.all(&self.names).await?;
            for ((name, pool), deployment) in self.names.iter().zip(pools).zip(&all) {
                let Some(pool) = pool else { continue };
                let object = format!("{}/{}", self.options.namespace, deployment.name_any());
                if self.tell(&format!("scale deployment {object} to {pool}")) {
                    continue;
                }
                let scaled = cluster.scale(deployment, *pool).await;
                scaled.map_err(|fault| told(name, &fault))?;
            }
            Ok(())
        };
        self.wait("cannot set the replicas", set)?
    }

    fn set_sizes(&mut self, sizes: &[Option<FunctionSize>]) -> Result<(), SystemError> {
        let in_place = self.decide_way()?;
        let mut bases = std::mem::take(&mut self.bases);
        let cluster = self.cluster(true);
        let set = async {
            let all = cluster.all(&self.names).await?;
            for ((name, size), deployment) in self.names.iter().zip(sizes).zip(&all) {
                let Some(size) = *size else { continue };
                let object = format!("{}/{}", self.options.namespace, deployment.name_any());
                if self.tell(&format!(
                    "resize the pods of deployment {object} to {size:?}"
                )) {
                    continue;
                }
                let template = || resize::asked(&template_of(deployment));
                let base = bases.entry(name.clone()).or_insert_with(template);
                let done = match in_place {
                    true => cluster.in_place(deployment, base, size).await,
                    false => cluster.rollout(deployment, base, size).await,
                };
                done.map_err(|why| error(format!("cannot size {name}"), why))?;
            }
            Ok(())
        };
        let done = self.wait("cannot set the sizes", set);
        self.bases = bases;
        done?
    }

    fn request(&mut self, wait: Span) -> Result<Reply, SystemError> {
        let Some((service, stages)) = &self.options.service else {
            let why =
                "Kubernetes has no call of a workflow; pass --url ADDRESS of what answers for it";
            return Err(error("cannot call the workflow", why));
        };
        if self.tell("send one request") {
            return Err(error(
                "cannot call the workflow",
                "nothing is sent in a dry run",
            ));
        }
        let request = service.request(stages, span(wait));
        self.wait("cannot call the workflow", request)?
    }
}
