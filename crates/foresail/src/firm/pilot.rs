//! One component under the server: a step enters its engine as advice, passes the guards, is written
//! once, and its answer is remembered.

use std::sync::Arc;

use anyhow::Result;
use foresail_adapters::clock::Clock;
use foresail_adapters::rpc::OK;
use foresail_adapters::rpc::environment::{Description, Executed, Seen};
use foresail_adapters::rpc::tonic;
use foresail_core::act::Outcome;
use foresail_core::admit::{Admission, Arbiter, Budgets, Decision};
use foresail_core::engine::{Engine, Input, Tick, hex, unhex};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::observe::{Health, Metric, Sample, Samples};
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::plan::{Axis, Resources, Setting};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas};
use foresail_core::spec::{Resize, Spec, ValidTarget};
use foresail_models::propose::aware::NAME;
use foresail_models::registry::engine_of;
use foresail_models::rl::axes::{Axes, MOVES, Move, Moves};
use foresail_models::rl::state;
use foresail_models::rng::Seed;
use prost::Message;

use super::component::refused;
use super::kept::{Answer, File, Intent, Kept};
use super::place::{Place, Sight, Written};
use super::wire;

/// How long a write of the scale without an answer may still take effect.
///
/// It is given up after 5 s; as long again it may be held on its way. One that comes later meets another
/// version and is refused.
const UNANSWERED_LIFE: Span = Span::from_seconds(10);

/// What a step wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The heuristic acts.
    Nothing,
    /// A move on each axis.
    Moves(Moves),
    /// These requests of a pod.
    Requests(Resources),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing is known to have been done; the same step may be sent again.
    #[error("{0}")]
    Away(String),
    /// The step itself is none.
    #[error("{0}")]
    Bad(String),
}

impl From<Trouble> for tonic::Status {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(why) => Self::unavailable(why),
            Trouble::Bad(why) => Self::invalid_argument(why),
        }
    }
}

/// What is remembered and what decides.
#[derive(Debug)]
struct Inner {
    engine: Engine,
    arbiter: Admission,
    kept: Kept,
    last: Timestamp,
    /// What was last told of what is not known.
    trouble: Option<String>,
}

/// What is published of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What one pod uses on average, in thousandths of a core.
    pub cpu: Option<i64>,
    /// In thousandths of a byte.
    pub memory: Option<i64>,
    /// What is asked for.
    pub setting: Setting,
    /// The SLO preserved, 0 to 1.
    pub preserved: f64,
    /// Requests a second.
    pub demand: Option<f64>,
    /// The last rate over the mean of those before.
    pub rate_ratio: Option<f64>,
    /// What is not known, or who else scales it.
    pub trouble: Option<String>,
}

/// One component under the server.
#[derive(Debug)]
pub struct Pilot<P> {
    place: P,
    clock: Arc<dyn Clock>,
    name: String,
    target: ValidTarget,
    axes: Axes,
    promised: f64,
    file: File,
    inner: tokio::sync::Mutex<Inner>,
}

impl<P: Place> Pilot<P> {
    /// A component with what was kept of it.
    ///
    /// # Errors
    /// Where the spec is not valid, or what was kept cannot be read.
    pub fn new(
        (place, clock): (P, Arc<dyn Clock>),
        spec: Spec,
        promised: f64,
        file: File,
    ) -> Result<Self> {
        let mut engine = engine_of(spec, Seed(0)).map_err(|problems| refused(&problems))?;
        let target = engine.spec().targets()[0].clone();
        let axes = Axes::of(&target);
        let mut kept = file.read()?.unwrap_or_else(|| Kept::new(axes.len()));
        if kept.before.len() != axes.len() {
            kept.before = vec![Move::Hold; axes.len()];
        }
        if let Some(snapshot) = kept.snapshot.take() {
            engine.restore(snapshot)?;
        }
        Ok(Self {
            name: target.id.to_string(),
            place,
            clock,
            target,
            axes,
            promised,
            file,
            inner: tokio::sync::Mutex::new(Inner {
                engine,
                arbiter: Admission::new(Budgets::default()),
                kept,
                last: Timestamp::default(),
                trouble: None,
            }),
        })
    }

    /// `NAMESPACE/NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What an agent has to know before its first step.
    #[must_use]
    pub fn description(&self) -> Description {
        Description {
            id: self.name.clone(),
            axes: self.axes.iter().map(ToString::to_string).collect(),
            state_width: u32::try_from(state::width(&self.axes)).unwrap_or(u32::MAX),
            promised: self.promised,
        }
    }

