//! The model itself: step after step, stretch after stretch.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::smaller;
use foresail_models::rl::env::Facts;
use foresail_models::rng::Seed;

use super::demand::Flow;
use super::fluctuation::Fluctuation;
use super::measure::{FluidMeasures, FluidMinute};
use super::memory::Memory;
use super::pods::{Burnt, Group, Pods};
use super::promise::Queues;
use super::sizes::Sizes;
use super::stress::Strain;
use crate::cluster::{GIB, Size};
use crate::config::{ClusterConfig, ConfigProblem, Pipeline, Queueing};
use crate::metrics::histogram::Recent;
use crate::metrics::measure::{Interval, MINUTE, is_bad, length_of_minute};
use crate::metrics::scrape::CpuSample;
use crate::metrics::steadiness::Steadiness;
use crate::workload::Workload;

/// Nanoseconds of one second.
const SECOND: i64 = 1_000_000_000;

/// From this age on the HPA looks at a pod's readiness and CPU without mistrust.
const SETTLED: i64 = 300 * SECOND;

/// What fluid mode may leave out or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fluid {
    /// `true`: demand above capacity waits for later; else it is lost in its own step.
    pub backlog: bool,
    /// What a policy sees moves about its mean by this chance; absent = it sees means.
    pub chance: Option<Seed>,
}

/// A group of pods as the metrics pipeline shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSeen {
    /// How many pods.
    pub count: u32,
    /// When they were created.
    pub created_at: Timestamp,
    /// Ready or not.
    pub ready: bool,
    /// When that last changed.
    pub ready_changed_at: Timestamp,
    /// The newest visible CPU sample of each of them.
    pub cpu: Option<CpuSample>,
    /// Bytes that each of them used at the end of that sample's window.
    pub memory: Option<i64>,
}

/// Pods that were killed for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub count: u32,
    /// What memory they had, in bytes.
    pub memory: i64,
}

/// What is asked for from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Replicas.
    pub replicas: u32,
    /// The size of each pod; `None` leaves it.
    pub size: Option<Size>,
}

impl Asked {
    /// So many replicas of the size that they have.
    #[must_use]
    pub fn replicas(replicas: u32) -> Self {
        let size = None;
        Self { replicas, size }
    }
}

/// What a policy sees at the begin of a step.
#[derive(Debug)]
pub struct SeenFluid<'a> {
    /// The time.
    pub now: Timestamp,
    /// Which step begins, from 1 on.
    pub step: usize,
    /// Replicas asked for at present.
    pub current: u32,
    /// The size that is asked for at present.
    pub size: Size,
    /// Every pod, as groups.
    pub pods: &'a [GroupSeen],
    /// New reports of requests in the system, one a second.
    pub concurrency: &'a [(Timestamp, f64)],
    /// New rates of arrival in requests per second, each over the minute that ends there.
    pub demand: &'a [(Timestamp, f64)],
    /// Share of the requests that kept the promise, of each minute with requests that was closed.
    pub kept: &'a [(Timestamp, f64)],
    /// Pods that were killed since the step before.
    pub kills: &'a [Killed],
    /// What happened since the step before; for the record, not for the decision.
    pub interval: Interval,
}

/// A policy as fluid mode sees it.
pub trait Decider {
    /// What is asked for from now on; `None` leaves it.
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<Asked>;
    /// `false` where it does not look at pods, so that they need not be shown.
    fn looks_at_pods(&self) -> bool {
        true
    }
}

/// Follows a plan: replicas step by step, the last for ever.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a>(pub &'a [u32]);

impl Decider for Planned<'_> {
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        self.0.get(seen.step).copied().map(Asked::replicas)
    }

    fn looks_at_pods(&self) -> bool {
        false
    }
}

