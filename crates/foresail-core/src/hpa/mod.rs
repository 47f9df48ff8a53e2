//! The Kubernetes HorizontalPodAutoscaler at v1.37, exactly.
//!
//! Pure functions, one per step of its reconcile pass; the engine's proposer `hpa` and the guards
//! `Stabilization`, `Rate` and `Bounds` call them, and nothing here knows the order of a tick.
//! Integer milli-units as in Kubernetes; where its integers overflow ours saturate, unless
//! [`Overflow::BugCompatible`] asks for the original (the conformance command alone does).
//! Source: kubernetes/kubernetes v1.37.2, pkg/controller/podautoscaler.

mod metrics;
mod normalize;
mod pods;
mod records;
pub mod resolve;
mod rules;
mod spec;
pub mod status;

pub use metrics::{Failure, MetricStatus, MetricsProposal, Observed, proposal, statuses};
pub use normalize::{RateLimited, Shortcut, Stabilized, bound, rate_limit, shortcut, stabilize};
pub use pods::{Phase, Pod, PodReading, PodSample, Reading, Ready, Selector};
pub use records::{Record, Records, ScaleEvent, record_recommendation, record_scale};
pub use rules::{HpaProblem, MetricRule, Rules, Source, Target};
pub use spec::{
    Amount, Behavior, ControllerSettings, Gates, HpaSpec, MetricIdentifier, MetricSpec,
    MetricTarget, NamedMetric, ObjectReference, Overflow, Policy, PolicyType, ScalingRules,
    SelectPolicy,
};
