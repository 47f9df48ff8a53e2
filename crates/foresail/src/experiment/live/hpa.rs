//! The HPA of the experiment: made from the flags, compared with what is there, taken away.

use std::time::Duration;

use anyhow::{Result, bail};
use foresail_adapters::kubernetes::fault::{Fault, call};
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};

use super::super::rules::Rules;
use super::site::Site;
use crate::cli::cluster::migrate::hpa::{Hpa, api};
use crate::cli::cluster::{FIELD_MANAGER, coded, refusal};
use crate::exit::Code;

/// The annotation of an HPA that a run made and takes away again: when it was made.
pub(crate) const MADE: &str = "foresail.dev/experiment-made";

/// How long a deleted HPA may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// How often is looked whether it is.
const NAP: Duration = Duration::from_millis(100);

/// The HPA that the flags ask for.
///
/// # Errors
/// Never for rules that are valid.
pub fn manifest(rules: &Rules, namespace: &str) -> Result<Value> {
    rules.hpa().object(namespace, &rules.options.deployment)
}

/// What the API server fills in where a field is absent.
/// Source: Kubernetes, pkg/apis/autoscaling/v2/defaults.go.
fn filled(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else {
        return spec;
    };
    fields.entry("minReplicas").or_insert(json!(1));
    // By name: the order of metrics means nothing.
    if let Some(Value::Array(metrics)) = fields.get_mut("metrics") {
        metrics.sort_by_key(|m| m.pointer("/resource/name").map(Value::to_string));
    }
    if let Some(Value::Object(behavior)) = fields.get_mut("behavior") {
        let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let double = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        fill(behavior, "scaleUp", json!([four, double.clone()]), Some(0));
        fill(behavior, "scaleDown", json!([double]), None);
    }
    spec
}

fn fill(behavior: &mut Map<String, Value>, way: &str, policies: Value, window: Option<i32>) {
    let rules = behavior.entry(way).or_insert_with(|| json!({}));
    let Some(rules) = rules.as_object_mut() else {
        return;
    };
    rules.entry("selectPolicy").or_insert(json!("Max"));
    rules.entry("policies").or_insert(policies);
    if let Some(window) = window {
        rules
            .entry("stabilizationWindowSeconds")
            .or_insert(json!(window));
    }
}

/// Every leaf of a value with its path.
fn leaves(at: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(&format!("{at}.{name}"), field, into);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                leaves(&format!("{at}[{place}]"), item, into);
            }
        }
        leaf => into.push((at.to_owned(), leaf.clone())),
    }
}

/// In what an HPA that is there differs from the one that is meant; empty where in nothing.
#[must_use]
pub fn differences(there: &Value, meant: &Value) -> Vec<String> {
    let of = |spec: &Value| {
        let mut spec = filled(spec);
        // Whose it is has been looked at before, and versions of one group mean the same.
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("scaleTargetRef");
        }
        let mut all = Vec::new();
        leaves("spec", &spec, &mut all);
        all
    };
    let (there, meant) = (of(there), of(meant));
    let found = |all: &[(String, Value)], path: &str| {
        let leaf = all.iter().find(|(p, _)| p == path);
        leaf.map_or_else(|| "absent".to_owned(), |(_, v)| v.to_string())
    };
    let mut paths: Vec<&String> = there.iter().chain(&meant).map(|(p, _)| p).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .map(|path| (path, found(&there, path), found(&meant, path)))
        .filter(|(_, is, must)| is != must)
        .map(|(path, is, must)| format!("{path} is {is} and not {must}"))
        .collect()
}

impl Site {
    fn hpas(&self) -> Api<kube::api::DynamicObject> {
        api(self.place.clients.write.clone(), &self.place.namespace)
    }

    fn what_hpa(&self, name: &str) -> String {
        format!("HorizontalPodAutoscaler {}/{name}", self.place.namespace)
    }

    /// The one HPA that scales the deployment.
    ///
    /// # Errors
    /// Where they cannot be read, or are several.
    pub(crate) async fn find_hpa(&self) -> Result<Option<Hpa>> {
        let reading = api(self.place.clients.read.clone(), &self.place.namespace);
        let listed = call(reading.list(&ListParams::default())).await;
        let listed = listed.map_err(|f| coded("HorizontalPodAutoscalers", &f))?;
        let all = listed.items.into_iter().map(Hpa);
        let mut ours: Vec<Hpa> = all
            .filter(|h| h.target().is_same(&self.place.target))
            .collect();
        if ours.len() > 1 {
            let names: Vec<String> = ours.iter().map(Hpa::name).collect();
            let told = format!(
                "{} is scaled by {} HorizontalPodAutoscalers ({}): Kubernetes blocks them all; delete all but one",
                self.what(),
                ours.len(),
                names.join(", ")
            );
            return Err(refusal(Code::Conflict, told));
        }
        Ok(ours.pop())
    }

