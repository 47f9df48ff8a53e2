//! The pods of a target, each with its container's memory, as a driver lists them.
//!
//! A list names no pods. Those that started at the same instant are told apart by their order, and
//! what is the same of several stands there once, so that a group of thousands costs as much as one.

use std::collections::{BTreeMap, VecDeque};

use foresail_core::hpa::{Pod, PodReading, PodSample};
use foresail_core::observe::{FUTURE_MAX, MemoryKill, is_plausible};
use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::vpa::{Aggregate, Aggregation, Container};

/// Several containers that are the same in every field.
type Run = (u32, Container);

/// What is remembered of the pods that were listed last, by their start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Pods(Vec<(Option<Timestamp>, Vec<Run>)>);

/// What was read of the pods, in their order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readings<'a> {
    /// Thousandths of a core.
    pub(super) cpu: &'a [PodReading],
    /// Thousandths of a byte.
    pub(super) memory: &'a [PodReading],
}

/// Where samples go.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) aggregate: &'a mut Aggregate,
    pub(super) aggregation: &'a Aggregation,
    pub(super) now: Timestamp,
}

/// The sample of a pod, where there is one that can be a measurement.
fn sample(readings: &[PodReading], place: usize, now: Timestamp) -> Option<PodSample> {
    let sample = readings.get(place)?.sample?;
    is_plausible(sample.value as f64 / 1000.0, sample.at, now).then_some(sample)
}

/// The first `count` containers of a queue; fresh ones where it ends.
fn take(from: Option<&mut VecDeque<Run>>, mut count: u32) -> Vec<Run> {
    let mut taken = Vec::new();
    let Some(from) = from else {
        return vec![(count, Container::default())];
    };
    while count > 0 {
        match from.pop_front() {
            Some((n, container)) if n > count => {
                from.push_front((n - count, container));
                taken.push((count, container));
                count = 0;
            }
            Some(run) => {
                count -= run.0;
                taken.push(run);
            }
            None => {
                taken.push((count, Container::default()));
                count = 0;
            }
        }
    }
    taken
}

/// Adds containers to a list; those like the last ones join them.
fn join(runs: &mut Vec<Run>, (count, container): Run) {
    match runs.last_mut() {
        Some((n, last)) if *last == container => *n = n.saturating_add(count),
        _ => runs.push((count, container)),
    }
}

impl Pods {
    /// Takes in what the listed pods read; pods that are not listed any more are forgotten.
    pub(super) fn look(&mut self, pods: &[Pod], readings: Readings<'_>, into: &mut Sink<'_>) {
        let old = std::mem::take(&mut self.0);
        let mut old: BTreeMap<_, VecDeque<Run>> = old
            .into_iter()
            .map(|(at, runs)| (at, runs.into()))
            .collect();
        let mut new: BTreeMap<Option<Timestamp>, Vec<Run>> = BTreeMap::new();
        for (place, pod) in pods.iter().enumerate().filter(|(_, p)| p.count > 0) {
            let cpu = sample(readings.cpu, place, into.now);
            let memory = sample(readings.memory, place, into.now);
            let listed = new.entry(pod.started_at).or_default();
            for (count, mut container) in take(old.get_mut(&pod.started_at), pod.count) {
                if let Some(s) = cpu {
                    container.add_cpu(into.aggregate, (s.value, s.at), count);
                }
                if let Some(s) = memory {
                    let bytes = (s.value / 1000, s.at);
                    container.add_memory(into.aggregate, bytes, into.aggregation, count);
                }
                join(listed, (count, container));
            }
        }
        self.0 = new.into_iter().collect();
    }

    /// Takes in that containers were killed for memory, those that used most of it first; one that
    /// no listed pod can have had counts all the same.
    pub(super) fn kill(&mut self, kills: &[MemoryKill], into: &mut Sink<'_>) {
        let mut rest = kills;
        while let Some(kill) = rest.first() {
            let same = rest.iter().take_while(|k| *k == kill).count();
            rest = &rest[same..];
            let bytes = kill.memory.milli() / 1000;
            if bytes >= 0 && kill.at <= into.now + FUTURE_MAX {
                let count = u32::try_from(same).unwrap_or(u32::MAX);
                self.kill_all(count, (bytes, kill.at), into);
            }
        }
    }

    fn kill_all(&mut self, mut count: u32, kill: (i64, Timestamp), into: &mut Sink<'_>) {
        let all = self.0.iter().flat_map(|(_, runs)| runs);
        let listed = all.fold(0, |sum: u32, (n, _)| sum.saturating_add(*n));
        // More kills than pods: some were killed twice, which counts no more than once.
        count = count.min(listed.max(1));
        while count > 0 {
            let Some((group, run)) = self.likeliest() else {
                let mut gone = Container::default();
                gone.record_kill(into.aggregate, kill, into.aggregation, count);
                return;
            };
            let runs = &mut self.0[group].1;
            let (n, mut container) = runs[run];
            let killed = count.min(n);
            container.record_kill(into.aggregate, kill, into.aggregation, killed);
            count -= killed;
            if killed == n {
                runs[run].1 = container;
            } else {
                runs[run].0 = n - killed;
                runs.insert(run, (killed, container));
            }
        }
    }

    /// Which containers were killed, as far as can be told: not killed in this interval, and with
    /// the highest peak; of equals the first.
    fn likeliest(&self) -> Option<(usize, usize)> {
        let places = self.0.iter().enumerate();
        let places = places.flat_map(|(g, (_, runs))| (0..runs.len()).map(move |r| (g, r)));
        let rank = |(g, r): &(usize, usize)| {
            let container = &self.0[*g].1[*r].1;
            (
                container.was_killed(),
                std::cmp::Reverse(container.measured_peak()),
            )
        };
        places.min_by_key(rank)
    }
}
