//! An explanation as one row of a table: fixed columns, for CSV and Parquet.

use super::{BasisTold, Explanation, Told};
use crate::quantity::units::{Quantity, Unit};

/// What only the simulator measures, since the tick before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// 95 % quantile of latency in milliseconds; `None` without a finished request.
    pub latency_p95_ms: Option<f64>,
    /// Requests that broke the SLO.
    pub violations: Option<i64>,
    /// Requests that waited for a new replica.
    pub cold_starts: Option<i64>,
    /// Capacity that was paid for.
    pub replica_minutes: Option<f64>,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text, or none.
    Text(Option<String>),
    /// A whole number, or none.
    Int(Option<i64>),
    /// A number, or none.
    Real(Option<f64>),
}

/// Kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts.
    Text,
    /// Whole numbers.
    Int,
    /// Numbers.
    Real,
}

/// The columns of a row: name, kind, meaning.
pub const COLUMNS: [(&str, Kind, &str); 30] = [
    ("id", Kind::Text, "uid/generation/epoch/seq of the decision"),
    ("at", Kind::Text, "time of the tick, RFC 3339"),
    ("target", Kind::Text, "the target"),
    ("mode", Kind::Text, "what the user allows"),
    ("health", Kind::Text, "what the controller allows itself"),
    ("sample_age_seconds", Kind::Int, "age of the newest sample"),
    ("current", Kind::Int, "replicas asked for before"),
    ("ready", Kind::Int, "replicas that were ready"),
    ("incumbent", Kind::Int, "what a live HPA asks for"),
    ("demand", Kind::Real, "demand that sized the wish, req/s"),
    (
        "usage_cpu_millicores",
        Kind::Int,
        "CPU of all pods as last sampled",
    ),
    (
        "usage_memory_mebibytes",
        Kind::Int,
        "memory of all pods as last sampled",
    ),
    ("hpa_value", Kind::Int, "the reactive floor"),
    ("chosen_by", Kind::Text, "whose number was wanted"),
    ("chosen_value", Kind::Int, "that number"),
    ("confidence_percent", Kind::Int, "trust in it"),
    ("wanted", Kind::Int, "replicas wanted before any limit"),
    (
        "binding",
        Kind::Text,
        "the last guard that moved the number",
    ),
    ("decided", Kind::Int, "replicas decided"),
    ("decided_pool", Kind::Int, "warm containers decided"),
    (
        "decided_keep_alive_seconds",
        Kind::Int,
        "keep-alive decided",
    ),
    ("decided_cpu_millicores", Kind::Int, "CPU request decided"),
    (
        "decided_memory_mebibytes",
        Kind::Int,
        "memory request decided",
    ),
    ("outcome", Kind::Text, "what came of the write"),
    ("archetype", Kind::Text, "the archetype of the demand"),
    ("explanation", Kind::Text, "the whole story in one line"),
    (
        "latency_p95_ms",
        Kind::Real,
        "95 % quantile of latency since the row before",
    ),
    (
        "violations",
        Kind::Int,
        "requests that broke the SLO since the row before",
    ),
    (
        "cold_starts",
        Kind::Int,
        "requests that waited for a new replica since the row before",
    ),
    (
        "replica_minutes",
        Kind::Real,
        "capacity paid for since the row before",
    ),
];

/// What pods used in all, as last sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thousandths of a core.
    pub cpu_millicores: Option<i64>,
    /// Binary megabytes.
    pub memory_mebibytes: Option<i64>,
}

impl Explanation {
    /// This explanation as one row, in the order of [`COLUMNS`].
    #[must_use]
    pub fn row(&self, usage: Usage, measured: Measured) -> Vec<Cell> {
        let text = |value: Option<String>| Cell::Text(value);
        let of = |told: &Told, axis: &str| told.get(axis).copied();
        let count = |q: Option<Quantity>| Cell::Int(q.map(|q| q.milli() / 1000));
        let mebi = |q: Option<Quantity>| Cell::Int(q.map(|q| q.milli() / 1000 / (1 << 20)));
        let chosen = self
            .chosen_by
            .as_ref()
            .and_then(|by| self.proposals.iter().find(|p| p.by == *by));
        let wish = chosen.and_then(|p| of(&p.wish, "replicas"));
        let demand = self.proposals.iter().find_map(|p| match &p.basis {
            BasisTold::Forecast { demand, .. } if demand.unit() == Unit::PerSecond => {
                Some(demand.value())
            }
            BasisTold::Archetype {
                scaled: Some(scaled),
                ..
            } => Some(scaled.demand.value()),
            _ => None,
        });
        vec![
            text(Some(self.id.clone())),
            text(Some(self.at.to_string())),
            text(Some(self.target.to_string())),
            text(Some(format!("{:?}", self.mode))),
            text(Some(format!("{:?}", self.health))),
            Cell::Int(self.sample_age_seconds),
            count(of(&self.current, "replicas")),
            Cell::Int(Some(self.ready.as_i64())),
            Cell::Int(self.incumbent.map(|r| r.as_i64())),
            Cell::Real(demand),
            Cell::Int(usage.cpu_millicores),
            Cell::Int(usage.memory_mebibytes),
            Cell::Int(self.reactive.map(|r| r.as_i64())),
            text(self.chosen_by.clone()),
            count(wish.or_else(|| of(&self.wanted, "replicas"))),
            Cell::Int(chosen.map(|p| i64::from(p.confidence_percent))),
            count(of(&self.wanted, "replicas")),
            text(self.binding().map(|b| b.to_string())),
            count(of(&self.decided, "replicas")),
            count(of(&self.decided, "pool")),
            count(of(&self.decided, "keepAlive")),
            Cell::Int(of(&self.decided, "perPod.cpu").map(Quantity::milli)),
            mebi(of(&self.decided, "perPod.memory")),
            text(self.outcome.map(|o| format!("{o:?}"))),
            text(self.archetype.map(|a| a.to_string())),
            text(Some(self.to_string())),
            Cell::Real(measured.latency_p95_ms),
            Cell::Int(measured.violations),
            Cell::Int(measured.cold_starts),
            Cell::Real(measured.replica_minutes),
        ]
    }
}
