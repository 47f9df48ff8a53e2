//! What a run was worth: requests, promises, capacity, steadiness.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Span;
use foresail_core::value::slo::{Measure, Slo};

use super::histogram::{Histogram, Recent};
use super::steadiness::Steadiness;
use crate::cluster::{GIB, Size};
use crate::config::ClusterConfig;
use crate::fluid::Promise;

/// Nanoseconds of one minute.
pub(crate) const MINUTE: i64 = 60_000_000_000;

/// Nanoseconds of the minute that ends at `end`: the last one of a run may be short.
pub(crate) fn length_of_minute(end: i64) -> i64 {
    end - (end - 1) / MINUTE * MINUTE
}

/// One minute of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinuteRow {
    /// Requests that came.
    pub arrivals: u32,
    /// Those of them that broke the promise.
    pub violations: u32,
    /// Those that waited for a replica that was still starting.
    pub cold_starts: u32,
    /// Replicas asked for at its end.
    pub current: u32,
    /// Ready replicas, mean over the minute.
    pub ready: f64,
    /// Demand that fills their CPU requests, in requests per second.
    pub capacity: f64,
    /// Capacity paid for, in replica·minutes.
    pub replica_minutes: f64,
}

/// Whether fewer than the promised share of a minute's requests were kept.
pub(crate) fn is_bad(arrivals: f64, violations: f64, share: f64) -> bool {
    arrivals - violations < share * arrivals - 1e-9
}

/// What happened since the sync before, for the row of a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Times until the answer, of those served.
    pub latency: Recent,
    /// Requests that broke the promise.
    pub violations: u64,
    /// Requests that waited for a replica that was still starting.
    pub cold_starts: u64,
    /// Capacity paid for.
    pub replica_minutes: f64,
}

impl Interval {
    /// Adds the interval that follows.
    pub(crate) fn add(&mut self, next: &Self) {
        self.latency.merge(&next.latency);
        self.violations += next.violations;
        self.cold_starts += next.cold_starts;
        self.replica_minutes += next.replica_minutes;
    }
}

/// Where every request of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// That came.
    pub arrived: u64,
    /// That were answered.
    pub served: u64,
    /// That found the queue full.
    pub rejected: u64,
    /// That gave up.
    pub timed_out: u64,
    /// That died with their pod.
    pub crashed: u64,
    /// That were in service at the end.
    pub in_service: u64,
    /// That waited at the end.
    pub waiting: u64,
}

impl Requests {
    /// Nothing is lost and nothing comes from nowhere.
    #[must_use]
    pub fn are_conserved(&self) -> bool {
        self.arrived
            == self.served
                + self.rejected
                + self.timed_out
                + self.crashed
                + self.in_service
                + self.waiting
    }
}

/// Over- and under-provisioning in replicas, minute by minute, against the fewest that keep the
/// promise.
///
/// Source: Herbst et al., "Quantifying Cloud Performance and Dependability", ToMPECS 2018 (SPEC
/// elasticity metrics): the demand is the least that meets the service level objective; accuracy is
/// the mean relative excess and lack over it, timeshare the share of time with either.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elasticity {
    /// Mean lack of replicas over those needed, in percent.
    pub under_accuracy_percent: f64,
    /// Mean excess of replicas over those needed, in percent.
    pub over_accuracy_percent: f64,
    /// Share of time with too few, in percent.
    pub under_time_percent: f64,
    /// Share of time with too many, in percent.
    pub over_time_percent: f64,
}

