//! The custom resource `PredictiveAutoscaler`: its types, its schema, its rules.
//!
//! Metrics and behavior are those of autoscaling/v2, so that an HPA's stanzas paste unchanged; all
//! else has a default. What is wrong with an object the API server refuses, and [`check`] of a file
//! or of an object that is older than a rule.

pub mod behavior;
pub mod check;
pub mod metric;
mod rules;
mod schema;
pub mod spec;
pub mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub use behavior::{Behavior, Policy, PolicyType, ScalingRules, SelectPolicy};
pub use check::read;
pub use metric::{EmptyIs, Metric, MetricType, Role};
pub use spec::{
    Actuation, ActuationType, AllowedAmounts, Combine, CombineRule, ContainerPolicy,
    ControlledResource, ControlledValues, Explain, FloorRule, ForecastSpec, Guardrails, Mode,
    PredictiveAutoscaler, PredictiveAutoscalerSpec, ProposerRef, Suspend, Vertical, VerticalMode,
};
pub use status::PredictiveAutoscalerStatus;

/// Group of the API.
pub const GROUP: &str = "autoscaling.foresail.dev";

/// Version of the API.
pub const VERSION: &str = "v1alpha1";

/// Kind of the object.
pub const KIND: &str = "PredictiveAutoscaler";

/// Proposers that an object may name: those of the registry that scale replicas by the metrics of an
/// object. Others need advice, a pool of containers, in-flight requests or a learner's checkpoint.
pub const PROPOSERS: [&str; 12] = [
    "aapa",
    "aapa-published",
    "buffered",
    "confidence-aware",
    "hpa",
    "persistence",
    "policy-aware",
    "predictive",
    "predictive-hpa",
    "schedule",
    "simple-ceiling",
    "static",
];

/// Forecasters that an object may name.
pub const FORECASTERS: [&str; 19] = [
    "auto",
    "boosted-trees",
    "conformal",
    "croston",
    "drift",
    "ensemble",
    "ets",
    "fourier",
    "holt-winters",
    "hybrid",
    "last",
    "lstm",
    "moving-quantile",
    "mstl",
    "prophet",
    "seasonal-naive",
    "seasonal-naive-scaled",
    "theta",
    "tsb",
];

/// The definition to be given to a cluster.
///
/// # Errors
/// Never for the types of this crate; the text names what the schema lacks.
pub fn crd() -> Result<CustomResourceDefinition, String> {
    serde_json::from_value(schema::definition()?).map_err(|e| format!("the definition: {e}"))
}

/// The definition as `deploy/crd.yaml` holds it.
///
/// # Errors
/// As [`crd`].
pub fn crd_yaml() -> Result<String, String> {
    let text = serde_saphyr::to_string(&schema::definition()?)
        .map_err(|e| format!("the definition: {e}"))?;
    Ok(format!("{HEADER}{text}"))
}

const HEADER: &str = "\
# Made from the types in crates/foresail-adapters/src/kubernetes/crd by
# `FORESAIL_BLESS=1 cargo test -p foresail-adapters --test crd_is_current`.
";
