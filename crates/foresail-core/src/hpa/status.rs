//! Conditions and events of one pass, as Kubernetes writes them.

use serde::{Deserialize, Serialize};

use super::metrics::Failure;
use super::normalize::{self, Shortcut};
use super::rules::Rules;
use crate::engine::TargetTick;
use crate::guard::GuardName;
use crate::quantity::time::Timestamp;
use crate::quantity::units::Replicas;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// Why.
    pub reason: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The status that a pass leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `status.currentReplicas`.
    pub current: i32,
    /// `status.desiredReplicas`.
    pub wanted: i32,
    /// Conditions, one per type.
    pub conditions: Vec<Condition>,
    /// `status.lastScaleTime`.
    pub last_scale: Option<Timestamp>,
}

/// How the write of a pass went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing was to be written, or it was written.
    Fine,
    /// The write failed.
    Failed,
}

/// What a pass did besides the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Events, in order.
    pub events: Vec<Event>,
    /// `true` where the pass ended in an error.
    pub failed: bool,
}

impl Status {
    fn set(&mut self, kind: &str, status: bool, reason: &str) {
        let status = if status { "True" } else { "False" }.to_owned();
        let condition = Condition {
            kind: kind.to_owned(),
            status,
            reason: reason.to_owned(),
        };
        match self.conditions.iter_mut().find(|c| c.kind == kind) {
            Some(old) => *old = condition,
            None => self.conditions.push(condition),
        }
    }

    fn forget(&mut self, kind: &str) {
        self.conditions.retain(|c| c.kind != kind);
    }

    /// `true` where a condition holds.
    #[must_use]
    pub fn holds(&self, kind: &str) -> bool {
        self.conditions
            .iter()
            .any(|c| c.kind == kind && c.status == "True")
    }

    /// The pass that could not even read the scale.
    pub fn scale_unreadable(&mut self) -> Told {
        self.set("AbleToScale", false, "FailedGetScale");
        let events = vec![Event {
            kind: "Warning",
            reason: "FailedGetScale",
        }];
        Told {
            events,
            failed: true,
        }
    }

    /// Takes in one pass of the engine with proposer `hpa` alone.
    ///
    /// Source: horizontal.go, reconcileAutoscaler, setCondition and setStatus.
    pub fn take(&mut self, rules: &Rules, tick: &TargetTick, write: Write) -> Told {
        let replicas = |r: Option<Replicas>| r.map_or(0, Replicas::as_i32);
        let current = replicas(tick.current.replicas);
        let decided = replicas(tick.decided.replicas);
        let mut told = Told::default();
        self.set("AbleToScale", true, "SucceededGetScale");
        self.current = current;
        match tick.shortcut {
            Shortcut::Disabled => self.disabled(rules),
            Shortcut::AboveMax | Shortcut::BelowMin => {}
            Shortcut::Metrics => {
                if !self.metrics(rules, tick, current, &mut told) {
                    return told;
                }
            }
        }
        if decided == current {
            self.wanted = current;
        } else {
            self.rescale(rules, current, decided, write, &mut told);
        }
        told
    }

    fn disabled(&mut self, rules: &Rules) {
        self.set("ScalingActive", false, "ScalingDisabled");
        if !rules.zero_gate() {
            self.forget("ScaledToZero");
        }
    }

    /// Conditions of the metrics and of the normalisation; `false` where the pass ends there.
    fn metrics(&mut self, rules: &Rules, tick: &TargetTick, current: i32, told: &mut Told) -> bool {
        let Some(pass) = &tick.pass else { return false };
        let warn = |failure: &Failure| Event {
            kind: "Warning",
            reason: failure.event_reason(),
        };
        told.events.extend(pass.failures.iter().map(warn));
        told.failed = pass.has_failures();
        let (Some(_), Some(first)) = (pass.replicas, Some(pass.failures.first())) else {
            if let Some(failure) = pass.failures.first() {
                self.set("ScalingActive", false, failure.condition_reason());
            }
            told.events.push(Event {
                kind: "Warning",
                reason: "FailedComputeMetricsReplicas",
            });
            told.failed = true;
            return false;
        };
        debug_assert_eq!(first.is_some(), pass.has_failures());
        self.set("ScalingActive", true, "ValidMetricFound");
        self.normalized(rules, tick, current);
        true
    }

    fn normalized(&mut self, rules: &Rules, tick: &TargetTick, current: i32) {
        let value = |r: Option<Replicas>| r.map_or(0, Replicas::as_i32);
        let raw = value(tick.wanted.setting.replicas);
        let after = |guards: &[GuardName], start: i32| {
            let moved = tick.limits.iter().rev().find(|l| guards.contains(&l.by));
            moved.map_or(start, |l| l.to.replicas().as_i32())
        };
        let stabilized = after(&[GuardName::Stabilization], raw);
        let reason = match (stabilized == raw, rules.has_behavior() && raw >= current) {
            (true, _) => "ReadyForNewScale",
            (false, true) => "ScaleUpStabilized",
            (false, false) => "ScaleDownStabilized",
        };
        self.set("AbleToScale", true, reason);
        let rated = after(&[GuardName::Rate], stabilized);
        let (limited, reason) = normalize::limiting(rules, current, stabilized, rated);
        self.set("ScalingLimited", limited, reason);
    }

    fn rescale(
        &mut self,
        rules: &Rules,
        current: i32,
        decided: i32,
        write: Write,
        told: &mut Told,
    ) {
        if write == Write::Failed {
            self.set("AbleToScale", false, "FailedUpdateScale");
            told.events.push(Event {
                kind: "Warning",
                reason: "FailedRescale",
            });
            told.failed = true;
            return;
        }
        self.wanted = decided;
        self.set("AbleToScale", true, "SucceededRescale");
        told.events.push(Event {
            kind: "Normal",
            reason: "SuccessfulRescale",
        });
        if rules.zero_gate() {
            let slept = current > 0 && decided == 0 && rules.min() == 0 && rules.has_total_metric();
            let reason = if slept {
                "ScaledToZero"
            } else {
                "NotScaledToZero"
            };
            self.set("ScaledToZero", slept, reason);
        } else {
            self.forget("ScaledToZero");
        }
    }
}
