//! Pods under stress: busy loops beside the requests, and filled memory.
//!
//! A pod's CPU limit L (in cores) is shared evenly by its request slots s and the w busy loops in it,
//! one core each at most: a slot runs at the speed min(1, L/(s + w)), so the part of the service time
//! that is CPU becomes that much longer, and Erlang's formula is asked with the longer time. Requests
//! go evenly to all ready pods, stressed or not, as a Kubernetes service sends them, and each class of
//! pods (by its number of loops) is a queue of its own: what is above the capacity of a class is lost
//! there although another has room. Loops take whatever the requests leave of the limit.

use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{larger, smaller};

use super::pods::{Burnt, Group};
use super::promise::Promise;
use crate::config::{ClusterConfig, CpuStress, Stress};

/// Nanoseconds of one second.
const SECOND: f64 = 1e9;

/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// Pods with the same number of busy loops.
#[derive(Clone, Debug)]
struct Class {
    workers: u32,
    promise: Promise,
    burnt: Burnt,
}

/// What a stretch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Strained {
    /// Requests that broke the promise.
    pub(crate) violated: f64,
    /// Requests above capacity.
    pub(crate) unserved: f64,
    /// CPU of a ready pod, mean over all of them, in thousandths of a core.
    pub(crate) millicores: f64,
    /// Requests in service at a ready pod, mean over all of them.
    pub(crate) in_service: f64,
}

/// The stress of a run and what came of it so far. Times in nanoseconds since the run's begin.
#[derive(Clone, Debug)]
pub(crate) struct Strain {
    stress: Stress,
    config: ClusterConfig,
    classes: Vec<Class>,
    keep: i64,
}

impl Strain {
    /// The stress of a cluster, where it has one; samples reach back `keep`.
    pub(crate) fn of(config: &ClusterConfig, keep: i64) -> Option<Self> {
        let stress = config.stress.clone()?;
        let mut strain = Self {
            stress,
            config: config.clone(),
            classes: Vec::new(),
            keep,
        };
        strain.class(0, 0);
        Some(strain)
    }

    /// When something about the loops changes next.
    pub(crate) fn next(&self, now: i64) -> i64 {
        let of = |cpu: &CpuStress| {
            let (begin, end) = (cpu.at.nanos(), cpu.at.nanos() + cpu.length.nanos());
            if now < begin {
                begin
            } else if now < end {
                end.min(found(begin, cpu.refresh, now))
            } else {
                i64::MAX
            }
        };
        self.stress.cpu.iter().map(of).min().unwrap_or(i64::MAX)
    }

    /// Busy loops in each pod of a group at `at`.
    fn workers(&self, group: &Group, at: i64) -> u32 {
        let held = |c: &&CpuStress| held(c, group).is_some_and(|(a, b)| a <= at && at < b);
        self.stress.cpu.iter().filter(held).map(|c| c.workers).sum()
    }

    fn class(&mut self, workers: u32, now: i64) -> usize {
        if let Some(place) = self.classes.iter().position(|c| c.workers == workers) {
            return place;
        }
        let mut burnt = Burnt::new(self.keep);
        if now > 0 {
            // Nobody was in it before, so what it burnt before does not matter.
            burnt.extend(now, 0.0);
        }
        self.classes.push(Class {
            workers,
            promise: promise(&self.config, &self.stress, workers),
            burnt,
        });
        self.classes.len() - 1
    }

    /// A stretch in which nothing changes: requests at `rate` go to the ready of `pods`; what is
    /// seen of their CPU is `seen` times its mean.
    pub(crate) fn stretch(
        &mut self,
        pods: &[Group],
        (from, to): (i64, i64),
        rate: f64,
        seen: f64,
    ) -> Strained {
        let mut counts: Vec<(usize, u32)> = Vec::new();
        for group in pods.iter().filter(|g| g.ready <= from) {
            let place = self.class(self.workers(group, from), from);
            match counts.iter_mut().find(|(p, _)| *p == place) {
                Some((_, count)) => *count += group.count,
                None => counts.push((place, group.count)),
            }
        }
        let ready: u32 = counts.iter().map(|(_, n)| n).sum();
        let seconds = (to - from) as f64 / SECOND;
        let each = if ready > 0 {
            rate / f64::from(ready)
        } else {
            0.0
        };
        let mut told = Strained::default();
        if ready == 0 {
            told.violated = rate * seconds;
            told.unserved = rate * seconds;
        }
        for (place, count) in counts {
            let class = &self.classes[place];
            let came = each * f64::from(count);
            told.violated += came * class.promise.broken(came, count) * seconds;
            told.unserved +=
                larger(came - class.promise.capacity() * f64::from(count), 0.0) * seconds;
            let share = f64::from(count) / f64::from(ready);
            told.millicores += self.millicores(class, each * seen) * share;
            told.in_service += served(class, each) * class.promise.service_time() * share;
        }
        let burnt: Vec<f64> = self
            .classes
            .iter()
            .map(|c| self.millicores(c, each * seen))
            .collect();
        for (class, millicores) in self.classes.iter_mut().zip(burnt) {
            class.burnt.extend(to, millicores);
        }
        told
    }

