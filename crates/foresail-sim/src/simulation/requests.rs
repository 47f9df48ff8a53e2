//! Requests: they come, wait, are served, give up, or die with their pod.

use foresail_core::quantity::units::larger;

use super::{InService, Simulation};
use crate::cluster::{Life, Waiting};
use crate::config::Queueing;

/// The pod of a request that died; its event is still to come.
const DEAD: u32 = u32::MAX;

/// The pod of a request that waits before all of them.
const NO_POD: u32 = u32::MAX;

impl Simulation<'_> {
    #[inline]
    pub(super) fn arrive(&mut self) {
        let waiting = Waiting {
            arrived: self.now,
            service: self.service.draw(&mut self.services),
        };
        self.meter.arrived(self.now);
        self.change_system(1);
        match self.by_load.least(self.load_max) {
            Some(pod) if (self.pods[pod as usize].serving as usize) < self.slots => {
                self.begin(pod, waiting);
            }
            Some(pod) if self.config.queueing == Queueing::PerPod => self.queue_at(pod, waiting),
            _ => self.queue_central(waiting),
        }
    }

    /// Requests wait before all pods: always where that is the way, and where no pod takes any.
    fn queue_central(&mut self, waiting: Waiting) {
        let full = self
            .config
            .queue_max
            .is_some_and(|most| self.queue.len() >= most as usize);
        let no_room = self.config.queueing == Queueing::PerPod && self.held.ready > 0;
        if full || no_room {
            self.meter.requests.rejected += 1;
            self.meter.violated(waiting.arrived);
            self.change_system(-1);
        } else {
            self.queue.push_back(waiting);
            self.be_patient(waiting.arrived, NO_POD);
        }
    }

    fn queue_at(&mut self, pod: u32, waiting: Waiting) {
        let load = self.pods[pod as usize].load();
        self.by_load.remove(&mut self.pods, pod, load);
        self.pods[pod as usize].queue.push_back(waiting);
        self.by_load.insert(&mut self.pods, pod, load + 1);
        self.be_patient(waiting.arrived, pod);
    }

    /// A request that begins to wait gives up in time, where there is a time-out.
    #[inline]
    fn be_patient(&mut self, arrived: i64, pod: u32) {
        if self.timeout < i64::MAX {
            self.patience.push_back((arrived, pod));
        }
    }

    /// When the next request may give up; the end of time where none does.
    #[inline]
    pub(super) fn next_expiry(&self) -> i64 {
        match self.patience.front() {
            Some((arrived, _)) => arrived + self.timeout,
            None => i64::MAX,
        }
    }

    /// The patience of one request is over: it gives up, where it still waits.
    pub(super) fn expire(&mut self) {
        let Some((arrived, pod)) = self.patience.pop_front() else {
            return;
        };
        let expired = |w: &mut Waiting| w.arrived <= arrived;
        let gone = if pod == NO_POD {
            self.queue.pop_front_if(expired)
        } else {
            self.pods[pod as usize].queue.pop_front_if(expired)
        };
        let Some(gone) = gone else { return };
        self.meter.requests.timed_out += 1;
        self.meter.violated(gone.arrived);
        self.change_system(-1);
        if pod != NO_POD {
            let load = self.pods[pod as usize].load();
            self.move_load(pod, load + 1, load);
        }
    }

    #[inline]
    fn change_system(&mut self, by: i64) {
        self.meter.touch_system(self.now, self.in_system);
        self.in_system = self.in_system.wrapping_add_signed(by);
    }

    /// A pod with a free slot takes a request.
    #[inline]
    pub(super) fn begin(&mut self, pod: u32, waiting: Waiting) {
        let load = self.pods[pod as usize].load();
        let serving = self.pods[pod as usize].serving + 1;
        if self.pods[pod as usize].life == Life::Ready {
            self.by_load.remove(&mut self.pods, pod, load);
            self.pods[pod as usize].set_serving(serving, self.now);
            self.by_load.insert(&mut self.pods, pod, load + 1);
        } else {
            self.pods[pod as usize].set_serving(serving, self.now);
        }
        let slot = self.take_slot(pod, waiting);
        if self.config.cpu_bound {
            self.join(pod, slot, waiting.service);
        } else {
            self.completions.push(self.now + waiting.service, slot);
        }
    }

    /// A request that came at `arrived` waited for a start: its pod's, where that had begun, or
    /// whichever would come first, where no pod was ready. What only waited for a slot did not.
    #[cold]
    fn was_cold(&self, pod: u32, arrived: i64) -> bool {
        let down = &self.pods[pod as usize];
        let place = self.dark.partition_point(|(from, _)| *from <= arrived);
        let without_any = place > 0 && arrived < self.dark[place - 1].1;
        down.down_since <= arrived || without_any
    }

    #[inline]
    fn take_slot(&mut self, pod: u32, waiting: Waiting) -> u32 {
        let wait = self.now - waiting.arrived;
        let cold = wait > 0
            && self.pods[pod as usize].ready > waiting.arrived
            && self.was_cold(pod, waiting.arrived);
        self.meter
            .began(waiting.arrived, wait, waiting.service, cold);
        let request = InService {
            arrived: waiting.arrived,
            began: self.now,
            ends: self.now + waiting.service,
            pod,
        };
        match self.free_slots.pop() {
            Some(slot) => {
                self.in_service[slot as usize] = request;
                slot
            }
            None => {
                self.in_service.push(request);
                self.in_service.len() as u32 - 1
            }
        }
    }

    /// The next request that a pod with a freed slot takes: of its own and those before all pods
    /// the one that came first.
    #[inline]
    pub(super) fn next_waiting(&mut self, pod: u32) -> Option<Waiting> {
        let state = &mut self.pods[pod as usize];
        let own = state.queue.front().map_or(i64::MAX, |w| w.arrived);
        let older = |w: &mut Waiting| w.arrived < own;
        if state.life == Life::Ready
            && let Some(waiting) = self.queue.pop_front_if(older)
        {
            return Some(waiting);
        }
        state.queue.pop_front()
    }

    #[inline]
    pub(super) fn complete(&mut self) {
        let Some(slot) = self.completions.top() else {
            return;
        };
        let InService {
            arrived,
            began,
            ends,
            pod,
        } = self.in_service[slot as usize];
        if ends != self.now || pod == DEAD {
            self.out_of_date(slot, ends == self.now);
            return;
        }
        self.meter
            .served(arrived, began - arrived, self.now - arrived);
        self.change_system(-1);
        if self.config.cpu_bound {
            self.leave(pod, slot);
            return;
        }
        let load_before = self.pods[pod as usize].load();
        match self.next_waiting(pod) {
            Some(waiting) => {
                // The slot passes on: the number in service stays.
                self.free_slots.push(slot);
                let slot = self.take_slot(pod, waiting);
                self.completions
                    .replace_top(self.now + waiting.service, slot);
                let load = self.pods[pod as usize].load();
                self.move_load(pod, load_before, load);
            }
            None => {
                self.completions.pop();
                self.end_service(pod, slot, load_before);
            }
        }
    }

    fn end_service(&mut self, pod: u32, slot: u32, load_before: usize) {
        self.free_slots.push(slot);
        let serving = self.pods[pod as usize].serving - 1;
        self.pods[pod as usize].set_serving(serving, self.now);
        let load = self.pods[pod as usize].load();
        self.move_load(pod, load_before, load);
        self.end_if_drained(pod);
    }

    /// An event whose request died, or ends at another time now that its pod's speed changed.
    fn out_of_date(&mut self, slot: u32, last: bool) {
        self.completions.pop();
        if last && self.in_service[slot as usize].pod == DEAD {
            self.in_service[slot as usize].ends = i64::MIN;
            self.dead_slots -= 1;
            self.free_slots.push(slot);
        }
    }

    #[inline]
    fn move_load(&mut self, pod: u32, from: usize, to: usize) {
        if from != to && self.pods[pod as usize].life == Life::Ready {
            self.by_load.remove(&mut self.pods, pod, from);
            self.by_load.insert(&mut self.pods, pod, to);
        }
    }

    // Requests that share their pod's CPU.

    /// A request begins on a pod whose CPU is shared.
    fn join(&mut self, pod: u32, slot: u32, service: i64) {
        self.advance(pod);
        if self.left.len() <= slot as usize {
            self.left.resize(slot as usize + 1, 0.0);
        }
        self.left[slot as usize] = service as f64;
        self.pods[pod as usize].slots.push(slot);
        self.share(pod, Some(slot));
    }

    /// A request is done on a pod whose CPU is shared; the next one takes its place.
    fn leave(&mut self, pod: u32, slot: u32) {
        self.completions.pop();
        self.advance(pod);
        self.in_service[slot as usize].ends = i64::MIN;
        self.pods[pod as usize].slots.retain(|s| *s != slot);
        let load_before = self.pods[pod as usize].load();
        match self.next_waiting(pod) {
            Some(waiting) => {
                self.free_slots.push(slot);
                let slot = self.take_slot(pod, waiting);
                self.join(pod, slot, waiting.service);
                let load = self.pods[pod as usize].load();
                self.move_load(pod, load_before, load);
            }
            None => {
                self.end_service(pod, slot, load_before);
                self.share(pod, None);
            }
        }
    }

    /// Takes what was served since the pod's last change off what is left.
    fn advance(&mut self, pod: u32) {
        let pod = &mut self.pods[pod as usize];
        let served = (self.now - pod.shared_at) as f64 * pod.speed;
        for slot in &pod.slots {
            self.left[*slot as usize] -= served;
        }
        pod.shared_at = self.now;
    }

    /// Sets the speed that a pod's CPU allows; every request's end moves with it.
    pub(super) fn share(&mut self, pod: u32, joined: Option<u32>) {
        let now = self.now;
        let state = &mut self.pods[pod as usize];
        let wanted = state.slots.len() as f64 * self.cpu_per_request;
        let has = state.size.cpu as f64;
        let speed = if wanted > has { has / wanted } else { 1.0 };
        let changed = speed.to_bits() != state.speed.to_bits();
        // The area under the number in service is kept at the speed that was.
        state.set_serving(state.serving, now);
        state.speed = speed;
        for slot in &state.slots {
            if changed || joined == Some(*slot) {
                let left = larger(self.left[*slot as usize], 0.0) / speed;
                let ends = now + left.ceil() as i64;
                self.in_service[*slot as usize].ends = ends;
                self.completions.push(ends, *slot);
            }
        }
    }

    /// The pod's size changed while it serves.
    pub(super) fn share_again(&mut self, pod: u32) {
        if self.config.cpu_bound {
            self.advance(pod);
            self.share(pod, None);
        }
    }

    /// Everything that a pod holds dies with it.
    pub(super) fn lose_requests(&mut self, pod: u32) {
        while let Some(waiting) = self.pods[pod as usize].queue.pop_front() {
            self.meter.lost(waiting.arrived, None);
            self.change_system(-1);
        }
        if self.pods[pod as usize].serving > 0 {
            for slot in self.slots_of(pod) {
                let request = &mut self.in_service[slot as usize];
                request.pod = DEAD;
                let (arrived, wait) = (request.arrived, request.began - request.arrived);
                let latency = request.ends - request.arrived;
                self.meter.lost(arrived, Some((wait, latency)));
                self.dead_slots += 1;
                self.change_system(-1);
            }
        }
        self.pods[pod as usize].slots.clear();
        self.pods[pod as usize].set_serving(0, self.now);
        self.pods[pod as usize].speed = 1.0;
    }

    fn slots_of(&self, pod: u32) -> Vec<u32> {
        let mut busy = vec![true; self.in_service.len()];
        for slot in &self.free_slots {
            busy[*slot as usize] = false;
        }
        let slots = (0..self.in_service.len() as u32).zip(busy);
        slots
            .filter(|(slot, busy)| *busy && self.in_service[*slot as usize].pod == pod)
            .map(|(slot, _)| slot)
            .collect()
    }
}
