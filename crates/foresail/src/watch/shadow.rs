//! The shadow: the engine, and the replicas that it would have.

use anyhow::{Context, Result};
use foresail_core::act::Outcome;
use foresail_core::engine::{Engine, Input};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::hpa::{
    HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, NamedMetric, Reading,
};
use foresail_core::observe::{Health, Metric, Sample, Samples, TargetState};
use foresail_core::propose::advice::Advice;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{Mode, ProposerSpec, Spec, TargetSpec};

use foresail_models::refit;

use super::observe::Seen;
use super::score::Pods;
use crate::forecast::tell_refit;
use crate::record::Recorder;

/// What the shadow is told to do.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Name of the workload.
    pub name: String,
    /// Demand per replica that is aimed at, in requests per second.
    pub target_value: f64,
    /// Time from a pod's creation to its readiness.
    pub startup: Span,
    /// Time between two syncs.
    pub interval: Span,
    /// The fewest and the most replicas.
    pub bounds: (u32, u32),
    /// `true` where a language model advises.
    pub advised: bool,
}

impl Orders {
    /// The spec: what the demand ahead is worth, the HPA on demand per replica as its floor.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let per_replica = Quantity::from_f64(self.target_value, Unit::Count);
        let demand = NamedMetric {
            metric: MetricIdentifier {
                name: "demand".to_owned(),
                selector: None,
            },
            described_object: None,
            target: MetricTarget {
                kind: "AverageValue".to_owned(),
                average_value: Some(foresail_core::hpa::Amount::Text(per_replica.to_string())),
                ..MetricTarget::default()
            },
        };
        let metric = MetricSpec {
            kind: "External".to_owned(),
            external: Some(demand),
            ..MetricSpec::default()
        };
        let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let hpa = HpaSpec {
            min_replicas: Some(count(self.bounds.0)),
            max_replicas: count(self.bounds.1),
            metrics: vec![metric],
            ..HpaSpec::default()
        };
        let mut spec = Spec::of_hpa(self.target(), hpa);
        spec.mode = Mode::Shadow;
        spec.interval = self.interval;
        spec.proposers = vec![ProposerSpec::named("predictive")];
        if self.advised {
            spec.proposers.push(ProposerSpec::named("llm"));
        }
        let capacity = Quantity::from_f64(self.target_value, Unit::PerSecond);
        spec.targets = vec![TargetSpec {
            capacity: Some(capacity),
            startup: Some(self.startup),
            ..spec.targets.swap_remove(0)
        }];
        spec
    }

    /// The target's name.
    #[must_use]
    pub fn target(&self) -> TargetId {
        TargetId::new(&format!("watch/Workload/{}", self.name))
    }
}

/// An engine with the replicas that it would have.
#[derive(Debug)]
pub struct Shadow {
    engine: Engine,
    recorder: Option<Recorder>,
    identity: Identity,
    target: TargetId,
    startup: Span,
    replicas: u32,
    /// Replicas that do not serve yet: when they will, and how many; the youngest last.
    starting: Vec<(Timestamp, u32)>,
}

impl Shadow {
    /// A shadow that begins with so many ready replicas.
    #[must_use]
    pub fn new(orders: &Orders, engine: Engine, replicas: u32) -> Self {
        Self {
            engine,
            recorder: None,
            identity: Identity {
                uid: orders.name.clone(),
                generation: 1,
                epoch: 1,
            },
            target: orders.target(),
            startup: orders.startup,
            replicas,
            starting: Vec::new(),
        }
    }

    /// Lets the forecasters live through past minutes; nothing of it is recorded.
    pub fn remember(&mut self, minutes: &[(Timestamp, f64)]) {
        for point in minutes {
            let samples = self.samples(point.0, Vec::new(), std::slice::from_ref(point));
            self.engine.feed(Input::Samples(samples));
            if let Some(tick) = self.engine.feed(Input::Tick { now: point.0 }) {
                for installed in refit::answer(&mut self.engine, &tick) {
                    self.engine.feed(installed);
                }
            }
        }
    }