/// Knobs that fluid mode has no place for.
fn check(
    config: &ClusterConfig,
    pipeline: &Pipeline,
    workload: &Workload,
) -> Result<(), ConfigProblem> {
    let refuse = |field, message: &str| {
        Err(ConfigProblem {
            field,
            message: message.to_owned(),
        })
    };
    if config.queueing == Queueing::PerPod {
        return refuse(
            "queue",
            "per-pod: fluid mode has one queue; write central, or use event mode",
        );
    }
    if pipeline.loss > 0.0 {
        return refuse(
            "loss",
            "fluid mode loses no sample; write 0, or use event mode",
        );
    }
    let events = [
        ("nodes", config.nodes.is_some()),
        ("imagePull", config.image_pull.is_some()),
        ("crash", config.crash.is_some()),
        ("faults", !config.faults.is_empty()),
    ];
    if let Some((field, _)) = events.into_iter().find(|(_, given)| *given) {
        return refuse(
            field,
            "fluid mode does not know it; leave it out, or use event mode",
        );
    }
    if matches!(workload, Workload::Mmpp { .. }) {
        return refuse(
            "arrivals",
            "mmpp: fluid mode knows rates and no jumps; use event mode",
        );
    }
    Ok(())
}

/// Runs a workload under a policy and measures everything; `config.initial` pods are ready at once.
///
/// # Errors
/// [`ConfigProblem`] where a knob is out of its range, or fluid mode does not know it.
pub fn run(
    config: &ClusterConfig,
    pipeline: &Pipeline,
    workload: &Workload,
    fluid: Fluid,
    decider: &mut dyn Decider,
) -> Result<FluidMeasures, ConfigProblem> {
    let mut model = Model::checked(config, pipeline, workload, fluid)?;
    while let Some(step) = model.begin_step() {
        if step > 0 {
            let asked = decider.decide(&model.look(decider.looks_at_pods()));
            model.act(asked);
        }
        model.advance();
    }
    Ok(model.finish())
}

/// The model, step by step; [`run`] is its loop with a policy.
#[derive(Debug)]
pub struct Model<'a> {
    config: &'a ClusterConfig,
    pipeline: &'a Pipeline,
    fluid: Fluid,
    start: Timestamp,
    end: i64,
    flow: Flow<'a>,
    by_minute: Flow<'a>,
    sizes: Sizes,
    now: i64,
    current: u32,
    pods: Pods,
    burnt: Burnt,
    fluctuation: Option<Fluctuation>,
    memory: Option<Memory>,
    strain: Option<Strain>,
    /// Requests that wait.
    backlog: f64,
    step: usize,
    /// The share that breaks the promise at this rate and number, as it was last asked for.
    last_share: (f64, u32, f64),
    queues: Queues,
    minute: FluidMinute,
    steadiness: Steadiness,
    measures: FluidMeasures,
    told: Interval,
    told_violations: f64,
    bad_minutes: u64,
    /// End of the last minute whose demand was shown.
    demand_shown: i64,
    demand: Vec<(Timestamp, f64)>,
    concurrency: Vec<(Timestamp, f64)>,
    kept: Vec<(Timestamp, f64)>,
    kills: Vec<Killed>,
    seen: Vec<GroupSeen>,
}

impl<'a> Model<'a> {
    /// The model at the begin of its run, `config.initial` pods ready.
    ///
    /// # Errors
    /// [`ConfigProblem`] where a knob is out of its range, or fluid mode does not know it.
    pub fn checked(
        config: &'a ClusterConfig,
        pipeline: &'a Pipeline,
        workload: &'a Workload,
        fluid: Fluid,
    ) -> Result<Self, ConfigProblem> {
        config.check(workload.length())?;
        pipeline.check()?;
        check(config, pipeline, workload)?;
        if config.stress.is_some() && fluid.backlog {
            return Err(ConfigProblem {
                field: "stress",
                message: "pods under stress have no backlog: leave one of them out".to_owned(),
            });
        }
        Ok(Self::new(config, pipeline, workload, fluid))
    }

