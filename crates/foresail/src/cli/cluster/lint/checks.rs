//! The checks: one list, one function each.

use foresail_adapters::kubernetes::convert::{demand_metric, engine_spec};
use foresail_adapters::kubernetes::crd::metric::MetricType;
use foresail_adapters::kubernetes::crd::{PredictiveAutoscaler, SelectPolicy};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::parse_kubernetes_milli;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use serde_json::Value;

use super::case::Case;
use super::workloads;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// It will not work.
    Error,
    /// It may not do what is meant.
    Warning,
    /// Good to know.
    Note,
}

impl Level {
    /// As it is printed.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Well,
    /// What is wrong.
    Found(Vec<String>),
    /// It cannot be known: why.
    Unknown(&'static str),
}

impl Verdict {
    /// What messages come to.
    pub(crate) fn of(messages: Vec<String>) -> Self {
        if messages.is_empty() {
            Self::Well
        } else {
            Self::Found(messages)
        }
    }
}

/// One check.
pub(crate) struct Check {
    pub(crate) code: &'static str,
    pub(crate) level: Level,
    /// What it looks for.
    pub(crate) what: &'static str,
    /// What mends it.
    pub(crate) help: &'static str,
    pub(crate) run: fn(&Case<'_>) -> Verdict,
}

const fn check(
    code: &'static str,
    level: Level,
    what: &'static str,
    help: &'static str,
    run: fn(&Case<'_>) -> Verdict,
) -> Check {
    Check {
        code,
        level,
        what,
        help,
        run,
    }
}

/// Why a check needs a cluster, or the workload in the files.
pub(super) const NO_WORKLOAD: &str =
    "needs the target: add its manifest, or name a cluster with -n";

/// Why a check needs Prometheus.
const NO_PROMETHEUS: &str = "needs --prometheus URL";

/// Why a check needs the start-up time.
const NO_STARTUP: &str =
    "needs the start-up time: spec.forecast.startupSeconds, or a controller that has learnt it";

/// Why a check of a field is not made where the object cannot be read.
pub(super) const UNREADABLE: &str = "the object cannot be read (FS000)";

/// Every check, in the order in which findings are told.
pub(crate) const CHECKS: &[Check] = &[
    check(
        "FS000",
        Level::Error,
        "the object cannot be carried out",
        "mend the field that is named; `kubectl explain pas.spec` tells each",
        form,
    ),
    check(
        "FS001",
        Level::Error,
        "minReplicas above maxReplicas",
        "raise maxReplicas or lower minReplicas",
        bounds,
    ),
    check(
        "FS002",
        Level::Error,
        "the target is not there",
        "check apiVersion, kind and name of scaleTargetRef, in the object's namespace",
        workloads::target,
    ),
    check(
        "FS003",
        Level::Error,
        "another autoscaler of the same target",
        "take over with `foresail migrate hpa NAME --cutover`, use actuation HPAFloor, or delete one of them",
        workloads::rivals,
    ),
    check(
        "FS004",
        Level::Warning,
        "spec.replicas of the target is written by a deployment tool",
        "take spec.replicas out of the manifest, or let the tool ignore it",
        workloads::replicas_owned,
    ),
    check(
        "FS005",
        Level::Error,
        "a container lacks the request that a utilization is a share of",
        "give every container resources.requests, or use averageValue",
        workloads::requests,
    ),
    check(
        "FS006",
        Level::Warning,
        "no readiness probe: start-up cannot be measured",
        "give the container a readinessProbe, and spec.forecast.startupSeconds until then",
        workloads::readiness,
    ),
    check(
        "FS007",
        Level::Warning,
        "a PodDisruptionBudget allows no disruption at minReplicas",
        "allow one disruption at minReplicas, or raise minReplicas",
        workloads::disruption,
    ),
    check(
        "FS008",
        Level::Warning,
        "the scale-down window is shorter than the start-up",
        "lengthen behavior.scaleDown.stabilizationWindowSeconds above the start-up time",
        window,
    ),
    check(
        "FS009",
        Level::Warning,
        "the metric does not fall when replicas are added",
        "choose a metric per replica, such as CPU or requests per second",
        monotone,
    ),
    check(
        "FS010",
        Level::Error,
        "the metric cannot reach its target value",
        "lower the target value, or raise the limit of the container",
        workloads::saturates,
    ),
    check(
        "FS011",
        Level::Error,
        "the query gives other than one series",
        "aggregate with sum(), or choose the series by its labels",
        series,
    ),
    check(
        "FS012",
        Level::Warning,
        "a query's window holds fewer than two scrapes",
        "widen the window to two scrape intervals or more",
        query_window,
    ),
    check(
        "FS013",
        Level::Warning,
        "maxReplicas is below what past demand needed",
        "raise maxReplicas",
        need,
    ),
    check(
        "FS014",
        Level::Note,
        "no behavior: Kubernetes' older limits hold",
        "write spec.behavior to choose your own; an empty one is not the same as none",
        nil_behavior,
    ),
    check(
        "FS015",
        Level::Warning,
        "the forecast looks less far ahead than a replica takes to start",
        "raise horizonSeconds to start-up time plus syncPeriodSeconds, or leave it out",
        horizon,
    ),
    check(
        "FS016",
        Level::Warning,
        "less than two days of history: a daily period cannot be seen",
        "raise spec.forecast.historySeconds to 172800 or more",
        history,
    ),
];

fn form(case: &Case<'_>) -> Verdict {
    let told = |problems: &[foresail_core::spec::SpecProblem]| {
        // FS001 tells it with its own help.
        let all = problems.iter().map(ToString::to_string);
        Verdict::of(
            all.filter(|p| !p.contains("minReplicas must be at most"))
                .collect(),
        )
    };
    let object = match &case.object {
        Ok(object) => object,
        Err(problems) => return told(problems),
    };
    let mut object = object.clone();
    // A file may leave the namespace to whoever applies it.
    object
        .metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    match engine_spec(&object).and_then(|spec| engine_of(spec, Seed(0)).map(drop)) {
        Ok(()) => Verdict::Well,
        Err(problems) => told(&problems),
    }
}

fn bounds(case: &Case<'_>) -> Verdict {
    let number = |field: &str| {
        case.raw
            .pointer(&format!("/spec/{field}"))
            .and_then(Value::as_i64)
    };
    match (number("minReplicas").unwrap_or(1), number("maxReplicas")) {
        (min, Some(max)) if min > max => Verdict::Found(vec![format!(
            "minReplicas {min} is above maxReplicas {max}"
        )]),
        _ => Verdict::Well,
    }
}

/// The window of the way down, in seconds.
/// Source: Kubernetes, the controller's flag and pkg/apis/autoscaling/v2/defaults.go.
fn down_window(object: &PredictiveAutoscaler) -> i32 {
    let down = object
        .spec
        .behavior
        .as_ref()
        .and_then(|b| b.scale_down.as_ref());
    down.and_then(|d| d.stabilization_window_seconds)
        .unwrap_or(300)
}

fn window(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let down = object
        .spec
        .behavior
        .as_ref()
        .and_then(|b| b.scale_down.as_ref());
    if down.and_then(|d| d.select_policy) == Some(SelectPolicy::Disabled) {
        return Verdict::Well;
    }
    let Some(startup) = case.startup_seconds() else {
        return Verdict::Unknown(NO_STARTUP);
    };
    let window = down_window(object);
    if window >= startup {
        return Verdict::Well;
    }
    Verdict::Found(vec![format!(
        "replicas are removed after {window} s and take {startup} s to come back"
    )])
}

fn monotone(_: &Case<'_>) -> Verdict {
    Verdict::Unknown(
        "needs the history of metric and replicas side by side: `foresail compare --prometheus` shows it",
    )
}

/// Each query of an object with its place.
fn queries(object: &PredictiveAutoscaler) -> impl Iterator<Item = (usize, &str)> {
    let metrics = object.spec.metrics.iter().enumerate();
    metrics.filter_map(|(place, m)| Some((place, m.prometheus.as_ref()?.query.as_str())))
}

fn series(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let mut found = Vec::new();
    for (place, query) in queries(object) {
        let Some(asked) = case.facts.asked.get(query) else {
            return Verdict::Unknown(NO_PROMETHEUS);
        };
        found.extend(
            asked
                .several
                .as_ref()
                .map(|why| format!("spec.metrics[{place}]: {why}")),
        );
    }
    Verdict::of(found)
}

/// The windows in a query's square brackets.
pub(super) fn windows(query: &str) -> Vec<Span> {
    let parts = query.split('[').skip(1);
    let inside = parts.filter_map(|rest| rest.split([']', ':']).next());
    inside.filter_map(|text| text.trim().parse().ok()).collect()
}

fn query_window(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let mut all =
        queries(object).flat_map(|(place, q)| windows(q).into_iter().map(move |w| (place, w)));
    let Some(interval) = case.facts.scrape_interval else {
        return match all.next() {
            Some(_) => Verdict::Unknown("needs --scrape-interval TIME"),
            None => Verdict::Well,
        };
    };
    let least = Span::from_nanos(interval.nanos().saturating_mul(2));
    let short = all.filter(|(_, w)| *w < least);
    Verdict::of(
        short
            .map(|(place, w)| {
                format!("spec.metrics[{place}]: a window of {w} at a scrape each {interval}")
            })
            .collect(),
    )
}

fn need(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let Some(metric) = demand_metric(&object.spec).and_then(|p| object.spec.metrics.get(p)) else {
        return Verdict::Well;
    };
    let (Some(prometheus), MetricType::Prometheus) = (&metric.prometheus, metric.kind) else {
        return Verdict::Unknown("needs a demand of type Prometheus");
    };
    let Some(p99) = case.facts.asked.get(&prometheus.query).and_then(|a| a.p99) else {
        return Verdict::Unknown(NO_PROMETHEUS);
    };
    let given = object
        .spec
        .forecast
        .capacity
        .as_ref()
        .or(prometheus.target.average_value.as_ref());
    let milli = given.and_then(|a| parse_kubernetes_milli(&a.text()).ok());
    let Some(milli) = milli.filter(|m| *m > 0) else {
        return Verdict::Unknown(
            "needs the demand that one replica serves: spec.forecast.capacity",
        );
    };
    let needed = (p99 * 1000.0 / milli as f64).ceil();
    let max = object.spec.max_replicas;
    if needed <= f64::from(max) {
        return Verdict::Well;
    }
    Verdict::Found(vec![format!(
        "99 % of the time {needed} replicas or fewer would have been needed, maxReplicas is {max}"
    )])
}

fn nil_behavior(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    match object.spec.behavior {
        Some(_) => Verdict::Well,
        None => Verdict::Found(vec![
            "without behavior a step up goes to twice the current number or to 4 at most"
                .to_owned(),
        ]),
    }
}

fn horizon(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let named = object.spec.proposers.iter().flatten();
    let given: Vec<(&str, i64)> = named
        .filter_map(|p| {
            Some((
                p.name.as_str(),
                p.knobs.get("horizonSeconds")?.parse().ok()?,
            ))
        })
        .filter(|(_, seconds)| *seconds > 0)
        .collect();
    if given.is_empty() {
        return Verdict::Well;
    }
    let Some(startup) = case.startup_seconds() else {
        return Verdict::Unknown(NO_STARTUP);
    };
    let lead = i64::from(startup) + i64::from(object.spec.sync_period_seconds);
    let short = given.into_iter().filter(|(_, seconds)| *seconds < lead);
    Verdict::of(
        short
            .map(|(name, seconds)| format!("{name} looks {seconds} s ahead, a replica serves {lead} s after it is asked for"))
            .collect(),
    )
}

fn history(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let seconds = object.spec.forecast.history_seconds;
    if demand_metric(&object.spec).is_none() || seconds >= 2 * 86_400 {
        return Verdict::Well;
    }
    Verdict::Found(vec![format!("historySeconds is {seconds}")])
}
