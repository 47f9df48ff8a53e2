//! `foresail stress`: busy loops or filled memory in the pods of a workload.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use foresail_adapters::kubernetes::client::{Place, stream_client};
use foresail_core::quantity::time::Span;
use serde_json::json;

use super::load::streams_runtime;
use super::{Output, print_csv, print_table};
use crate::exit::{Code, Coded};
use crate::interrupt;
use crate::stress::{
    CONTAINER, Ended, FOR_EVER, Kind, News, REFRESH, SELECTOR, Stress, Summary, run as stress,
};

/// Put the pods of a workload under stress, by commands in their containers
#[derive(Args, Debug)]
pub struct StressArgs {
    #[command(subcommand)]
    kind: KindArgs,
}

#[derive(Subcommand, Debug)]
enum KindArgs {
    /// Busy loops in every pod, new ones included
    Cpu(CpuArgs),
    /// Memory filled in the pods that are there, by files in /dev/shm
    Memory(MemoryArgs),
}

#[derive(Args, Debug)]
struct CpuArgs {
    /// Busy loops in each pod
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: u32,
    /// Seconds between two looks for pods; new ones and those whose loops have died get theirs
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    refresh: u32,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args, Debug)]
struct MemoryArgs {
    /// MiB in each pod; a pod with less free in /dev/shm refuses
    #[arg(long, value_name = "N", default_value_t = 50)]
    mb: u32,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args, Debug)]
struct PlaceArgs {
    /// Seconds; 0 = a day. Every command ends by itself then, Ctrl-C ends it earlier
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    duration: u32,
    /// In so many pods at most [default: all]
    #[arg(long, value_name = "N")]
    max_pods: Option<usize>,
    /// Labels of the pods
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = SELECTOR)]
    selector: String,
    /// The container in them
    #[arg(long, short = 'c', value_name = "NAME", default_value = CONTAINER)]
    container: String,
    /// Namespace [default: that of the context]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, that of the user, or the pod's own account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How the summary is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where an option is out of its range, or the cluster or its pods are not there.
pub fn run(args: &StressArgs, out: &mut dyn Write) -> Result<Code> {
    let (kind, refresh, place) = match &args.kind {
        KindArgs::Cpu(args) => {
            let workers = args.workers;
            let refresh = Span::from_seconds(args.refresh.into());
            (Kind::Cpu { workers }, refresh, &args.place)
        }
        KindArgs::Memory(args) => (Kind::Memory { mebibytes: args.mb }, REFRESH, &args.place),
    };
    let output = Output::here(place.output)?;
    let runtime = streams_runtime()?;
    let cluster = Place {
        kubeconfig: place.kubeconfig.clone(),
        context: place.context.clone(),
    };
    let (client, namespace) = runtime
        .block_on(stream_client(&cluster))
        .map_err(|e| Coded {
            code: Code::Unreachable,
            message: e.to_string(),
        })?;
    let wanted = Stress {
        namespace: place.namespace.clone().unwrap_or(namespace),
        selector: place.selector.clone(),
        container: place.container.clone(),
        length: match place.duration {
            0 => FOR_EVER,
            seconds => Span::from_seconds(seconds.into()),
        },
        pods_max: place.max_pods,
        refresh,
        kind,
    };
    interrupt::catch();
    let summary = runtime.block_on(stress(&client, &wanted, interrupt::when_asked(), tell))?;
    print(&summary, output, out)?;
    Ok(code(&summary))
}

fn tell(news: &News) {
    match news {
        News::Begun { pod, seconds } => eprintln!("{pod}: begun, for {seconds} s"),
        News::Over { pod, ended } => eprintln!("{pod}: {}", words(ended)),
        News::NoLook(why) => eprintln!("note: pods could not be listed: {why}"),
    }
}

/// How a command ended, for people.
fn words(ended: &Ended) -> String {
    match ended {
        Ended::Runs => "goes on".to_owned(),
        Ended::Time => "its time was over".to_owned(),
        Ended::Told => "ended early".to_owned(),
        Ended::Refused(free) => {
            format!("refused: only {free} MiB are free in /dev/shm; ask for less by --mb")
        }
        Ended::Gone => "the pod is gone".to_owned(),
        Ended::Died(why) => format!("died: {why}"),
    }
}

fn code(summary: &Summary) -> Code {
    if interrupt::asked() {
        return Code::Interrupted;
    }
    let ran = summary.pods.iter().any(|p| p.started > 0);
    if ran { Code::Done } else { Code::No }
}

fn print(summary: &Summary, output: Output, out: &mut dyn Write) -> Result<()> {
    let columns = ["pod", "started", "ended"];
    let rows = || {
        let row = |p: &crate::stress::PodTold| {
            vec![p.pod.clone(), p.started.to_string(), words(&p.ended)]
        };
        summary.pods.iter().map(row).collect::<Vec<_>>()
    };
    match output {
        Output::Table => print_table(&columns, rows(), out),
        Output::Csv => print_csv(&columns, &rows(), out),
        Output::Json => {
            let value = json!({"v": 1, "stress": summary});
            serde_json::to_writer_pretty(&mut *out, &value).context("the summary")?;
            Ok(writeln!(out)?)
        }
    }
}
