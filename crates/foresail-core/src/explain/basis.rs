//! Where a number comes from, as it is told.

use serde::{Deserialize, Serialize};

use crate::propose::archetype::{Archetype, Classed, Turn};
use crate::propose::delta::{Deltas, Record, Signed, Standing};
use crate::propose::{Absence, Basis, Held, Peaks, demand_quantity};
use crate::quantity::time::Timestamp;
use crate::quantity::units::{Quantity, Unit};
use crate::spec::ValidTarget;

/// Where a number comes from, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum BasisTold {
    /// A forecast over the capacity of a replica.
    Forecast {
        /// Which forecaster.
        forecaster: String,
        /// Demand at the horizon at the level.
        demand: Quantity,
        /// The quantile, in percent.
        level_percent: u8,
        /// How far ahead.
        horizon_seconds: i64,
        /// Demand that one replica serves.
        capacity: Quantity,
        /// Coverage of the 80 % band, in percent.
        coverage_percent: Option<u8>,
        /// How long it has been trusted again, where it was tripped not long ago.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relearnt_ago_seconds: Option<i64>,
    },
    /// The Kubernetes formula.
    Hpa {
        /// The metric that won.
        metric: String,
        /// Usage over target value.
        ratio: Quantity,
    },
    /// Knative's windows.
    Concurrency {
        /// Mean of the stable window.
        stable: Quantity,
        /// Mean of the panic window.
        panic: Quantity,
        /// Target value per replica.
        target_value: Quantity,
        /// In panic or not.
        panicking: bool,
        /// Excess burst capacity in requests.
        burst: i64,
        /// The quotient of mean and target value, rounded up.
        quotient: u32,
        /// What made another number of it.
        held: Option<Held>,
    },
    /// A rule of the schedule.
    Schedule {
        /// Its place in the list.
        rule: usize,
    },
    /// Idle times: how many targets of the scope are under each rule.
    IdleTimes {
        /// Windows from the histogram.
        histogram: u32,
        /// The standard keep-alive.
        standard: u32,
        /// Windows around a forecast.
        forecast: u32,
    },
    /// The busy containers that are expected of the next window.
    Peaks {
        /// Who forecasts.
        peaks_by: String,
        /// The quantile that sizes the pool, in percent.
        level_percent: u8,
        /// Containers in the middle of what is thought.
        middle: Quantity,
        /// The lower edge of the band.
        low: Quantity,
        /// The quantile.
        high: Quantity,
    },
    /// An archetype, and what doubt about it did to its strategy.
    Archetype {
        /// The archetype in force; `null` while none is known.
        archetype: Option<Archetype>,
        /// Its probability in whole percent.
        confidence_percent: u8,
        /// How the target was scaled; absent without a strategy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scaled: Option<ScaledTold>,
    },
    /// A tuner's trial.
    Trial {
        /// Its number.
        trial: u64,
        /// What it costs.
        spend: Quantity,
    },
    /// A change on top of the reactive floor that an adviser asks for.
    Delta {
        /// What is asked for.
        delta: i32,
        /// What of it is left.
        taken: i32,
        /// Whether it is wished, or only told.
        acts: bool,
        /// What the adviser says of its own confidence, in percent.
        said_percent: Option<u8>,
        /// How often it was right.
        record: Record,
        /// What that record is worth.
        standing: Standing,
        /// Its reasoning.
        text: String,
    },
    /// Advice.
    Advice {
        /// The adviser's words.
        text: String,
    },
    /// No wish.
    Absent {
        /// Why.
        absent: Absence,
    },
    /// A number that was given.
    Fixed {
        /// Always `true`.
        fixed: bool,
    },
}

/// How a target was scaled by its archetype, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledTold {
    /// Whose strategy was used.
    pub by: Archetype,
    /// What doubt multiplies replicas and cooldown by.
    pub multiplier: Quantity,
    /// CPU target of the strategy, in percent of the request.
    pub target_percent: u32,
    /// The same with doubt counted in.
    pub adjusted_target_percent: u32,
    /// The least time between a change and the next way down.
    pub cooldown_seconds: i64,
    /// Demand that sized the wish.
    pub demand: Quantity,
    /// Demand that one replica serves at the adjusted target.
    pub capacity: Quantity,
    /// What made another number of the quotient.
    pub turn: Option<Turn>,
    /// The forecaster behind the demand.
    pub forecaster: Option<String>,
}

