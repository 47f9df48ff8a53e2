//! What is known: samples and the state of targets, as the driver reports them.

mod clean;

use serde::{Deserialize, Serialize};

use crate::hpa::{MetricRule, Observed, Pod, PodReading, Reading, Selector, Source};
use crate::propose::plan::{Resources, Setting, TargetId};
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::{Quantity, Replicas};

pub(crate) use clean::clean;

/// How far ahead of now a sample's time may lie (clocks of different machines).
/// Source: specs/reliability.md 1.1 S2.
pub const FUTURE_MAX: Span = Span::from_seconds(5);

/// The largest value that is taken for a measurement.
/// Source: specs/reliability.md 1.1 S1.
pub const VALUE_MAX: f64 = 1e15;

/// The most pods, readings or values that one input may carry for one target.
pub const ITEMS_MAX: usize = 100_000;

/// What the controller allows itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// Everything, forecasts included.
    #[default]
    Predict,
    /// The reactive floor alone.
    Guarded,
    /// No way down.
    HoldDown,
    /// Nothing.
    Frozen,
}

/// What is new since the last samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Samples {
    /// When the driver looked.
    pub at: Timestamp,
    /// What the driver allows itself at present.
    #[serde(default)]
    pub health: Health,
    /// `true` while this process may write.
    #[serde(default = "yes")]
    pub leading: bool,
    /// The state of every target that was looked at.
    #[serde(default)]
    pub targets: Vec<TargetState>,
    /// New points of the named series.
    #[serde(default)]
    pub values: Vec<Sample>,
}

fn yes() -> bool {
    true
}

/// One new point of a named series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// Whose series.
    pub target: TargetId,
    /// Which one.
    pub metric: Metric,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured; `null` where nothing was, which is something else than zero.
    pub value: Option<f64>,
}

/// The named series that proposers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Requests per second that arrived, one point a minute.
    Demand,
    /// Requests in the system (served and waiting), averaged over one second.
    Concurrency,
    /// Seconds for which no container of a function was busy, one point as each such time ends.
    IdleTime,
    /// The most containers of a function that were busy at once, one point a minute.
    BusyPeak,
    /// Share of the requests (0 to 1) that kept the promise, one point a minute with requests.
    Kept,
}

impl Metric {
    /// Every series.
    pub const ALL: [Self; 5] = [
        Self::Demand,
        Self::Concurrency,
        Self::IdleTime,
        Self::BusyPeak,
        Self::Kept,
    ];

    /// Points that are kept: two weeks of minutes of demand, ten minutes of seconds of concurrency,
    /// as many idle times as a driver tells at once, two days of minutes of busy containers (a scope
    /// may have thousands of functions), and an hour of the promise's minutes.
    #[must_use]
    pub const fn points_max(self) -> usize {
        match self {
            Self::Demand => 14 * 1440,
            Self::Concurrency => 600,
            Self::IdleTime => 512,
            Self::BusyPeak => 2 * 1440,
            Self::Kept => 60,
        }
    }
}

/// One target as the driver sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TargetState {
    /// Which target.
    pub target: TargetId,
    /// What is asked for at present (`scale.spec.replicas`, requests, pool).
    pub current: Setting,
    /// Pods that exist (`scale.status.replicas`).
    pub status_replicas: Replicas,
    /// Pods that are ready.
    pub ready: Replicas,
    /// Containers that are busy, for a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<Replicas>,
    /// Since when no container is busy; absent while one is, and before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// Every pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<Pod>,
    /// What each of the target's metrics read, in the order of the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// What pods use of resources that none of the target's metrics reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<ResourceUsage>,
    /// When the readings that carry no time of their own were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// The pod selector's state.
    #[serde(skip_serializing_if = "is_valid")]
    pub selector: Selector,
    /// The condition ScaledToZero: zero pods were asked for by an autoscaler.
    #[serde(skip_serializing_if = "is_false")]
    pub scaled_to_zero: bool,
    /// The target is paused by an annotation.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// A rollout is in progress.
    #[serde(skip_serializing_if = "is_false")]
    pub rollout: bool,
    /// Less is served with more errors or latency: the target is sick, not idle.
    #[serde(skip_serializing_if = "is_false")]
    pub sick: bool,
    /// The SLO is broken at present.
    #[serde(skip_serializing_if = "is_false")]
    pub slo_broken: bool,
    /// Containers that were killed for memory since the target was last looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kills: Vec<MemoryKill>,
    /// When the target was taken over from another autoscaler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_over_at: Option<Timestamp>,
    /// What a live HPA beside us asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incumbent: Option<Replicas>,
}

/// What pods use of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceUsage {
    /// Its name: `cpu`, `memory`, …
    pub resource: String,
    /// One entry per pod, in the order of the state's pods.
    pub pods: Vec<PodReading>,
}

/// A container that was killed because it used more memory than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryKill {
    /// When.
    pub at: Timestamp,
    /// The memory that it had asked for.
    pub memory: Quantity,
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_valid(selector: &Selector) -> bool {
    *selector == Selector::Valid
}

impl TargetState {
    /// Replicas asked for at present; zero where the target has no such number.
    #[must_use]
    pub fn current_replicas(&self) -> Replicas {
        self.current.replicas.unwrap_or(Replicas::ZERO)
    }

    /// What each pod uses of a resource, in the order of its pods: by the metrics that the HPA reads,
    /// or as it was told apart from them. `None` where nobody tells it.
    #[must_use]
    pub fn usage_of(&self, metrics: &[MetricRule], resource: &str) -> Option<&[PodReading]> {
        let reads = |m: &MetricRule| matches!(&m.source, Source::Resource { name, container: None } if name == resource);
        let read = metrics.iter().position(reads);
        match read.and_then(|place| self.readings.get(place)) {
            Some(Reading::Pods(pods)) => Some(pods),
            _ => {
                let told = self.usage.iter().find(|u| u.resource == resource);
                told.map(|u| u.pods.as_slice())
            }
        }
    }

    /// What the HPA's formula looks at, on these readings and at these requests.
    #[must_use]
    pub fn observed<'a>(
        &'a self,
        readings: &'a [Reading],
        requests: &'a Resources,
    ) -> Observed<'a> {
        Observed {
            pods: &self.pods,
            readings,
            current: self.current_replicas().as_i32(),
            status_replicas: self.status_replicas.as_i32(),
            scaled_to_zero: self.scaled_to_zero,
            selector: self.selector,
            requests,
        }
    }

    /// Time of the newest reading.
    #[must_use]
    pub fn newest_reading(&self) -> Option<Timestamp> {
        let of_pods = self.readings.iter().filter_map(|reading| match reading {
            Reading::Pods(pods) => pods.iter().filter_map(|p| p.sample.map(|s| s.at)).max(),
            Reading::Total(_) => self.read_at,
            Reading::Failed => None,
        });
        of_pods.max()
    }
}

/// `true` where `value`, measured at `at`, can be a measurement at `now`.
///
/// Not a number, infinite, negative and absurdly large values are no measurements, nor is what
/// comes from the future.
#[must_use]
pub fn is_plausible(value: f64, at: Timestamp, now: Timestamp) -> bool {
    value.is_finite() && (0.0..=VALUE_MAX).contains(&value) && at <= now + FUTURE_MAX
}
