//! Knobs of nodes and of what goes wrong with pods.

use foresail_core::quantity::time::Span;
use serde::{Deserialize, Serialize};

use super::{ConfigProblem, Shape, Times, check_times, problem};
use crate::cluster::{Placement, Size};

/// Nodes that pods stand on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NodeConfig {
    /// CPU that pods may ask for, in thousandths of a core.
    pub cpu_millicores: u32,
    /// Memory that pods may ask for, in GiB.
    pub memory_gib: f64,
    /// Nodes at the begin; never fewer.
    pub initial: u32,
    /// The most nodes.
    pub max: u32,
    /// On which node a pod is placed.
    pub placement: Placement,
    /// Time from a pod that finds no room to the node ordered for it.
    pub provisioning: Times,
    /// A node that has stood empty for this long is given back. Absent = it stays.
    #[serde(rename = "idleSeconds")]
    pub idle: Option<Span>,
    /// Price of a node for an hour, from its order to its end, added to that of the pods.
    pub hour: f64,
}

impl Default for NodeConfig {
    /// Four cores and 16 GiB, one node that grows to a hundred within two minutes each, given back
    /// after ten minutes: the scale-down delay of Kubernetes' cluster autoscaler.
    fn default() -> Self {
        Self {
            cpu_millicores: 4000,
            memory_gib: 16.0,
            initial: 1,
            max: 100,
            placement: Placement::default(),
            provisioning: Times {
                mean: Span::from_seconds(120),
                shape: Shape::Constant,
            },
            idle: Some(Span::from_seconds(600)),
            hour: 0.0,
        }
    }
}

impl NodeConfig {
    /// Checks every knob for pods of this size.
    pub(super) fn check(&self, pod: Size) -> Result<(), ConfigProblem> {
        let whole = Size::new(self.cpu_millicores, self.memory_gib);
        if !(self.memory_gib.is_finite() && self.memory_gib >= 0.0) {
            return Err(problem("nodes.memoryGib", "must be 0 or more"));
        }
        if !pod.fits(whole) {
            let text = format!(
                "a pod of {}m and {} bytes fits on no node of {}m and {} bytes: enlarge the node",
                pod.cpu, pod.memory, whole.cpu, whole.memory
            );
            return Err(problem("nodes", text));
        }
        if self.max == 0 || self.initial > self.max || self.max > 10_000 {
            let text = format!(
                "{} with initial {}: must be 1 to 10000, and initial or more",
                self.max, self.initial
            );
            return Err(problem("nodes.max", text));
        }
        check_times("nodes.provisioning", &self.provisioning, true)?;
        if self.idle.is_some_and(Span::is_negative) {
            return Err(problem("nodes.idle", "must be 0 or more, or absent"));
        }
        if !(self.hour.is_finite() && self.hour >= 0.0) {
            return Err(problem("nodes.hour", "must be 0 or more"));
        }
        Ok(())
    }
}

/// Pods that fail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CrashConfig {
    /// Failures of a ready pod within an hour, at any time alike.
    pub per_pod_hour: f64,
    /// Wait before the first restart; each failure in a row doubles it.
    #[serde(rename = "backOffSeconds")]
    pub back_off: Span,
    /// The longest wait; a pod that was ready for twice as long begins anew.
    #[serde(rename = "backOffMaxSeconds")]
    pub back_off_max: Span,
}

impl Default for CrashConfig {
    /// No failures; the kubelet's waits of 10 s to 5 min.
    /// Source: kubernetes/kubernetes:pkg/kubelet/kubelet.go, backOffPeriod and MaxContainerBackOff.
    fn default() -> Self {
        Self {
            per_pod_hour: 0.0,
            back_off: Span::from_seconds(10),
            back_off_max: Span::from_seconds(300),
        }
    }
}

impl CrashConfig {
    pub(super) fn check(&self) -> Result<(), ConfigProblem> {
        if !(self.per_pod_hour.is_finite() && (0.0..=3600.0).contains(&self.per_pod_hour)) {
            let text = format!("{}: must be 0 to 3600", self.per_pod_hour);
            return Err(problem("crash.perPodHour", text));
        }
        if self.back_off.is_negative() || self.back_off > self.back_off_max {
            let text = format!(
                "{}: must be 0 or more and at most backOffMax {}",
                self.back_off, self.back_off_max
            );
            return Err(problem("crash.backOff", text));
        }
        Ok(())
    }

    /// The wait before a restart after `failed` failures in a row.
    pub(crate) fn wait(&self, failed: u32) -> i64 {
        let doubled = self.back_off.nanos() << (failed.max(1) - 1).min(20);
        doubled.min(self.back_off_max.nanos())
    }
}