/// Everything measured of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// Where the requests ended.
    pub requests: Requests,
    /// Time until service, of those served.
    pub wait: Histogram,
    /// Time until the answer, of those served.
    pub latency: Histogram,
    /// Requests that broke the promise, those never served included.
    pub violations: u64,
    /// Minutes in which the promised share was not kept.
    pub violation_minutes: u64,
    /// Requests that waited and were served by a replica that was starting when they came, or came
    /// while no replica was ready. Those that waited for a busy replica, or for one that was made
    /// later beside busy ones, are not among them.
    pub cold_starts: u64,
    /// Capacity paid for, from the creation of a pod (where it must wait for a node, from its
    /// placement) to its end.
    pub replica_minutes: f64,
    /// Nodes paid for, from order to end, in node·minutes.
    pub node_minutes: f64,
    /// What both cost.
    pub cost: f64,
    /// Times that a pod failed.
    pub crashes: u64,
    /// Changes of the number asked for.
    pub actions: u64,
    /// Changes of direction within the flap window.
    pub flaps: u64,
    /// Over- and under-provisioning.
    pub elasticity: Elasticity,
    /// Mean number of requests in the system.
    pub mean_in_system: f64,
    /// Every minute.
    pub minutes: Vec<MinuteRow>,
}

/// What is held at present.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// Pods that have their place.
    pub(crate) pods: usize,
    /// Those of them that are ready.
    pub(crate) ready: usize,
    /// What the pods hold together.
    pub(crate) size: Size,
    /// Nodes that are paid for.
    pub(crate) nodes: usize,
}

/// The measures of a run in the making.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) requests: Requests,
    pub(crate) wait: Histogram,
    pub(crate) latency: Histogram,
    pub(crate) minutes: Vec<MinuteRow>,
    recent: Recent,
    slo: Slo,
    capacity: f64,
    below: i64,
    pub(crate) violations: u64,
    pub(crate) cold_starts: u64,
    pub(crate) crashes: u64,
    /// `true` where a latency is known only at its end: requests share CPU.
    late: bool,
    /// Pod-nanoseconds up to `touched`.
    alive_area: f64,
    ready_area: f64,
    node_area: f64,
    /// Thousandths of a core and bytes over those of the configuration, times nanoseconds.
    cpu_area: f64,
    memory_area: f64,
    size: Size,
    touched: i64,
    told: Interval,
    told_alive: f64,
    minute_alive: f64,
    minute_ready: f64,
    in_system_area: f64,
    system_touched: i64,
    second_area: f64,
    steadiness: Steadiness,
}

impl Meter {
    pub(crate) fn new(config: &ClusterConfig, minutes: usize) -> Self {
        Self {
            requests: Requests::default(),
            wait: Histogram::default(),
            latency: Histogram::default(),
            minutes: vec![MinuteRow::default(); minutes],
            recent: Recent::default(),
            slo: config.slo,
            capacity: config.request_capacity(),
            below: config.slo.below.nanos(),
            violations: 0,
            cold_starts: 0,
            crashes: 0,
            late: config.cpu_bound && config.slo.measure == Measure::Latency,
            alive_area: 0.0,
            ready_area: 0.0,
            node_area: 0.0,
            cpu_area: 0.0,
            memory_area: 0.0,
            size: config.size(),
            touched: 0,
            told: Interval::default(),
            told_alive: 0.0,
            minute_alive: 0.0,
            minute_ready: 0.0,
            in_system_area: 0.0,
            system_touched: 0,
            second_area: 0.0,
            steadiness: Steadiness::new(config.flap_window),
        }
    }

    #[inline]
    fn minute(&mut self, at: i64) -> &mut MinuteRow {
        let last = self.minutes.len() - 1;
        let index = ((at / MINUTE) as usize).min(last);
        &mut self.minutes[index]
    }

    #[inline]
    pub(crate) fn arrived(&mut self, at: i64) {
        self.requests.arrived += 1;
        self.minute(at).arrivals += 1;
    }

    /// A request that was never served, or never in time.
    pub(crate) fn violated(&mut self, arrived: i64) {
        self.violations += 1;
        self.minute(arrived).violations += 1;
    }

    /// A request that begins its service; `cold` where it had to wait for a start.
    #[inline]
    pub(crate) fn began(&mut self, arrived: i64, wait: i64, service: i64, cold: bool) {
        if self.is_broken(wait, wait + service) {
            self.violated(arrived);
        }
        if cold {
            self.cold_starts += 1;
            self.minute(arrived).cold_starts += 1;
        }
    }

