//! What a fluid run was worth; counts are expectations and need not be whole.

use crate::config::ClusterConfig;
use crate::metrics::histogram::Histogram;
use crate::metrics::measure::{Elasticity, Measures, MinuteRow, Requests, elasticity, is_bad};

/// One minute of a run, or the sum of that minute over many items.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FluidMinute {
    /// Requests that came.
    pub arrivals: f64,
    /// Those of them that broke the promise.
    pub violations: f64,
    /// Replicas asked for at its end.
    pub current: u32,
    /// Ready replicas, mean over the minute.
    pub ready: f64,
    /// Demand that fills their CPU requests, in requests per second.
    pub capacity: f64,
    /// Capacity paid for, in replica·minutes.
    pub replica_minutes: f64,
}

/// Of a resource, what was asked for and what was used of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Asked for.
    pub asked: f64,
    /// Used.
    pub used: f64,
}

impl Used {
    /// The share that was used; `None` where nothing was asked for.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.asked > 0.0).then(|| self.used / self.asked)
    }

    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.used += other.used;
    }
}

/// Everything measured of one run, or the sum over many items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FluidMeasures {
    /// Items in it.
    pub items: usize,
    /// Requests that came.
    pub requests: f64,
    /// Requests that broke the promise.
    pub violations: f64,
    /// Minutes in which the promised share was not kept.
    pub violation_minutes: u64,
    /// Minutes with requests, of each item.
    pub active_minutes: u64,
    /// Requests that were never served: without a backlog those above capacity.
    pub unserved: f64,
    /// Capacity paid for.
    pub replica_minutes: f64,
    /// CPU that was asked for and CPU that was used, in cores times minutes.
    pub core_minutes: Used,
    /// Memory that was asked for and memory that was used, in GiB times minutes; zero where nobody
    /// looks at memory.
    pub gib_minutes: Used,
    /// Pods that were killed for memory.
    pub kills: u64,
    /// What that costs.
    pub cost: f64,
    /// Changes of the number asked for.
    pub actions: u64,
    /// Changes of direction within the flap window.
    pub flaps: u64,
    /// Over- and under-provisioning, summed over the items.
    pub elasticity: Elasticity,
    /// Every minute.
    pub minutes: Vec<FluidMinute>,
}

impl FluidMeasures {
    /// Requests that broke the promise, in percent.
    #[must_use]
    pub fn violations_percent(&self) -> f64 {
        if self.requests > 0.0 {
            self.violations * 100.0 / self.requests
        } else {
            0.0
        }
    }

    /// Adds another item's.
    pub fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.requests += other.requests;
        self.violations += other.violations;
        self.violation_minutes += other.violation_minutes;
        self.active_minutes += other.active_minutes;
        self.unserved += other.unserved;
        self.replica_minutes += other.replica_minutes;
        self.core_minutes.add(&other.core_minutes);
        self.gib_minutes.add(&other.gib_minutes);
        self.kills += other.kills;
        self.cost += other.cost;
        self.actions += other.actions;
        self.flaps += other.flaps;
        self.elasticity.add(&other.elasticity);
        if self.minutes.len() < other.minutes.len() {
            self.minutes
                .resize(other.minutes.len(), FluidMinute::default());
        }
        for (row, add) in self.minutes.iter_mut().zip(&other.minutes) {
            row.arrivals += add.arrivals;
            row.violations += add.violations;
            row.current += add.current;
            row.ready += add.ready;
            row.capacity += add.capacity;
            row.replica_minutes += add.replica_minutes;
        }
    }

    /// Fills in what follows from the minutes and from the capacity paid for.
    pub(crate) fn close(&mut self, config: &ClusterConfig, length: i64) {
        let bad = |m: &&FluidMinute| is_bad(m.arrivals, m.violations, config.slo.share);
        self.items = 1;
        self.violation_minutes = self.minutes.iter().filter(bad).count() as u64;
        self.active_minutes = self.minutes.iter().filter(|m| m.arrivals > 0.0).count() as u64;
        let minutes = self.minutes.iter().map(|m| (m.arrivals, m.ready));
        self.elasticity = elasticity(minutes, config, length);
    }

    /// In the form of event mode, counts rounded and elasticity as the mean over the items.
    ///
    /// There are no single requests, hence no waits, latencies and cold starts: those are empty,
    /// and a report leaves them out.
    #[must_use]
    pub fn to_measures(&self) -> Measures {
        let whole = |value: f64| value.round() as u64;
        let minute = |m: &FluidMinute| MinuteRow {
            arrivals: m.arrivals.round() as u32,
            violations: m.violations.round() as u32,
            cold_starts: 0,
            current: m.current,
            ready: m.ready,
            capacity: m.capacity,
            replica_minutes: m.replica_minutes,
        };
        let arrived = whole(self.requests);
        let waiting = whole(self.unserved).min(arrived);
        Measures {
            requests: Requests {
                arrived,
                served: arrived - waiting,
                waiting,
                ..Requests::default()
            },
            wait: Histogram::default(),
            latency: Histogram::default(),
            violations: whole(self.violations),
            violation_minutes: self.violation_minutes,
            cold_starts: 0,
            replica_minutes: self.replica_minutes,
            node_minutes: 0.0,
            crashes: 0,
            cost: self.cost,
            actions: self.actions,
            flaps: self.flaps,
            elasticity: self.elasticity.over(self.items),
            mean_in_system: 0.0,
            minutes: self.minutes.iter().map(minute).collect(),
        }
    }
}
