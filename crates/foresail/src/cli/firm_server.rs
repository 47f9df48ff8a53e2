//! `foresail firm-server`: what acts for learners, over gRPC.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use foresail_adapters::clock::{Clock, SystemClock};
use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::discover::features;
use foresail_adapters::prometheus::Prometheus;
use foresail_adapters::rpc::PORT;
use foresail_adapters::rpc::server::{ServerOptions, TlsFiles, bind};
use foresail_adapters::stats::Store;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Quantity;
use foresail_core::spec::ValidSpec;

use crate::cli::collector::{KubeletArgs, RedisArgs, unreachable};
use crate::cli::run::LogArgs;
use crate::compare::prometheus::AccessArgs;
use crate::config::{Environment, Settings};
use crate::exit::Code;
use crate::firm::component::{Bounds, ComponentName, range, refused};
use crate::firm::kept::File;
use crate::firm::live::{Demand, Live, Sources};
use crate::firm::pilot::Pilot;
use crate::firm::service::Firm;
use crate::interrupt;

/// Act for learners over gRPC: FIRM's published messages, and an environment; through the same guards as
/// any other wish
#[derive(Args, Debug)]
pub struct FirmServerArgs {
    /// A Deployment that is served, NAMESPACE/NAME; may be given several times
    #[arg(long, value_name = "NAME", required = true)]
    component: Vec<ComponentName>,
    #[command(flatten)]
    door: DoorArgs,
    #[command(flatten)]
    bounds: BoundsArgs,
    #[command(flatten)]
    demand: DemandArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    kubelet: KubeletArgs,
    /// The container whose requests are changed [default: the first of a pod]
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// The folder of what outlives a restart: steps that were answered, writes under way, the engine
    #[arg(long, value_name = "FOLDER", default_value = "foresail-firm")]
    state: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

/// Who may come in.
#[derive(Args, Debug)]
struct DoorArgs {
    /// The address
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT))]
    bind: SocketAddr,
    /// The server's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The CA that clients must be signed by, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// The file with the token that every call must show
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Allow plain text beyond this machine
    #[arg(long)]
    insecure: bool,
}

/// Bounds of every axis; the defaults are those of AWARE's multidimensional pod autoscaler.
#[derive(Args, Debug)]
struct BoundsArgs {
    /// The fewest and the most replicas
    #[arg(long, value_name = "LEAST..MOST", default_value = "1..20", value_parser = replicas)]
    replicas: (i32, i32),
    /// The least and the most CPU of a pod
    #[arg(long, value_name = "LEAST..MOST", default_value = "128m..2048m", value_parser = range)]
    cpu: (Quantity, Quantity),
    /// One step of CPU
    #[arg(long, value_name = "QUANTITY", default_value = "128m")]
    cpu_step: Quantity,
    /// The least and the most memory of a pod
    #[arg(long, value_name = "LEAST..MOST", default_value = "256Mi..3072Mi", value_parser = range)]
    memory: (Quantity, Quantity),
    /// One step of memory
    #[arg(long, value_name = "QUANTITY", default_value = "128Mi")]
    memory_step: Quantity,
    /// The HPA's target for CPU, in percent of the request: the floor, and the heuristic
    #[arg(long, value_name = "PERCENT", default_value_t = 60, value_parser = clap::value_parser!(i32).range(1..=1000))]
    cpu_target: i32,
    /// Change requests with one replica too; the server must resize in place
    #[arg(long)]
    resize_only_replica: bool,
    /// Time between two steps of an agent
    #[arg(long, value_name = "TIME", default_value = "60s")]
    interval: Span,
    /// Share of the requests that is promised to be in time
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0)]
    promised_percent: f64,
}

/// Where demand comes from: without any the state is never known, and the heuristic acts alone.
#[derive(Args, Debug)]
struct DemandArgs {
    /// The custom metric of the Deployment that is its demand in requests per second
    #[arg(long, value_name = "NAME", conflicts_with = "demand_query")]
    demand_metric: Option<String>,
    /// The query of Prometheus that is the demand in requests per second
    #[arg(long, value_name = "PROMQL")]
    demand_query: Option<String>,
    /// The query of Prometheus that is the share of requests that kept the promise, 0 to 1
    #[arg(long, value_name = "PROMQL")]
    kept_query: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
}

fn replicas(text: &str) -> Result<(i32, i32), String> {
    let refused = || format!("{text:?}: write LEAST..MOST, such as 1..20");
    let (least, most) = text.split_once("..").ok_or_else(refused)?;
    let number = |part: &str| part.parse::<i32>().map_err(|_| refused());
    Ok((number(least)?, number(most)?))
}

