//! `foresail get`: objects in a table, as kubectl shows them, or whole.

use std::io::Write;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::pods::time;
use foresail_core::quantity::time::Timestamp;
use futures_util::StreamExt;
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::table::{Table, age};
use super::{Cluster, ClusterArgs, coded, printable};
use crate::compare::prometheus::now;
use crate::exit::Code;

/// How objects are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ObjectOutput {
    /// One line each.
    #[default]
    Table,
    /// One longer line each.
    Wide,
    /// Whole, as JSON.
    Json,
    /// Whole, as YAML.
    Yaml,
    /// Their names alone.
    Name,
}

/// Show objects with what they decided
#[derive(Args, Debug)]
pub struct GetArgs {
    /// One object; all of the namespace where absent
    name: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Objects of all namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(long, short = 'l', value_name = "SELECTOR", conflicts_with = "name")]
    selector: Option<String>,
    /// Go on and print what changes, until Ctrl-C
    #[arg(long, short = 'w')]
    watch: bool,
    /// How they are printed
    #[arg(long, short, value_enum, default_value_t)]
    output: ObjectOutput,
}

/// Columns: those of the object's definition, in their order.
const COLUMNS: [&str; 11] = [
    "NAME",
    "TARGET",
    "MODE",
    "ARCHETYPE",
    "REPLICAS",
    "DESIRED",
    "REACTIVE",
    "FORECAST",
    "BY",
    "LIMITED",
    "AGE",
];

/// Columns of `-o wide` after them.
const WIDE: [&str; 6] = ["MIN", "MAX", "MODEL", "COVERAGE", "LEAD", "LASTSCALE"];

/// Runs the command.
///
/// # Errors
/// Where the cluster does not answer, or has no such object.
pub fn run(args: &GetArgs, out: &mut dyn Write) -> Result<Code> {
    show(args, &args.cluster.connect()?, out)
}

/// The command on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn show(args: &GetArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let found = cluster.wait(found(args, cluster))?;
    if found.is_empty() && !args.watch {
        match args.all_namespaces {
            true => eprintln!("no objects in any namespace"),
            false => eprintln!("no objects in namespace {}", cluster.namespace),
        }
    }
    let table = print(args, &found, out)?;
    out.flush()?;
    if args.watch {
        ensure!(
            args.output != ObjectOutput::Yaml,
            "-w prints rows, names or JSON, not YAML"
        );
        cluster.wait_long(watch(args, cluster, table, &found, out))?;
    }
    Ok(Code::Done)
}

async fn found(args: &GetArgs, cluster: &Cluster) -> Result<Vec<PredictiveAutoscaler>> {
    if let Some(name) = &args.name {
        return Ok(vec![cluster.object(name).await?]);
    }
    let mut parameters = ListParams::default();
    parameters.label_selector.clone_from(&args.selector);
    let listed = call(api(args, cluster, false).list(&parameters)).await;
    Ok(listed
        .map_err(|f| coded("PredictiveAutoscalers", &f))?
        .items)
}

fn api(args: &GetArgs, cluster: &Cluster, watched: bool) -> Api<PredictiveAutoscaler> {
    let client = match watched {
        true => cluster.clients.watch.clone(),
        false => cluster.read(),
    };
    match args.all_namespaces {
        true => Api::all(client),
        false => Api::namespaced(client, &cluster.namespace),
    }
}

/// Prints them; the table where it is one.
fn print(
    args: &GetArgs,
    found: &[PredictiveAutoscaler],
    out: &mut dyn Write,
) -> Result<Option<Table>> {
    match args.output {
        ObjectOutput::Table | ObjectOutput::Wide => {
            if found.is_empty() && !args.watch {
                return Ok(None);
            }
            let rows: Vec<_> = found.iter().map(|o| row(args, o, now())).collect();
            return Table::print(&head(args), &rows, out).map(Some);
        }
        ObjectOutput::Json => match (&args.name, args.watch) {
            (None, false) => {
                let items: Vec<_> = found.iter().map(printable).collect::<Result<_>>()?;
                let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
                writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
            }
            (_, watch) => {
                for object in found {
                    let object = printable(object)?;
                    match watch {
                        true => writeln!(out, "{object}")?,
                        false => writeln!(out, "{}", serde_json::to_string_pretty(&object)?)?,
                    }
                }
            }
        },
        ObjectOutput::Yaml => {
            for (place, object) in found.iter().enumerate() {
                if place > 0 {
                    writeln!(out, "---")?;
                }
                write!(out, "{}", serde_saphyr::to_string(&printable(object)?)?)?;
            }
        }
        ObjectOutput::Name => {
            for object in found {
                writeln!(out, "{}", full_name(object))?;
            }
        }
    }
    Ok(None)
}

fn full_name(object: &PredictiveAutoscaler) -> String {
    format!(
        "predictiveautoscaler.autoscaling.foresail.dev/{}",
        object.name_any()
    )
}

fn head(args: &GetArgs) -> Vec<&'static str> {
    let mut head = Vec::new();
    if args.all_namespaces {
        head.push("NAMESPACE");
    }
    head.extend(COLUMNS);
    if args.output == ObjectOutput::Wide {
        head.extend(WIDE);
    }
    head
}

