//! The user's own HPA as a manifest: read, checked, and written again with other settings.

use std::path::Path;

use anyhow::{Context, Result, bail};
use foresail_core::hpa::{ControllerSettings, HpaSpec, MetricSpec, Rules, Target};
use serde_json::{Value, json};

/// The largest manifest that is read.
const BYTES_MAX: u64 = 1 << 20;

/// CPU utilization that Kubernetes aims at where no metric is given, in percent.
const PERCENT_DEFAULT: i32 = 80;

/// An HPA object that can be simulated.
#[derive(Clone, Debug)]
pub struct OwnHpa {
    /// The object as it was read, to be written again.
    object: Value,
    /// Its spec with the one metric that is simulated.
    pub spec: HpaSpec,
    /// Its name.
    pub name: String,
    /// The fewest and the most replicas.
    pub bounds: (u32, u32),
    /// CPU utilization that it aims at, in percent of the request.
    pub target_percent: u32,
    /// What a reader must know: metrics that are left out.
    pub notes: Vec<String>,
}

/// One choice of settings for a plain HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// CPU utilization that is aimed at, in percent.
    pub target_percent: u32,
    /// Down window in seconds; `None` leaves the user's own.
    pub down_window_seconds: Option<i32>,
    /// The fewest replicas.
    pub min: u32,
}

impl OwnHpa {
    /// Reads the HPA of a manifest; other objects in it are passed over.
    ///
    /// `request_millicores` is the CPU request of a pod in thousandths of a core.
    ///
    /// # Errors
    /// Where the file cannot be read, holds no HPA or several, or one that cannot be simulated.
    pub fn read(path: &Path, request_millicores: u32) -> Result<Self> {
        let name = path.display();
        let size = std::fs::metadata(path)
            .with_context(|| format!("cannot read {name}; name an HPA's manifest with --hpa"))?
            .len();
        if size > BYTES_MAX {
            bail!("{name} has {size} bytes, more than {BYTES_MAX}: name a manifest of one HPA");
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|e| anyhow::anyhow!("{name} is no YAML: {e}"))?;
        let mut found = documents.into_iter().flat_map(listed).filter(is_hpa);
        let Some(object) = found.next() else {
            bail!(
                "{name} holds no HorizontalPodAutoscaler of autoscaling/v2: save it with kubectl get hpa NAME -o yaml"
            );
        };
        if found.next().is_some() {
            bail!("{name} holds several HorizontalPodAutoscalers: leave one in it");
        }
        Self::of(object, request_millicores).with_context(|| name.to_string())
    }

    fn of(object: Value, request_millicores: u32) -> Result<Self> {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let spec = match version {
            "autoscaling/v2" => serde_json::from_value(object["spec"].clone()),
            "autoscaling/v1" => serde_json::from_value(converted(&object["spec"])),
            other => bail!(
                "apiVersion {other}: expected autoscaling/v2; save it with kubectl get hpa.v2.autoscaling NAME -o yaml"
            ),
        };
        let mut spec: HpaSpec = spec.context("spec")?;
        let notes = keep_cpu(&mut spec)?;
        let rules = Rules::compile(&spec, ControllerSettings::default());
        let rules = rules.map_err(|problems| {
            let all: Vec<_> = problems
                .iter()
                .map(|p| format!("spec.{}: {}", p.path, p.message))
                .collect();
            anyhow::anyhow!("{}", all.join("; "))
        })?;
        let target_percent = match rules.metrics().first().map(|m| m.target) {
            Some(Target::Utilization(percent)) => i64::from(percent),
            Some(Target::AverageValue(milli)) => milli * 100 / i64::from(request_millicores.max(1)),
            _ => i64::from(PERCENT_DEFAULT),
        };
        let count = |n: i32| u32::try_from(n).unwrap_or(0);
        let named = object["metadata"]["name"].as_str().unwrap_or("hpa");
        Ok(Self {
            name: named.to_owned(),
            bounds: (count(rules.min()), count(rules.max())),
            target_percent: u32::try_from(target_percent).unwrap_or(u32::MAX).max(1),
            object,
            spec,
            notes,
        })
    }