impl ScaledTold {
    fn clause(&self, archetype: Option<Archetype>) -> String {
        let by = match archetype {
            Some(archetype) if archetype != self.by => format!(" as {}", self.by),
            _ => String::new(),
        };
        let (from, to) = (self.target_percent, self.adjusted_target_percent);
        let target = if from == to {
            format!("target {from} %")
        } else {
            format!("target {from}→{to} %")
        };
        let turn = self
            .turn
            .map_or_else(String::new, |t| format!(", {}", t.clause()));
        format!(
            "{by}: {} ÷ {} ({target}){turn}",
            rounded(self.demand),
            rounded(self.capacity).trim_end_matches(" req/s")
        )
    }
}

/// A rate with as many digits as a line has room for.
fn rounded(quantity: Quantity) -> String {
    let value = quantity.value();
    let places = if value < 10.0 { 100.0 } else { 1.0 };
    demand_quantity((value * places).round() / places).to_string()
}

fn whole_percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

fn classed_told(classed: &Classed) -> BasisTold {
    let scaled = classed.scaled.as_ref().map(|s| ScaledTold {
        by: s.by,
        multiplier: Quantity::from_f64(s.adjusted.multiplier, Unit::Count),
        target_percent: whole_percent(s.target),
        adjusted_target_percent: whole_percent(s.adjusted.target),
        cooldown_seconds: s.adjusted.cooldown.whole_seconds(),
        demand: demand_quantity(s.demand),
        capacity: demand_quantity(s.capacity),
        turn: s.turn,
        forecaster: s.forecast.map(|(name, _)| name.to_owned()),
    });
    BasisTold::Archetype {
        archetype: classed.archetype,
        confidence_percent: (classed.confidence.clamp(0.0, 1.0) * 100.0).round() as u8,
        scaled,
    }
}

fn peaks_told(peaks: &Peaks, target: &ValidTarget) -> BasisTold {
    let count = |value: f64| Quantity::from_f64(value, Unit::Count);
    match peaks.targets.iter().find(|(id, _)| *id == target.id) {
        Some((_, Ok(ahead))) => BasisTold::Peaks {
            peaks_by: peaks.forecaster.to_owned(),
            level_percent: peaks.level_percent,
            middle: count(ahead.middle),
            low: count(ahead.low),
            high: count(ahead.high),
        },
        Some((_, Err(why))) => BasisTold::Absent { absent: *why },
        None => BasisTold::Absent {
            absent: Absence::NoMetric,
        },
    }
}

fn delta_told(deltas: &Deltas, target: &ValidTarget) -> BasisTold {
    match deltas.targets.iter().find(|(id, _)| *id == target.id) {
        Some((_, Ok(delta))) => BasisTold::Delta {
            delta: delta.asked,
            taken: delta.taken,
            acts: delta.acts,
            said_percent: deltas.said_percent,
            record: delta.record,
            standing: delta.standing,
            text: deltas.text.clone(),
        },
        Some((_, Err(why))) => BasisTold::Absent { absent: *why },
        None => BasisTold::Absent {
            absent: Absence::NoAdvice,
        },
    }
}

impl BasisTold {
    pub(super) fn of(basis: &Basis, target: &ValidTarget, now: Timestamp) -> Self {
        let count = |value: f64| Quantity::from_f64(value, Unit::Count);
        match basis {
            Basis::Fixed => Self::Fixed { fixed: true },
            Basis::Hpa {
                metric,
                ratio_milli,
            } => Self::Hpa {
                metric: target
                    .metric_names
                    .get(*metric)
                    .cloned()
                    .unwrap_or_default(),
                ratio: Quantity::from_milli(*ratio_milli, Unit::Count),
            },
            Basis::Forecast(outlook) => Self::Forecast {
                forecaster: outlook.forecaster.to_owned(),
                demand: demand_quantity(outlook.demand),
                level_percent: outlook.level_percent,
                horizon_seconds: outlook.horizon.whole_seconds(),
                capacity: demand_quantity(outlook.capacity),
                coverage_percent: outlook.coverage_percent,
                relearnt_ago_seconds: outlook.relearnt_at.map(|at| (now - at).whole_seconds()),
            },
            Basis::Concurrency {
                stable,
                panic,
                target_value,
                panicking,
                burst,
                quotient,
                held,
            } => Self::Concurrency {
                stable: count(*stable),
                panic: count(*panic),
                target_value: count(*target_value),
                panicking: *panicking,
                burst: *burst,
                quotient: *quotient,
                held: *held,
            },
            Basis::Schedule { rule } => Self::Schedule { rule: *rule },
            Basis::IdleTimes {
                histogram,
                standard,
                forecast,
            } => Self::IdleTimes {
                histogram: *histogram,
                standard: *standard,
                forecast: *forecast,
            },
            Basis::Peaks(peaks) => peaks_told(peaks, target),
            Basis::Advice { text } => Self::Advice { text: text.clone() },
            Basis::Deltas(deltas) => delta_told(deltas, target),
            Basis::Trial {
                number,
                spend_milli,
                ..
            } => {
                let milli = i64::try_from(*spend_milli).unwrap_or(i64::MAX);
                Self::Trial {
                    trial: *number,
                    spend: Quantity::from_milli(milli, Unit::Count),
                }
            }
            Basis::Archetypes(all) => match all.iter().find(|(id, _)| *id == target.id) {
                Some((_, Ok(classed))) => classed_told(classed),
                Some((_, Err(why))) => Self::Absent { absent: *why },
                None => Self::Absent {
                    absent: Absence::NoMetric,
                },
            },
            Basis::Absent(why) => Self::Absent { absent: *why },
        }
    }