fn row(args: &GetArgs, object: &PredictiveAutoscaler, now: Timestamp) -> Vec<String> {
    let mut row = Vec::new();
    if args.all_namespaces {
        row.push(object.namespace().unwrap_or_default());
    }
    row.extend(cells(object, now));
    if args.output == ObjectOutput::Wide {
        row.extend(wide(object, now));
    }
    row
}

fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "<none>".to_owned(), |v| v.to_string())
}

/// The target as the status tells it, or as the spec names it before there is one.
pub(super) fn target(object: &PredictiveAutoscaler) -> String {
    let told = object.status.as_ref().and_then(|s| s.target_ref.clone());
    let named = &object.spec.scale_target_ref;
    told.unwrap_or_else(|| format!("{}/{}", named.kind, named.name))
}

fn cells(object: &PredictiveAutoscaler, now: Timestamp) -> Vec<String> {
    let status = object.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().find(|c| c.type_ == kind);
    let by = status
        .last_decision
        .as_ref()
        .and_then(|d| d.get("chosenBy")?.as_str().map(str::to_owned));
    let made = object.metadata.creation_timestamp.as_ref();
    vec![
        object.name_any(),
        target(object),
        format!("{:?}", object.spec.mode),
        known(status.archetype.clone()),
        known(status.current_replicas),
        known(status.desired_replicas),
        known(status.reactive_replicas),
        known(condition("ForecastReady").map(|c| &c.status)),
        known(by),
        known(condition("ScalingLimited").map(|c| &c.reason)),
        known(made.map(|at| age(now - time(at)))),
    ]
}

fn wide(object: &PredictiveAutoscaler, now: Timestamp) -> Vec<String> {
    let status = object.status.clone().unwrap_or_default();
    let forecast = status.forecast.unwrap_or_default();
    vec![
        object.spec.min_replicas.to_string(),
        object.spec.max_replicas.to_string(),
        known(forecast.model),
        known(forecast.coverage_percent.map(|c| format!("{c}%"))),
        known(forecast.lead_time_seconds.map(|s| format!("{s}s"))),
        known(status.last_scale_time.map(|at| age(now - at))),
    ]
}

/// Prints what changes; a row whose cells are the same but for ages is not printed again.
async fn watch(
    args: &GetArgs,
    cluster: &Cluster,
    mut table: Option<Table>,
    found: &[PredictiveAutoscaler],
    out: &mut dyn Write,
) -> Result<()> {
    let mut config = watcher::Config::default();
    config.label_selector.clone_from(&args.selector);
    if let Some(name) = &args.name {
        config.field_selector = Some(format!("metadata.name={name}"));
    }
    let mut told: std::collections::BTreeMap<String, String> =
        found.iter().map(|o| (key(o), state(o))).collect();
    let mut events = Box::pin(watcher::watcher(api(args, cluster, true), config));
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) => object,
            Ok(Event::Delete(object)) => {
                told.remove(&key(&object));
                eprintln!("note: {} is gone", key(&object));
                continue;
            }
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                if let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error {
                    let fault = Fault::from(kube::Error::Api(status));
                    return Err(coded("PredictiveAutoscalers", &fault));
                }
                eprintln!("note: the watch was interrupted: {error}; it goes on");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        let now_is = state(&object);
        if told.insert(key(&object), now_is.clone()) == Some(now_is) {
            continue;
        }
        match &table {
            Some(table) => table.row(&row(args, &object, now()), out)?,
            None => table = print(args, std::slice::from_ref(&object), out)?,
        }
        out.flush()?;
    }
    Ok(())
}

fn key(object: &PredictiveAutoscaler) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// What a row says, without the times that run on.
fn state(object: &PredictiveAutoscaler) -> String {
    let mut object = object.clone();
    object.metadata.creation_timestamp = None;
    let mut cells = cells(&object, Timestamp::from_nanos(0));
    cells.extend(wide(&object, Timestamp::from_nanos(0)));
    cells.join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_is_known_and_nothing_of_what_is_not() {
        let text = r#"{"apiVersion":"autoscaling.foresail.dev/v1alpha1","kind":"PredictiveAutoscaler",
            "metadata":{"name":"web","namespace":"shop","creationTimestamp":"2026-01-01T00:00:00Z"},
            "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":60,
              "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]},
            "status":{"targetRef":"Deployment/web","currentReplicas":12,"desiredReplicas":17,
              "lastDecision":{"chosenBy":"aapa"},
              "conditions":[{"type":"ForecastReady","status":"True","reason":"Calibrated","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;
        let object: PredictiveAutoscaler = serde_json::from_str(text).unwrap();
        let now: Timestamp = "2026-01-04T00:00:00Z".parse().unwrap();
        assert_eq!(
            cells(&object, now),
            [
                "web",
                "Deployment/web",
                "Shadow",
                "<none>",
                "12",
                "17",
                "<none>",
                "True",
                "aapa",
                "<none>",
                "3d",
            ]
        );
        assert_eq!(wide(&object, now)[..3], ["1", "60", "<none>"]);
        let later: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        assert_ne!(cells(&object, now), cells(&object, later));
        assert_eq!(state(&object), state(&object));
    }
}
