//! From the object that a user wrote to the spec that the engine takes.

#[cfg(test)]
mod tests;

use foresail_core::hpa::{
    Amount, Behavior, ControllerSettings, HpaSpec, MetricIdentifier, MetricSpec, MetricTarget,
    NamedMetric, ObjectReference, ScalingRules, SelectPolicy,
};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Replicas, Unit, parse_kubernetes_milli};
use foresail_core::spec::{
    BudgetSpec, CombineRule, CombineSpec, Floor, GuardSpec, Mode, ProposerSpec, Spec, SpecProblem,
    TargetSpec, ValidSpec,
};
use kube::ResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::crd::check;
use super::crd::metric::{Metric, Role};
use super::crd::spec::{
    self as written, FloorRule, PredictiveAutoscaler, PredictiveAutoscalerSpec,
};

/// Proposers with the knobs `forecaster` (of all forecasters) and `historySeconds`.
pub const WITH_FORECASTER: [&str; 6] = [
    "aapa",
    "buffered",
    "confidence-aware",
    "policy-aware",
    "predictive",
    "simple-ceiling",
];

/// The engine's spec of an object.
///
/// The object is checked whole: one that was stored before a rule came is refused like a new one.
///
/// # Errors
/// Every problem found, each with its path in the object and the mend.
pub fn engine_spec(object: &PredictiveAutoscaler) -> Result<Spec, Vec<SpecProblem>> {
    let mut problems = check::problems(object);
    if object
        .namespace()
        .is_none_or(|namespace| namespace.is_empty())
    {
        let message = "missing: the object lives in a namespace";
        problems.push(SpecProblem::new("metadata.namespace", message));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let spec = converted(object).map_err(|problem| vec![problem])?;
    match ValidSpec::new(spec) {
        Ok(valid) => Ok(valid.written().clone()),
        Err(found) => Err(found.into_iter().map(|p| placed(p, &object.spec)).collect()),
    }
}

fn converted(object: &PredictiveAutoscaler) -> Result<Spec, SpecProblem> {
    let spec = &object.spec;
    let seconds = |count: i32| Span::from_seconds(i64::from(count));
    let startup = Some(spec.forecast.startup_seconds).filter(|s| *s > 0);
    let target = TargetSpec {
        id: target_id(object),
        hpa: reactive_hpa(spec)?,
        capacity: capacity(spec)?,
        startup: startup.map(seconds),
        ..TargetSpec::default()
    };
    Ok(Spec {
        targets: vec![target],
        mode: match spec.mode {
            written::Mode::Off => Mode::Off,
            written::Mode::Shadow => Mode::Shadow,
            written::Mode::Advise => Mode::Advise,
            written::Mode::Auto => Mode::Auto,
        },
        interval: seconds(spec.sync_period_seconds),
        proposers: proposers(spec),
        combine: combine(spec),
        guards: guards(&spec.guardrails),
        controller: ControllerSettings::default(),
    })
}

/// The target's name: `namespace/kind/name`.
#[must_use]
pub fn target_id(object: &PredictiveAutoscaler) -> TargetId {
    let namespace = object.namespace().unwrap_or_default();
    let target = &object.spec.scale_target_ref;
    TargetId::new(&format!("{namespace}/{}/{}", target.kind, target.name))
}

/// Places in `spec.metrics` of those that make the reactive floor, in the order of the readings that
/// the engine takes.
#[must_use]
pub fn reactive_metrics(spec: &PredictiveAutoscalerSpec) -> Vec<usize> {
    let metrics = spec.metrics.iter().enumerate();
    let reactive = metrics.filter(|(_, m)| m.role != Role::Forecast);
    reactive.map(|(i, _)| i).collect()
}

/// Place in `spec.metrics` of the one whose series is the demand that is forecast.
#[must_use]
pub fn demand_metric(spec: &PredictiveAutoscalerSpec) -> Option<usize> {
    spec.metrics.iter().position(|m| m.role != Role::React)
}

/// The name by which the engine's spec would know the metric whose series is the demand; `None`
/// where no metric has that role. A metric of role Forecast is in no reactive floor, and so in no HPA.
#[must_use]
pub fn demand_name(spec: &PredictiveAutoscalerSpec) -> Option<String> {
    let place = demand_metric(spec)?;
    let external = spec.metrics.get(place)?.external.as_ref();
    match external {
        Some(external) => Some(external.metric.name.clone()),
        None => metric_names(spec).into_iter().nth(place),
    }
}

/// The name of each metric in status and explanations; no two are equal.
#[must_use]
pub fn metric_names(spec: &PredictiveAutoscalerSpec) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for metric in &spec.metrics {
        let called = metric.called();
        let taken = |name: &String| {
            let mut given = spec.metrics.iter().filter_map(|m| m.name.as_ref());
            names.contains(name) || (metric.name.is_none() && given.any(|g| g == name))
        };
        let numbered = (2..).map(|n| format!("{called}-{n}"));
        let mut candidates = std::iter::once(called.clone()).chain(numbered);
        names.push(candidates.find(|name| !taken(name)).unwrap_or_default());
    }
    names
}

