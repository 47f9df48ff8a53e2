//! The shadow's score: rows of what the incumbent did, judged once an hour beside the passes.

use std::sync::Arc;

use foresail_adapters::kubernetes::convert;
use foresail_adapters::kubernetes::crd::status::{BothSides, ShadowStatus};
use foresail_adapters::store::{Batch, Kind};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{Mode, STALE_AFTER, Spec};
use foresail_models::rng::Seed;
use foresail_web::live::model::{CostPoint, Score, Side, Verdict as Shown};
use tokio::sync::oneshot;

use super::Shared;
use super::options::{NAMESPACE, TARGET};
use super::pilot::{Pilot, mode_of};
use super::status;
use super::tell::Story;
use crate::shadow_score::{Answer, Case, Known, Row, Verdict, judge, pods_of};

/// Time between two verdicts.
const EVERY: Span = Span::from_seconds(3600);

/// Time between two looks at HPAs of other targets: each is as much work as a verdict.
const SETTINGS_EVERY: Span = Span::from_seconds(86_400);

/// The time over which rows count.
const WINDOW: Span = Span::from_seconds(7 * 86_400);

/// Latency of a target's requests at one moment; what is not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Latency {
    /// Share of the requests that broke the promise, 0 to 1.
    pub(crate) late: Option<f64>,
    /// 95 % quantile of the time until requests were answered, in seconds.
    pub(crate) p95: Option<f64>,
}

/// The score of one object.
#[derive(Debug, Default)]
pub(crate) struct Scoring {
    judged_at: Option<Timestamp>,
    under_way: Option<oneshot::Receiver<Result<Verdict, String>>>,
    /// Why latency could not be read the last time that it was asked for.
    trouble: Option<String>,
    /// What the status holds.
    pub(crate) status: Option<ShadowStatus>,
    /// What the live pages show.
    pub(crate) shown: Option<Score>,
    /// When HPAs of other targets were last asked for.
    settings_at: Option<Timestamp>,
    /// Both sides and those HPAs, as the live pages show them.
    pub(crate) frontier: Vec<CostPoint>,
}

/// A query about one target. Names of objects hold nothing that PromQL would read as more than text.
fn query_of(written: &str, namespace: &str, target: &str) -> String {
    written
        .replace(NAMESPACE, namespace)
        .replace(TARGET, target)
}

/// What a query gives, within 0 to `most`.
async fn value_of(
    shared: &Shared,
    query: Option<String>,
    most: f64,
    now: Timestamp,
) -> Result<Option<f64>, String> {
    let (Some(server), Some(query)) = (&shared.world.prometheus, query) else {
        return Ok(None);
    };
    let told = |why: &dyn std::fmt::Display| format!("the query `{query}`: {why}");
    let at = server.at(&query, now, STALE_AFTER).await;
    let at = at.map_err(|e| told(&e))?;
    if now - at.measured_at > STALE_AFTER {
        return Err(told(&format_args!("its value is of {}", at.measured_at)));
    }
    match at.value {
        // A quantile of no requests is no number: nothing is known, and nothing is wrong.
        None => Ok(None),
        Some(value) if (0.0..=most).contains(&value) => Ok(Some(value)),
        Some(value) => Err(told(&format_args!("{value} is not within 0 to {most}"))),
    }
}

