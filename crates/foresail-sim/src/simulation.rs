//! The event loop: requests, pods, the metrics pipeline, and a pilot that asks for replicas.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;

use crate::cluster::{ByLoad, Life, Pod, Waiting, millicores_per_request, victims};
use crate::config::{ClusterConfig, ConfigProblem, Pipeline, Queueing};
use crate::event::EventHeap;
use crate::metrics::measure::{Interval, MINUTE, Measures, Meter};
use crate::metrics::scrape::CpuSample;
use crate::rng::Stream;
use crate::service::Sampler;
use crate::workload::{Arrivals, Workload};

/// The most pods that may exist at once.
const PODS_MAX: u32 = 100_000;

/// A pod as the metrics pipeline shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodSeen {
    /// When it was created; it starts at once.
    pub created_at: Timestamp,
    /// Ready or not.
    pub ready: bool,
    /// When that last changed.
    pub ready_changed_at: Timestamp,
    /// `true` while it drains.
    pub deleting: bool,
    /// Its newest visible CPU sample.
    pub cpu: Option<CpuSample>,
}

/// What an autoscaler sees at one sync.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The time.
    pub now: Timestamp,
    /// Replicas asked for at present.
    pub current: u32,
    /// Every pod that is not gone.
    pub pods: &'a [PodSeen],
    /// New reports of requests in the system, each the mean over the second that ends there.
    pub concurrency: &'a [(Timestamp, f64)],
    /// New rates of arrival in requests per second, each over the minute that ends there.
    pub demand: &'a [(Timestamp, f64)],
    /// What happened since the sync before; for the record, not for the decision.
    pub interval: Interval,
}

/// An autoscaler as the simulator sees it.
pub trait Pilot {
    /// Replicas asked for from now on; `None` leaves them.
    fn sync(&mut self, seen: &Seen<'_>) -> Option<u32>;
}

/// Asks for nothing: the number at the begin stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpiloted;

impl Pilot for Unpiloted {
    fn sync(&mut self, _seen: &Seen<'_>) -> Option<u32> {
        None
    }
}

/// Work at a fixed time, by kind; of equal times the lesser kind comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clockwork {
    scrape: i64,
    second: i64,
    minute: i64,
    sync: i64,
}

impl Clockwork {
    fn next(&self) -> i64 {
        self.scrape.min(self.second).min(self.minute).min(self.sync)
    }
}

/// A request in service.
#[derive(Clone, Copy, Debug)]
struct InService {
    arrived: i64,
    began: i64,
    pod: u32,
}

/// Runs a workload under a pilot and measures everything.
///
/// The same configuration, workload and seed give the same measures, and every pilot gets the same
/// arrivals, the same service time for each request and the same start-up for the n-th pod.
///
/// # Errors
/// [`ConfigProblem`] where a knob is out of its range.
pub fn run(
    config: &ClusterConfig,
    pipeline: &Pipeline,
    workload: &Workload,
    seed: Seed,
    pilot: &mut dyn Pilot,
) -> Result<Measures, ConfigProblem> {
    config.check(workload.length())?;
    pipeline.check()?;
    let mut simulation = Simulation::new(config, pipeline, workload, seed);
    simulation.run(pilot);
    Ok(simulation.finish())
}

struct Simulation<'a> {
    config: &'a ClusterConfig,
    pipeline: &'a Pipeline,
    start: Timestamp,
    end: i64,
    arrivals: Arrivals<'a>,
    services: Stream,
    startups: Stream,
    losses: Stream,
    service: Sampler,
    startup: Sampler,
    now: i64,
    current: u32,
    pods: Vec<Pod>,
    alive: Vec<u32>,
    free_pods: Vec<u32>,
    by_load: ByLoad,
    ready: usize,
    /// Pods that become ready, by time.
    starting: EventHeap,
    completions: EventHeap,
    in_service: Vec<InService>,
    free_slots: Vec<u32>,
    queue: std::collections::VecDeque<Waiting>,
    in_system: u64,
    clock: Clockwork,
    meter: Meter,
    demand: Vec<(Timestamp, f64)>,
    /// Rates that the pipeline still holds back.
    demand_held: std::collections::VecDeque<(i64, f64)>,
    concurrency: Vec<(Timestamp, f64)>,
    seen: Vec<PodSeen>,
    arrived_before: u64,
    cpu_per_request: f64,
    slots: usize,
    load_max: usize,
    timeout: i64,
}