    /// The manifest with other settings, ready to be applied; a comment says where it comes from.
    ///
    /// # Errors
    /// Where it cannot be written as YAML.
    pub fn with(&self, choice: &Choice, why: &str) -> Result<String> {
        let mut object = self.object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for stale in [
                "creationTimestamp",
                "generation",
                "managedFields",
                "resourceVersion",
                "uid",
            ] {
                metadata.remove(stale);
            }
        }
        if object["apiVersion"] == "autoscaling/v1" {
            object["apiVersion"] = json!("autoscaling/v2");
            object["spec"] = converted(&object["spec"]);
        }
        let spec = &mut object["spec"];
        spec["minReplicas"] = json!(choice.min);
        let aim = json!({"type": "Utilization", "averageUtilization": choice.target_percent});
        let cpu = |m: &Value| resource_of(m).is_some_and(|r| r["name"] == "cpu");
        let metrics = spec["metrics"].as_array_mut();
        match metrics.and_then(|all| all.iter_mut().find(|m| cpu(m))) {
            Some(metric) => {
                let key = field_of(metric);
                metric[key]["target"] = aim;
            }
            None => {
                spec["metrics"] =
                    json!([{"type": "Resource", "resource": {"name": "cpu", "target": aim}}]);
            }
        }
        if let Some(window) = choice.down_window_seconds {
            spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = json!(window);
        }
        let yaml = serde_saphyr::to_string(&object).context("the HPA cannot be written as YAML")?;
        let comment: String = why.lines().map(|line| format!("# {line}\n")).collect();
        Ok(format!("{comment}{yaml}"))
    }
}

/// The objects of a document: itself, or those of a list.
fn listed(document: Value) -> Vec<Value> {
    match document.get("items").and_then(Value::as_array) {
        Some(items) => items.clone(),
        None => vec![document],
    }
}

fn is_hpa(object: &Value) -> bool {
    object["kind"] == "HorizontalPodAutoscaler"
}

/// The spec of autoscaling/v1 in the words of v2.
fn converted(spec: &Value) -> Value {
    let percent = spec.get("targetCPUUtilizationPercentage").cloned();
    let percent = percent.unwrap_or_else(|| json!(PERCENT_DEFAULT));
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("targetCPUUtilizationPercentage");
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        fields.insert("metrics".to_owned(), json!([metric]));
    }
    spec
}

fn field_of(metric: &Value) -> &'static str {
    if metric["type"] == "ContainerResource" {
        "containerResource"
    } else {
        "resource"
    }
}

fn resource_of(metric: &Value) -> Option<&Value> {
    metric.get(field_of(metric)).filter(|r| r.is_object())
}

/// Leaves the CPU metric alone in a spec; says what was taken out.
///
/// # Errors
/// Where no metric of CPU is left, or a second one.
fn keep_cpu(spec: &mut HpaSpec) -> Result<Vec<String>> {
    let is_cpu = |m: &MetricSpec| {
        let resource = m.resource.as_ref().or(m.container_resource.as_ref());
        resource.is_some_and(|r| r.name == "cpu")
    };
    let had = spec.metrics.len();
    let others: Vec<String> = spec
        .metrics
        .iter()
        .filter(|m| !is_cpu(m))
        .map(name)
        .collect();
    spec.metrics.retain(is_cpu);
    if spec.metrics.is_empty() && had > 0 {
        bail!(
            "spec.metrics: {} cannot be simulated; the simulated pods show their CPU alone: add a metric of resource cpu",
            others.join(", ")
        );
    }
    if spec.metrics.len() > 1 {
        bail!("spec.metrics: CPU stands there twice; leave one of them");
    }
    let note = |name: &String| {
        format!(
            "Your HPA's metric {name} is left out: the simulated pods show their CPU alone. In the cluster it can only add replicas."
        )
    };
    Ok(others.iter().map(note).collect())
}

