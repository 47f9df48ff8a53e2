//! The simulator as a driver of the engine: what it sees becomes inputs, what is decided an action.

use std::collections::VecDeque;

use foresail_core::act::Outcome;
use foresail_core::admit::{Admission, Arbiter};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::row::{Measured, Usage};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::{self, Pod, PodReading, PodSample, Reading, Ready};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::advice::Advice;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};

use foresail_models::refit;

use crate::cluster::Size;
use crate::metrics::measure::Interval;
use crate::simulation::{Pilot, PodSeen, Seen};

/// How long a fit takes here, from the tick that asks for it to the first that has it: fits run at
/// once, so that a run does not depend on the machine, and count as two decisions of the HPA's sync.
pub const FIT: Span = Span::from_seconds(30);

/// Takes in what a run tells of its decisions; each method may be left as it is.
pub trait Listener {
    /// An input is about to be fed.
    fn input(&mut self, _input: &Input) {}
    /// A tick was made; what came of it is not known yet.
    fn ticked(&mut self, _tick: &Tick, _engine: &Engine) {}
    /// A tick is settled: its whole story is there for the asking.
    fn told(&mut self, _story: &Story<'_>) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Listener for Deaf {}

/// Hears what is in it, or nothing.
impl<L: Listener> Listener for Option<L> {
    fn input(&mut self, input: &Input) {
        if let Some(inner) = self {
            inner.input(input);
        }
    }

    fn ticked(&mut self, tick: &Tick, engine: &Engine) {
        if let Some(inner) = self {
            inner.ticked(tick, engine);
        }
    }

    fn told(&mut self, story: &Story<'_>) {
        if let Some(inner) = self {
            inner.told(story);
        }
    }
}

/// One decision, with what was measured since the one before; texts are made when asked for.
#[derive(Debug)]
pub struct Story<'a> {
    /// The tick.
    pub tick: &'a Tick,
    /// The engine that made it.
    pub engine: &'a Engine,
    /// What it did.
    pub outcome: Option<Outcome>,
    /// What happened since the last noteworthy tick where this one is, else since the tick before.
    pub interval: Interval,
    /// CPU of all pods as last sampled, in thousandths of a core.
    pub usage_cpu_millicores: Option<i64>,
    /// `true` where something changed, or nothing was told for a minute.
    pub noteworthy: bool,
}

impl Story<'_> {
    /// The explanation of the one target.
    #[must_use]
    pub fn explanation(&self, identity: &Identity) -> Option<Explanation> {
        let told = Explanation::new(self.tick, 0, self.engine.spec(), identity, None)?;
        Some(told.with_outcome(self.outcome))
    }

    /// What was measured, for the row.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let count = |n: u64| i64::try_from(n).ok();
        Measured {
            latency_p95_ms: self.interval.latency.p95_ms(),
            violations: count(self.interval.violations),
            cold_starts: count(self.interval.cold_starts),
            replica_minutes: Some(self.interval.replica_minutes),
        }
    }

    /// What the pods used, for the row.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            cpu_millicores: self.usage_cpu_millicores,
            memory_mebibytes: None,
        }
    }
}

/// An engine that flies the simulated cluster.
#[derive(Debug)]
pub struct EnginePilot<L> {
    engine: Engine,
    arbiter: Admission,
    target: TargetId,
    reads_cpu: bool,
    /// The most that a pod can hold, as last seen; `None` where there is room for all.
    largest: Option<Size>,
    /// Advice to come, in its order.
    advice: VecDeque<Advice>,
    /// Models that are being fitted, and when they are ready.
    fits: VecDeque<(Timestamp, Input)>,
    /// What listens.
    pub listener: L,
    told_at: Option<Timestamp>,
    /// When it last took in what is new.
    now: Timestamp,
    /// Intervals since the last story that was noteworthy.
    unsaid: Interval,
}

impl<L: Listener> EnginePilot<L> {
    /// A pilot for the one target of the engine's spec.
    #[must_use]
    pub fn new(engine: Engine, reads_cpu: bool, listener: L) -> Self {
        let target = engine.spec().targets()[0].id.clone();
        Self {
            engine,
            arbiter: Admission::default(),
            target,
            reads_cpu,
            largest: None,
            advice: VecDeque::new(),
            fits: VecDeque::new(),
            listener,
            told_at: None,
            now: Timestamp::EPOCH,
            unsaid: Interval::default(),
        }
    }

    /// The same pilot, to whom this advice comes at its time; in the order of the times.
    #[must_use]
    pub fn advised(mut self, advice: Vec<Advice>) -> Self {
        self.advice = advice.into();
        self
    }

    fn feed(&mut self, input: Input) -> Option<Tick> {
        self.listener.input(&input);
        self.engine.feed(input)
    }

    fn state(&self, seen: &Seen<'_>) -> TargetState {
        let count = |n: usize| Replicas::saturating(n as i64);
        let mut pods = Vec::new();
        let mut readings = Vec::new();
        if self.reads_cpu {
            pods = seen.pods.iter().map(pod).collect();
            readings = vec![if seen.failed {
                Reading::Failed
            } else {
                Reading::Pods(seen.pods.iter().map(reading).collect())
            }];
        }
        let mut current = Setting::replicas(Replicas::new(seen.current));
        if let Some(size) = seen.size {
            let bytes = size.memory.saturating_mul(1000);
            let cpu = Quantity::from_milli(size.cpu, Unit::Count);
            current.per_pod.set("cpu", cpu);
            let memory = Quantity::from_milli(bytes, Unit::Bytes);
            current.per_pod.set("memory", memory);
        }
        TargetState {
            target: self.target.clone(),
            current,
            status_replicas: count(seen.pods.iter().filter(|p| !p.deleting).count()),
            ready: count(seen.pods.iter().filter(|p| p.ready && !p.deleting).count()),
            pods,
            readings,
            ..TargetState::default()
        }
    }

