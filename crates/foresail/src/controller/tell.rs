//! What a pass leaves behind: status, events, log line, meters, store.

use std::sync::Arc;

use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::crd::status::PredictiveAutoscalerStatus;
use foresail_adapters::kubernetes::event::{self, Note};
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::scale::{FIELD_MANAGER, ScaleSeen};
use foresail_adapters::store::Batch;
use foresail_core::engine::Tick;
use foresail_core::explain::Explanation;
use foresail_core::observe::Health;
use foresail_core::quantity::time::{Span, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;

use super::Shared;
use super::act::Written;
use super::fits::Fits;
use super::health::Freeze;
use super::live;
use super::look::Look;
use super::pilot::Pilot;
use super::rivals::Claim;
use super::score;
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
    /// The store has an intent of that write.
    pub(crate) announced: bool,
    /// The version of the scale that a write named.
    pub(crate) version: Option<String>,
    /// Somebody else changed the number since the last pass.
    pub(crate) foreign: bool,
    pub(crate) hpa_failed: bool,
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
            version: None,
            foreign: false,
            hpa_failed: false,
            fresh: None,
        }
    }
}

/// What was told of an object so far.
#[derive(Debug)]
pub(crate) struct Telling {
    /// The status as it was last written; what a restart finds is the beginning.
    pub(crate) status: PredictiveAutoscalerStatus,
    written_at: Option<Timestamp>,
    would_at: Option<Timestamp>,
    pub(crate) fits: Fits,
}

impl Telling {
    pub(crate) fn new(object: &PredictiveAutoscaler) -> Self {
        let status = object.status.clone().unwrap_or_default();
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
    for note in status::notes(pilot, story) {
        post(shared, pilot, &note, story.now).await;
    }
    if let Some(note) = would_scale(pilot, story) {
        post(shared, pilot, &note, story.now).await;
    }
    let next = status::of(shared, pilot, story);
    if is_due(&pilot.telling, &next, story.now) {
        write_status(shared, pilot, next, story.now).await;
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
fn is_due(telling: &Telling, next: &PredictiveAutoscalerStatus, now: Timestamp) -> bool {
    let Some(written_at) = telling.written_at else {
        return true;
    };
    if status::matters(&telling.status, next) {
        return true;
    }
    let since = now - written_at;
    // A time of day that went back is no reason to wait.
    !(Span::ZERO..STATUS_EVERY).contains(&since) && telling.status != *next
}

async fn write_status(
    shared: &Shared,
    pilot: &mut Pilot,
    next: PredictiveAutoscalerStatus,
    now: Timestamp,
) {
    // Of the answer only that it came counts; the object in it may be one that cannot be read.
    let api: Api<PartialObjectMeta<PredictiveAutoscaler>> =
        Api::namespaced(shared.world.clients.write.clone(), &pilot.key.0);
    let fields = serde_json::json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": { "name": pilot.key.1, "uid": pilot.identity.uid },
        "status": next,
    });
    // What was stored before a rule fits no schema, and server-side apply refuses to look at it.
    let (patch, parameters) = if pilot.problems.is_empty() {
        let force = PatchParams::apply(FIELD_MANAGER).force();
        (Patch::Apply(fields), force)
    } else {
        let field_manager = Some(FIELD_MANAGER.to_owned());
        let merge = PatchParams {
            field_manager,
            ..PatchParams::default()
        };
        (Patch::Merge(fields), merge)
    };
    shared.meters.status_write();
    match call(api.patch_status(&pilot.key.1, &parameters, &patch)).await {
        Ok(_) => {
            pilot.telling.status = next;
            pilot.telling.written_at = Some(now);
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
    if let Some(told) = &story.told
        && (told.decided != told.current || story.written.is_some())
        && let Ok(bytes) = serde_json::to_vec(told)
    {
        batch.decision(uid, story.now, &bytes);
    }
    score::keep(shared, pilot, story, &mut batch);
    shared.keep(pilot, &mut batch);
    shared.post(&batch);
}
