//! The checkpoint of a recommender: the status of a VerticalPodAutoscalerCheckpoint object.
//!
//! Weights are rounded to whole numbers and times to seconds, so what is loaded is not quite what
//! was saved. An engine's snapshot holds the exact state instead; this form is for what the real
//! recommender wrote, or is to read.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregate, Aggregation};
use super::histogram::{Histogram, RoughHistogram};

/// The version of the form that is read and written.
const VERSION: &str = "v3";

/// The status of a VerticalPodAutoscalerCheckpoint object (autoscaling.k8s.io/v1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    version: String,
    cpu_histogram: HistogramCheckpoint,
    memory_histogram: HistogramCheckpoint,
    first_sample_start: Option<Timestamp>,
    last_sample_start: Option<Timestamp>,
    #[serde(default)]
    total_samples_count: u64,
}

/// One histogram of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistogramCheckpoint {
    reference_timestamp: Option<Timestamp>,
    #[serde(default)]
    bucket_weights: BTreeMap<String, u32>,
    #[serde(default)]
    total_weight: f64,
}

fn seconds(at: Option<Timestamp>) -> Option<Timestamp> {
    at.map(|at| Timestamp::from_seconds(at.seconds_floor()))
}

impl HistogramCheckpoint {
    fn of(histogram: &Histogram) -> Self {
        let rough = histogram.rough();
        let weights = rough.weights.iter();
        Self {
            reference_timestamp: seconds(rough.reference),
            bucket_weights: weights.map(|(b, w)| (b.to_string(), *w)).collect(),
            total_weight: rough.total,
        }
    }

    fn load(&self, into: &mut Histogram, name: &str) -> Result<(), String> {
        let read = |(bucket, weight): (&String, &u32)| {
            let place = bucket.parse::<usize>();
            let place = place.map_err(|_| format!("{name}: bucket `{bucket}` is no number"))?;
            Ok((place, *weight))
        };
        let weights: Result<Vec<(usize, u32)>, String> =
            self.bucket_weights.iter().map(read).collect();
        let rough = RoughHistogram {
            reference: self.reference_timestamp,
            total: self.total_weight,
            weights: weights?,
        };
        into.load(&rough).map_err(|why| format!("{name}: {why}"))
    }
}

impl Checkpoint {
    /// What is written of an aggregate; take the peaks of intervals that are not over out of it
    /// first ([`super::Container::take_peak_out`]).
    #[must_use]
    pub fn of(aggregate: &Aggregate) -> Self {
        Self {
            version: VERSION.to_owned(),
            cpu_histogram: HistogramCheckpoint::of(&aggregate.cpu),
            memory_histogram: HistogramCheckpoint::of(&aggregate.memory),
            first_sample_start: seconds(aggregate.first_at),
            last_sample_start: seconds(aggregate.last_at),
            total_samples_count: aggregate.samples,
        }
    }

    /// The aggregate that it stands for.
    ///
    /// # Errors
    /// Another version, a bucket that does not exist, a total below zero.
    pub fn load(&self, aggregation: &Aggregation) -> Result<Aggregate, String> {
        if self.version != VERSION {
            return Err(format!(
                "version `{}`: this reads version {VERSION}",
                self.version
            ));
        }
        let mut aggregate = Aggregate::new(aggregation);
        self.memory_histogram
            .load(&mut aggregate.memory, "memoryHistogram")?;
        self.cpu_histogram
            .load(&mut aggregate.cpu, "cpuHistogram")?;
        aggregate.first_at = self.first_sample_start;
        aggregate.last_at = self.last_sample_start;
        aggregate.samples = self.total_samples_count;
        Ok(aggregate)
    }
}
