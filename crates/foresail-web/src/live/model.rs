//! What the live page needs to know, as plain data; the answers of its interface are this as JSON.
//!
//! Units: demand in requests per second unless `demand_unit` says otherwise. What is absent is not
//! known, which is something else than zero.

use foresail_core::engine::Tick;
use foresail_core::explain::{BasisTold, Explanation};
use foresail_core::guard::GuardName;
use foresail_core::observe::Health;
use foresail_core::propose::Basis;
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Mode;
use serde::Serialize;

/// Version of the form of the answers.
pub const VERSION: u8 = 1;

/// Every object that is scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Version of this form.
    pub v: u8,
    /// Time of the newest decision.
    pub at: Timestamp,
    /// What is shown: a cluster's name, or those of records.
    pub title: String,
    /// What a day costs in: `replica-hours` where no price is known.
    pub cost_unit: String,
    /// One row per object.
    pub rows: Vec<FleetRow>,
}

/// One object at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it scales.
    pub target: String,
    /// What the user allows.
    pub mode: Mode,
    /// What the controller allows itself.
    pub health: Health,
    /// One word for where it stands, such as `Learning` or `Active`.
    pub phase: String,
    /// The archetype of its demand.
    pub archetype: Option<Archetype>,
    /// Replicas asked for at present.
    pub replicas: Option<u32>,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas decided.
    pub desired: Option<u32>,
    /// The reactive floor.
    pub reactive: Option<u32>,
    /// What a live HPA asks for.
    pub incumbent: Option<u32>,
    /// The guard that bound last, and why.
    pub limit: Option<Bound>,
    /// How it does against the incumbent.
    pub verdict: Option<Verdict>,
    /// What is wrong with it, the worst first; an object with any needs attention.
    pub wrong: Vec<Wrong>,
    /// Demand at equal steps, the newest last.
    pub demand: Vec<Option<f64>>,
    /// What was forecast for the same times.
    pub forecast: Vec<Option<f64>>,
    /// Replicas at the same times.
    pub replica_line: Vec<Option<f64>>,
    /// What the present number of replicas costs a day, by the mean of the last day.
    pub cost_per_day: Option<f64>,
    /// Time of the newest decision.
    pub at: Timestamp,
    /// Age of the newest sample at that time, in whole seconds.
    pub sample_age_seconds: Option<i64>,
}

/// A guard that bound, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Which guard.
    pub by: GuardName,
    /// Its clause.
    pub why: String,
}

/// How an object does against its incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Worse in one and not better in the other of cost and promise.
    Worse,
    /// Too little was seen.
    Insufficient,
    /// Neither better nor worse beyond doubt.
    Undecided,
    /// Better in one and not worse in the other.
    Better,
}

/// One thing that is wrong, in the words of a Kubernetes condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wrong {
    /// The condition's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its reason.
    pub reason: String,
    /// What a person should know.
    pub message: String,
}

/// Everything about one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectPage {
    /// Version of this form.
    pub v: u8,
    /// What the fleet says of it.
    pub row: FleetRow,
    /// What a day costs in.
    pub cost_unit: String,
    /// Who makes the forecasts.
    pub forecaster: Option<String>,
    /// Demand over time.
    pub demand: Vec<DemandPoint>,
    /// Forecasts by the time that they are for, each made a horizon before; those past the newest
    /// decision are the fan ahead.
    pub forecasts: Vec<ForecastPoint>,
    /// Replicas over time.
    pub replicas: Vec<ReplicaPoint>,
    /// Archetypes over time.
    pub archetypes: Vec<ArchetypeSpan>,
    /// Decisions, the newest first.
    pub decisions: Vec<DecisionTold>,
    /// What was decided held against the incumbent.
    pub score: Option<Score>,
    /// Other policies and settings on the same demand: cost against the promise.
    pub frontier: Vec<CostPoint>,
}

/// Demand at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemandPoint {
    /// When.
    pub at: Timestamp,
    /// How much, on average since the point before.
    pub value: f64,
}

