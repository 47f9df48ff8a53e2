//! Other autoscalers: HorizontalPodAutoscalers with what stands behind them, and objects of our own;
//! and whose a target is that several of them name.

use std::fmt;

use foresail_core::hpa::HpaSpec;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::jiff::Timestamp;

use super::crd::PredictiveAutoscaler;
use super::scale::Target;

/// Another who scales a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scaler {
    /// An HPA.
    Hpa(String),
    /// A KEDA ScaledObject, by the HPA that it made: `ScaledObject/web`.
    ScaledObject(String),
    /// An object of our own kind.
    Autoscaler(String),
}

impl fmt::Display for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hpa(name) => write!(f, "the HorizontalPodAutoscaler {name}"),
            Self::ScaledObject(owner) => f.write_str(owner),
            Self::Autoscaler(name) => write!(f, "the PredictiveAutoscaler {name}"),
        }
    }
}

/// Whose a target is, of the objects of our own kind that name it: the oldest's; equal ages go by name.
#[must_use]
pub fn owner<'a>(
    naming: impl IntoIterator<Item = &'a PredictiveAutoscaler>,
) -> Option<&'a PredictiveAutoscaler> {
    naming.into_iter().min_by_key(|object| age(object))
}

/// By what the oldest is found.
fn age(object: &PredictiveAutoscaler) -> (Option<Timestamp>, Option<&str>) {
    let meta = &object.metadata;
    let made = meta.creation_timestamp.as_ref().map(|t| t.0);
    (made, meta.name.as_deref())
}

/// An HPA, pruned.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSeen {
    /// Its unique name.
    pub uid: String,
    /// What it scales.
    pub target: Target,
    /// What it is told to do; `None` where it cannot be read.
    pub spec: Option<HpaSpec>,
    /// Replicas that it asks for.
    pub wanted: Option<i32>,
    /// Replicas that it saw when it last looked.
    pub current: Option<i32>,
    /// The object that made it, such as `ScaledObject/web`.
    pub owner: Option<String>,
    /// Its annotations that are ours.
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// The prefix of our annotations.
pub const ANNOTATIONS: &str = "foresail.dev/";

impl From<&HorizontalPodAutoscaler> for HpaSeen {
    fn from(object: &HorizontalPodAutoscaler) -> Self {
        let spec = object.spec.clone().unwrap_or_default();
        let written = serde_json::to_value(&spec).ok();
        let owner = object.metadata.owner_references.iter().flatten().next();
        let annotations = object.metadata.annotations.clone().unwrap_or_default();
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            target: Target {
                api_version: spec.scale_target_ref.api_version.unwrap_or_default(),
                kind: spec.scale_target_ref.kind,
                name: spec.scale_target_ref.name,
            },
            spec: written.and_then(|w| serde_json::from_value(w).ok()),
            wanted: object.status.as_ref().map(|s| s.desired_replicas),
            current: object.status.as_ref().and_then(|s| s.current_replicas),
            owner: owner.map(|o| format!("{}/{}", o.kind, o.name)),
            annotations: annotations
                .into_iter()
                .filter(|(k, _)| k.starts_with(ANNOTATIONS))
                .collect(),
        }
    }
}

impl HpaSeen {
    /// Who moves the target by it: its ScaledObject, else itself; nobody where it moves nothing.
    #[must_use]
    pub fn scaler(&self, name: &str) -> Option<Scaler> {
        if self.is_inert() {
            return None;
        }
        let owner = self.owner.as_ref();
        let keda = owner.filter(|o| o.starts_with("ScaledObject/"));
        Some(keda.map_or_else(
            || Scaler::Hpa(name.to_owned()),
            |owner| Scaler::ScaledObject(owner.clone()),
        ))
    }

    /// `true` where both directions are disabled: it stays, and moves nothing within its bounds.
    #[must_use]
    pub fn is_inert(&self) -> bool {
        use foresail_core::hpa::SelectPolicy::Disabled;
        let behavior = self.spec.as_ref().and_then(|s| s.behavior.as_ref());
        let off = |rules: Option<&foresail_core::hpa::ScalingRules>| {
            rules.is_some_and(|r| r.select_policy == Some(Disabled))
        };
        behavior.is_some_and(|b| off(b.scale_up.as_ref()) && off(b.scale_down.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hpa(owner: Option<&str>, policy: &str) -> HpaSeen {
        let owners = owner
            .map(|kind| json!([{"apiVersion": "v1", "kind": kind, "name": "web", "uid": "u"}]));
        let rules = json!({"selectPolicy": policy});
        let object: HorizontalPodAutoscaler = serde_json::from_value(json!({
            "metadata": {"name": "web", "ownerReferences": owners},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "maxReplicas": 3, "behavior": {"scaleUp": rules, "scaleDown": rules},
            },
        }))
        .unwrap();
        HpaSeen::from(&object)
    }

    #[test]
    fn an_hpa_that_moves_nothing_is_nobody_and_a_scaled_object_stands_for_its_own() {
        let who = |owner, policy| hpa(owner, policy).scaler("web");
        assert_eq!(who(None, "Max"), Some(Scaler::Hpa("web".to_owned())));
        let keda = Scaler::ScaledObject("ScaledObject/web".to_owned());
        assert_eq!(who(Some("ScaledObject"), "Max"), Some(keda));
        let other = who(Some("Rollout"), "Max");
        assert_eq!(other, Some(Scaler::Hpa("web".to_owned())));
        assert_eq!(who(Some("ScaledObject"), "Disabled"), None);
    }

    #[test]
    fn the_oldest_owns_its_target_and_equal_ages_go_by_name() {
        let made = |name: &str, second: u32| -> PredictiveAutoscaler {
            let at = format!("2026-01-01T00:00:{second:02}Z");
            serde_json::from_value(json!({
                "metadata": {"name": name, "creationTimestamp": at},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "minReplicas": 1, "maxReplicas": 3, "metrics": [],
                },
            }))
            .unwrap()
        };
        let all = [made("c", 2), made("b", 1), made("a", 2)];
        let name = |of: &[PredictiveAutoscaler]| owner(of)?.metadata.name.clone();
        assert_eq!(name(&all).as_deref(), Some("b"));
        assert_eq!(
            name(&[all[0].clone(), all[2].clone()]).as_deref(),
            Some("a")
        );
        assert_eq!(name(&[]), None);
    }
}
