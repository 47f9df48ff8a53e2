//! The event loop: requests, pods, the metrics pipeline, and a pilot that asks for a setting.
//!
//! One struct holds the world; its verbs stand in `requests.rs`, `pods.rs`, `places.rs` (nodes,
//! sizes, failures) and `pipeline.rs` (what an autoscaler sees).

mod pipeline;
mod places;
mod pods;
mod requests;

use std::collections::VecDeque;

use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;

use crate::cluster::{ByLoad, Nodes, Pod, Size, Waiting, millicores_per_request};
use crate::config::{ClusterConfig, ConfigProblem, Pipeline, Queueing};
use crate::event::EventHeap;
use crate::metrics::measure::{Held, Interval, MINUTE, Measures, Meter};
use crate::metrics::scrape::CpuSample;
use crate::rng::Stream;
use crate::service::Sampler;
use crate::workload::{Arrivals, Workload};

/// A pod as the metrics pipeline shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodSeen {
    /// When it was created.
    pub created_at: Timestamp,
    /// When it got its node, where it has one.
    pub started_at: Option<Timestamp>,
    /// Ready or not.
    pub ready: bool,
    /// When that last changed.
    pub ready_changed_at: Timestamp,
    /// `true` while it drains.
    pub deleting: bool,
    /// What it holds at present.
    pub size: Size,
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
    /// What a pod is asked to hold; `None` while nothing but the begin's was ever asked for.
    pub size: Option<Size>,
    /// The most that a pod can hold; `None` where there is room for all.
    pub largest: Option<Size>,
    /// Every pod that is not gone.
    pub pods: &'a [PodSeen],
    /// `true` where the pods' metrics could not be read.
    pub failed: bool,
    /// New reports of requests in the system, each the mean over the second that ends there.
    pub concurrency: &'a [(Timestamp, f64)],
    /// New rates of arrival in requests per second, each over the minute that ends there.
    pub demand: &'a [(Timestamp, f64)],
    /// What happened since the sync before; for the record, not for the decision.
    pub interval: Interval,
}

/// An autoscaler as the simulator sees it.
pub trait Pilot {
    /// What is asked for from now on: replicas, and CPU and memory per pod; `None`, like an axis
    /// that is not set, leaves things as they are.
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting>;
}

/// Asks for nothing: the number at the begin stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpiloted;

impl Pilot for Unpiloted {
    fn sync(&mut self, _seen: &Seen<'_>) -> Option<Setting> {
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

/// What happens to a pod or a node, as the heap of events holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    PodReady(u32),
    PodFails(u32),
    PodResizes(u32),
    NodeArrives(u32),
    NodeIdles(u32),
    NodesLost(u32),
}

/// Bits of an event's item that say whom it happens to; the rest say what.
const WHO_BITS: u32 = 24;

impl Happening {
    fn item(self) -> u32 {
        let (kind, who) = match self {
            Self::PodReady(pod) => (0, pod),
            Self::PodFails(pod) => (1, pod),
            Self::PodResizes(pod) => (2, pod),
            Self::NodeArrives(node) => (3, node),
            Self::NodeIdles(node) => (4, node),
            Self::NodesLost(fault) => (5, fault),
        };
        (kind << WHO_BITS) | who
    }