/// The latency of a target's requests, while somebody else is in charge and the settings say how it
/// is asked for.
pub(crate) async fn latency(shared: &Shared, pilot: &mut Pilot, now: Timestamp) -> Latency {
    if mode_of(&pilot.object, shared.options.max_mode) == Mode::Auto {
        return Latency::default();
    }
    let target = &pilot.object.spec.scale_target_ref.name;
    let asked = |written: &Option<String>| {
        let written = written.as_ref()?;
        Some(query_of(written, &pilot.key.0, target))
    };
    let queries = &shared.options.latency;
    let (late, p95) = (asked(&queries.late), asked(&queries.p95));
    let (late, p95) = tokio::join!(
        value_of(shared, late, 1.0, now),
        value_of(shared, p95, f64::MAX, now),
    );
    let trouble = late.as_ref().err().or(p95.as_ref().err());
    pilot.scoring.trouble = trouble.cloned();
    Latency {
        late: late.unwrap_or_default(),
        p95: p95.unwrap_or_default(),
    }
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
        late: story.latency.late,
        p95: story.latency.p95,
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
                scoring.status = Some(of_status(&verdict, scoring.trouble.as_deref()));
                scoring.shown = Some(of_page(&verdict));
                if !verdict.settings.is_empty() {
                    scoring.frontier = frontier(&verdict);
                }
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
    let asked_at = pilot.scoring.settings_at;
    let settings = asked_at.is_none_or(|at| now - at >= SETTINGS_EVERY);
    if settings {
        pilot.scoring.settings_at = Some(now);
    }
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
    let demand = convert::demand_name(&pilot.object.spec);
    tokio::spawn(async move {
        let Ok(_turn) = shared.slow_work.acquire().await else {
            return;
        };
        let reader = Arc::clone(&shared);
        let work = move || {
            let rows = kept(&reader, &uid, now)?;
            judged(&rows, &spec, &known, (demand.as_deref(), settings))
        };
        let verdict = tokio::task::spawn_blocking(work).await;
        // The object may be gone by now.
        drop(send.send(verdict.unwrap_or_else(|e| Err(e.to_string()))));
    });
}

/// The rows that count at a time.
fn kept(shared: &Shared, uid: &str, now: Timestamp) -> Result<Vec<Row>, String> {
    let rows = shared.score_rows(uid, now - WINDOW, now)?;
    let read = |bytes: &Vec<u8>| serde_json::from_slice::<Row>(bytes).ok();
    Ok(rows.iter().filter_map(read).collect())
}

fn judged(
    rows: &[Row],
    spec: &Spec,
    known: &Known,
    (demand, settings): (Option<&str>, bool),
) -> Result<Verdict, String> {
    let told = |e: anyhow::Error| format!("{e:#}");
    let cluster = pods_of(spec, known).map_err(told)?;
    let case = Case {
        spec,
        cluster: &cluster,
        demand,
        settings,
        seed: Seed(0),
    };
    judge(rows, &case).map_err(told)
}

/// A verdict as the status holds it; `trouble`: why latency was not read the last time.
fn of_status(verdict: &Verdict, trouble: Option<&str>) -> ShadowStatus {
    let mut why = verdict.why.clone();
    if let Some(trouble) = trouble {
        why = format!("{why}; latency is not known: {trouble}");
    }
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
        why: Some(status::shortened(&why, 512)),
    }
}

/// Both sides and the HPAs of other targets, by replica-hours and requests that were late. One without
/// requests has no share of them.
fn frontier(verdict: &Verdict) -> Vec<CostPoint> {
    let point = |name: String, side: &crate::shadow_score::Side, present| {
        Some(CostPoint {
            name,
            cost: side.replica_minutes / 60.0,
            violations_percent: side.late_percent?,
            present,
        })
    };
    let both = [
        point("incumbent".to_owned(), &verdict.incumbent, true),
        point("Foresail".to_owned(), &verdict.foresail, false),
    ];
    let hpa = verdict.settings.iter().map(|setting| {
        let name = format!("HPA {} %", setting.target_percent);
        point(name, &setting.side, false)
    });
    both.into_iter().chain(hpa).flatten().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_about_the_target_wherever_it_is_named() {
        let written = r#"sum(rate(late{namespace="$NAMESPACE",deployment="$TARGET"}[1m])) / sum(rate(all{pod=~"$TARGET-.*"}[1m]))"#;
        let asked = query_of(written, "shop", "web");
        let want = r#"sum(rate(late{namespace="shop",deployment="web"}[1m])) / sum(rate(all{pod=~"web-.*"}[1m]))"#;
        assert_eq!(asked, want);
        assert_eq!(query_of("up", "shop", "web"), "up");
    }
}
