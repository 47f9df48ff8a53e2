//! What goes wrong at a stated time: with the metrics, with starts, with nodes, with advice.

use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigProblem, problem};

/// One fault. Times count from the begin of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Fault {
    /// The source of metrics cannot be read, and measures nothing.
    MetricsGap {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
    },
    /// The source shows what it knew at the begin, older and older.
    StaleMetrics {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
    },
    /// What is measured is not a number.
    NanMetrics {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
    },
    /// Measurements are seen later than the pipeline has it.
    LateMetrics {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
        /// By how much.
        #[serde(rename = "bySeconds")]
        by: Span,
    },
    /// Pods that are created take longer to start.
    SlowStarts {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
        /// How many times as long.
        factor: f64,
    },
    /// The oldest nodes are gone, with everything on them.
    NodeLoss {
        /// When.
        #[serde(rename = "atSeconds")]
        at: Span,
        /// How many.
        nodes: u32,
    },
    /// An adviser asks for a number that is wrong.
    LyingAdvice {
        /// Begin.
        #[serde(rename = "fromSeconds")]
        from: Span,
        /// End.
        #[serde(rename = "untilSeconds")]
        until: Span,
        /// The number.
        replicas: u32,
    },
}

impl Fault {
    /// Begin and end.
    fn span(&self) -> (Span, Span) {
        match *self {
            Self::MetricsGap { from, until }
            | Self::StaleMetrics { from, until }
            | Self::NanMetrics { from, until }
            | Self::LateMetrics { from, until, .. }
            | Self::SlowStarts { from, until, .. }
            | Self::LyingAdvice { from, until, .. } => (from, until),
            Self::NodeLoss { at, .. } => (at, at + Span::from_nanos(1)),
        }
    }

    fn covers(&self, at: i64) -> bool {
        let (from, until) = self.span();
        (from.nanos()..until.nanos()).contains(&at)
    }

    /// Checks the fault for a run of `length`.
    pub(crate) fn check(&self, length: Span, nodes: bool) -> Result<(), ConfigProblem> {
        let (from, until) = self.span();
        if from.is_negative() || from >= until || from >= length {
            let text =
                format!("{from} to {until}: must rise, and begin within the run of {length}");
            return Err(problem("faults", text));
        }
        match *self {
            Self::LateMetrics { by, .. } if by <= Span::ZERO => {
                Err(problem("faults", "lateMetrics.bySeconds must be above 0"))
            }
            Self::SlowStarts { factor, .. } if !(factor > 0.0 && factor <= 1000.0) => Err(problem(
                "faults",
                format!("slowStarts.factor {factor}: must be above 0 and at most 1000"),
            )),
            Self::NodeLoss { .. } if !nodes => Err(problem(
                "faults",
                "nodeLoss needs nodes: give nodes, or leave it out",
            )),
            _ => Ok(()),
        }
    }
}

/// The source of metrics cannot be read at `at`.
pub(crate) fn metrics_fail(faults: &[Fault], at: i64) -> bool {
    let gap = |f: &&Fault| matches!(f, Fault::MetricsGap { .. });
    faults.iter().filter(gap).any(|f| f.covers(at))
}

/// What is measured at `at` is not a number.
pub(crate) fn measures_nan(faults: &[Fault], at: i64) -> bool {
    let nan = |f: &&Fault| matches!(f, Fault::NanMetrics { .. });
    faults.iter().filter(nan).any(|f| f.covers(at))
}

/// Measurements up to this time can be seen at `now`, by a pipeline that is late by `delay`.
pub(crate) fn visible(faults: &[Fault], now: i64, delay: i64) -> i64 {
    let mut visible = now - delay;
    for fault in faults.iter().filter(|f| f.covers(now)) {
        match fault {
            Fault::StaleMetrics { from, .. } => visible = visible.min(from.nanos() - delay),
            Fault::LateMetrics { by, .. } => visible = visible.min(now - delay - by.nanos()),
            _ => {}
        }
    }
    visible
}

/// How much older than without faults a measurement that is looked at can be, in nanoseconds.
pub(crate) fn reach(faults: &[Fault]) -> i64 {
    let of = |fault: &Fault| match *fault {
        Fault::StaleMetrics { from, until } => (until - from).nanos(),
        Fault::LateMetrics { by, .. } => by.nanos(),
        _ => 0,
    };
    faults.iter().map(of).sum()
}

/// A start-up as it is for a pod created at `at`.
pub(crate) fn startup(faults: &[Fault], at: i64, startup: i64) -> i64 {
    let mut startup = startup;
    for fault in faults.iter().filter(|f| f.covers(at)) {
        if let Fault::SlowStarts { factor, .. } = fault {
            startup = (startup as f64 * factor) as i64;
        }
    }
    startup
}

/// What the lying adviser says of a target over a run that begins at `start`, in order.
#[must_use]
pub fn lies(faults: &[Fault], target: &TargetId, start: Timestamp) -> Vec<Advice> {
    let mut lies: Vec<Advice> = faults
        .iter()
        .filter_map(|fault| match *fault {
            Fault::LyingAdvice {
                from,
                until,
                replicas,
            } => Some(Advice {
                by: "advice".to_owned(),
                at: start + from,
                until: start + until,
                says: Says::Plan(vec![(
                    target.clone(),
                    Setting::replicas(Replicas::new(replicas)),
                )]),
                confidence_percent: Some(100),
                text: format!("{replicas} replicas, trust me"),
            }),
            _ => None,
        })
        .collect();
    lies.sort_by_key(|a| a.at);
    lies
}