    fn new(
        config: &'a ClusterConfig,
        pipeline: &'a Pipeline,
        workload: &'a Workload,
        fluid: Fluid,
    ) -> Self {
        let end = workload.length().nanos();
        let Pipeline {
            sync,
            scrape,
            window,
            delay,
            ..
        } = pipeline;
        let keep = (*delay + *window + *scrape + *scrape + *sync).nanos();
        let minutes = (end as u64).div_ceil(MINUTE as u64) as usize;
        Self {
            config,
            pipeline,
            fluid,
            start: workload.start(),
            end,
            flow: Flow::new(workload),
            by_minute: Flow::new(workload),
            sizes: Sizes::new(config),
            memory: config.memory_use.map(|usage| Memory::new(usage, keep)),
            strain: Strain::of(config, keep),
            now: 0,
            current: config.initial,
            pods: Pods::warm(config.initial),
            burnt: Burnt::new(keep),
            fluctuation: fluid
                .chance
                .map(|seed| Fluctuation::new(config, pipeline, workload, seed)),
            backlog: 0.0,
            step: 0,
            last_share: (-1.0, 0, 0.0),
            queues: Queues::default(),
            minute: FluidMinute::default(),
            steadiness: Steadiness::new(config.flap_window),
            measures: FluidMeasures {
                minutes: Vec::with_capacity(minutes),
                ..FluidMeasures::default()
            },
            told: Interval::default(),
            told_violations: 0.0,
            bad_minutes: 0,
            demand_shown: 0,
            demand: Vec::new(),
            concurrency: Vec::new(),
            kept: Vec::new(),
            kills: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// So many replicas, ready at once, in place of `config.initial`; for the begin of a run alone.
    pub(crate) fn begin_with(&mut self, replicas: u32) {
        self.current = replicas;
        self.pods = Pods::warm(replicas);
    }

    /// The number of the step that begins, from 0 on; `None` at the end of the run.
    #[must_use]
    pub fn begin_step(&self) -> Option<usize> {
        (self.now < self.end).then_some(self.step)
    }

    fn at(&self, nanos: i64) -> Timestamp {
        self.start + Span::from_nanos(nanos)
    }

    // What happens.

    /// One step: its mean rate, in stretches that end where pods become ready or a minute ends.
    pub fn advance(&mut self) {
        let until = (self.now + self.pipeline.sync.nanos()).min(self.end);
        self.step += 1;
        let seconds = (until - self.now) as f64 / SECOND as f64;
        let rate = self.flow.take(until) / seconds;
        while self.now < until {
            let (ready, next) = self.pods.ready(self.now);
            let minute_end = (self.now / MINUTE + 1) * MINUTE;
            if self.sizes.arrive(self.now) {
                self.last_share = (-1.0, 0, 0.0);
            }
            let stress = self.strain.as_ref().map_or(i64::MAX, |s| s.next(self.now));
            let to = until.min(next).min(minute_end);
            let to = to.min(self.sizes.next()).min(stress);
            self.stretch(to, rate, ready);
            if to == minute_end || to == self.end {
                self.close_minute();
            }
        }
    }

    /// A stretch in which rate and ready pods stay the same.
    fn stretch(&mut self, to: i64, rate: f64, ready: u32) {
        let seconds = (to - self.now) as f64 / SECOND as f64;
        let violated = if self.strain.is_some() {
            self.strained(to, rate, ready)
        } else {
            self.served(to, rate, ready)
        };
        let minutes = seconds / 60.0;
        let row = &mut self.minute;
        row.arrivals += rate * seconds;
        row.violations += violated;
        row.ready += f64::from(ready) * minutes;
        row.replica_minutes += f64::from(self.current) * minutes;
        self.sizes.paid(f64::from(self.current) * minutes);
        self.measures.violations += violated;
        self.now = to;
    }

    /// A stretch of pods that are all alike; requests that broke the promise.
    fn served(&mut self, to: i64, rate: f64, ready: u32) -> f64 {
        let seconds = (to - self.now) as f64 / SECOND as f64;
        let capacity = self.sizes.promise().capacity() * f64::from(ready);
        let share = self.share(rate, ready);
        let (violated, busy_seconds) = if self.fluid.backlog {
            self.queue(rate, capacity, seconds, share)
        } else {
            let excess = if rate > capacity {
                rate - capacity
            } else {
                0.0
            };
            self.measures.unserved += excess * seconds;
            (rate * seconds * share, 0.0)
        };
        self.work(to, rate, ready, busy_seconds / seconds);
        violated
    }

    /// A stretch of pods under stress; requests that broke the promise.
    fn strained(&mut self, to: i64, rate: f64, ready: u32) -> f64 {
        let seconds = (to - self.now) as f64 / SECOND as f64;
        let offered = rate * self.sizes.promise().service_time();
        let seen = match &mut self.fluctuation {
            Some(fluctuation) if offered > 0.0 => fluctuation.around(offered, seconds) / offered,
            _ => 1.0,
        };
        let Some(strain) = &mut self.strain else {
            return 0.0;
        };
        let told = strain.stretch(self.pods.groups(), (self.now, to), rate, seen);
        let pod_minutes = f64::from(ready) * seconds / 60.0;
        self.measures.core_minutes.used += told.millicores / 1000.0 * pod_minutes;
        self.measures.unserved += told.unserved;
        let filled = |g: &Group| strain.memory(g, self.now) * f64::from(g.count);
        let filled: f64 = self.pods.groups().iter().map(filled).sum();
        self.measures.gib_minutes.used += filled / GIB * seconds / 60.0;
        self.use_memory(to, told.in_service, ready);
        if self.pipeline.concurrency {
            let all = told.in_service * f64::from(ready);
            self.report_concurrency(to, all, all, 0.0);
        }
        told.violated
    }

    /// What the ready pods do in a stretch, as it is measured: all of them are busy in a share of it.
    fn work(&mut self, to: i64, rate: f64, ready: u32, all_busy: f64) {
        let promise = self.sizes.promise();
        let (service_time, slots) = (promise.service_time(), promise.slots());
        let servers = f64::from(ready) * slots;
        let seconds = (to - self.now) as f64 / SECOND as f64;
        let offered = rate * service_time;
        let load = match &mut self.fluctuation {
            Some(fluctuation) => fluctuation.around(offered, seconds),
            None => offered,
        };
        let served = smaller(load, servers);
        let working = served + (servers - served) * all_busy;
        let per_pod = if ready > 0 {
            working / f64::from(ready)
        } else {
            0.0
        };
        let millicores = self.sizes.millicores(per_pod);
        self.burnt.extend(to, millicores);
        let pod_minutes = f64::from(ready) * seconds / 60.0;
        self.measures.core_minutes.used += millicores / 1000.0 * pod_minutes;
        let at_once = per_pod + (f64::from(self.config.concurrency) - slots) * all_busy;
        self.use_memory(to, at_once, ready);
        if self.pipeline.concurrency {
            self.report_concurrency(to, offered, servers, all_busy);
        }
    }

    fn use_memory(&mut self, to: i64, in_service: f64, ready: u32) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let limit = self.sizes.now().memory;
        let (used, killed) = memory.stretch((self.now, to), in_service, ready, limit);
        let pod_minutes = f64::from(ready) * (to - self.now) as f64 / MINUTE as f64;
        self.measures.gib_minutes.used += used / GIB * pod_minutes;
        if killed > 0 {
            self.measures.kills += u64::from(killed);
            let startup = self.config.startup.mean.nanos();
            self.pods.restart(to, killed, to + startup);
            self.kills.push(Killed {
                at: self.at(to),
                count: killed,
                memory: limit,
            });
        }
    }

    /// Requests in the system, for each second that ends in the stretch.
    fn report_concurrency(&mut self, to: i64, offered: f64, servers: f64, all_busy: f64) {
        for second in self.now / SECOND + 1..=to / SECOND {
            let load = match &mut self.fluctuation {
                Some(fluctuation) => fluctuation.next_second(offered),
                None => offered,
            };
            let served = smaller(load, servers);
            let working = served + (servers - served) * all_busy;
            let at = self.at(second * SECOND);
            self.concurrency.push((at, working + self.backlog));
        }
    }

    /// The share that breaks the promise; asked for again only where something changed.
    fn share(&mut self, rate: f64, ready: u32) -> f64 {
        let (of_rate, of_ready, share) = self.last_share;
        if of_ready == ready && of_rate.to_bits() == rate.to_bits() {
            return share;
        }
        let share = self
            .sizes
            .promise()
            .broken_of(&mut self.queues, rate, ready);
        self.last_share = (rate, ready, share);
        share
    }

    /// A stretch with a backlog: requests that broke the promise, and the seconds that it lasted.
    fn queue(&mut self, rate: f64, capacity: f64, seconds: f64, share: f64) -> (f64, f64) {
        let grows = rate - capacity;
        if self.backlog <= 0.0 && grows <= 0.0 {
            return (rate * seconds * share, 0.0);
        }
        let begin = self.backlog;
        let lasts = if grows >= 0.0 {
            seconds
        } else {
            smaller(seconds, begin / -grows)
        };
        // Those in the queue that are above what fits have given up or were turned away.
        let most = self.most_waiting(capacity);
        let grown = begin + grows * lasts;
        self.backlog = smaller(if grown > 1e-9 { grown } else { 0.0 }, most);
        if grown > most {
            self.measures.unserved += grown - most;
        }
        let wait = |queued: f64| {
            if capacity > 0.0 {
                queued / capacity
            } else {
                f64::INFINITY
            }
        };
        // The part of it in which those that come will wait too long: the queue is a line in time.
        let too_long = if grows >= 0.0
            || self
                .sizes
                .promise()
                .is_broken_by(wait(begin + grows * lasts))
        {
            lasts
        } else if self.sizes.promise().is_broken_by(wait(begin)) {
            self.until_short_enough(begin, grows, capacity, lasts)
        } else {
            0.0
        };
        (rate * (too_long + (seconds - too_long) * share), lasts)
    }

    /// Seconds until a shrinking queue lets those that come keep the promise.
    fn until_short_enough(&self, begin: f64, grows: f64, capacity: f64, lasts: f64) -> f64 {
        let (mut low, mut high) = (0.0, lasts);
        // A line against a threshold; halving needs no case of its own for each kind of promise.
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if self
                .sizes
                .promise()
                .is_broken_by((begin + grows * middle) / capacity)
            {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// Requests that may wait at most: by the bound of the queue, and by what gives up.
    fn most_waiting(&self, capacity: f64) -> f64 {
        let bound = self.config.queue_max.map_or(f64::INFINITY, f64::from);
        let patience = self.config.timeout.map_or(f64::INFINITY, Span::seconds);
        if patience.is_finite() {
            smaller(bound, capacity * patience)
        } else {
            bound
        }
    }

    fn close_minute(&mut self) {
        let mut row = std::mem::take(&mut self.minute);
        let length = length_of_minute(self.now) as f64 / MINUTE as f64;
        row.current = self.current;
        row.ready /= length;
        row.capacity = row.ready * self.sizes.request_capacity();
        if self.pipeline.kept && row.arrivals > 0.0 {
            let kept = 1.0 - smaller(row.violations / row.arrivals, 1.0);
            self.kept.push((self.at(self.now), kept));
        }
        self.measures.requests += row.arrivals;
        let share = self.config.slo.share;
        self.bad_minutes += u64::from(is_bad(row.arrivals, row.violations, share));
        self.measures.replica_minutes += row.replica_minutes;
        self.measures.minutes.push(row);
    }

    // What is seen and decided.

    /// What a policy sees at the begin of the step; `pods` tells whether it looks at pods.
    pub fn look(&mut self, pods: bool) -> SeenFluid<'_> {
        let visible = self.now - self.pipeline.delay.nanos();
        self.show_demand(visible);
        self.seen.clear();
        if pods {
            // Under stress old pods differ by what was done to them.
            if self.strain.is_none() {
                self.pods.merge(self.now - SETTLED.max(self.burnt.keep()));
            }
            self.show_pods(visible);
        }
        let interval = self.interval();
        SeenFluid {
            now: self.at(self.now),
            step: self.step,
            current: self.current,
            size: self.sizes.asked(),
            pods: &self.seen,
            concurrency: &self.concurrency,
            demand: &self.demand,
            kept: &self.kept,
            kills: &self.kills,
            interval,
        }
    }

    /// Takes in what is asked for from now on.
    pub fn act(&mut self, asked: Option<Asked>) {
        self.demand.clear();
        self.concurrency.clear();
        self.kept.clear();
        self.kills.clear();
        let size = asked.and_then(|a| a.size);
        if let Some(size) = size.filter(|s| *s != self.sizes.asked()) {
            self.sizes.ask(self.now, size, &mut self.measures);
        }
        let wanted = asked.map(|a| a.replicas);
        if let Some(wanted) = wanted.filter(|w| *w != self.current) {
            self.steadiness.acted(self.now, wanted > self.current);
            self.current = wanted;
            let startup = self.config.startup.mean.nanos();
            self.pods.resize(self.now, wanted, startup);
        }
    }

    fn show_demand(&mut self, visible: i64) {
        while self.demand_shown + MINUTE <= visible {
            self.demand_shown += MINUTE;
            let rate = self.by_minute.take(self.demand_shown) / 60.0;
            self.demand.push((self.at(self.demand_shown), rate));
        }
    }

    /// Every group with the sample that the scrapes of its pods give: both ends on their grid, or
    /// the begin at the pods' creation.
    fn show_pods(&mut self, visible: i64) {
        let scrape = self.pipeline.scrape.nanos();
        let on_grid = |at: i64| at.div_euclid(scrape) * scrape;
        let end = on_grid(visible);
        let latest = end - self.pipeline.window.nanos();
        let starting = f64::from(self.config.startup_cpu_millicores);
        let window = self.burnt.window(on_grid(latest), end);
        let used = self.memory.as_ref().map(|m| [m.idle(), m.at(end)]);
        for group in self.pods.groups() {
            let ready = group.ready <= self.now;
            let begin = on_grid(latest).max(group.created);
            let filled = self.strain.as_ref().map_or(0.0, |s| s.memory(group, end));
            let used = used.filter(|_| group.created <= end);
            let memory = used.map(|u| {
                let own = u[usize::from(group.ready <= end)];
                (own + filled).round() as i64
            });
            let mean = || match &self.strain {
                Some(strain) => strain.mean(group, begin, end, starting),
                None => window.mean(group, begin, starting),
            };
            let cpu = (group.created <= latest).then(|| CpuSample {
                millicores: mean().round() as i64,
                at: self.at(end),
                window: Span::from_nanos(end - begin),
            });
            self.seen.push(GroupSeen {
                count: group.count,
                created_at: self.at(group.created),
                ready,
                ready_changed_at: self.at(if ready { group.ready } else { group.created }),
                cpu,
                memory,
            });
        }
    }

    fn interval(&mut self) -> Interval {
        let violations = self.measures.violations;
        let paid = self.measures.replica_minutes + self.minute.replica_minutes;
        let interval = Interval {
            latency: Recent::default(),
            violations: (violations - self.told_violations).round() as u64,
            cold_starts: 0,
            replica_minutes: paid - self.told.replica_minutes,
        };
        self.told_violations = violations;
        self.told.replica_minutes = paid;
        interval
    }

    /// What happened so far, minutes counted as they end.
    pub(crate) fn so_far(&self) -> Facts {
        let measures = &self.measures;
        let (cores, gib, cost) = self.sizes.unsettled();
        Facts {
            requests: measures.requests + self.minute.arrivals,
            violations: measures.violations,
            kills: measures.kills,
            minutes: measures.minutes.len() as u64,
            bad_minutes: self.bad_minutes,
            cores: (
                measures.core_minutes.asked + cores,
                measures.core_minutes.used,
            ),
            gib: (measures.gib_minutes.asked + gib, measures.gib_minutes.used),
            cost: measures.cost + cost,
            overruled: 0,
        }
    }

    /// The time.
    pub(crate) fn time(&self) -> Timestamp {
        self.at(self.now)
    }

    /// Requests that wait.
    pub(crate) fn backlog(&self) -> f64 {
        self.backlog
    }

    /// Replicas and size that are asked for.
    pub(crate) fn asked(&self) -> (u32, Size) {
        (self.current, self.sizes.asked())
    }

    /// What the run was worth, up to where it stands.
    #[must_use]
    pub fn finish(mut self) -> FluidMeasures {
        // What still waits is never served.
        self.measures.unserved += self.backlog;
        self.measures.actions = self.steadiness.actions;
        self.measures.flaps = self.steadiness.flaps;
        self.sizes.settle(&mut self.measures);
        self.measures.close(self.config, self.end);
        self.measures
    }
}
