//! What share of a rate breaks the promise on some replicas: utilization turned into waiting.
//!
//! With m servers (replicas × requests at once), offered load a = rate × mean service time and the
//! promise "wait < T": the share is C(m, a)·exp(−(m − a)·T/S · 2/(1 + cv²)), C Erlang's waiting
//! probability, S the mean service time and cv its coefficient of variation; it is 1 where a ≥ m.
//! For exponential times this is exact in the stationary state; for others the tail is scaled as the
//! mean wait is (Allen–Cunneen). A promise on latency adds the service time itself.
//! Source: Gross & Harris, Fundamentals of Queueing Theory, 2.3; Allen, Probability, Statistics and
//! Queueing Theory, 5.3.

use foresail_core::quantity::units::{Replicas, larger, smaller};
use foresail_core::value::capacity::ErlangB;
use foresail_core::value::slo::Measure;

use crate::config::{ClusterConfig, Shape};
use crate::service::Table;

/// Points at which a lognormal service time is looked at.
const POINTS: i32 = 80;

/// How a request's own service time enters a promise on latency.
#[derive(Clone, Debug, PartialEq)]
enum Service {
    /// Not at all: the promise is on the wait.
    Apart,
    /// Exponential: in closed form.
    Exponential,
    /// As a list of times in seconds, with the share of each.
    Points(Vec<(f64, f64)>),
}

/// The promise of one cluster, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// Requests that a replica serves at once at full speed.
    slots: f64,
    /// Mean service time in seconds.
    service_time: f64,
    /// The time that is promised, in seconds.
    below: f64,
    /// How much faster the tail of the wait falls than with exponential service times.
    steepness: f64,
    service: Service,
}

impl Promise {
    /// The promise of a cluster.
    #[must_use]
    pub fn new(config: &ClusterConfig) -> Self {
        let at_once = config.servers();
        // A replica whose CPU is not enough for one request serves one, and slower.
        let slots = larger(at_once, 1.0);
        let service_time = config.service.mean.seconds() * slots / at_once;
        let cv = config.service.shape.spread();
        let service = match (config.slo.measure, config.service.shape) {
            (Measure::Wait, _) => Service::Apart,
            (Measure::Latency, Shape::Exponential) => Service::Exponential,
            (Measure::Latency, Shape::Constant) => Service::Points(vec![(service_time, 1.0)]),
            (Measure::Latency, Shape::Lognormal(cv)) => {
                Service::Points(lognormal(service_time, cv))
            }
            (Measure::Latency, Shape::Gamma(cv)) => Service::Points(gamma(service_time, cv)),
            (Measure::Latency, Shape::Table(table)) => {
                Service::Points(of_table(service_time, &table))
            }
        };
        Self {
            slots,
            service_time,
            below: config.slo.below.seconds(),
            steepness: 2.0 / (1.0 + cv * cv),
            service,
        }
    }

    /// Share of the requests at `rate` that breaks the promise on `ready` replicas.
    ///
    /// Units: `rate` in requests per second; the share is between 0 and 1 and falls with `ready`.
    #[must_use]
    pub fn broken(&self, rate: f64, ready: u32) -> f64 {
        let mut queue = ErlangB::new(rate * self.service_time);
        self.broken_on(rate, ready, |servers| waits(&mut queue, servers))
    }

    /// The same, by queues that are kept from one call to the next.
    pub(crate) fn broken_of(&self, queues: &mut Queues, rate: f64, ready: u32) -> f64 {
        let offered = rate * self.service_time;
        self.broken_on(rate, ready, |servers| queues.waits(offered, servers))
    }

    /// The shares on 0, 1, … `most` replicas, in one pass.
    pub(crate) fn by_ready(&self, rate: f64, most: u32, shares: &mut Vec<f64>) {
        let mut queue = ErlangB::new(rate * self.service_time);
        shares.clear();
        let mut on = |ready| self.broken_on(rate, ready, |servers| waits(&mut queue, servers));
        shares.extend((0..=most).map(&mut on));
    }

    /// The share on `ready` replicas, by the waiting probability of so many servers.
    fn broken_on(&self, rate: f64, ready: u32, waits: impl FnOnce(u32) -> f64) -> f64 {
        if rate <= 0.0 {
            return 0.0;
        }
        let servers = (f64::from(ready) * self.slots + 1e-9) as u32;
        let (offered, m) = (rate * self.service_time, f64::from(servers));
        if offered >= m {
            return 1.0;
        }
        // So far apart nobody waits: the probability is below 1e-12, and the pass over the servers
        // need not be made.
        let waits = if offered + 8.0 * offered.sqrt() + 8.0 < m {
            0.0
        } else {
            waits(servers)
        };
        self.too_late(waits, (m - offered) / self.service_time * self.steepness)
    }

