//! The loop of function mode: a slice of time at once.
//!
//! Functions share nothing but the platform's memory. A slice that cannot run out of it is gone
//! through function by function; only one that might is gone through in the order of time. Both
//! give the same, since every function has streams of its own.

use foresail_core::observe::Metric;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;

use super::config::{Function, Keep, Platform};
use super::containers::{Containers, Found};
use super::measure::{Class, FunctionMeasures, FunctionMinute, OfFunction};
use crate::config::ConfigProblem;
use crate::metrics::histogram::Histogram;
use crate::metrics::measure::{MINUTE, Requests};
use crate::rng::Stream;
use crate::service::Sampler;
use crate::workload::Arrivals;

/// Bits of a call's key that name its function; the others are its time within the slice.
const FUNCTION_BITS: u32 = 24;

/// What a pilot sees of one function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionSeen<'a> {
    /// How its containers are kept.
    pub keep: Keep,
    /// Containers that exist.
    pub alive: u32,
    /// Those that are starting.
    pub starting: u32,
    /// Those that serve a call, or start for one.
    pub busy: u32,
    /// Since when none is busy; `None` while one is, and before the first call.
    pub idle_since: Option<Timestamp>,
    /// Idle times that ended since the last look: when, and how many seconds they were. The oldest
    /// are lost where more ended than a series holds.
    pub idle_times: &'a [(Timestamp, f64)],
    /// Calls since the last look.
    pub calls: u64,
    /// The most containers that were busy at once since the last look.
    pub busy_peak: u32,
}

