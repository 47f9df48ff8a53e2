//! What is known of the usage of all containers of a target together.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::smaller;
use serde::{Deserialize, Serialize};

use super::histogram::{Buckets, Histogram, SavedHistogram};

/// What one CPU sample weighs before it fades.
/// Source: vertical-pod-autoscaler 1.8.1, pkg/recommender/model/aggregations_config.go; before 1.6
/// it was the container's request, at least this.
const SAMPLE_WEIGHT: f64 = 0.1;

/// How usage is aggregated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregation {
    /// Time in which a CPU sample loses half of its weight.
    pub cpu_half_life: Span,
    /// Time in which a memory peak loses half of its weight.
    pub memory_half_life: Span,
    /// One peak of memory counts per such interval.
    pub memory_interval: Span,
    /// So many intervals without a CPU sample, and all is forgotten.
    pub memory_intervals: u32,
    /// What memory is multiplied by after a kill.
    pub kill_ratio: f64,
    /// What is added to memory after a kill at least, in bytes.
    pub kill_bytes: f64,
}

impl Default for Aggregation {
    /// The recommender's own.
    fn default() -> Self {
        let day = Span::from_seconds(86_400);
        Self {
            cpu_half_life: day,
            memory_half_life: day,
            memory_interval: day,
            memory_intervals: 8,
            kill_ratio: 1.2,
            kill_bytes: 100.0 * 1024.0 * 1024.0,
        }
    }
}

/// Usage of all containers of one name under one set of labels.
///
/// Units: CPU in cores, memory in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Every CPU sample.
    pub cpu: Histogram,
    /// One peak of each container per interval.
    pub memory: Histogram,
    /// Time of the oldest CPU sample.
    pub first_at: Option<Timestamp>,
    /// Time of the newest CPU sample.
    pub last_at: Option<Timestamp>,
    /// Number of CPU samples.
    pub samples: u64,
}

/// An aggregate as data, with nothing lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedAggregate {
    cpu: SavedHistogram,
    memory: SavedHistogram,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    samples: u64,
}

impl Aggregate {
    /// Nothing known.
    #[must_use]
    pub fn new(aggregation: &Aggregation) -> Self {
        Self {
            cpu: Histogram::new(Buckets::cpu(), aggregation.cpu_half_life),
            memory: Histogram::new(Buckets::memory(), aggregation.memory_half_life),
            first_at: None,
            last_at: None,
            samples: 0,
        }
    }

    /// Adds a CPU sample of each of `count` containers, in millicores.
    pub(super) fn add_cpu(&mut self, milli: i64, count: u32, at: Timestamp) {
        let weight = SAMPLE_WEIGHT * f64::from(count);
        self.cpu.add(milli as f64 / 1000.0, weight, at);
        self.last_at = self.last_at.max(Some(at));
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.samples = self.samples.saturating_add(u64::from(count));
    }

    /// Adds the knowledge of another; its time of reference may move.
    pub fn merge(&mut self, other: &mut Self) {
        self.cpu.merge(&mut other.cpu);
        self.memory.merge(&mut other.memory);
        let first = [self.first_at, other.first_at];
        self.first_at = first.into_iter().flatten().min();
        self.last_at = self.last_at.max(other.last_at);
        self.samples = self.samples.saturating_add(other.samples);
    }

    /// `true` where the newest CPU sample is so old that what is known says nothing of today.
    #[must_use]
    pub fn is_expired(&self, aggregation: &Aggregation, now: Timestamp) -> bool {
        let intervals = i64::from(aggregation.memory_intervals);
        let nanos = aggregation
            .memory_interval
            .nanos()
            .saturating_mul(intervals);
        self.samples > 0
            && self
                .last_at
                .is_some_and(|last| now - last >= Span::from_nanos(nanos))
    }

    /// How much is known: days of samples at one a minute, by span and by number.
    ///
    /// For the newest of N days of samples at one a minute this is N, with `interval` a day.
    #[must_use]
    pub fn confidence(&self, interval: Span) -> f64 {
        let span = match (self.first_at, self.last_at) {
            (Some(first), Some(last)) => last - first,
            _ => Span::ZERO,
        };
        let days = span.nanos() as f64 / interval.nanos() as f64;
        let nanos = interval.nanos();
        let minute = 60 * 1_000_000_000;
        let minutes = (nanos / minute) as f64 + (nanos % minute) as f64 / minute as f64;
        let counted = self.samples as f64 / minutes;
        smaller(days, counted)
    }

    /// All of it as data.
    #[must_use]
    pub fn save(&self) -> SavedAggregate {
        SavedAggregate {
            cpu: self.cpu.save(),
            memory: self.memory.save(),
            first_at: self.first_at,
            last_at: self.last_at,
            samples: self.samples,
        }
    }

    /// Takes back what [`Aggregate::save`] gave.
    ///
    /// # Errors
    /// What is no aggregate of this form.
    pub fn restore(&mut self, saved: &SavedAggregate) -> Result<(), String> {
        self.cpu.restore(&saved.cpu)?;
        self.memory.restore(&saved.memory)?;
        self.first_at = saved.first_at;
        self.last_at = saved.last_at;
        self.samples = saved.samples;
        Ok(())
    }
}