    async fn sight(&self, inner: &mut Inner) -> Result<(Sight, Timestamp), Trouble> {
        // Advice that was good for one moment must not be good for the next.
        let now = self.clock.wall().max(inner.last + Span::from_nanos(1));
        inner.last = now;
        let sight = self.place.look(now).await.map_err(Trouble::Away)?;
        let told = trouble(&sight);
        // Once, and not with each step.
        if told != inner.trouble {
            match &told {
                Some(why) => tracing::warn!(component = self.name, why, "not everything is known"),
                None => tracing::info!(component = self.name, "everything is known"),
            }
            inner.trouble = told;
        }
        Ok((sight, now))
    }

    /// What is asked for at present: of the requests what a step decided, else what most pods have.
    fn current(&self, kept: &Kept, sight: &Sight) -> Setting {
        let seen = Setting {
            replicas: sight.state.current.replicas,
            per_pod: self.target.supported(&sight.state.current.per_pod),
            ..Setting::default()
        };
        seen.overlaid(&Setting {
            per_pod: kept.decided.per_pod.clone(),
            ..Setting::default()
        })
    }

    fn feed(&self, inner: &mut Inner, sight: &Sight, current: &Setting, now: Timestamp) {
        let mut state = sight.state.clone();
        state.target = self.target.id.clone();
        state.current = current.clone();
        let sample = |metric: Metric, point: Option<(f64, Timestamp)>| {
            let (value, at) = point?;
            Some(Sample {
                target: self.target.id.clone(),
                metric,
                at,
                value: Some(value),
            })
        };
        let values = [
            sample(Metric::Demand, sight.demand),
            sample(Metric::Kept, sight.kept),
        ];
        inner.engine.feed(Input::Samples(Samples {
            at: now,
            health: Health::Predict,
            leading: true,
            targets: vec![state],
            values: values.into_iter().flatten().collect(),
        }));
    }

    /// What is seen of the component.
    ///
    /// # Errors
    /// [`Trouble::Away`] where it cannot be looked at.
    pub async fn look(&self) -> Result<Seen, Trouble> {
        let inner = &mut *self.inner.lock().await;
        let (sight, now) = self.sight(inner).await?;
        // Whoever only looks need not wait until it is known.
        let _ = self.resolve(inner, &sight, now);
        let current = self.current(&inner.kept, &sight);
        self.feed(inner, &sight, &current, now);
        Ok(self.seen(inner, &sight, &current, now))
    }

    fn seen(&self, inner: &Inner, sight: &Sight, current: &Setting, now: Timestamp) -> Seen {
        let view = inner.engine.history().view(inner.engine.spec(), now);
        let before = &inner.kept.before;
        let state = state::observe(&view, 0, &self.axes, before, self.promised);
        let used = state::used(&view, 0, &self.axes).unwrap_or_default();
        let preserved = view
            .target(0)
            .map_or(1.0, |h| state::slo_preserved(h, self.promised));
        let milli = |axis: &Axis| current.get(axis).map_or(-1, Quantity::milli);
        Seen {
            step: inner.kept.step,
            known: state.is_some(),
            state: state.unwrap_or_default(),
            legal: self.axes.legal(&self.target, current),
            setting_milli: self.axes.iter().map(milli).collect(),
            preserved,
            used,
            trouble: trouble(sight).unwrap_or_default(),
            existing: sight.state.status_replicas.get(),
            ready: sight.state.ready.get(),
        }
    }

    /// What is published of the component.
    ///
    /// # Errors
    /// [`Trouble::Away`] where it cannot be looked at.
    pub async fn told(&self) -> Result<Told, Trouble> {
        let inner = &mut *self.inner.lock().await;
        let (sight, now) = self.sight(inner).await?;
        let _ = self.resolve(inner, &sight, now);
        let current = self.current(&inner.kept, &sight);
        self.feed(inner, &sight, &current, now);
        let history = inner.engine.target_history(0);
        let used = |resource: &str| {
            let metrics = self.target.rules.metrics();
            wire::mean(sight.state.usage_of(metrics, resource))
        };
        let (cpu, memory) = (used("cpu"), used("memory"));
        let lacks = [("cpu", cpu), ("memory", memory)];
        let lacks = lacks.iter().find(|(_, value)| value.is_none());
        let lacks = lacks.map(|(name, _)| format!("no sample of {name} yet"));
        Ok(Told {
            cpu,
            memory,
            preserved: history.map_or(1.0, |h| state::slo_preserved(h, self.promised)),
            demand: sight.demand.map(|(rate, _)| rate),
            rate_ratio: history.and_then(|h| rate_ratio(h.points(Metric::Demand))),
            trouble: trouble(&sight).or(lacks),
            setting: current,
        })
    }

