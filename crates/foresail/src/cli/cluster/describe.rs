//! `foresail describe`: everything that is known of one object, each trouble with its mend.

use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};
use foresail_adapters::kubernetes::crd::status::{
    BothSides, ContainerStatus, DecisionStatus, ForecastStatus, MetricStatus, RequestAmounts,
};
use foresail_adapters::kubernetes::crd::{PredictiveAutoscaler, PredictiveAutoscalerStatus};
use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::kubernetes::pods::time;
use foresail_core::explain::Explanation;
use foresail_core::quantity::time::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::get::target;
use super::table::{Table, age};
use super::{Cluster, ClusterArgs, printable};
use crate::cli::explain::waterfall;
use crate::compare::prometheus::now;
use crate::controller::conditions::{self, is_well};
use crate::exit::Code;
use crate::vertical::subject::RESOURCES;

/// How one object is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StoryOutput {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// For programs.
    Json,
    /// For programs, easier to read.
    Yaml,
}

/// Show everything that is known of one object
#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// The object
    name: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t)]
    output: StoryOutput,
}

/// Past decisions that are shown.
const DECISIONS_SHOWN: usize = 10;

/// Events that are shown.
const EVENTS_SHOWN: usize = 10;

/// Runs the command.
///
/// # Errors
/// Where the cluster does not answer, or has no such object.
pub fn run(args: &DescribeArgs, out: &mut dyn Write) -> Result<Code> {
    show(args, &args.cluster.connect()?, out)
}

/// The command on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn show(args: &DescribeArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let (object, events) = cluster.wait(async {
        let object = cluster.object(&args.name).await?;
        let events = events(cluster, &object).await;
        Ok((object, events))
    })?;
    if args.output == StoryOutput::Table {
        describe(&object, &events, now(), out)?;
        return Ok(Code::Done);
    }
    let value = as_json(&object, &events)?;
    match args.output {
        StoryOutput::Yaml => write!(out, "{}", serde_saphyr::to_string(&value)?)?,
        _ => writeln!(out, "{value}")?,
    }
    Ok(Code::Done)
}

/// Events about an object, the newest last; none where they may not be read.
async fn events(cluster: &Cluster, object: &PredictiveAutoscaler) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(cluster.read(), &cluster.namespace);
    let of = format!(
        "regarding.name={},regarding.kind=PredictiveAutoscaler",
        object.name_any()
    );
    let parameters = ListParams::default().fields(&of);
    let mut events = match call(api.list(&parameters)).await {
        Ok(list) => list.items,
        Err(fault) => {
            eprintln!("note: events are not shown: {fault}");
            Vec::new()
        }
    };
    events.sort_by_key(last_seen);
    events
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let at = event.series.as_ref().map(|s| &s.last_observed_time);
    let at = at.or(event.event_time.as_ref());
    let nanos = at?.0.as_nanosecond();
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// A condition with what it means and what mends it.
fn told(condition: &Condition) -> Value {
    let known = conditions::find(&condition.type_, &condition.reason);
    json!({
        "type": condition.type_,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time,
        "meaning": known.map(|k| k.meaning),
        "mend": known.map(|k| k.mend).filter(|m| !m.is_empty()),
    })
}

fn as_json(object: &PredictiveAutoscaler, events: &[Event]) -> Result<Value> {
    let status = object.status.clone().unwrap_or_default();
    let conditions: Vec<_> = status.conditions.iter().map(told).collect();
    let event = |e: &Event| {
        json!({"at": last_seen(e), "type": e.type_, "reason": e.reason, "note": e.note,
            "count": e.series.as_ref().map_or(1, |s| s.count)})
    };
    let events: Vec<_> = events.iter().map(event).collect();
    Ok(json!({"v": 1, "object": printable(object)?, "conditions": conditions, "events": events}))
}

fn line(out: &mut dyn Write, name: &str, value: impl std::fmt::Display) -> Result<()> {
    writeln!(out, "{:<16} {value}", format!("{name}:"))?;
    Ok(())
}

fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |v| v.to_string())
}

