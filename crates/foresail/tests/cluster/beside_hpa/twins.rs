//! Twin Deployments that get the same arrivals, one under the HPA and one under Foresail's
//! controller, watched once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::curve::Curve;
use super::process::Controller;
use crate::crd;
use crate::rig::{Rig, wait_until};

/// Time between two syncs of the HPA and of ours.
pub const SYNC_SECONDS: f64 = 5.0;

/// CPU target in percent of the request.
pub const TARGET_PERCENT: u32 = 50;

/// CPU request of a pod in thousandths of a core; the limit is twice that.
pub const REQUEST_MILLI: u32 = 100;

/// CPU of a request in milliseconds: a pod at the target serves 5 requests/s, at its limit 20.
pub const REQUEST_MS: u32 = 10;

/// Requests per second that a pod serves at the target.
pub const CAPACITY: f64 = 5.0;

/// Seconds of demand that are recorded before a course begins.
pub const BEFORE: f64 = 70.0;

/// Who scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twin {
    Hpa,
    Ours,
}

impl Twin {
    pub const ALL: [Self; 2] = [Self::Hpa, Self::Ours];

    /// Its Deployment, its workload in the script, and its autoscaler.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hpa => "by-hpa",
            Self::Ours => "by-ours",
        }
    }
}

/// What is run.
#[derive(Debug)]
pub struct Course {
    pub namespace: &'static str,
    /// Seconds, requests per second.
    pub profile: Vec<(f64, f64)>,
    /// `step` or `line`.
    pub shape: &'static str,
    /// Seconds that are watched.
    pub length: f64,
    /// From a pod's place to its running.
    pub startup_seconds: u32,
    pub down_window_seconds: u32,
    /// At the begin, at least, at most.
    pub replicas: (i32, i32, i32),
    /// What the spec of ours has beside: its forecast, and a metric of the demand. When the script
    /// begins is given then; otherwise once both are steady.
    pub more: Option<More>,
}

/// What makes ours look ahead.
#[derive(Debug)]
pub struct More {
    pub metric: Value,
    pub forecast: Value,
    /// Seconds since 1970.
    pub start: i64,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Replicas that are asked for.
    pub asked: BTreeMap<Twin, Curve>,
    pub ready: BTreeMap<Twin, Curve>,
    /// Requests per second by the second, beginning [`BEFORE`] the course.
    pub demand: Vec<f64>,
    /// Seconds from a pod's creation to its being ready, mean.
    pub startup: f64,
    /// When usage was sampled, in seconds from the begin: one time of many, a period apart.
    pub sampled_at: f64,
    pub initial: u32,
    pub bounds: (u32, u32),
    pub down_window_seconds: u32,
}

impl Course {
    fn script(&self, start: i64) -> String {
        let start = Timestamp::from_second(start).unwrap();
        let workload = |twin: Twin| {
            json!({
                "namespace": self.namespace, "name": twin.name(), "profile": self.profile,
                "shape": self.shape, "start": start.to_string(), "cpuMs": REQUEST_MS,
                "cv": 0.05, "seed": 7,
            })
        };
        json!({ "workloads": Twin::ALL.map(workload) }).to_string()
    }

    fn metric() -> Value {
        let target = json!({"type": "Utilization", "averageUtilization": TARGET_PERCENT});
        json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    }

