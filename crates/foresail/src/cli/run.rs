//! `foresail run controller`: the controller, in a cluster or beside one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use foresail_adapters::kubernetes::client::Place;
use foresail_adapters::kubernetes::lease::Timing;
use foresail_adapters::prometheus::{Access, Token};
use foresail_core::hpa::ControllerSettings;
use foresail_core::quantity::time::Span;
use foresail_core::spec::Mode;
use foresail_core::value::slo::Slo;

use crate::controller::{self, LatencyQueries, Options};
use crate::exit::Code;
use crate::interrupt;

/// Long-running processes
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Serve PredictiveAutoscalers: decide, and write where their mode allows it
    Controller(Box<ControllerArgs>),
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// The most that any object may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MaxMode {
    /// Nothing is ever written to a target
    Shadow,
    /// Only what is approved is written
    Advise,
    /// Every mode
    Auto,
}

/// Who may see the live pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WebAuth {
    /// Whoever reaches them: loopback only
    None,
    /// Whoever has a token of the cluster that may get PredictiveAutoscalers
    Tokenreview,
}

/// The settings of the cluster's own HPA controller: the reactive floor is what it would ask for, so
/// they must be those that it was started with.
#[derive(Args, Clone, Debug)]
pub(crate) struct HpaArgs {
    /// Its --horizontal-pod-autoscaler-downscale-stabilization
    #[arg(long, value_name = "TIME", default_value = "5m")]
    hpa_downscale_stabilization: Span,
    /// Its --horizontal-pod-autoscaler-cpu-initialization-period
    #[arg(long, value_name = "TIME", default_value = "5m")]
    hpa_cpu_initialization_period: Span,
    /// Its --horizontal-pod-autoscaler-initial-readiness-delay
    #[arg(long, value_name = "TIME", default_value = "30s")]
    hpa_initial_readiness_delay: Span,
    /// Its --horizontal-pod-autoscaler-tolerance
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    hpa_tolerance: f64,
}

impl HpaArgs {
    /// The settings that the flags name.
    pub(crate) fn settings(&self) -> ControllerSettings {
        ControllerSettings {
            downscale_stabilization: self.hpa_downscale_stabilization,
            cpu_initialization_period: self.hpa_cpu_initialization_period,
            initial_readiness_delay: self.hpa_initial_readiness_delay,
            tolerance: self.hpa_tolerance,
            ..ControllerSettings::default()
        }
    }
}

#[derive(Args, Debug)]
struct ControllerArgs {
    /// The kubeconfig; the user's, or the pod's own account where absent
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The namespace of the lease; the context's or the pod's own where absent
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Serve this namespace alone; may be given several times
    #[arg(long, value_name = "NAME")]
    watch_namespace: Vec<String>,
    /// The name of the lease
    #[arg(long, value_name = "NAME", default_value = "foresail")]
    lease: String,
    /// This process among the candidates; the host's name with a number where absent
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// How long a lease lasts without renewal
    #[arg(long, value_name = "TIME", default_value = "15s")]
    lease_duration: Span,
    /// How long the leader writes after its last renewal
    #[arg(long, value_name = "TIME", default_value = "10s")]
    renew_deadline: Span,
    /// Time between two renewals
    #[arg(long, value_name = "TIME", default_value = "2s")]
    retry_period: Span,
    /// How long a watch lives before it is begun again; one that died silently is found 5 s later
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = watch_life)]
    watch_timeout: Span,
    /// The folder of decisions and history
    #[arg(long, value_name = "FOLDER", default_value = "foresail-store")]
    store: PathBuf,
    /// End with code 2 where a newer version wrote the store; without this nothing is kept, and nothing goes down
    #[arg(long)]
    strict_store: bool,
    /// Prometheus, for metrics of type Prometheus and the past of their demand
    #[arg(long, value_name = "URL")]
    prometheus_url: Option<String>,
    /// File with the bearer token for Prometheus
    #[arg(long, value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// The one CA that is trusted for Prometheus, PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow http to a Prometheus on another machine
    #[arg(long)]
    plain_http: bool,
    /// The longest that a query may take
    #[arg(long, value_name = "TIME", default_value = "3s")]
    query_timeout: Span,
    #[command(flatten)]
    hpa: HpaArgs,
    /// The promise that the score against the incumbent is judged by
    #[arg(long, value_name = "PROMISE", default_value = "wait<200ms:99%")]
    slo: Slo,
    /// Asks Prometheus for the 95 % quantile of latency in seconds, for scores; $NAMESPACE and $TARGET
    /// stand for the target's
    #[arg(long, value_name = "QUERY", requires = "prometheus_url")]
    score_p95_query: Option<String>,
    /// Asks Prometheus for the share of requests that break the promise, 0 to 1, as --score-p95-query
    #[arg(long, value_name = "QUERY", requires = "prometheus_url")]
    score_late_query: Option<String>,
    /// The most that any object may do, whatever its mode says
    #[arg(long, value_enum, default_value = "auto")]
    max_mode: MaxMode,
    /// Serve /metrics here
    #[arg(long, value_name = "ADDRESS")]
    metrics_bind: Option<SocketAddr>,
    /// Serve /livez and /readyz here
    #[arg(long, value_name = "ADDRESS")]
    probe_bind: Option<SocketAddr>,
    /// Serve the live pages here; beyond loopback --web-auth tokenreview is needed
    #[arg(long, value_name = "ADDRESS")]
    web_bind: Option<SocketAddr>,
    /// Who may see the live pages
    #[arg(long, value_enum, default_value = "none")]
    web_auth: WebAuth,
    /// A name by which the live pages may be asked for; may be given several times
    #[arg(long, value_name = "NAME")]
    web_host: Vec<String>,
    /// Passes at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    #[command(flatten)]
    log: LogArgs,
}

