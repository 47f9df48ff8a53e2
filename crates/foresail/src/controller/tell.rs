//! What a pass leaves behind: status, events, log line, meters, store.

use std::sync::Arc;

use foresail_adapters::kubernetes::autoscaler::{self, StatusForm};
use foresail_adapters::kubernetes::crd::status::PredictiveAutoscalerStatus;
use foresail_adapters::kubernetes::event::{self, Note};
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::scale::ScaleSeen;
use foresail_adapters::store::Batch;
use foresail_core::engine::Tick;
use foresail_core::explain::Explanation;
use foresail_core::observe::Health;
use foresail_core::quantity::time::{Span, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;

use super::Shared;
use super::act::Written;
use super::fits::Fits;
use super::health::Freeze;
use super::live;
use super::look::Look;
use super::pilot::Pilot;
use super::rivals::Claim;
use super::score::{self, Latency};
use super::status;

/// Without a change that matters, the status is written at most so often.
/// Source: specs/product_interface.md C.3.
const STATUS_EVERY: Span = Span::from_seconds(30);

/// A wish that is not carried out is told as an event at most so often.
const WOULD_EVERY: Span = Span::from_seconds(3600);

/// What keeps a pass from writing, or from going down, beyond what its metrics say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing.
    #[default]
    None,
    /// Nothing is written.
    Frozen(Freeze),
    /// Our time of day is so far ahead of the server's.
    Astray(Span),
    /// The time of day jumped; nothing goes down before then.
    Jumped(Timestamp),
}

/// What one pass came to.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) now: Timestamp,
    pub(crate) health: Health,
    pub(crate) hold: Hold,
    pub(crate) claim: Claim,
    pub(crate) fault: Option<Fault>,
    pub(crate) look: Option<Look>,
    pub(crate) tick: Option<Tick>,
    pub(crate) told: Option<Explanation>,
    pub(crate) written: Option<Written>,
    /// An intent of that write was handed to the store.
    pub(crate) announced: bool,
    /// The store has the decision already, with what became of it.
    pub(crate) kept: bool,
    /// The version of the scale that a write named.
    pub(crate) version: Option<String>,
    /// Somebody else changed the number since the last pass.
    pub(crate) foreign: bool,
    pub(crate) hpa_failed: bool,
    /// Latency of the target's requests, where it is asked for.
    pub(crate) latency: Latency,
    /// What became of requests.
    pub(crate) resized: Vec<Note>,
    /// The scale as it is by now, where it is another than what was decided on.
    pub(crate) fresh: Option<ScaleSeen>,
}

impl Story {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            health: Health::Guarded,
            hold: Hold::None,
            claim: Claim::Ours(foresail_adapters::kubernetes::crd::ActuationType::Scale),
            fault: None,
            look: None,
            tick: None,
            told: None,
            written: None,
            announced: false,
            kept: false,
            version: None,
            foreign: false,
            hpa_failed: false,
            latency: Latency::default(),
            resized: Vec::new(),
            fresh: None,
        }
    }
}

/// What was told of an object so far.
#[derive(Debug)]
pub(crate) struct Telling {
    /// The status as it was last written, but for its last decision, which is most of it and is made anew by each
    /// pass; what a restart finds is the beginning.
    pub(crate) status: PredictiveAutoscalerStatus,
    pub(crate) written_at: Option<Timestamp>,
    would_at: Option<Timestamp>,
    pub(crate) fits: Fits,
}

impl Telling {
    /// Goes on from a status as it was found.
    pub(crate) fn new(found: PredictiveAutoscalerStatus) -> Self {
        let status = PredictiveAutoscalerStatus {
            last_decision: None,
            ..found
        };
        Self {
            status,
            written_at: None,
            would_at: None,
            fits: Fits::default(),
        }
    }

    /// `true` where the status says that we went to zero.
    pub(crate) fn was_scaled_to_zero(&self) -> bool {
        let mut all = self.status.conditions.iter();
        all.any(|c| c.type_ == "ScaledToZero" && c.status == "True")
    }
}

/// Tells what a pass came to, to everybody.
pub(crate) async fn tell(shared: &Arc<Shared>, pilot: &mut Pilot, story: &Story) {
    shared.meters.passed(pilot, story);
    score::follow(shared, pilot, story.now);
    record(shared, pilot, story);
    let notes = status::notes(pilot, story);
    for note in notes.into_iter().chain(status::store_note(shared, pilot)) {
        post(shared, pilot, &note, story.now).await;
    }
    for note in &story.resized {
        post(shared, pilot, note, story.now).await;
    }
    if let Some(note) = would_scale(pilot, story) {
        post(shared, pilot, &note, story.now).await;
    }
    let next = status::of(shared, pilot, story);
    if is_due(&pilot.telling, &next, story) {
        write_status(shared, pilot, next, story).await;
    }
    // Without pages nobody would look at it, and it takes about 50 KB an object.
    if shared.options.web.is_some() {
        live::publish(shared, pilot, story, story.told.as_ref());
    }
}

/// Writes a decision down, before anything that waits for the server: a pass may be given up then.
pub(crate) fn record(shared: &Shared, pilot: &mut Pilot, story: &Story) {
    log(pilot, story);
    store(shared, pilot, story);
}