    /// What the spec of an HPA and of ours have in common.
    fn spec(&self, twin: Twin) -> Value {
        json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": twin.name()},
            "minReplicas": self.replicas.1, "maxReplicas": self.replicas.2,
            "metrics": [Self::metric()],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": self.down_window_seconds}},
        })
    }

    fn make(&self, rig: &Rig) {
        let resources = json!({
            "requests": {"cpu": format!("{REQUEST_MILLI}m")},
            "limits": {"cpu": format!("{}m", 2 * REQUEST_MILLI)},
        });
        let annotations = json!({"rig/startup": self.startup_seconds.to_string()});
        for twin in Twin::ALL {
            let target = (self.namespace, twin.name());
            rig.deployment(target, self.replicas.0, &resources, &annotations);
        }
        let hpa = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": Twin::Hpa.name()}, "spec": self.spec(Twin::Hpa),
        });
        rig.apply_object(self.namespace, &hpa).unwrap();
        let mut spec = self.spec(Twin::Ours);
        spec["mode"] = json!("Auto");
        spec["syncPeriodSeconds"] = json!(SYNC_SECONDS as u32);
        if let Some(more) = &self.more {
            spec["metrics"]
                .as_array_mut()
                .unwrap()
                .push(more.metric.clone());
            spec["forecast"] = more.forecast.clone();
        }
        let ours = json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": Twin::Ours.name()}, "spec": spec,
        });
        rig.apply_object(self.namespace, &ours).unwrap();
    }

    /// Makes everything, waits until both are steady, and watches the course.
    pub fn run(&self, rig: &Rig, arguments: &[String]) -> Seen {
        crd::install(rig);
        rig.namespace(self.namespace);
        let far = now_seconds() as i64 + 86_400;
        let given = self.more.as_ref().map(|m| m.start);
        rig.script(self.namespace, &self.script(given.unwrap_or(far)));
        self.make(rig);
        let mut controller = Controller::start(rig, self.namespace, arguments);
        let initial = i64::from(self.replicas.0);
        let mut steady_since = None;
        wait_until(Duration::from_secs(240), "both twins are steady", || {
            let both = Twin::ALL.map(|t| rig.replicas(self.namespace, t.name()));
            // A forecast may ask for more at its begin.
            let even = both[0] == (initial, initial) && (given.is_some() || both[1] == both[0]);
            let active = even && self.is_active(rig);
            steady_since = steady_since.filter(|_| active).or(active.then(now_seconds));
            steady_since.filter(|since| now_seconds() - since > BEFORE / 2.0)
        });
        controller.check();
        let start = given.unwrap_or(now_seconds() as i64 + 5);
        assert!(start as f64 > now_seconds(), "steady only after the begin");
        rig.script(self.namespace, &self.script(start));
        let seen = self.watch(rig, start as f64);
        controller.check();
        seen
    }

    /// Whether both autoscalers read their metric.
    fn is_active(&self, rig: &Rig) -> bool {
        let group = |twin| match twin {
            Twin::Hpa => "autoscaling/v2",
            Twin::Ours => "autoscaling.foresail.dev/v1alpha1",
        };
        let plural = |twin| match twin {
            Twin::Hpa => "horizontalpodautoscalers",
            Twin::Ours => "predictiveautoscalers",
        };
        Twin::ALL.into_iter().all(|twin| {
            let (group, plural, name) = (group(twin), plural(twin), twin.name());
            let path = format!(
                "/apis/{group}/namespaces/{}/{plural}/{name}",
                self.namespace
            );
            let object = rig.get(&path).unwrap();
            let conditions = object["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.unwrap_or_default().into_iter();
            conditions.any(|c| c["type"] == "ScalingActive" && c["status"] == "True")
        })
    }

    fn watch(&self, rig: &Rig, start: f64) -> Seen {
        let mut asked: BTreeMap<Twin, Vec<(f64, f64)>> = BTreeMap::new();
        let mut ready = asked.clone();
        let mut startups = BTreeMap::new();
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        let mut sampled_at = None;
        let mut turn = 0_u32;
        while now_seconds() < start + self.length {
            let list = rig.get(&path).unwrap();
            let at = now_seconds() - start;
            for twin in Twin::ALL {
                let items = list["items"].as_array().unwrap();
                let of_twin = |d: &&Value| d["metadata"]["name"] == twin.name();
                let one = items.iter().find(of_twin).unwrap();
                let number = |path: &str| one.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
                asked
                    .entry(twin)
                    .or_default()
                    .push((at, number("/spec/replicas")));
                ready
                    .entry(twin)
                    .or_default()
                    .push((at, number("/status/readyReplicas")));
            }
            if turn.is_multiple_of(10) {
                self.take_startups(rig, &mut startups);
                sampled_at = self.sampled(rig).map(|at| at - start).or(sampled_at);
            }
            turn += 1;
            let next = start + at + 1.0 - now_seconds();
            std::thread::sleep(Duration::from_secs_f64(next.clamp(0.0, 1.0)));
        }
        let curves = |all: BTreeMap<Twin, Vec<(f64, f64)>>| {
            let curve =
                |(twin, points): (Twin, Vec<_>)| (twin, Curve::stepped(&points, self.length));
            all.into_iter().map(curve).collect()
        };
        let count = |n: i32| u32::try_from(n).unwrap();
        Seen {
            asked: curves(asked),
            ready: curves(ready),
            demand: demand(
                &rig.demand(self.namespace, Twin::Hpa.name()),
                start,
                self.length,
            ),
            startup: startups.values().sum::<f64>() / startups.len() as f64,
            sampled_at: sampled_at.expect("metrics.k8s.io has times"),
            initial: count(self.replicas.0),
            bounds: (count(self.replicas.1), count(self.replicas.2)),
            down_window_seconds: self.down_window_seconds,
        }
    }

    /// When metrics-server took its newest sample.
    fn sampled(&self, rig: &Rig) -> Option<f64> {
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
            self.namespace
        );
        let list = rig.get(&path).ok()?;
        let pods = list["items"].as_array()?.iter();
        pods.map(|pod| seconds(&pod["timestamp"])).reduce(f64::max)
    }

    /// Time from creation to readiness of the pods that are ready, by name.
    fn take_startups(&self, rig: &Rig, startups: &mut BTreeMap<String, f64>) {
        for pod in rig.pods(self.namespace, Twin::Hpa.name()) {
            let conditions = pod["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.unwrap_or_default().into_iter();
            let Some(ready) = conditions.find(|c| c["type"] == "Ready" && c["status"] == "True")
            else {
                continue;
            };
            let took = seconds(&ready["lastTransitionTime"])
                - seconds(&pod["metadata"]["creationTimestamp"]);
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            startups.entry(name).or_insert(took);
        }
    }
}

fn seconds(text: &Value) -> f64 {
    let stamp: Timestamp = text.as_str().unwrap().parse().unwrap();
    stamp.as_second() as f64
}

/// Seconds since 1970.
pub fn now_seconds() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}

/// Requests per second at each second from [`BEFORE`] the start, by the driver's record.
fn demand(record: &[Vec<String>], start: f64, length: f64) -> Vec<f64> {
    let number = |text: &String| text.parse::<f64>().unwrap();
    let row = |row: &Vec<String>| (number(&row[0]) - start + BEFORE, number(&row[1]));
    let points: Vec<_> = record[1..]
        .iter()
        .map(row)
        .filter(|p| p.0 >= -1.0)
        .collect();
    Curve::stepped(&points, length + BEFORE).values().to_vec()
}
