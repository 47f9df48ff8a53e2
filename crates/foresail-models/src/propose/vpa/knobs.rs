//! The flags of the Vertical Pod Autoscaler, as knobs: the same names and defaults.

use foresail_core::quantity::time::Span;

use crate::knobs::{Knob, Knobs};
use crate::vpa::{Aggregation, Estimation, Estimations, cpu_min, memory_min};

/// A day in seconds.
const DAY: f64 = 86_400.0;

/// The longest span of a knob: ten years would overflow a hundred half-lives.
const SPAN_MAX: f64 = 365.0 * DAY;

const fn share(name: &'static str, default: f64, doc: &'static str) -> Knob {
    Knob::number(name, [default, 0.0, 1.0], doc)
}

const fn span(name: &'static str, default: f64, doc: &'static str) -> Knob {
    Knob::number(name, [default, 60.0, SPAN_MAX], doc)
}

/// Every flag of the recommender that moves a number, then those of the updater.
/// Source: vertical-pod-autoscaler 1.8.1, pkg/recommender/config and pkg/updater/config.
pub(super) const KNOBS: &[Knob] = &[
    Knob::number(
        "recommendationMarginFraction",
        [0.15, 0.0, 10.0],
        "share of the usage that is added as a margin",
    ),
    Knob::number(
        "podRecommendationMinCpuMillicores",
        [25.0, 0.0, 1e6],
        "the least CPU that is recommended",
    ),
    Knob::number(
        "podRecommendationMinMemoryMb",
        [250.0, 0.0, 1e7],
        "the least memory that is recommended, in units of 2^20 bytes",
    ),
    share(
        "targetCpuPercentile",
        0.9,
        "share of CPU samples that the target covers",
    ),
    share(
        "recommendationLowerBoundCpuPercentile",
        0.5,
        "share of CPU samples below which a request is too little",
    ),
    share(
        "recommendationUpperBoundCpuPercentile",
        0.95,
        "share of CPU samples above which a request is too much",
    ),
    span(
        "confidenceIntervalCpuSeconds",
        DAY,
        "so long a history makes the upper bound of CPU twice as large",
    ),
    share(
        "targetMemoryPercentile",
        0.9,
        "share of memory peaks that the target covers",
    ),
    share(
        "recommendationLowerBoundMemoryPercentile",
        0.5,
        "share of memory peaks below which a request is too little",
    ),
    share(
        "recommendationUpperBoundMemoryPercentile",
        0.95,
        "share of memory peaks above which a request is too much",
    ),
    span(
        "confidenceIntervalMemorySeconds",
        DAY,
        "so long a history makes the upper bound of memory twice as large",
    ),
    Knob::whole(
        "roundCpuMillicores",
        [1, 1, 1_000_000],
        "CPU is rounded up to a multiple of this",
    ),
    Knob::whole(
        "roundMemoryBytes",
        [1, 1, u32::MAX],
        "memory is rounded up to a multiple of this",
    ),
    span(
        "memoryAggregationIntervalSeconds",
        DAY,
        "each container gives one peak of memory per such interval",
    ),
    Knob::whole(
        "memoryAggregationIntervalCount",
        [8, 1, 10_000],
        "so many intervals without a CPU sample, and all is forgotten",
    ),
    span(
        "memoryHistogramDecayHalfLifeSeconds",
        DAY,
        "time in which a memory peak loses half of its weight",
    ),
    span(
        "cpuHistogramDecayHalfLifeSeconds",
        DAY,
        "time in which a CPU sample loses half of its weight",
    ),
    Knob::number(
        "oomBumpUpRatio",
        [1.2, 1.0, 100.0],
        "a container killed for memory counts as one that used its request times this",
    ),
    Knob::number(
        "oomMinBumpUpBytes",
        [104_857_600.0, 0.0, 1e12],
        "and at least so much more than its request",
    ),
    Knob::number(
        "podUpdateThreshold",
        [0.1, 0.0, 100.0],
        "relative change below which requests within their bounds are kept",
    ),
    Knob::number(
        "inRecommendationBoundsEvictionLifetimeThresholdSeconds",
        [43_200.0, 0.0, SPAN_MAX],
        "requests within their bounds are kept while no pod has lived so long",
    ),
    Knob::number(
        "evictAfterOomThresholdSeconds",
        [600.0, 0.0, SPAN_MAX],
        "a kill so soon after a start changes requests within their bounds, for as long",
    ),
];

/// When requests are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Updating {
    /// Relative change, summed over the resources.
    pub(super) change_min: f64,
    /// Age of a pod.
    pub(super) lifetime: Span,
    /// Time from a start to a kill, and from the kill to now.
    pub(super) after_kill: Span,
}

fn seconds(knobs: &Knobs, name: &str) -> Span {
    Span::from_seconds_f64(knobs.number(name)).unwrap_or(Span::ZERO)
}

pub(super) fn updating(knobs: &Knobs) -> Updating {
    let lifetime = "inRecommendationBoundsEvictionLifetimeThresholdSeconds";
    Updating {
        change_min: knobs.number("podUpdateThreshold"),
        lifetime: seconds(knobs, lifetime),
        after_kill: seconds(knobs, "evictAfterOomThresholdSeconds"),
    }
}

pub(super) fn aggregation(knobs: &Knobs) -> Aggregation {
    let count = knobs.whole("memoryAggregationIntervalCount");
    Aggregation {
        cpu_half_life: seconds(knobs, "cpuHistogramDecayHalfLifeSeconds"),
        memory_half_life: seconds(knobs, "memoryHistogramDecayHalfLifeSeconds"),
        memory_interval: seconds(knobs, "memoryAggregationIntervalSeconds"),
        memory_intervals: u32::try_from(count).unwrap_or(u32::MAX),
        kill_ratio: knobs.number("oomBumpUpRatio"),
        kill_bytes: knobs.number("oomMinBumpUpBytes"),
    }
}

pub(super) fn estimations(knobs: &Knobs) -> Estimations {
    let whole = |name| i64::try_from(knobs.whole(name)).unwrap_or(i64::MAX);
    Estimations {
        margin: knobs.number("recommendationMarginFraction"),
        cpu: Estimation {
            target: knobs.number("targetCpuPercentile"),
            lower: knobs.number("recommendationLowerBoundCpuPercentile"),
            upper: knobs.number("recommendationUpperBoundCpuPercentile"),
            confidence_interval: seconds(knobs, "confidenceIntervalCpuSeconds"),
            pod_min: cpu_min(knobs.number("podRecommendationMinCpuMillicores")),
            round: whole("roundCpuMillicores"),
        },
        memory: Estimation {
            target: knobs.number("targetMemoryPercentile"),
            lower: knobs.number("recommendationLowerBoundMemoryPercentile"),
            upper: knobs.number("recommendationUpperBoundMemoryPercentile"),
            confidence_interval: seconds(knobs, "confidenceIntervalMemorySeconds"),
            pod_min: memory_min(knobs.number("podRecommendationMinMemoryMb")),
            round: whole("roundMemoryBytes"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_flags_own() {
        let knobs = Knobs::read(KNOBS, &std::collections::BTreeMap::new(), "").unwrap();
        assert_eq!(aggregation(&knobs), Aggregation::default());
        let (cpu, memory) = (estimations(&knobs).cpu, estimations(&knobs).memory);
        assert_eq!((cpu.pod_min, memory.pod_min), (25, 262_144_000));
        assert_eq!((cpu.round, memory.round), (1, 1));
        assert_eq!(updating(&knobs).lifetime, Span::from_seconds(12 * 3600));
    }
}
