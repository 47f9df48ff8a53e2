//! Other autoscalers: HorizontalPodAutoscalers, and what stands behind them.

use foresail_core::hpa::HpaSpec;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::scale::Target;

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