    /// One clause: the number's derivation without the number.
    #[must_use]
    pub fn clause(&self) -> String {
        match self {
            Self::Forecast {
                demand,
                level_percent,
                capacity,
                relearnt_ago_seconds,
                ..
            } => {
                let per = capacity.to_string();
                let per = per.trim_end_matches(" req/s");
                let again = relearnt_ago_seconds.map_or_else(String::new, |ago| {
                    format!(", trusted again for {} min", ago / 60)
                });
                format!("p{level_percent} = {demand} ÷ {per}{again}")
            }
            Self::Hpa { metric, ratio } => format!("{metric} at {} of target", percent(*ratio)),
            Self::Concurrency {
                stable,
                panic,
                target_value,
                panicking,
                quotient,
                held,
                ..
            } => {
                let held =
                    held.map_or_else(String::new, |h| format!(" = {quotient}, {}", h.clause()));
                let (name, mean) = if *panicking {
                    ("panic", panic)
                } else {
                    ("stable", stable)
                };
                format!(
                    "{name} {} in flight ÷ {}{held}",
                    decimal(*mean),
                    decimal(*target_value)
                )
            }
            Self::Schedule { rule } => format!("rule {rule}"),
            Self::IdleTimes { .. } => "idle times".to_owned(),
            Self::Peaks {
                level_percent,
                middle,
                high,
                ..
            } => format!(
                "p{level_percent} of the next peak = {} around {}",
                decimal(*high),
                decimal(*middle)
            ),
            Self::Archetype {
                archetype,
                confidence_percent,
                scaled,
            } => {
                let scaled = scaled.as_ref().map_or_else(
                    || ": no strategy".to_owned(),
                    |scaled| scaled.clause(*archetype),
                );
                let known = archetype.map_or_else(
                    || "no archetype yet".to_owned(),
                    |known| format!("{known} {confidence_percent} %"),
                );
                format!("{known}{scaled}")
            }
            Self::Trial { trial, .. } => format!("trial {trial}"),
            Self::Advice { .. } => "advice".to_owned(),
            Self::Delta {
                delta,
                taken,
                acts,
                record,
                standing,
                ..
            } => {
                let left = match () {
                    () if !acts => " withheld",
                    () if taken != delta => " asked, none taken while the floor rises",
                    () => " on the floor",
                };
                format!("{}{left}, {}", Signed(*delta), record.clause(*standing))
            }
            Self::Absent { absent } => format!("no wish ({absent})"),
            Self::Fixed { .. } => "fixed".to_owned(),
        }
    }
}

impl Held {
    /// What it did, as it stands before the number that came of it.
    #[must_use]
    pub fn clause(self) -> &'static str {
        match self {
            Self::RateUp => "one step up at most",
            Self::RateDown => "one step down at most",
            Self::Panic => "kept in panic",
            Self::Delay => "kept by the delay",
            Self::Grace => "kept for the grace period",
        }
    }
}

fn percent(ratio: Quantity) -> String {
    format!("{} %", ratio.milli().saturating_add(5) / 10)
}

fn decimal(quantity: Quantity) -> String {
    let tenths = (quantity.milli() + 50) / 100;
    if tenths % 10 == 0 {
        format!("{}", tenths / 10)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}
