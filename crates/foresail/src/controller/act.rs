//! The one write of a pass: fenced, announced, made once, and read back where no answer came.
//!
//! Source: specs/reliability.md 1.4.

use std::time::Duration;

use foresail_adapters::kubernetes::fault::{Fault, call, within};
use foresail_adapters::kubernetes::lease::NotLeading;
use foresail_adapters::kubernetes::resize::{self, PodSize};
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::{self, FIELD_MANAGER, ScaleSeen, Target};
use foresail_adapters::store::{Batch, Intent, IntentState};
use foresail_core::quantity::time::{Span, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};

use super::Shared;

/// The annotation that keeps an HPA's own minReplicas while we raise it.
pub(crate) const HPA_MIN: &str = "foresail.dev/min-replicas";

/// How old a decision may be when it is written.
/// Source: specs/reliability.md 1.4.
pub(crate) const DECISION_LIFE: Span = Span::from_seconds(15);

/// How long a write may take effect after the server said that it failed.
const ANSWERED_LIFE: Span = Span::from_seconds(5);

/// How long one without any answer may: it was given up after 5 s, and may have been held on its way.
/// Source: specs/reliability.md F8, a write that takes 30 s.
pub(crate) const UNANSWERED_LIFE: Span = Span::from_seconds(35);

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Written; the version that it has now.
    Applied(String),
    /// Somebody changed it first; nothing was written, and this number is not sent again.
    Stale(String),
    /// Not written: why.
    Refused(String),
    /// Not sent: the decision is dropped.
    Dropped(String),
    /// The server asks to wait, perhaps for so long; the decision is dropped.
    Busy(String, Option<Duration>),
    /// It is not known, and for how long it may still take effect.
    Unknown(String, Span),
    /// Not ours to write.
    NotLeading(String),
}

impl Written {
    fn of(fault: &Fault) -> Self {
        let told = fault.to_string();
        match fault {
            Fault::Conflict(_) => Self::Stale(told),
            Fault::Busy { after } => Self::Busy(told, *after),
            Fault::Failed(_) => Self::Unknown(told, ANSWERED_LIFE),
            Fault::Unknown(_) => Self::Unknown(told, UNANSWERED_LIFE),
            _ => Self::Refused(told),
        }
    }

    /// What a read before the write came to: nothing was sent, so nothing is unknown.
    pub(crate) fn before(fault: &Fault) -> Self {
        match Self::of(fault) {
            Self::Unknown(told, _) => Self::Dropped(told),
            other => other,
        }
    }

    /// The kind as a metric's label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Stale(_) => "stale",
            Self::Refused(_) => "refused",
            Self::Dropped(_) => "dropped",
            Self::Busy(..) => "busy",
            Self::Unknown(..) => "unknown",
            Self::NotLeading(_) => "not_leading",
        }
    }

    /// The state of the intent that goes with it.
    pub(crate) fn intent(&self) -> IntentState {
        match self {
            Self::Applied(_) => IntentState::Applied,
            Self::Stale(_) => IntentState::Superseded,
            Self::Unknown(..) => IntentState::Unknown,
            Self::Refused(_) | Self::Dropped(_) | Self::Busy(..) | Self::NotLeading(_) => {
                IntentState::NotApplied
            }
        }
    }
}

/// What is to be written, and as which decision.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) id: String,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) from: i32,
    pub(crate) to: i32,
    pub(crate) expires: Timestamp,
}

/// Whether a durable note of the intent exists; a way up may go on without, a way down may not.
///
/// # Errors
/// Why it could not be written down.
pub(crate) async fn announce(shared: &Shared, order: &Order, version: &str) -> Result<(), String> {
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let intent = Intent {
        id: order.id.clone(),
        uid: order.uid.clone(),
        from: count(order.from),
        to: count(order.to),
        resource_version: version.to_owned(),
        epoch: order.epoch,
        seq: order.seq,
        expires: order.expires,
        state: IntentState::Open,
    };
    let mut batch = Batch::new();
    batch.open_intent(&intent);
    shared.commit(batch).await
}

/// Time that the one write may take: the decision's life, and less than the lease has left.
///
/// # Errors
/// Why we may not write.
async fn fence(shared: &Shared, epoch: u64) -> Result<Duration, String> {
    let held = match shared.leadership.fence(shared.clock.mono()) {
        Ok(held) => held,
        Err(NotLeading::Unconfirmed { .. }) => shared
            .leadership
            .confirm()
            .await
            .map_err(|e| e.to_string())?,
        Err(why) => return Err(why.to_string()),
    };
    if held.0 != epoch {
        return Err(format!("epoch {epoch} is over, {} began", held.0));
    }
    let left = shared.leadership.left(shared.clock.mono());
    let most = left.saturating_sub(Duration::from_secs(1));
    Ok(most.min(Duration::from_secs(5)))
}

