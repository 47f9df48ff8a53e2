//! Policies of function mode as specs: one scope, a target per function, axes pool and keepAlive.

use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{CombineSpec, Floor, PoolSpec, ProposerSpec, Spec, TargetSpec};
use serde_json::json;

use super::config::{Function, Platform};

/// The most containers of one pool where nothing else is said.
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
    /// What it reads.
    pub reads: Reads,
    /// A model file that is installed before the first tick.
    pub artifact: Option<Vec<u8>>,
    /// The most containers of one pool.
    pub pool_max: u32,
}

/// What a policy of function mode reads besides the state of every function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Nothing,
    /// Idle times and demand.
    IdleTimes,
    /// The most containers that were busy at once in each minute.
    BusyPeaks,
    /// The future: what it will need, as advice.
    Future,
}

impl FunctionPolicy {
    /// The same with one knob of its proposer set.
    #[must_use]
    pub fn with(mut self, knob: &str, value: serde_json::Value) -> Self {
        self.proposer.knobs.insert(knob.to_owned(), value);
        self
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// What the engine is told: a target per function, in their order.
    #[must_use]
    pub fn spec(&self, functions: &[Function], platform: &Platform) -> Spec {
        let pair = |f: &Function| (f.id.clone(), f.memory);
        let pairs: Vec<_> = functions.iter().map(pair).collect();
        self.spec_of(&pairs, platform.cold_start.mean)
    }

    /// The same of names and the memory of one container each, in bytes; `startup` is how long one
    /// takes to start.
    ///
    /// The reactive floor is that of pools: what is busy, which the bounds keep.
    #[must_use]
    pub fn spec_of(&self, functions: &[(String, u64)], startup: Span) -> Spec {
        // No replicas are set; Kubernetes' form wants a bound all the same.
        let hpa = HpaSpec {
            max_replicas: 1,
            ..HpaSpec::default()
        };
        let target = |(id, memory): &(String, u64)| {
            let bytes = i64::try_from(*memory).unwrap_or(i64::MAX);
            let memory = Quantity::from_milli(bytes.saturating_mul(1000), Unit::Bytes);
            let pool = PoolSpec {
                min: Replicas::ZERO,
                max: Replicas::new(self.pool_max),
                memory: Some(memory),
            };
            TargetSpec {
                id: TargetId::new(id),
                hpa: hpa.clone(),
                capacity: None,
                pool: Some(pool),
                startup: Some(startup),
                ..TargetSpec::default()
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
        reads: Reads::Nothing,
        artifact: None,
        pool_max: POOL_MAX,
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
        reads: Reads::IdleTimes,
        artifact: None,
        pool_max: POOL_MAX,
    }
}

fn on_peaks(name: &str, summary: &str, proposer: ProposerSpec) -> FunctionPolicy {
    FunctionPolicy {
        name: name.to_owned(),
        summary: summary.to_owned(),
        proposer,
        interval: Span::from_seconds(60),
        reads: Reads::BusyPeaks,
        artifact: None,
        pool_max: POOL_MAX,
    }
}

/// A pool of what was busy at once in the last minute, and no keep-alive.
#[must_use]
pub fn reactive() -> FunctionPolicy {
    let summary = "a pool of what was busy at once in the last minute";
    on_peaks(
        "pool-reactive",
        summary,
        ProposerSpec::named("pool-reactive"),
    )
}

/// A pool of the next minute's peak by any forecaster; `name` is the policy's.
#[must_use]
pub fn on_forecast(name: &str, forecaster: &str, summary: &str) -> FunctionPolicy {
    let mut proposer = ProposerSpec::named("pool-forecast");
    let forecaster = json!(forecaster);
    proposer.knobs.insert("forecaster".to_owned(), forecaster);
    on_peaks(name, summary, proposer)
}

/// A pool of the upper quantile of the next minute's peak by the net; `artifact` is its file, absent
/// = the shipped one.
#[must_use]
pub fn net(artifact: Option<Vec<u8>>) -> FunctionPolicy {
    let summary = "a pool of the next minute's peak by a net that knows how sure it is";
    let proposer = ProposerSpec::named("aquatope-pool");
    FunctionPolicy {
        artifact,
        ..on_peaks("aquatope-pool", summary, proposer)
    }
}

/// Knows every call to come: each minute's pool is what that minute needs. A reference, no policy.
#[must_use]
pub fn oracle() -> FunctionPolicy {
    FunctionPolicy {
        name: "oracle".to_owned(),
        summary: "knows the future: each minute's pool is what that minute needs".to_owned(),
        proposer: ProposerSpec::named("oracle"),
        interval: Span::from_seconds(60),
        reads: Reads::Future,
        artifact: None,
        pool_max: POOL_MAX,
    }
}

/// Every policy by name: ten minutes, as the large platforms had it, the hybrid histogram, pools by the
/// last peak and by forecasts of the next one, and the reference that knows it.
#[must_use]
pub fn policies() -> Vec<FunctionPolicy> {
    let by = |name, forecaster, how| {
        let summary = format!("a pool of the next minute's peak by {how}");
        on_forecast(name, forecaster, &summary)
    };
    vec![
        fixed(10),
        histogram(),
        reactive(),
        by("pool-ets", "ets", "exponential smoothing"),
        by(
            "pool-fourier",
            "fourier",
            "its strongest waves, as IceBreaker has it",
        ),
        by(PREDICTIVE, "auto", "the default forecaster"),
        net(None),
        oracle(),
    ]
}

/// The one whose forecaster weighs many: minutes of computing for a day of some hundred functions.
const PREDICTIVE: &str = "predictive";

/// The default set: all but the slowest.
#[must_use]
pub fn default_policies() -> Vec<FunctionPolicy> {
    let mut all = policies();
    all.retain(|p| p.name != PREDICTIVE);
    all
}

/// Keep-alives of the line that a policy must beat, in minutes.
/// Source: Shahrad et al., ATC 2020, figure 14 (10 to 120 minutes), and shorter ones.
pub const FIXED_MINUTES: [u32; 11] = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120];
