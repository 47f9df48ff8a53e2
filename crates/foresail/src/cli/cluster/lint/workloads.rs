//! Checks of what stands around an object: its target, other autoscalers, disruption budgets.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::crd::metric::{Metric, MetricTarget, TargetType};
use foresail_adapters::kubernetes::crd::{ActuationType, Mode};
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::selector::Selector;
use foresail_core::quantity::units::parse_kubernetes_milli;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::Value;

use super::case::{Case, is_ours};
use super::checks::{NO_WORKLOAD, UNREADABLE, Verdict};

/// Tools that write an object again from a manifest; a manager's name holds one of these.
/// Source: names that these tools give as field manager.
const TOOLS: [&str; 9] = [
    "argocd",
    "kustomize-controller",
    "helm",
    "flux",
    "terraform",
    "pulumi",
    "fleet",
    "client-side-apply",
    "kapp",
];

/// FS002.
pub(super) fn target(case: &Case<'_>) -> Verdict {
    let Some(target) = case.target() else {
        return Verdict::Unknown(UNREADABLE);
    };
    let is_listed = target.group() == "apps"
        && matches!(
            target.kind.as_str(),
            "Deployment" | "StatefulSet" | "ReplicaSet"
        );
    match (case.workload(), case.facts.is_cluster && is_listed) {
        (Some(_), _) => Verdict::Well,
        (None, true) => Verdict::Found(vec![format!("there is no {}", target.short())]),
        (None, false) => Verdict::Unknown(NO_WORKLOAD),
    }
}

fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// FS003.
pub(super) fn rivals(case: &Case<'_>) -> Verdict {
    let (Ok(object), Some(target)) = (&case.object, case.target()) else {
        return Verdict::Unknown(UNREADABLE);
    };
    let mut found = Vec::new();
    for other in case.beside("PredictiveAutoscaler").filter(|o| is_ours(o)) {
        let of = Case::new(other, case.facts);
        let same = of.target().is_some_and(|t| t.is_same(&target));
        if same && name(other) != name(case.raw) {
            let other = name(other);
            found.push(format!(
                "PredictiveAutoscaler {other} scales {} too",
                target.short()
            ));
        }
    }
    let actuation = object.spec.actuation.as_ref().map(|a| a.kind);
    let acts = object.spec.mode == Mode::Auto && actuation == Some(ActuationType::Scale);
    for hpa in case.beside("HorizontalPodAutoscaler") {
        let Ok(read) = serde_json::from_value::<HorizontalPodAutoscaler>(hpa.clone()) else {
            continue;
        };
        let seen = HpaSeen::from(&read);
        let Some(spec) = seen.spec.as_ref().filter(|_| seen.target.is_same(&target)) else {
            continue;
        };
        let (theirs, ours) = (
            (spec.min_replicas.unwrap_or(1), spec.max_replicas),
            (object.spec.min_replicas.max(1), object.spec.max_replicas),
        );
        let hpa = name(hpa);
        if acts && !seen.is_inert() {
            found.push(format!(
                "HorizontalPodAutoscaler {hpa} scales {} too",
                target.short()
            ));
        } else if acts && (theirs.0 > ours.0 || theirs.1 < ours.1) {
            found.push(format!(
                "HorizontalPodAutoscaler {hpa} is disabled and still holds {} within {} to {}, inside {} to {}",
                target.short(), theirs.0, theirs.1, ours.0, ours.1
            ));
        }
    }
    if found.is_empty() && !case.facts.is_cluster {
        return Verdict::Unknown("needs a cluster: name one with -n");
    }
    Verdict::of(found)
}

/// FS004.
pub(super) fn replicas_owned(case: &Case<'_>) -> Verdict {
    let Some(workload) = case.workload() else {
        return Verdict::Unknown(NO_WORKLOAD);
    };
    let managed = workload
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let Some(managed) = managed else {
        // A manifest that sets replicas sets them again at every apply.
        let set = workload.pointer("/spec/replicas").filter(|r| !r.is_null());
        let told = |r: &Value| format!("the manifest of the target sets spec.replicas: {r}");
        return Verdict::of(set.map(told).into_iter().collect());
    };
    let owns = |entry: &&Value| entry.pointer("/fieldsV1/f:spec/f:replicas").is_some();
    let managers = managed
        .iter()
        .filter(owns)
        .filter_map(|e| e.get("manager")?.as_str());
    let tools = managers.filter(|m| TOOLS.iter().any(|tool| m.contains(tool)));
    Verdict::of(
        tools
            .map(|m| format!("{m} writes spec.replicas of the target"))
            .collect(),
    )
}

/// Containers of the target's pods.
fn containers<'a>(case: &Case<'a>) -> Option<Vec<&'a Value>> {
    let all = case
        .workload()?
        .pointer("/spec/template/spec/containers")?
        .as_array()?;
    Some(all.iter().collect())
}

/// Resource metrics of an object: place, resource, the one container, target.
fn resources(
    metrics: &[Metric],
) -> impl Iterator<Item = (usize, &str, Option<&str>, &MetricTarget)> {
    metrics.iter().enumerate().filter_map(|(place, m)| {
        if let Some(resource) = &m.resource {
            return Some((place, resource.name.as_str(), None, &resource.target));
        }
        let of = m.container_resource.as_ref()?;
        Some((
            place,
            of.name.as_str(),
            Some(of.container.as_str()),
            &of.target,
        ))
    })
}

