//! Port-forward spread over the pods of a workload: a local port for each ready pod, and the list of
//! them kept up to date.
//!
//! `kubectl port-forward` picks one pod and stays with it, so that all load meets one of n. Here
//! requests take turns over all ready pods, and a new pod gets its share from the next look on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use foresail_adapters::kubernetes::forward::{Forwarded, forward};
use foresail_adapters::kubernetes::ready_pods::{Destination, ReadyPod, ready_pods};
use foresail_adapters::load::targets::{Target, Targets};
use foresail_core::quantity::time::Span;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::task::JoinHandle;

use crate::exit::{Code, Coded};

/// Time between two looks for pods.
pub const REFRESH: Span = Span::from_seconds(5);

/// How long a pod that is no longer ready keeps its local port, for requests under way.
const LINGER: Duration = Duration::from_secs(10);

/// Local ports of pods; they end with it.
#[derive(Debug)]
pub struct Forwarder {
    targets: Arc<Targets>,
    task: JoinHandle<()>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One pod's local port.
struct Open {
    name: String,
    forwarded: Forwarded,
}

/// The pods that are looked at, and their ports.
struct Watched {
    pods: Api<Pod>,
    destination: Destination,
    open: BTreeMap<String, Open>,
    targets: Arc<Targets>,
}

impl Forwarder {
    /// Opens a local port for each ready pod and looks again every `refresh`. Must be called within
    /// a tokio runtime, which has to run on for as long as it is used.
    ///
    /// # Errors
    /// Where pods cannot be listed, or none is ready.
    pub async fn begin(
        client: &Client,
        namespace: &str,
        destination: Destination,
        refresh: Span,
    ) -> Result<Self> {
        let targets = Arc::new(Targets::default());
        let mut watched = Watched {
            pods: Api::namespaced(client.clone(), namespace),
            destination,
            open: BTreeMap::new(),
            targets: Arc::clone(&targets),
        };
        let selector = watched.destination.selector.clone();
        watched
            .look()
            .await
            .with_context(|| format!("pods {selector} in namespace {namespace}"))?;
        if watched.open.is_empty() {
            return Err(anyhow::Error::new(Coded {
                code: Code::NotFound,
                message: format!(
                    "pods {selector} in namespace {namespace}: none is ready; `kubectl get pods` says why"
                ),
            }));
        }
        let pause = Duration::from_nanos(refresh.nanos().max(100_000_000).unsigned_abs());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                if let Err(error) = watched.look().await {
                    // Nothing is known of the pods then: the list stays as it was.
                    tracing::warn!(error = %format!("{error:#}"), "pods were not listed");
                }
            }
        });
        Ok(Self { targets, task })
    }

    /// The servers, for [`super::Load::on_targets`].
    #[must_use]
    pub fn targets(&self) -> Arc<Targets> {
        Arc::clone(&self.targets)
    }
}

impl Watched {
    async fn look(&mut self) -> Result<()> {
        let ready = ready_pods(&self.pods, &self.destination.selector).await?;
        let gone: Vec<String> = self
            .open
            .keys()
            .filter(|uid| !ready.iter().any(|p| p.uid == **uid))
            .cloned()
            .collect();
        let mut changed = !gone.is_empty();
        for uid in gone {
            if let Some(old) = self.open.remove(&uid) {
                tokio::spawn(async move {
                    tokio::time::sleep(LINGER).await;
                    drop(old.forwarded);
                });
            }
        }
        for pod in ready {
            if !self.open.contains_key(&pod.uid) {
                self.open(pod).await?;
                changed = true;
            }
        }
        if changed {
            let target = |open: &Open| Target {
                name: open.name.clone(),
                address: open.forwarded.address,
            };
            self.targets.set(self.open.values().map(target).collect());
        }
        Ok(())
    }

    async fn open(&mut self, pod: ReadyPod) -> Result<()> {
        let name = &pod.name;
        let Some(port) = pod.port(&self.destination.port) else {
            bail!(
                "pod {name} has no port {:?}: pass its number by --port",
                self.destination.port
            );
        };
        let forwarded = forward(self.pods.clone(), name.clone(), port)
            .await
            .with_context(|| format!("no local port for pod {name}"))?;
        let open = Open {
            name: pod.name,
            forwarded,
        };
        self.open.insert(pod.uid, open);
        Ok(())
    }
}
