//! Pods: how they start, what they hold, which are taken away first.

use std::collections::VecDeque;

use foresail_core::quantity::time::Span;

use crate::metrics::scrape::CpuRing;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Starting,
    Ready,
    /// Takes nothing new, finishes what it has.
    Draining,
    Gone,
}

/// A waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) arrived: i64,
    pub(crate) service: i64,
}

/// One pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) life: Life,
    pub(crate) created: i64,
    pub(crate) ready: i64,
    pub(crate) serving: u32,
    pub(crate) queue: VecDeque<Waiting>,
    /// Place in the list of pods with the same load.
    pub(crate) place: usize,
    /// Request-nanoseconds served so far, up to `touched`.
    pub(crate) served_area: i64,
    pub(crate) touched: i64,
    pub(crate) cpu: CpuRing,
}

impl Pod {
    pub(crate) fn new(created: i64, ready: i64) -> Self {
        Self {
            life: Life::Starting,
            created,
            ready,
            serving: 0,
            queue: VecDeque::new(),
            place: usize::MAX,
            served_area: 0,
            touched: created,
            cpu: CpuRing::default(),
        }
    }

    /// Changes the number of requests in service, the area under it kept.
    #[inline]
    pub(crate) fn set_serving(&mut self, serving: u32, now: i64) {
        self.served_area += i64::from(self.serving) * (now - self.touched);
        self.touched = now;
        self.serving = serving;
    }

    /// Requests that it holds, waiting ones included.
    pub(crate) fn load(&self) -> usize {
        self.serving as usize + self.queue.len()
    }
}

/// Ready pods by their load, so that the least loaded is found at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByLoad {
    lists: Vec<Vec<u32>>,
    lowest: usize,
}

impl ByLoad {
    /// The pod with the least load, where that is below `below`.
    #[inline]
    pub(crate) fn least(&mut self, below: usize) -> Option<u32> {
        while self.lowest < self.lists.len() {
            if let Some(pod) = self.lists[self.lowest].last() {
                return (self.lowest < below).then_some(*pod);
            }
            self.lowest += 1;
        }
        None
    }

    #[inline]
    pub(crate) fn insert(&mut self, pods: &mut [Pod], pod: u32, load: usize) {
        if self.lists.len() <= load {
            self.lists.resize_with(load + 1, Vec::new);
        }
        pods[pod as usize].place = self.lists[load].len();
        self.lists[load].push(pod);
        if load < self.lowest {
            self.lowest = load;
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, pods: &mut [Pod], pod: u32, load: usize) {
        let place = pods[pod as usize].place;
        let list = &mut self.lists[load];
        list.swap_remove(place);
        if let Some(moved) = list.get(place) {
            pods[*moved as usize].place = place;
        }
    }
}

/// Pods to take away first: not ready before ready, of equals the younger.
///
/// Source: kubernetes/kubernetes:pkg/controller/controller_utils.go, ActivePodsWithRanks.
pub(crate) fn victims(pods: &[Pod], alive: &[u32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = alive.to_vec();
    order.sort_by_key(|i| {
        let pod = &pods[*i as usize];
        let since = if pod.life == Life::Ready {
            pod.ready
        } else {
            pod.created
        };
        (
            pod.life == Life::Ready,
            std::cmp::Reverse(since),
            std::cmp::Reverse(*i),
        )
    });
    order.truncate(count);
    order
}

/// The CPU that requests in service use, in thousandths of a core each.
pub(crate) fn millicores_per_request(cpu_per_request: Span, mean_service: Span) -> f64 {
    cpu_per_request.nanos() as f64 / mean_service.nanos() as f64 * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_not_ready_go_first_then_the_youngest() {
        let mut pods: Vec<Pod> = [(0, 10), (5, 15), (7, 100), (3, 13)]
            .map(|(c, r)| Pod::new(c, r))
            .into();
        for i in [0, 1, 3] {
            pods[i].life = Life::Ready;
        }
        assert_eq!(victims(&pods, &[0, 1, 2, 3], 3), [2, 1, 3]);
    }
}
