//! A HorizontalPodAutoscaler as it is, with every field of its version, and what becomes of it.
//!
//! It is kept as JSON: a field that this binary does not know is restored like all others.

use anyhow::{Context, Result, bail, ensure};
use foresail_adapters::kubernetes::convert::engine_spec;
use foresail_adapters::kubernetes::crd::{self, GROUP, KIND, VERSION};
use foresail_adapters::kubernetes::scale::Target;
use foresail_core::spec::SpecProblem;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::{ADOPTED_FROM, BEFORE_CUTOVER, HPA_MIN};

/// The largest original that an annotation keeps; all annotations may take 256 KiB.
const ORIGINAL_BYTES_MAX: usize = 200 << 10;

/// Fields of the spec that a cutover changes.
const CHANGED: [&str; 3] = ["behavior", "minReplicas", "maxReplicas"];

/// An annotation that repeats the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The prefix of our annotations.
const OURS: &str = "foresail.dev/";

/// HPAs of a namespace.
pub(crate) fn api(client: Client, namespace: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "horizontalpodautoscalers");
    Api::namespaced_with(client, namespace, &resource)
}

/// An HPA.
#[derive(Clone, Debug)]
pub(crate) struct Hpa(pub(crate) DynamicObject);

impl Hpa {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.0.name_any()
    }

    /// Its spec.
    pub(crate) fn spec(&self) -> &Value {
        &self.0.data["spec"]
    }

    fn number(&self, field: &str) -> Option<i32> {
        let number = self.spec().get(field)?.as_i64()?;
        i32::try_from(number).ok()
    }

    /// The fewest replicas.
    pub(crate) fn min(&self) -> i32 {
        self.number("minReplicas").unwrap_or(1)
    }

    /// The most replicas.
    pub(crate) fn max(&self) -> i32 {
        self.number("maxReplicas").unwrap_or(i32::MAX)
    }

    /// What it scales.
    pub(crate) fn target(&self) -> Target {
        let text = |field: &str| {
            let value = self.spec().pointer(&format!("/scaleTargetRef/{field}"));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (mut api_version, kind) = (text("apiVersion"), text("kind"));
        // Kubernetes takes the short form for its own kinds.
        if api_version.is_empty()
            && matches!(kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet")
        {
            api_version = "apps/v1".to_owned();
        }
        Target {
            api_version,
            kind,
            name: text("name"),
        }
    }

    /// The object that made it, such as `ScaledObject/web`.
    pub(crate) fn owner(&self) -> Option<String> {
        let owner = self.0.owner_references().first()?;
        Some(format!("{}/{}", owner.kind, owner.name))
    }

    /// One of its annotations.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.0.annotations().get(name).map(String::as_str)
    }

    /// `true` where a cutover took it over.
    pub(crate) fn is_cut_over(&self) -> bool {
        self.annotation(BEFORE_CUTOVER).is_some()
    }

    /// `true` where both directions are disabled.
    pub(crate) fn is_inert(&self) -> bool {
        ["scaleUp", "scaleDown"].iter().all(|way| {
            let policy = self
                .spec()
                .pointer(&format!("/behavior/{way}/selectPolicy"));
            policy.and_then(Value::as_str) == Some("Disabled")
        })
    }

    /// The manifest that makes the same HPA again, as one line of JSON.
    ///
    /// # Errors
    /// Where it is too long for an annotation.
    pub(crate) fn original(&self) -> Result<String> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name()));
        if let Some(namespace) = self.0.namespace() {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        if !self.0.labels().is_empty() {
            metadata.insert("labels".to_owned(), json!(self.0.labels()));
        }
        let own = |name: &String| name != LAST_APPLIED && !name.starts_with(OURS);
        let annotations: Map<String, Value> = self
            .0
            .annotations()
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
        let whole = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": metadata, "spec": self.own_spec()?,
        });
        let text = whole.to_string();
        ensure!(
            text.len() <= ORIGINAL_BYTES_MAX,
            "HorizontalPodAutoscaler {} takes {} bytes; an annotation keeps {ORIGINAL_BYTES_MAX}: shorten its annotations or metrics",
            self.name(),
            text.len()
        );
        Ok(text)
    }

    /// Its spec as its owner wrote it, without what a cutover or a raised floor changed.
    fn own_spec(&self) -> Result<Value> {
        let mut own = self.clone();
        own.restore()?;
        Ok(own.0.data["spec"].clone())
    }

    /// Lets it move nothing more within bounds that never bind; what was is kept in an annotation.
    ///
    /// An HPA with both directions Disabled still brings its target into its own bounds.
    /// Source: Kubernetes, horizontal.go; vector 19 of the HPA's vectors.
    ///
    /// # Errors
    /// Where its spec is none.
    pub(crate) fn cut_over(&mut self, bounds: (i32, i32)) -> Result<()> {
        if !self.is_cut_over() {
            let kept: Map<String, Value> = CHANGED
                .iter()
                .filter_map(|f| Some(((*f).to_owned(), self.spec().get(*f)?.clone())))
                .collect();
            let kept = Value::Object(kept).to_string();
            self.0
                .annotations_mut()
                .insert(BEFORE_CUTOVER.to_owned(), kept);
        }
        let (min, max) = self.widened(bounds);
        let spec = self.spec_mut()?;
        spec.insert("minReplicas".to_owned(), json!(min));
        spec.insert("maxReplicas".to_owned(), json!(max));
        let behavior = spec.entry("behavior").or_insert_with(|| json!({}));
        for way in ["scaleUp", "scaleDown"] {
            behavior[way]["selectPolicy"] = json!("Disabled");
        }
        Ok(())
    }

    /// Bounds that hold its own and others. Zero is written only where it was: not every cluster takes
    /// it, and at zero replicas an HPA moves nothing anyway.
    pub(crate) fn widened(&self, (floor, ceiling): (i32, i32)) -> (i32, i32) {
        let least = if self.min() == 0 { 0 } else { 1 };
        (self.min().min(floor).max(least), self.max().max(ceiling))
    }

    fn spec_mut(&mut self) -> Result<&mut Map<String, Value>> {
        let spec = self.0.data.get_mut("spec").and_then(Value::as_object_mut);
        spec.context("the HorizontalPodAutoscaler has no spec")
    }

    /// Takes back what a cutover or a raised floor changed; `false` where nothing was.
    ///
    /// # Errors
    /// Where an annotation that keeps it cannot be read.
    pub(crate) fn restore(&mut self) -> Result<bool> {
        let mut changed = false;
        // A floor may have been raised before the cutover, so it is the older change.
        if let Some(kept) = self.0.annotations_mut().remove(BEFORE_CUTOVER) {
            let kept: Map<String, Value> = serde_json::from_str(&kept).with_context(|| {
                format!("annotation {BEFORE_CUTOVER} of the HorizontalPodAutoscaler is not what was written there; mend it by hand from {ADOPTED_FROM} of the object")
            })?;
            let spec = self.spec_mut()?;
            for field in CHANGED {
                match kept.get(field) {
                    Some(value) => spec.insert(field.to_owned(), value.clone()),
                    None => spec.remove(field),
                };
            }
            changed = true;
        }
        if let Some(kept) = self.0.annotations_mut().remove(HPA_MIN) {
            let min: i32 = kept.parse().with_context(|| {
                format!("annotation {HPA_MIN} of the HorizontalPodAutoscaler is `{kept}`, which is no number; mend it by hand")
            })?;
            self.spec_mut()?
                .insert("minReplicas".to_owned(), json!(min));
            changed = true;
        }
        Ok(changed)
    }

    /// An object of ours in mode Shadow with the same metrics, bounds and behavior; an absent behavior
    /// stays absent, since it is not the same as its defaults.
    ///
    /// # Errors
    /// Where the HPA has something that an object of ours cannot say.
    pub(crate) fn adopted(&self) -> Result<Value> {
        let target = self.target();
        if target.api_version.is_empty() {
            bail!(
                "HorizontalPodAutoscaler {}: scaleTargetRef has no apiVersion; write it there first",
                self.name()
            );
        }
        let own = self.own_spec()?;
        let metrics = own.get("metrics").cloned().unwrap_or_else(default_metrics);
        let mut spec = json!({
            "scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name},
            "mode": "Shadow",
            "minReplicas": own.get("minReplicas").cloned().unwrap_or(json!(1)),
            "maxReplicas": own.get("maxReplicas").cloned().unwrap_or(Value::Null),
            "metrics": metrics,
        });
        if let Some(behavior) = own.get("behavior") {
            spec["behavior"] = behavior.clone();
        }
        let mut metadata =
            json!({"name": self.name(), "annotations": {ADOPTED_FROM: self.original()?}});
        if let Some(namespace) = self.0.namespace() {
            metadata["namespace"] = json!(namespace);
        }
        let manifest = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "metadata": metadata, "spec": spec,
        });
        self.check(&manifest)?;
        Ok(manifest)
    }

    /// Refuses what an object of ours cannot say, or what no engine could carry out.
    fn check(&self, manifest: &Value) -> Result<()> {
        let found = crd::read(manifest).and_then(|object| engine_spec(&object));
        let name = self.name();
        found.map(drop).map_err(|problems| {
            anyhow::anyhow!(
                "HorizontalPodAutoscaler {name} cannot be said as an object of ours: {}",
                SpecProblem::joined(&problems)
            )
        })
    }
}

