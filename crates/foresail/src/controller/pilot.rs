//! One object under the controller: its engine, and what it remembers between two passes.

use std::collections::VecDeque;
use std::sync::Arc;

use foresail_adapters::kubernetes::autoscaler::AutoscalerSeen;
use foresail_adapters::kubernetes::convert;
use foresail_adapters::kubernetes::crd::{Mode as CrdMode, PredictiveAutoscaler};
use foresail_adapters::kubernetes::scale::ScaleSeen;
use foresail_adapters::kubernetes::watch::Key;
use foresail_adapters::store::IntentState;
use foresail_core::engine::{Engine, Input, Snapshot};
use foresail_core::explain::Identity;
use foresail_core::hpa::status::Status as HpaStatus;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{Mode, Spec, SpecProblem};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

use super::act::{DECISION_LIFE, UNANSWERED_LIFE};
use super::demand::DemandFeed;
use super::health::Ladder;
use super::options::Options;
use super::score::Scoring;
use super::tell::Telling;
use super::vertical::Vertical;

/// Writes of others within this time count together.
const FOREIGN_WITHIN: Span = Span::from_seconds(300);

/// So many of them, and the target is somebody else's.
/// Source: specs/reliability.md F38.
const FOREIGN_MAX: usize = 3;

/// How long the target is left alone then.
const FOREIGN_HOLD: Span = Span::from_seconds(900);

/// How long an advised decision may be approved.
const APPROVAL_LIFE: Span = Span::from_seconds(600);

/// Outcomes that are remembered for a store that does not take them.
const OWED_MAX: usize = 16;

/// Waits after a refused write: the first, and the longest.
/// Source: specs/reliability.md 1.4.
const REFUSED_WAIT: (Span, Span) = (Span::from_seconds(30), Span::from_seconds(600));

/// Waits where the server asks for one: the first where it does not say how long, and the longest.
/// Source: specs/reliability.md F3; whatever it asks for, a new decision is tried within the latter.
const BUSY_WAIT: (Span, Span) = (Span::from_seconds(1), Span::from_seconds(30));

/// A write of which it is not known whether it took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) id: String,
    pub(crate) seq: foresail_core::act::Seq,
    pub(crate) from: i32,
    pub(crate) to: i32,
    /// The version that it was written against.
    pub(crate) version: String,
    pub(crate) at: Timestamp,
    /// For how long it may still take effect.
    pub(crate) life: Span,
}

impl From<foresail_adapters::store::Intent> for Unresolved {
    /// What a process that ended left open.
    fn from(intent: foresail_adapters::store::Intent) -> Self {
        let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        Self {
            id: intent.id,
            seq: foresail_core::act::Seq(intent.seq),
            from: count(intent.from),
            to: count(intent.to),
            version: intent.resource_version,
            // It was begun before; nothing tells when exactly.
            at: intent.expires - DECISION_LIFE,
            life: UNANSWERED_LIFE,
        }
    }
}

/// A decision that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advised {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) decided: i32,
}

/// Replicas that others wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    /// What we last saw or wrote.
    expected: Option<i32>,
    at: VecDeque<Timestamp>,
    until: Option<Timestamp>,
}

impl Foreign {
    /// Takes in the number that is asked for; `true` where somebody else changed it.
    pub(crate) fn look(&mut self, asked: i32, acting: bool, now: Timestamp) -> bool {
        let changed = self.expected.is_some_and(|e| e != asked);
        self.expected = Some(asked);
        if changed && acting {
            self.at.push_back(now);
        }
        while self.at.front().is_some_and(|at| now - *at > FOREIGN_WITHIN) {
            self.at.pop_front();
        }
        if self.at.len() >= FOREIGN_MAX {
            self.until = Some(now + FOREIGN_HOLD);
            self.at.clear();
        }
        changed
    }

    /// We wrote this number.
    pub(crate) fn wrote(&mut self, replicas: i32) {
        self.expected = Some(replicas);
    }

