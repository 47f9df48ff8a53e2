//! One run: the model step by step, its engines, the adviser, and a row for each interval.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use foresail_adapters::llm::{self, Answered, Ask, Question, ROWS_MAX};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use foresail_sim::fluid::{Fluid, FluidMeasures, GroupSeen, Model, SeenFluid};

use super::Mode;
use super::naive::{Naive, Usage};
use super::pilots::Pilots;
use super::row::{Advised, AppliedBy, Row, Simulated};
use super::told::{End, Exchange, Flown, Told};
use super::world::{CPU_REQUEST, MEMORY_REQUEST, NGINX_REQUESTS, World};

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// How far ahead an adviser is asked to look, in seconds.
/// Source: alcocuzzi/etp, autoscaler/config.py.
const HORIZON_SECONDS: u32 = 300;

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

/// Means over the pods that have samples.
#[derive(Clone, Copy, Debug, Default)]
struct Means {
    cpu: Option<f64>,
    memory: Option<f64>,
    pods: u32,
    ready: u32,
}

impl Means {
    fn of(groups: &[GroupSeen]) -> Self {
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
        Self {
            cpu: mean(|g| g.cpu.map(|c| c.millicores)),
            // Memory is shown with the CPU sample that it belongs to.
            memory: mean(|g| g.cpu.and(g.memory)).map(|bytes| bytes / MIB),
            pods: count(false),
            ready: count(true),
        }
    }
}

/// A row in the making.
struct Open {
    row: Row,
    told: Told,
    wrote: bool,
}

/// What is remembered between rows.
struct Flight<'a, 'b> {
    run: &'a Run<'a>,
    ask: &'b mut dyn Ask,
    pilots: Pilots,
    naive: Naive,
    past: VecDeque<(Timestamp, Means)>,
}

/// Runs one mode; each row goes to `sink` when its interval is over. It ends early, without what the
/// whole came to, where it is told to stop.
///
/// # Errors
/// Where the world or a spec is not valid, or the sink fails.
pub fn fly(run: &Run<'_>, ask: &mut dyn Ask, sink: &mut Sink<'_>) -> Result<Flown> {
    let world = run.world;
    let options = &world.options;
    let seed = Seed(run.seed);
    let workload = world.workload(run.seed);
    let fluid = Fluid {
        backlog: false,
        chance: Some(seed),
    };
    let mut model = Model::checked(&world.cluster, &world.pipeline, &workload, fluid)?;
    let mut flight = Flight {
        run,
        ask,
        pilots: Pilots::new(world, run.mode, run.gated, seed)?,
        naive: Naive::new(
            (options.min, options.max),
            options.cpu_target,
            options.memory_target,
        ),
        past: VecDeque::new(),
    };
    let mut open: Option<Open> = None;
    let mut rows = 0;
    let mut current = world.cluster.initial;
    while let Some(step) = model.begin_step() {
        let seen = model.look(true);
        let mut asked = flight.pilots.hpa(&seen);
        if step.is_multiple_of(world.turns) {
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
            flight.turned(open, asked.is_some());
        }
        model.act(asked);
        model.advance();
    }
    if let Some(done) = &mut open {
        close(done, current, &mut rows, sink)?;
    }
    let writes = flight.pilots.writes();
    let end = Some(measured((rows, writes), &model.finish()));
    Ok(Flown { rows, writes, end })
}

fn close(open: &mut Open, current: u32, rows: &mut u64, sink: &mut Sink<'_>) -> Result<()> {
    open.row.applied = current;
    *rows += 1;
    sink(&open.row, &open.told)
}

fn measured((rows, writes): (u64, u64), measures: &FluidMeasures) -> End {
    let minutes = measures.minutes.iter();
    End {
        rows,
        writes,
        requests: measures.requests,
        late: measures.violations,
        unserved: measures.unserved,
        replica_minutes: measures.replica_minutes,
        late_minutes: measures.violation_minutes,
        active_minutes: measures.active_minutes,
        flaps: measures.flaps,
        minutes: minutes.map(|m| (m.arrivals, m.violations)).collect(),
    }
}

impl Flight<'_, '_> {
    /// A row begins: what is measured, what the HPA says, what is asked.
    fn begin(&mut self, seen: &SeenFluid<'_>) -> Open {
        let now = seen.now;
        let means = Means::of(seen.pods);
        self.past.push_back((now, means));
        let exact = self.pilots.exact(now);
        let naive = self.naive_answer(seen, means);
        let (asked, advised) = match exact.and_then(|e| e.raw) {
            Some(raw) => self.question(seen, means, raw),
            None => (None, None),
        };
        let (cpu, memory) = (f64::from(CPU_REQUEST), f64::from(MEMORY_REQUEST));
        // The published simulator divides by what the published collector reads.
        let requests = if self.run.naive {
            NGINX_REQUESTS
        } else {
            (cpu, memory)
        };
        let row = Row {
            at: now,
            mode: self.run.mode,
            current: seen.current,
            ready: means.ready,
            cpu: means.cpu,
            memory: means.memory,
            cpu_request: requests.0,
            memory_request: requests.1,
            pods: means.pods,
            simulated: if self.run.naive { naive } else { exact },
            hpa_current: means.pods,
            hpa_desired: exact.map(|e| e.desired),
            advised,
            applied: seen.current,
            applied_by: AppliedBy::None,
        };
        let told = Told {
            at: now,
            exact,
            naive,
            asked,
            ..Told::default()
        };
        Open {
            row,
            told,
            wrote: false,
        }
    }