impl<'a> Simulation<'a> {
    fn new(
        config: &'a ClusterConfig,
        pipeline: &'a Pipeline,
        workload: &'a Workload,
        seed: Seed,
    ) -> Self {
        let end = workload.length().nanos();
        let minutes = (end as u64).div_ceil(MINUTE as u64) as usize;
        let never = i64::MAX;
        let second = if pipeline.concurrency {
            1_000_000_000
        } else {
            never
        };
        let slots = config.concurrency as usize;
        let queue_max = config.queue_max.map_or(usize::MAX >> 1, |q| q as usize);
        let mut simulation = Self {
            config,
            pipeline,
            start: workload.start(),
            end,
            arrivals: workload.arrivals(seed),
            services: Stream::of(seed, "service"),
            startups: Stream::of(seed, "startup"),
            losses: Stream::of(seed, "loss"),
            service: Sampler::new(config.service),
            startup: Sampler::new(config.startup),
            now: 0,
            current: config.initial,
            pods: Vec::new(),
            alive: Vec::new(),
            free_pods: Vec::new(),
            by_load: ByLoad::default(),
            ready: 0,
            starting: EventHeap::default(),
            completions: EventHeap::default(),
            in_service: Vec::new(),
            free_slots: Vec::new(),
            queue: std::collections::VecDeque::new(),
            in_system: 0,
            clock: Clockwork {
                scrape: pipeline.scrape.nanos(),
                second,
                minute: MINUTE.min(end),
                sync: pipeline.sync.nanos(),
            },
            meter: Meter::new(config, minutes.max(1)),
            demand: Vec::new(),
            demand_held: std::collections::VecDeque::new(),
            concurrency: Vec::new(),
            seen: Vec::new(),
            arrived_before: 0,
            cpu_per_request: millicores_per_request(config.cpu_per_request, config.service.mean),
            slots,
            load_max: if config.queueing == Queueing::PerPod {
                slots + queue_max
            } else {
                slots
            },
            timeout: config.timeout.map_or(i64::MAX, Span::nanos),
        };
        for _ in 0..config.initial {
            simulation.create_pod(true);
        }
        simulation
    }

    fn run(&mut self, pilot: &mut dyn Pilot) {
        let mut arrival = self.next_arrival();
        loop {
            let done = self.completions.next_at();
            let control = self.clock.next().min(self.starting.next_at());
            if done <= arrival && done <= control {
                if done >= self.end {
                    break;
                }
                self.now = done;
                self.complete();
            } else if arrival < control {
                if arrival >= self.end {
                    break;
                }
                self.now = arrival;
                self.arrive();
                arrival = self.next_arrival();
            } else {
                if control > self.end {
                    break;
                }
                self.now = control;
                self.control(pilot);
            }
        }
        self.now = self.end;
    }

    fn next_arrival(&mut self) -> i64 {
        self.arrivals.next().unwrap_or(i64::MAX)
    }

    fn at(&self, nanos: i64) -> Timestamp {
        self.start + Span::from_nanos(nanos)
    }

    // Requests.

    #[inline]
    fn arrive(&mut self) {
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
        self.drop_expired();
        let full = self
            .config
            .queue_max
            .is_some_and(|most| self.queue.len() >= most as usize);
        let no_room = self.config.queueing == Queueing::PerPod && self.ready > 0;
        if full || no_room {
            self.meter.requests.rejected += 1;
            self.meter.violated(waiting.arrived);
            self.change_system(-1);
        } else {
            self.queue.push_back(waiting);
        }
    }

    fn queue_at(&mut self, pod: u32, waiting: Waiting) {
        let load = self.pods[pod as usize].load();
        self.by_load.remove(&mut self.pods, pod, load);
        self.pods[pod as usize].queue.push_back(waiting);
        self.by_load.insert(&mut self.pods, pod, load + 1);
    }

    /// Requests at the head of the central queue that have given up.
    fn drop_expired(&mut self) {
        while self
            .queue
            .front()
            .is_some_and(|w| self.now - w.arrived > self.timeout)
        {
            if let Some(expired) = self.queue.pop_front() {
                self.gave_up(expired);
            }
        }
    }

    fn gave_up(&mut self, expired: Waiting) {
        self.meter.requests.timed_out += 1;
        self.meter.violated(expired.arrived);
        self.change_system(-1);
    }

    #[inline]
    fn change_system(&mut self, by: i64) {
        self.meter.touch_system(self.now, self.in_system);
        self.in_system = self.in_system.wrapping_add_signed(by);
    }

    /// A pod with a free slot takes a request.
    #[inline]
    fn begin(&mut self, pod: u32, waiting: Waiting) {
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
        self.completions.push(self.now + waiting.service, slot);
    }