/// Sets a target's replicas against the version that was read.
pub(crate) async fn set_scale(
    shared: &Shared,
    target: &Target,
    read: &ScaleSeen,
    order: &Order,
) -> Written {
    let client = &shared.world.clients.write;
    let api = match shared
        .world
        .kinds
        .api(client, &order.namespace, target)
        .await
    {
        Ok(api) => api,
        Err(fault) => return Written::before(&fault),
    };
    let most = match fence(shared, order.epoch).await {
        Ok(most) => most,
        Err(why) => return Written::NotLeading(why),
    };
    // The last look before the hand-over: nothing awaits between it and the request.
    if let Err(why) = shared.leadership.fence(shared.clock.mono()) {
        return Written::NotLeading(why.to_string());
    }
    let put = scale::write(&api, &target.name, &order.namespace, read, order.to, most);
    match put.await {
        Ok(seen) => Written::Applied(seen.version),
        Err(fault) => Written::of(&fault),
    }
}

/// Why a resize was not asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unasked {
    /// Not now: others write too much, or it is not ours to write.
    #[error("{0}")]
    NotNow(String),
    /// The server's answer, or none.
    #[error("{0}")]
    Fault(Fault),
}

/// Asks for other sizes of a pod's containers. It needs no announcement: what a pod asks for is seen in
/// the pod, and the same wish twice is one.
///
/// # Errors
/// [`Unasked`]; without an answer it may have been taken.
pub(crate) async fn resize(
    shared: &Shared,
    (namespace, epoch): (&str, u64),
    (name, uid): (&str, &str),
    sizes: &PodSize,
) -> Result<(), Unasked> {
    let most = fence(shared, epoch).await.map_err(Unasked::NotNow)?;
    let api: Api<Pod> = Api::namespaced(shared.world.clients.write.clone(), namespace);
    // The last look before the hand-over: nothing awaits between it and the request.
    if let Err(why) = shared.leadership.fence(shared.clock.mono()) {
        return Err(Unasked::NotNow(why.to_string()));
    }
    let asked = resize::ask_within(most, &api, (name, uid), sizes).await;
    asked.map(drop).map_err(Unasked::Fault)
}

/// Raises or lowers an HPA's minReplicas, never below what its owner wrote.
pub(crate) async fn set_hpa_floor(
    shared: &Shared,
    hpa: (&str, &HpaSeen),
    order: &Order,
) -> Written {
    let (name, seen) = hpa;
    let api: Api<HorizontalPodAutoscaler> =
        Api::namespaced(shared.world.clients.write.clone(), &order.namespace);
    let read = match call(api.get(name)).await {
        Ok(read) => read,
        Err(fault) => return Written::before(&fault),
    };
    if read.metadata.uid.as_deref() != Some(seen.uid.as_str()) {
        return Written::Stale(format!("the HPA {name} is another one now"));
    }
    let own = own_min(&HpaSeen::from(&read));
    let kept = (order.to > own).then(|| own.to_string());
    let patch = Patch::Merge(serde_json::json!({
        "metadata": {
            "resourceVersion": read.metadata.resource_version,
            "annotations": { HPA_MIN: kept },
        },
        "spec": { "minReplicas": order.to.max(own) },
    }));
    let most = match fence(shared, order.epoch).await {
        Ok(most) => most,
        Err(why) => return Written::NotLeading(why),
    };
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    if let Err(why) = shared.leadership.fence(shared.clock.mono()) {
        return Written::NotLeading(why.to_string());
    }
    match within(most, api.patch(name, &parameters, &patch)).await {
        Ok(now) => Written::Applied(now.metadata.resource_version.unwrap_or_default()),
        Err(fault) => Written::of(&fault),
    }
}

/// The minReplicas that the HPA's owner wrote.
pub(crate) fn own_min(hpa: &HpaSeen) -> i32 {
    let kept = hpa.annotations.get(HPA_MIN).and_then(|t| t.parse().ok());
    let written = hpa.spec.as_ref().and_then(|s| s.min_replicas);
    kept.or(written).unwrap_or(1)
}

/// The minReplicas that the HPA has now.
pub(crate) fn present_min(hpa: &HpaSeen) -> i32 {
    hpa.spec.as_ref().and_then(|s| s.min_replicas).unwrap_or(1)
}

/// Writes down what became of an intent, and with it the decision that it was for.
///
/// # Errors
/// Why it could not be written down; the intent may be open in the store then.
pub(crate) async fn settle(
    shared: &Shared,
    uid: &str,
    (id, state): (&str, IntentState),
    decision: Option<(Timestamp, &[u8])>,
) -> Result<(), String> {
    let mut batch = Batch::new();
    batch.settle_intent(uid, id, state);
    if let Some((at, bytes)) = decision {
        batch.decision(uid, at, bytes);
    }
    shared.commit(batch).await
}
