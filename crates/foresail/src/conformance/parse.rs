//! Vectors as JSON: what is read of them, and a warning for what is not.

use std::collections::{BTreeMap, BTreeSet};

use foresail_core::hpa::resolve::{Container, PodMetrics, PodSpec};
use foresail_core::hpa::{
    ControllerSettings, HpaSpec, Phase, Pod, PodSample, Ready, Record, ScaleEvent,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::parse_kubernetes_milli;
use serde_json::{Map, Value};

use super::form::{VECTOR, check};

/// What is wrong with a file of vectors.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Not JSON, or not of this form.
    #[error("{place}: {why}")]
    Form {
        /// Which vector and field.
        place: String,
        /// What is wrong.
        why: String,
    },
}

/// Reads one field, naming its place where it cannot be read.
pub(super) fn form(place: impl Into<String>, why: impl std::fmt::Display) -> Problem {
    Problem::Form {
        place: place.into(),
        why: why.to_string(),
    }
}

/// The time at which the first step of every vector runs.
pub(super) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// The state of the cluster at one step.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) pods: Vec<PodSpec>,
    pub(super) states: Vec<Pod>,
    pub(super) metrics: Metrics,
    pub(super) status_replicas: i32,
}

/// What the metrics APIs answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub(super) resource: Vec<PodMetrics>,
    pub(super) resource_fails: bool,
    pub(super) pods: BTreeMap<String, Vec<(String, PodSample)>>,
    pub(super) object: BTreeMap<String, i64>,
    pub(super) external: BTreeMap<String, Vec<i64>>,
}

/// One vector, ready to be run.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name.
    pub id: String,
    pub(super) spec: HpaSpec,
    pub(super) controller: ControllerSettings,
    pub(super) conditions: Vec<Value>,
    pub(super) replicas: i32,
    pub(super) selector: String,
    pub(super) other_selectors: Vec<String>,
    pub(super) get_fails: bool,
    pub(super) update_fails: bool,
    pub(super) recommendations: Vec<Record>,
    pub(super) ups: Vec<ScaleEvent>,
    pub(super) downs: Vec<ScaleEvent>,
    /// One entry per step: seconds since the step before, and the raw values that replace.
    pub(super) steps: Vec<(Span, Map<String, Value>)>,
    /// One entry per step, where the file tells what Kubernetes did.
    pub expected: Option<Vec<Value>>,
    /// `true` where Kubernetes' own answer is an overflow.
    pub upstream_defect: bool,
}

/// Reads a whole file; returns the vectors and a warning for every key that is not read.
///
/// # Errors
/// [`Problem`] where the text is no JSON or a field has another form; it names vector and field.
pub fn parse(text: &str) -> Result<(Vec<Vector>, Vec<String>), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Value =
        serde_json::from_str(text).map_err(|e| form(format!("line {}", e.line()), e))?;
    let list = file
        .get("vectors")
        .or(Some(&file))
        .and_then(Value::as_array);
    let list =
        list.ok_or_else(|| form("top", "expected {\"vectors\": […]} or a list of vectors"))?;
    let mut warnings: Vec<_> = unread_beside(&file).collect();
    let mut vectors = Vec::new();
    for (i, value) in list.iter().enumerate() {
        let place = value["id"]
            .as_str()
            .map_or_else(|| format!("vectors[{i}]"), str::to_owned);
        vectors.push(vector(&place, value, &mut warnings)?);
    }
    Ok((vectors, warnings))
}

/// Warnings for what stands beside the vectors.
fn unread_beside(file: &Value) -> impl Iterator<Item = String> {
    let keys = file.as_object().into_iter().flat_map(Map::keys);
    keys.filter(|key| !["meta", "vectors"].contains(&key.as_str()))
        .map(|key| format!("top: key `{key}` is not read"))
}

