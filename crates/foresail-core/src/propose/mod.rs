//! What is wished: proposals, and the trait of what makes them.

pub mod advice;
pub mod archetype;
pub mod delta;
pub mod plan;
pub mod refit;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::act::Settled;
use crate::history::View;
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::{Quantity, Replicas};
use archetype::Classed;
use delta::Deltas;
use plan::{Plan, Setting, TargetId};
use refit::RefitRequest;

/// Calibrated trust in one proposal, in whole percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(u8);

impl Confidence {
    /// No doubt at all: the proposal is a rule, not a guess.
    pub const FULL: Self = Self(100);

    /// `percent`, at most 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        if percent > 100 {
            Self::FULL
        } else {
            Self(percent)
        }
    }

    /// Whole percent, 0 to 100.
    #[must_use]
    pub const fn as_percent(self) -> u8 {
        self.0
    }
}

/// A forecast as the gate judges it.
///
/// Units: `q10`, `q50`, `q90`, `demand`, `q50_now`, `observed` and `capacity` in the same unit of
/// demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Which forecaster made it.
    pub forecaster: &'static str,
    /// Quantiles of demand at the horizon.
    pub q10: f64,
    /// Median of demand at the horizon.
    pub q50: f64,
    /// Upper quantile of demand at the horizon.
    pub q90: f64,
    /// What the same forecaster says of this instant.
    pub q50_now: f64,
    /// Demand as last measured.
    pub observed: Option<f64>,
    /// When it was made.
    pub made_at: Timestamp,
    /// How far ahead it looks.
    pub horizon: Span,
    /// Share of the last points that fell inside the 80 % band, in percent; `None` while too few.
    pub coverage_percent: Option<u8>,
    /// The quantile that sized the wish, in percent.
    pub level_percent: u8,
    /// That quantile of demand, with what the proposer puts on top.
    pub demand: f64,
    /// Demand that one replica serves.
    pub capacity: f64,
    /// When its model was fitted, where it has one.
    pub fitted_at: Option<Timestamp>,
    /// Since when it is trusted again, where it was tripped not long ago.
    pub relearnt_at: Option<Timestamp>,
}

/// Where a proposal's number comes from, as data; texts are made when it is shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// A number that was given.
    Fixed,
    /// The Kubernetes formula: which of the target's metrics won, and its ratio in thousandths.
    Hpa {
        /// Index into the target's metrics.
        metric: usize,
        /// Usage over target value, in thousandths.
        ratio_milli: i64,
    },
    /// A forecast of demand over the capacity of one replica.
    Forecast(Box<Outlook>),
    /// Knative's windows: mean concurrency of the stable and of the panic window.
    Concurrency {
        /// Mean over the stable window.
        stable: f64,
        /// Mean over the panic window.
        panic: f64,
        /// Target value per replica.
        target_value: f64,
        /// `true` while in panic.
        panicking: bool,
        /// Excess burst capacity in requests; below zero requests go through the activator.
        burst: i64,
        /// The quotient of mean and target value, rounded up.
        quotient: u32,
        /// What made another number of it.
        held: Option<Held>,
    },
    /// A rule of a schedule, by its index.
    Schedule {
        /// Index into the schedule's rules.
        rule: usize,
    },
    /// Idle times: how many targets of the scope are under each rule.
    IdleTimes {
        /// Windows from the histogram.
        histogram: u32,
        /// The standard keep-alive: too little is known, or the histogram says nothing.
        standard: u32,
        /// Windows around a forecast: most idle times are out of the histogram's bounds.
        forecast: u32,
    },
    /// Peaks of busy containers: what each target's next window is thought to need, or why nothing
    /// is told of it.
    Peaks(Box<Peaks>),
    /// Advice from outside, with its reasoning.
    Advice {
        /// The adviser's words.
        text: String,
    },
    /// Changes on top of the reactive floor, with the adviser's reasoning and its record.
    Deltas(Box<Deltas>),
    /// A tuner's trial.
    Trial {
        /// Its number.
        number: u64,
        /// What it costs, in thousandths of the currency.
        spend_milli: u64,
        /// When it was asked for.
        since: Timestamp,
    },
    /// Archetypes of demand: each target's own, or why it has no wish.
    Archetypes(Vec<(TargetId, Result<Classed, Absence>)>),
    /// No wish, and why.
    Absent(Absence),
}