/// A forecast of demand at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastPoint {
    /// The time that it is for.
    pub at: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// The 10 % quantile.
    pub p10: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90 % quantile.
    pub p90: Option<f64>,
    /// The demand that sized the wish.
    pub level: f64,
    /// Its quantile, in percent.
    pub level_percent: u8,
}

impl ForecastPoint {
    /// The first forecast of a tick, with its quantiles.
    #[must_use]
    pub fn of(tick: &Tick) -> Option<Self> {
        tick.judged.iter().find_map(|j| match &j.proposal.basis {
            Basis::Forecast(outlook) => Some(Self {
                at: outlook.made_at + outlook.horizon,
                made_at: outlook.made_at,
                p10: Some(outlook.q10).filter(|v| v.is_finite()),
                p50: Some(outlook.q50).filter(|v| v.is_finite()),
                p90: Some(outlook.q90).filter(|v| v.is_finite()),
                level: outlook.demand,
                level_percent: outlook.level_percent,
            }),
            _ => None,
        })
    }

    /// The first forecast that an explanation tells: the one level that sized the wish.
    #[must_use]
    pub fn told(explanation: &Explanation) -> Option<Self> {
        explanation.proposals.iter().find_map(|p| match &p.basis {
            BasisTold::Forecast {
                demand,
                level_percent,
                horizon_seconds,
                ..
            } => Some(Self {
                at: explanation.at + Span::from_seconds(*horizon_seconds),
                made_at: explanation.at,
                p10: None,
                p50: None,
                p90: None,
                level: demand.value(),
                level_percent: *level_percent,
            }),
            _ => None,
        })
    }

    /// The middle of what was forecast, else what sized the wish.
    #[must_use]
    pub fn middle(&self) -> f64 {
        self.p50.unwrap_or(self.level)
    }
}

/// Replicas at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaPoint {
    /// When.
    pub at: Timestamp,
    /// Asked for before the decision.
    pub current: Option<u32>,
    /// Ready.
    pub ready: u32,
    /// Decided.
    pub decided: Option<u32>,
    /// The reactive floor.
    pub reactive: Option<u32>,
    /// What a live HPA asks for.
    pub incumbent: Option<u32>,
    /// The fewest allowed.
    pub min: Option<u32>,
    /// The most allowed.
    pub max: Option<u32>,
    /// The guard that bound last.
    pub limit: Option<GuardName>,
}

/// An archetype that is in force from a time on, until the next one is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchetypeSpan {
    /// From when on.
    pub from: Timestamp,
    /// Which; `None` while none is known.
    pub archetype: Option<Archetype>,
    /// Its probability in whole percent, where it is told.
    pub confidence_percent: Option<u8>,
}

/// A decision that was made once or several times in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionTold {
    /// When it was made first.
    pub since: Timestamp,
    /// How many times in a row.
    pub ticks: u64,
    /// The whole story, as it was the last time.
    pub explanation: Explanation,
}

/// What was decided held against what the incumbent did on the same demand.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// From when on it counts.
    pub since: Timestamp,
    /// Hours that were counted.
    pub hours: f64,
    /// Foresail first, then the incumbent.
    pub sides: Vec<Side>,
    /// What came out.
    pub verdict: Option<Verdict>,
    /// Why, in sentences.
    pub why: Vec<String>,
}

/// What one side came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Whose.
    pub name: String,
    /// Capacity asked for.
    pub replica_hours: f64,
    /// Minutes in which demand was above what the ready replicas serve.
    pub short_minutes: Option<f64>,
    /// Changes of the number of replicas.
    pub changes: u64,
}

/// One policy or setting: what it costs and what it keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostPoint {
    /// Its name.
    pub name: String,
    /// What it costs.
    pub cost: f64,
    /// Requests that broke the promise, in percent.
    pub violations_percent: f64,
    /// `true` for what is in force at present.
    pub present: bool,
}
