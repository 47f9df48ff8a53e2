//! The fleet: deployments with their pods and autoscalers, what the pods use, and what becomes of a
//! number that is written.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::store::{AUTOSCALERS, DEPLOYMENTS, Key, Objects, PODS};

/// Objects of a namespace.
pub const PER_NAMESPACE: usize = 20;

/// Pods of a deployment at the begin.
pub const PODS_FIRST: i64 = 3;

/// CPU that a pod requests, and uses when the demand is met, in thousandths of a core.
const REQUEST: i64 = 100;
const TARGET: i64 = 50;

/// How a fleet is made.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub objects: usize,
    /// Seconds between two passes of an object.
    pub period: u32,
    /// Deployments begin at zero, and are scaled by an external metric.
    pub from_zero: bool,
    /// Demand is Prometheus', and is forecast.
    pub forecast: bool,
    pub seed: u64,
}

/// SplitMix64 of a number: the same for the same.
fn noise(seed: u64, n: u64) -> u64 {
    let mut z = seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn ago(seconds: i64) -> String {
    let now = Timestamp::now();
    let at = now
        .checked_sub(SignedDuration::from_secs(seconds))
        .unwrap_or(now);
    at.to_string()
}

/// The key of the object with a number, which is also its deployment's.
pub fn key(n: usize) -> Key {
    (
        format!("team-{:04}", n / PER_NAMESPACE),
        format!("web-{n:05}"),
    )
}

fn metadata(key: &Key, uid: &str) -> Value {
    json!({
        "name": key.1, "namespace": key.0, "uid": uid, "generation": 1,
        "creationTimestamp": ago(7200), "labels": {"app": key.1},
    })
}

fn deployment(key: &Key, n: usize, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": metadata(key, &format!("d-{n:08}")),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": key.1}},
            "template": {
                "metadata": {"labels": {"app": key.1}},
                "spec": {"containers": [{"name": "main", "image": "played"}]},
            },
        },
        "status": {"replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas, "observedGeneration": 1},
    })
}

/// A pod with about what a real one carries.
fn pod(of: &Key, n: i64, ready_since: Option<i64>) -> Value {
    let since = ago(ready_since.unwrap_or(0));
    let state = if ready_since.is_some() {
        "True"
    } else {
        "False"
    };
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{}-7c9f8d-{n:05}", of.1), "namespace": of.0,
            "uid": format!("p-{}-{n}", of.1), "creationTimestamp": since,
            "labels": {"app": of.1, "pod-template-hash": "7c9f8d"},
            "annotations": {"cni.example/address": "10.1.2.3/32", "team.example/owner": "payments"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-7c9f8d", of.1), "uid": "r", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": since, "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}, "f:ownerReferences": {".": {}, "k:{\"uid\":\"r\"}": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {".": {}, "f:requests": {".": {}, "f:cpu": {}, "f:memory": {}}}}}, "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:terminationGracePeriodSeconds": {}}}},
            ],
        },
        "spec": {
            "nodeName": "node-1", "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "containers": [{
                "name": "main", "image": "registry.example/web:1.4.2", "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "PORT", "value": "8080"}, {"name": "REGION", "value": "one"}],
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": format!("{REQUEST}m"), "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
            }],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
        },
        "status": {
            "phase": if ready_since.is_some() { "Running" } else { "Pending" },
            "startTime": since, "podIP": "10.1.2.3", "hostIP": "10.0.0.1", "qosClass": "Burstable",
            "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"), condition("ContainersReady", state), condition("Ready", state)],
            "containerStatuses": [{"name": "main", "ready": ready_since.is_some(), "restartCount": 0, "image": "registry.example/web:1.4.2", "imageID": "", "state": {"running": {"startedAt": since}}}],
        },
    })
}

impl Fleet {
    /// Deployments at the begin, and after the rise of the demand.
    pub fn replicas(&self, after: bool) -> i64 {
        match (self.from_zero, after) {
            (true, false) => 0,
            (false, false) => PODS_FIRST,
            (true, true) => 2,
            (false, true) => PODS_FIRST + 2,
        }
    }