    /// `true` while the target is left to whoever keeps writing it.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.until
            .is_some_and(|until| now < until && until - now <= FOREIGN_HOLD)
    }
}

/// One object under the controller.
#[derive(Debug)]
pub(crate) struct Pilot {
    pub(crate) key: Key,
    pub(crate) identity: Identity,
    pub(crate) object: Arc<PredictiveAutoscaler>,
    pub(crate) engine: Option<Engine>,
    pub(crate) problems: Vec<SpecProblem>,
    pub(crate) ladder: Ladder,
    pub(crate) hpa_status: HpaStatus,
    pub(crate) foreign: Foreign,
    pub(crate) demand: DemandFeed,
    pub(crate) telling: Telling,
    pub(crate) scoring: Scoring,
    /// Requests of the pods, where they are looked at.
    pub(crate) vertical: Option<Box<Vertical>>,
    /// CPU request of a pod in thousandths of a core, as last seen.
    pub(crate) cpu_request: Option<u32>,
    /// A write that is under way, or of which it is not known what it came to.
    pub(crate) unresolved: Option<Unresolved>,
    /// The scale as it was last read or written past the watch.
    pub(crate) scale: Option<ScaleSeen>,
    pub(crate) advised: VecDeque<Advised>,
    /// The unique name of the target, once it was seen.
    pub(crate) target_uid: Option<String>,
    /// No further up while so many pods wait for a place.
    pub(crate) ceiling: Option<u32>,
    /// Since when most of what was added last finds no place.
    pub(crate) pending_since: Option<Timestamp>,
    /// Time of the last pass.
    pub(crate) passed_at: Option<Timestamp>,
    /// Replicas that our last write added.
    pub(crate) last_step: u32,
    /// The version that our last write named: a watch that still shows it is behind.
    pub(crate) wrote_against: Option<String>,
    /// When we last wrote, as far as this process knows.
    pub(crate) wrote_at: Option<Timestamp>,
    /// Writes wait until then, after so many refusals.
    pub(crate) refused: Option<(Timestamp, Span, String)>,
    /// Passes since the last snapshot that was stored.
    pub(crate) inputs: u32,
    /// Inputs that are not stored yet.
    pub(crate) unsaved: Vec<Vec<u8>>,
    /// Which opening of the store the last of them went to.
    pub(crate) opening: u64,
    /// Outcomes that could not be stored: their intents may be open in the file.
    pub(crate) unsettled: Vec<(String, IntentState)>,
    /// When it was created or taken over by this process.
    pub(crate) since: Timestamp,
    /// What the spec came to when the engine was last built.
    built_of: Option<(Option<i64>, Option<u32>)>,
}

/// The mode that the user allows, within what the process allows.
pub(crate) fn mode_of(object: &PredictiveAutoscaler, most: Mode) -> Mode {
    let mode = match object.spec.mode {
        CrdMode::Off => Mode::Off,
        CrdMode::Shadow => Mode::Shadow,
        CrdMode::Advise => Mode::Advise,
        CrdMode::Auto => Mode::Auto,
    };
    mode.min(most)
}

/// The name under which everything of an object is stored.
pub(crate) fn uid_of(object: &PredictiveAutoscaler) -> String {
    object.metadata.uid.clone().unwrap_or_default()
}

impl Pilot {
    /// A pilot of an object that was not seen before.
    pub(crate) fn new(key: Key, seen: &AutoscalerSeen, now: Timestamp) -> Self {
        let object = Arc::clone(&seen.object);
        let identity = Identity {
            uid: uid_of(&object),
            generation: 0,
            epoch: 0,
        };
        Self {
            key,
            identity,
            telling: Telling::new(seen.status()),
            scoring: Scoring::default(),
            vertical: None,
            cpu_request: None,
            object,
            engine: None,
            problems: Vec::new(),
            ladder: Ladder::default(),
            hpa_status: HpaStatus::default(),
            foreign: Foreign::default(),
            demand: DemandFeed::default(),
            unresolved: None,
            scale: None,
            advised: VecDeque::new(),
            target_uid: None,
            ceiling: None,
            pending_since: None,
            passed_at: None,
            last_step: 0,
            wrote_against: None,
            wrote_at: None,
            refused: None,
            inputs: 0,
            unsaved: Vec::new(),
            opening: 0,
            unsettled: Vec::new(),
            since: now,
            built_of: None,
        }
    }

