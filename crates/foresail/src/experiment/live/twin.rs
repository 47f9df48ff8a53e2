//! Twins of a deployment: the same pods under another name and labels of their own, so that no HPA,
//! Service or ReplicaSet of the one chooses pods of the other.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use foresail_adapters::kubernetes::fault::{Fault, call};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};

use super::site::Site;
use crate::cli::cluster::{FIELD_MANAGER, coded};
use crate::interrupt;

/// The annotation of a twin: whose twin it is.
pub(crate) const TWIN: &str = "foresail.dev/experiment-twin";

/// The longest value of a label.
const LABEL_CHARS_MAX: usize = 63;

/// How often is looked whether a twin is there, or gone.
const NAP: Duration = Duration::from_millis(500);

/// A twin of a deployment, named with a suffix.
///
/// # Errors
/// Where the deployment chooses its pods by more than plain labels, or a name gets too long.
pub fn twin(of: &Deployment, suffix: &str, replicas: u32) -> Result<Deployment> {
    let name = of.metadata.name.clone().unwrap_or_default();
    let spec = of.spec.as_ref().context("the deployment has no spec")?;
    ensure!(
        spec.selector.match_expressions.iter().flatten().count() == 0,
        "Deployment {name} chooses its pods by matchExpressions, which a twin cannot keep apart: use matchLabels alone"
    );
    let chosen = spec.selector.match_labels.clone().unwrap_or_default();
    let own = |(key, value): (&String, &String)| {
        let value = format!("{value}-{suffix}");
        ensure!(
            value.len() <= LABEL_CHARS_MAX,
            "label {key}: {value} is longer than {LABEL_CHARS_MAX} characters: shorten it at Deployment {name}"
        );
        Ok((key.clone(), value))
    };
    let own: BTreeMap<String, String> = chosen.iter().map(own).collect::<Result<_>>()?;
    let mut twin = Deployment::default();
    twin.metadata.name = Some(format!("{name}-{suffix}"));
    twin.metadata.namespace.clone_from(&of.metadata.namespace);
    twin.metadata.annotations = Some([(TWIN.to_owned(), name)].into());
    let mut spec = spec.clone();
    spec.replicas = Some(i32::try_from(replicas).unwrap_or(i32::MAX));
    spec.selector.match_labels = Some(own.clone());
    let pods = spec.template.metadata.get_or_insert_default();
    pods.labels.get_or_insert_default().extend(own);
    twin.spec = Some(spec);
    Ok(twin)
}

/// The selector of a deployment's pods, as text.
#[must_use]
pub fn selector(of: &Deployment) -> String {
    let labels = of.spec.as_ref().map(|s| &s.selector.match_labels);
    let pairs = labels.into_iter().flatten().flatten();
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

/// The container that is put under stress: `nginx`, or the first.
#[must_use]
pub fn container(of: &Deployment) -> String {
    let pod = of.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    let all = || pod.into_iter().flat_map(|p| &p.containers);
    let found = all().find(|c| c.name == "nginx").or(all().next());
    found.map(|c| c.name.clone()).unwrap_or_default()
}

impl Site {
    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.place.clients.write.clone(), &self.place.namespace)
    }

    /// Makes a twin.
    ///
    /// # Errors
    /// With the code of what went wrong.
    pub(crate) async fn make_twin(&self, twin: &Deployment) -> Result<()> {
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let name = twin.metadata.name.clone().unwrap_or_default();
        match call(self.deployments().create(&parameters, twin)).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(coded(&format!("Deployment {name}"), &fault)),
        }
    }

    /// Deletes every twin of the deployment and waits until they are gone.
    ///
    /// # Errors
    /// With the code of what went wrong, or where one is not gone in time.
    pub(crate) async fn delete_twins(&self, most: Duration) -> Result<usize> {
        let listed = call(self.deployments().list(&ListParams::default())).await;
        let listed = listed.map_err(|f| coded("Deployments", &f))?;
        let is_twin = |d: &&Deployment| {
            let annotations = d.metadata.annotations.as_ref();
            annotations.and_then(|a| a.get(TWIN)).map(String::as_str) == Some(self.name())
        };
        let names: Vec<String> = listed
            .items
            .iter()
            .filter(is_twin)
            .filter_map(|d| d.metadata.name.clone())
            .collect();
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            ..DeleteParams::default()
        };
        for name in &names {
            match call(self.deployments().delete(name, &parameters)).await {
                Ok(_) | Err(Fault::NotFound(_)) => {}
                Err(fault) => return Err(coded(&format!("Deployment {name}"), &fault)),
            }
        }
        let begun = tokio::time::Instant::now();
        for name in &names {
            while !matches!(call(self.deployments().get_opt(name)).await, Ok(None)) {
                ensure!(
                    begun.elapsed() < most,
                    "Deployment {name} was deleted and is still there: look at its pods"
                );
                tokio::time::sleep(NAP).await;
            }
        }
        Ok(names.len())
    }

    /// Waits until all pods are ready and measured.
    ///
    /// # Errors
    /// Where that takes longer than `most`, or somebody interrupts.
    pub(crate) async fn wait_steady(&self, replicas: u32, most: Duration) -> Result<()> {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < most && !interrupt::asked() {
            if let Ok(shown) = self.look().await
                && shown.troubles.is_empty()
                && shown.state.ready.get() == replicas
                && shown.pods.len() == replicas as usize
            {
                return Ok(());
            }
            tokio::time::sleep(NAP).await;
        }
        match interrupt::asked() {
            true => bail!("interrupted before {} had its pods", self.what()),
            false => bail!(
                "{} has no {replicas} pods that are ready and measured after {} s: look at its pods and at metrics-server",
                self.what(),
                most.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(selector: &serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {
                "replicas": 9, "selector": selector,
                "template": {
                    "metadata": {"labels": {"app": "web", "tier": "front"}},
                    "spec": {"containers": [{"name": "exporter"}, {"name": "nginx"}]},
                },
            },
            "status": {"replicas": 9},
        }))
        .unwrap()
    }

    #[test]
    fn a_twin_has_pods_that_nothing_else_chooses() {
        let of = deployment(&json!({"matchLabels": {"app": "web"}}));
        let twin = twin(&of, "a", 3).unwrap();
        assert_eq!(twin.metadata.name.as_deref(), Some("web-a"));
        assert_eq!(
            (twin.metadata.uid.clone(), twin.status.clone()),
            (None, None)
        );
        assert_eq!(selector(&twin), "app=web-a");
        assert_eq!(container(&twin), "nginx");
        let spec = twin.spec.unwrap();
        assert_eq!(spec.replicas, Some(3));
        let labels = spec.template.metadata.unwrap().labels.unwrap();
        assert_eq!(
            (labels["app"].as_str(), labels["tier"].as_str()),
            ("web-a", "front")
        );
    }

    #[test]
    fn what_cannot_be_kept_apart_is_refused() {
        let expressions = json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]});
        assert!(twin(&deployment(&expressions), "a", 3).is_err());
        let long = json!({"matchLabels": {"app": "x".repeat(62)}});
        assert!(
            twin(&deployment(&long), "ab", 3)
                .unwrap_err()
                .to_string()
                .contains("label app")
        );
    }
}