    fn millicores(&self, class: &Class, each: f64) -> f64 {
        let of_requests = served(class, each) * self.config.cpu_per_request.seconds() * 1000.0;
        self.limited(of_requests, class.workers)
    }

    /// What a pod burns with so many loops beside something else.
    fn limited(&self, other: f64, workers: u32) -> f64 {
        let limit = f64::from(self.stress.cpu_limit_millicores);
        smaller(other + 1000.0 * f64::from(workers), limit)
    }

    /// Mean over a window of one pod of a group. Units: millicores.
    pub(crate) fn mean(&self, group: &Group, from: i64, to: i64, starting: f64) -> f64 {
        let held = self.stress.cpu.iter().filter_map(|c| held(c, group));
        let mut edges: Vec<i64> = held.flat_map(|(a, b)| [a, b]).collect();
        edges.extend([from, to, group.ready]);
        edges.retain(|at| (from..=to).contains(at));
        edges.sort_unstable();
        let mut burnt = 0.0;
        for pair in edges.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let workers = self.workers(group, a);
            let class = self.classes.iter().find(|c| c.workers == workers);
            burnt += match class.filter(|_| group.ready <= a) {
                Some(class) => class.burnt.up_to(b) - class.burnt.up_to(a),
                None => self.limited(starting, workers) * (b - a) as f64,
            };
        }
        burnt / (to - from) as f64
    }

    /// Bytes that are filled in each pod of a group at `at`.
    pub(crate) fn memory(&self, group: &Group, at: i64) -> f64 {
        let filled = self.stress.memory.iter();
        let filled =
            filled.filter(|m| group.created <= m.at.nanos() && m.holds(Span::from_nanos(at)));
        filled.map(|m| f64::from(m.mebibytes) * MIB).sum()
    }
}

/// When a pod that is there since `created` is found: at the first look after it.
fn found(begin: i64, refresh: Span, created: i64) -> i64 {
    let refresh = refresh.nanos();
    begin + ((created - begin) / refresh + 1).saturating_mul(refresh)
}

/// From when to when the loops run in the pods of a group.
fn held(cpu: &CpuStress, group: &Group) -> Option<(i64, i64)> {
    let (begin, end) = (cpu.at.nanos(), cpu.at.nanos() + cpu.length.nanos());
    let from = if group.created <= begin {
        begin
    } else {
        found(begin, cpu.refresh, group.created)
    };
    (from < end).then_some((from, end))
}

/// Requests per second that one pod serves of `each` that come to it.
fn served(class: &Class, each: f64) -> f64 {
    smaller(each, class.promise.capacity())
}

/// Loops in a pod that is there all along, the most of a stretch.
///
/// Units: nanoseconds since the run's begin.
pub(crate) fn workers_within(config: &ClusterConfig, (from, to): (i64, i64)) -> u32 {
    let within = |cpu: &&CpuStress| {
        let (begin, end) = (cpu.at.nanos(), cpu.at.nanos() + cpu.length.nanos());
        begin < to && from < end
    };
    let loops = config.stress.iter().flat_map(|s| &s.cpu).filter(within);
    loops.map(|c| c.workers).sum()
}

/// The promise of a cluster's pods with so many loops in them, under stress or not.
pub(crate) fn promise_with(config: &ClusterConfig, workers: u32) -> Promise {
    match &config.stress {
        Some(stress) => promise(config, stress, workers),
        None => Promise::new(config),
    }
}