fn vector(place: &str, value: &Value, warnings: &mut Vec<String>) -> Result<Vector, Problem> {
    if !value.is_object() {
        return Err(form(place, "expected an object"));
    }
    let (mut value, mut unread) = (value.clone(), BTreeSet::new());
    check(place, &mut value, &VECTOR, &mut unread)?;
    warnings.extend(unread);
    let (value, hpa, scale) = (&value, &value["hpa"], &value["scale"]);
    let spec: HpaSpec = serde_json::from_value(hpa["spec"].clone())
        .map_err(|e| form(format!("{place}: hpa.spec"), e))?;
    let mut steps = vec![(Span::ZERO, first_step(value))];
    for (i, step) in list(value, "then").iter().enumerate() {
        let at = format!("{place}: then[{i}].advanceSeconds");
        let advance = span(&at, &step["advanceSeconds"])?.unwrap_or(Span::ZERO);
        if advance.is_negative() {
            return Err(form(at, "must be 0 or more"));
        }
        steps.push((advance, step.as_object().cloned().unwrap_or_default()));
    }
    let others = list(value, "otherHpaSelectors").iter();
    Ok(Vector {
        id: place.to_owned(),
        spec,
        controller: controller(place, value, warnings)?,
        conditions: list(hpa, "conditions").to_vec(),
        replicas: int(&scale["replicas"]),
        selector: scale["selector"].as_str().unwrap_or_default().to_owned(),
        other_selectors: others
            .filter_map(|s| s.as_str().map(str::to_owned))
            .collect(),
        get_fails: flag(&value["scaleGetFails"]),
        update_fails: flag(&value["scaleUpdateFails"]),
        recommendations: records(place, &value["history"])?,
        ups: events(place, &value["history"], "scaleUpEvents")?,
        downs: events(place, &value["history"], "scaleDownEvents")?,
        steps,
        expected: value["expected"].as_array().cloned(),
        upstream_defect: flag(&value["upstreamDefect"]),
    })
}

/// The first step's values in the form of the later ones.
fn first_step(value: &Value) -> Map<String, Value> {
    let mut step = Map::new();
    step.insert("pods".to_owned(), value["pods"].clone());
    step.insert("metrics".to_owned(), value["metrics"].clone());
    step.insert(
        "statusReplicas".to_owned(),
        value["scale"]["statusReplicas"].clone(),
    );
    step
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

/// `true` for anything but false and the empty text: a message says that something failed.
fn is_told(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// A number whose form was checked.
fn int(value: &Value) -> i32 {
    let whole = value.as_i64().and_then(|n| i32::try_from(n).ok());
    whole.unwrap_or_default()
}

/// A span in seconds; `None` where there is none.
fn span(place: &str, value: &Value) -> Result<Option<Span>, Problem> {
    let Some(seconds) = value.as_f64() else {
        return Ok(None);
    };
    let span = Span::from_seconds_f64(seconds);
    span.map(Some)
        .ok_or_else(|| form(place, format!("{value}: more seconds than can be counted")))
}

fn controller(
    place: &str,
    value: &Value,
    warnings: &mut Vec<String>,
) -> Result<ControllerSettings, Problem> {
    let mut settings = ControllerSettings::default();
    let given = &value["controller"];
    settings.tolerance = given["tolerance"].as_f64().unwrap_or(settings.tolerance);
    let spans = [
        (
            "downscaleStabilizationSeconds",
            &mut settings.downscale_stabilization,
        ),
        (
            "cpuInitializationPeriodSeconds",
            &mut settings.cpu_initialization_period,
        ),
        (
            "initialReadinessDelaySeconds",
            &mut settings.initial_readiness_delay,
        ),
    ];
    for (name, setting) in spans {
        let given = span(&format!("{place}: controller.{name}"), &given[name])?;
        *setting = given.unwrap_or(*setting);
    }
    if let Some(gates) = value.get("gates").filter(|v| !v.is_null()) {
        let gates = serde_json::from_value(gates.clone())
            .map_err(|e| form(format!("{place}: gates"), e))?;
        for name in settings.gates.set(&gates) {
            warnings.push(format!("{place}: gate `{name}` is not read"));
        }
    }
    Ok(settings)
}

fn ago(place: &str, value: &Value, now: Timestamp) -> Result<Timestamp, Problem> {
    let age = span(place, value)?;
    age.map(|age| now - age)
        .ok_or_else(|| form(place, format!("{value}: expected a number of seconds")))
}

fn records(place: &str, history: &Value) -> Result<Vec<Record>, Problem> {
    let read = |r: &Value| {
        let at = ago(
            &format!("{place}: history.recommendations"),
            &r["ago"],
            START,
        )?;
        let replicas = int(&r["replicas"]);
        Ok(Record { at, replicas })
    };
    list(history, "recommendations").iter().map(read).collect()
}

fn events(place: &str, history: &Value, key: &str) -> Result<Vec<ScaleEvent>, Problem> {
    let read = |e: &Value| {
        let at = ago(&format!("{place}: history.{key}"), &e["ago"], START)?;
        Ok(ScaleEvent {
            at,
            change: int(&e["change"]),
            outdated: flag(&e["outdated"]),
        })
    };
    list(history, key).iter().map(read).collect()
}

impl World {
    /// Replaces what a step gives; the rest stays.
    pub(super) fn advance(
        &mut self,
        place: &str,
        step: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Some(pods) = step.get("pods").and_then(Value::as_array) {
            self.pods = pods
                .iter()
                .map(|p| pod_spec(place, p))
                .collect::<Result<_, _>>()?;
            self.states = pods
                .iter()
                .map(|p| pod_state(place, p, now))
                .collect::<Result<_, _>>()?;
        }
        if let Some(metrics) = step.get("metrics").filter(|m| m.is_object()) {
            self.metrics = read_metrics(place, metrics, now)?;
        }
        if let Some(replicas) = step.get("statusReplicas").filter(|r| !r.is_null()) {
            self.status_replicas = int(replicas);
        }
        Ok(())
    }
}

fn quantities(place: &str, value: &Value) -> Result<BTreeMap<String, i64>, Problem> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(name, amount)| Ok((name.clone(), milli(place, amount)?)))
        .collect()
}