    /// Time between two passes.
    pub(crate) fn period(&self) -> Span {
        Span::from_seconds(i64::from(
            self.object.spec.sync_period_seconds.clamp(1, 300),
        ))
    }

    /// The spec that the engine shall have now.
    fn spec(&self, options: &Options) -> Result<Spec, Vec<SpecProblem>> {
        let mut spec = convert::engine_spec(&self.object)?;
        spec.mode = mode_of(&self.object, options.max_mode);
        spec.controller = options.hpa.clone();
        if let (Some(ceiling), Some(target)) = (self.ceiling, spec.targets.first_mut()) {
            let ceiling = i32::try_from(ceiling).unwrap_or(i32::MAX);
            let least = target.hpa.min_replicas.unwrap_or(1).max(1);
            target.hpa.max_replicas = target.hpa.max_replicas.min(ceiling).max(least);
        }
        Ok(spec)
    }

    /// Takes in the object as it is, and builds the engine anew where the spec changed: the new one
    /// goes on from the memory of the old, or from `stored`. `true` where it was built.
    ///
    /// `unreadable` says why the object cannot be read; it is empty where it can.
    pub(crate) fn take(
        &mut self,
        (object, unreadable): (Arc<PredictiveAutoscaler>, Vec<SpecProblem>),
        options: &Options,
        stored: impl FnOnce() -> Option<(Snapshot, Vec<Input>)>,
    ) -> bool {
        let of = (object.metadata.generation, self.ceiling);
        self.object = object;
        if !unreadable.is_empty() {
            self.problems = unreadable;
            self.built_of = None;
            return false;
        }
        if self.built_of == Some(of) {
            return false;
        }
        let first = self.built_of.is_none();
        self.built_of = Some(of);
        self.identity.generation = of.0.and_then(|g| u64::try_from(g).ok()).unwrap_or(0);
        let built = self.spec(options).and_then(|spec| engine_of(spec, Seed(0)));
        match built {
            Err(problems) => {
                self.problems = problems;
                false
            }
            Ok(mut engine) => {
                self.problems.clear();
                let before = match (&self.engine, first) {
                    (Some(old), _) => Some((old.snapshot(), Vec::new())),
                    (None, true) => stored(),
                    (None, false) => None,
                };
                if let Some((snapshot, since)) = before {
                    match engine.restore(snapshot) {
                        Ok(()) => since.into_iter().for_each(|input| drop(engine.feed(input))),
                        Err(error) => {
                            tracing::warn!(object = %self.name(), %error, "begins without its memory");
                        }
                    }
                }
                // Inputs of the engine before mean nothing to this one: it is kept as a whole.
                self.unsaved.clear();
                self.inputs = u32::MAX;
                self.engine = Some(engine);
                true
            }
        }
    }

    /// Another object has the target's name: nothing that was learnt of the old one holds.
    pub(crate) fn forget_target(&mut self) {
        self.engine = None;
        self.built_of = None;
        self.ladder = Ladder::default();
        self.foreign = Foreign::default();
        self.demand = DemandFeed::default();
        self.unresolved = None;
        self.scale = None;
        self.pending_since = None;
        self.ceiling = None;
        self.forget_requests();
    }

    /// The time of day went back: what the engine remembers is of times to come, and nothing new would
    /// be believed before they do. It begins anew, and nothing that is stored is taken in again.
    pub(crate) fn forget_times(&mut self) {
        self.engine = None;
        self.built_of = Some((None, self.ceiling));
        self.foreign = Foreign::default();
        self.demand = DemandFeed::default();
        self.pending_since = None;
        self.telling.written_at = None;
        self.forget_requests();
    }