    #[inline]
    fn take_slot(&mut self, pod: u32, waiting: Waiting) -> u32 {
        let wait = self.now - waiting.arrived;
        let cold = wait > 0 && self.pods[pod as usize].ready > waiting.arrived;
        self.meter
            .began(waiting.arrived, wait, waiting.service, cold);
        let request = InService {
            arrived: waiting.arrived,
            began: self.now,
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

    /// The next request that a pod with a freed slot takes.
    #[inline]
    fn next_waiting(&mut self, pod: u32) -> Option<Waiting> {
        while let Some(waiting) = self.pods[pod as usize].queue.pop_front() {
            if self.now - waiting.arrived <= self.timeout {
                return Some(waiting);
            }
            self.gave_up(waiting);
        }
        if self.pods[pod as usize].life != Life::Ready {
            return None;
        }
        while let Some(waiting) = self.queue.pop_front() {
            if self.now - waiting.arrived <= self.timeout {
                return Some(waiting);
            }
            self.gave_up(waiting);
        }
        None
    }

    #[inline]
    fn complete(&mut self) {
        let Some(slot) = self.completions.top() else {
            return;
        };
        let InService {
            arrived,
            began,
            pod,
        } = self.in_service[slot as usize];
        self.meter.served(began - arrived, self.now - arrived);
        self.change_system(-1);
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
                self.free_slots.push(slot);
                let serving = self.pods[pod as usize].serving - 1;
                self.pods[pod as usize].set_serving(serving, self.now);
                let load = self.pods[pod as usize].load();
                self.move_load(pod, load_before, load);
                self.end_if_drained(pod);
            }
        }
    }

    #[inline]
    fn move_load(&mut self, pod: u32, from: usize, to: usize) {
        if from != to && self.pods[pod as usize].life == Life::Ready {
            self.by_load.remove(&mut self.pods, pod, from);
            self.by_load.insert(&mut self.pods, pod, to);
        }
    }

    // Pods.

    fn touch_pods(&mut self) {
        self.meter.touch(self.now, self.alive.len(), self.ready);
    }

    fn create_pod(&mut self, warm: bool) {
        self.touch_pods();
        let startup = if warm {
            0
        } else {
            self.startup.draw(&mut self.startups)
        };
        let pod = Pod::new(self.now, self.now + startup);
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
        if startup == 0 {
            self.become_ready(index);
        } else {
            self.starting.push(self.now + startup, index);
        }
    }

    fn become_ready(&mut self, index: u32) {
        self.touch_pods();
        self.pods[index as usize].life = Life::Ready;
        self.ready += 1;
        self.by_load.insert(&mut self.pods, index, 0);
        for _ in 0..self.slots {
            match self.next_waiting(index) {
                Some(waiting) => self.begin(index, waiting),
                None => break,
            }
        }
    }

    fn remove_pod(&mut self, index: u32) {
        self.touch_pods();
        let pod = &self.pods[index as usize];
        if pod.life == Life::Ready {
            let load = pod.load();
            self.ready -= 1;
            self.by_load.remove(&mut self.pods, index, load);
        }
        self.pods[index as usize].life = Life::Draining;
        self.end_if_drained(index);
    }

    fn end_if_drained(&mut self, index: u32) {
        let pod = &mut self.pods[index as usize];
        if pod.life == Life::Draining && pod.load() == 0 {
            pod.life = Life::Gone;
            let unborn = pod.ready > self.now;
            self.touch_pods();
            self.alive.retain(|i| *i != index);
            // A pod that was still starting has its event pending: the slot waits for it.
            if !unborn {
                self.free_pods.push(index);
            }
        }
    }

    fn scale(&mut self, wanted: u32) {
        let wanted = wanted.min(PODS_MAX);
        if wanted == self.current {
            return;
        }
        self.meter.acted(self.now, wanted > self.current);
        self.current = wanted;
        let staying: Vec<u32> = self
            .alive
            .iter()
            .copied()
            .filter(|i| self.pods[*i as usize].life != Life::Draining)
            .collect();
        for _ in staying.len()..wanted as usize {
            self.create_pod(false);
        }
        let surplus = staying.len().saturating_sub(wanted as usize);
        for index in victims(&self.pods, &staying, surplus) {
            self.remove_pod(index);
        }
    }

    // The metrics pipeline and the pilot.