/// Says how containers are kept.
pub trait FunctionPilot {
    /// Time between two looks; `None` = it never looks.
    fn interval(&self) -> Option<Span>;
    /// `true` where it reads idle times.
    fn reads_idle_times(&self) -> bool;
    /// New settings by the functions' places; what is not named stays.
    fn sync(&mut self, now: Timestamp, seen: &[FunctionSeen<'_>]) -> Vec<(usize, Keep)>;
}

/// Leaves everything as the platform has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkept;

impl FunctionPilot for Unkept {
    fn interval(&self) -> Option<Span> {
        None
    }

    fn reads_idle_times(&self) -> bool {
        false
    }

    fn sync(&mut self, _now: Timestamp, _seen: &[FunctionSeen<'_>]) -> Vec<(usize, Keep)> {
        Vec::new()
    }
}

/// Memory that all containers hold. Containers that have expired unseen still count until they are
/// settled: the sum is never too low.
#[derive(Debug)]
struct Held {
    bytes: u64,
    most: Option<u64>,
    /// Bytes that came and went, by minute.
    changes: Vec<i64>,
}

impl Held {
    fn change(&mut self, at: i64, bytes: i64) {
        self.bytes = self.bytes.saturating_add_signed(bytes);
        let minute = (at / MINUTE) as usize;
        if let Some(sum) = self.changes.get_mut(minute) {
            *sum += bytes;
        }
    }

    fn fits(&self, bytes: u64) -> bool {
        self.most.is_none_or(|most| self.bytes + bytes <= most)
    }
}

/// The times that one function draws.
#[derive(Debug)]
struct Drawn {
    service: Sampler,
    service_stream: Stream,
    cold_stream: Stream,
}

/// The run in progress.
struct Run<'a> {
    functions: &'a [Function],
    start: Timestamp,
    end: i64,
    arrivals: Vec<Arrivals<'a>>,
    /// Time of the next call of each function.
    next: Vec<i64>,
    containers: Vec<Containers>,
    /// Run times and start-ups of each function.
    times: Vec<Drawn>,
    cold_start: Sampler,
    held: Held,
    /// Waits above zero; the others are counted.
    wait: Histogram,
    without_wait: u64,
    /// Latency by class.
    latency: [Histogram; 3],
    classes: Vec<Class>,
    minutes: Vec<FunctionMinute>,
    /// Idle times since the last look, by function; empty where nobody reads them.
    idle_times: Vec<Vec<(Timestamp, f64)>>,
    calls_before: Vec<u64>,
}

/// Simulates functions on a platform; every policy gets the same calls, run times, and start-up of
/// each function's n-th container.
///
/// # Errors
/// [`ConfigProblem`] for the first knob or function that cannot be simulated.
pub fn run(
    platform: &Platform,
    functions: &[Function],
    seed: Seed,
    pilot: &mut dyn FunctionPilot,
) -> Result<FunctionMeasures, ConfigProblem> {
    platform.check(functions)?;
    let mut run = Run::new(platform, functions, seed, pilot.reads_idle_times());
    let interval = pilot.interval().map(|i| i.nanos().max(1));
    let mut tick = interval.map_or(i64::MAX, |_| 0);
    let mut keys = Vec::new();
    let mut begin = 0;
    while begin < run.end {
        if begin == tick {
            run.sync(begin, pilot);
            tick += interval.unwrap_or(i64::MAX);
        }
        let slice_end = (begin + MINUTE).min(tick).min(run.end);
        run.gather(begin, slice_end, &mut keys);
        for key in &keys {
            let function = (key & ((1 << FUNCTION_BITS) - 1)) as usize;
            run.call(function, begin + (key >> FUNCTION_BITS) as i64);
        }
        begin = slice_end;
    }
    Ok(run.finish())
}

fn class_of(function: &Function) -> Class {
    let workload = &function.workload;
    Class::of(workload.expected(), workload.length())
}

impl Drawn {
    fn new(function: &Function, seed: Seed) -> Self {
        let of = |what: &str| Stream::of(seed, &format!("{what}/{}", function.id));
        Self {
            service: Sampler::new(function.service),
            service_stream: of("service"),
            cold_stream: of("startup"),
        }
    }

    #[inline]
    fn service(&mut self) -> i64 {
        self.service.draw(&mut self.service_stream)
    }
}

impl<'a> Run<'a> {
    fn new(platform: &Platform, functions: &'a [Function], seed: Seed, reads: bool) -> Self {
        let length = functions[0].workload.length().nanos();
        let of = |f: &'a Function| f.workload.arrivals_of(seed, &format!("arrivals/{}", f.id));
        let mut arrivals: Vec<_> = functions.iter().map(of).collect();
        let next = arrivals.iter_mut().map(|a| a.next().unwrap_or(i64::MAX));
        let next = next.collect();
        let minutes = ((length + MINUTE - 1) / MINUTE) as usize;
        let new = |_: &Function| Containers::new(platform.concurrency, platform.keep);
        let idle_times = if reads { functions.len() } else { 0 };
        Self {
            functions,
            start: functions[0].workload.start(),
            end: length,
            arrivals,
            next,
            containers: functions.iter().map(new).collect(),
            times: functions.iter().map(|f| Drawn::new(f, seed)).collect(),
            cold_start: Sampler::new(platform.cold_start),
            held: Held {
                bytes: 0,
                most: platform.memory,
                changes: vec![0; minutes],
            },
            wait: Histogram::default(),
            without_wait: 0,
            latency: Default::default(),
            classes: functions.iter().map(class_of).collect(),
            minutes: vec![FunctionMinute::default(); minutes],
            idle_times: vec![Vec::new(); idle_times],
            calls_before: vec![0; functions.len()],
        }
    }

    fn at(&self, nanos: i64) -> Timestamp {
        self.start + Span::from_nanos(nanos)
    }

    /// Every call of a slice as a key of its time and its function: ascending where memory might
    /// run out, else function by function.
    fn gather(&mut self, begin: i64, end: i64, keys: &mut Vec<u64>) {
        keys.clear();
        let mut bytes = 0;
        for (function, next) in self.next.iter_mut().enumerate() {
            while *next < end {
                let key = ((*next - begin) as u64) << FUNCTION_BITS;
                keys.push(key | function as u64);
                bytes += self.functions[function].memory;
                *next = self.arrivals[function].next().unwrap_or(i64::MAX);
            }
        }
        if !self.held.fits(bytes) {
            keys.sort_unstable();
        }
    }

    #[inline]
    fn call(&mut self, function: usize, now: i64) {
        let service = self.times[function].service();
        self.settle(function, now);
        let minute = &mut self.minutes[(now / MINUTE) as usize];
        minute.calls += 1;
        let containers = &mut self.containers[function];
        containers.tally.calls += 1;
        let idle_since = containers.idle_since();
        let ready = match containers.take(now, service) {
            Found::Warm => now,
            Found::Starting(ready) => {
                containers.tally.cold_starts += 1;
                minute.cold_starts += 1;
                ready
            }
            Found::Nothing => match self.create(function, now, service) {
                Some(ready) => ready,
                None => return,
            },
        };
        if ready > now {
            self.wait.record(ready - now);
        } else {
            self.without_wait += 1;
        }
        self.latency[self.classes[function] as usize].record(ready - now + service);
        if let Some(since) = idle_since
            && !self.idle_times.is_empty()
        {
            self.note_idle(function, since, now);
        }
    }

    #[inline]
    fn settle(&mut self, function: usize, now: i64) {
        let memory = self.functions[function].memory as i64;
        let held = &mut self.held;
        self.containers[function].settle(now, &mut |at| held.change(at, -memory));
    }

    fn note_idle(&mut self, function: usize, since: i64, now: i64) {
        let at = self.at(now);
        let times = &mut self.idle_times[function];
        // Twice the series' length before the older half goes: dropping one by one would be slow.
        let most = Metric::IdleTime.points_max();
        if times.len() >= 2 * most {
            times.drain(..most);
        }
        times.push((at, (now - since) as f64 / 1e9));
    }

    /// Creates a container for a call; `None` where no memory can be had.
    fn create(&mut self, function: usize, now: i64, service: i64) -> Option<i64> {
        let memory = self.functions[function].memory;
        if !self.held.fits(memory) && !self.make_room(memory, now) {
            self.containers[function].tally.rejected += 1;
            return None;
        }
        let stream = &mut self.times[function].cold_stream;
        let ready = now + self.cold_start.draw(stream);
        let containers = &mut self.containers[function];
        containers.tally.cold_starts += 1;
        self.minutes[(now / MINUTE) as usize].cold_starts += 1;
        containers.start_for_call(now, ready, service);
        self.held.change(now, memory as i64);
        Some(ready)
    }

    /// Makes room for so many bytes: first what has expired unseen goes, then idle containers, the
    /// longest idle first, those of pools last. `false` where even that is not enough.
    fn make_room(&mut self, bytes: u64, now: i64) -> bool {
        for function in 0..self.functions.len() {
            self.settle(function, now);
        }
        while !self.held.fits(bytes) {
            let places = self.containers.iter().enumerate();
            let idle = places.filter_map(|(i, c)| c.longest_idle().map(|(pool, at)| (pool, at, i)));
            let Some((_, _, function)) = idle.min() else {
                return false;
            };
            let memory = self.functions[function].memory as i64;
            let held = &mut self.held;
            self.containers[function].evict(now, &mut |at| held.change(at, -memory));
        }
        true
    }

    fn sync(&mut self, now: i64, pilot: &mut dyn FunctionPilot) {
        for function in 0..self.functions.len() {
            self.settle(function, now);
        }
        let most = Metric::IdleTime.points_max();
        let start = self.start;
        let see = |(i, c): (usize, &mut Containers)| {
            let times = self.idle_times.get(i).map_or(&[][..], Vec::as_slice);
            FunctionSeen {
                keep: c.keep(),
                alive: c.alive(),
                starting: c.starting(now),
                busy: c.busy(),
                idle_since: c.idle_since().map(|at| start + Span::from_nanos(at)),
                idle_times: &times[times.len().saturating_sub(most)..],
                calls: c.tally.calls - self.calls_before[i],
                busy_peak: c.take_busy_peak(),
            }
        };
        let seen: Vec<_> = self.containers.iter_mut().enumerate().map(see).collect();
        let changes = pilot.sync(self.at(now), &seen);
        self.idle_times.iter_mut().for_each(Vec::clear);
        for (before, containers) in self.calls_before.iter_mut().zip(&self.containers) {
            *before = containers.tally.calls;
        }
        for (function, keep) in changes {
            self.containers[function].set_keep(now, keep);
            self.settle(function, now);
        }
        self.fill_pools(now);
    }

    /// Starts what pools lack, in the order of the functions, as far as there is memory for it:
    /// nothing that is warm gives way to a pool.
    fn fill_pools(&mut self, now: i64) {
        for (function, containers) in self.containers.iter_mut().enumerate() {
            let memory = self.functions[function].memory;
            for _ in 0..containers.lacking() {
                if !self.held.fits(memory) {
                    break;
                }
                let stream = &mut self.times[function].cold_stream;
                let ready = now + self.cold_start.draw(stream);
                containers.start_for_pool(now, ready);
                self.held.change(now, memory as i64);
            }
        }
    }

    fn finish(mut self) -> FunctionMeasures {
        for function in 0..self.functions.len() {
            self.settle(function, self.end);
            self.containers[function].close(self.end);
        }
        self.wait.record_zeros(self.without_wait);
        let mut bytes = 0;
        for (minute, change) in self.minutes.iter_mut().zip(&self.held.changes) {
            bytes += change;
            minute.memory = bytes.max(0) as u64;
        }
        let mut requests = Requests::default();
        for containers in &self.containers {
            let tally = &containers.tally;
            requests.arrived += tally.calls;
            requests.served += tally.served;
            requests.rejected += tally.rejected;
            requests.in_service += containers.in_flight();
        }
        let mut latency = Histogram::default();
        for of_class in &self.latency {
            latency.merge(of_class);
        }
        debug_assert!(requests.are_conserved(), "{requests:?}");
        let pairs = self.functions.iter().zip(&self.containers);
        let functions = pairs.zip(&self.classes).map(|((f, c), class)| OfFunction {
            class: *class,
            tally: c.tally,
            memory: f.memory,
        });
        FunctionMeasures {
            requests,
            wait: self.wait,
            latency,
            latency_by_class: self.latency,
            functions: functions.collect(),
            minutes: self.minutes,
        }
    }
}
