//! What a run in function mode was worth: cold starts, warm memory, latency.

use foresail_core::quantity::time::Span;

use crate::function::containers::Tally;
use crate::metrics::histogram::Histogram;
use crate::metrics::measure::Requests;

/// One minute of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionMinute {
    /// Calls of all functions.
    pub calls: u64,
    /// Those that waited for a container to start.
    pub cold_starts: u64,
    /// Memory that all containers held at its end, in bytes.
    pub memory: u64,
}

/// How often a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// At most once an hour.
    Rare,
    /// More often, and at most once a minute.
    Middling,
    /// More often than that.
    Frequent,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Rare, Self::Middling, Self::Frequent];

    /// The class of so many calls in so much time.
    #[must_use]
    pub fn of(calls: f64, time: Span) -> Self {
        let an_hour = calls * 3600.0 / time.seconds();
        if an_hour <= 1.0 {
            Self::Rare
        } else if an_hour <= 60.0 {
            Self::Middling
        } else {
            Self::Frequent
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rare => "rare",
            Self::Middling => "middling",
            Self::Frequent => "frequent",
        }
    }
}

/// One function of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfFunction {
    /// How often its workload calls it.
    pub class: Class,
    /// What its containers came to.
    pub tally: Tally,
    /// Memory of one container in bytes.
    pub memory: u64,
}

/// Everything measured in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionMeasures {
    /// Where every call ended.
    pub requests: Requests,
    /// Time from a call to its begin.
    pub wait: Histogram,
    /// Time from a call to its end.
    pub latency: Histogram,
    /// The same by class, in the order of [`Class::ALL`].
    pub latency_by_class: [Histogram; 3],
    /// Every function, in the order of the run.
    pub functions: Vec<OfFunction>,
    /// Every minute.
    pub minutes: Vec<FunctionMinute>,
}

/// Bytes of a gigabyte and nanoseconds of a second, multiplied.
const GB_SECONDS: f64 = 1e9 * 1e9;

impl FunctionMeasures {
    fn sum(&self, of: impl Fn(&Tally) -> u64) -> u64 {
        self.functions.iter().map(|f| of(&f.tally)).sum()
    }

    fn weighted(&self, of: impl Fn(&Tally) -> u64) -> f64 {
        let one = |f: &OfFunction| of(&f.tally) as f64 * f.memory as f64;
        self.functions.iter().map(one).sum::<f64>() / GB_SECONDS
    }

    /// Calls that waited for a container to start.
    #[must_use]
    pub fn cold_starts(&self) -> u64 {
        self.sum(|t| t.cold_starts)
    }

    /// Containers that were started for pools.
    #[must_use]
    pub fn pooled(&self) -> u64 {
        self.sum(|t| t.pooled)
    }

    /// Containers that gave way for memory.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.sum(|t| t.evicted)
    }

    /// Share of all calls that waited for a container to start, in percent.
    #[must_use]
    pub fn cold_percent(&self) -> f64 {
        self.cold_starts() as f64 * 100.0 / self.requests.arrived.max(1) as f64
    }

    /// Share of the calls of a class that waited for a container to start, in percent; not a number
    /// where there were none.
    #[must_use]
    pub fn cold_percent_of(&self, class: Class) -> f64 {
        let of_class = self.functions.iter().filter(|f| f.class == class);
        let (cold, calls) = of_class.fold((0, 0), |(cold, calls), f| {
            (cold + f.tally.cold_starts, calls + f.tally.calls)
        });
        cold as f64 * 100.0 / calls as f64
    }

    /// Share of each function's calls that waited for a container to start, in percent, ascending;
    /// functions that were never called are left out.
    #[must_use]
    pub fn cold_percents(&self) -> Vec<f64> {
        let called = self.functions.iter().filter(|f| f.tally.calls > 0);
        let share = |f: &OfFunction| f.tally.cold_starts as f64 * 100.0 / f.tally.calls as f64;
        let mut shares: Vec<f64> = called.map(share).collect();
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// Memory that idle containers held, in GB·s: what keeping them warm costs.
    #[must_use]
    pub fn warm_memory_time(&self) -> f64 {
        self.weighted(|t| t.idle)
    }

    /// Memory that all containers held, in GB·s.
    #[must_use]
    pub fn memory_time(&self) -> f64 {
        self.weighted(|t| t.alive)
    }

    /// The most memory that all containers held at the end of a minute, in bytes.
    #[must_use]
    pub fn memory_most(&self) -> u64 {
        self.minutes.iter().map(|m| m.memory).max().unwrap_or(0)
    }
}

/// The value of ascending `values` that a share `level` of them does not exceed; `None` of none.
#[must_use]
pub fn at_level(values: &[f64], level: f64) -> Option<f64> {
    let rank = (level * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}