impl BoundsArgs {
    fn bounds(&self) -> Result<Bounds> {
        ensure!(
            self.promised_percent > 0.0 && self.promised_percent <= 100.0,
            "--promised-percent {}: must be above 0 and at most 100",
            self.promised_percent
        );
        Ok(Bounds {
            replicas: self.replicas,
            cpu: [self.cpu.0, self.cpu.1, self.cpu_step],
            memory: [self.memory.0, self.memory.1, self.memory_step],
            cpu_percent: self.cpu_target,
            resizes_only_replica: self.resize_only_replica,
            interval: self.interval,
        })
    }
}

impl DemandArgs {
    /// The version of the custom metrics API, where it is asked.
    async fn version(&self, clients: &Clients) -> Result<Option<String>> {
        let Some(metric) = &self.demand_metric else {
            return Ok(None);
        };
        let found = features(&clients.read).await;
        let found = found.map_err(|fault| unreachable(fault.to_string()))?;
        let version = found.custom_metrics.with_context(|| {
            format!("--demand-metric {metric}: the cluster has no custom.metrics.k8s.io; install an adapter, or pass --demand-query")
        })?;
        Ok(Some(version))
    }

    fn sources(&self, store: Store, version: Option<String>) -> Result<Sources> {
        let server = if self.demand_query.is_some() || self.kept_query.is_some() {
            let settings = Settings::load(None, &Environment)?;
            Some(Arc::new(self.access.connect(&settings)?))
        } else {
            None
        };
        let with = |query: &Option<String>| -> Option<(Arc<Prometheus>, String)> {
            Some((server.clone()?, query.clone()?))
        };
        let metric = self.demand_metric.clone().zip(version);
        let demand = match (metric, with(&self.demand_query)) {
            (Some((name, version)), _) => Demand::Custom(name, version),
            (None, Some((server, query))) => Demand::Query(server, query),
            (None, None) => Demand::None,
        };
        Ok(Sources {
            store,
            demand,
            kept: with(&self.kept_query),
        })
    }
}

impl DoorArgs {
    fn options(&self) -> ServerOptions {
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        ServerOptions {
            bind: self.bind,
            tls: tls.map(|(cert, key)| TlsFiles {
                cert,
                key,
                client_ca: self.client_ca.clone(),
            }),
            token: self.token_file.clone(),
            insecure: self.insecure,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Where there is no cluster, the port is taken, or the options would let anybody in.
pub fn run(args: &FirmServerArgs, out: &mut dyn Write) -> Result<Code> {
    let options = args.door.options();
    options.check()?;
    args.log.begin()?;
    std::fs::create_dir_all(&args.state)
        .with_context(|| format!("--state {}", args.state.display()))?;
    let store = args.redis.store()?;
    let runtime = crate::firm::runtime()?;
    interrupt::catch();
    runtime.block_on(async {
        let clients = Clients::new(&args.kubelet.place()).await;
        let clients = clients.map_err(|e| unreachable(e.to_string()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let version = args.demand.version(&clients).await?;
        let sources = args.demand.sources(store.clone(), version)?;
        let firm = firm(args, &clients, &sources, &clock)?;
        let bound = bind(&options).await?;
        writeln!(out, "{}", bound.address)?;
        out.flush()?;
        // Without Redis nobody else measures: the server does, into a store of its own.
        let collector = match &store {
            Store::Redis(_) => None,
            Store::Embedded(_) => {
                let kubelets = args.kubelet.kubelets().await?;
                Some(args.kubelet.collector(Some(kubelets), store.clone(), clock)?)
            }
        };
        let collects = async {
            match &collector {
                Some(collector) => collector.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            served = bound.serve(firm.clone(), firm, interrupt::when_asked()) => served.map_err(anyhow::Error::from),
            () = collects => Ok(()),
        }
    })?;
    Ok(Code::Done)
}

fn firm(
    args: &FirmServerArgs,
    clients: &Clients,
    sources: &Sources,
    clock: &Arc<dyn Clock>,
) -> Result<Firm<Live>> {
    let bounds = args.bounds.bounds()?;
    let mut pilots = Vec::new();
    for name in &args.component {
        let spec = bounds.spec(name)?;
        let valid = ValidSpec::new(spec.clone()).map_err(|problems| refused(&problems))?;
        let live = Live::new(
            clients.clone(),
            name.clone(),
            args.container.clone(),
            &valid.targets()[0],
            sources.clone(),
        );
        let file = File::new(Some(&args.state), name);
        let promised = args.bounds.promised_percent / 100.0;
        pilots.push(Pilot::new((live, Arc::clone(clock)), spec, promised, file)?);
    }
    Ok(Firm::new(pilots))
}
