//! The containers of one function, brought up to date only when somebody looks.
//!
//! Nothing global orders completions and expiries: what one function's containers do between two
//! calls of it concerns nobody else but the platform's memory, and that asks when it is short. So
//! each function keeps its own small heap, and what has happened since is settled at the next look.

use std::collections::VecDeque;

use super::config::Keep;
use crate::event::EventHeap;

/// Marks an event as a container that became ready, not a call that ended.
const READY: u32 = 1 << 31;

/// One container.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Calls that it serves or will serve when it is ready.
    in_flight: u32,
    /// Since when it is idle, while it is.
    since: i64,
    created: i64,
    ready: i64,
}

/// What one function's containers came to.
///
/// Units: nanoseconds of containers, summed over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that came.
    pub calls: u64,
    /// Calls that ended.
    pub served: u64,
    /// Calls that found no memory.
    pub rejected: u64,
    /// Calls that waited for a container to start.
    pub cold_starts: u64,
    /// Containers that were started for the pool, without a call.
    pub pooled: u64,
    /// Containers whose keep-alive was over.
    pub expired: u64,
    /// Idle containers that gave way for memory.
    pub evicted: u64,
    /// Time of idle containers.
    pub idle: u64,
    /// Time of all containers, from creation to the end of each.
    pub alive: u64,
}

/// How a call found a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One that is ready.
    Warm,
    /// One that starts and is ready then.
    Starting(i64),
    /// None: one must be created.
    Nothing,
}

/// A container that went, and when.
pub(super) type Gone<'a> = &'a mut dyn FnMut(i64);

/// Every container of one function.
#[derive(Debug)]
pub(super) struct Containers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    events: EventHeap,
    /// Ready ones that can take one more call, in the order of their last use.
    open: VecDeque<u32>,
    /// Starting ones that can take one more call.
    starting: Vec<u32>,
    concurrency: u32,
    alive: u32,
    busy: u32,
    /// The most that were busy at once since the last look.
    busy_peak: u32,
    keep: Keep,
    /// When `keep` was set.
    kept_since: i64,
    /// Since when no container is busy.
    idle_since: Option<i64>,
    pub(super) tally: Tally,
}

impl Containers {
    pub(super) fn new(concurrency: u32, keep: Keep) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            events: EventHeap::default(),
            open: VecDeque::new(),
            starting: Vec::new(),
            concurrency,
            alive: 0,
            busy: 0,
            busy_peak: 0,
            keep,
            kept_since: 0,
            idle_since: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn alive(&self) -> u32 {
        self.alive
    }

    pub(super) fn busy(&self) -> u32 {
        self.busy
    }

    /// The most that were busy at once since the last call of this.
    pub(super) fn take_busy_peak(&mut self) -> u32 {
        std::mem::replace(&mut self.busy_peak, self.busy)
    }

    /// Containers that are not ready yet.
    pub(super) fn starting(&self, now: i64) -> u32 {
        self.slots.iter().filter(|s| s.ready > now).count() as u32
    }

    pub(super) fn keep(&self) -> Keep {
        self.keep
    }

    pub(super) fn idle_since(&self) -> Option<i64> {
        self.idle_since
    }

    /// Calls that have not ended.
    pub(super) fn in_flight(&self) -> u64 {
        self.slots.iter().map(|s| u64::from(s.in_flight)).sum()
    }

    /// Brings everything up to `now`: calls that ended, containers that became ready, keep-alives
    /// that were over.
    #[inline]
    pub(super) fn settle(&mut self, now: i64, gone: Gone<'_>) {
        while self.events.next_at() <= now {
            let Some((at, item)) = self.events.pop() else {
                break;
            };
            if item & READY == 0 {
                self.end_call(at, item);
            } else {
                self.become_ready(at, item & !READY);
            }
        }
        if !self.open.is_empty() {
            self.expire(now, gone);
        }
    }

    #[inline]
    fn end_call(&mut self, at: i64, index: u32) {
        self.tally.served += 1;
        let slot = &mut self.slots[index as usize];
        let was_full = slot.in_flight == self.concurrency;
        slot.in_flight -= 1;
        if slot.in_flight == 0 {
            slot.since = at;
            self.busy -= 1;
            if self.busy == 0 {
                self.idle_since = Some(at);
            }
        }
        if !was_full {
            self.open.retain(|other| *other != index);
        }
        self.open.push_back(index);
    }

    fn become_ready(&mut self, at: i64, index: u32) {
        self.starting.retain(|other| *other != index);
        let slot = &mut self.slots[index as usize];
        if slot.in_flight < self.concurrency {
            slot.since = at;
            self.open.push_back(index);
        }
    }