    /// Refuses an HPA that is another one than the flags say.
    ///
    /// # Errors
    /// With every difference and the mend.
    pub(crate) fn check_hpa(&self, hpa: &Hpa, rules: &Rules) -> Result<()> {
        let meant = manifest(rules, &self.place.namespace)?;
        let differs = differences(hpa.spec(), &meant["spec"]);
        if differs.is_empty() {
            return Ok(());
        }
        let told = format!(
            "{} is another one than the flags say: {}; give --min-replicas, --max-replicas, --cpu-target and \
             --memory-target as it has them, change it, or delete it and let the run make its own",
            self.what_hpa(&hpa.name()),
            differs.join("; ")
        );
        Err(refusal(Code::Usage, told))
    }

    /// Refuses an HPA that somebody would make again as soon as it is gone.
    ///
    /// # Errors
    /// With who that is.
    pub(crate) fn check_owner(&self, hpa: &Hpa) -> Result<()> {
        let told = match (hpa.owner(), hpa.is_cut_over()) {
            (Some(owner), _) => format!("is made by {owner}, which would make it again"),
            (None, true) => {
                "was taken over by a PredictiveAutoscaler, which sets the replicas".to_owned()
            }
            (None, false) => return Ok(()),
        };
        let what = self.what_hpa(&hpa.name());
        Err(refusal(
            Code::Conflict,
            format!("{what} {told}: take that away first, or run another mode"),
        ))
    }

    /// Makes an HPA.
    ///
    /// # Errors
    /// With the code of what went wrong.
    pub(crate) async fn make_hpa(&self, manifest: &Value) -> Result<()> {
        let object: kube::api::DynamicObject = serde_json::from_value(manifest.clone())?;
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let name = object.name_any();
        let made = call(self.hpas().create(&parameters, &object)).await;
        match made {
            Ok(_) => Ok(()),
            Err(fault) => Err(coded(&self.what_hpa(&name), &fault)),
        }
    }

    /// Deletes an HPA, as it was read and no other, and waits until it is gone.
    ///
    /// # Errors
    /// With the code of what went wrong.
    pub(crate) async fn delete_hpa(&self, hpa: &Hpa) -> Result<()> {
        let (name, uid) = (hpa.name(), hpa.0.metadata.uid.clone());
        // Its status changes all the time, and with it its version: that it is the same one is enough.
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match call(self.hpas().delete(&name, &parameters)).await {
            Ok(_) | Err(Fault::NotFound(_)) => {}
            Err(fault) => return Err(coded(&self.what_hpa(&name), &fault)),
        }
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < GONE {
            match call(self.hpas().get_opt(&name)).await {
                Ok(None) => return Ok(()),
                Ok(Some(there)) if there.metadata.uid != uid => return Ok(()),
                _ => tokio::time::sleep(NAP).await,
            }
        }
        bail!(
            "{} was deleted and is still there after {} s: look at its finalizers",
            self.what_hpa(&name),
            GONE.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant() -> Value {
        json!({
            "minReplicas": 1, "maxReplicas": 10,
            "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]},
            },
        })
    }

    #[test]
    fn what_the_server_fills_in_and_the_order_of_metrics_are_no_difference() {
        let mut there = meant();
        there["scaleTargetRef"] =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        there["behavior"]["scaleUp"]["selectPolicy"] = json!("Max");
        there["behavior"]["scaleDown"]["selectPolicy"] = json!("Max");
        there["metrics"].as_array_mut().unwrap().reverse();
        let mut own = meant();
        own.as_object_mut().unwrap().remove("minReplicas");
        assert_eq!(differences(&there, &own), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named_by_its_path() {
        let mut there = meant();
        there["maxReplicas"] = json!(20);
        there["metrics"][0]["resource"]["target"]["averageUtilization"] = json!(50);
        there["behavior"]["scaleDown"]["tolerance"] = json!("0.2");
        assert_eq!(
            differences(&there, &meant()),
            [
                "spec.behavior.scaleDown.tolerance is \"0.2\" and not absent",
                "spec.maxReplicas is 20 and not 10",
                "spec.metrics[0].resource.target.averageUtilization is 50 and not 60",
            ]
        );
        let mut bare = meant();
        bare.as_object_mut().unwrap().remove("behavior");
        assert!(
            !differences(&bare, &meant()).is_empty(),
            "the older rules are others"
        );
    }
}
