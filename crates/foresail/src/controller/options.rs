//! What a controller is told when it is started.

use std::net::SocketAddr;
use std::path::PathBuf;

use foresail_adapters::kubernetes::client::Place;
use foresail_adapters::kubernetes::lease::Timing;
use foresail_adapters::prometheus::Access;
use foresail_core::hpa::ControllerSettings;
use foresail_core::spec::Mode;
use foresail_core::value::slo::Slo;

/// Queries for Prometheus about the requests of one target; absent = not asked. `$NAMESPACE` and
/// `$TARGET` stand for the target's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyQueries {
    /// 95 % quantile of the time until requests are answered, in seconds.
    pub p95: Option<String>,
    /// Share of the requests that break the promise, 0 to 1.
    pub late: Option<String>,
}

/// Stands for the namespace in a [`LatencyQueries`].
pub(crate) const NAMESPACE: &str = "$NAMESPACE";

/// Stands for the target's name in a [`LatencyQueries`].
pub(crate) const TARGET: &str = "$TARGET";

/// What a controller is told when it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which cluster.
    pub place: Place,
    /// Namespaces whose objects are served; empty = all.
    pub namespaces: Vec<String>,
    /// The namespace of the lease; the context's, or the pod's, where absent.
    pub own_namespace: Option<String>,
    /// The lease's name.
    pub lease: String,
    /// This process among the candidates.
    pub identity: String,
    /// The server ends each watch after so long, and it is begun again.
    pub watch_life: std::time::Duration,
    /// Times of the lease.
    pub timing: Timing,
    /// The folder of the store.
    pub store: PathBuf,
    /// `true`: a store that a newer version wrote ends the process; else nothing is kept meanwhile.
    pub strict_store: bool,
    /// Prometheus, where there is one.
    pub prometheus: Option<Access>,
    /// The settings of the cluster's own HPA controller, which the reactive floor follows.
    pub hpa: ControllerSettings,
    /// The promise that scores are judged by.
    pub slo: Slo,
    /// How the latency of a target's requests is asked for, for its score.
    pub latency: LatencyQueries,
    /// The most that any object may do.
    pub max_mode: Mode,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where probes are served.
    pub probes: Option<SocketAddr>,
    /// Where the live pages are served.
    pub web: Option<crate::serve::Options>,
    /// `true`: whoever asks for them is checked by the API server.
    pub web_reviews_tokens: bool,
    /// Passes at once.
    pub workers: usize,
}