/// The HPA that the reactive floor computes, with what is suspended taken in.
fn reactive_hpa(spec: &PredictiveAutoscalerSpec) -> Result<HpaSpec, SpecProblem> {
    let names = metric_names(spec);
    let metric = |i: usize| {
        let metric = spec.metrics.get(i).zip(names.get(i));
        metric.map(|(metric, name)| core_metric(metric, name, i))
    };
    let metrics = reactive_metrics(spec).into_iter().filter_map(metric);
    let behavior = spec.behavior.as_ref();
    let behavior = behavior.map(|b| same(b, "spec.behavior")).transpose()?;
    let (min, max) = match spec.suspend.hold_at {
        Some(held) => (held, held),
        None => (spec.min_replicas, spec.max_replicas),
    };
    let target = &spec.scale_target_ref;
    Ok(HpaSpec {
        scale_target_ref: Some(ObjectReference {
            api_version: target.api_version.clone(),
            kind: target.kind.clone(),
            name: target.name.clone(),
        }),
        min_replicas: Some(min),
        max_replicas: max,
        metrics: metrics.collect::<Result<_, _>>()?,
        behavior: suspended(behavior, &spec.suspend),
    })
}

/// One metric in the engine's words: those of autoscaling/v2 as they are, a query as one of the
/// outside.
fn core_metric(metric: &Metric, name: &str, place: usize) -> Result<MetricSpec, SpecProblem> {
    let path = format!("spec.metrics[{place}]");
    let Some(prometheus) = &metric.prometheus else {
        let mut fields = as_value(metric, &path)?;
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("name");
            fields.remove("role");
        }
        return from_value(fields, &path);
    };
    let target: MetricTarget = same(&prometheus.target, &path)?;
    let external = NamedMetric {
        metric: MetricIdentifier {
            name: name.to_owned(),
            selector: None,
        },
        described_object: None,
        target,
    };
    Ok(MetricSpec {
        kind: "External".to_owned(),
        external: Some(external),
        ..MetricSpec::default()
    })
}

/// The behavior with the suspended directions off; a direction that nobody suspended keeps its rules.
fn suspended(behavior: Option<Behavior>, suspend: &written::Suspend) -> Option<Behavior> {
    if !suspend.scale_up && !suspend.scale_down {
        return behavior;
    }
    let off = |rules: Option<ScalingRules>| {
        Some(ScalingRules {
            select_policy: Some(SelectPolicy::Disabled),
            ..rules.unwrap_or_default()
        })
    };
    let mut behavior = behavior.unwrap_or_default();
    if suspend.scale_up {
        behavior.scale_up = off(behavior.scale_up);
    }
    if suspend.scale_down {
        behavior.scale_down = off(behavior.scale_down);
    }
    Some(behavior)
}

/// Demand that one replica serves: what the user says, else the set point per pod of the metric that
/// is forecast; `None` where neither is given.
fn capacity(spec: &PredictiveAutoscalerSpec) -> Result<Option<Quantity>, SpecProblem> {
    let of_metric = || {
        let metric = spec.metrics.get(demand_metric(spec)?)?;
        metric.target()?.average_value.as_ref()
    };
    let Some(amount) = spec.forecast.capacity.as_ref().or_else(of_metric) else {
        return Ok(None);
    };
    let milli = milli(amount, "spec.forecast.capacity")?;
    Ok(Some(Quantity::from_milli(milli, Unit::PerSecond)))
}

fn milli(amount: &Amount, path: &str) -> Result<i64, SpecProblem> {
    let read = parse_kubernetes_milli(&amount.text());
    read.map_err(|error| SpecProblem::new(path, error.to_string()))
}

fn proposers(spec: &PredictiveAutoscalerSpec) -> Vec<ProposerSpec> {
    let default = || {
        let name = match demand_metric(spec) {
            Some(_) => "predictive",
            None => "hpa",
        };
        vec![written::ProposerRef::named(name)]
    };
    let given = spec.proposers.clone().unwrap_or_else(default);
    given.iter().map(|p| proposer(p, &spec.forecast)).collect()
}

