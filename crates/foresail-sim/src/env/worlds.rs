//! Workloads times applications, as many as are asked for, all from one seed.

use std::collections::BTreeMap;

use foresail_core::propose::archetype::Archetype;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Unit, larger, smaller};
use foresail_core::spec::ResourceSpec;
use foresail_core::value::cost::Price;
use foresail_core::value::slo::{Measure, Slo};
use foresail_models::rng::Seed;

use crate::cluster::GIB;
use crate::config::{ClusterConfig, MemoryUse, Pipeline, Shape, Times};
use crate::experiment::{Item, Setup};
use crate::rng::Stream;
use crate::workload::Workload;
use crate::workload::archetype::Functions;

/// A range of what is drawn.
type Range = (f64, f64);

/// Seconds of service, as a power of ten: 20 to 300 ms.
const SERVICE: Range = (-1.7, -0.5);
/// Requests that a pod takes at once.
const CONCURRENCY: Range = (4.0, 33.0);
/// CPU time over service time.
const CPU_SHARE: Range = (0.3, 1.0);
/// GiB of an idle pod.
const IDLE: Range = (0.08, 0.5);
/// MiB of a request in service.
const PER_REQUEST: Range = (1.0, 12.0);
/// Seconds of start-up.
const STARTUP: Range = (10.0, 90.0);
/// CPU asked for at first, in quarters of a core: half a core to two.
const QUARTERS: Range = (2.0, 9.0);
/// How many times the memory of a pod at full concurrency is asked for at first: users ask for
/// too much.
const TOO_MUCH: Range = (1.5, 4.0);
/// Replicas that the mean demand keeps busy at the HPA's target, at the first size.
const REPLICAS: Range = (2.0, 10.0);
/// Utilization that the HPA aims at, in percent.
const HPA_TARGET_PERCENT: u32 = 70;
/// A core and a GiB by the hour, so that a pod of one core and 2 GiB costs what [`Price::default`]
/// asks for a replica: of a price by the replica alone a policy that sizes pods would save nothing.
const PRICE: Price = Price {
    replica_hour: 0.0,
    cpu_core_hour: 0.032,
    memory_gib_hour: 0.004,
};
/// The most replicas over those that the mean demand keeps busy.
const MOST: f64 = 20.0;

/// One workload on one application.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// What comes and what it runs on.
    pub item: Item,
    /// The archetype of its demand, where it was made as one.
    pub archetype: Option<Archetype>,
}

impl World {
    /// The `number`-th stretch of so many minutes, the demand beginning anew at its end; of demand that
    /// is no counts per minute the whole.
    ///
    /// A flight over one stretch begins afresh, so that a training can go on from the end of any.
    #[must_use]
    pub fn stretch(&self, number: usize, minutes: usize) -> Item {
        let mut item = self.item.clone();
        if let Workload::Counts { step, counts, .. } = &mut item.workload
            && !counts.is_empty()
        {
            let bins = (minutes as i64 * 60_000_000_000 / step.nanos().max(1)).max(1) as usize;
            let from = number * bins;
            let of = |i: usize| counts[(from + i) % counts.len()];
            *counts = (0..bins).map(of).collect();
        }
        item
    }
}

/// Makes worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worlds {
    /// Days of demand in each.
    pub days: u32,
    /// The source of chance; the same gives the same worlds.
    pub seed: Seed,
}

impl Worlds {
    /// The `index`-th world: archetypes of demand in turn, an application of its own.
    #[must_use]
    pub fn generated(&self, index: usize) -> World {
        let classes = Archetype::CLASSES;
        let archetype = classes[index % classes.len()];
        let functions = Functions {
            per_class: 1,
            days: self.days,
        };
        let function = functions.function(archetype, index / classes.len(), self.seed);
        World {
            item: self.item(&function.id, function.workload, index),
            archetype: Some(archetype),
        }
    }

    /// A workload of the user on the `index`-th application, its demand scaled to what that is for.
    #[must_use]
    pub fn of_workload(&self, id: &str, workload: Workload, index: usize) -> World {
        World {
            item: self.item(id, workload, index),
            archetype: None,
        }
    }