fn milli(place: &str, value: &Value) -> Result<i64, Problem> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    parse_kubernetes_milli(&text).map_err(|e| form(place, e))
}

fn containers(place: &str, value: &Value) -> Result<Vec<Container>, Problem> {
    let read = |c: &Value| {
        Ok(Container {
            name: c["name"].as_str().unwrap_or_default().to_owned(),
            requests: quantities(place, &c["requests"])?,
            restarts_always: flag(&c["restartAlways"]),
        })
    };
    value.as_array().into_iter().flatten().map(read).collect()
}

fn pod_spec(place: &str, pod: &Value) -> Result<PodSpec, Problem> {
    let name = pod["name"].as_str().unwrap_or_default().to_owned();
    let place = format!("{place}: pod {name}");
    Ok(PodSpec {
        containers: containers(&place, &pod["containers"])?,
        init_containers: containers(&place, &pod["initContainers"])?,
        pod_requests: match &pod["podRequests"] {
            Value::Null => None,
            given => Some(quantities(&place, given)?),
        },
        name,
    })
}

fn pod_state(place: &str, pod: &Value, now: Timestamp) -> Result<Pod, Problem> {
    let place = format!("{place}: pod {}", pod["name"]);
    let phase = match pod["phase"].as_str() {
        None | Some("Running") => Phase::Running,
        Some("Pending") => Phase::Pending,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some("Unknown" | "") => Phase::Unknown,
        Some(other) => {
            return Err(form(
                place,
                format!("phase `{other}` is not one of Kubernetes'"),
            ));
        }
    };
    let ready = match pod["ready"].as_str() {
        None | Some("absent") => Ready::Absent,
        Some("True") => Ready::True,
        Some("False") => Ready::False,
        Some(_) => Ready::Unknown,
    };
    let time = |key: &str| match &pod[key] {
        Value::Null => Ok(None),
        value => ago(&format!("{place}: {key}"), value, now).map(Some),
    };
    Ok(Pod {
        phase,
        deleting: flag(&pod["deleting"]),
        started_at: time("startedAgo")?,
        ready,
        ready_changed_at: time("readyChangedAgo")?.unwrap_or(Timestamp::EPOCH),
        count: 1,
    })
}

/// Window of a metric of pods that names none. Source: custom metrics client.
const PODS_WINDOW: Span = Span::from_seconds(60);

fn read_metrics(place: &str, metrics: &Value, now: Timestamp) -> Result<Metrics, Problem> {
    let place = format!("{place}: metrics");
    let mut read = Metrics {
        resource_fails: is_told(&metrics["resourceError"]),
        ..Metrics::default()
    };
    for one in list(metrics, "resource") {
        let window = span(&place, &one["window"])?.unwrap_or(PODS_WINDOW);
        let mut containers = BTreeMap::new();
        for (name, usage) in one["containers"].as_object().into_iter().flatten() {
            containers.insert(name.clone(), quantities(&place, usage)?);
        }
        let pod = one["pod"].as_str().unwrap_or_default().to_owned();
        let at = ago(&place, &one["ago"], now)?;
        read.resource.push(PodMetrics {
            pod,
            at,
            window,
            containers,
        });
    }
    for (name, samples) in metrics["pods"].as_object().into_iter().flatten() {
        let one = |s: &Value| {
            let window = span(&place, &s["window"])?.unwrap_or(PODS_WINDOW);
            let sample = PodSample {
                value: milli(&place, &s["value"])?,
                at: ago(&place, &s["ago"], now)?,
                window,
            };
            Ok((s["pod"].as_str().unwrap_or_default().to_owned(), sample))
        };
        let samples = samples
            .as_array()
            .into_iter()
            .flatten()
            .map(one)
            .collect::<Result<_, Problem>>()?;
        read.pods.insert(name.clone(), samples);
    }
    read.object = quantities(&place, &metrics["object"])?;
    for (name, series) in metrics["external"].as_object().into_iter().flatten() {
        let values = series
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| milli(&place, v));
        read.external
            .insert(name.clone(), values.collect::<Result<_, _>>()?);
    }
    Ok(read)
}