    /// One step: looked at, decided, written, settled.
    ///
    /// `request` names it; one that was answered before gets its answer and acts no more.
    ///
    /// # Errors
    /// [`Trouble::Away`] where nothing is known to have been done and the step may be sent again,
    /// [`Trouble::Bad`] where it is none.
    pub async fn step(&self, request: &str, wanted: &Wanted) -> Result<Executed, Trouble> {
        let inner = &mut *self.inner.lock().await;
        if let Some(answer) = self.answered(&inner.kept, request) {
            return Ok(answer);
        }
        if let Wanted::Moves(moves) = wanted
            && moves.len() != self.axes.len()
        {
            let (got, has) = (moves.len(), self.axes.len());
            return Err(Trouble::Bad(format!("{got} moves for {has} axes")));
        }
        let (sight, now) = self.sight(inner).await?;
        self.resolve(inner, &sight, now)?;
        if let Some(answer) = self.answered(&inner.kept, request) {
            return Ok(answer);
        }
        let from = self.current(&inner.kept, &sight);
        self.feed(inner, &sight, &from, now);
        if let Some(rival) = &sight.rival {
            let why = format!("CONFLICT: {rival} scales it too; remove one of the two");
            return self.unchanged(inner, (request, &sight, now), why, true);
        }
        let wish = match self.wish(wanted, &from) {
            Ok(wish) => wish,
            Err(why) => {
                let why = format!("ILLEGAL: {why}");
                return self.unchanged(inner, (request, &sight, now), why, false);
            }
        };
        let (tick, decision) = self.decide(inner, wish, now)?;
        self.carry_out(inner, (request, &sight, now), &from, (&tick, &decision))
            .await
    }

    fn answered(&self, kept: &Kept, request: &str) -> Option<Executed> {
        let answer = kept.answer(request)?;
        Executed::decode(unhex(&answer.message)?.as_slice()).ok()
    }

    /// What is advised: `None` where the heuristic acts.
    fn wish(&self, wanted: &Wanted, from: &Setting) -> Result<Option<Setting>, String> {
        match wanted {
            Wanted::Nothing => Ok(None),
            Wanted::Moves(moves) => {
                let legal = self.axes.legal(&self.target, from);
                for (place, (axis, one)) in self.axes.iter().zip(moves).enumerate() {
                    let of_move = Move::ALL.iter().position(|m| m == one).unwrap_or(0);
                    if !legal[place * MOVES + of_move] {
                        return Err(format!("{axis} cannot go {}", word(*one)));
                    }
                }
                Ok(Some(self.axes.wish(&self.target, from, moves)))
            }
            Wanted::Requests(requests) => {
                let only = from.replicas.is_none_or(|r| r <= Replicas::new(1));
                let bounded = self.target.within_bounds(&self.target.supported(requests));
                let differs = |(name, amount): (&str, Quantity)| {
                    from.per_pod.get(name).is_none_or(|has| has != amount)
                };
                let changes = bounded.iter().any(differs);
                if changes && only && self.target.resize == Resize::Recreate {
                    return Err(
                        "its one replica would not serve meanwhile; ask again with 2 or more"
                            .to_owned(),
                    );
                }
                let wish = Setting {
                    per_pod: bounded,
                    ..Setting::default()
                };
                Ok(Some(from.overlaid(&wish)))
            }
        }
    }

    fn decide(
        &self,
        inner: &mut Inner,
        wish: Option<Setting>,
        now: Timestamp,
    ) -> Result<(Tick, Decision), Trouble> {
        if let Some(wish) = wish {
            inner.engine.feed(Input::Advice(Advice {
                by: NAME.to_owned(),
                at: now,
                until: now,
                says: Says::Plan(vec![(self.target.id.clone(), wish)]),
                confidence_percent: None,
                text: String::new(),
            }));
        }
        let none = || Trouble::Away("the engine gave no decision".to_owned());
        let tick = inner.engine.feed(Input::Tick { now }).ok_or_else(none)?;
        let mut decisions = inner.arbiter.admit(&[(inner.engine.spec(), &tick)]);
        let decision = decisions.pop().ok_or_else(none)?;
        Ok((tick, decision))
    }

