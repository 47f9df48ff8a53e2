//! Three clients: one that reads, one that watches, one that writes; none tries anything again.
//!
//! kube's own retry sends a refused PUT again for minutes; a number that was right then may be wrong
//! by that time (specs/reliability.md 0.1). So nothing here retries: a pass that failed is made anew.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// The longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest that one call may take.
/// Source: specs/reliability.md 1.4, "deadline 5 s".
pub const CALL: Duration = Duration::from_secs(5);

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The kubeconfig file; `KUBECONFIG`, the user's, or the pod's own account where absent.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The context in it; the current one where absent.
    pub context: Option<String>,
}

/// Why there is no client; the text names the mend.
#[derive(Debug, thiserror::Error)]
#[error("no cluster to talk to: {0}; pass --kubeconfig FILE, or --context NAME of a context in it")]
pub struct NoCluster(String);

/// The longest silence of a watch: its server ends it before (`watch.rs`), so a longer one is dead.
const SILENCE: Duration = Duration::from_secs(75);

/// The three clients.
#[derive(Clone)]
pub struct Clients {
    /// For what only looks.
    pub read: Client,
    /// For watches: a connection that says nothing for too long is given up.
    pub watch: Client,
    /// For what changes something: each request is sent once.
    pub write: Client,
    /// The namespace of the kubeconfig's context, or the pod's own.
    pub namespace: String,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Clients {
    /// Clients for a place.
    ///
    /// # Errors
    /// [`NoCluster`] where there is no usable configuration.
    pub async fn new(place: &Place) -> Result<Self, NoCluster> {
        crate::access::install_ring();
        let mut config = config(place).await.map_err(NoCluster)?;
        config.connect_timeout = Some(CONNECT);
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let mut watching = config.clone();
        watching.read_timeout = Some(SILENCE);
        watching.reset_reader_on_write = true;
        let client =
            |config: Config| Client::try_from(config).map_err(|e| NoCluster(e.to_string()));
        Ok(Self {
            read: client(config.clone())?,
            watch: client(watching)?,
            write: client(config)?,
            namespace,
        })
    }
}

/// A client for commands in containers and for port-forward, whose streams may be silent for hours,
/// and the namespace of the place.
///
/// # Errors
/// [`NoCluster`] where there is no usable configuration.
pub async fn stream_client(place: &Place) -> Result<(Client, String), NoCluster> {
    crate::access::install_ring();
    let mut config = config(place).await.map_err(NoCluster)?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|e| NoCluster(e.to_string()))?;
    Ok((client, namespace))
}

async fn config(place: &Place) -> Result<Config, String> {
    let options = KubeConfigOptions {
        context: place.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &place.kubeconfig {
        let name = path.display();
        let file = Kubeconfig::read_from(path).map_err(|e| format!("{name}: {e}"))?;
        let config = Config::from_custom_kubeconfig(file, &options).await;
        return config.map_err(|e| format!("{name}: {e}"));
    }
    if place.context.is_some() {
        let config = Config::from_kubeconfig(&options).await;
        return config.map_err(|e| e.to_string());
    }
    Config::infer().await.map_err(|e| crate::access::causes(&e))
}