    fn of(item: u32) -> Self {
        let who = item & ((1 << WHO_BITS) - 1);
        match item >> WHO_BITS {
            0 => Self::PodReady(who),
            1 => Self::PodFails(who),
            2 => Self::PodResizes(who),
            3 => Self::NodeArrives(who),
            4 => Self::NodeIdles(who),
            _ => Self::NodesLost(who),
        }
    }
}

/// A request in service.
#[derive(Clone, Copy, Debug)]
struct InService {
    arrived: i64,
    began: i64,
    /// When it is done; an event of another time is out of date.
    ends: i64,
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
    workload.check()?;
    for (field, given) in [
        ("memoryUse", config.memory_use.is_some()),
        ("stress", config.stress.is_some()),
        ("kept", pipeline.kept),
    ] {
        if given {
            let message = "event mode does not know it; leave it out, or use fluid mode".to_owned();
            return Err(ConfigProblem { field, message });
        }
    }
    let mut simulation = Simulation::new(config, pipeline, workload, seed);
    simulation.run(pilot);
    Ok(simulation.finish())
}

struct Simulation<'a> {
    config: &'a ClusterConfig,
    pipeline: &'a Pipeline,
    seed: Seed,
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
    /// What a new pod asks for.
    size: Size,
    resized: bool,
    pods: Vec<Pod>,
    /// Pods ever created.
    created: u64,
    alive: Vec<u32>,
    /// Those of them that have no node.
    pending: Vec<u32>,
    free_pods: Vec<u32>,
    by_load: ByLoad,
    held: Held,
    nodes: Option<Nodes>,
    /// What happens to pods and nodes, by time.
    events: EventHeap,
    completions: EventHeap,
    in_service: Vec<InService>,
    free_slots: Vec<u32>,
    /// Slots of requests that died with their pod and whose event is still to come.
    dead_slots: usize,
    /// Nanoseconds of service left in each slot at its pod's last change, where CPU is shared.
    left: Vec<f64>,
    queue: VecDeque<Waiting>,
    /// When each request that may give up came, in that order, and at which pod it waited.
    patience: VecDeque<(i64, u32)>,
    /// Times without a ready pod: begin and end, the end of time where it lasts.
    dark: Vec<(i64, i64)>,
    in_system: u64,
    clock: Clockwork,
    meter: Meter,
    demand: Vec<(Timestamp, f64)>,
    /// Rates that the pipeline still holds back.
    demand_held: VecDeque<(i64, f64)>,
    concurrency: Vec<(Timestamp, f64)>,
    concurrency_held: VecDeque<(i64, f64)>,
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
        let slots = config.concurrency as usize;
        let queue_max = config.queue_max.map_or(usize::MAX >> 1, |q| q as usize);
        let mut simulation = Self {
            config,
            pipeline,
            seed,
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
            size: config.size(),
            resized: false,
            pods: Vec::new(),
            created: 0,
            alive: Vec::new(),
            pending: Vec::new(),
            free_pods: Vec::new(),
            by_load: ByLoad::default(),
            held: Held::default(),
            nodes: places::nodes(config, seed),
            events: EventHeap::default(),
            completions: EventHeap::default(),
            in_service: Vec::new(),
            free_slots: Vec::new(),
            dead_slots: 0,
            left: Vec::new(),
            queue: VecDeque::new(),
            patience: VecDeque::new(),
            dark: vec![(0, i64::MAX)],
            in_system: 0,
            clock: clockwork(pipeline, end),
            meter: Meter::new(config, minutes.max(1)),
            demand: Vec::new(),
            demand_held: VecDeque::new(),
            concurrency: Vec::new(),
            concurrency_held: VecDeque::new(),
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
        simulation.begin_places();
        simulation
    }

    fn run(&mut self, pilot: &mut dyn Pilot) {
        let mut arrival = self.next_arrival();
        loop {
            let done = self.completions.next_at();
            let control = self.next_control();
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
        self.close(pilot);
    }

    /// What is due at the very end: the last minute is closed though a request ends with it.
    fn close(&mut self, pilot: &mut dyn Pilot) {
        loop {
            let control = self.next_control();
            if control > self.end {
                break;
            }
            self.now = control;
            self.control(pilot);
        }
        self.now = self.end;
    }

    #[inline]
    fn next_control(&self) -> i64 {
        let due = self.clock.next().min(self.events.next_at());
        due.min(self.next_expiry())
    }

    fn next_arrival(&mut self) -> i64 {
        self.arrivals.next().unwrap_or(i64::MAX)
    }

    fn control(&mut self, pilot: &mut dyn Pilot) {
        if self.events.next_at() <= self.now {
            if let Some((_, item)) = self.events.pop() {
                self.happen(Happening::of(item));
            }
        } else if self.next_expiry() <= self.now {
            self.expire();
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

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::PodReady(pod) => self.started(pod),
            Happening::PodFails(pod) => self.fail(pod),
            Happening::PodResizes(pod) => self.resize_due(pod),
            Happening::NodeArrives(node) => self.node_arrives(node),
            Happening::NodeIdles(node) => self.node_idles(node),
            Happening::NodesLost(fault) => self.lose_nodes(fault),
        }
    }

    fn at(&self, nanos: i64) -> Timestamp {
        self.start + Span::from_nanos(nanos)
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
        let busy = self.in_service.len() - self.free_slots.len() - self.dead_slots;
        self.meter.requests.in_service = busy as u64;
        debug_assert!(
            self.meter.requests.are_conserved(),
            "{:?}",
            self.meter.requests
        );
        self.meter.finish(self.config, self.end)
    }
}

fn clockwork(pipeline: &Pipeline, end: i64) -> Clockwork {
    Clockwork {
        scrape: pipeline.scrape.nanos(),
        second: if pipeline.concurrency {
            1_000_000_000
        } else {
            i64::MAX
        },
        minute: MINUTE.min(end),
        sync: pipeline.sync.nanos(),
    }
}