    async fn carry_out(
        &self,
        inner: &mut Inner,
        (request, sight, now): (&str, &Sight, Timestamp),
        from: &Setting,
        (tick, decision): (&Tick, &Decision),
    ) -> Result<Executed, Trouble> {
        let to = from.overlaid(&decision.setting);
        let told = Explanation::new(
            tick,
            0,
            inner.engine.spec(),
            &Identity::default(),
            Some(decision),
        );
        let told = told.map(|t| t.to_string()).unwrap_or_default();
        let changes = to != *from || sight.differs(&to);
        let mut status = OK.to_owned();
        let mut reached = to.clone();
        let mut outcome = None;
        if changes {
            let intent = Intent {
                request: request.to_owned(),
                from: from.clone(),
                to: to.clone(),
                version: sight.scale.1.clone(),
                at: now,
                decision: decision.seq.0,
            };
            self.announce(inner, intent)?;
            let written = self.place.write(sight, &to).await;
            tracing::info!(
                component = self.name,
                decision = decision.seq.0,
                request,
                ?written,
                told
            );
            match written {
                Written::Applied => outcome = Some(Outcome::Applied),
                Written::Stale(why) => {
                    (status, reached) = (format!("CONFLICT: {why}"), from.clone());
                    outcome = Some(Outcome::Stale);
                }
                Written::Refused(why) => {
                    (status, reached) = (format!("REFUSED: {why}"), from.clone());
                    outcome = Some(Outcome::Failed);
                }
                // The intent stays open: whoever asks next finds out by looking.
                Written::Unknown(why) => return Err(Trouble::Away(why)),
            }
        }
        if let Some(outcome) = outcome {
            self.settle(inner, (tick, outcome), &reached);
        }
        let executed = self.axes.executed(from, &reached);
        inner.kept.decided.per_pod = reached.per_pod.clone();
        self.feed(inner, sight, &reached, now);
        let done = Done {
            executed,
            status,
            legal: true,
            decision: decision.seq.0,
            told,
        };
        self.answer(inner, (request, sight, now), &reached, done)
    }

    fn settle(&self, inner: &mut Inner, (tick, outcome): (&Tick, Outcome), reached: &Setting) {
        let executed = match outcome {
            Outcome::Applied => vec![(self.target.id.clone(), reached.clone())],
            _ => Vec::new(),
        };
        inner.engine.feed(Input::Settled {
            seq: tick.seq,
            outcome,
            executed,
        });
    }

    /// Writes down what is about to be written: without that a restart could not tell what became of it.
    fn announce(&self, inner: &mut Inner, intent: Intent) -> Result<(), Trouble> {
        inner.kept.open = Some(intent);
        self.keep(inner).inspect_err(|_| inner.kept.open = None)
    }

    fn keep(&self, inner: &mut Inner) -> Result<(), Trouble> {
        if !self.file.is_there() {
            return Ok(());
        }
        inner.kept.snapshot = Some(inner.engine.snapshot());
        let kept = self.file.write(&inner.kept);
        inner.kept.snapshot = None;
        kept.map_err(|e| Trouble::Away(format!("nothing was done, for it cannot be kept: {e:#}")))
    }

