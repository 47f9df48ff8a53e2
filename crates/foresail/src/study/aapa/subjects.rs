//! What is scaled: functions of known archetype, or those of a trace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use foresail_adapters::io::{ReadOptions, busiest};
use foresail_core::propose::archetype::Archetype;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_core::value::slo::{Measure, Slo};
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::experiment::{Item, Setup};
use foresail_sim::function::Function;
use foresail_sim::service::times_of;
use foresail_sim::workload::archetype::Functions;
use serde_json::Value;

use crate::compare::trace::{minutes, open};

/// CPU target of the plain HPA.
/// Source: AAPA, section IV (HPA at 70 %, five minutes of stabilization).
const HPA_TARGET_PERCENT: u32 = 70;

/// The most replicas. Source: the same.
const REPLICAS_MAX: u32 = 100;

/// Run time of a call of a trace that does not tell it. Source: the same simulator's pods.
const RUN_TIME: Span = Span::from_millis(100);

/// The fewest calls of a function of a trace. Source: AAPA, section IV (1,000 in 14 days).
const CALLS_MIN: f64 = 1000.0;

/// One function under one seed.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Its class where it was made so; `None` in a trace.
    pub(super) truth: Option<Archetype>,
    /// The seed that made it and its run.
    pub(super) seed: Seed,
    /// Its mean run time.
    pub(super) run_time: Span,
    /// What comes, and what it runs on.
    pub(super) item: Item,
    /// The same for function mode.
    pub(super) function: Function,
}

/// How every subject is served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// Start-up of a pod.
    pub(super) startup: Span,
    /// Knobs of `aapa`.
    pub(super) knobs: BTreeMap<String, Value>,
}

/// A request breaks the promise where it waits longer.
///
/// Its run time is its own and no policy can shorten it, so that it is not counted.
/// Source: AAPA, section IV (500 ms).
pub(super) const SLO: Slo = Slo {
    measure: Measure::Wait,
    below: Span::from_millis(500),
    share: 0.99,
};

impl Subject {
    /// A function as it is run: one request at once on a pod of one core.
    pub(super) fn new(
        function: Function,
        truth: Option<Archetype>,
        seed: Seed,
        served: &Served,
    ) -> Self {
        let run_time = function.service.mean;
        let cluster = ClusterConfig {
            service: function.service,
            concurrency: 1,
            cpu_per_request: run_time,
            memory_request_gib: 0.25,
            startup: Times {
                mean: served.startup,
                shape: Shape::Constant,
            },
            slo: SLO,
            ..ClusterConfig::default()
        };
        let setup = Setup {
            resources: BTreeMap::new(),
            cluster,
            pipeline: Pipeline::default(),
            min: 1,
            max: REPLICAS_MAX,
            hpa_target_percent: HPA_TARGET_PERCENT,
            schedule: Vec::new(),
            target: TargetId::new(&function.id),
            aapa: served.knobs.clone(),
            own: None,
        };
        Self {
            truth,
            seed,
            run_time,
            item: Item {
                id: function.id.clone(),
                workload: function.workload.clone(),
                setup,
            },
            function,
        }
    }

    /// The same where no verdict counts for surer than this, from 0 to 1.
    pub(super) fn surely(mut self, confidence: f64) -> Self {
        let percent = Value::from(confidence * 100.0);
        let knobs = &mut self.item.setup.aapa;
        knobs.insert("confidencePercentMax".to_owned(), percent);
        self
    }
}

/// Generated functions: under each seed others, `per_class` of each archetype.
pub(super) fn generated(seeds: &[Seed], functions: Functions, served: &Served) -> Vec<Subject> {
    let of = |seed: &Seed| {
        let made = functions.functions(*seed);
        made.into_iter()
            .map(|(a, f)| Subject::new(f, Some(a), *seed, served))
            .collect::<Vec<_>>()
    };
    seeds.iter().flat_map(of).collect()
}

/// The busiest functions of a trace, each under the first seed; a gap holds the minute before it,
/// the first ones the first to come.
///
/// # Errors
/// Where it cannot be read, has other steps than minutes, or has no function with enough calls.
pub(super) fn of_trace(
    path: &Path,
    count: usize,
    seed: Seed,
    served: &Served,
) -> Result<Vec<Subject>> {
    let name = path.display();
    let mut items = open(path, None, &ReadOptions::default())?;
    let (mut found, _) = busiest(items.as_mut(), count)?;
    found.retain(|item| item.total() >= CALLS_MIN);
    if found.is_empty() {
        bail!(
            "{name}: no function has {CALLS_MIN} calls; give a longer trace, or leave --trace out"
        );
    }
    let subject = |item: TraceItem| -> Result<Subject> {
        let workload = minutes(&item, path, seed)?;
        let recorded = item.durations.as_ref().and_then(times_of);
        let function = Function {
            workload,
            id: item.id,
            service: recorded.unwrap_or(Times {
                mean: RUN_TIME,
                shape: Shape::Exponential,
            }),
            memory: 256 << 20,
        };
        Ok(Subject::new(function, None, seed, served))
    };
    found.into_iter().map(subject).collect()
}
