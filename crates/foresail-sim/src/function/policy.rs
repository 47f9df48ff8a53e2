//! Policies of function mode as specs: one scope, a target per function, axes pool and keepAlive.

use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{CombineSpec, Floor, PoolSpec, ProposerSpec, Spec, TargetSpec};
use serde_json::json;

use super::config::{Function, Platform};

/// The most containers of one pool.
const POOL_MAX: u32 = 1000;

/// One policy, ready to be run over any functions.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionPolicy {
    /// Its name.
    pub name: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// Who wishes.
    pub proposer: ProposerSpec,
    /// Time between two ticks.
    pub interval: Span,
    /// `true` where it reads idle times and demand.
    pub reads: bool,
}

impl FunctionPolicy {
    /// What the engine is told: a target per function, in their order.
    ///
    /// The reactive floor is that of pools: what is busy, which the bounds keep.
    #[must_use]
    pub fn spec(&self, functions: &[Function], platform: &Platform) -> Spec {
        // No replicas are set; Kubernetes' form wants a bound all the same.
        let hpa = HpaSpec {
            max_replicas: 1,
            ..HpaSpec::default()
        };
        let target = |function: &Function| {
            let bytes = i64::try_from(function.memory).unwrap_or(i64::MAX);
            let memory = Quantity::from_milli(bytes.saturating_mul(1000), Unit::Bytes);
            let pool = PoolSpec {
                min: Replicas::ZERO,
                max: Replicas::new(POOL_MAX),
                memory: Some(memory),
            };
            TargetSpec {
                id: TargetId::new(&function.id),
                hpa: hpa.clone(),
                capacity: None,
                pool: Some(pool),
                startup: Some(platform.cold_start.mean),
            }
        };
        let mut spec = Spec::of_hpa(TargetId::default(), hpa.clone());
        spec.targets = functions.iter().map(target).collect();
        spec.proposers = vec![self.proposer.clone()];
        spec.interval = self.interval;
        let min_share_percent = 0;
        spec.combine = CombineSpec {
            floor: Floor::Relaxed { min_share_percent },
            ..CombineSpec::default()
        };
        spec
    }
}

/// The fixed keep-alive at one setting. It decides once a day: its answer is always the same.
#[must_use]
pub fn fixed(minutes: u32) -> FunctionPolicy {
    let mut proposer = ProposerSpec::named("keepalive-fixed");
    let seconds = json!(u64::from(minutes) * 60);
    proposer
        .knobs
        .insert("keepAliveSeconds".to_owned(), seconds);
    FunctionPolicy {
        name: "keepalive-fixed".to_owned(),
        summary: format!("idle containers stay warm for {minutes} minutes"),
        proposer,
        interval: Span::from_seconds(86_400),
        reads: false,
    }
}

/// The hybrid histogram, decided once a minute: the width of its bins.
#[must_use]
pub fn histogram() -> FunctionPolicy {
    let summary = "unloads idle functions and loads them again before they are expected";
    FunctionPolicy {
        name: "keepalive-histogram".to_owned(),
        summary: summary.to_owned(),
        proposer: ProposerSpec::named("keepalive-histogram"),
        interval: Span::from_seconds(60),
        reads: true,
    }
}

/// The default set: ten minutes, as the large platforms had it, and the hybrid histogram.
#[must_use]
pub fn default_policies() -> Vec<FunctionPolicy> {
    vec![fixed(10), histogram()]
}

/// Keep-alives of the line that a policy must beat, in minutes.
/// Source: Shahrad et al., ATC 2020, figure 14 (10 to 120 minutes), and shorter ones.
pub const FIXED_MINUTES: [u32; 11] = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120];
