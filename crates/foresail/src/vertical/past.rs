//! What a Deployment's containers used in the past, by Prometheus.
//!
//! The metrics are those of the kubelets (cAdvisor or `/metrics/resource`), told apart by the labels
//! `namespace`, `pod` and `container`. Pods that are gone count too: their names begin with the
//! Deployment's.

use std::collections::BTreeMap;

use foresail_adapters::prometheus::{Line, Prometheus, PrometheusError, Range};
use foresail_core::hpa::{Phase, Pod, PodReading, PodSample, Reading};
use foresail_core::observe::{Health, TargetState};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Unit};
use k8s_openapi::api::core::v1::Pod as Object;
use kube::ResourceExt;

use super::adviser::{Adviser, SizedContainer};
use super::group::PodGroup;
use super::subject::Place;

/// Steps of the past: the recommender's own tick.
pub const STEP: Span = Span::from_seconds(60);

/// The window of `rate()`: four scrapes at the usual minute and a margin.
const RATE_WINDOW: &str = "5m";

/// Characters of a ReplicaSet's hash and of a pod's end.
/// Source: kubernetes/apimachinery:pkg/util/rand, alphanums.
const SAFE: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// What one container of one pod used: time and amount in thousandths.
type Used = BTreeMap<Timestamp, i64>;

/// The past of one container: by pod, CPU and memory.
#[derive(Clone, Debug, Default)]
struct Container {
    pods: BTreeMap<String, (Used, Used)>,
}

/// The past of all containers.
#[derive(Clone, Debug, Default)]
pub struct Past {
    containers: BTreeMap<String, Container>,
}

/// The two queries: CPU in cores and memory in bytes, a series for each container of each pod.
#[must_use]
pub fn queries(place: &Place) -> [String; 2] {
    let selector = format!(
        r#"namespace="{}",pod=~"{}-{SAFE}+-{SAFE}{{5}}",container!="",container!="POD""#,
        place.namespace, place.name
    );
    [
        format!(
            "sum by (pod, container) (rate(container_cpu_usage_seconds_total{{{selector}}}[{RATE_WINDOW}]))"
        ),
        format!("max by (pod, container) (container_memory_working_set_bytes{{{selector}}})"),
    ]
}

/// Asks for the past.
///
/// # Errors
/// [`PrometheusError`] of either query.
pub async fn ask(
    server: &Prometheus,
    place: &Place,
    range: &Range,
) -> Result<Past, PrometheusError> {
    let [cpu, memory] = queries(place);
    let mut past = Past::default();
    past.take(&server.every_series(&cpu, range).await?, true);
    past.take(&server.every_series(&memory, range).await?, false);
    Ok(past)
}

impl Past {
    fn take(&mut self, lines: &[Line], is_cpu: bool) {
        for line in lines {
            let (Some(pod), Some(container)) =
                (line.labels.get("pod"), line.labels.get("container"))
            else {
                continue;
            };
            let of = self.containers.entry(container.to_owned()).or_default();
            let used = of.pods.entry(pod.to_owned()).or_default();
            let used = if is_cpu { &mut used.0 } else { &mut used.1 };
            let milli = |value: f64| Quantity::from_f64(value, Unit::Count).milli();
            used.extend(line.points.iter().map(|(at, value)| (*at, milli(*value))));
        }
    }

    /// `true` where nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Lets the engine live through it, step by step; steps that nobody measured are left out.
    /// Returns how many were lived through.
    pub fn live(&self, adviser: &mut Adviser, group: &PodGroup) -> usize {
        for (name, container) in &self.containers {
            let memory = container
                .pods
                .values()
                .flat_map(|(_, memory)| memory.values());
            let is_sized = adviser.sized().iter().any(|s| s.container == *name);
            if let Some(most) = memory.max().filter(|_| is_sized) {
                adviser.note_used(name, *most);
            }
        }
        let mut steps: Vec<Timestamp> = self.times().collect();
        steps.sort_unstable();
        steps.dedup();
        let starts = starts(&group.pods);
        // Who asked for what then is not known: it is told as it is now.
        let blank = |one: &SizedContainer| TargetState {
            pods: Vec::new(),
            readings: Vec::new(),
            kills: Vec::new(),
            rollout: false,
            ..group.state(one.target.clone(), &one.container)
        };
        let sized = adviser.sized().to_vec();
        let blanks: Vec<TargetState> = sized.iter().map(blank).collect();
        for at in &steps {
            let both = sized.iter().zip(&blanks);
            let states = both.map(|(one, blank)| self.state(&one.container, blank, &starts, *at));
            adviser.feed(states.collect(), Health::default(), *at);
        }
        steps.len()
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let pods = self.containers.values().flat_map(|c| c.pods.values());
        pods.flat_map(|(cpu, memory)| cpu.keys().chain(memory.keys()))
            .copied()
    }

    /// One container at one step.
    fn state(
        &self,
        container: &str,
        blank: &TargetState,
        starts: &BTreeMap<String, Timestamp>,
        at: Timestamp,
    ) -> TargetState {
        let (mut pods, mut cpus, mut memories) = (Vec::new(), Vec::new(), Vec::new());
        let known = self.containers.get(container);
        for (name, (cpu, memory)) in known.iter().flat_map(|c| &c.pods) {
            let read = |of: &Used| PodReading {
                request: None,
                sample: of.get(&at).map(|value| PodSample {
                    value: *value,
                    at,
                    window: STEP,
                }),
            };
            let (cpu_read, memory_read) = (read(cpu), read(memory));
            if cpu_read.sample.is_none() && memory_read.sample.is_none() {
                continue;
            }
            let first = cpu.keys().chain(memory.keys()).min().copied();
            pods.push(Pod {
                phase: Phase::Running,
                started_at: starts.get(name).copied().or(first),
                ..Pod::default()
            });
            cpus.push(cpu_read);
            memories.push(memory_read);
        }
        TargetState {
            pods,
            readings: vec![Reading::Pods(cpus), Reading::Pods(memories)],
            ..blank.clone()
        }
    }
}

/// When the pods that are there started: the live looks that follow tell them apart by it.
fn starts(pods: &[Object]) -> BTreeMap<String, Timestamp> {
    let start = |pod: &Object| {
        let started = pod.status.as_ref()?.start_time.as_ref()?;
        Some((
            pod.name_any(),
            foresail_adapters::kubernetes::pods::time(started),
        ))
    };
    pods.iter().filter_map(start).collect()
}
