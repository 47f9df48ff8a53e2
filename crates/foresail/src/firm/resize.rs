//! Other requests for a pod that runs: what is asked of its kubelet, and what it says.
//!
//! Requests are set; limits that there are move along in proportion, so that a pod keeps its class of
//! service (a resize that would change it is refused by the API server).
//! Source: kubernetes KEP-1287, in-place resize (`pods/resize`, GA in 1.35).

use foresail_core::propose::plan::{Resources, Setting};
use foresail_core::quantity::units::{Quantity, Unit, parse_kubernetes_milli};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use super::place::PodAsked;

/// A byte's thousandths.
const BYTE: i64 = 1000;

fn unit_of(resource: &str) -> Unit {
    match resource {
        "memory" => Unit::Bytes,
        _ => Unit::Count,
    }
}

/// Amounts of a pod as the API writes them; what is none is left out.
fn amounts<'a>(
    all: impl Iterator<
        Item = (
            &'a String,
            &'a k8s_openapi::apimachinery::pkg::api::resource::Quantity,
        ),
    >,
) -> Resources {
    let mut read = Resources::NONE;
    for (name, amount) in all {
        if let Ok(milli) = parse_kubernetes_milli(&amount.0) {
            read.set(name, Quantity::from_milli(milli, unit_of(name)));
        }
    }
    read
}

/// What the named container of a pod asks for, or its first; `None` for a pod without containers.
#[must_use]
pub fn asked(pod: &Pod, container: Option<&str>) -> Option<PodAsked> {
    let spec = pod.spec.as_ref()?;
    let named = |name: &str| spec.containers.iter().find(|c| c.name == name);
    let found = container.map_or(spec.containers.first(), named)?;
    let resources = found.resources.clone().unwrap_or_default();
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let pending = conditions
        .into_iter()
        .flatten()
        .find(|c| c.type_ == "PodResizePending" && c.status == "True");
    let told = |reason: &str| {
        let this = pending.filter(|c| c.reason.as_deref() == Some(reason))?;
        Some(this.message.clone().unwrap_or_else(|| reason.to_owned()))
    };
    Some(PodAsked {
        name: pod.metadata.name.clone()?,
        container: found.name.clone(),
        requests: amounts(resources.requests.iter().flatten()),
        limits: amounts(resources.limits.iter().flatten()),
        infeasible: told("Infeasible"),
        waits: told("Deferred"),
    })
}

/// The requests that most pods have; of as many the smaller amount.
#[must_use]
pub fn common(pods: &[PodAsked], resources: &[&str]) -> Resources {
    let mut found = Resources::NONE;
    for resource in resources {
        let mut counted: std::collections::BTreeMap<i64, (usize, Quantity)> =
            std::collections::BTreeMap::new();
        for amount in pods.iter().filter_map(|p| p.requests.get(resource)) {
            counted.entry(amount.milli()).or_insert((0, amount)).0 += 1;
        }
        let most = counted.into_values().rev().max_by_key(|(count, _)| *count);
        if let Some((_, amount)) = most {
            found.set(resource, amount);
        }
    }
    found
}

/// An amount as the API takes it: memory in whole bytes.
fn written(resource: &str, milli: i64) -> String {
    match resource {
        "memory" => (milli / BYTE).to_string(),
        _ => format!("{milli}m"),
    }
}

/// The body of the resize of one pod; `None` where it has all that the setting says.
#[must_use]
pub fn patch(pod: &PodAsked, setting: &Setting) -> Option<Value> {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    for (name, amount) in setting.per_pod.iter() {
        // What the pod never asked for is not introduced: that would change its class of service.
        let Some(has) = pod.requests.get(name).filter(|h| h.milli() > 0) else {
            continue;
        };
        if has.milli() == amount.milli() {
            continue;
        }
        requests.insert(name.to_owned(), json!(written(name, amount.milli())));
        if let Some(limit) = pod.limits.get(name) {
            let scaled = i128::from(limit.milli()) * i128::from(amount.milli());
            let scaled = scaled / i128::from(has.milli());
            let scaled = i64::try_from(scaled)
                .unwrap_or(i64::MAX)
                .max(amount.milli());
            limits.insert(name.to_owned(), json!(written(name, scaled)));
        }
    }
    if requests.is_empty() {
        return None;
    }
    let mut resources = Map::new();
    resources.insert("requests".to_owned(), Value::Object(requests));
    if !limits.is_empty() {
        resources.insert("limits".to_owned(), Value::Object(limits));
    }
    let container = json!({"name": pod.container, "resources": resources});
    Some(json!({"spec": {"containers": [container]}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(requests: (&str, &str), limits: Option<(&str, &str)>) -> PodAsked {
        let of = |(cpu, memory): (&str, &str)| {
            let mut all = Resources::NONE;
            all.set("cpu", cpu.parse().unwrap());
            all.set("memory", memory.parse().unwrap());
            all
        };
        PodAsked {
            name: "web-1".to_owned(),
            container: "main".to_owned(),
            requests: of(requests),
            limits: limits.map(of).unwrap_or_default(),
            ..PodAsked::default()
        }
    }

    fn setting(cpu: &str, memory: &str) -> Setting {
        let mut setting = Setting::default();
        setting.per_pod.set("cpu", cpu.parse().unwrap());
        setting.per_pod.set("memory", memory.parse().unwrap());
        setting
    }

    #[test]
    fn limits_move_along_so_that_the_class_of_service_stays() {
        let guaranteed = pod(("256m", "512Mi"), Some(("256m", "512Mi")));
        let body = patch(&guaranteed, &setting("384m", "512Mi")).unwrap();
        let of = |body: &Value| body["spec"]["containers"][0]["resources"].clone();
        assert_eq!(
            of(&body),
            json!({"requests": {"cpu": "384m"}, "limits": {"cpu": "384m"}})
        );
        let burstable = pod(("256m", "512Mi"), Some(("512m", "1Gi")));
        let body = patch(&burstable, &setting("384m", "256Mi")).unwrap();
        let half = json!({"requests": {"cpu": "384m", "memory": "268435456"},
            "limits": {"cpu": "768m", "memory": "536870912"}});
        assert_eq!(of(&body), half);
        let body = patch(&pod(("256m", "512Mi"), None), &setting("128m", "512Mi")).unwrap();
        assert_eq!(of(&body), json!({"requests": {"cpu": "128m"}}));
        assert_eq!(patch(&burstable, &setting("256m", "512Mi")), None);
    }

    #[test]
    fn the_requests_of_most_pods_are_those_of_the_component() {
        let pods = [
            pod(("256m", "1Gi"), None),
            pod(("128m", "1Gi"), None),
            pod(("256m", "2Gi"), None),
        ];
        let found = common(&pods, &["cpu", "memory"]);
        assert_eq!(found.get("cpu").unwrap().milli(), 256);
        assert_eq!(found.get("memory").unwrap().to_string(), "1Gi");
        assert!(common(&[], &["cpu"]).is_empty(), "no pod, nothing known");
    }
}
