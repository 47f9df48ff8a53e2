//! Answers of the metrics APIs as rows change them.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Change, Rule};

/// An answer for so many seconds before now, or after where it is negative.
pub fn time_before(seconds: i64) -> String {
    let now = k8s_openapi::jiff::Timestamp::now().as_second() - seconds;
    let at = k8s_openapi::jiff::Timestamp::from_second(now).unwrap();
    at.to_string()
}

/// A metric of CPU with a set point of half of what is requested.
pub fn by_cpu() -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

/// A metric that each pod has, 10 a pod.
pub fn by_rate() -> Value {
    let target = json!({"type": "AverageValue", "averageValue": "10"});
    json!({"type": "Pods", "pods": {"metric": {"name": "rate"}, "target": target}})
}

/// A query to Prometheus, 10 a pod; it names who asks.
pub fn by_query(name: &str) -> Value {
    let target = json!({"type": "AverageValue", "averageValue": "10"});
    json!({"type": "Prometheus", "prometheus": {"query": format!("demand_of_{name}"), "target": target}})
}

/// Waits until the resource metrics of so many pods are known.
pub fn wait_usage(rig: &Rig, namespace: &str, pods: usize) {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    let limit = std::time::Duration::from_secs(90);
    wait_until(limit, "usage of all pods", || {
        let list = rig.get(&path).ok()?;
        (list["items"].as_array()?.len() >= pods).then_some(())
    });
}

/// Changes the items of resource metrics.
pub fn usage(change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> Rule {
    let change = Change::new(move |_, answer| {
        if let Some(items) = answer["items"].as_array_mut() {
            change(items);
        }
    });
    Rule::new(
        "GET",
        "metrics.k8s.io/v1beta1/namespaces",
        Action::Edit(change),
    )
    .and("/pods")
}

/// The name of the pod of an item.
pub fn pod_of(item: &Value) -> &str {
    item["metadata"]["name"].as_str().unwrap_or_default()
}

/// Sets what a pod uses of its CPU.
pub fn set_cpu(item: &mut Value, cpu: &Value) {
    for container in item["containers"].as_array_mut().into_iter().flatten() {
        container["usage"]["cpu"] = cpu.clone();
    }
}

/// Answers `rate` of the pods of one workload with what each pod says: name, value, seconds of age.
pub fn rate(scene: &Scene, name: &str, of: impl Fn(usize) -> (Value, i64)) -> Rule {
    let pods = scene.rig.pods(&scene.namespace, name);
    let names = pods.iter().filter_map(|p| p["metadata"]["name"].as_str());
    let said: Vec<(String, (Value, i64))> = names
        .enumerate()
        .map(|(i, name)| (name.to_owned(), of(i)))
        .collect();
    let namespace = scene.namespace.clone();
    let change = Change::new(move |_, answer| {
        let item = |(name, (value, age)): &(String, (Value, i64))| {
            json!({
                "describedObject": {"kind": "Pod", "namespace": namespace, "name": name, "apiVersion": "v1"},
                "metric": {"name": "rate"}, "timestamp": time_before(*age), "value": value,
            })
        };
        let items: Vec<Value> = said.iter().map(item).collect();
        *answer = json!({"kind": "MetricValueList", "metadata": {}, "items": items});
    });
    Rule::new("GET", "custom.metrics.k8s.io", Action::Answer(change)).and(&format!("app%3D{name}"))
}

/// Answers a workload's query with this value, measured so many seconds ago.
pub fn query(name: &str, value: &str, age: i64) -> Rule {
    let value = value.to_owned();
    let change = Change::new(move |path, answer| {
        let now = k8s_openapi::jiff::Timestamp::now().as_second();
        let told = match path.contains("timestamp%28") {
            true => (now - age).to_string(),
            false => value.clone(),
        };
        let result = json!([{"metric": {}, "value": [now, told]}]);
        let data = json!({"resultType": "vector", "result": result});
        *answer = json!({"status": "success", "data": data});
    });
    Rule::new("GET", "/api/v1/query", Action::Answer(change)).and(&format!("demand_of_{name}"))
}
