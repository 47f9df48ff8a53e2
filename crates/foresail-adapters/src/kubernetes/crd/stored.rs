//! An object as a server holds it, which may be older than a rule of the schema.

use std::borrow::Cow;

use foresail_core::spec::SpecProblem;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::check;
use super::spec::{PredictiveAutoscaler, PredictiveAutoscalerSpec};

/// An object as a server holds it. One whose form is not ours hides no other one of its list: it is
/// there by its name, with a spec of which nothing is known.
///
/// A status that cannot be read is absent: it is the controller's own.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object; its spec is [`PredictiveAutoscalerSpec::unknown`] where it cannot be read.
    pub object: PredictiveAutoscaler,
    /// Why it cannot be read; empty where it can.
    pub unreadable: Vec<SpecProblem>,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = Value::deserialize(deserializer)?;
        let mut taken = |field: &str| whole.get_mut(field).map_or(Value::Null, Value::take);
        let (metadata, spec, status) = (taken("metadata"), taken("spec"), taken("status"));
        let metadata: ObjectMeta = serde_json::from_value(metadata).map_err(D::Error::custom)?;
        let (spec, unreadable) = match PredictiveAutoscalerSpec::deserialize(&spec) {
            Ok(spec) => (spec, Vec::new()),
            Err(error) => (PredictiveAutoscalerSpec::unknown(), problems(&spec, &error)),
        };
        let object = PredictiveAutoscaler {
            metadata,
            spec,
            status: serde_json::from_value(status).ok(),
        };
        Ok(Self { object, unreadable })
    }
}

/// Why a spec cannot be read: by the schema, which names each field, else as the reader says.
fn problems(spec: &Value, error: &serde_json::Error) -> Vec<SpecProblem> {
    let found = check::form_problems(&check::without_nulls(spec));
    if found.is_empty() {
        return vec![SpecProblem::new("spec", error.to_string())];
    }
    found
}

impl Resource for Stored {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind(dt: &()) -> Cow<'_, str> {
        PredictiveAutoscaler::kind(dt)
    }

    fn group(dt: &()) -> Cow<'_, str> {
        PredictiveAutoscaler::group(dt)
    }

    fn version(dt: &()) -> Cow<'_, str> {
        PredictiveAutoscaler::version(dt)
    }

    fn plural(dt: &()) -> Cow<'_, str> {
        PredictiveAutoscaler::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.object.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.object.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::crd::Mode;
    use serde_json::json;

    fn stored(spec: &Value, status: &Value) -> Stored {
        let object = json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_cannot_be_read_is_there_by_its_name_and_does_nothing() {
        let good = json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Auto", "maxReplicas": 9, "metrics": [],
        });
        let read = stored(&good, &json!({"currentReplicas": 4}));
        assert_eq!(read.unreadable, Vec::new());
        assert_eq!(read.object.spec.max_replicas, 9);
        assert_eq!(read.object.status.unwrap().current_replicas, Some(4));
        for (field, value) in [
            ("maxReplicas", json!("nine")),
            ("mode", json!("Fast")),
            ("metrics", json!(7)),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let read = stored(&bad, &json!({"currentReplicas": "many"}));
            let told = SpecProblem::joined(&read.unreadable);
            assert!(told.starts_with(&format!("spec.{field}")), "{told}");
            assert_eq!(read.object.spec.mode, Mode::Off);
            assert_eq!(read.meta().name.as_deref(), Some("web"));
            assert_eq!(read.object.status, None);
        }
        assert!(!stored(&Value::Null, &Value::Null).unreadable.is_empty());
    }
}
