//! `foresail load`: open-loop load on an address, or on the pods of a workload.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use foresail_adapters::atomic::WholeFile;
use foresail_adapters::kubernetes::client::{Place, stream_client};
use foresail_adapters::kubernetes::ready_pods::{Behind, destination};
use foresail_adapters::load::arrivals::Shape;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{Output, print_csv, print_table, whole};
use crate::exit::{Code, Coded};
use crate::interrupt;
use crate::load::forward::{Forwarder, REFRESH};
use crate::load::summary::Summary;
use crate::load::tally::Tally;
use crate::load::{CONNECTIONS, Load, Spacing, TIMEOUT, run as send};

/// Send HTTP requests when they are due, whatever became of those before, and tell what came of them
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// Where to, such as http://localhost:18080/ [default: the pods of --service, by port-forward]
    #[arg(long, value_name = "URL", conflicts_with_all = ["service", "deployment"])]
    url: Option<String>,
    /// To the pods of this Service, by port-forward
    #[arg(long, value_name = "NAME", default_value = "webapp")]
    service: String,
    /// To the pods of this Deployment, by port-forward
    #[arg(long, value_name = "NAME", conflicts_with = "service")]
    deployment: Option<String>,
    #[command(flatten)]
    rate: RateArgs,
    /// Requests as a Poisson process instead of evenly
    #[arg(long)]
    poisson: bool,
    /// The only source of chance
    #[arg(long, value_name = "N", default_value_t = 42, value_parser = whole)]
    seed: u64,
    /// From a request's being due to the end of its answer, at most
    #[arg(long, value_name = "TIME", default_value_t = TIMEOUT)]
    timeout: Span,
    /// The most connections at once
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS)]
    connections: usize,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write a line for each second to this CSV file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How the summary is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// The rate over time.
#[derive(Args, Debug)]
struct RateArgs {
    /// Requests per second, constant
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    rps: f64,
    /// Seconds; with a ramp, of the ramp where --ramp-duration is not given
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    duration: f64,
    /// Requests per second at the begin of a ramp
    #[arg(long, value_name = "N", requires = "ramp_end", conflicts_with = "rps")]
    ramp_start: Option<f64>,
    /// Requests per second at its end
    #[arg(long, value_name = "N", requires = "ramp_start")]
    ramp_end: Option<f64>,
    /// Seconds of the ramp
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "ramp_start",
        conflicts_with = "duration"
    )]
    ramp_duration: Option<f64>,
    /// Seconds more at the last rate
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    hold: f64,
}

/// Where pods are, with port-forward.
#[derive(Args, Debug)]
struct PlaceArgs {
    /// Port of the Service, or of the Deployment's pods [default: the first]
    #[arg(long, value_name = "N", conflicts_with = "url")]
    port: Option<u16>,
    /// Path and query, with port-forward
    #[arg(long, value_name = "PATH", default_value = "/", conflicts_with = "url")]
    path: String,
    /// Time between two looks for pods, with port-forward
    #[arg(long, value_name = "TIME", default_value_t = REFRESH, conflicts_with = "url")]
    refresh: Span,
    /// Namespace [default: that of the context]
    #[arg(long, short = 'n', value_name = "NAME", conflicts_with = "url")]
    namespace: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, that of the user, or the pod's own account]
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    kubeconfig: Option<PathBuf>,
}

impl RateArgs {
    fn shape(&self) -> Result<Shape> {
        let span = |name: &str, seconds: f64| {
            Span::from_seconds_f64(seconds)
                .with_context(|| format!("--{name} {seconds}: must be seconds"))
        };
        let hold = span("hold", self.hold)?;
        ensure!(
            !hold.is_negative(),
            "--hold {}: must be 0 or more",
            self.hold
        );
        let (length, from, to) = match (self.ramp_start, self.ramp_end) {
            (Some(from), Some(to)) => {
                let seconds = self.ramp_duration.unwrap_or(self.duration);
                (span("ramp-duration", seconds)?, from, to)
            }
            _ => (span("duration", self.duration)?, self.rps, self.rps),
        };
        let mut parts = vec![(length, from, to)];
        if hold > Span::ZERO {
            parts.push((hold, to, to));
        }
        Shape::new(&parts).context("the rate")
    }
}

/// A runtime for streams to a cluster, which works beside the thread that sends.
///
/// # Errors
/// Where the system gives no threads.
pub(crate) fn streams_runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no threads for the cluster's streams")
}