fn proposer(given: &written::ProposerRef, forecast: &written::ForecastSpec) -> ProposerSpec {
    let knobs = given.knobs.iter();
    let mut knobs: std::collections::BTreeMap<_, _> =
        knobs.map(|(k, v)| (k.clone(), knob(v))).collect();
    let default = written::ForecastSpec::default();
    if WITH_FORECASTER.contains(&given.name.as_str()) {
        // A knob of the proposer's own is nearer to it.
        if forecast.forecaster != default.forecaster {
            let name = json!(forecast.forecaster);
            knobs.entry("forecaster".to_owned()).or_insert(name);
        }
        if forecast.history_seconds != default.history_seconds {
            let seconds = json!(forecast.history_seconds);
            knobs.entry("historySeconds".to_owned()).or_insert(seconds);
        }
    }
    ProposerSpec {
        knobs,
        ..ProposerSpec::named(&given.name)
    }
}

/// A knob's value: a number, true or false, a list or a map where it reads as JSON, else a word.
fn knob(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn combine(spec: &PredictiveAutoscalerSpec) -> CombineSpec {
    let share = u8::try_from(spec.guardrails.floor_min_share_percent).unwrap_or(100);
    CombineSpec {
        rule: match spec.combine.rule {
            written::CombineRule::Largest => CombineRule::Largest,
            written::CombineRule::First => CombineRule::First,
            written::CombineRule::Median => CombineRule::Median,
        },
        floor: match spec.guardrails.floor {
            FloorRule::Strict => Floor::Strict,
            FloorRule::Relaxed => Floor::Relaxed {
                min_share_percent: share,
            },
        },
        ..CombineSpec::default()
    }
}

fn guards(given: &written::Guardrails) -> GuardSpec {
    let seconds = |count: i32| Span::from_seconds(i64::from(count));
    let replicas = |count: i32| Replicas::saturating(i64::from(count));
    let budget = &given.budget;
    GuardSpec {
        stale_after: seconds(given.stale_after_seconds),
        missing_pods_percent_max: u8::try_from(given.max_missing_percent).unwrap_or(0),
        min_uptime: seconds(given.min_uptime_seconds),
        budget: BudgetSpec {
            replicas_max: budget.replicas_max.map(replicas),
            removed_max: budget.removed_max.map(replicas),
            changes_max: budget.changes_max.and_then(|n| u32::try_from(n).ok()),
            period: seconds(budget.period_seconds),
        },
        paused: false,
    }
}

/// A problem of the engine's spec at its place in the object.
fn placed(problem: SpecProblem, spec: &PredictiveAutoscalerSpec) -> SpecProblem {
    let path = problem.path;
    let path = match path.strip_prefix("targets[0].hpa.") {
        Some(rest) => format!("spec.{}", metric_placed(rest, spec)),
        None => match path.as_str() {
            "targets[0].capacity" => "spec.forecast.capacity".to_owned(),
            "targets[0].startupSeconds" => "spec.forecast.startupSeconds".to_owned(),
            "intervalSeconds" => "spec.syncPeriodSeconds".to_owned(),
            other => format!("spec.{}", other.replacen("guards.", "guardrails.", 1)),
        },
    };
    SpecProblem::new(path, problem.message)
}

/// `metrics[i]…` of the reactive floor as `metrics[j]…` of the object.
fn metric_placed(path: &str, spec: &PredictiveAutoscalerSpec) -> String {
    let moved = || {
        let (place, rest) = path.strip_prefix("metrics[")?.split_once(']')?;
        let place = reactive_metrics(spec)
            .get(place.parse::<usize>().ok()?)
            .copied()?;
        Some(format!("metrics[{place}]{rest}"))
    };
    moved().unwrap_or_else(|| path.to_owned())
}

fn as_value(from: &impl Serialize, path: &str) -> Result<Value, SpecProblem> {
    serde_json::to_value(from).map_err(|error| SpecProblem::new(path, error.to_string()))
}

fn from_value<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, SpecProblem> {
    serde_json::from_value(value).map_err(|error| SpecProblem::new(path, error.to_string()))
}

/// The same thing in the engine's type, key by key.
fn same<T: DeserializeOwned>(from: &impl Serialize, path: &str) -> Result<T, SpecProblem> {
    from_value(as_value(from, path)?, path)
}
