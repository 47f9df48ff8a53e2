//! The world of the rehearsal: pods, metrics pipeline, times.
//!
//! Numbers of the workload and of its HPA are those of `webapp.rs`; where nothing is published, the
//! assumption stands at the constant.

use anyhow::{Context, Result, ensure};
use foresail_adapters::load::arrivals::Shape;
use foresail_core::hpa::ControllerSettings;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::value::slo::{Measure, Slo};
use foresail_sim::config::{ClusterConfig, MemoryUse, Pipeline, Stress};
use foresail_sim::workload::Workload;

use super::rules::{Options, Rules};
use super::schedule::Schedule;
use super::webapp::WEBAPP;

/// CPU that a pod asks for, nginx 100m and its exporter 10m.
pub const CPU_REQUEST: u32 = WEBAPP.requests().cpu_millicores;

/// Memory that a pod asks for in MiB, nginx 64 and its exporter 32.
pub const MEMORY_REQUEST: u32 = WEBAPP.requests().memory_mebibytes;

/// What the published collector reads: the requests of nginx alone.
pub const NGINX_REQUESTS: (f64, f64) = (
    WEBAPP.server.requests.cpu_millicores as f64,
    WEBAPP.server.requests.memory_mebibytes as f64,
);

/// CPU limit of nginx. The exporter has 50m of its own, which no stress and no request gets.
pub const CPU_LIMIT: u32 = WEBAPP.server.limits.cpu_millicores;

/// Time until a new pod is ready: the delay of its readiness probe.
pub const STARTUP: Span = Span::from_seconds(WEBAPP.readiness.delay_seconds as i64);

/// Time between two samples, as the ServiceMonitor has it.
const SCRAPE: Span = Span::from_seconds(WEBAPP.scrape_seconds as i64);

/// Time from a sample to its being seen. Assumed: a scrape and its way into the store.
const DELAY: Span = Span::from_seconds(5);

/// What one request is promised. Assumed: the load generator gives up after 5 s, users earlier.
pub const SLO: Slo = Slo {
    measure: Measure::Latency,
    below: Span::from_millis(500),
    share: 0.99,
};

/// Begin of the run of seed 0: 2026-01-05T00:00:00Z, a Monday.
const START_SECONDS: i64 = 1_767_571_200;

/// Seeds that have a start of their own, one hour apart.
const STARTS: u64 = 87_600;

/// The schedule comes at every full hour of the past, or as many of them apart as it is long.
const AGAIN: Span = Span::from_seconds(3600);

/// The longest past.
pub const PAST_MAX: Span = Span::from_seconds(14 * 86_400);

/// The longest run.
const LENGTH_MAX: Span = Span::from_seconds(7 * 86_400);

/// Everything that a run happens in; the same for every mode.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// What every mode goes by.
    pub rules: Rules,
    /// What comes, and what pods are put under.
    pub schedule: Schedule,
    /// Pods.
    pub cluster: ClusterConfig,
    /// Metrics.
    pub pipeline: Pipeline,
    /// Length of the run.
    pub length: Span,
    /// For how long the schedule has come before, for whoever forecasts; zero = it is new.
    pub past: Span,
}

impl World {
    /// The world of some options under a schedule.
    ///
    /// # Errors
    /// Where an option is out of its range, with the mend.
    pub fn new(
        options: Options,
        controller: ControllerSettings,
        schedule: Schedule,
        past: Span,
    ) -> Result<Self> {
        let rules = Rules::new(options, controller)?;
        let options = &rules.options;
        let length = match options.length {
            Span::ZERO => schedule.length(),
            given => given,
        };
        ensure!(
            length <= LENGTH_MAX,
            "a run of {length} is longer than a week: shorten --duration or the schedule"
        );
        ensure!(
            length >= options.interval && length > STARTUP,
            "a run of {length} is too short for --interval {}: lengthen --duration or the schedule",
            options.interval.whole_seconds()
        );
        ensure!(
            !past.is_negative() && past <= PAST_MAX,
            "--past {past}: must be 0 to {PAST_MAX}"
        );
        let mebibytes = |mib: f64| mib / 1024.0;
        let cpu = Span::from_seconds_f64(schedule.cpu_per_request_millis / 1000.0)
            .context("cpuPerRequestMillis is no span")?;
        let mut cluster = ClusterConfig {
            concurrency: 1,
            cpu_request_millicores: CPU_REQUEST,
            cpu_per_request: cpu,
            memory_request_gib: mebibytes(f64::from(MEMORY_REQUEST)),
            memory_use: Some(MemoryUse {
                idle_gib: mebibytes(schedule.idle_mebibytes),
                per_request_gib: 0.0,
            }),
            initial: schedule.replicas.clamp(options.min, options.max),
            slo: SLO,
            stress: Some(Stress {
                cpu_limit_millicores: CPU_LIMIT,
                cpu: schedule.cpu.clone(),
                memory: schedule.memory.clone(),
            }),
            ..ClusterConfig::default()
        };
        cluster.service.mean = cpu;
        cluster.startup.mean = STARTUP;
        let pipeline = Pipeline {
            sync: rules.sync,
            scrape: SCRAPE,
            window: SCRAPE,
            delay: DELAY,
            ..Pipeline::default()
        };
        cluster.check(length)?;
        pipeline.check()?;
        Ok(Self {
            rules,
            schedule,
            cluster,
            pipeline,
            length,
            past,
        })
    }

