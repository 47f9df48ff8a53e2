//! What one pod is worth at its present size, and what a size costs.

use foresail_core::quantity::units::smaller;

use super::measure::FluidMeasures;
use super::promise::Promise;
use crate::cluster::{GIB, Size};
use crate::config::ClusterConfig;

/// Sizes whose promise is remembered; a learner goes back and forth between few.
const REMEMBERED: usize = 64;

/// The size of all pods, now and soon, with what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    config: ClusterConfig,
    asked: Size,
    now: Size,
    /// A size that pods have from this time on.
    soon: Option<(i64, Size)>,
    promises: Vec<(i64, Promise)>,
    place: usize,
    /// Capacity paid for at the size that is asked for, not yet reckoned.
    unpaid: f64,
}

impl Sizes {
    pub(crate) fn new(config: &ClusterConfig) -> Self {
        let size = config.size();
        Self {
            config: config.clone(),
            asked: size,
            now: size,
            soon: None,
            promises: vec![(size.cpu, Promise::new(config))],
            place: 0,
            unpaid: 0.0,
        }
    }

    /// What is asked for at present.
    pub(crate) fn asked(&self) -> Size {
        self.asked
    }

    /// What pods have at present.
    pub(crate) fn now(&self) -> Size {
        self.now
    }

    pub(crate) fn promise(&self) -> &Promise {
        &self.promises[self.place].1
    }

    /// Demand that fills the CPU request of one pod, in requests per second.
    pub(crate) fn request_capacity(&self) -> f64 {
        self.config.request_capacity()
    }

    /// Asks for another size; pods have it when the time for a resize is over.
    pub(crate) fn ask(&mut self, at: i64, size: Size, measures: &mut FluidMeasures) {
        self.settle(measures);
        self.asked = size;
        self.soon = Some((at + self.config.resize.nanos(), size));
    }

    /// Pods have what they were asked to have by `at`; `true` where that changed something.
    pub(crate) fn arrive(&mut self, at: i64) -> bool {
        let Some((_, size)) = self.soon.take_if(|(due, _)| *due <= at) else {
            return false;
        };
        if size == self.now {
            return false;
        }
        self.now = size;
        self.config.cpu_request_millicores = u32::try_from(size.cpu.max(1)).unwrap_or(u32::MAX);
        self.config.memory_request_gib = size.memory as f64 / GIB;
        self.place = self.place_of(size.cpu);
        true
    }

    /// When the next size arrives.
    pub(crate) fn next(&self) -> i64 {
        self.soon.map_or(i64::MAX, |(at, _)| at)
    }

    fn place_of(&mut self, cpu: i64) -> usize {
        if let Some(place) = self.promises.iter().position(|(c, _)| *c == cpu) {
            return place;
        }
        if self.promises.len() == REMEMBERED {
            self.promises.remove(1);
        }
        self.promises.push((cpu, Promise::new(&self.config)));
        self.promises.len() - 1
    }

    /// Capacity that was paid for at the size that is asked for, in replica·minutes.
    pub(crate) fn paid(&mut self, replica_minutes: f64) {
        self.unpaid += replica_minutes;
    }

    /// Core minutes, GiB minutes and cost of what was paid for and is not reckoned yet.
    pub(crate) fn unsettled(&self) -> (f64, f64, f64) {
        let cores = self.asked.cpu as f64 / 1000.0;
        let gib = self.asked.memory as f64 / GIB;
        let cost = self.config.price.cost(self.unpaid, cores, gib);
        (self.unpaid * cores, self.unpaid * gib, cost)
    }

    /// Reckons what was paid for since the last change of size.
    pub(crate) fn settle(&mut self, measures: &mut FluidMeasures) {
        let (cores, gib, cost) = self.unsettled();
        measures.cost += cost;
        measures.core_minutes.asked += cores;
        measures.gib_minutes.asked += gib;
        self.unpaid = 0.0;
    }

    /// What one pod uses in thousandths of a core while `busy` of its slots are.
    pub(crate) fn millicores(&self, busy: f64) -> f64 {
        let used = busy * self.config.cpu_per_request.seconds() / self.promise().service_time();
        let used = used * 1000.0;
        if self.config.cpu_bound {
            smaller(used, self.now.cpu as f64)
        } else {
            used
        }
    }
}