/// Which log lines are written, and how.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// How log lines are written
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogFormat,
    /// Which log lines, such as `info` or `foresail=debug`
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "FORESAIL_LOG"
    )]
    log_level: String,
}

/// Shorter, and the server would list everything all the time; longer, and a dead watch goes unnoticed.
fn watch_life(text: &str) -> Result<Span, String> {
    let span = text.parse::<Span>().map_err(|e| e.to_string())?;
    let (least, most) = (Span::from_seconds(5), Span::from_seconds(600));
    match (least..=most).contains(&span) {
        true => Ok(span),
        false => Err(format!("{span}: must be {least} to {most}")),
    }
}

impl LogArgs {
    /// Begins to write log lines to standard error.
    pub(crate) fn begin(&self) -> Result<()> {
        begin_log(self.log_format, &self.log_level)
    }
}

/// A span as the runtime takes it.
pub(crate) fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))
}

/// A name that no other process has: two lives of one pod are two candidates.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "foresail".to_owned());
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    format!(
        "{host}_{}_{:x}",
        std::process::id(),
        boot.tv_nsec ^ (boot.tv_sec << 20)
    )
}

impl ControllerArgs {
    fn options(&self) -> Result<Options> {
        let prometheus = self.prometheus_url.as_ref().map(|url| {
            let mut access = Access::new(url);
            access.token = self
                .bearer_token_file
                .clone()
                .map_or(Token::None, Token::File);
            access.ca_file.clone_from(&self.ca_file);
            access.plain_http = self.plain_http;
            access.timeout = duration(self.query_timeout);
            access
        });
        let mut timing = Timing {
            lease: duration(self.lease_duration),
            renew_deadline: duration(self.renew_deadline),
            retry: duration(self.retry_period),
            ..Timing::default()
        };
        // An answer that comes after the deadline is of no use.
        timing.request = timing.request.min(timing.renew_deadline);
        timing.check().context("the times of the lease")?;
        Ok(Options {
            place: Place {
                kubeconfig: self.kubeconfig.clone(),
                context: self.context.clone(),
            },
            namespaces: self.watch_namespace.clone(),
            own_namespace: self.namespace.clone(),
            lease: self.lease.clone(),
            identity: self.identity.clone().unwrap_or_else(identity),
            watch_life: duration(self.watch_timeout),
            timing,
            store: self.store.clone(),
            strict_store: self.strict_store,
            prometheus,
            hpa: self.hpa.settings(),
            slo: self.slo,
            latency: LatencyQueries {
                p95: self.score_p95_query.clone(),
                late: self.score_late_query.clone(),
            },
            max_mode: match self.max_mode {
                MaxMode::Shadow => Mode::Shadow,
                MaxMode::Advise => Mode::Advise,
                MaxMode::Auto => Mode::Auto,
            },
            metrics: self.metrics_bind,
            probes: self.probe_bind,
            web: self.web_bind.map(|address| crate::serve::Options {
                bind: address.ip(),
                port: address.port(),
                hosts: self.web_host.clone(),
                ..crate::serve::Options::default()
            }),
            web_reviews_tokens: self.web_auth == WebAuth::Tokenreview,
            workers: usize::from(self.workers),
        })
    }
}

/// Begins to write log lines to standard error.
fn begin_log(format: LogFormat, filter: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("--log-level {filter}"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.try_init(),
    };
    begun.map_err(|e| anyhow::anyhow!("{e}"))
}

/// Runs the command.
///
/// # Errors
/// Where there is no cluster, no place for the store, or an address is taken.
pub fn run(args: &RunArgs) -> Result<Code> {
    let What::Controller(args) = &args.what;
    let options = args.options()?;
    args.log.begin()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        // The first signal ends it in order, a second one at once.
        interrupt::catch();
        controller::run(options, interrupt::when_asked()).await
    })?;
    Ok(Code::Done)
}