fn name(metric: &MetricSpec) -> String {
    let resource = metric
        .resource
        .as_ref()
        .or(metric.container_resource.as_ref());
    let named = metric
        .pods
        .as_ref()
        .or(metric.object.as_ref())
        .or(metric.external.as_ref());
    resource
        .map(|r| r.name.clone())
        .or_else(|| named.map(|n| n.metric.name.clone()))
        .unwrap_or_else(|| metric.kind.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop, resourceVersion: '17', uid: x}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 30
  metrics:
  - type: Resource
    resource: {name: memory, target: {type: Utilization, averageUtilization: 75}}
  - type: Resource
    resource: {name: cpu, target: {type: AverageValue, averageValue: 600m}}
  behavior:
    scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 60}]}
status: {currentReplicas: 3, desiredReplicas: 3}
";

    fn object(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn an_average_value_is_a_share_of_the_request_and_memory_is_left_out_with_a_word() {
        let own = OwnHpa::of(object(MANIFEST), 1000).unwrap();
        assert_eq!((own.bounds, own.target_percent), ((2, 30), 60));
        assert_eq!(own.spec.metrics.len(), 1);
        assert!(own.notes[0].contains("memory"), "{:?}", own.notes);
    }

    #[test]
    fn the_written_manifest_keeps_all_but_the_chosen_settings() {
        let own = OwnHpa::of(object(MANIFEST), 1000).unwrap();
        let choice = Choice {
            target_percent: 45,
            down_window_seconds: Some(60),
            min: 4,
        };
        let text = own.with(&choice, "because").unwrap();
        assert!(text.starts_with("# because\n"), "{text}");
        let again = object(&text);
        let spec = &again["spec"];
        assert_eq!(
            (&spec["minReplicas"], &spec["maxReplicas"]),
            (&json!(4), &json!(30))
        );
        assert_eq!(spec["metrics"].as_array().unwrap().len(), 2, "memory stays");
        assert_eq!(
            spec["metrics"][1]["resource"]["target"],
            json!({"type": "Utilization", "averageUtilization": 45})
        );
        assert_eq!(
            spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"],
            60
        );
        assert_eq!(spec["behavior"]["scaleUp"]["policies"][0]["value"], 2);
        assert_eq!(
            again["metadata"],
            json!({"name": "web", "namespace": "shop"})
        );
        assert!(again.get("status").is_none());
        assert!(
            OwnHpa::of(again, 1000).is_ok(),
            "what is written can be read"
        );
    }

    #[test]
    fn the_older_form_is_taken_over() {
        let text = "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: web}, \
                    spec: {maxReplicas: 5, targetCPUUtilizationPercentage: 70, \
                    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}";
        let own = OwnHpa::of(object(text), 500).unwrap();
        assert_eq!((own.bounds, own.target_percent), ((1, 5), 70));
    }

    #[test]
    fn what_cannot_be_simulated_is_refused_by_name() {
        let refused = |text: &str, want: &str| {
            let error = format!("{:#}", OwnHpa::of(object(text), 1000).unwrap_err());
            assert!(error.contains(want), "{error}");
        };
        let spec = |metrics: &str| {
            format!(
                "{{apiVersion: autoscaling/v2, spec: {{maxReplicas: 3, metrics: [{metrics}]}}}}"
            )
        };
        refused(
            &spec(
                "{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 10}}}",
            ),
            "rps cannot be simulated",
        );
        refused(
            "{apiVersion: autoscaling/v2, spec: {maxReplicas: 3, minReplicas: 5}}",
            "minReplicas",
        );
        refused("{apiVersion: autoscaling/v2beta2, spec: {}}", "v2beta2");
    }
}