/// The promise of pods with so many loops in them.
fn promise(config: &ClusterConfig, stress: &Stress, workers: u32) -> Promise {
    let mut slowed = config.clone();
    let threads = f64::from(config.concurrency) + f64::from(workers);
    let speed = smaller(
        f64::from(stress.cpu_limit_millicores) / 1000.0 / threads,
        1.0,
    );
    let whole = config.service.mean.seconds();
    let cpu = smaller(config.cpu_per_request.seconds(), whole);
    let nanos = (whole - cpu + cpu / speed) * SECOND;
    slowed.service.mean = Span::from_nanos(nanos.round() as i64);
    slowed.cpu_bound = false;
    Promise::new(&slowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MemoryStress, MemoryUse};

    fn config() -> ClusterConfig {
        let mut config = ClusterConfig {
            concurrency: 1,
            cpu_request_millicores: 110,
            cpu_per_request: Span::from_millis(1),
            memory_request_gib: 96.0 / 1024.0,
            memory_use: Some(MemoryUse {
                idle_gib: 10.0 / 1024.0,
                per_request_gib: 0.0,
            }),
            ..ClusterConfig::default()
        };
        config.service.mean = Span::from_millis(1);
        config.stress = Some(Stress {
            cpu_limit_millicores: 200,
            cpu: vec![CpuStress {
                at: Span::from_seconds(60),
                length: Span::from_seconds(180),
                workers: 4,
                refresh: Span::from_seconds(15),
            }],
            memory: vec![MemoryStress {
                at: Span::from_seconds(60),
                length: Span::from_seconds(180),
                mebibytes: 55,
            }],
        });
        config
    }

    fn group(created: i64, count: u32) -> Group {
        let second = 1_000_000_000;
        Group {
            created: created * second,
            ready: (created + 5) * second,
            count,
        }
    }

    fn run(strain: &mut Strain, pods: &[Group], until: i64, rate: f64) -> Strained {
        let (mut now, end) = (0, until * 1_000_000_000);
        let mut last = Strained::default();
        while now < end {
            let ready = pods.iter().map(|g| g.ready).filter(|r| *r > now).min();
            let to = end.min(strain.next(now)).min(ready.unwrap_or(end));
            last = strain.stretch(pods, (now, to), rate, 1.0);
            now = to;
        }
        last
    }

    /// Loops and one slot share 200m: five threads of 40m each, so a request of 1 ms takes 25.
    #[test]
    fn requests_get_their_fair_share_of_the_limit() {
        let config = config();
        let stress = config.stress.clone().unwrap();
        let (free, held) = (promise(&config, &stress, 0), promise(&config, &stress, 4));
        assert!((free.service_time() - 0.005).abs() < 1e-9);
        assert!((held.service_time() - 0.025).abs() < 1e-9);
        // M/M/1 at 20 of 40 requests a second: ½·exp(−20·0.2).
        assert!((held.broken(20.0, 1) - 0.5 * (-4.0_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn a_pod_burns_its_limit_and_never_more_and_a_new_one_from_the_next_look_on() {
        let mut strain = Strain::of(&config(), i64::MAX / 4).unwrap();
        let pods = [group(-5, 3), group(80, 2)];
        let told = run(&mut strain, &pods, 120, 50.0);
        let at = |s: i64| s * 1_000_000_000;
        let mean = |g: usize, from, to| strain.mean(&pods[g], at(from), at(to), 0.0);
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-6, "{got}, not {want}");
        near(told.millicores, 200.0);
        near(mean(0, 0, 30), 50.0 / 3.0);
        near(mean(0, 45, 75), (50.0 / 3.0 + 200.0) / 2.0);
        near(mean(0, 60, 90), 200.0);
        // Created at 80, found at 90: five seconds of start, five of requests, then the loops.
        near(mean(1, 80, 90), 10.0 / 2.0);
        near(mean(1, 90, 120), 200.0);
        assert_eq!(strain.next(at(119)), at(120));
        assert_eq!(strain.next(at(239)), at(240));
        assert_eq!(strain.next(at(240)), i64::MAX);
    }

    /// Requests go evenly to all pods: at 150 a second over three, stressed ones of 40 lose 10 each.
    #[test]
    fn what_a_stressed_pod_cannot_serve_is_lost_though_another_could() {
        let mut strain = Strain::of(&config(), i64::MAX / 4).unwrap();
        let pods = [group(-5, 2), group(60 - 5, 1)];
        let mut late = pods;
        late[1].created = 232 * 1_000_000_000;
        late[1].ready = late[1].created;
        // Found at 240, when the loops are over: it never has any.
        let told = run(&mut strain, &late, 235, 150.0);
        let free = promise(&config(), &config().stress.unwrap(), 0).broken(50.0, 1);
        assert!((told.unserved - 2.0 * 10.0 * 3.0).abs() < 1e-6, "{told:?}");
        assert!((told.violated - (100.0 + 50.0 * free) * 3.0).abs() < 1e-6);
    }

    #[test]
    fn memory_is_filled_in_pods_that_were_there_and_in_no_other() {
        let strain = Strain::of(&config(), 0).unwrap();
        let at = |s: i64| s * 1_000_000_000;
        let (old, new) = (group(0, 1), group(61, 1));
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1.0, "{got}");
        near(strain.memory(&old, at(60)), 55.0 * MIB);
        near(strain.memory(&old, at(239)), 55.0 * MIB);
        near(strain.memory(&old, at(240)), 0.0);
        near(strain.memory(&old, at(59)), 0.0);
        near(strain.memory(&new, at(100)), 0.0);
    }
}