/// What pools were sized by.
#[derive(Clone, Debug, PartialEq)]
pub struct Peaks {
    /// Who forecasts, by its name.
    pub forecaster: &'static str,
    /// The quantile that sizes a pool, in percent.
    pub level_percent: u8,
    /// Each target's own, in the order of the spec.
    pub targets: Vec<(TargetId, Result<PeakAhead, Absence>)>,
}

/// The most containers that are thought to be busy at once in the next window.
///
/// Units: containers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakAhead {
    /// The middle of what is thought.
    pub middle: f64,
    /// The lower edge of the band around it.
    pub low: f64,
    /// The quantile that sizes the pool.
    pub high: f64,
}

/// What of Knative's algorithm made another number of its quotient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// One step up has a largest factor.
    RateUp,
    /// One step down has a largest divisor.
    RateDown,
    /// A panic keeps its largest wish.
    Panic,
    /// The delay window keeps its largest wish.
    Delay,
    /// The last replica is kept for the grace period.
    Grace,
}

/// Why a proposer has no wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Absence {
    /// No metric could be read.
    NoMetric,
    /// Not enough history yet.
    NoHistory,
    /// Nothing was advised, or the advice is too old.
    NoAdvice,
    /// No rule is in force.
    NotNow,
    /// Scaling is off for this target at present.
    Disabled,
    /// The proposer broke down; its state is the last one saved.
    Failed,
    /// The demand that one replica serves is neither given nor learnt yet.
    NoCapacity,
    /// The forecaster is not trusted at present.
    Tripped(Trip),
}

/// What took a forecaster's trust away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TripCause {
    /// It has no record yet.
    New,
    /// Demand has left what was forecast, for this many percent of it.
    Change(u32),
    /// So few percent of what came lay in its 80 % band.
    Coverage(u8),
    /// Its errors are this many percent of those of the last value.
    Skill(u32),
}

/// A forecaster that is not trusted: why, since when, and how far it has relearnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trip {
    /// Why.
    pub cause: TripCause,
    /// How long ago.
    #[serde(rename = "agoSeconds")]
    pub ago: Span,
    /// Forecasts that were scored since.
    pub scored: u32,
    /// Forecasts that must be scored and found good.
    pub needed: u32,
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.ago.whole_seconds() / 60;
        match self.cause {
            TripCause::New => f.write_str("learning")?,
            TripCause::Change(percent) => {
                write!(
                    f,
                    "demand at {percent} % of forecast {minutes} min ago, relearning"
                )?;
            }
            TripCause::Coverage(percent) => {
                write!(f, "band held {percent} % {minutes} min ago, relearning")?;
            }
            TripCause::Skill(percent) => {
                write!(
                    f,
                    "errors {percent} % of last value's {minutes} min ago, relearning"
                )?;
            }
        }
        write!(f, " {} of {}", self.scored, self.needed)
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tripped(trip) => trip.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

/// One proposer's wish, not yet limited.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Wished settings; a target that is not listed has no wish.
    pub plan: Plan,
    /// Replicas between which the proposer is sure to be right at its nominal level.
    pub interval: Option<(Replicas, Replicas)>,
    /// Calibrated trust.
    pub confidence: Confidence,
    /// Usage over target value in thousandths, where the wish has such a ratio.
    pub ratio_milli: Option<i64>,
    /// The least time between a target's last change and its next way down, where the wish brings one.
    pub cooldowns: Vec<(TargetId, Span)>,
    /// Where the number comes from.
    pub basis: Basis,
}

