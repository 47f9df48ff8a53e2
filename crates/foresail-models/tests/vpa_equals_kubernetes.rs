//! The recommender against the real one: `tests/golden/vpa`, made by `tests/reference/vpa`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::path::PathBuf;

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::vpa::{
    Aggregate, Aggregation, Checkpoint, Container, Estimation, Estimations, Range, cpu_min,
    memory_min,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Vectors {
    begin: i64,
    percentiles: Vec<f64>,
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Sequence {
    name: String,
    settings: Value,
    groups: Vec<usize>,
    events: Vec<(u8, usize, i64, i64)>,
    refused: Vec<usize>,
    wants: Vec<Want>,
    checkpoints: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Want {
    after: usize,
    samples: u64,
    cpu: Option<Vec<i64>>,
    memory: Option<Vec<i64>>,
    cpu_percentiles: Option<Vec<f64>>,
    memory_percentiles: Option<Vec<f64>>,
}

fn vectors() -> Vectors {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/vpa");
    serde_json::from_slice(&std::fs::read(root.join("recommender.json")).unwrap()).unwrap()
}

fn number(settings: &Value, name: &str) -> f64 {
    settings[name].as_f64().unwrap_or_else(|| panic!("{name}"))
}

fn aggregation(settings: &Value) -> Aggregation {
    let span = |name| Span::from_seconds(number(settings, name) as i64);
    Aggregation {
        cpu_half_life: span("cpuHistogramDecayHalfLifeSeconds"),
        memory_half_life: span("memoryHistogramDecayHalfLifeSeconds"),
        memory_interval: span("memoryAggregationIntervalSeconds"),
        memory_intervals: number(settings, "memoryAggregationIntervalCount") as u32,
        kill_ratio: number(settings, "oomBumpUpRatio"),
        kill_bytes: number(settings, "oomMinBumpUpBytes"),
    }
}

fn estimations(settings: &Value) -> Estimations {
    let of = |resource: &str, pod_min: i64, round: &str| Estimation {
        target: number(settings, &format!("target{resource}Percentile")),
        lower: number(
            settings,
            &format!("recommendationLowerBound{resource}Percentile"),
        ),
        upper: number(
            settings,
            &format!("recommendationUpperBound{resource}Percentile"),
        ),
        confidence_interval: Span::from_seconds(number(
            settings,
            &format!("confidenceInterval{resource}Seconds"),
        ) as i64),
        pod_min,
        round: number(settings, round) as i64,
    };
    let cpu = cpu_min(number(settings, "podRecommendationMinCpuMillicores"));
    let memory = memory_min(number(settings, "podRecommendationMinMemoryMb"));
    Estimations {
        margin: number(settings, "recommendationMarginFraction"),
        cpu: of("Cpu", cpu, "roundCpuMillicores"),
        memory: of("Memory", memory, "roundMemoryBytes"),
    }
}

/// A recommender as the real one is built: pods with a container each, an aggregate per set of
/// labels, and what was loaded from a checkpoint.
struct Recommender {
    aggregation: Aggregation,
    containers: Vec<Container>,
    aggregates: Vec<Option<Aggregate>>,
    loaded: Option<Aggregate>,
}

impl Recommender {
    fn new(aggregation: Aggregation, groups: &[usize], loaded: Option<Aggregate>) -> Self {
        let sets = groups.iter().max().unwrap() + 1;
        Self {
            aggregation,
            containers: vec![Container::default(); groups.len()],
            aggregates: vec![Some(Aggregate::new(&aggregation)); sets],
            loaded,
        }
    }

    fn merged(&mut self) -> Option<Aggregate> {
        let parts = self.aggregates.iter_mut().flatten().chain(&mut self.loaded);
        let mut merged: Option<Aggregate> = None;
        for part in parts {
            let whole = merged.get_or_insert_with(|| Aggregate::new(&self.aggregation));
            whole.merge(part);
        }
        merged
    }

    fn sample(&mut self, set: usize, (kind, pod, value): (u8, usize, i64), at: Timestamp) -> bool {
        let fresh = || Aggregate::new(&self.aggregation);
        let container = &mut self.containers[pod];
        // Whatever is refused makes no aggregate.
        let before = self.aggregates[set].clone();
        let into = self.aggregates[set].get_or_insert_with(fresh);
        let taken = match kind {
            0 => container.add_cpu(into, (value, at), 1),
            1 => container.add_memory(into, (value, at), &self.aggregation, 1),
            _ => container.record_kill(into, (value, at), &self.aggregation, 1),
        };
        if !taken {
            self.aggregates[set] = before;
        }
        taken
    }

    fn checkpoint(&mut self, now: Timestamp) -> Checkpoint {
        let mut whole = self.merged().expect("an aggregate");
        for container in &self.containers {
            container.take_peak_out(&mut whole, 1, now);
        }
        Checkpoint::of(&whole)
    }
}

fn near(got: f64, want: f64, what: &str) {
    let close = (got - want).abs() <= 1e-9 * want.abs();
    assert!(close, "{what}: {got} is not {want}");
}

/// Two JSON values: whole numbers and texts equal, others within 1e-9.
fn alike(got: &Value, want: &Value, what: &str) {
    match (got, want) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
            for (key, value) in b {
                alike(&a[key], value, &format!("{what}.{key}"));
            }
        }
        (Value::Number(a), Value::Number(b)) if !b.is_u64() => {
            near(a.as_f64().unwrap(), b.as_f64().unwrap(), what);
        }
        (Value::Number(a), Value::Number(b)) => {
            near(a.as_f64().unwrap(), b.as_f64().unwrap(), what);
            assert!(!a.is_u64() || a == b, "{what}: {a} is not {b}");
        }
        _ => assert_eq!(got, want, "{what}"),
    }
}

fn bounds(settings: &Value, resource: usize) -> (i64, i64) {
    let of = |name: &str| settings[name][resource].as_i64().unwrap();
    (of("minAllowed"), of("maxAllowed"))
}

fn listed(range: Range) -> Vec<i64> {
    vec![range.lower, range.target, range.upper, range.uncapped]
}

fn check_want(recommender: &mut Recommender, sequence: &Sequence, want: &Want, shares: &[f64]) {
    let what = format!("{} after {}", sequence.name, want.after);
    let settings = &sequence.settings;
    let Some(whole) = recommender.merged() else {
        assert_eq!((&want.cpu, &want.memory), (&None, &None), "{what}");
        return;
    };
    assert_eq!(whole.samples, want.samples, "{what}");
    let wanted = [&want.cpu_percentiles, &want.memory_percentiles];
    for (histogram, wanted) in [&whole.cpu, &whole.memory].into_iter().zip(wanted) {
        for (share, wanted) in shares.iter().zip(wanted.as_ref().expect("percentiles")) {
            near(
                histogram.percentile(*share),
                *wanted,
                &format!("{what}, percentile {share}"),
            );
        }
    }
    let estimations = estimations(settings);
    let containers = number(settings, "containers") as usize;
    let cpu = estimations.cpu(&whole, containers);
    let memory = estimations.memory(&whole, containers);
    let cpu = Some(listed(cpu.capped(bounds(settings, 0))));
    let memory = Some(listed(memory.capped(bounds(settings, 1))));
    assert_eq!((&cpu, &memory), (&want.cpu, &want.memory), "{what}");
}

/// Runs one sequence; returns how many samples were refused.
fn fly(sequence: &Sequence, begin: i64, shares: &[f64]) -> usize {
    let aggregation = aggregation(&sequence.settings);
    let mut recommender = Recommender::new(aggregation, &sequence.groups, None);
    let mut checkpoints = sequence.checkpoints.iter();
    let mut wants = sequence.wants.iter();
    let mut refused = Vec::new();
    for (place, (kind, pod, millis, value)) in sequence.events.iter().enumerate() {
        let at = Timestamp::from_nanos(begin) + Span::from_millis(*millis);
        match kind {
            0..=2 => {
                if !recommender.sample(sequence.groups[*pod], (*kind, *pod, *value), at) {
                    refused.push(place);
                }
            }
            3 => {
                let saved = serde_json::to_value(recommender.checkpoint(at)).unwrap();
                let mut real = checkpoints.next().expect("a checkpoint").clone();
                let read: Checkpoint = serde_json::from_value(real.clone()).unwrap();
                real.as_object_mut().unwrap().remove("lastUpdateTime");
                alike(&saved, &real, &format!("{} at {place}", sequence.name));
                let loaded = read.load(&aggregation).unwrap();
                recommender = Recommender::new(aggregation, &sequence.groups, Some(loaded));
            }
            _ => {
                for aggregate in &mut recommender.aggregates {
                    let expired = |a: &Aggregate| a.is_expired(&aggregation, at);
                    if aggregate.as_ref().is_some_and(expired) {
                        *aggregate = None;
                    }
                }
            }
        }
        if sequence.wants.iter().any(|w| w.after == place) {
            let want = wants.next().expect("in order");
            assert_eq!(want.after, place);
            check_want(&mut recommender, sequence, want, shares);
        }
    }
    assert_eq!(refused, sequence.refused, "{}: refused", sequence.name);
    assert!(wants.next().is_none() && checkpoints.next().is_none());
    refused.len()
}

#[test]
fn every_recommendation_percentile_and_checkpoint_is_the_real_ones() {
    let vectors = vectors();
    let fly = |s| fly(s, vectors.begin, &vectors.percentiles);
    let refused: usize = vectors.sequences.iter().map(fly).sum();
    let wants: usize = vectors.sequences.iter().map(|s| s.wants.len()).sum();
    let checkpoints: usize = vectors.sequences.iter().map(|s| s.checkpoints.len()).sum();
    // What the vectors must hold to be worth anything.
    assert!(vectors.sequences.len() >= 60 && wants >= 700, "{wants}");
    assert!(checkpoints >= 20 && refused >= 300);
}