    fn samples(&self, seen: &Seen<'_>) -> Samples {
        let series = |metric, points: &[(Timestamp, f64)]| -> Vec<Sample> {
            let sample = |(at, value): &(Timestamp, f64)| Sample {
                target: self.target.clone(),
                metric,
                at: *at,
                value: Some(*value),
            };
            points.iter().map(sample).collect()
        };
        let mut values = series(Metric::Concurrency, seen.concurrency);
        values.extend(series(Metric::Demand, seen.demand));
        let (health, leading) = (Health::default(), true);
        Samples {
            at: seen.now,
            health,
            leading,
            targets: vec![self.state(seen)],
            values,
        }
    }
}

/// A pod as the engine is told of it.
fn pod(seen: &PodSeen) -> Pod {
    Pod {
        phase: if seen.started_at.is_some() {
            hpa::Phase::Running
        } else {
            hpa::Phase::Pending
        },
        deleting: seen.deleting,
        started_at: seen.started_at,
        ready: if seen.ready {
            Ready::True
        } else {
            Ready::False
        },
        ready_changed_at: seen.ready_changed_at,
        count: 1,
    }
}

fn reading(seen: &PodSeen) -> PodReading {
    let sample = seen.cpu.map(|c| PodSample {
        value: c.millicores,
        at: c.at,
        window: c.window,
    });
    PodReading {
        request: Some(seen.size.cpu),
        sample,
    }
}

impl<L: Listener> EnginePilot<L> {
    /// Takes in advice, as it came from outside.
    pub(crate) fn advise(&mut self, advice: Advice) {
        self.feed(Input::Advice(advice));
    }

    /// The engine that flies.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whose target it flies.
    pub(crate) fn target(&self) -> &TargetId {
        &self.target
    }

    /// What is asked for from now on, on what is new; `None` leaves all as it is.
    pub(crate) fn decide(
        &mut self,
        samples: Samples,
        usage_cpu_millicores: Option<i64>,
        interval: Interval,
    ) -> Option<Setting> {
        self.see(samples);
        self.tick(usage_cpu_millicores, interval)
    }

    /// Takes in what is new, and models that are fitted by now.
    pub(crate) fn see(&mut self, samples: Samples) {
        let now = samples.at;
        self.now = now;
        while let Some((_, installed)) = self.fits.pop_front_if(|(ready, _)| *ready <= now) {
            self.feed(installed);
        }
        self.feed(Input::Samples(samples));
    }

    /// What is asked for from now on, on what was seen last; `None` leaves all as it is.
    pub(crate) fn tick(
        &mut self,
        usage_cpu_millicores: Option<i64>,
        interval: Interval,
    ) -> Option<Setting> {
        let now = self.now;
        let tick = self.feed(Input::Tick { now })?;
        self.listener.ticked(&tick, &self.engine);
        let fitted = refit::answer(&mut self.engine, &tick);
        self.fits
            .extend(fitted.into_iter().map(|input| (now + FIT, input)));
        let decisions = self.arbiter.admit(&[(self.engine.spec(), &tick)]);
        let decision = decisions.into_iter().next()?;
        let writes = decision.to_write && decision.changes();
        let wanted = decision.setting;
        let outcome = writes.then(|| self.act(&wanted));
        let applied = outcome == Some(Outcome::Applied);
        if let Some(outcome) = outcome {
            let executed = (decision.target, wanted.clone());
            self.feed(Input::Settled {
                seq: tick.seq,
                outcome,
                executed: applied.then_some(executed).into_iter().collect(),
            });
        }
        self.unsaid.add(&interval);
        let minute = Span::from_seconds(60);
        let due = self.told_at.is_none_or(|at| now - at >= minute);
        let noteworthy = writes || due;
        let story = Story {
            tick: &tick,
            engine: &self.engine,
            outcome,
            interval: if noteworthy {
                std::mem::take(&mut self.unsaid)
            } else {
                interval
            },
            usage_cpu_millicores,
            noteworthy,
        };
        self.listener.told(&story);
        if noteworthy {
            self.told_at = Some(now);
        }
        applied.then_some(wanted)
    }

    /// What the write of a setting comes to: a pod larger than any node is refused, and with it all
    /// that was asked for.
    fn act(&self, wanted: &Setting) -> Outcome {
        let size = Size::default().with(&wanted.per_pod);
        match self.largest {
            Some(largest) if !size.fits(largest) => Outcome::Failed,
            _ => Outcome::Applied,
        }
    }
}

impl<L: Listener> Pilot for EnginePilot<L> {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        while let Some(advice) = self.advice.pop_front_if(|a| a.at <= seen.now) {
            self.advise(advice);
        }
        self.largest = seen.largest;
        let samples = self.samples(seen);
        let cpu = seen.pods.iter().filter_map(|p| p.cpu.map(|c| c.millicores));
        self.decide(samples, cpu.reduce(|a, b| a + b), seen.interval.clone())
    }
}
