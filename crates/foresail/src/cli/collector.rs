//! `foresail collector`: what nodes and pods use, from the kubelets into Redis.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use foresail_adapters::clock::{Clock, SystemClock};
use foresail_adapters::kubernetes::client::Place;
use foresail_adapters::stats::{
    Embedded, Kubelets, Queue, RedisAccess, RedisStore, Retention, Route, Store,
};
use foresail_core::quantity::time::Span;

use crate::cli::run::{LogArgs, duration};
use crate::exit::{Code, Coded};
use crate::firm::collect::{Collector, ROOM};
use crate::firm::post;
use crate::interrupt;

/// Collect what nodes and pods use, from kubelets into Redis; one on each node, or one for all
#[derive(Args, Debug)]
pub struct CollectorArgs {
    #[command(flatten)]
    kubelet: KubeletArgs,
    #[command(flatten)]
    redis: RedisArgs,
    /// Collect from no kubelet, only what is posted
    #[arg(long, requires = "post_bind")]
    no_kubelets: bool,
    /// Take POST /cadvisor/metrics here too, as FIRM's nodes send it; loopback only
    #[arg(long, value_name = "ADDRESS")]
    post_bind: Option<SocketAddr>,
    #[command(flatten)]
    log: LogArgs,
}

/// How kubelets are reached.
#[derive(Args, Debug)]
pub(crate) struct KubeletArgs {
    /// The kubeconfig; the user's, or the pod's own account where absent
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Collect from this node alone; may be given several times [default: all nodes]
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    node: Vec<String>,
    /// Time between two samples of a node
    #[arg(long, value_name = "TIME", default_value = "15s")]
    every: Span,
    /// How kubelets are reached
    #[arg(long, value_enum, default_value = "kubelet")]
    route: RouteArg,
    /// Whose certificate is not checked: kubelets that sign their own
    #[arg(long, value_enum, value_name = "WHOSE")]
    insecure_skip_verify: Option<Unchecked>,
}

/// How kubelets are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RouteArg {
    /// At their own port; needs the right to get nodes/metrics
    Kubelet,
    /// Through the API server; needs nodes/proxy, which is a right to run anything on a node
    Proxy,
}

/// Whose certificate is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unchecked {
    /// The kubelets'
    Kubelet,
}

/// How Redis is reached, and how much it keeps.
#[derive(Args, Debug)]
pub(crate) struct RedisArgs {
    /// Redis, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// The file with its password
    #[arg(long, value_name = "FILE", requires = "redis")]
    redis_password_file: Option<PathBuf>,
    /// Allow plain text to a Redis on another machine
    #[arg(long, requires = "redis")]
    redis_plain: bool,
    /// Samples that are kept of each container
    #[arg(long, value_name = "N", default_value_t = 1440, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    kept: u32,
    /// How long a silent container is remembered
    #[arg(long, value_name = "TIME", default_value = "24h")]
    silent: Span,
}

impl KubeletArgs {
    /// Which cluster, and as whom.
    pub(crate) fn place(&self) -> Place {
        Place {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }

    /// The kubelets that the flags name.
    pub(crate) async fn kubelets(&self) -> Result<Kubelets> {
        let route = match self.route {
            RouteArg::Kubelet => Route::Kubelet {
                unchecked: self.insecure_skip_verify.is_some(),
            },
            RouteArg::Proxy => Route::Proxy,
        };
        let made = Kubelets::new(&self.place(), route).await;
        made.map_err(|e| unreachable(e.to_string()))
    }

    /// A collector of what the flags name.
    pub(crate) fn collector(
        &self,
        kubelets: Option<Kubelets>,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Collector> {
        ensure!(
            self.every > Span::ZERO,
            "--every {}: must be above 0s",
            self.every
        );
        Ok(Collector {
            kubelets,
            nodes: self.node.clone(),
            every: duration(self.every),
            // A node's hour of minutes, for each of so many nodes as one process is likely to see.
            queue: Arc::new(Queue::new(ROOM * self.node.len().max(10))),
            store,
            clock,
        })
    }
}

/// An error of a cluster or a store that cannot be reached.
pub(crate) fn unreachable(message: String) -> anyhow::Error {
    let code = Code::Unreachable;
    anyhow::Error::new(Coded { code, message })
}

impl RedisArgs {
    fn retention(&self) -> Result<Retention> {
        ensure!(
            self.silent > Span::ZERO,
            "--silent {}: must be above 0s",
            self.silent
        );
        Ok(Retention {
            kept: self.kept as usize,
            life: duration(self.silent),
            ..Retention::default()
        })
    }

    /// Redis where it is named, else a store within this process.
    pub(crate) fn store(&self) -> Result<Store> {
        let retention = self.retention()?;
        let Some(url) = &self.redis else {
            return Ok(Store::Embedded(Arc::new(Embedded::new(retention))));
        };
        let access = RedisAccess {
            url: url.clone(),
            password_file: self.redis_password_file.clone(),
            plain: self.redis_plain,
        };
        Ok(Store::Redis(Arc::new(RedisStore::new(&access, retention)?)))
    }
}

/// Runs the command.
///
/// # Errors
/// Where there is no cluster, Redis is not named, or an address is taken.
pub fn run(args: &CollectorArgs) -> Result<Code> {
    ensure!(
        args.redis.redis.is_some(),
        "--redis URL is needed: what is collected goes to another process; `foresail firm-server` without --redis collects for itself"
    );
    if let Some(address) = args.post_bind {
        ensure!(
            address.ip().is_loopback(),
            "--post-bind {address}: whoever reaches it can make up usage; bind it to 127.0.0.1"
        );
    }
    args.log.begin()?;
    let store = args.redis.store()?;
    let runtime = crate::firm::runtime()?;
    interrupt::catch();
    runtime.block_on(async {
        let kubelets = match args.no_kubelets {
            true => None,
            false => Some(args.kubelet.kubelets().await?),
        };
        let collector = args
            .kubelet
            .collector(kubelets, store, Arc::new(SystemClock))?;
        let posts = async {
            match args.post_bind {
                None => std::future::pending().await,
                Some(address) => serve_posts(address, &collector).await,
            }
        };
        tokio::select! {
            () = collector.run() => Ok(()),
            failed = posts => failed,
            () = interrupt::when_asked() => Ok(()),
        }
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(Code::Done)
}

async fn serve_posts(address: SocketAddr, collector: &Collector) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("--post-bind {address}"))?;
    let router = post::router(Arc::clone(&collector.queue));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.context("--post-bind")
}