    /// The share that is late where a share `waits` and the wait then falls at `drain` per second.
    fn too_late(&self, waits: f64, drain: f64) -> f64 {
        let wait_over = |t: f64| {
            if t <= 0.0 {
                1.0
            } else {
                waits * (-drain * t).exp()
            }
        };
        match &self.service {
            Service::Apart => wait_over(self.below),
            Service::Exponential => {
                let rate = 1.0 / self.service_time;
                let served = (-rate * self.below).exp();
                let both = if (drain - rate).abs() < 1e-9 * rate {
                    (1.0 + rate * self.below) * served
                } else {
                    let waited = (-drain * self.below).exp();
                    (drain * served - rate * waited) / (drain - rate)
                };
                smaller((1.0 - waits) * served + waits * both, 1.0)
            }
            Service::Points(points) => {
                let late = points
                    .iter()
                    .map(|(t, share)| share * wait_over(self.below - t));
                smaller(late.sum(), 1.0)
            }
        }
    }

    /// Seconds for which a request holds a slot.
    pub(crate) fn service_time(&self) -> f64 {
        self.service_time
    }

    /// Slots of one replica.
    pub(crate) fn slots(&self) -> f64 {
        self.slots
    }

    /// Requests per second that one replica serves while all its slots are busy.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.slots / self.service_time
    }

    /// The fewest replicas, at least one, that keep the promise to a share `kept` of the requests
    /// at `rate`.
    ///
    /// Where no number does, because serving alone takes too long, the fewest that serve the rate.
    /// Units: `rate` in requests per second.
    #[must_use]
    pub fn needed(&self, rate: f64, kept: f64) -> u32 {
        let serving = Replicas::covering(rate, self.capacity()).map_or(1, |r| r.get().max(1));
        let broken = 1.0 - kept;
        if self.too_late(0.0, 1.0) > broken {
            return serving;
        }
        let mut queue = ErlangB::new(rate * self.service_time);
        let keeps = |ready: &u32| {
            let on = |servers| waits(&mut queue, servers);
            self.broken_on(rate, *ready, on) <= broken
        };
        (serving..).find(keeps).unwrap_or(serving)
    }

    /// `true` where a request that waits `wait` seconds in a backlog breaks the promise.
    #[must_use]
    pub(crate) fn is_broken_by(&self, wait: f64) -> bool {
        let served = match self.service {
            Service::Apart => 0.0,
            Service::Exponential | Service::Points(_) => self.service_time,
        };
        wait + served >= self.below
    }
}

/// Waiting probability of a queue that is grown to so many servers.
fn waits(queue: &mut ErlangB, servers: u32) -> f64 {
    queue.grow_to(servers);
    queue.wait_probability()
}

/// The queues of one offered load on 0, 1, … servers, as far as they were asked for.
///
/// Within a minute the load stays the same while servers come and go, so that each is made once; what
/// is told is what a queue grown from nothing would tell, to the bit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    offered: f64,
    grown: Vec<ErlangB>,
}

impl Queues {
    fn waits(&mut self, offered: f64, servers: u32) -> f64 {
        if self.grown.is_empty() || self.offered.to_bits() != offered.to_bits() {
            self.offered = offered;
            self.grown.clear();
            self.grown.push(ErlangB::new(offered));
        }
        while self.grown.len() <= servers as usize {
            let mut queue = self.grown[self.grown.len() - 1];
            queue.grow_to(self.grown.len() as u32);
            self.grown.push(queue);
        }
        self.grown[servers as usize].wait_probability()
    }
}

/// A lognormal distribution as points with shares.
fn lognormal(mean: f64, cv: f64) -> Vec<(f64, f64)> {
    let variance = (1.0 + cv * cv).ln();
    let (mu, sigma) = (mean.ln() - variance / 2.0, variance.sqrt());
    let places = (-POINTS / 2..=POINTS / 2).map(|i| f64::from(i) * 10.0 / f64::from(POINTS));
    let mut points: Vec<_> = places
        .map(|z| ((mu + sigma * z).exp(), (-z * z / 2.0).exp()))
        .collect();
    let total: f64 = points.iter().map(|(_, share)| share).sum();
    points.iter_mut().for_each(|(_, share)| *share /= total);
    points
}

/// A gamma as points at equal distances of the logarithm, each with its share.
fn gamma(mean: f64, cv: f64) -> Vec<(f64, f64)> {
    let form = 1.0 / (cv * cv);
    // Of what is left out below the least point no promise depends on the size.
    let (least, most) = (-12.0 / smaller(form, 1.0), (1.0 + 12.0 * cv).ln());
    let place = |i: i32| least + (most - least) * f64::from(i) / f64::from(POINTS);
    let mut points: Vec<_> = (0..=POINTS)
        .map(|i| place(i).exp())
        .map(|x| (mean * x, (form * (x.ln() - x + 1.0)).exp()))
        .collect();
    let total: f64 = points.iter().map(|(_, share)| share).sum();
    points.iter_mut().for_each(|(_, share)| *share /= total);
    points
}