    /// The promise is known to be broken when the service begins.
    #[inline]
    fn is_broken(&self, wait: i64, latency: i64) -> bool {
        match self.slo.measure {
            Measure::Wait => wait >= self.below,
            Measure::Latency => !self.late && latency >= self.below,
        }
    }

    /// A request that died with its pod: with its wait and latency to be where it was in service,
    /// for then it may have broken the promise before.
    pub(crate) fn lost(&mut self, arrived: i64, began: Option<(i64, i64)>) {
        self.requests.crashed += 1;
        if !began.is_some_and(|(wait, latency)| self.is_broken(wait, latency)) {
            self.violated(arrived);
        }
    }

    #[inline]
    pub(crate) fn served(&mut self, arrived: i64, wait: i64, latency: i64) {
        self.requests.served += 1;
        if self.late && latency >= self.below {
            self.violated(arrived);
        }
        self.wait.record(wait);
        self.latency.record(latency);
        self.recent.record(latency);
    }

    /// Brings the areas under the numbers of pods up to `now`.
    pub(crate) fn touch(&mut self, now: i64, held: &Held) {
        let span = (now - self.touched) as f64;
        self.alive_area += span * held.pods as f64;
        self.ready_area += span * held.ready as f64;
        self.node_area += span * held.nodes as f64;
        // Only what differs from the configuration adds up, so that nothing is rounded without it.
        let pods = held.pods as i64;
        self.cpu_area += span * (held.size.cpu - self.size.cpu * pods) as f64;
        self.memory_area += span * (held.size.memory - self.size.memory * pods) as f64;
        self.touched = now;
    }

    /// Brings the area under the number of requests in the system up to `now`.
    #[inline]
    pub(crate) fn touch_system(&mut self, now: i64, in_system: u64) {
        self.in_system_area += (now - self.system_touched) as f64 * in_system as f64;
        self.system_touched = now;
    }

    /// Mean number of requests in the system since this was last asked, over `span`.
    pub(crate) fn take_concurrency(&mut self, span: i64) -> f64 {
        let mean = (self.in_system_area - self.second_area) / span as f64;
        self.second_area = self.in_system_area;
        mean
    }

    /// Closes the minute that ends at `now`; pods must have been touched.
    pub(crate) fn close_minute(&mut self, now: i64, current: u32) {
        let length = length_of_minute(now) as f64;
        let (alive, ready) = (
            self.alive_area - self.minute_alive,
            self.ready_area - self.minute_ready,
        );
        (self.minute_alive, self.minute_ready) = (self.alive_area, self.ready_area);
        let capacity = ready / length * self.capacity;
        let row = self.minute(now - 1);
        row.current = current;
        row.capacity = capacity;
        row.ready = ready / length;
        row.replica_minutes = alive / MINUTE as f64;
    }

    /// What happened since this was last asked; pods must have been touched.
    pub(crate) fn take_interval(&mut self) -> Interval {
        let interval = Interval {
            latency: std::mem::take(&mut self.recent),
            violations: self.violations - self.told.violations,
            cold_starts: self.cold_starts - self.told.cold_starts,
            replica_minutes: (self.alive_area - self.told_alive) / MINUTE as f64,
        };
        self.told.violations = self.violations;
        self.told.cold_starts = self.cold_starts;
        self.told_alive = self.alive_area;
        interval
    }

    pub(crate) fn acted(&mut self, now: i64, up: bool) {
        self.steadiness.acted(now, up);
    }

