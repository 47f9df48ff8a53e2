//! The simulator on what the twins got: the same arrivals, start-up, sync and metrics pipeline.

use std::collections::BTreeMap;

use foresail_core::hpa::ControllerSettings;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::driver::{Deaf, EnginePilot};
use foresail_sim::experiment::policy::{Setup, hpa};
use foresail_sim::simulation::{self, Pilot, Seen as SeenBySimulator};
use foresail_sim::workload::{Within, Workload};

use super::curve::Curve;
use super::twins::{BEFORE, REQUEST_MILLI, REQUEST_MS, SYNC_SECONDS, Seen, TARGET_PERCENT};

/// What metrics-server of the rig does: a sample every 10 s over as long.
const SCRAPE: Span = Span::from_seconds(10);

/// From the end of a sample to the API's showing it: a scrape's own time.
const DELAY: Span = Span::from_seconds(1);

/// An engine, and what it asked for.
struct Recorded {
    pilot: EnginePilot<Deaf>,
    /// From the begin of the simulation to that of the course.
    before: f64,
    asked: Vec<(f64, f64)>,
}

impl Pilot for Recorded {
    fn sync(&mut self, seen: &SeenBySimulator<'_>) -> Option<Setting> {
        let wanted = self.pilot.sync(seen);
        let replicas = wanted.as_ref().and_then(|w| w.replicas);
        let asked = replicas.map_or(seen.current, |r| r.get());
        let at = (seen.now - Timestamp::EPOCH).seconds() - self.before;
        self.asked.push((at, f64::from(asked)));
        wanted
    }
}

fn constant(mean: Span) -> Times {
    Times {
        mean,
        shape: Shape::Constant,
    }
}

/// Whole requests of each half second; what is left over goes to the next.
fn counts(demand: &[f64]) -> Vec<u32> {
    let (mut due, mut sent) = (0.0, 0.0);
    let whole = |rate: &f64| {
        due += rate / 2.0;
        let now = f64::floor(due - sent);
        sent += now;
        now as u32
    };
    let halves = demand.iter().flat_map(|rate| [rate, rate]);
    halves.map(whole).collect()
}

fn setup(seen: &Seen) -> Setup {
    // A pod at its limit works at twice its request.
    let service = Span::from_millis(i64::from(REQUEST_MS * 1000 / (2 * REQUEST_MILLI)));
    Setup {
        cluster: ClusterConfig {
            service: constant(service),
            concurrency: 1,
            timeout: Some(Span::from_seconds(30)),
            cpu_request_millicores: REQUEST_MILLI,
            cpu_per_request: Span::from_millis(i64::from(REQUEST_MS)),
            startup: constant(Span::from_millis((seen.startup * 1000.0) as i64)),
            initial: seen.initial,
            ..ClusterConfig::default()
        },
        pipeline: Pipeline {
            sync: Span::from_seconds(SYNC_SECONDS as i64),
            scrape: SCRAPE,
            window: SCRAPE,
            delay: DELAY,
            ..Pipeline::default()
        },
        min: seen.bounds.0,
        max: seen.bounds.1,
        hpa_target_percent: TARGET_PERCENT,
        schedule: Vec::new(),
        target: TargetId::new("beside/Deployment/simulated"),
        aapa: BTreeMap::new(),
        resources: BTreeMap::new(),
        own: None,
    }
}

/// Replicas that the exact HPA asks for in the simulator.
pub fn replicas(seen: &Seen) -> Curve {
    let setup = setup(seen);
    let window = i32::try_from(seen.down_window_seconds).unwrap();
    let mut policy = hpa(&setup, TARGET_PERCENT, Some(window), seen.initial);
    policy.spec.controller = ControllerSettings {
        cpu_initialization_period: Span::from_seconds(5),
        initial_readiness_delay: Span::from_seconds(1),
        ..ControllerSettings::default()
    };
    let engine = engine_of(policy.spec.clone(), Seed(0)).unwrap();
    // It samples at its begin and each period after it: that has to fall on the cluster's samples,
    // whose times are cut to whole seconds, half a second on average.
    let late = (seen.sampled_at + 0.5).rem_euclid(SCRAPE.seconds());
    let before = BEFORE - late;
    let mut recorded = Recorded {
        before,
        pilot: EnginePilot::new(engine, policy.reads_cpu, Deaf),
        asked: Vec::new(),
    };
    let workload = Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_millis(500),
        counts: counts(&seen.demand).split_off((2.0 * late) as usize),
        within: Within::Uniform,
    };
    let (cluster, pipeline) = (&setup.cluster, &policy.pipeline);
    simulation::run(cluster, pipeline, &workload, Seed(0), &mut recorded).unwrap();
    Curve::stepped(&recorded.asked, seen.demand.len() as f64 - BEFORE)
}