/// What the API server takes for absent metrics.
/// Source: Kubernetes, pkg/apis/autoscaling/v2/defaults.go.
fn default_metrics() -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hpa(spec: &Value) -> Hpa {
        let value = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "x"}},
            "spec": spec,
        });
        Hpa(serde_json::from_value(value).unwrap())
    }

    fn plain() -> Value {
        json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 20,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}],
        })
    }

    #[test]
    fn a_cutover_is_inert_within_wide_bounds_and_comes_back_verbatim() {
        let mut fast = plain();
        fast["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}});
        let mut newer = plain();
        newer["fieldOfAFutureVersion"] = json!({"x": [1]});
        for spec in [plain(), fast, newer] {
            let mut object = hpa(&spec);
            let before = object.original().unwrap();
            object.cut_over((1, 60)).unwrap();
            assert!(object.is_inert() && object.is_cut_over());
            assert_eq!((object.min(), object.max()), (1, 60));
            assert_eq!(
                object.original().unwrap(),
                before,
                "the original is the owner's"
            );
            // Again changes nothing of what is kept.
            object.cut_over((0, 80)).unwrap();
            assert_eq!((object.min(), object.max()), (1, 80));
            assert!(object.restore().unwrap());
            assert_eq!(object.spec(), &spec);
            assert!(!object.restore().unwrap(), "it was restored already");
            assert_eq!(object.0.annotations().len(), 2);
        }
    }

    #[test]
    fn a_raised_floor_is_taken_back_too() {
        let mut object = hpa(&plain());
        object
            .0
            .annotations_mut()
            .insert(HPA_MIN.to_owned(), "2".to_owned());
        object
            .spec_mut()
            .unwrap()
            .insert("minReplicas".to_owned(), json!(9));
        assert_eq!(object.adopted().unwrap()["spec"]["minReplicas"], 2);
        object.cut_over((1, 60)).unwrap();
        assert!(object.restore().unwrap());
        assert_eq!(object.spec(), &plain());
    }

    #[test]
    fn an_absent_behavior_stays_absent_and_absent_metrics_are_the_servers() {
        let mut bare = plain();
        bare.as_object_mut().unwrap().remove("metrics");
        bare.as_object_mut().unwrap().remove("minReplicas");
        let made = hpa(&bare).adopted().unwrap();
        assert!(made["spec"].get("behavior").is_none());
        assert_eq!(made["spec"]["minReplicas"], 1);
        assert_eq!(
            made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
            80
        );
        assert_eq!(made["spec"]["mode"], "Shadow");
        let kept: Value = serde_json::from_str(
            made["metadata"]["annotations"][ADOPTED_FROM]
                .as_str()
                .unwrap(),
        )
        .unwrap();
        assert_eq!(kept["spec"], bare);
        assert_eq!(kept["metadata"]["annotations"], json!({"team": "x"}));
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_its_path() {
        let mut odd = plain();
        odd["metrics"][0]["resource"]["newer"] = json!(1);
        let error = hpa(&odd).adopted().unwrap_err().to_string();
        assert!(error.contains("spec.metrics[0].resource.newer"), "{error}");
    }

    #[test]
    fn zero_is_written_only_where_it_was() {
        let mut zero = plain();
        zero["minReplicas"] = json!(0);
        assert_eq!(hpa(&zero).widened((5, 10)), (0, 20));
        assert_eq!(hpa(&plain()).widened((0, 10)), (1, 20));
    }
}