    pub(crate) fn finish(self, config: &ClusterConfig, length: i64) -> Measures {
        let share = self.slo.share;
        let bad = |m: &&MinuteRow| is_bad(f64::from(m.arrivals), f64::from(m.violations), share);
        let violation_minutes = self.minutes.iter().filter(bad).count() as u64;
        let replica_minutes = self.alive_area / MINUTE as f64;
        let node_minutes = self.node_area / MINUTE as f64;
        let price = &config.price;
        let cores = f64::from(config.cpu_request_millicores) / 1000.0;
        let of_pods = price.cost(replica_minutes, cores, config.memory_request_gib);
        // What resizes added: core-hours and GiB-hours.
        let hour = 60.0 * MINUTE as f64;
        let of_sizes = self.cpu_area / hour / 1000.0 * price.cpu_core_hour
            + self.memory_area / hour / GIB * price.memory_gib_hour;
        let of_nodes = config
            .nodes
            .as_ref()
            .map_or(0.0, |n| node_minutes / 60.0 * n.hour);
        Measures {
            requests: self.requests,
            wait: self.wait,
            latency: self.latency,
            violations: self.violations,
            violation_minutes,
            cold_starts: self.cold_starts,
            replica_minutes,
            node_minutes,
            cost: of_pods + of_sizes + of_nodes,
            crashes: self.crashes,
            actions: self.steadiness.actions,
            flaps: self.steadiness.flaps,
            elasticity: elasticity(
                self.minutes
                    .iter()
                    .map(|m| (f64::from(m.arrivals), m.ready)),
                config,
                length,
            ),
            mean_in_system: self.in_system_area / length as f64,
            minutes: self.minutes,
        }
    }
}

/// Elasticity of a run of `length`, from its minutes, each as its requests and its ready replicas.
///
/// Needed are the fewest replicas that keep the promise at the minute's rate ([`Promise::needed`]).
pub(crate) fn elasticity(
    minutes: impl ExactSizeIterator<Item = (f64, f64)>,
    config: &ClusterConfig,
    length: i64,
) -> Elasticity {
    let promise = Promise::new(config);
    // Minutes repeat their rates.
    let mut known = BTreeMap::new();
    let mut sums = Elasticity::default();
    let count = minutes.len().max(1) as f64;
    for (index, (arrivals, ready)) in (1..).zip(minutes) {
        let end = length.min(index * MINUTE);
        let rate = arrivals / Span::from_nanos(length_of_minute(end)).seconds();
        let needed = known
            .entry(rate.to_bits())
            .or_insert_with(|| f64::from(promise.needed(rate, config.slo.share)));
        let lack = (*needed - ready) / *needed;
        if lack > 0.0 {
            sums.under_accuracy_percent += lack;
            sums.under_time_percent += 1.0;
        } else if lack < 0.0 {
            sums.over_accuracy_percent -= lack;
            sums.over_time_percent += 1.0;
        }
    }
    let percent = |sum: f64| sum * 100.0 / count;
    Elasticity {
        under_accuracy_percent: percent(sums.under_accuracy_percent),
        over_accuracy_percent: percent(sums.over_accuracy_percent),
        under_time_percent: percent(sums.under_time_percent),
        over_time_percent: percent(sums.over_time_percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One slot and a mean of 100 ms: 10 req/s a replica while it never rests.
    fn config() -> ClusterConfig {
        ClusterConfig {
            concurrency: 1,
            ..ClusterConfig::default()
        }
    }

    #[test]
    fn elasticity_tells_lack_from_excess() {
        // 20 req/s keep two replicas busy for ever; few wait for 200 ms on four, too many on three.
        let minutes = [(1200.0, 2.0), (1200.0, 4.0), (1200.0, 6.0), (0.0, 1.0)];
        let got = elasticity(minutes.into_iter(), &config(), 4 * MINUTE);
        assert!(
            (got.under_accuracy_percent - 12.5).abs() < 1e-9
                && (got.over_accuracy_percent - 12.5).abs() < 1e-9,
            "{got:?}"
        );
        assert!(
            (got.under_time_percent - 25.0).abs() < 1e-9
                && (got.over_time_percent - 25.0).abs() < 1e-9
        );
    }

    #[test]
    fn a_short_last_minute_counts_by_its_rate() {
        let minutes = [(1200.0, 4.0), (300.0, 4.0)];
        let got = elasticity(minutes.into_iter(), &config(), MINUTE + MINUTE / 4);
        assert_eq!(got, Elasticity::default(), "20 req/s in both");
    }
}
