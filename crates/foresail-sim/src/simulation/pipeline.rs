//! What an autoscaler gets to see, and when.

use foresail_core::quantity::time::Span;

use super::{Pilot, PodSeen, Seen, Simulation};
use crate::cluster::Life;
use crate::config::Pipeline;
use crate::fault;
use crate::metrics::measure::{MINUTE, length_of_minute};
use crate::metrics::scrape::CpuSample;

impl Simulation<'_> {
    /// How far back a sample can lie: delay, window, two scrapes and what loss may skip.
    pub(super) fn keep(&self) -> i64 {
        let Pipeline {
            delay,
            window,
            scrape,
            ..
        } = self.pipeline;
        let faults = fault::reach(&self.config.faults);
        delay.nanos() + window.nanos() + 8 * scrape.nanos() + faults
    }

    pub(super) fn scrape(&mut self) {
        let (keep, now) = (self.keep(), self.now);
        let startup_cpu = f64::from(self.config.startup_cpu_millicores);
        let failing = fault::metrics_fail(&self.config.faults, now);
        for index in &self.alive {
            let lost = self.pipeline.loss > 0.0 && self.losses.uniform() < self.pipeline.loss;
            let pod = &mut self.pods[*index as usize];
            pod.set_serving(pod.serving, now);
            let started = pod.starting_area(now) as f64;
            let burnt = pod.served_area as f64 * self.cpu_per_request + started * startup_cpu;
            pod.cpu.record(now, burnt, lost || failing, keep);
        }
    }

    /// A point of a series as it is measured at present; `None` where the source measures nothing.
    fn measured(&self, value: f64) -> Option<f64> {
        let faults = &self.config.faults;
        if fault::metrics_fail(faults, self.now) {
            return None;
        }
        let nan = fault::measures_nan(faults, self.now);
        Some(if nan { f64::NAN } else { value })
    }

    pub(super) fn report_concurrency(&mut self) {
        self.meter.touch_system(self.now, self.in_system);
        let mean = self.meter.take_concurrency(1_000_000_000);
        let lost = self.pipeline.loss > 0.0 && self.losses.uniform() < self.pipeline.loss;
        if let Some(mean) = self.measured(mean).filter(|_| !lost) {
            self.concurrency_held.push_back((self.now, mean));
        }
    }

    pub(super) fn close_minute(&mut self) {
        self.touch_pods();
        self.meter.close_minute(self.now, self.current);
        let arrived = self.meter.requests.arrived;
        let seconds = Span::from_nanos(length_of_minute(self.now)).seconds();
        let rate = (arrived - self.arrived_before) as f64 / seconds;
        self.arrived_before = arrived;
        if let Some(rate) = self.measured(rate) {
            self.demand_held.push_back((self.now, rate));
        }
        self.clock.minute = if self.now >= self.end {
            i64::MAX
        } else {
            (self.now + MINUTE).min(self.end)
        };
    }

    pub(super) fn sync(&mut self, pilot: &mut dyn Pilot) {
        let faults = &self.config.faults;
        let failed = fault::metrics_fail(faults, self.now);
        let visible = fault::visible(faults, self.now, self.pipeline.delay.nanos());
        // Concurrency comes without the delay, so only a fault holds it back.
        let reported = fault::visible(faults, self.now, 0);
        if !failed {
            self.show(visible, reported);
        }
        self.look_at_pods(visible, failed);
        self.touch_pods();
        let interval = self.meter.take_interval();
        let seen = Seen {
            now: self.at(self.now),
            current: self.current,
            size: self.resized.then_some(self.size),
            largest: self.largest(),
            pods: &self.seen,
            failed,
            concurrency: &self.concurrency,
            demand: &self.demand,
            interval,
        };
        let wanted = pilot.sync(&seen);
        self.demand.clear();
        self.concurrency.clear();
        if let Some(wanted) = wanted {
            if !wanted.per_pod.is_empty() {
                self.resize(&wanted.per_pod);
            }
            if let Some(replicas) = wanted.replicas {
                self.scale(replicas.get());
            }
        }
    }

    /// Moves what can be seen by now out of what is held back.
    fn show(&mut self, visible: i64, reported: i64) {
        while let Some((at, rate)) = self.demand_held.front().copied()
            && at <= visible
        {
            self.demand_held.pop_front();
            self.demand.push((self.at(at), rate));
        }
        while let Some((at, mean)) = self.concurrency_held.front().copied()
            && at <= reported
        {
            self.concurrency_held.pop_front();
            self.concurrency.push((self.at(at), mean));
        }
    }

    fn look_at_pods(&mut self, visible: i64, failed: bool) {
        self.seen.clear();
        let window = self.pipeline.window.nanos();
        let start = self.start;
        let at = |nanos: i64| start + Span::from_nanos(nanos);
        for index in &self.alive {
            let pod = &self.pods[*index as usize];
            let sample = pod
                .cpu
                .sample(visible, window)
                .filter(|(end, ..)| !failed && !fault::measures_nan(&self.config.faults, *end));
            self.seen.push(PodSeen {
                created_at: at(pod.created),
                started_at: (pod.placed <= self.now).then(|| at(pod.placed)),
                ready: pod.ready <= self.now,
                ready_changed_at: at(pod.changed),
                deleting: pod.life == Life::Draining,
                size: pod.size,
                cpu: sample.map(|(end, millicores, span)| CpuSample {
                    millicores: millicores.round() as i64,
                    at: at(end),
                    window: Span::from_nanos(span),
                }),
            });
        }
    }
}
