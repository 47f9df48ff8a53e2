//! What pods stand on and what happens to them: nodes, sizes, failures.

use foresail_core::propose::plan::Resources;
use foresail_models::rng::Seed;

use super::{Happening, Simulation};
use crate::cluster::{Life, NO_NODE, Nodes, Size};
use crate::config::ClusterConfig;
use crate::fault::Fault;
use crate::rng::Stream;
use crate::service::Sampler;

/// The nodes at the begin, where there are any.
pub(super) fn nodes(config: &ClusterConfig, seed: Seed) -> Option<Nodes> {
    let nodes = config.nodes.as_ref()?;
    Some(Nodes::new(
        nodes,
        config.image_pull.map(Sampler::new),
        Stream::of(seed, "provisioning"),
        Stream::of(seed, "pull"),
    ))
}

impl Simulation<'_> {
    pub(super) fn begin_places(&mut self) {
        for (place, fault) in self.config.faults.iter().enumerate() {
            if let Fault::NodeLoss { at, .. } = fault {
                let lost = Happening::NodesLost(place as u32);
                self.events.push(at.nanos(), lost.item());
            }
        }
        self.count_nodes();
        for _ in 0..self.config.initial {
            self.create_pod(true);
        }
        self.order_nodes();
    }

    // Nodes.

    fn count_nodes(&mut self) {
        self.held.nodes = self.nodes.as_ref().map_or(0, Nodes::paid);
    }

    /// Gives a pod a place, at which it starts; `false` where no node has room.
    pub(super) fn place_pod(&mut self, index: u32, warm: bool) -> bool {
        let mut begun = self.now;
        if let Some(nodes) = &mut self.nodes {
            let Some(node) = nodes.place(self.pods[index as usize].size) else {
                return false;
            };
            begun = nodes.image_ready(node, self.now, warm);
            self.pods[index as usize].node = node;
        }
        self.start_pod(index, begun);
        true
    }

    /// A pod left its node: whoever waits for room there may have it.
    pub(super) fn leave_node(&mut self, node: u32, size: Size) {
        let Some(nodes) = self.nodes.as_mut().filter(|_| node != NO_NODE) else {
            return;
        };
        let empty = nodes.release(node, size, self.now);
        self.grow_deferred(node);
        self.place_pending();
        if let Some(idle) = self.config.nodes.as_ref().and_then(|n| n.idle)
            && empty
        {
            let event = Happening::NodeIdles(node).item();
            self.events.push(self.now + idle.nanos(), event);
        }
    }

    fn place_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        for index in pending {
            if !self.place_pod(index, false) {
                self.pending.push(index);
            }
        }
    }

    /// Orders nodes for the pods that have no place.
    pub(super) fn order_nodes(&mut self) {
        let Some(nodes) = self.nodes.as_mut().filter(|_| !self.pending.is_empty()) else {
            return;
        };
        let sizes: Vec<Size> = self
            .pending
            .iter()
            .map(|i| self.pods[*i as usize].size)
            .collect();
        let ordered = nodes.order_for(&sizes);
        self.touch_pods();
        self.count_nodes();
        for (node, takes) in ordered {
            let event = Happening::NodeArrives(node).item();
            self.events.push(self.now + takes, event);
        }
    }

    pub(super) fn node_arrives(&mut self, node: u32) {
        if let Some(nodes) = &mut self.nodes {
            nodes.arrive(node, self.now);
        }
        self.place_pending();
        self.order_nodes();
        if let Some(idle) = self.config.nodes.as_ref().and_then(|n| n.idle) {
            let event = Happening::NodeIdles(node).item();
            self.events.push(self.now + idle.nanos(), event);
        }
    }

    pub(super) fn node_idles(&mut self, node: u32) {
        let idle = self.config.nodes.as_ref().and_then(|n| n.idle);
        if let (Some(nodes), Some(idle)) = (&mut self.nodes, idle) {
            nodes.give_back(node, self.now - idle.nanos());
        }
        self.touch_pods();
        self.count_nodes();
    }

    /// The oldest nodes are gone, and their pods with them; as many pods are created anew.
    pub(super) fn lose_nodes(&mut self, fault: u32) {
        let Some(Fault::NodeLoss { nodes: count, .. }) = self.config.faults.get(fault as usize)
        else {
            return;
        };
        let Some(nodes) = &mut self.nodes else { return };
        let lost = nodes.lose(*count);
        self.touch_pods();
        self.count_nodes();
        let on_them = |i: &u32| lost.contains(&self.pods[*i as usize].node);
        let victims: Vec<u32> = self.alive.iter().copied().filter(on_them).collect();
        for index in victims {
            self.leave_service(index);
            self.lose_requests(index);
            self.pods[index as usize].node = NO_NODE;
            self.end_pod(index);
        }
        self.reconcile();
    }

    // Sizes.

    /// The most that a pod can hold: a whole node.
    pub(super) fn largest(&self) -> Option<Size> {
        self.nodes.as_ref().map(Nodes::whole)
    }

    /// Asks all pods for another size.
    pub(super) fn resize(&mut self, wanted: &Resources) {
        let size = self.size.with(wanted);
        let infeasible = self.largest().is_some_and(|most| !size.fits(most));
        if size == self.size || size.cpu <= 0 || infeasible {
            return;
        }
        (self.size, self.resized) = (size, true);
        let delay = self.config.resize.nanos();
        for index in self.alive.clone() {
            let pod = &mut self.pods[index as usize];
            pod.asked = size;
            match pod.life {
                Life::Pending => pod.size = size,
                Life::Draining | Life::Gone => {}
                Life::Starting | Life::Ready if delay == 0 => self.try_resize(index),
                Life::Starting | Life::Ready => {
                    pod.resizes_at = self.now + delay;
                    let event = Happening::PodResizes(index).item();
                    self.events.push(self.now + delay, event);
                }
            }
        }
        self.place_pending();
        self.order_nodes();
    }

    pub(super) fn resize_due(&mut self, index: u32) {
        if self.pods[index as usize].resizes_at == self.now {
            self.try_resize(index);
        }
    }

    /// Gives a pod the size that it was asked for, where its node has room for that.
    fn try_resize(&mut self, index: u32) {
        let pod = &mut self.pods[index as usize];
        pod.resizes_at = i64::MAX;
        let (from, to, node) = (pod.size, pod.asked, pod.node);
        if !matches!(pod.life, Life::Starting | Life::Ready) || from == to {
            return;
        }
        let fits = match &mut self.nodes {
            Some(nodes) => nodes.resize(node, from, to),
            None => true,
        };
        if fits {
            self.touch_pods();
            self.held.size = self.held.size.minus(from).plus(to);
            self.pods[index as usize].size = to;
            self.share_again(index);
        }
    }

    /// Pods of a node whose resize waits for room, tried in their order.
    fn grow_deferred(&mut self, node: u32) {
        if !self.resized {
            return;
        }
        for index in self.alive.clone() {
            let pod = &self.pods[index as usize];
            if pod.node == node && pod.resizes_at == i64::MAX {
                self.try_resize(index);
            }
        }
    }

    // Failures.

    /// The chance of the n-th pod's failures, where pods fail.
    pub(super) fn failures_of(&self, created: u64) -> Option<Box<Stream>> {
        let fail = self.config.crash.is_some_and(|c| c.per_pod_hour > 0.0);
        fail.then(|| Box::new(Stream::of(self.seed, &format!("crash/{created}"))))
    }

    /// When a pod that becomes ready fails.
    pub(super) fn draw_failure(&mut self, index: u32) {
        let Some(crash) = &self.config.crash else {
            return;
        };
        let pod = &mut self.pods[index as usize];
        if let Some(failures) = &mut pod.failures {
            let hours = failures.exponential() / crash.per_pod_hour;
            pod.fails_at = self.now + (hours * 3600e9) as i64;
            let event = Happening::PodFails(index).item();
            self.events.push(pod.fails_at, event);
        }
    }

    /// A container fails with everything that it holds, waits, and starts again in its place.
    pub(super) fn fail(&mut self, index: u32) {
        let pod = &self.pods[index as usize];
        let Some(crash) = self
            .config
            .crash
            .filter(|_| pod.life == Life::Ready && pod.fails_at == self.now)
        else {
            return;
        };
        let well_for = self.now - pod.ready;
        self.touch_pods();
        self.leave_service(index);
        self.lose_requests(index);
        self.meter.crashes += 1;
        let pod = &mut self.pods[index as usize];
        pod.failed = if well_for >= 2 * crash.back_off_max.nanos() {
            1
        } else {
            pod.failed + 1
        };
        let startup = match &mut pod.failures {
            Some(chance) => self.startup.draw(chance),
            None => pod.startup,
        };
        pod.started_area += pod.ready - pod.begun;
        pod.changed = self.now;
        pod.down_since = self.now;
        pod.start(self.now + crash.wait(pod.failed), startup);
        let (ready, event) = (pod.ready, Happening::PodReady(index).item());
        self.events.push(ready, event);
    }
}