/// One line of the log a decision, with its numbers; only what was or should have been written is
/// told at level info.
fn log(pilot: &Pilot, story: &Story) {
    let object = pilot.name();
    let Some(told) = &story.told else {
        if let Some(fault) = &story.fault {
            tracing::debug!(object, why = %fault, "the target cannot be read");
        }
        return;
    };
    let (from, to) = (status::current(told), status::decided(told));
    let floor = told.reactive.map(|r| r.as_i32());
    let (health, version) = (format!("{:?}", story.health), story.version.as_deref());
    let decision_id = &told.id;
    match &story.written {
        Some(written @ Written::Applied(_)) => {
            let outcome = written.label();
            tracing::info!(
                object,
                decision_id,
                from,
                to,
                floor,
                health,
                outcome,
                version,
                "{told}"
            );
        }
        Some(other) => {
            let outcome = other.label();
            tracing::warn!(object, decision_id, from, to, floor, health, outcome, version, why = ?other, "not written");
        }
        None => tracing::debug!(object, decision_id, from, to, floor, health, "{told}"),
    }
}

/// A wish that is only told: in Shadow at most once an hour, in Advise each new one.
fn would_scale(pilot: &mut Pilot, story: &Story) -> Option<Note> {
    use foresail_core::spec::Mode;
    let told = story.told.as_ref()?;
    if told.decided == told.current || story.written.is_some() {
        return None;
    }
    let (reason, every) = match told.mode {
        Mode::Shadow => ("WouldScale", WOULD_EVERY),
        Mode::Advise => ("Recommended", Span::from_seconds(300)),
        Mode::Off | Mode::Auto => return None,
    };
    let lately = pilot
        .telling
        .would_at
        .is_some_and(|at| story.now - at < every);
    if lately {
        return None;
    }
    pilot.telling.would_at = Some(story.now);
    Some(Note {
        warning: false,
        reason: reason.to_owned(),
        text: format!("{told} [{}]", told.id),
        action: "Decide",
    })
}

fn reference(pilot: &Pilot) -> ObjectReference {
    ObjectReference {
        api_version: Some("autoscaling.foresail.dev/v1alpha1".to_owned()),
        kind: Some("PredictiveAutoscaler".to_owned()),
        namespace: Some(pilot.key.0.clone()),
        name: Some(pilot.key.1.clone()),
        uid: Some(pilot.identity.uid.clone()),
        ..ObjectReference::default()
    }
}

async fn post(shared: &Shared, pilot: &mut Pilot, note: &Note, now: Timestamp) {
    let sending = {
        let mut events = shared.events.lock().await;
        events.prepare(&reference(pilot), note, now)
    };
    shared.meters.told_event();
    if let Err(fault) = event::send(&shared.world.clients.write, &pilot.key.0, sending).await {
        tracing::debug!(object = %pilot.name(), why = %fault, "an event is lost");
    }
}

/// `true` where what changed matters, or enough time went by since the last write.
fn is_due(telling: &Telling, next: &PredictiveAutoscalerStatus, story: &Story) -> bool {
    let Some(written_at) = telling.written_at else {
        return true;
    };
    if status::matters(&telling.status, next) {
        return true;
    }
    let since = story.now - written_at;
    // A time of day that went back is no reason to wait. Each decision is another.
    let differs = story.told.is_some() || telling.status != *next;
    !(Span::ZERO..STATUS_EVERY).contains(&since) && differs
}

/// The decision that a status tells: this pass's, or the one before, which the watch still shows.
fn last_decision(shared: &Shared, pilot: &Pilot, story: &Story) -> Option<serde_json::Value> {
    match &story.told {
        Some(told) => status::as_value(told),
        None => {
            let seen = shared.world.autoscalers.get(&pilot.key.0, &pilot.key.1)?;
            seen.status().last_decision
        }
    }
}

async fn write_status(
    shared: &Shared,
    pilot: &mut Pilot,
    mut next: PredictiveAutoscalerStatus,
    story: &Story,
) {
    next.last_decision = last_decision(shared, pilot, story);
    shared.meters.status_write();
    let client = &shared.world.clients.write;
    let named = (pilot.key.1.as_str(), pilot.identity.uid.as_str());
    let form = if pilot.problems.is_empty() {
        StatusForm::Applied
    } else {
        StatusForm::Merged
    };
    match autoscaler::write_status(client, &pilot.key.0, named, &next, form).await {
        Ok(()) => {
            next.last_decision = None;
            pilot.telling.status = next;
            pilot.telling.written_at = Some(story.now);
            shared.heard(true);
        }
        Err(fault) => {
            shared.heard(!fault.is_away());
            tracing::debug!(object = %pilot.name(), why = %fault, "the status is not written");
        }
    }
}

/// Keeps the decision where it changes something, and the row that the score is judged by.
fn store(shared: &Shared, pilot: &mut Pilot, story: &Story) {
    let mut batch = Batch::new();
    let uid = &pilot.identity.uid;
    let changes = |told: &&Explanation| told.decided != told.current || story.written.is_some();
    let decision = story.told.as_ref().filter(changes);
    if let Some(told) = decision.filter(|_| !story.kept)
        && let Ok(bytes) = serde_json::to_vec(told)
    {
        batch.decision(uid, story.now, &bytes);
    }
    score::keep(shared, pilot, story, &mut batch);
    shared.keep(pilot, &mut batch);
    match decision {
        Some(_) => shared.post(&batch),
        None => shared.post_later(batch),
    }
}