/// A table of percentiles as points of equal share, scaled to the mean.
fn of_table(mean: f64, table: &Table) -> Vec<(f64, f64)> {
    let share = 1.0 / f64::from(POINTS);
    let factor = mean / table.mean();
    (0..POINTS)
        .map(|i| (table.quantile((f64::from(i) + 0.5) * share) * factor, share))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Span;

    fn promise(slo: &str, shape: Shape) -> Promise {
        let mut config = ClusterConfig {
            slo: slo.parse().unwrap(),
            concurrency: 1,
            ..ClusterConfig::default()
        };
        config.service.mean = Span::from_seconds(1);
        config.service.shape = shape;
        Promise::new(&config)
    }

    /// Queues that are kept tell what queues made anew would, to the bit, whatever came before.
    #[test]
    fn kept_queues_are_those_made_anew() {
        let promise = promise("wait<1s:99%", Shape::Exponential);
        let mut queues = Queues::default();
        let mut between = 0;
        for i in 0..3000_u32 {
            let rate = f64::from(i / 7 % 13) * 1.7;
            let ready = i * 31 % 40;
            let kept = promise.broken_of(&mut queues, rate, ready);
            assert_eq!(kept.to_bits(), promise.broken(rate, ready).to_bits());
            between += u32::from(kept > 0.0 && kept < 1.0);
        }
        assert!(between > 300, "{between}");
    }

    #[test]
    fn waits_are_those_of_the_closed_form() {
        let one = promise("wait<1s:99%", Shape::Exponential);
        let want = 0.8 * (-0.2_f64).exp();
        assert!((one.broken(0.8, 1) - want).abs() < 1e-12, "M/M/1");
        assert!(
            (one.broken(1.0, 1) - 1.0).abs() < 1e-12,
            "no stationary state"
        );
        let sixteen = promise("wait<1ns:99%", Shape::Exponential);
        assert!((sixteen.broken(14.4, 16) - 0.591_343).abs() < 1e-6);
    }

    /// The latency of M/M/1 is exponential with rate μ − λ.
    #[test]
    fn latencies_are_those_of_the_closed_form() {
        let one = promise("latency<3s:99%", Shape::Exponential);
        for rate in [0.1, 0.5, 0.9] {
            let want = (-(1.0 - rate) * 3.0_f64).exp();
            assert!((one.broken(rate, 1) - want).abs() < 1e-9, "{rate}");
        }
        let fixed = promise("latency<900ms:99%", Shape::Constant);
        assert!(
            (fixed.broken(0.1, 5) - 1.0).abs() < 1e-12,
            "slower than promised"
        );
        let spread = promise("latency<1s:99%", Shape::Lognormal(1.0));
        // With many servers the share is that of the service time alone: P(Z > σ/2) = 0.3384.
        assert!(
            (spread.broken(0.1, 9) - 0.3384).abs() < 0.03,
            "{}",
            spread.broken(0.1, 9)
        );
    }

    #[test]
    fn needed_are_the_fewest_that_keep_the_promise() {
        for (slo, kept) in [("wait<200ms:99%", 0.99), ("latency<5s:95%", 0.95)] {
            for shape in [Shape::Exponential, Shape::Constant, Shape::Gamma(2.0)] {
                let promise = promise(slo, shape);
                for rate in [0.0, 0.02, 0.9, 7.3, 40.0] {
                    let needed = promise.needed(rate, kept);
                    assert!(
                        promise.broken(rate, needed) <= 1.0 - kept,
                        "{slo} {shape:?} {rate}"
                    );
                    let fewer = needed - 1;
                    assert!(
                        fewer == 0 || promise.broken(rate, fewer) > 1.0 - kept,
                        "{slo} {shape:?} {rate}: {needed}"
                    );
                }
            }
        }
        // Seconds of service in less than a second: no number helps, so only the rate counts.
        assert_eq!(
            promise("latency<900ms:99%", Shape::Constant).needed(7.3, 0.99),
            8
        );
    }

    /// A pod that its CPU holds back to a tenth of its slots is worth a tenth.
    #[test]
    fn a_replica_that_shares_cpu_counts_as_what_its_cpu_is_enough_for() {
        let mut config = ClusterConfig::default();
        let free = Promise::new(&config).needed(95.0, 0.99);
        config.cpu_bound = true;
        let bound = Promise::new(&config);
        assert_eq!((free, bound.needed(95.0, 0.99)), (2, 12));
        config.cpu_request_millicores = 500;
        let slow = Promise::new(&config);
        assert!((slow.capacity() - 5.0).abs() < 1e-9);
        assert!((slow.broken(4.0, 1) - 1.0).abs() > 0.01 && slow.broken(5.0, 1) > 0.99);
    }

    #[test]
    fn more_replicas_never_break_more_and_one_pass_gives_the_same() {
        let mut shares = Vec::new();
        for slo in ["wait<200ms:99%", "latency<2s:99%"] {
            for shape in [Shape::Exponential, Shape::Constant, Shape::Lognormal(2.0)] {
                let promise = promise(slo, shape);
                for rate in [0.0, 0.3, 4.0, 17.9, 60.0] {
                    promise.by_ready(rate, 90, &mut shares);
                    assert!(shares.is_sorted_by(|a, b| a >= b), "{slo} {shape:?} {rate}");
                    for (ready, share) in (0..).zip(&shares) {
                        let same = promise.broken(rate, ready).to_bits() == share.to_bits();
                        assert!(same, "{slo} {shape:?} {rate} {ready}");
                    }
                }
            }
        }
    }
}