/// Runs the command.
///
/// # Errors
/// Where an option is out of its range, the target is not there, or a file cannot be written.
pub fn run(args: &LoadArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let shape = args.rate.shape()?;
    let spacing = match args.poisson {
        true => Spacing::Poisson(Seed(args.seed)),
        false => Spacing::Even,
    };
    let runtime = streams_runtime()?;
    let (mut load, _forwarder) = match &args.url {
        Some(url) => (Load::on_url(url, shape, spacing)?, None),
        None => {
            let (load, forwarder) = runtime.block_on(forwarded(args, shape, spacing))?;
            (load, Some(forwarder))
        }
    };
    load.timeout = args.timeout;
    load.connections = args.connections;
    let mut file = args.out.as_deref().map(WholeFile::begin).transpose()?;
    let rows = file.as_mut().map(|f| f as &mut dyn Write);
    let tally = Tally::new(&load.shape, load.timeout, rows)?;
    interrupt::catch();
    eprintln!(
        "sending {:.0} requests in {} to {}",
        load.shape.total(),
        load.shape.length(),
        load.host
    );
    let summary = send(&load, tally, &interrupt::asked)?;
    if let Some(file) = file {
        file.commit()?;
    }
    print(&summary, output, out)?;
    Ok(code(&summary))
}

/// Load on the pods of a workload.
async fn forwarded(args: &LoadArgs, shape: Shape, spacing: Spacing) -> Result<(Load, Forwarder)> {
    let place = Place {
        kubeconfig: args.place.kubeconfig.clone(),
        context: args.place.context.clone(),
    };
    let coded = |code, message| Coded { code, message };
    let (client, namespace) = stream_client(&place)
        .await
        .map_err(|e| coded(Code::Unreachable, e.to_string()))?;
    let namespace = args.place.namespace.clone().unwrap_or(namespace);
    let (name, behind) = match &args.deployment {
        Some(name) => (name, Behind::Deployment(name.clone())),
        None => (&args.service, Behind::Service(args.service.clone())),
    };
    let found = destination(&client, &namespace, &behind, args.place.port)
        .await
        .map_err(|e| coded(Code::NotFound, e.to_string()))?;
    let forwarder = Forwarder::begin(&client, &namespace, found, args.place.refresh).await?;
    let targets = forwarder.targets();
    for target in targets.list() {
        eprintln!("{} by {}", target.name, target.address);
    }
    let load = Load::on_targets(Arc::clone(&targets), name, &args.place.path, shape, spacing)?;
    Ok((load, forwarder))
}

/// 130 after an interrupt, 3 where nothing was answered at all.
fn code(summary: &Summary) -> Code {
    if interrupt::asked() {
        return Code::Interrupted;
    }
    if summary.answered == 0 && summary.due > 0 {
        Code::Unreachable
    } else {
        Code::Done
    }
}

fn print(summary: &Summary, output: Output, out: &mut dyn Write) -> Result<()> {
    let columns = ["what", "value"];
    let rows = || {
        summary
            .rows()
            .into_iter()
            .map(|(a, b)| vec![a, b])
            .collect::<Vec<_>>()
    };
    match output {
        Output::Table => print_table(&columns, rows(), out),
        Output::Csv => print_csv(&columns, &rows(), out),
        Output::Json => {
            let value = json!({"v": 1, "load": summary});
            serde_json::to_writer_pretty(&mut *out, &value).context("the summary")?;
            Ok(writeln!(out)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct One {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn shape(flags: &[&str]) -> (f64, f64) {
        let one = One::parse_from([&["load"], flags].concat());
        let shape = one.args.rate.shape().unwrap();
        (shape.length().seconds(), shape.total())
    }

    /// The README of the published generator: its examples, and what they say they do.
    #[test]
    fn the_published_examples_send_what_they_say() {
        assert_eq!(shape(&[]), (300.0, 15_000.0));
        assert_eq!(
            shape(&["--rps", "100", "--duration", "300"]),
            (300.0, 30_000.0)
        );
        let ramp = "--ramp-start 10 --ramp-end 150 --ramp-duration 120 --hold 180";
        let flags: Vec<&str> = ramp.split(' ').collect();
        assert_eq!(shape(&flags), (300.0, 36_600.0));
        let flags = ["--ramp-start", "0", "--ramp-end", "2", "--duration", "10"];
        assert_eq!(shape(&flags), (10.0, 10.0));
    }

    #[test]
    fn flags_that_contradict_are_refused() {
        for flags in [
            "--ramp-start 1",
            "--ramp-end 1",
            "--rps 5 --ramp-start 1 --ramp-end 2",
            "--duration 5 --ramp-duration 3 --ramp-start 1 --ramp-end 2",
            "--url http://localhost/ --service web",
            "--url http://localhost/ --port 80",
            "--service web --deployment web",
        ] {
            let all = std::iter::once("load").chain(flags.split(' '));
            assert!(One::try_parse_from(all).is_err(), "{flags}");
        }
    }
}
