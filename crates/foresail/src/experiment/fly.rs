//! One run: the model step by step, its engines, the adviser, and a row for each interval.

use std::time::Duration;

use anyhow::Result;
use foresail_adapters::llm::Ask;
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use foresail_sim::fluid::{Fluid, FluidMeasures, GroupSeen, Model, SeenFluid};

use super::Mode;
use super::interval::{Intervals, Looked, Means, Open};
use super::oracle::Oracle;
use super::pilots::{Before, Pilots};
use super::row::Row;
use super::told::{End, Flown, Told};
use super::world::{CPU_REQUEST, MEMORY_REQUEST, NGINX_REQUESTS, World};

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// What one run is.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// In which world.
    pub world: &'a World,
    /// Who governs.
    pub mode: Mode,
    /// The only source of chance.
    pub seed: u64,
    /// Changes are withheld until enough of them were right.
    pub gated: bool,
    /// The simulator's columns are those of the published simulator.
    pub naive: bool,
    /// How long an answer takes, whatever it really took.
    pub latency: Option<Span>,
    /// `true` once the run shall end with the row at hand.
    pub stop: fn() -> bool,
}

/// Takes in the rows of a run as they come.
pub type Sink<'a> = dyn FnMut(&Row, &Told) -> Result<()> + 'a;

fn means(groups: &[GroupSeen]) -> Means {
    let mean = |of: fn(&GroupSeen) -> Option<i64>| {
        let known = groups.iter().filter_map(|g| Some((of(g)?, g.count)));
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), (value, n)| {
            (sum + value as f64 * f64::from(n), count + f64::from(n))
        });
        (count > 0.0).then(|| sum / count)
    };
    let count = |ready: bool| {
        let counted = groups.iter().filter(|g| g.ready || !ready);
        counted.map(|g| g.count).sum()
    };
    Means {
        cpu: mean(|g| g.cpu.map(|c| c.millicores)),
        // Memory is shown with the CPU sample that it belongs to.
        memory: mean(|g| g.cpu.and(g.memory)).map(|bytes| bytes / MIB),
        pods: count(false),
        ready: count(true),
    }
}

/// What is remembered between rows.
struct Flight<'a, 'b> {
    run: &'a Run<'a>,
    ask: &'b mut dyn Ask,
    pilots: Pilots,
    intervals: Intervals,
}

/// Runs one mode; each row goes to `sink` when its interval is over. It ends early, without what the
/// whole came to, where it is told to stop.
///
/// # Errors
/// Where the world or a spec is not valid, or the sink fails.
pub fn fly(run: &Run<'_>, ask: &mut dyn Ask, sink: &mut Sink<'_>) -> Result<Flown> {
    let world = run.world;
    let rules = &world.rules;
    let seed = Seed(run.seed);
    let workload = world.workload(run.seed);
    let mut oracle = Oracle::new(world)?;
    let before = before(run, &oracle)?;
    let mut cluster = world.cluster.clone();
    // Who knows the future knows with how many it is best to begin.
    cluster.initial = before.plan.first().copied().unwrap_or(cluster.initial);
    let fluid = Fluid {
        backlog: false,
        chance: Some(seed),
    };
    let mut model = Model::checked(&cluster, &world.pipeline, &workload, fluid)?;
    let mut flight = Flight {
        run,
        ask,
        pilots: Pilots::new(rules, run.mode, run.gated, seed, before)?,
        intervals: Intervals::new(rules, run.mode, run.naive),
    };
    let mut open: Option<Open> = None;
    let mut rows = 0;
    let mut current = cluster.initial;
    while let Some(step) = model.begin_step() {
        let seen = model.look(true);
        let mut asked = flight.pilots.hpa(&seen);
        if step.is_multiple_of(rules.turns) {
            if let Some(done) = &mut open {
                close(done, seen.current, &mut rows, sink)?;
            }
            if (run.stop)() {
                let writes = flight.pilots.writes();
                let end = None;
                return Ok(Flown { rows, writes, end });
            }
            open = Some(flight.begin(&seen));
        }
        asked = flight.pilots.govern(&seen).or(asked);
        current = asked.map_or(seen.current, |a| a.replicas);
        if let Some(open) = &mut open {
            open.turned(flight.pilots.last(), asked.is_some());
        }
        model.act(asked);
        model.advance();
    }
    if let Some(done) = &mut open {
        close(done, current, &mut rows, sink)?;
    }
    let writes = flight.pilots.writes();
    let measures = model.finish();
    let least = oracle.least(measures.violations);
    let end = Some(measured((rows, writes), &measures, least));
    Ok(Flown { rows, writes, end })
}

fn close(open: &mut Open, current: u32, rows: &mut u64, sink: &mut Sink<'_>) -> Result<()> {
    open.row.applied = Some(current);
    *rows += 1;
    sink(&open.row, &open.told)
}

/// What is known before the first step.
fn before(run: &Run<'_>, oracle: &Oracle<'_>) -> Result<Before> {
    Ok(match run.mode {
        Mode::Predictive => Before {
            demand: run.world.minutes_before(run.seed)?,
            plan: Vec::new(),
        },
        Mode::Oracle => Before {
            demand: Vec::new(),
            plan: oracle.plan()?,
        },
        _ => Before::default(),
    })
}

fn measured((rows, writes): (u64, u64), measures: &FluidMeasures, least: f64) -> End {
    let minutes = measures.minutes.iter();
    End {
        rows,
        writes,
        requests: Some(measures.requests),
        late: Some(measures.violations),
        unserved: Some(measures.unserved),
        replica_minutes: measures.replica_minutes,
        least_replica_minutes: Some(least),
        late_minutes: Some(measures.violation_minutes),
        active_minutes: Some(measures.active_minutes),
        flaps: Some(measures.flaps),
        minutes: minutes.map(|m| (m.arrivals, m.violations)).collect(),
    }
}

impl Flight<'_, '_> {
    /// A row begins; an answer that comes in time is sent on its way.
    fn begin(&mut self, seen: &SeenFluid<'_>) -> Open {
        let now = seen.now;
        let means = means(seen.pods);
        let exact = self.pilots.exact(now);
        let both = |(cpu, memory)| (Some(cpu), Some(memory));
        let looked = Looked {
            now,
            current: seen.current,
            means,
            requests: both((f64::from(CPU_REQUEST), f64::from(MEMORY_REQUEST))),
            nginx: both(NGINX_REQUESTS),
            hpa: (Some(means.pods), exact.map(|e| e.desired)),
            exact,
        };
        let (mut open, question) = self.intervals.begin(&looked);
        self.pilots.naive(open.told.naive);
        if let Some(question) = question {
            let deadline = self.intervals.deadline();
            let patience = Duration::from_nanos(u64::try_from(deadline.nanos()).unwrap_or(0));
            let answered = self.ask.ask(&question, patience);
            let own = Span::from_millis(i64::try_from(answered.latency_ms).unwrap_or(i64::MAX));
            let latency = self.run.latency.unwrap_or(own);
            if let Some(advice) = self.intervals.answered(&mut open, &answered, latency) {
                self.pilots.send(now + latency, advice);
            }
        }
        open
    }
}
