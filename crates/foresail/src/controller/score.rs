//! The shadow's score: rows of what the incumbent did, judged once an hour beside the passes.

use std::sync::Arc;

use foresail_adapters::kubernetes::crd::status::{BothSides, ShadowStatus};
use foresail_adapters::store::{Batch, Kind};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{Mode, Spec};
use foresail_models::rng::Seed;
use foresail_web::live::model::{Score, Side, Verdict as Shown};
use tokio::sync::oneshot;

use super::Shared;
use super::pilot::{Pilot, mode_of};
use super::status;
use super::tell::Story;
use crate::shadow_score::{Answer, Case, Known, Row, Verdict, judge, pods_of};

/// Time between two verdicts.
const EVERY: Span = Span::from_seconds(3600);

/// The time over which rows count.
const WINDOW: Span = Span::from_seconds(7 * 86_400);

/// The score of one object.
#[derive(Debug, Default)]
pub(crate) struct Scoring {
    judged_at: Option<Timestamp>,
    under_way: Option<oneshot::Receiver<Result<Verdict, String>>>,
    /// What the status holds.
    pub(crate) status: Option<ShadowStatus>,
    /// What the live pages show.
    pub(crate) shown: Option<Score>,
}

/// Keeps the row of a pass; only while somebody else is in charge.
pub(crate) fn keep(shared: &Shared, pilot: &Pilot, story: &Story, batch: &mut Batch) {
    let mode = mode_of(&pilot.object, shared.options.max_mode);
    let Some(look) = story.look.as_ref().filter(|_| mode != Mode::Auto) else {
        return;
    };
    let row = Row {
        demand: look.demand.map(|(value, _)| value),
        paid: u32::try_from(look.scale.asked).ok(),
        ready: Some(look.ready()),
        ..Row::at(story.now)
    };
    if let Ok(bytes) = serde_json::to_vec(&row) {
        batch.row(&pilot.identity.uid, Kind::Score, story.now, &bytes);
    }
}

/// Takes in a verdict that is ready, and asks for the next where an hour has passed.
pub(crate) fn follow(shared: &Arc<Shared>, pilot: &mut Pilot, now: Timestamp) {
    let scoring = &mut pilot.scoring;
    if let Some(receiver) = &mut scoring.under_way {
        match receiver.try_recv() {
            Ok(Ok(verdict)) => {
                shared
                    .meters
                    .judged(&pilot.key, &format!("{:?}", verdict.verdict));
                scoring.status = Some(of_status(&verdict));
                scoring.shown = Some(of_page(&verdict));
            }
            Ok(Err(why)) => {
                scoring.status = Some(ShadowStatus {
                    verdict: Some("Insufficient".to_owned()),
                    why: Some(status::shortened(&why, 512)),
                    ..ShadowStatus::default()
                });
            }
            Err(oneshot::error::TryRecvError::Empty) => return,
            Err(oneshot::error::TryRecvError::Closed) => {}
        }
        pilot.scoring.under_way = None;
    }
    let due = pilot.scoring.judged_at.is_none_or(|at| now - at >= EVERY);
    let mode = mode_of(&pilot.object, shared.options.max_mode);
    if due && matches!(mode, Mode::Shadow | Mode::Advise) {
        begin(shared, pilot, now);
    }
}

fn begin(shared: &Arc<Shared>, pilot: &mut Pilot, now: Timestamp) {
    let Some(engine) = &pilot.engine else { return };
    pilot.scoring.judged_at = Some(now);
    let spec = engine.spec().written().clone();
    let startup = pilot.telling.status.startup_seconds;
    let known = Known {
        startup: startup.map(|s| Span::from_seconds(i64::from(s))),
        cpu_request_millicores: pilot
            .cpu_request
            .unwrap_or(Known::default().cpu_request_millicores),
        slo: shared.options.slo,
        ..Known::default()
    };
    let (send, receive) = oneshot::channel();
    pilot.scoring.under_way = Some(receive);
    let (shared, uid) = (Arc::clone(shared), pilot.identity.uid.clone());
    tokio::spawn(async move {
        let Ok(_turn) = shared.slow_work.acquire().await else {
            return;
        };
        let reader = Arc::clone(&shared);
        let work = move || judged(&reader, &uid, &spec, &known, now);
        let verdict = tokio::task::spawn_blocking(work).await;
        // The object may be gone by now.
        drop(send.send(verdict.unwrap_or_else(|e| Err(e.to_string()))));
    });
}

fn judged(
    shared: &Shared,
    uid: &str,
    spec: &Spec,
    known: &Known,
    now: Timestamp,
) -> Result<Verdict, String> {
    let rows = shared.score_rows(uid, now - WINDOW, now)?;
    let read = |bytes: &Vec<u8>| serde_json::from_slice::<Row>(bytes).ok();
    let rows: Vec<Row> = rows.iter().filter_map(read).collect();
    let told = |e: anyhow::Error| format!("{e:#}");
    let cluster = pods_of(spec, known).map_err(told)?;
    let case = Case {
        spec,
        cluster: &cluster,
        demand: None,
        seed: Seed(0),
    };
    judge(&rows, &case).map_err(told)
}

fn of_status(verdict: &Verdict) -> ShadowStatus {
    let both = |of: fn(&crate::shadow_score::Side) -> f64| {
        let text = |side| format!("{:.1}", of(side));
        Some(BothSides {
            incumbent: Some(text(&verdict.incumbent)),
            foresail: Some(text(&verdict.foresail)),
        })
    };
    ShadowStatus {
        since: verdict.since,
        replica_hours: both(|s| s.replica_minutes / 60.0),
        minutes_short: both(|s| s.minutes_short),
        changes: both(|s| s.changes as f64),
        intervals: i64::try_from(verdict.hours).ok(),
        verdict: Some(format!("{:?}", verdict.verdict)),
        why: Some(status::shortened(&verdict.why, 512)),
    }
}

fn of_page(verdict: &Verdict) -> Score {
    let side = |name: &str, side: &crate::shadow_score::Side| Side {
        name: name.to_owned(),
        replica_hours: side.replica_minutes / 60.0,
        short_minutes: Some(side.minutes_short),
        changes: side.changes,
    };
    let mut why = vec![verdict.why.clone()];
    why.extend(verdict.notes.iter().cloned());
    Score {
        since: verdict.since.unwrap_or_default(),
        hours: verdict.hours as f64,
        sides: vec![
            side("Foresail", &verdict.foresail),
            side("incumbent", &verdict.incumbent),
        ],
        verdict: Some(match verdict.verdict {
            Answer::Better => Shown::Better,
            Answer::Worse => Shown::Worse,
            Answer::Undecided => Shown::Undecided,
            Answer::Insufficient => Shown::Insufficient,
        }),
        why,
    }
}
