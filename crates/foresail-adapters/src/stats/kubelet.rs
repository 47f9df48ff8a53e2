//! Kubelets: which there are, and what they measured.

use std::collections::BTreeMap;
use std::fmt;

use foresail_core::quantity::time::Timestamp;
use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client, Config, ResourceExt};
use tokio::sync::Mutex;

use super::Batch;
use super::exposition::parse;
use crate::kubernetes::client::{NoCluster, Place, settings};
use crate::kubernetes::fault::{Fault, call};

/// Where a node says that its resource metrics are elsewhere; metrics-server follows it too.
const PATH_ANNOTATION: &str = "metrics.k8s.io/resource-metrics-path";

/// The largest answer of a kubelet that is taken in.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How a kubelet is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// At its own port, as the same user, by the cluster's CA: needs `nodes/metrics`.
    Kubelet {
        /// `true`: its certificate is not checked, for kubelets that sign their own.
        unchecked: bool,
    },
    /// Through the API server: needs `nodes/proxy`, which lets one run anything on the node.
    Proxy,
}

/// A node as it is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// Its address within the cluster.
    pub ip: String,
    /// The kubelet's port.
    pub port: u16,
    /// The path of its resource metrics.
    pub path: String,
}

/// Why a node was not scraped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The call.
    #[error("node {node}: {fault}")]
    Fault {
        /// Which node.
        node: String,
        /// What it came to.
        fault: Fault,
    },
    /// Its answer.
    #[error("node {node}: its resource metrics: {why}")]
    Answer {
        /// Which node.
        node: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The kubelets of a cluster.
pub struct Kubelets {
    config: Config,
    api: Client,
    route: Route,
    /// Clients of single kubelets, by address.
    clients: Mutex<BTreeMap<String, Client>>,
}

impl fmt::Debug for Kubelets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Kubelets");
        told.field("route", &self.route).finish_non_exhaustive()
    }
}

impl NodeSeen {
    /// `None` where the node has no address yet.
    fn of(node: &Node) -> Option<Self> {
        let status = node.status.as_ref()?;
        let addresses = status.addresses.as_ref()?;
        let internal = addresses.iter().find(|a| a.type_ == "InternalIP")?;
        let endpoint = status.daemon_endpoints.as_ref();
        let port = endpoint.and_then(|d| d.kubelet_endpoint.as_ref().map(|k| k.port));
        let path = node.annotations().get(PATH_ANNOTATION).cloned();
        Some(Self {
            name: node.name_any(),
            ip: internal.address.clone(),
            port: port.and_then(|p| u16::try_from(p).ok()).unwrap_or(10_250),
            path: path.unwrap_or_else(|| "/metrics/resource".to_owned()),
        })
    }

    fn authority(&self) -> String {
        match self.ip.contains(':') {
            true => format!("[{}]:{}", self.ip, self.port),
            false => format!("{}:{}", self.ip, self.port),
        }
    }
}

impl Kubelets {
    /// The kubelets of the cluster at a place.
    ///
    /// # Errors
    /// [`NoCluster`] where there is no usable configuration.
    pub async fn new(place: &Place, route: Route) -> Result<Self, NoCluster> {
        let config = settings(place).await?;
        let api = Client::try_from(config.clone());
        Ok(Self {
            api: api.map_err(|e| NoCluster::because(&e))?,
            config,
            route,
            clients: Mutex::new(BTreeMap::new()),
        })
    }

    /// The nodes of these names, or all; one without an address is left out.
    ///
    /// # Errors
    /// [`Fault`] of the call.
    pub async fn nodes(&self, names: &[String]) -> Result<Vec<NodeSeen>, Fault> {
        let api: Api<Node> = Api::all(self.api.clone());
        if names.is_empty() {
            let list = call(api.list(&ListParams::default())).await?;
            return Ok(list.iter().filter_map(NodeSeen::of).collect());
        }
        let mut found = Vec::new();
        for name in names {
            found.extend(NodeSeen::of(&call(api.get(name)).await?));
        }
        Ok(found)
    }

    async fn client(&self, node: &NodeSeen) -> Result<Client, Fault> {
        let Route::Kubelet { unchecked } = self.route else {
            return Ok(self.api.clone());
        };
        let authority = node.authority();
        let mut clients = self.clients.lock().await;
        if let Some(found) = clients.get(&authority) {
            return Ok(found.clone());
        }
        let mut config = self.config.clone();
        let url = format!("https://{authority}").parse();
        config.cluster_url = url.map_err(|_| Fault::Invalid(format!("no address: {authority}")))?;
        config.accept_invalid_certs = unchecked;
        let made = Client::try_from(config).map_err(Fault::from)?;
        clients.insert(authority, made.clone());
        Ok(made)
    }

    /// What one node measured.
    ///
    /// # Errors
    /// [`ScrapeError`] names the node.
    pub async fn scrape(&self, node: &NodeSeen, now: Timestamp) -> Result<Batch, ScrapeError> {
        let failed = |fault| ScrapeError::Fault {
            node: node.name.clone(),
            fault,
        };
        let unusable = |why| ScrapeError::Answer {
            node: node.name.clone(),
            why,
        };
        let client = self.client(node).await.map_err(failed)?;
        let path = match self.route {
            Route::Kubelet { .. } => node.path.clone(),
            Route::Proxy => format!("/api/v1/nodes/{}/proxy{}", node.name, node.path),
        };
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|e| failed(Fault::Invalid(e.to_string())))?;
        let text = call(client.request_text(request)).await.map_err(failed)?;
        if text.len() > ANSWER_BYTES_MAX {
            return Err(unusable(format!("{} bytes are too many", text.len())));
        }
        Ok(Batch {
            ip: node.ip.clone(),
            machine: serde_json::json!({"node": node.name, "ip": node.ip}),
            stats: parse(&text, &node.name, now).map_err(unusable)?,
        })
    }
}
