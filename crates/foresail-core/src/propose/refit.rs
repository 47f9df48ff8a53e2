//! A refit as data: a proposer asks for it, a driver runs it, the artifact comes back as an input.
//!
//! Fitting is slow, so it never happens inside a tick. Whoever asked for exactly this takes the
//! artifact in, and goes on with what it has until then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::TargetId;
use crate::observe::Metric;
use crate::quantity::time::{Span, Timestamp};

/// A level of demand that changed: what came before is told at the level since then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LevelChange {
    /// When it changed.
    pub at: Timestamp,
    /// The level since then over the one before; finite and above zero.
    pub factor: f64,
}

/// One model to be fitted: everything that the fit depends on but the points themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefitRequest {
    /// Whose series.
    pub target: TargetId,
    /// Which series of it.
    #[serde(default = "demand", skip_serializing_if = "is_demand")]
    pub metric: Metric,
    /// Which forecaster, by its name in the registry.
    pub forecaster: String,
    /// Its knobs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub knobs: BTreeMap<String, serde_json::Value>,
    /// Length of a step of the series.
    #[serde(rename = "stepSeconds")]
    pub step: Span,
    /// Begin of the first step of the window.
    pub from: Timestamp,
    /// End of the last one.
    pub until: Timestamp,
    /// Changes of level within the window, in the order of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelChange>,
    /// The only source of chance.
    pub seed: u64,
    /// An artifact that comes later is of no use; it will be asked for anew.
    pub deadline: Timestamp,
}

fn demand() -> Metric {
    Metric::Demand
}

fn is_demand(metric: &Metric) -> bool {
    *metric == Metric::Demand
}