impl Proposal {
    /// No wish, for this reason.
    #[must_use]
    pub fn absent(why: Absence) -> Self {
        Self::certain(Plan::new(), Basis::Absent(why))
    }

    /// A wish of `replicas` for one target, of which there is no doubt.
    #[must_use]
    pub fn replicas(target: &TargetId, replicas: Replicas, basis: Basis) -> Self {
        let plan = vec![(target.clone(), Setting::replicas(replicas))];
        Self::certain(plan, basis)
    }

    /// A wish of a whole plan, of which there is no doubt.
    #[must_use]
    pub fn certain(plan: Plan, basis: Basis) -> Self {
        Self {
            plan,
            interval: None,
            confidence: Confidence::FULL,
            ratio_milli: None,
            cooldowns: Vec::new(),
            basis,
        }
    }

    /// What is wished for the target at `place` in the spec; most plans have it there too.
    #[must_use]
    pub fn wish_at(&self, place: usize, target: &TargetId) -> Option<&Setting> {
        match self.plan.get(place) {
            Some((id, setting)) if id == target => Some(setting),
            _ => self.wish(target),
        }
    }

    /// The cooldown that the wish brings for one target.
    #[must_use]
    pub fn cooldown(&self, target: &TargetId) -> Option<Span> {
        let found = self.cooldowns.iter().find(|(id, _)| id == target);
        found.map(|(_, cooldown)| *cooldown)
    }

    /// What is wished for one target.
    #[must_use]
    pub fn wish(&self, target: &TargetId) -> Option<&Setting> {
        self.plan
            .iter()
            .find(|(id, _)| id == target)
            .map(|(_, setting)| setting)
    }
}

/// The reactive floor of one target: the exact HPA's raw proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reactive {
    /// What the formula asks for; `None` where no metric is valid.
    pub replicas: Option<Replicas>,
    /// Index of the metric that won.
    pub metric: usize,
    /// Its ratio in thousandths.
    pub ratio_milli: i64,
}

/// What a proposer may know besides the view.
#[derive(Debug)]
pub struct Context<'a> {
    /// The reactive floor, one per target in the order of the spec.
    pub reactive: &'a [Reactive],
    /// What the proposers before this one wish.
    pub earlier: &'a [Proposal],
    /// The time of this tick.
    pub now: Timestamp,
}

/// Why saved state could not be taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the saved state of proposer `{proposer}` is not readable: {why}; start without a snapshot"
)]
pub struct RestoreError {
    /// Whose state it is.
    pub proposer: String,
    /// What is wrong with it.
    pub why: String,
}

/// Turns what is known into a wish; knows neither bounds nor rates.
///
/// Pure: no clock, no I/O, no chance but its own seeded stream.
pub trait Proposer: Send + std::fmt::Debug {
    /// The wish of this tick.
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal;

    /// Learns what was really executed for an earlier tick.
    fn settled(&mut self, _settled: &Settled) {}

    /// Takes in an artifact that was installed; returns `true` where it was meant for this one.
    fn install(&mut self, _artifact: &[u8]) -> bool {
        false
    }

    /// The refits that the last wish found due; each is told once.
    fn refits(&mut self) -> Vec<RefitRequest> {
        Vec::new()
    }

    /// Ticks between two saves for the case that it breaks down, for one whose state is large; it
    /// must catch up from the view by itself.
    fn ticks_per_save(&self) -> u64 {
        1
    }

    /// The state as bytes; empty where there is none.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes back what [`Proposer::save`] gave.
    ///
    /// # Errors
    /// [`RestoreError`] where the bytes are of another form.
    fn restore(&mut self, _state: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// A quantity of demand for an explanation, in requests per second.
#[must_use]
pub fn demand_quantity(value: f64) -> Quantity {
    Quantity::from_f64(value, crate::quantity::units::Unit::PerSecond)
}