    /// The engine as it is.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Records everything from here on.
    pub fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Ends the record, where there is one.
    ///
    /// # Errors
    /// The first thing that could not be written.
    pub fn finish(&mut self) -> Result<()> {
        self.recorder.take().map_or(Ok(()), Recorder::finish)
    }

    /// Replicas as they are at `now`.
    #[must_use]
    pub fn pods(&self, now: Timestamp) -> Pods {
        let starting = self.starting.iter().filter(|(at, _)| *at > now);
        let starting: u32 = starting.map(|(_, n)| *n).sum();
        Pods {
            paid: self.replicas,
            ready: self.replicas.saturating_sub(starting),
        }
    }

    fn samples(
        &self,
        at: Timestamp,
        targets: Vec<TargetState>,
        minutes: &[(Timestamp, f64)],
    ) -> Samples {
        let sample = |(at, value): &(Timestamp, f64)| Sample {
            target: self.target.clone(),
            metric: Metric::Demand,
            at: *at,
            value: Some(*value),
        };
        Samples {
            at,
            health: Health::default(),
            leading: true,
            targets,
            values: minutes.iter().map(sample).collect(),
        }
    }

    fn state(&self, seen: &Seen, now: Timestamp) -> TargetState {
        let pods = self.pods(now);
        let reading = seen.demand.map_or(Reading::Failed, |(value, _)| {
            Reading::Total(vec![Quantity::from_f64(value, Unit::Count).milli()])
        });
        TargetState {
            target: self.target.clone(),
            current: Setting::replicas(Replicas::new(pods.paid)),
            status_replicas: Replicas::new(pods.paid),
            ready: Replicas::new(pods.ready),
            readings: vec![reading],
            read_at: seen.demand.map(|(_, at)| at),
            incumbent: seen.incumbent.map(Replicas::new),
            ..TargetState::default()
        }
    }

    fn feed(&mut self, input: Input) -> Option<foresail_core::engine::Tick> {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(&input);
        }
        self.engine.feed(input)
    }

    /// Takes in advice; the next sync may use it.
    pub fn advise(&mut self, advice: Advice) {
        self.feed(Input::Advice(advice));
    }

    /// Decides on what was seen, carries it out on its own replicas, and tells the story.
    ///
    /// # Errors
    /// Never for an engine of one target; the error names what is missing.
    pub fn sync(&mut self, seen: &Seen, now: Timestamp) -> Result<Explanation> {
        let state = self.state(seen, now);
        let samples = self.samples(now, vec![state], &seen.minutes);
        self.feed(Input::Samples(samples));
        let tick = self.feed(Input::Tick { now }).context("no tick")?;
        if let Some(recorder) = &mut self.recorder {
            recorder.tick(&tick, self.engine.spec());
        }
        for installed in refit::answer_telling(&mut self.engine, &tick, tell_refit) {
            self.feed(installed);
        }
        let told = Explanation::new(&tick, 0, self.engine.spec(), &self.identity, None)
            .context("no target")?;
        let decided = &tick.targets[0].decided;
        if let Some(wanted) = decided.replicas.map(Replicas::get)
            && wanted != self.replicas
        {
            let executed = vec![(self.target.clone(), decided.clone())];
            self.carry_out(wanted, now);
            self.feed(Input::Settled {
                seq: tick.seq,
                outcome: Outcome::Applied,
                executed,
            });
        }
        Ok(told)
    }

    /// Sets the replicas; what is taken away is the youngest first.
    fn carry_out(&mut self, wanted: u32, now: Timestamp) {
        self.starting.retain(|(at, _)| *at > now);
        if wanted > self.replicas {
            self.starting
                .push((now + self.startup, wanted - self.replicas));
        }
        let mut removed = self.replicas.saturating_sub(wanted);
        while let Some((_, count)) = self.starting.last_mut().filter(|_| removed > 0) {
            let taken = removed.min(*count);
            *count -= taken;
            removed -= taken;
            if *count == 0 {
                self.starting.pop();
            }
        }
        self.replicas = wanted;
    }
}