    fn naive_answer(&mut self, seen: &SeenFluid<'_>, means: Means) -> Option<Simulated> {
        let usage = Usage {
            cpu: means.cpu?,
            memory: means.memory?,
            cpu_request: NGINX_REQUESTS.0,
            memory_request: NGINX_REQUESTS.1,
        };
        Some(self.naive.answer(seen.now, seen.current, usage))
    }

    /// Asks the adviser; an answer that comes in time is sent on its way.
    fn question(
        &mut self,
        seen: &SeenFluid<'_>,
        means: Means,
        raw: u32,
    ) -> (Option<Exchange>, Option<Advised>) {
        let options = &self.run.world.options;
        let (now, interval) = (seen.now, options.interval);
        let baseline = raw.clamp(options.min, options.max);
        let oldest = now - options.history;
        self.past.retain(|(at, _)| *at > oldest);
        while self.past.len() > ROWS_MAX {
            self.past.pop_front();
        }
        let question = Question {
            current: seen.current,
            ready: means.ready,
            min: options.min,
            max: options.max,
            baseline,
            horizon_seconds: HORIZON_SECONDS,
            cpu_target_percent: Some(options.cpu_target),
            memory_target_percent: Some(options.memory_target),
            requests_target: None,
            rows: self
                .past
                .iter()
                .map(|(at, m)| shown(now - *at, *m))
                .collect(),
        };
        let deadline = Span::from_nanos(interval.nanos() / 2);
        let patience = Duration::from_nanos(u64::try_from(deadline.nanos()).unwrap_or(0));
        let answered = self.ask.ask(&question, patience);
        let own = Span::from_millis(i64::try_from(answered.latency_ms).unwrap_or(i64::MAX));
        let latency = self.run.latency.unwrap_or(own);
        let late = answered.answer.is_some() && latency > deadline;
        let exchange = exchange(&answered, (baseline, latency, late), question.rows.len());
        let Some(answer) = answered.answer.as_ref().filter(|_| !late) else {
            return (Some(exchange), None);
        };
        let target = self.run.world.target();
        if let Some(advice) = answered.advice(&target, now, interval) {
            self.pilots.send(now + latency, advice);
        }
        let recommended = i64::from(baseline) + i64::from(answer.delta);
        let recommended = recommended.clamp(options.min.into(), options.max.into());
        let advised = Advised {
            recommended: u32::try_from(recommended).unwrap_or(baseline),
            confidence: f64::from(answer.confidence_percent) / 100.0,
            reasoning: answer.reasoning.clone(),
        };
        (Some(exchange), Some(advised))
    }

    /// A turn of the loop is over: who decided, and which guards stepped in.
    fn turned(&mut self, open: &mut Open, wrote: bool) {
        let by = self.pilots.applied_by(wrote);
        // Who wrote last is named; without a write, who decided last.
        if wrote || !open.wrote {
            open.row.applied_by = by;
        }
        open.wrote |= wrote;
        open.told.turns += 1;
        open.told.writes += u64::from(wrote);
        open.told.guards.extend(self.pilots.guards());
        if self.run.mode != Mode::HpaOnly {
            open.told.record = self.pilots.record().or(open.told.record);
        }
    }
}

fn shown(age: Span, means: Means) -> llm::Row {
    llm::Row {
        age_seconds: u32::try_from(age.whole_seconds()).unwrap_or(0),
        cpu_milli: means.cpu,
        memory_mib: means.memory,
        cpu_request_milli: Some(f64::from(CPU_REQUEST)),
        memory_request_mib: Some(f64::from(MEMORY_REQUEST)),
        requests_per_second: None,
        pods: Some(means.pods),
    }
}

fn exchange(
    answered: &Answered,
    (baseline, latency, late): (u32, Span, bool),
    rows: usize,
) -> Exchange {
    let answer = answered.answer.as_ref();
    let failure = answered.failure.as_ref().map(ToString::to_string);
    let too_late = || format!("the answer came after {latency} and was let go");
    Exchange {
        question: answered.question.clone(),
        baseline,
        delta: answer.map(|a| a.delta),
        said_percent: answer.map(|a| a.confidence_percent),
        limited: answer.is_some_and(|a| a.limited),
        schema_ignored: answered.schema_ignored(),
        rows,
        attempts: answered.attempts.len(),
        latency_ms: u64::try_from(latency.nanos() / 1_000_000).unwrap_or(0),
        late,
        tokens: (answered.tokens.prompt, answered.tokens.completion),
        failure: failure.or_else(|| late.then(too_late)),
    }
}
