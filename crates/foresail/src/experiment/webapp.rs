//! The workload of the experiment and its HPA, from one configuration: the simulator's pods, the
//! manifests and whoever runs it live read the same numbers.
//!
//! Source of every number: alcocuzzi/etp, charts/webapp/values.yaml, autoscaler/config.py, hpa.yaml.

use anyhow::{Context, Result};
use foresail_core::hpa::{
    Behavior, HpaSpec, MetricSpec, ObjectReference, Policy, PolicyType, ScalingRules,
};
use serde_json::{Value, json};

/// CPU in thousandths of a core, and memory in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu_millicores: u32,
    /// MiB.
    pub memory_mebibytes: u32,
}

/// One container of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: &'static str,
    /// Its image.
    pub image: &'static str,
    /// The port that it listens on, and its name.
    pub port: (&'static str, u16),
    /// What it asks for.
    pub requests: Amounts,
    /// What it may use.
    pub limits: Amounts,
}

/// Seconds before the first look of a probe, and between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Before the first.
    pub delay_seconds: u32,
    /// Between two.
    pub period_seconds: u32,
}

/// The workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webapp {
    /// The server, which requests and stress go to.
    pub server: Container,
    /// What exports the server's numbers.
    pub exporter: Container,
    /// Pods at the begin.
    pub replicas: u32,
    /// The Service's port, which leads to the server's.
    pub service_port: u16,
    /// When a new pod is ready.
    pub readiness: Probe,
    /// When a pod is started anew.
    pub liveness: Probe,
    /// Seconds between two scrapes of the exporter.
    pub scrape_seconds: u32,
}

/// The published one.
pub const WEBAPP: Webapp = Webapp {
    server: Container {
        name: "nginx",
        image: "nginx:1.27-alpine",
        port: ("http", 80),
        requests: Amounts {
            cpu_millicores: 100,
            memory_mebibytes: 64,
        },
        limits: Amounts {
            cpu_millicores: 200,
            memory_mebibytes: 128,
        },
    },
    exporter: Container {
        name: "exporter",
        image: "nginx/nginx-prometheus-exporter:1.3.0",
        port: ("metrics", 9113),
        requests: Amounts {
            cpu_millicores: 10,
            memory_mebibytes: 32,
        },
        limits: Amounts {
            cpu_millicores: 50,
            memory_mebibytes: 64,
        },
    },
    replicas: 3,
    service_port: 8080,
    readiness: Probe {
        delay_seconds: 5,
        period_seconds: 5,
    },
    liveness: Probe {
        delay_seconds: 10,
        period_seconds: 10,
    },
    scrape_seconds: 30,
};

impl Webapp {
    /// What a pod asks for, both containers together.
    #[must_use]
    pub const fn requests(&self) -> Amounts {
        let (a, b) = (self.server.requests, self.exporter.requests);
        Amounts {
            cpu_millicores: a.cpu_millicores + b.cpu_millicores,
            memory_mebibytes: a.memory_mebibytes + b.memory_mebibytes,
        }
    }
}

/// What the HPA is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpa {
    /// The fewest replicas.
    pub min: u32,
    /// The most replicas.
    pub max: u32,
    /// CPU that is aimed at, in percent of the request.
    pub cpu_percent: u32,
    /// Memory that is aimed at, in percent of the request.
    pub memory_percent: u32,
}

impl Default for Hpa {
    /// The published one.
    fn default() -> Self {
        Self {
            min: 1,
            max: 10,
            cpu_percent: 60,
            memory_percent: 80,
        }
    }
}

/// Up at once, by all that there is in 15 s; down by one pod in 30 s after a minute.
const UP: (i32, PolicyType, i32, i32) = (0, PolicyType::Percent, 100, 15);
const DOWN: (i32, PolicyType, i32, i32) = (60, PolicyType::Pods, 1, 30);

fn rules((window, kind, value, period_seconds): (i32, PolicyType, i32, i32)) -> ScalingRules {
    ScalingRules {
        stabilization_window_seconds: Some(window),
        policies: Some(vec![Policy {
            kind,
            value,
            period_seconds,
        }]),
        ..ScalingRules::default()
    }
}

impl Hpa {
    /// Its spec; of no target yet.
    #[must_use]
    pub fn spec(&self) -> HpaSpec {
        let whole = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        HpaSpec {
            min_replicas: Some(whole(self.min)),
            max_replicas: whole(self.max),
            metrics: vec![
                MetricSpec::utilization("cpu", whole(self.cpu_percent)),
                MetricSpec::utilization("memory", whole(self.memory_percent)),
            ],
            behavior: Some(Behavior {
                scale_up: Some(rules(UP)),
                scale_down: Some(rules(DOWN)),
            }),
            ..HpaSpec::default()
        }
    }

