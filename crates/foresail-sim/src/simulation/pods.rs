//! Pods: asked for, started, drained, gone.

use super::{Happening, Simulation};
use crate::cluster::{Life, NO_NODE, Pod, victims};
use crate::fault;

/// The most pods that may exist at once.
const PODS_MAX: u32 = 100_000;

impl Simulation<'_> {
    pub(super) fn touch_pods(&mut self) {
        self.meter.touch(self.now, &self.held);
    }

    pub(super) fn create_pod(&mut self, warm: bool) {
        let startup = if warm {
            0
        } else {
            let drawn = self.startup.draw(&mut self.startups);
            fault::startup(&self.config.faults, self.now, drawn)
        };
        let mut pod = Pod::new(self.now, startup, self.size);
        self.created += 1;
        pod.failures = self.failures_of(self.created);
        let index = match self.free_pods.pop() {
            Some(index) => {
                self.pods[index as usize] = pod;
                index
            }
            None => {
                self.pods.push(pod);
                self.pods.len() as u32 - 1
            }
        };
        self.alive.push(index);
        let keep = self.keep();
        self.pods[index as usize]
            .cpu
            .record(self.now, 0.0, false, keep);
        if !self.place_pod(index, warm) {
            self.pending.push(index);
        }
    }

    /// A pod that has its place starts, its image being there at `begun`.
    pub(super) fn start_pod(&mut self, index: u32, begun: i64) {
        self.touch_pods();
        let pod = &mut self.pods[index as usize];
        pod.placed = self.now;
        let startup = pod.startup;
        pod.start(begun, startup);
        let (ready, size) = (pod.ready, pod.size);
        self.held.pods += 1;
        self.held.size = self.held.size.plus(size);
        if ready == self.now {
            self.become_ready(index);
        } else {
            self.events.push(ready, Happening::PodReady(index).item());
        }
    }

    /// The time has come at which a pod was to be ready.
    pub(super) fn started(&mut self, index: u32) {
        match self.pods[index as usize].life {
            Life::Starting => self.become_ready(index),
            Life::Gone => self.free_pods.push(index),
            Life::Pending | Life::Ready | Life::Draining => {}
        }
    }

    fn become_ready(&mut self, index: u32) {
        self.touch_pods();
        let pod = &mut self.pods[index as usize];
        pod.life = Life::Ready;
        pod.changed = self.now;
        self.held.ready += 1;
        if self.held.ready == 1
            && let Some(dark) = self.dark.last_mut()
        {
            dark.1 = self.now;
        }
        self.draw_failure(index);
        self.by_load.insert(&mut self.pods, index, 0);
        for _ in 0..self.slots {
            match self.next_waiting(index) {
                Some(waiting) => self.begin(index, waiting),
                None => break,
            }
        }
    }

    /// A ready pod takes nothing more.
    pub(super) fn leave_service(&mut self, index: u32) {
        let pod = &self.pods[index as usize];
        if pod.life == Life::Ready {
            let load = pod.load();
            self.held.ready -= 1;
            if self.held.ready == 0 {
                self.dark.push((self.now, i64::MAX));
            }
            self.by_load.remove(&mut self.pods, index, load);
        }
    }

    fn remove_pod(&mut self, index: u32) {
        self.touch_pods();
        if self.pods[index as usize].life == Life::Pending {
            self.pending.retain(|i| *i != index);
        }
        self.leave_service(index);
        self.pods[index as usize].life = Life::Draining;
        self.end_if_drained(index);
    }

    pub(super) fn end_if_drained(&mut self, index: u32) {
        let pod = &self.pods[index as usize];
        if pod.life == Life::Draining && pod.load() == 0 {
            self.end_pod(index);
        }
    }

    /// A pod that holds nothing is gone.
    pub(super) fn end_pod(&mut self, index: u32) {
        self.touch_pods();
        let pod = &mut self.pods[index as usize];
        pod.life = Life::Gone;
        let placed = pod.placed <= self.now;
        let unborn = placed && pod.ready > self.now;
        let (node, size) = (std::mem::replace(&mut pod.node, NO_NODE), pod.size);
        if placed {
            self.held.pods -= 1;
            self.held.size = self.held.size.minus(size);
        }
        self.alive.retain(|i| *i != index);
        // A pod that was still starting has its event pending: the slot waits for it.
        if !unborn {
            self.free_pods.push(index);
        }
        self.leave_node(node, size);
    }

    pub(super) fn scale(&mut self, wanted: u32) {
        let wanted = wanted.min(PODS_MAX);
        if wanted == self.current {
            return;
        }
        self.meter.acted(self.now, wanted > self.current);
        self.current = wanted;
        self.reconcile();
    }

    /// Creates the pods that are missing and takes away those that are too many.
    pub(super) fn reconcile(&mut self) {
        let wanted = self.current as usize;
        let staying: Vec<u32> = self
            .alive
            .iter()
            .copied()
            .filter(|i| self.pods[*i as usize].life != Life::Draining)
            .collect();
        for _ in staying.len()..wanted {
            self.create_pod(false);
        }
        let surplus = staying.len().saturating_sub(wanted);
        for index in victims(&self.pods, &staying, surplus) {
            self.remove_pod(index);
        }
        self.order_nodes();
    }
}