    /// Finds out by looking what became of a write without an answer; it is not made again.
    ///
    /// # Errors
    /// [`Trouble::Away`] where the write may still be on its way.
    fn resolve(&self, inner: &mut Inner, sight: &Sight, now: Timestamp) -> Result<(), Trouble> {
        let Some(open) = inner.kept.open.take() else {
            return Ok(());
        };
        let moved = open.version != sight.scale.1 || open.from.replicas == open.to.replicas;
        if !moved && now - open.at < UNANSWERED_LIFE && now >= open.at {
            let why = format!("what became of decision {} is not known yet", open.decision);
            inner.kept.open = Some(open);
            return Err(Trouble::Away(why));
        }
        let mut reached = open.from.clone();
        reached.replicas = sight.state.current.replicas.or(reached.replicas);
        // Requests of pods are asked for again by the next step, so what was decided holds from the
        // first pod that has them.
        let has = |pod: &super::place::PodAsked| !pod.differs(&open.to);
        if sight.pods.iter().any(has) {
            reached.per_pod = open.to.per_pod.clone();
        }
        let is_done = reached == open.to;
        tracing::info!(
            component = self.name,
            decision = open.decision,
            request = open.request,
            applied = is_done,
            "a write without an answer is known"
        );
        inner.engine.feed(Input::Settled {
            seq: foresail_core::act::Seq(open.decision),
            outcome: if is_done {
                Outcome::Applied
            } else {
                Outcome::Failed
            },
            executed: match is_done {
                true => vec![(self.target.id.clone(), reached.clone())],
                false => Vec::new(),
            },
        });
        inner.kept.decided.per_pod = reached.per_pod.clone();
        let executed = self.axes.executed(&open.from, &reached);
        self.feed(inner, sight, &reached, now);
        let done = Done {
            executed,
            status: OK.to_owned(),
            legal: true,
            decision: open.decision,
            told: "known after the fact".to_owned(),
        };
        // Where it cannot be kept the file still holds the open intent: it is resolved again.
        if let Err(trouble) = self.answer(inner, (&open.request, sight, now), &reached, done) {
            tracing::warn!(component = self.name, %trouble, "what became of a write is not kept");
        }
        Ok(())
    }

    fn unchanged(
        &self,
        inner: &mut Inner,
        (request, sight, now): (&str, &Sight, Timestamp),
        status: String,
        legal: bool,
    ) -> Result<Executed, Trouble> {
        let current = self.current(&inner.kept, sight);
        let done = Done {
            executed: vec![Move::Hold; self.axes.len()],
            status,
            legal,
            decision: 0,
            told: String::new(),
        };
        self.answer(inner, (request, sight, now), &current, done)
    }

    /// Counts the step and remembers its answer before it is given.
    fn answer(
        &self,
        inner: &mut Inner,
        (request, sight, now): (&str, &Sight, Timestamp),
        reached: &Setting,
        done: Done,
    ) -> Result<Executed, Trouble> {
        let before = std::mem::replace(&mut inner.kept.before, done.executed.clone());
        inner.kept.step += 1;
        let open = inner.kept.open.take();
        let executed = Executed {
            status: done.status,
            moves: wire::moves(&done.executed),
            legal: done.legal,
            seen: Some(self.seen(inner, sight, reached, now)),
            decision: done.decision,
            told: done.told,
        };
        inner.kept.remember(Answer {
            request: request.to_owned(),
            message: match request.is_empty() {
                true => String::new(),
                false => hex(&executed.encode_to_vec()),
            },
        });
        if let Err(trouble) = self.keep(inner) {
            inner.kept.before = before;
            inner.kept.step -= 1;
            inner.kept.open = open;
            if !request.is_empty() {
                inner.kept.answers.pop_back();
            }
            return Err(trouble);
        }
        Ok(executed)
    }
}

/// What became of a step.
struct Done {
    executed: Moves,
    status: String,
    legal: bool,
    decision: u64,
    told: String,
}

const fn word(one: Move) -> &'static str {
    match one {
        Move::Hold => "nowhere",
        Move::Up => {
            "up: it is at its most, not known, or its one replica would not serve meanwhile"
        }
        Move::Down => {
            "down: it is at its least, not known, or its one replica would not serve meanwhile"
        }
    }
}

/// What is not known of a component, or who else scales it.
fn trouble(sight: &Sight) -> Option<String> {
    let rival = sight.rival.as_ref();
    let rival = rival.map(|who| format!("{who} scales it too"));
    let stuck = |pod: &super::place::PodAsked| {
        let why = pod.infeasible.as_ref()?;
        Some(format!("the resize of pod {} is refused: {why}", pod.name))
    };
    let all: Vec<String> = rival
        .into_iter()
        .chain(sight.pods.iter().find_map(stuck))
        .chain(sight.trouble.iter().cloned())
        .collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The last rate over the mean of the five before; `None` without both.
fn rate_ratio(points: &std::collections::VecDeque<foresail_core::history::Point>) -> Option<f64> {
    const BEFORE: usize = 5;
    let last = points.back()?.value;
    let before: Vec<f64> = points
        .iter()
        .rev()
        .skip(1)
        .take(BEFORE)
        .map(|p| p.value)
        .collect();
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    (mean > 0.0).then(|| last / mean)
}