    /// The object that scales a Deployment, named after it as the published one is: `NAME-hpa`.
    ///
    /// # Errors
    /// Never with a spec of ours; the type cannot say so.
    pub fn object(&self, namespace: &str, deployment: &str) -> Result<Value> {
        let spec = HpaSpec {
            scale_target_ref: Some(ObjectReference {
                api_version: "apps/v1".to_owned(),
                kind: "Deployment".to_owned(),
                name: deployment.to_owned(),
            }),
            ..self.spec()
        };
        Ok(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": meta(namespace, deployment, &format!("{deployment}-hpa")),
            "spec": serde_json::to_value(spec).context("the HPA's spec")?,
        }))
    }
}

fn label(deployment: &str) -> Value {
    json!({"app.kubernetes.io/name": deployment})
}

fn meta(namespace: &str, deployment: &str, name: &str) -> Value {
    json!({"name": name, "namespace": namespace, "labels": label(deployment)})
}

/// The server's settings: its page, and what its exporter reads.
const SERVER_SETTINGS: &str = "server {
  listen 80;
  location = /stub_status { stub_status; access_log off; }
  location / { root /usr/share/nginx/html; }
}
";

impl Container {
    fn object(&self) -> Value {
        let amounts = |a: Amounts| json!({"cpu": format!("{}m", a.cpu_millicores), "memory": format!("{}Mi", a.memory_mebibytes)});
        let (name, number) = self.port;
        json!({
            "name": self.name,
            "image": self.image,
            "ports": [{"name": name, "containerPort": number}],
            "resources": {"requests": amounts(self.requests), "limits": amounts(self.limits)},
        })
    }
}

impl Webapp {
    /// The Deployment under a name; its pods carry `app.kubernetes.io/name`.
    #[must_use]
    pub fn deployment(&self, namespace: &str, name: &str) -> Value {
        let probe = |probe: Probe| {
            json!({
                "httpGet": {"path": "/", "port": self.server.port.0},
                "initialDelaySeconds": probe.delay_seconds,
                "periodSeconds": probe.period_seconds,
            })
        };
        let mut server = self.server.object();
        server["readinessProbe"] = probe(self.readiness);
        server["livenessProbe"] = probe(self.liveness);
        server["volumeMounts"] = json!([{"name": "settings", "mountPath": "/etc/nginx/conf.d"}]);
        let mut exporter = self.exporter.object();
        let status = format!("http://localhost:{}/stub_status", self.server.port.1);
        exporter["args"] = json!([format!("--nginx.scrape-uri={status}")]);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta(namespace, name, name),
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": label(name)},
                "template": {
                    "metadata": {"labels": label(name)},
                    "spec": {
                        "containers": [server, exporter],
                        "volumes": [{"name": "settings", "configMap": {"name": name}}],
                    },
                },
            },
        })
    }

    /// Everything that runs the workload under a name, and `hpa` on top.
    ///
    /// # Errors
    /// As [`Hpa::object`].
    pub fn objects(&self, namespace: &str, name: &str, hpa: &Hpa) -> Result<Vec<Value>> {
        let service_port =
            |name: &str, port: u16, to: &str| json!({"name": name, "port": port, "targetPort": to});
        let (server, exporter) = (self.server.port, self.exporter.port);
        Ok(vec![
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": meta(namespace, name, name),
                "data": {"default.conf": SERVER_SETTINGS},
            }),
            self.deployment(namespace, name),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta(namespace, name, name),
                "spec": {
                    "selector": label(name),
                    "ports": [
                        service_port("http", self.service_port, server.0),
                        service_port("metrics", exporter.1, exporter.0),
                    ],
                },
            }),
            hpa.object(namespace, name)?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The simulator flies what the manifest says: read back, it is the same spec.
    #[test]
    fn the_manifest_says_what_the_simulator_flies() {
        let hpa = Hpa::default();
        let object = hpa.object("default", "webapp").unwrap();
        let mut read: HpaSpec = serde_json::from_value(object["spec"].clone()).unwrap();
        assert_eq!(read.scale_target_ref.take().unwrap().name, "webapp");
        assert_eq!(read, hpa.spec());
        assert_eq!(object["metadata"]["name"], "webapp-hpa");
        let down = &object["spec"]["behavior"]["scaleDown"];
        assert_eq!(down["stabilizationWindowSeconds"], 60);
        assert_eq!(
            down["policies"][0],
            json!({"type": "Pods", "value": 1, "periodSeconds": 30})
        );
    }

    #[test]
    fn a_pod_asks_for_what_both_containers_do() {
        let sum = WEBAPP.requests();
        assert_eq!((sum.cpu_millicores, sum.memory_mebibytes), (110, 96));
        let object = WEBAPP.deployment("default", "webapp");
        let containers = object.pointer("/spec/template/spec/containers").unwrap();
        assert_eq!(
            containers[0]["resources"]["limits"],
            json!({"cpu": "200m", "memory": "128Mi"})
        );
        assert_eq!(
            containers[1]["resources"]["requests"],
            json!({"cpu": "10m", "memory": "32Mi"})
        );
        assert_eq!(containers[0]["readinessProbe"]["initialDelaySeconds"], 5);
    }
}
