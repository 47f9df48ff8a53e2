//! The world of the experiment: pods, HPA, metrics pipeline, times.
//!
//! Numbers of the workload and of its HPA are those of `webapp.rs`; where nothing is published, the
//! assumption stands at the constant.

use anyhow::{Context, Result, ensure};
use foresail_core::hpa::HpaSpec;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{CombineRule, CombineSpec, Floor, Mode as Allowed, ProposerSpec, Spec};
use foresail_sim::config::{ClusterConfig, MemoryUse, Pipeline, Stress};
use foresail_sim::workload::Workload;

use super::Mode;
use super::schedule::Schedule;
use super::webapp::{Hpa, WEBAPP};

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

/// The HPA controller's own interval.
const SYNC_SECONDS_MAX: i64 = 15;

/// What one request is promised. Assumed: the load generator gives up after 5 s, users earlier.
const SLO: &str = "latency<500ms:99%";

/// Begin of the run of seed 0: 2026-01-05T00:00:00Z, a Monday.
const START_SECONDS: i64 = 1_767_571_200;

/// Seeds that have a start of their own, one hour apart.
const STARTS: u64 = 87_600;

/// The longest run.
const LENGTH_MAX: Span = Span::from_seconds(7 * 86_400);

/// The options of the experiment that the world depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Time between two rows.
    pub interval: Span,
    /// Length of the run; zero = that of the schedule.
    pub length: Span,
    /// The workload's name.
    pub deployment: String,
    /// The fewest replicas.
    pub min: u32,
    /// The most replicas.
    pub max: u32,
    /// CPU that is aimed at, in percent of the request.
    pub cpu_target: u32,
    /// Memory that is aimed at, in percent of the request.
    pub memory_target: u32,
    /// What an adviser is shown of the past.
    pub history: Span,
}

/// Everything that a run happens in; the same for every mode.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// What it was made of.
    pub options: Options,
    /// What comes, and what pods are put under.
    pub schedule: Schedule,
    /// Pods.
    pub cluster: ClusterConfig,
    /// Metrics.
    pub pipeline: Pipeline,
    /// Length of the run.
    pub length: Span,
    /// Turns of the loop from one row to the next.
    pub turns: usize,
}

impl World {
    /// The world of some options under a schedule.
    ///
    /// # Errors
    /// Where an option is out of its range, with the mend.
    pub fn new(options: Options, schedule: Schedule) -> Result<Self> {
        check(&options)?;
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
        let seconds = options.interval.whole_seconds();
        let turns = (seconds + SYNC_SECONDS_MAX - 1) / SYNC_SECONDS_MAX;
        let sync = Span::from_nanos(options.interval.nanos() / turns);
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
            slo: SLO.parse().context("the promise")?,
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
            sync,
            scrape: SCRAPE,
            window: SCRAPE,
            delay: DELAY,
            ..Pipeline::default()
        };
        cluster.check(length)?;
        pipeline.check()?;
        Ok(Self {
            options,
            schedule,
            cluster,
            pipeline,
            length,
            turns: usize::try_from(turns).unwrap_or(1),
        })
    }

    /// When the run of a seed begins: each has an hour of its own, so that files of several seeds lie
    /// side by side.
    #[must_use]
    pub fn start(seed: u64) -> Timestamp {
        let hours = i64::try_from(seed % STARTS).unwrap_or(0);
        Timestamp::from_seconds(START_SECONDS + 3600 * hours)
    }

    /// What comes, from that start on.
    #[must_use]
    pub fn workload(&self, seed: u64) -> Workload {
        Workload::Rates {
            start: Self::start(seed),
            parts: self.schedule.parts(self.length),
        }
    }

    /// The HPA object, as hpa.yaml has it.
    #[must_use]
    pub fn hpa(&self) -> HpaSpec {
        Hpa {
            min: self.options.min,
            max: self.options.max,
            cpu_percent: self.options.cpu_target,
            memory_percent: self.options.memory_target,
        }
        .spec()
    }

    /// What the engine is told in a mode.
    ///
    /// The adviser's wish is taken before the HPA's, which stands behind it: without advice the HPA
    /// decides alone. `gated` withholds changes until enough of them were right.
    #[must_use]
    pub fn spec(&self, mode: Mode, gated: bool) -> Spec {
        let mut spec = Spec::of_hpa(self.target(), self.hpa());
        spec.interval = self.pipeline.sync;
        spec.targets[0].startup = Some(STARTUP);
        if mode == Mode::HpaOnly {
            return spec;
        }
        let mut adviser = ProposerSpec::named("llm");
        let untrusted = if gated { "shadow" } else { "act" };
        adviser
            .knobs
            .insert("untrusted".to_owned(), untrusted.into());
        spec.proposers = vec![adviser, ProposerSpec::named("hpa")];
        spec.combine = CombineSpec {
            rule: CombineRule::First,
            // The published adviser may go below the HPA; half of it always stays.
            floor: Floor::Relaxed {
                min_share_percent: 50,
            },
            ..CombineSpec::default()
        };
        if mode == Mode::Comparison {
            spec.mode = Allowed::Shadow;
        }
        spec
    }

    /// What an HPA alone would be told that writes nothing.
    #[must_use]
    pub fn beside(&self) -> Spec {
        let mut spec = self.spec(Mode::HpaOnly, false);
        spec.mode = Allowed::Shadow;
        spec
    }

    /// The workload's name in the engine.
    #[must_use]
    pub fn target(&self) -> TargetId {
        TargetId::new(&self.options.deployment)
    }
}

fn check(options: &Options) -> Result<()> {
    let Options {
        interval,
        length,
        min,
        max,
        cpu_target,
        memory_target,
        history,
        ..
    } = options;
    ensure!(
        *interval >= Span::from_seconds(1) && *interval <= Span::from_seconds(3600),
        "--interval {}: must be 1 to 3600 seconds",
        interval.whole_seconds()
    );
    ensure!(
        !length.is_negative(),
        "--duration: must be 0 (the length of the schedule) or more minutes"
    );
    ensure!(*min >= 1, "--min-replicas 0: must be 1 or more");
    ensure!(
        min <= max,
        "--min-replicas {min} is above --max-replicas {max}: lower it, or raise the other"
    );
    ensure!(*max <= 1000, "--max-replicas {max}: must be 1000 or less");
    for (name, value) in [("cpu", cpu_target), ("memory", memory_target)] {
        ensure!(
            (1..=1000).contains(value),
            "--{name}-target {value}: must be 1 to 1000 percent"
        );
    }
    ensure!(
        *history >= Span::from_seconds(60),
        "--history-minutes: must be 1 or more"
    );
    Ok(())
}
