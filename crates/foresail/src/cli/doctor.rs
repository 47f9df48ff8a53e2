//! `foresail doctor`: what works here and in the cluster, and the mend for what does not.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use foresail_adapters::stats::{RedisAccess, RedisStore, Retention, Store};
use foresail_models::registry::proposer_names;
use serde_json::json;

use crate::cli::cluster::ClusterArgs;
use crate::cli::cluster::aware_checkup;
use crate::cli::cluster::checkup::{self, Level, Line};
use crate::cli::{Output, print_csv};
use crate::compare::prometheus::{AccessArgs, runtime};
use crate::config::{Environment, Settings};
use crate::exit::Code;

/// Check this machine and its cluster, and say what to mend
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Look at this machine alone
    #[arg(long)]
    offline: bool,
    /// Look at AWARE's distributed form: its pods, Redis, and the server's port
    #[arg(long, conflicts_with_all = ["offline", "account"])]
    aware: bool,
    /// Where the agent finds the server
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    server: String,
    /// Redis as it is reached from here
    #[arg(long, value_name = "URL", requires = "aware")]
    redis: Option<String>,
    /// Look at the rights of this user, such as system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", value_name = "USER", conflicts_with = "offline")]
    account: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(args: &DoctorArgs, out: &mut dyn Write) -> Result<Code> {
    let mut lines = checks();
    let mut is_reachable = true;
    if args.aware {
        is_reachable = aware(args, &mut lines)?;
    } else if !args.offline {
        is_reachable = online(args, &mut lines)?;
    }
    let good = lines.iter().all(|(level, _)| *level != Level::Fail);
    // Settings that are wrong are one of the findings, not the end of the command.
    print(
        &lines,
        good,
        Output::here(args.output).unwrap_or(Output::Table),
        out,
    )?;
    Ok(match (is_reachable, good) {
        (false, _) => Code::Unreachable,
        (true, true) => Code::Done,
        (true, false) => Code::No,
    })
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "fail",
    }
}

fn print(lines: &[Line], good: bool, output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Table => {
            for (level, text) in lines {
                writeln!(out, "{:<5}{text}", word(*level))?;
            }
        }
        Output::Json => {
            let one = |(level, text): &Line| json!({"ok": *level != Level::Fail, "level": word(*level), "text": text});
            let all: Vec<_> = lines.iter().map(one).collect();
            writeln!(out, "{}", json!({"v": 1, "ok": good, "checks": all}))?;
        }
        Output::Csv => {
            let one = |(level, text): &Line| vec![word(*level).to_owned(), text.clone()];
            let rows: Vec<_> = lines.iter().map(one).collect();
            print_csv(&["level", "text"], &rows, out)?;
        }
    }
    Ok(())
}

/// The namespace of AWARE's parts where none is named.
const AWARE: &str = "foresail-aware";

/// Looks at AWARE's parts; `false` where the API server does not answer.
fn aware(args: &DoctorArgs, lines: &mut Vec<Line>) -> Result<bool> {
    let namespace = args.cluster.namespace.as_deref().unwrap_or(AWARE);
    let mut is_reachable = true;
    match args.cluster.connect() {
        Err(error) => {
            lines.push((Level::Fail, error.to_string()));
            is_reachable = false;
        }
        Ok(cluster) => {
            let looked = async { Ok(aware_checkup::pods(&cluster, namespace).await) };
            lines.extend(cluster.wait(looked)?);
        }
    }
    match &args.redis {
        None => lines.push((
            Level::Warn,
            "Redis was not looked at from here: pass --redis URL of a port-forward to it"
                .to_owned(),
        )),
        Some(url) => {
            let access = RedisAccess {
                url: url.clone(),
                password_file: None,
                plain: false,
            };
            lines.push(match RedisStore::new(&access, Retention::default()) {
                Err(error) => (Level::Fail, error.to_string()),
                Ok(store) => {
                    let store = Store::Redis(Arc::new(store));
                    runtime()?.block_on(aware_checkup::redis(&store))
                }
            });
        }
    }
    lines.push(aware_checkup::port(&args.server, namespace));
    Ok(is_reachable)
}

/// Looks at the cluster and at Prometheus; `false` where the API server does not answer.
fn online(args: &DoctorArgs, lines: &mut Vec<Line>) -> Result<bool> {
    let mut is_reachable = true;
    match args.cluster.connect() {
        // Nobody has said that there is a cluster.
        Err(error) if !args.cluster.is_named() => {
            let told = format!("what needs a cluster was not looked at: {error}");
            lines.push((Level::Warn, told));
        }
        Err(error) => {
            lines.push((Level::Fail, error.to_string()));
            is_reachable = false;
        }
        Ok(cluster) => {
            let is_namespaced = args.cluster.namespace.is_some();
            let found = cluster.wait(checkup::look(
                &cluster,
                is_namespaced,
                args.account.as_deref(),
            ))?;
            is_reachable = found.is_reachable;
            lines.extend(found.lines);
        }
    }
    let Ok(settings) = Settings::load(None, &Environment) else {
        return Ok(is_reachable);
    };
    if args.access.prometheus.is_none() && settings.text("prometheus.url").is_empty() {
        let told = "no Prometheus is named: pass --prometheus URL to look at it".to_owned();
        lines.push((Level::Warn, told));
        return Ok(is_reachable);
    }
    lines.push(match args.access.connect(&settings) {
        Ok(server) => runtime()?.block_on(checkup::prometheus(&server)),
        Err(error) => (Level::Fail, format!("Prometheus: {error}")),
    });
    Ok(is_reachable)
}

/// What was looked at on this machine.
fn checks() -> Vec<Line> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let formats = foresail_adapters::registry::format_names().join(", ");
    let well = |text: String| (Level::Ok, text);
    vec![
        well(format!("foresail {}", env!("CARGO_PKG_VERSION"))),
        well(format!("{threads} threads")),
        well(format!("proposers: {}", proposer_names().join(", "))),
        well(format!("trace formats: {formats}")),
        match Settings::load(None, &Environment) {
            Ok(_) => well("settings".to_owned()),
            Err(error) => (Level::Fail, format!("settings: {error:#}")),
        },
        match tempfile_here() {
            Ok(()) => well("this folder can be written".to_owned()),
            Err(error) => (
                Level::Fail,
                format!("this folder cannot be written: {error}; pass --out FOLDER"),
            ),
        },
    ]
}

/// Writes and removes a file here.
fn tempfile_here() -> std::io::Result<()> {
    let path = std::path::PathBuf::from(format!(".foresail-doctor.{}.tmp", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}