/// Tells one object in sections.
///
/// # Errors
/// Where nothing can be printed.
pub(crate) fn describe(
    object: &PredictiveAutoscaler,
    events: &[Event],
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<()> {
    let status = object.status.clone().unwrap_or_default();
    head(object, &status, now, out)?;
    replicas(object, &status, now, out)?;
    metrics(&status.metrics, now, out)?;
    if let Some(forecast) = &status.forecast {
        forecast_told(forecast, now, out)?;
    }
    learnt(&status, out)?;
    requests(object, &status, now, out)?;
    shadow(&status, out)?;
    story(&status, out)?;
    decisions(&status.decisions, now, out)?;
    conditions_told(&status.conditions, now, out)?;
    events_told(events, now, out)
}

fn head(
    object: &PredictiveAutoscaler,
    status: &PredictiveAutoscalerStatus,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<()> {
    line(out, "Name", object.name_any())?;
    line(out, "Namespace", object.namespace().unwrap_or_default())?;
    let labels: Vec<_> = object
        .labels()
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    if !labels.is_empty() {
        line(out, "Labels", labels.join(", "))?;
    }
    line(out, "Target", target(object))?;
    line(out, "Mode", format!("{:?}", object.spec.mode))?;
    line(out, "Phase", known(status.phase.map(|p| format!("{p:?}"))))?;
    if let Some(actuation) = &object.spec.actuation {
        let of = actuation.hpa_name.as_ref();
        let of = of.map_or_else(String::new, |name| format!(" of {name}"));
        line(out, "Actuation", format!("{:?}{of}", actuation.kind))?;
    }
    if let Some(made) = &object.metadata.creation_timestamp {
        line(out, "Age", age(now - time(made)))?;
    }
    let seen = status.observed_generation;
    if seen.is_none() {
        line(
            out,
            "Note",
            "no controller has looked at this object yet; is one running?",
        )?;
    } else if seen != object.metadata.generation {
        line(
            out,
            "Note",
            "the controller has not yet seen the newest spec",
        )?;
    }
    Ok(())
}

fn replicas(
    object: &PredictiveAutoscaler,
    status: &PredictiveAutoscalerStatus,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<()> {
    writeln!(out, "\nReplicas:")?;
    let (min, max) = (object.spec.min_replicas, object.spec.max_replicas);
    let rows = [
        ("asked for", known(status.current_replicas)),
        ("ready", known(status.ready_replicas)),
        ("decided", known(status.desired_replicas)),
        ("reactive", known(status.reactive_replicas)),
        ("forecast", known(status.predicted_replicas)),
        ("bounds", format!("{min} to {max}")),
    ];
    for (name, value) in rows {
        writeln!(out, "  {name:<14} {value}")?;
    }
    if let Some(other) = &status.incumbent {
        let kind = other.kind.clone().unwrap_or_default();
        let name = other.name.clone().unwrap_or_default();
        let asks = known(other.desired_replicas);
        writeln!(out, "  {:<14} {asks} by {kind}/{name}", "incumbent")?;
    }
    let suspend = &object.spec.suspend;
    if let Some(at) = suspend.hold_at {
        writeln!(out, "  {:<14} held at {at}", "suspended")?;
    } else if suspend.scale_up || suspend.scale_down {
        let ways = match (suspend.scale_up, suspend.scale_down) {
            (true, true) => "both ways",
            (true, false) => "the way up",
            _ => "the way down",
        };
        writeln!(out, "  {:<14} {ways}", "suspended")?;
    }
    if let Some(at) = status.last_scale_time {
        writeln!(out, "  {:<14} {} ago", "last changed", age(now - at))?;
    }
    Ok(())
}

fn metrics(metrics: &[MetricStatus], now: Timestamp, out: &mut dyn Write) -> Result<()> {
    if metrics.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nMetrics:")?;
    let row = |m: &MetricStatus| {
        vec![
            format!("  {}", m.name),
            known(m.current.clone()),
            known(m.target.clone()),
            known(m.proposed_replicas),
            known(m.sample_time.map(|at| age(now - at))),
            match (m.stale, &m.why) {
                (_, Some(why)) => why.clone(),
                (Some(true), None) => "stale".to_owned(),
                _ => String::new(),
            },
        ]
    };
    let rows: Vec<_> = metrics.iter().map(row).collect();
    let head = ["  NAME", "CURRENT", "TARGET", "REPLICAS", "AGE", "TROUBLE"];
    Table::print(&head, &rows, out)?;
    Ok(())
}

fn forecast_told(f: &ForecastStatus, now: Timestamp, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "\nForecast:")?;
    let coverage = match (f.coverage_percent, f.target_coverage_percent) {
        (Some(is), Some(should)) => format!("{is} % of what came was inside, {should} % promised"),
        (Some(is), None) => format!("{is} % of what came was inside"),
        _ => "not known yet".to_owned(),
    };
    let rows = [
        ("model", known(f.model.clone())),
        (
            "made",
            known(f.made_at.map(|at| format!("{} ago", age(now - at)))),
        ),
        (
            "fitted",
            known(f.trained_at.map(|at| format!("{} ago", age(now - at)))),
        ),
        (
            "looks ahead",
            known(f.lead_time_seconds.map(|s| format!("{s} s"))),
        ),
        ("coverage", coverage),
    ];
    for (name, value) in rows {
        writeln!(out, "  {name:<14} {value}")?;
    }
    if let Some(why) = &f.why {
        writeln!(out, "  {:<14} {why}", "not trusted")?;
    }
    for p in &f.points {
        let ahead = format!("in {} s", p.offset_seconds);
        writeln!(out, "  {ahead:<14} {} ({} to {})", p.p50, p.p10, p.p90)?;
    }
    Ok(())
}

fn learnt(status: &PredictiveAutoscalerStatus, out: &mut dyn Write) -> Result<()> {
    let rows = [
        ("archetype", status.archetype.clone()),
        (
            "capacity",
            status.capacity.clone().map(|c| format!("{c} per replica")),
        ),
        ("start-up", status.startup_seconds.map(|s| format!("{s} s"))),
    ];
    if rows.iter().all(|(_, value)| value.is_none()) {
        return Ok(());
    }
    writeln!(out, "\nLearnt:")?;
    for (name, value) in rows {
        if let Some(value) = value {
            writeln!(out, "  {name:<14} {value}")?;
        }
    }
    Ok(())
}

fn requests(
    object: &PredictiveAutoscaler,
    status: &PredictiveAutoscalerStatus,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<()> {
    let Some(told) = &status.vertical else {
        return Ok(());
    };
    let mode = object.spec.vertical.mode;
    let history = known(told.history_seconds.map(|s| format!("{s} s")));
    let made = known(told.at.map(|at| format!("{} ago", age(now - at))));
    writeln!(
        out,
        "\nRequests ({mode:?}; advised {made}, samples span {history}):"
    )?;
    let row = |c: &ContainerStatus, name: &str| {
        let of = |amounts: &RequestAmounts| match name {
            "cpu" => amounts.cpu.clone(),
            _ => amounts.memory.clone(),
        };
        let target = of(&c.target)?;
        Some(vec![
            format!("  {}", c.name),
            name.to_owned(),
            target,
            known(of(&c.lower_bound)),
            known(of(&c.upper_bound)),
            known(of(&c.uncapped_target)),
            c.resize.map_or_else(String::new, |r| format!("{r:?}")),
        ])
    };
    let both = |c: &ContainerStatus| RESOURCES.map(|name| row(c, name));
    let rows: Vec<_> = told.containers.iter().flat_map(both).flatten().collect();
    let head = [
        "  CONTAINER",
        "RESOURCE",
        "TARGET",
        "LOWER",
        "UPPER",
        "UNCAPPED",
        "RESIZE",
    ];
    Table::print(&head, &rows, out)?;
    Ok(())
}

fn shadow(status: &PredictiveAutoscalerStatus, out: &mut dyn Write) -> Result<()> {
    let Some(score) = &status.shadow else {
        return Ok(());
    };
    writeln!(out, "\nAgainst the incumbent:")?;
    let side = |both: &Option<BothSides>| {
        let both = both.clone().unwrap_or_default();
        (known(both.incumbent), known(both.foresail))
    };
    let rows = [
        ("replica-hours", side(&score.replica_hours)),
        ("minutes short", side(&score.minutes_short)),
        ("changes", side(&score.changes)),
    ];
    let row = |(name, (theirs, ours)): &(&str, (String, String))| {
        vec![format!("  {name}"), theirs.clone(), ours.clone()]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    Table::print(&["  ", "INCUMBENT", "FORESAIL"], &rows, out)?;
    let since = known(score.since);
    let intervals = known(score.intervals);
    let why = score
        .why
        .clone()
        .map_or_else(String::new, |w| format!(": {w}"));
    let verdict = known(score.verdict.clone());
    writeln!(
        out,
        "  {verdict}{why} ({intervals} decisions since {since})"
    )?;
    Ok(())
}

/// The last decision, where the status holds one that can be read.
///
/// # Errors
/// Where it is of a newer form than this binary knows.
pub(crate) fn last_decision(status: &PredictiveAutoscalerStatus) -> Result<Option<Explanation>> {
    let Some(value) = &status.last_decision else {
        return Ok(None);
    };
    match serde_json::from_value(value.clone()) {
        Ok(told) => Ok(Some(told)),
        Err(error) => anyhow::bail!(
            "status.lastDecision cannot be read ({error}); the controller is of another version than this binary: use one of the same"
        ),
    }
}

fn story(status: &PredictiveAutoscalerStatus, out: &mut dyn Write) -> Result<()> {
    match last_decision(status) {
        Ok(None) => Ok(()),
        Ok(Some(told)) => {
            writeln!(out, "\nLast decision ({}):", told.id)?;
            let mut text = Vec::new();
            waterfall(&told, &[], &mut text)?;
            for line in String::from_utf8_lossy(&text).lines() {
                writeln!(out, "  {line}")?;
            }
            Ok(())
        }
        Err(error) => {
            writeln!(out, "\nLast decision: {error}")?;
            Ok(())
        }
    }
}

fn decisions(all: &[DecisionStatus], now: Timestamp, out: &mut dyn Write) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nDecisions:")?;
    let row = |d: &DecisionStatus| {
        vec![
            format!("  {}", known(d.at.map(|at| age(now - at)))),
            format!("{} → {}", known(d.current), known(d.decided)),
            d.binding.clone().unwrap_or_default(),
            d.outcome.clone().unwrap_or_default(),
            d.id.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().rev().take(DECISIONS_SHOWN).map(row).collect();
    Table::print(
        &["  AGE", "REPLICAS", "BOUND BY", "OUTCOME", "ID"],
        &rows,
        out,
    )?;
    Ok(())
}

fn conditions_told(all: &[Condition], now: Timestamp, out: &mut dyn Write) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nConditions:")?;
    let row = |c: &Condition| {
        vec![
            format!("  {}", c.type_),
            c.status.clone(),
            c.reason.clone(),
            age(now - time(&c.last_transition_time)),
            c.message.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    Table::print(
        &["  TYPE", "STATUS", "REASON", "AGE", "MESSAGE"],
        &rows,
        out,
    )?;
    let worries = all.iter().filter(|c| !is_well(&c.type_, &c.status));
    let mends: Vec<String> = worries
        .filter_map(|c| {
            let found = conditions::find(&c.type_, &c.reason)?;
            (!found.mend.is_empty()).then(|| format!("  {} {}: {}", c.type_, c.reason, found.mend))
        })
        .collect();
    if !mends.is_empty() {
        writeln!(out, "\nTo do:\n{}", mends.join("\n"))?;
    }
    Ok(())
}

fn events_told(events: &[Event], now: Timestamp, out: &mut dyn Write) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nEvents:")?;
    let row = |e: &Event| {
        let count = e.series.as_ref().map_or(1, |s| s.count);
        vec![
            format!("  {}", known(last_seen(e).map(|at| age(now - at)))),
            e.type_.clone().unwrap_or_default(),
            e.reason.clone().unwrap_or_default(),
            count.to_string(),
            e.note.clone().unwrap_or_default(),
        ]
    };
    let newest = &events[events.len().saturating_sub(EVENTS_SHOWN)..];
    let rows: Vec<_> = newest.iter().map(row).collect();
    Table::print(&["  AGE", "TYPE", "REASON", "COUNT", "NOTE"], &rows, out)?;
    Ok(())
}
