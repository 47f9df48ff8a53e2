//! What the rows have in common: a namespace with workloads, demand, and objects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};

pub const SOON: Duration = Duration::from_secs(30);

fn proposers() -> Value {
    json!([{"name": "hpa"}, {"name": "static", "knobs": {"replicas": "1"}}])
}

/// One namespace with workloads whose demand is an external metric each.
pub struct Scene<'a> {
    pub rig: &'a Rig,
    pub namespace: String,
    pub names: Vec<String>,
    /// Where the audit log ended when it began.
    pub mark: u64,
}

impl<'a> Scene<'a> {
    /// `count` workloads `w0`, `w1`, ... of one replica each, and an object in mode Auto for each.
    /// One replica serves a demand of 10.
    pub fn new(rig: &'a Rig, namespace: &str, count: usize) -> Self {
        crate::crd::install(rig);
        let mark = rig.mark();
        rig.namespace(namespace);
        let names: Vec<String> = (0..count).map(|i| format!("w{i}")).collect();
        let scene = Self {
            rig,
            namespace: namespace.to_owned(),
            names,
            mark,
        };
        scene.demand(|_| 10);
        let resources = json!({"requests": {"cpu": "10m"}});
        for name in &scene.names {
            rig.deployment((namespace, name), 1, &resources, &json!({}));
            rig.post(&scene.objects(), &scene.object(name)).unwrap();
        }
        scene
    }

    pub fn controller(&self, name: &str) -> Controller {
        Controller::start(self.rig, Start::new(&self.namespace, name))
    }

    /// Where the objects are.
    pub fn objects(&self) -> String {
        let namespace = &self.namespace;
        format!(
            "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/{namespace}/predictiveautoscalers"
        )
    }

    /// The object of one workload, as it is made.
    pub fn object(&self, name: &str) -> Value {
        let metric = json!({"name": "queue", "selector": {"matchLabels": {"queue": name}}});
        let target = json!({"type": "AverageValue", "averageValue": "10"});
        let external = json!({"metric": metric, "target": target});
        self.object_by(name, &json!({"type": "External", "external": external}))
    }

    /// Sets the guards to work: with the proposer `hpa` alone every answer is Kubernetes' own, and those
    /// that only Foresail has stay out. The second proposer asks for nothing that is not there.
    pub fn guarded(self) -> Self {
        for name in &self.names {
            self.change(name, &json!({"spec": {"proposers": proposers()}}))
                .unwrap();
        }
        self
    }

    /// A workload more, of so many replicas that use `cpu` each and request 100m, and an object for it
    /// with this metric and the guards at work.
    pub fn add(&mut self, name: &str, (replicas, cpu): (i32, &str), metric: &Value) {
        let resources = json!({"requests": {"cpu": "100m"}});
        let place = (self.namespace.as_str(), name);
        let annotations = json!({"rig/cpu": cpu});
        self.rig
            .deployment(place, replicas, &resources, &annotations);
        let mut object = self.object_by(name, metric);
        object["spec"]["proposers"] = proposers();
        self.rig.post(&self.objects(), &object).unwrap();
        self.names.push(name.to_owned());
    }

    /// The object of one workload with this metric.
    pub fn object_by(&self, name: &str, metric: &Value) -> Value {
        let rules = json!({
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}],
        });
        json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "mode": "Auto", "syncPeriodSeconds": 1, "minReplicas": 1, "maxReplicas": 60,
                "metrics": [metric],
                "behavior": {"scaleUp": rules, "scaleDown": rules},
            },
        })
    }

    /// Sets the demand of each workload, by its place.
    pub fn demand(&self, of: impl Fn(usize) -> u32) {
        if self.names.is_empty() {
            return;
        }
        let one = |(i, name): (usize, &String)| {
            let (namespace, value) = (&self.namespace, of(i));
            format!(
                "- {{namespace: {namespace}, name: queue, labels: {{queue: {name}}}, value: {value}}}\n"
            )
        };
        let all: String = self.names.iter().enumerate().map(one).collect();
        self.rig
            .script(&self.namespace, &format!("external:\n{all}"));
    }

    /// Replicas that each workload asks for.
    pub fn asked(&self) -> Vec<i64> {
        let of = |name: &String| self.rig.replicas(&self.namespace, name).0;
        self.names.iter().map(of).collect()
    }

    /// Waits until each workload asks for this many, by its place.
    pub fn wait_asked(&self, limit: Duration, of: impl Fn(usize) -> i64) {
        let wanted: Vec<i64> = (0..self.names.len()).map(of).collect();
        let mut last = Vec::new();
        let begin = std::time::Instant::now();
        while begin.elapsed() < limit {
            last = self.asked();
            if last == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!(
            "{} not within {limit:?}: {last:?} instead of {wanted:?}",
            self.namespace
        );
    }

    pub fn status(&self, name: &str) -> Value {
        let object = self.rig.get(&format!("{}/{name}", self.objects())).unwrap();
        object["status"].clone()
    }

    /// A condition of one object.
    pub fn condition(&self, name: &str, kind: &str) -> Value {
        let status = self.status(name);
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter()
            .find(|c| c["type"] == kind)
            .unwrap_or_default()
    }

    /// Waits until a condition has this status and its reason or message holds this text.
    pub fn wait_condition(
        &self,
        limit: Duration,
        name: &str,
        kind: &str,
        (status, text): (&str, &str),
    ) {
        let what = format!("{}/{name}: {kind}={status} with {text:?}", self.namespace);
        wait_until(limit, &what, || {
            let found = self.condition(name, kind);
            let told = format!("{} {}", found["reason"], found["message"]);
            (found["status"] == status && told.contains(text)).then_some(())
        });
    }

    /// Waits until an event of an object with this reason was told.
    pub fn wait_event(&self, name: &str, reason: &str) {
        let path = format!(
            "/apis/events.k8s.io/v1/namespaces/{}/events",
            self.namespace
        );
        let what = format!("{}/{name}: an event {reason}", self.namespace);
        wait_until(SOON, &what, || {
            let list = self.rig.get(&path).ok()?;
            let mut all = list["items"].as_array()?.iter();
            let is_it = |e: &Value| e["regarding"]["name"] == name && e["reason"] == reason;
            all.any(is_it).then_some(())
        });
    }

    /// Changes one object as its user would.
    pub fn change(&self, name: &str, change: &Value) -> crate::api::Answer {
        self.rig
            .patch(&format!("{}/{name}", self.objects()), change)
    }

    /// Sets replicas as a person would.
    pub fn by_hand(&self, name: &str, replicas: i64) {
        let namespace = &self.namespace;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        self.rig
            .patch(&path, &json!({"spec": {"replicas": replicas}}))
            .unwrap();
    }

    /// Object names by uid.
    pub fn uids(&self) -> Vec<(String, String)> {
        let list = self.rig.get(&self.objects()).unwrap();
        let text = |o: &Value, path: &str| {
            o.pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|o| (text(o, "/metadata/name"), text(o, "/metadata/uid")))
            .collect()
    }

    /// Removes the namespace; nobody waits for it.
    pub fn end(self) {
        let _ = self
            .rig
            .delete(&format!("/api/v1/namespaces/{}", self.namespace));
    }
}