    fn autoscaler(&self, key: &Key, n: usize) -> Value {
        let metric = match self.from_zero {
            _ if self.forecast => json!({"type": "Prometheus", "role": "Both", "prometheus": {
                "query": format!("demand_{n}"), "target": {"type": "AverageValue", "averageValue": "10"},
            }}),
            true => json!({"type": "External", "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"app": key.1}}},
                "target": {"type": "AverageValue", "averageValue": "10"},
            }}),
            false => json!({"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": TARGET * 100 / REQUEST},
            }}),
        };
        let mut object = json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": metadata(key, &format!("a-{n:08}")),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": key.1},
                "mode": "Auto", "syncPeriodSeconds": self.period,
                "minReplicas": i64::from(!self.from_zero), "maxReplicas": 20, "metrics": [metric],
            },
        });
        if self.forecast {
            object["spec"]["forecast"] = json!({"historySeconds": 86_400, "startupSeconds": 45});
        }
        if self.from_zero {
            // Zero that somebody else wrote means: leave it alone (KEP-2021). Only who went there itself comes back.
            object["status"] = json!({"conditions": [{
                "type": "ScaledToZero", "status": "True", "reason": "ScaledToZero", "message": "", "lastTransitionTime": ago(600),
            }]});
        }
        object
    }

    /// Makes everything.
    pub fn fill(&self, objects: &mut Objects) {
        for n in 0..self.objects {
            let key = key(n);
            let replicas = self.replicas(false);
            objects.put(DEPLOYMENTS, &key, deployment(&key, n, replicas));
            objects.put(AUTOSCALERS, &key, self.autoscaler(&key, n));
            for place in 0..replicas {
                put_pod(objects, &key, place, Some(3600));
            }
        }
    }

    /// Demand of an object at a time in seconds, in requests per second: a day's wave with noise.
    pub fn demand(&self, n: u64, at: u64) -> f64 {
        let wave = (at as f64 / 86_400.0 * std::f64::consts::TAU).sin();
        let noise = (noise(self.seed ^ n, at) % 1000) as f64 / 1000.0 - 0.5;
        27.0 + 6.0 * wave + noise
    }

    /// What the pods of a namespace use now: the demand of each deployment, shared by its ready pods.
    pub fn usage(&self, objects: &Objects, namespace: &str, demand: f64) -> Value {
        let now = ago(0);
        let mut items = Vec::new();
        let all = objects.list(DEPLOYMENTS, Some(namespace), None, usize::MAX);
        for text in all.items {
            let Ok(deployment) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
            let replicas = deployment["status"]["readyReplicas"].as_i64().unwrap_or(0);
            let whole = (PODS_FIRST * TARGET) as f64 * demand;
            for place in 0..replicas {
                let wobble = 0.98
                    + 0.04 * (noise(self.seed, objects.version() + place as u64) % 1000) as f64
                        / 1000.0;
                let milli = whole / replicas as f64 * wobble;
                items.push(json!({
                    "metadata": {"name": format!("{name}-7c9f8d-{place:05}"), "namespace": namespace},
                    "timestamp": now, "window": "15s",
                    "containers": [{"name": "main", "usage": {"cpu": format!("{}n", (milli * 1e6) as i64), "memory": "48Mi"}}],
                }));
            }
        }
        json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items})
    }
}

fn put_pod(objects: &mut Objects, of: &Key, place: i64, ready_since: Option<i64>) {
    let pod = pod(of, place, ready_since);
    let name = pod["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    objects.put(PODS, &(of.0.clone(), name), pod);
}

/// Gives a deployment another number: pods come unready, and go at once.
pub fn resize(objects: &mut Objects, key: &Key, mut deployment: Value, replicas: i64) -> String {
    let before = deployment["spec"]["replicas"].as_i64().unwrap_or(0);
    let ready = deployment["status"]["readyReplicas"].as_i64().unwrap_or(0);
    deployment["spec"]["replicas"] = json!(replicas);
    deployment["status"]["replicas"] = json!(replicas);
    deployment["status"]["readyReplicas"] = json!(ready.min(replicas));
    for place in before..replicas {
        put_pod(objects, key, place, None);
    }
    for place in replicas..before {
        let name = format!("{}-7c9f8d-{place:05}", key.1);
        objects.delete(PODS, &(key.0.clone(), name));
    }
    objects.put(DEPLOYMENTS, key, deployment)
}

/// The pods that a deployment was given become ready.
pub fn make_ready(objects: &mut Objects, key: &Key) {
    let Some(mut deployment) = objects.get(DEPLOYMENTS, key) else {
        return;
    };
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(0);
    let ready = deployment["status"]["readyReplicas"].as_i64().unwrap_or(0);
    for place in ready..replicas {
        put_pod(objects, key, place, Some(0));
    }
    deployment["status"]["readyReplicas"] = json!(replicas);
    objects.put(DEPLOYMENTS, key, deployment);
}