    fn control(&mut self, pilot: &mut dyn Pilot) {
        if self.starting.next_at() <= self.now {
            if let Some((_, index)) = self.starting.pop() {
                match self.pods[index as usize].life {
                    Life::Starting => self.become_ready(index),
                    Life::Gone => self.free_pods.push(index),
                    Life::Ready | Life::Draining => {}
                }
            }
        } else if self.clock.scrape <= self.now {
            self.clock.scrape += self.pipeline.scrape.nanos();
            self.scrape();
        } else if self.clock.second <= self.now {
            self.clock.second += 1_000_000_000;
            self.report_concurrency();
        } else if self.clock.minute <= self.now {
            self.close_minute();
        } else {
            self.clock.sync += self.pipeline.sync.nanos();
            self.sync(pilot);
        }
    }

    /// How far back a sample can lie: delay, window, two scrapes and what loss may skip.
    fn keep(&self) -> i64 {
        let Pipeline {
            delay,
            window,
            scrape,
            ..
        } = self.pipeline;
        delay.nanos() + window.nanos() + 8 * scrape.nanos()
    }

    fn scrape(&mut self) {
        let (keep, now) = (self.keep(), self.now);
        let startup_cpu = f64::from(self.config.startup_cpu_millicores);
        for index in &self.alive {
            let lost = self.pipeline.loss > 0.0 && self.losses.uniform() < self.pipeline.loss;
            let pod = &mut self.pods[*index as usize];
            pod.set_serving(pod.serving, now);
            let started = (pod.ready.min(now) - pod.created) as f64;
            let burnt = pod.served_area as f64 * self.cpu_per_request + started * startup_cpu;
            pod.cpu.record(now, burnt, lost, keep);
        }
    }

    fn report_concurrency(&mut self) {
        self.meter.touch_system(self.now, self.in_system);
        let mean = self.meter.take_concurrency(1_000_000_000);
        let lost = self.pipeline.loss > 0.0 && self.losses.uniform() < self.pipeline.loss;
        if !lost {
            self.concurrency.push((self.at(self.now), mean));
        }
    }

    fn close_minute(&mut self) {
        self.touch_pods();
        self.meter.close_minute(self.now, self.current);
        let arrived = self.meter.requests.arrived;
        let rate = (arrived - self.arrived_before) as f64 / 60.0;
        self.arrived_before = arrived;
        self.demand_held.push_back((self.now, rate));
        self.clock.minute = if self.now >= self.end {
            i64::MAX
        } else {
            (self.now + MINUTE).min(self.end)
        };
    }

    fn sync(&mut self, pilot: &mut dyn Pilot) {
        let visible = self.now - self.pipeline.delay.nanos();
        while let Some((at, rate)) = self
            .demand_held
            .front()
            .copied()
            .filter(|(at, _)| *at <= visible)
        {
            self.demand_held.pop_front();
            self.demand.push((self.at(at), rate));
        }
        self.look_at_pods(visible);
        self.touch_pods();
        let interval = self.meter.take_interval();
        let seen = Seen {
            now: self.at(self.now),
            current: self.current,
            pods: &self.seen,
            concurrency: &self.concurrency,
            demand: &self.demand,
            interval,
        };
        let wanted = pilot.sync(&seen);
        self.demand.clear();
        self.concurrency.clear();
        if let Some(wanted) = wanted {
            self.scale(wanted);
        }
    }

    fn look_at_pods(&mut self, visible: i64) {
        self.seen.clear();
        let window = self.pipeline.window.nanos();
        let start = self.start;
        let at = |nanos: i64| start + Span::from_nanos(nanos);
        for index in &self.alive {
            let pod = &self.pods[*index as usize];
            let sample = pod.cpu.sample(visible, window);
            let ready = pod.ready <= self.now;
            self.seen.push(PodSeen {
                created_at: at(pod.created),
                ready,
                ready_changed_at: at(if ready { pod.ready } else { pod.created }),
                deleting: pod.life == Life::Draining,
                cpu: sample.map(|(end, millicores, span)| CpuSample {
                    millicores: millicores.round() as i64,
                    at: at(end),
                    window: Span::from_nanos(span),
                }),
            });
        }
    }

    fn finish(mut self) -> Measures {
        self.touch_pods();
        self.meter.touch_system(self.now, self.in_system);
        let of_pods: Vec<Waiting> = self
            .pods
            .iter()
            .flat_map(|p| p.queue.iter().copied())
            .collect();
        let waiting: Vec<Waiting> = self.queue.drain(..).chain(of_pods).collect();
        for left in &waiting {
            // Never served: a violation, whatever time it still had.
            self.meter.violated(left.arrived);
        }
        self.meter.requests.waiting = waiting.len() as u64;
        self.meter.requests.in_service = (self.in_service.len() - self.free_slots.len()) as u64;
        debug_assert!(
            self.meter.requests.are_conserved(),
            "{:?}",
            self.meter.requests
        );
        self.meter.finish(self.config, self.end)
    }
}
