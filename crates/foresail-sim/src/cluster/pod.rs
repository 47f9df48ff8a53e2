//! Pods: what they hold, and which are taken away first.

use std::collections::VecDeque;

use super::Size;
use crate::metrics::scrape::CpuRing;
use crate::rng::Stream;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// No node has room for it.
    Pending,
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

/// The node of a pod that stands on none.
pub(crate) const NO_NODE: u32 = u32::MAX;

/// One pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) life: Life,
    pub(crate) created: i64,
    /// When it got its node; the end of time while it has none.
    pub(crate) placed: i64,
    /// When its container last began to start, its image being there.
    pub(crate) begun: i64,
    /// When it becomes ready, or became so; the end of time while it is pending.
    pub(crate) ready: i64,
    /// When its readiness last changed.
    pub(crate) changed: i64,
    /// Since when it was not ready before it last became so: its creation, or a failure.
    pub(crate) down_since: i64,
    pub(crate) node: u32,
    /// What it holds.
    pub(crate) size: Size,
    /// What it shall hold: a resize waits for its time, or for room on the node.
    pub(crate) asked: Size,
    /// When the resize is tried; the end of time where there is none.
    pub(crate) resizes_at: i64,
    /// Its start-up as drawn.
    pub(crate) startup: i64,
    /// Chance of its own: when it fails, and how long it then starts.
    pub(crate) failures: Option<Box<Stream>>,
    /// When it fails; the end of time where it does not.
    pub(crate) fails_at: i64,
    /// Failures in a row.
    pub(crate) failed: u32,
    pub(crate) serving: u32,
    pub(crate) queue: VecDeque<Waiting>,
    /// Place in the list of pods with the same load.
    pub(crate) place: usize,
    /// Slots of its requests in service, where these share its CPU.
    pub(crate) slots: Vec<u32>,
    /// How fast each is served; below one where they want more CPU than it has.
    pub(crate) speed: f64,
    /// When that last changed.
    pub(crate) shared_at: i64,
    /// Request-nanoseconds served so far at full speed, up to `touched`.
    pub(crate) served_area: i64,
    /// Nanoseconds spent starting before the last start.
    pub(crate) started_area: i64,
    pub(crate) touched: i64,
    pub(crate) cpu: CpuRing,
}

impl Pod {
    pub(crate) fn new(created: i64, startup: i64, size: Size) -> Self {
        Self {
            life: Life::Pending,
            created,
            placed: i64::MAX,
            begun: i64::MAX,
            ready: i64::MAX,
            changed: created,
            down_since: created,
            node: NO_NODE,
            size,
            asked: size,
            resizes_at: i64::MAX,
            startup,
            failures: None,
            fails_at: i64::MAX,
            failed: 0,
            serving: 0,
            queue: VecDeque::new(),
            place: usize::MAX,
            slots: Vec::new(),
            speed: 1.0,
            shared_at: created,
            served_area: 0,
            started_area: 0,
            touched: created,
            cpu: CpuRing::default(),
        }
    }

    /// Its container begins to start at `begun`.
    pub(crate) fn start(&mut self, begun: i64, startup: i64) {
        self.life = Life::Starting;
        self.begun = begun;
        self.ready = begun + startup;
    }

    /// Changes the number of requests in service, the area under it kept.
    #[inline]
    pub(crate) fn set_serving(&mut self, serving: u32, now: i64) {
        let area = i64::from(self.serving) * (now - self.touched);
        self.served_area += if self.speed < 1.0 {
            (area as f64 * self.speed) as i64
        } else {
            area
        };
        self.touched = now;
        self.serving = serving;
    }

    /// Nanoseconds spent starting up to `now`.
    pub(crate) fn starting_area(&self, now: i64) -> i64 {
        self.started_area + (self.ready.min(now) - self.begun).max(0)
    }

    /// Requests that it holds, waiting ones included.
    pub(crate) fn load(&self) -> usize {
        self.serving as usize + self.queue.len()
    }
}

/// Pods to take away first: those without a node, then those not ready, of equals the younger.
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
            pod.life != Life::Pending,
            pod.life == Life::Ready,
            std::cmp::Reverse(since),
            std::cmp::Reverse(*i),
        )
    });
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_without_a_node_go_first_then_those_not_ready_then_the_youngest() {
        let mut pods: Vec<Pod> = [(0, 10), (5, 15), (7, 100), (3, 13), (1, 1)]
            .map(|(created, ready)| {
                let mut pod = Pod::new(created, ready - created, Size::default());
                pod.start(created, ready - created);
                pod
            })
            .into();
        for i in [0, 1, 3] {
            pods[i].life = Life::Ready;
        }
        pods[4].life = Life::Pending;
        assert_eq!(victims(&pods, &[0, 1, 2, 3, 4], 4), [4, 2, 1, 3]);
    }
}