/// A quantity of a container in thousandths.
fn amount(container: &Value, kind: &str, resource: &str) -> Option<i64> {
    let amount = container.get("resources")?.get(kind)?.get(resource)?;
    let text = match amount {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    parse_kubernetes_milli(&text).ok()
}

/// FS005.
pub(super) fn requests(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    let shares =
        || resources(&object.spec.metrics).filter(|(.., t)| t.kind == TargetType::Utilization);
    if shares().next().is_none() {
        return Verdict::Well;
    }
    let Some(containers) = containers(case) else {
        return Verdict::Unknown(NO_WORKLOAD);
    };
    let mut found = Vec::new();
    for (place, resource, only, _) in shares() {
        for container in &containers {
            let called = container
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let counts = only.is_none_or(|only| only == called);
            // Kubernetes takes an absent request to be the limit.
            let given = ["requests", "limits"]
                .iter()
                .any(|k| amount(container, k, resource).is_some());
            if counts && !given {
                found.push(format!(
                    "spec.metrics[{place}]: container {called} requests no {resource}"
                ));
            }
        }
    }
    Verdict::of(found)
}

/// FS006.
pub(super) fn readiness(case: &Case<'_>) -> Verdict {
    let Some(containers) = containers(case) else {
        return Verdict::Unknown(NO_WORKLOAD);
    };
    let probed = containers.iter().any(|c| c.get("readinessProbe").is_some());
    match probed {
        true => Verdict::Well,
        false => Verdict::Found(vec![
            "no container of the target has a readiness probe: pods count as ready when they start"
                .to_owned(),
        ]),
    }
}

/// FS010.
pub(super) fn saturates(case: &Case<'_>) -> Verdict {
    let Ok(object) = &case.object else {
        return Verdict::Unknown(UNREADABLE);
    };
    if resources(&object.spec.metrics).next().is_none() {
        return Verdict::Well;
    }
    let Some(containers) = containers(case) else {
        return Verdict::Unknown(NO_WORKLOAD);
    };
    let mut found = Vec::new();
    for (place, resource, only, target) in resources(&object.spec.metrics) {
        let counted = containers.iter().filter(|c| {
            let called = c.get("name").and_then(Value::as_str);
            only.is_none_or(|only| called == Some(only))
        });
        let sum = |kind: &str| -> Option<i64> {
            let each = counted.clone().map(|c| amount(c, kind, resource));
            each.sum()
        };
        let Some(limit) = sum("limits").filter(|l| *l > 0) else {
            continue;
        };
        let wanted = match target.kind {
            TargetType::Utilization => {
                let share = i64::from(target.average_utilization.unwrap_or(0));
                sum("requests").map(|r| r.saturating_mul(share) / 100)
            }
            _ => target
                .average_value
                .as_ref()
                .and_then(|a| parse_kubernetes_milli(&a.text()).ok()),
        };
        if let Some(wanted) = wanted.filter(|w| *w >= limit) {
            found.push(format!(
                "spec.metrics[{place}]: {resource} is aimed at {} and limited to {}: it can never be above its target",
                shown(wanted), shown(limit)
            ));
        }
    }
    Verdict::of(found)
}

/// Thousandths as Kubernetes writes them.
fn shown(milli: i64) -> String {
    match milli % 1000 {
        0 => (milli / 1000).to_string(),
        _ => format!("{milli}m"),
    }
}

/// FS007.
pub(super) fn disruption(case: &Case<'_>) -> Verdict {
    let (Ok(object), Some(workload)) = (&case.object, case.workload()) else {
        return Verdict::Unknown(NO_WORKLOAD);
    };
    let labels = workload.pointer("/spec/template/metadata/labels");
    let labels: BTreeMap<String, String> = labels
        .and_then(|l| serde_json::from_value(l.clone()).ok())
        .unwrap_or_default();
    let min = i64::from(object.spec.min_replicas);
    let mut found = Vec::new();
    for budget in case.beside("PodDisruptionBudget") {
        let selector = budget
            .pointer("/spec/selector/matchLabels")
            .and_then(Value::as_object);
        let text: Vec<String> = selector
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)))
            .collect();
        let Ok(chosen) = Selector::parse(Some(&text.join(","))) else {
            continue;
        };
        if chosen.matches(&labels) && allowed(budget, min) <= 0 {
            found.push(format!(
                "PodDisruptionBudget {} allows no disruption of {min} replicas: a node with one of them cannot be drained",
                name(budget)
            ));
        }
    }
    if found.is_empty() && !case.facts.is_cluster {
        return Verdict::Unknown("needs a cluster: name one with -n");
    }
    Verdict::of(found)
}

/// Pods that a budget lets go of `replicas`.
/// Source: Kubernetes, pkg/controller/disruption: shares are rounded up.
fn allowed(budget: &Value, replicas: i64) -> i64 {
    let of = |value: &Value| -> Option<i64> {
        match value.as_str() {
            Some(text) => {
                let share: i64 = text.strip_suffix('%')?.parse().ok()?;
                Some((share.saturating_mul(replicas) + 99) / 100)
            }
            None => value.as_i64(),
        }
    };
    let spec = &budget["spec"];
    if let Some(gone) = spec.get("maxUnavailable").and_then(of) {
        return gone;
    }
    let left = spec.get("minAvailable").and_then(of).unwrap_or(1);
    replicas - left
}