    /// What was learnt of requests is of other pods, or of another time.
    fn forget_requests(&mut self) {
        if let Some(vertical) = &mut self.vertical {
            **vertical = Vertical::anew();
        }
    }

    /// `namespace/name`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.key.0, self.key.1)
    }

    /// Feeds an input that yields no tick.
    pub(crate) fn feed(&mut self, input: Input) {
        if let Some(engine) = &mut self.engine {
            engine.feed(input);
        }
    }

    /// Remembers a decision that waits for approval.
    pub(crate) fn advise(&mut self, advised: Advised) {
        self.advised.push_back(advised);
        while self.advised.len() > 256 {
            self.advised.pop_front();
        }
    }

    /// `true` where the user approved this number not long ago, by a decision that named it.
    pub(crate) fn is_approved(&self, decided: i32, now: Timestamp) -> bool {
        let named = self.object.metadata.annotations.as_ref();
        let Some(id) = named.and_then(|a| a.get(APPROVED)) else {
            return false;
        };
        let fits =
            |a: &&Advised| a.id == *id && a.decided == decided && now - a.at <= APPROVAL_LIFE;
        self.advised.iter().any(|a| fits(&a))
    }

    /// The store owes us this outcome. The first of a failure count: what was announced after the file
    /// was closed is not in it.
    pub(crate) fn owe(&mut self, id: &str, state: IntentState) {
        if self.unsettled.len() < OWED_MAX {
            self.unsettled.push((id.to_owned(), state));
        }
    }

    /// A write was refused: the next waits longer.
    pub(crate) fn refuse(&mut self, why: String, now: Timestamp) {
        let wait = self
            .refused
            .as_ref()
            .map_or(REFUSED_WAIT.0, |(_, wait, _)| {
                (*wait + *wait).min(REFUSED_WAIT.1)
            });
        self.refused = Some((now + wait, wait, why));
    }

    /// The server asked to wait: for as long as it says, or longer each time.
    pub(crate) fn postpone(&mut self, why: String, after: Option<Span>, now: Timestamp) {
        let again = self
            .refused
            .as_ref()
            .map_or(BUSY_WAIT.0, |(_, wait, _)| *wait + *wait);
        let wait = after.unwrap_or(again).min(BUSY_WAIT.1);
        self.refused = Some((now + wait, wait, why));
    }

    /// `true` while writes wait after a refusal; a time of day that went back ends the wait.
    pub(crate) fn waits(&self, now: Timestamp) -> bool {
        let begun = |until: Timestamp, wait: Span| now >= until - wait;
        self.refused
            .as_ref()
            .is_some_and(|(until, wait, _)| now < *until && begun(*until, *wait))
    }
}

/// The annotation by which a decision is approved.
pub(crate) const APPROVED: &str = "foresail.dev/approved";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn three_writes_of_others_within_five_minutes_make_the_target_theirs() {
        let mut foreign = Foreign::default();
        assert!(!foreign.look(3, true, at(0)));
        foreign.wrote(5);
        assert!(!foreign.look(5, true, at(15)));
        for (i, asked) in [3, 4, 3].into_iter().enumerate() {
            assert!(!foreign.holds(at(30)));
            assert!(foreign.look(asked, true, at(30 + 15 * i64::try_from(i).unwrap())));
        }
        assert!(foreign.holds(at(61)));
        assert!(!foreign.holds(at(60 + 900)));
    }

    #[test]
    fn what_others_do_while_we_only_watch_counts_for_nothing() {
        let mut foreign = Foreign::default();
        for (i, asked) in [1, 2, 3, 4, 5, 6].into_iter().enumerate() {
            foreign.look(asked, false, at(15 * i64::try_from(i).unwrap()));
        }
        assert!(!foreign.holds(at(90)));
    }
}
