//! What the formula needs of pods, and into which group each falls.

use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::quantity::time::{Span, Timestamp};

/// A pod's phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, not running.
    Pending,
    /// Running.
    #[default]
    Running,
    /// All containers ended well.
    Succeeded,
    /// A container failed.
    Failed,
    /// Not known.
    Unknown,
}

/// A pod's Ready condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// There is no such condition.
    Absent,
    /// Ready.
    #[default]
    True,
    /// Not ready.
    False,
    /// Not known.
    Unknown,
}

/// One pod, or several that are the same in every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Pod {
    /// Its phase.
    pub phase: Phase,
    /// `true` once its deletion was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// When it started, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Its Ready condition.
    pub ready: Ready,
    /// When that condition last changed.
    pub ready_changed_at: Timestamp,
    /// How many pods this entry stands for; the reading at its place is that of each of them.
    #[serde(skip_serializing_if = "is_one")]
    pub count: u32,
}

fn is_one(count: &u32) -> bool {
    *count == 1
}

impl Default for Pod {
    /// One pod that runs and is ready, of which no time is known.
    fn default() -> Self {
        Self {
            phase: Phase::default(),
            deleting: false,
            started_at: None,
            ready: Ready::default(),
            ready_changed_at: Timestamp::default(),
            count: 1,
        }
    }
}

/// What one metric says of one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodReading {
    /// The pod's request of the metric's resource, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<i64>,
    /// The pod's sample; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<PodSample>,
}

/// One sample of one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodSample {
    /// Thousandths.
    pub value: i64,
    /// When it was measured.
    pub at: Timestamp,
    /// Over which window.
    #[serde(rename = "windowSeconds")]
    pub window: Span,
}

/// What one metric of the spec read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// One entry per pod in the pods' order; entries past them are samples of pods that the
    /// selector did not list.
    Pods(Vec<PodReading>),
    /// Thousandths of an object's one value, or of every series of an external metric.
    Total(Vec<i64>),
    /// The metric could not be read.
    Failed,
}

/// State of the scale's pod selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Selector {
    /// It selects this target's pods alone.
    #[default]
    Valid,
    /// There is none.
    Empty,
    /// It cannot be parsed.
    Invalid,
    /// Its pods are selected by another HPA too.
    Ambiguous,
}

/// Into which group a pod falls for one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Going away: as if it were not there.
    Ignored,
    /// Not started, or its CPU sample is not trusted.
    Unready,
    /// Without a sample.
    Missing,
    /// Counted.
    Ready,
}

/// The group of one pod; the first rule that holds decides.
///
/// Source: replica_calculator.go, groupPods.
pub(super) fn group(
    pod: &Pod,
    sample: Option<PodSample>,
    is_cpu: bool,
    rules: &Rules,
    now: Timestamp,
) -> Group {
    if pod.deleting || pod.phase == Phase::Failed {
        return Group::Ignored;
    }
    if pod.phase == Phase::Pending {
        return Group::Unready;
    }
    let Some(sample) = sample else {
        return Group::Missing;
    };
    if is_cpu && cpu_is_mistrusted(pod, sample, rules, now) {
        return Group::Unready;
    }
    Group::Ready
}

/// `true` while the CPU of a pod that starts says nothing about load.
fn cpu_is_mistrusted(pod: &Pod, sample: PodSample, rules: &Rules, now: Timestamp) -> bool {
    let (Some(started), true) = (pod.started_at, pod.ready != Ready::Absent) else {
        return true;
    };
    let settings = &rules.controller;
    if started + settings.cpu_initialization_period > now {
        pod.ready == Ready::False || sample.at < pod.ready_changed_at + sample.window
    } else {
        pod.ready == Ready::False
            && started + settings.initial_readiness_delay > pod.ready_changed_at
    }
}