    fn item(&self, id: &str, workload: Workload, index: usize) -> Item {
        let stream = &mut Stream::of(self.seed, &format!("world/application/{index}"));
        let cluster = cluster(stream);
        let busy = draw(REPLICAS, stream);
        let most = (busy * MOST).ceil() as u32;
        let setup = Setup {
            resources: bounds(&cluster),
            pipeline: Pipeline {
                kept: true,
                ..Pipeline::default()
            },
            min: 1,
            max: most,
            hpa_target_percent: HPA_TARGET_PERCENT,
            schedule: Vec::new(),
            target: TargetId::new(id),
            aapa: BTreeMap::new(),
            own: None,
            cluster,
        };
        let wanted = busy * setup.capacity();
        Item {
            id: id.to_owned(),
            workload: scaled(workload, wanted),
            setup,
        }
    }
}

fn draw((least, most): Range, stream: &mut Stream) -> f64 {
    least + (most - least) * stream.uniform()
}

/// An application: cheap to serve or dear, slow to start or fast, with too much asked for.
fn cluster(stream: &mut Stream) -> ClusterConfig {
    let service = 10_f64.powf(draw(SERVICE, stream));
    let span = |seconds: f64| Span::from_seconds_f64(seconds).unwrap_or(Span::from_seconds(1));
    let concurrency = draw(CONCURRENCY, stream).floor();
    let memory_use = MemoryUse {
        idle_gib: draw(IDLE, stream),
        per_request_gib: draw(PER_REQUEST, stream) / 1024.0,
    };
    let full = memory_use.idle_gib + memory_use.per_request_gib * concurrency;
    let quarters = draw(QUARTERS, stream).floor();
    let cpu_share = draw(CPU_SHARE, stream);
    ClusterConfig {
        service: Times {
            mean: span(service),
            shape: Shape::Lognormal(0.5),
        },
        concurrency: concurrency as u32,
        cpu_request_millicores: (quarters * 250.0) as u32,
        cpu_per_request: span(service * cpu_share),
        cpu_bound: true,
        memory_request_gib: (full * draw(TOO_MUCH, stream) * 16.0).ceil() / 16.0,
        memory_use: Some(memory_use),
        startup: Times {
            mean: span(draw(STARTUP, stream).round()),
            shape: Shape::Constant,
        },
        timeout: Some(Span::from_seconds(30)),
        slo: Slo {
            measure: Measure::Wait,
            below: Span::from_millis(200),
            share: 0.99,
        },
        price: PRICE,
        ..ClusterConfig::default()
    }
}

/// What may be asked for: an eighth of a core to twice the first size, an eighth of the first memory
/// to the whole and a half, in steps of a sixteenth of the first size.
fn bounds(cluster: &ClusterConfig) -> BTreeMap<String, ResourceSpec> {
    let cpu = i64::from(cluster.cpu_request_millicores);
    let cores = |milli: i64| Quantity::from_milli(milli, Unit::Count);
    let memory = cluster.memory_request_gib * GIB;
    let bytes = |bytes: f64| Quantity::from_milli((bytes as i64).saturating_mul(1000), Unit::Bytes);
    BTreeMap::from([
        (
            "cpu".to_owned(),
            ResourceSpec {
                min: cores(125),
                max: cores(cpu * 2),
                step: cores((cpu / 16).max(1)),
            },
        ),
        (
            "memory".to_owned(),
            ResourceSpec {
                min: bytes(memory / 8.0),
                max: bytes(memory * 1.5),
                step: bytes(memory / 16.0),
            },
        ),
    ])
}

/// The same demand with this mean, in requests per second.
fn scaled(workload: Workload, mean_rate: f64) -> Workload {
    let seconds = workload.length().seconds();
    let expected = workload.expected();
    if expected <= 0.0 || seconds <= 0.0 {
        return workload;
    }
    let factor = mean_rate * seconds / expected;
    match workload {
        Workload::Counts {
            start,
            step,
            counts,
            within,
        } => {
            let most = f64::from(u32::MAX);
            let one = |n: u32| smaller(larger((f64::from(n) * factor).round(), 0.0), most) as u32;
            Workload::Counts {
                start,
                step,
                counts: counts.into_iter().map(one).collect(),
                within,
            }
        }
        Workload::Rates { start, parts } => {
            let one = |(span, from, to): (Span, f64, f64)| (span, from * factor, to * factor);
            Workload::Rates {
                start,
                parts: parts.into_iter().map(one).collect(),
            }
        }
        other => other,
    }
}