    /// When the run of a seed begins: each has an hour of its own, so that files of several seeds lie
    /// side by side.
    #[must_use]
    pub fn start(seed: u64) -> Timestamp {
        let hours = i64::try_from(seed % STARTS).unwrap_or(0);
        Timestamp::from_seconds(START_SECONDS + 3600 * hours)
    }

    /// Demand before the run, a point a minute: the schedule once an hour, its last rate between.
    ///
    /// # Errors
    /// Where the schedule's load is no shape.
    pub fn minutes_before(&self, seed: u64) -> Result<Vec<(Timestamp, f64)>> {
        let (start, minutes) = (Self::start(seed), self.past.whole_seconds() / 60);
        if minutes == 0 {
            return Ok(Vec::new());
        }
        let hours = (self.schedule.length().whole_seconds() - 1) / AGAIN.whole_seconds() + 1;
        let again = Span::from_seconds(AGAIN.whole_seconds() * hours);
        let shape = Shape::new(&self.schedule.parts(again)).context("the schedule's load")?;
        let rate = |before: i64| {
            let begin = Span::from_seconds(-60 * before).nanos();
            let within = Span::from_nanos(begin.rem_euclid(again.nanos())).seconds();
            (shape.due_until(within + 60.0) - shape.due_until(within)) / 60.0
        };
        let point = |before: i64| (start - Span::from_seconds(60 * (before - 1)), rate(before));
        Ok((1..=minutes).rev().map(point).collect())
    }

    /// What comes, from that start on.
    #[must_use]
    pub fn workload(&self, seed: u64) -> Workload {
        Workload::Rates {
            start: Self::start(seed),
            parts: self.schedule.parts(self.length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Schedule;
    use super::*;

    /// By hand: seven minutes of which the second is a ramp from 20 to 120, and 20 until the hour is over.
    #[test]
    fn the_past_is_the_schedule_at_every_full_hour() {
        let text = r#"{"load": [{"forSeconds": 60, "from": 20}, {"forSeconds": 60, "from": 20, "to": 120},
            {"forSeconds": 120, "from": 120}, {"forSeconds": 180, "from": 20}]}"#;
        let schedule: Schedule = serde_json::from_str(text).unwrap();
        let options = Options {
            interval: Span::from_seconds(30),
            length: Span::ZERO,
            deployment: "web".to_owned(),
            min: 1,
            max: 10,
            cpu_target: 60,
            memory_target: 80,
            history: Span::from_seconds(900),
            capacity: None,
        };
        let past = Span::from_seconds(2 * 3600);
        let world = World::new(options, ControllerSettings::default(), schedule, past).unwrap();
        let minutes = world.minutes_before(3).unwrap();
        assert_eq!(minutes.len(), 120);
        assert_eq!(
            minutes[119].0,
            World::start(3),
            "the last ends where the run begins"
        );
        let near = |place: usize, rate: f64| {
            assert!(
                (minutes[place].1 - rate).abs() < 1e-9,
                "{place}: {:?}",
                minutes[place]
            );
        };
        for hour in [0, 60] {
            for (minute, rate) in [
                (0, 20.0),
                (1, 70.0),
                (2, 120.0),
                (3, 120.0),
                (4, 20.0),
                (59, 20.0),
            ] {
                near(hour + minute, rate);
            }
        }
    }
}