    /// Takes away idle containers whose keep-alive is over, the longest idle first, down to the
    /// pool. Among the open ones the idle stand in the order in which they became so.
    #[inline]
    fn expire(&mut self, now: i64, gone: Gone<'_>) {
        let keep_alive = self.keep.keep_alive.nanos();
        let mut place = 0;
        while let Some(index) = self.open.get(place).copied() {
            let slot = self.slots[index as usize];
            if slot.in_flight > 0 {
                place += 1;
                continue;
            }
            let over = slot.since.saturating_add(keep_alive).max(self.kept_since);
            if over > now || self.alive <= self.keep.pool {
                break;
            }
            self.tally.expired += 1;
            self.remove(place, over, gone);
        }
    }

    fn remove(&mut self, place: usize, at: i64, gone: Gone<'_>) {
        let Some(index) = self.open.remove(place) else {
            return;
        };
        let slot = self.slots[index as usize];
        self.tally.idle += (at - slot.since) as u64;
        self.tally.alive += (at - slot.created) as u64;
        self.alive -= 1;
        self.free.push(index);
        gone(at);
    }

    /// Gives a call that ends `service` after its begin to a container, the last used first, of
    /// those that start the one that is ready soonest.
    #[inline]
    pub(super) fn take(&mut self, now: i64, service: i64) -> Found {
        if let Some(index) = self.open.back().copied() {
            let slot = &mut self.slots[index as usize];
            if slot.in_flight == 0 {
                self.tally.idle += (now - slot.since) as u64;
            }
            if slot.in_flight + 1 == self.concurrency {
                self.open.pop_back();
            }
            self.begin_call(index, now + service);
            return Found::Warm;
        }
        let soonest = |index: &&u32| self.slots[**index as usize].ready;
        let Some(index) = self.starting.iter().min_by_key(soonest).copied() else {
            return Found::Nothing;
        };
        let ready = self.slots[index as usize].ready;
        if self.slots[index as usize].in_flight + 1 == self.concurrency {
            self.starting.retain(|other| *other != index);
        }
        self.begin_call(index, ready + service);
        Found::Starting(ready)
    }

    #[inline]
    fn begin_call(&mut self, index: u32, end: i64) {
        let slot = &mut self.slots[index as usize];
        if slot.in_flight == 0 {
            self.busy += 1;
            self.busy_peak = self.busy_peak.max(self.busy);
        }
        slot.in_flight += 1;
        self.idle_since = None;
        self.events.push(end, index);
    }

    /// Creates a container that is ready at `ready`.
    fn create(&mut self, now: i64, ready: i64) -> u32 {
        self.alive += 1;
        let slot = Slot {
            in_flight: 0,
            since: ready,
            created: now,
            ready,
        };
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Creates a container for a call.
    pub(super) fn start_for_call(&mut self, now: i64, ready: i64, service: i64) {
        let index = self.create(now, ready);
        if self.concurrency > 1 {
            self.events.push(ready, index | READY);
            self.starting.push(index);
        }
        self.begin_call(index, ready + service);
    }

    /// Creates a container for the pool.
    pub(super) fn start_for_pool(&mut self, now: i64, ready: i64) {
        let index = self.create(now, ready);
        self.tally.pooled += 1;
        self.events.push(ready, index | READY);
        self.starting.push(index);
    }

    /// Containers that the pool lacks.
    pub(super) fn lacking(&self) -> u32 {
        self.keep.pool.saturating_sub(self.alive)
    }

    /// Keeps containers otherwise from `now` on; everything before must be settled.
    pub(super) fn set_keep(&mut self, now: i64, keep: Keep) {
        self.keep = keep;
        self.kept_since = now;
    }

    /// The container that has been idle longest: whether the pool holds it, and since when.
    pub(super) fn longest_idle(&self) -> Option<(bool, i64)> {
        let idle = |index: &&u32| self.slots[**index as usize].in_flight == 0;
        let index = self.open.iter().find(idle)?;
        Some((
            self.alive <= self.keep.pool,
            self.slots[*index as usize].since,
        ))
    }

    /// Takes away the container that has been idle longest.
    pub(super) fn evict(&mut self, now: i64, gone: Gone<'_>) {
        let idle = |index: &u32| self.slots[*index as usize].in_flight == 0;
        if let Some(place) = self.open.iter().position(idle) {
            self.tally.evicted += 1;
            self.remove(place, now, gone);
        }
    }

    /// Closes the books at the end of a run: idle and live time of what is still there.
    pub(super) fn close(&mut self, end: i64) {
        let gone_already: std::collections::BTreeSet<u32> = self.free.iter().copied().collect();
        for (index, slot) in self.slots.iter().enumerate() {
            if gone_already.contains(&(index as u32)) {
                continue;
            }
            self.tally.alive += (end - slot.created) as u64;
            if slot.in_flight == 0 && slot.since < end {
                self.tally.idle += (end - slot.since) as u64;
            }
        }
    }
}
