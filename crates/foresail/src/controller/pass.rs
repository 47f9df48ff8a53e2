//! One pass of one object: look, feed, decide, admit, act, settle, tell.

use std::sync::Arc;

use foresail_adapters::kubernetes::crd::ActuationType;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::scale::{self, ScaleSeen};
use foresail_adapters::store::IntentState;
use foresail_core::act::{Outcome, Seq};
use foresail_core::admit::Decision;
use foresail_core::combine::gate::{self, GateScene};
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::Explanation;
use foresail_core::hpa::status::Write;
use foresail_core::observe::{Health, Samples};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::propose::{Absence, Basis};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::Mode;

use super::Shared;
use super::act::{self, DECISION_LIFE, Order, UNANSWERED_LIFE, Written};
use super::demand::{self, History, Past};
use super::health::{API_SILENT_MAX, Facts, Freeze, WINDOW_AFTER_JUMP};
use super::jumps::JUMP_MAX;
use super::look::{self, Look};
use super::pilot::{Advised, Pilot, Unresolved, mode_of, uid_of};
use super::rivals::{Claim, claim};
use super::score;
use super::tell::{Hold, Story};
use super::vertical;
use crate::watch::past;

/// How long most of the last step may wait for a place before nothing more is added.
/// Source: specs/reliability.md F40.
const PENDING_MAX: Span = Span::from_seconds(300);

/// Runs a pass; whatever goes wrong becomes a condition.
pub(crate) async fn run(shared: &Arc<Shared>, pilot: &mut Pilot, epoch: u64) {
    let now = shared.clock.wall();
    pilot.identity.epoch = epoch;
    let Some(seen) = shared.world.autoscalers.get(&pilot.key.0, &pilot.key.1) else {
        return;
    };
    let object = Arc::clone(&seen.object);
    if uid_of(&object) != pilot.identity.uid {
        *pilot = Pilot::new(pilot.key.clone(), &seen, now);
        pilot.identity.epoch = epoch;
    }
    let unreadable = seen.unreadable.clone();
    drop(seen);
    let uid = pilot.identity.uid.clone();
    if pilot.passed_at.is_some_and(|at| at - now > JUMP_MAX) {
        pilot.forget_times();
    }
    pilot.passed_at = Some(now);
    let begins = pilot.engine.is_none();
    let taken = (object, unreadable);
    if pilot.take(taken, &shared.options, || shared.stored(&uid)) && pilot.unresolved.is_none() {
        for intent in shared.open_intents(&uid) {
            if intent.resource_version.is_empty() {
                // It was for an HPA's floor: what that is now, the pass sees.
                settle_intent(shared, pilot, (&intent.id, IntentState::Superseded), None).await;
            } else {
                pilot.unresolved = Some(Unresolved::from(intent));
            }
        }
    }
    if begins && shared.store_set_aside().is_some() && look::demand_metric(&pilot.object).is_some()
    {
        // Nothing is left by which its forecasts were trusted.
        pilot.ladder.distrust(now);
    }
    let mut story = Story::new(now);
    // With a spec that cannot be carried out nothing is decided: the former one is not the user's any more.
    let served = pilot.engine.is_some() && pilot.problems.is_empty();
    if !pilot.problems.is_empty() {
        story.health = Health::Frozen;
    }
    if served && mode_of(&pilot.object, shared.options.max_mode) != Mode::Off {
        story = decide(shared, pilot, now).await;
        // A number that somebody changed meanwhile is looked at once more within the pass.
        if story.fresh.is_some() {
            super::tell::record(shared, pilot, &story);
            story = decide(shared, pilot, now).await;
        }
    }
    super::tell::tell(shared, pilot, &story).await;
}

async fn decide(shared: &Arc<Shared>, pilot: &mut Pilot, now: Timestamp) -> Story {
    let mut story = Story::new(now);
    let Some(engine) = &pilot.engine else {
        return story;
    };
    let rules = engine.spec().targets()[0].clone();
    let mut look = match look::look(
        &shared.world,
        &pilot.object,
        &rules,
        pilot.scale.as_ref(),
        now,
    )
    .await
    {
        Ok(look) => look,
        Err(fault) => {
            unreadable(pilot, &mut story, fault);
            return story;
        }
    };
    notice_target(pilot, &look);
    pilot.cpu_request = look.cpu_request.or(pilot.cpu_request);
    if pilot.engine.is_none() {
        // Another target under the old name: the next pass begins with a fresh engine.
        return story;
    }
    resolve(shared, pilot).await;
    settle_late(shared, pilot).await;
    look.scale = look::newest(look.scale, pilot.scale.as_ref());
    story.claim = claim(&shared.world, &pilot.object, &look);
    let acting = mode_of(&pilot.object, shared.options.max_mode) == Mode::Auto;
    let ours = story.claim == Claim::Ours(ActuationType::Scale);
    // A watch that lags shows the number before our own write: that is nobody else's.
    if pilot.wrote_against.as_ref() != Some(&look.scale.version) {
        story.foreign = pilot.foreign.look(look.scale.asked, acting && ours, now);
    }
    notice_pending(pilot, &look, now);
    take_demand(shared, pilot, &look, now).await;
    take_fits(pilot, shared);
    let health = health(shared, pilot, &look, &mut story);
    let tick = feed(shared, pilot, &look, &rules.id, health, now);
    let Some(tick) = tick else { return story };
    judge_forecast(pilot, &tick, now);
    begin_fits(shared, pilot, &tick);
    let Some(engine) = &pilot.engine else {
        return story;
    };
    let decision = shared.admit(&pilot.key, engine, &tick);
    story.told = Explanation::new(&tick, 0, engine.spec(), &pilot.identity, Some(&decision));
    let (outcome, write) = act(shared, pilot, &look, &decision, &mut story).await;
    let sent = matches!(
        story.written,
        Some(Written::Applied(_) | Written::Unknown(..))
    );
    if !sent {
        shared.give_back(&tick, &decision);
    }
    let executed = match outcome {
        Some(Outcome::Applied) => vec![(rules.id.clone(), decision.setting.clone())],
        _ => Vec::new(),
    };
    if let Some(outcome) = outcome {
        shared.input(
            pilot,
            Input::Settled {
                seq: tick.seq,
                outcome,
                executed,
            },
        );
    }
    if let Some(target) = tick.targets.first() {
        let taken = pilot.hpa_status.take(&rules.rules, target, write);
        story.hpa_failed = taken.failed;
    }
    // Last, when it is known whether this pass moved replicas.
    vertical::step(shared, pilot, &look, &mut story).await;
    story.latency = score::latency(shared, pilot, now).await;
    story.tick = Some(tick);
    story.look = Some(look);
    story
}

/// Writes down what became of an intent; where that fails it is made up for later.
async fn settle_intent(
    shared: &Shared,
    pilot: &mut Pilot,
    (id, state): (&str, IntentState),
    decision: Option<(Timestamp, &[u8])>,
) -> bool {
    let settled = act::settle(shared, &pilot.identity.uid, (id, state), decision).await;
    pilot.unsettled.retain(|(owed, _)| owed != id);
    if let Err(why) = &settled {
        tracing::warn!(object = %pilot.name(), decision_id = id, why, "the outcome is not stored");
        pilot.owe(id, state);
    }
    settled.is_ok()
}

/// Outcomes that the store did not take when they became known: an intent that stays open in the file
/// would refuse every later one.
async fn settle_late(shared: &Shared, pilot: &mut Pilot) {
    if pilot.unsettled.is_empty() {
        return;
    }
    let open = shared.open_intents(&pilot.identity.uid);
    if !shared.store_usable() {
        return;
    }
    for (id, state) in std::mem::take(&mut pilot.unsettled) {
        if open.iter().any(|intent| intent.id == id) {
            settle_intent(shared, pilot, (&id, state), None).await;
        }
    }
}

fn unreadable(pilot: &mut Pilot, story: &mut Story, fault: Fault) {
    pilot.hpa_status.scale_unreadable();
    story.fault = Some(fault);
}

/// Another object under the old name begins anew (F39).
fn notice_target(pilot: &mut Pilot, look: &Look) {
    let uid = Some(look.scale.uid.clone());
    if pilot.target_uid.is_some() && pilot.target_uid != uid {
        pilot.forget_target();
    }
    pilot.target_uid = uid;
}

/// Finds out what became of a write without an answer.
async fn resolve(shared: &Shared, pilot: &mut Pilot) {
    let Some(open) = pilot.unresolved.clone() else {
        return;
    };
    let target = pilot.object.target();
    let fresh = match shared
        .world
        .kinds
        .api(&shared.world.clients.read, &pilot.key.0, &target)
        .await
    {
        Ok(api) => scale::read(&api, &target.name).await,
        Err(fault) => Err(fault),
    };
    // What a watch shows may be older than the write: without a fresh look nothing is known.
    let Ok(fresh) = fresh else { return };
    let moved = fresh.version != open.version;
    let since = shared.clock.wall() - open.at;
    let late = since > open.life || since < Span::ZERO - open.life;
    let (outcome, state) = match (moved, fresh.asked == open.to) {
        (true, true) => (Outcome::Applied, IntentState::Applied),
        (true, false) => (Outcome::Stale, IntentState::Superseded),
        (false, _) if late => (Outcome::Failed, IntentState::NotApplied),
        (false, _) => return,
    };
    pilot.unresolved = None;
    pilot.scale = Some(fresh);
    settle_intent(shared, pilot, (&open.id, state), None).await;
    let mut executed = Vec::new();
    if outcome == Outcome::Applied {
        pilot.foreign.wrote(open.to);
        pilot.wrote_at = Some(open.at);
        if let Some(target) = pilot
            .engine
            .as_ref()
            .and_then(|e| e.spec().targets().first())
        {
            let setting = Setting::replicas(Replicas::saturating(i64::from(open.to)));
            executed.push((target.id.clone(), setting));
        }
    }
    shared.input(
        pilot,
        Input::Settled {
            seq: open.seq,
            outcome,
            executed,
        },
    );
    tracing::info!(object = %pilot.name(), decision_id = open.id, ?outcome, "a write without an answer is known");
}

/// No further up while most of the last step has no place.
fn notice_pending(pilot: &mut Pilot, look: &Look, now: Timestamp) {
    let (waiting, _) = look.unschedulable();
    let most = waiting > 0 && 2 * waiting > pilot.last_step.max(1) as usize;
    pilot.pending_since = match (most, pilot.pending_since) {
        (false, _) => None,
        (true, since) => since.or(Some(now)),
    };
    let long = pilot
        .pending_since
        .is_some_and(|since| now - since > PENDING_MAX);
    let asked = u32::try_from(look.scale.asked).unwrap_or(0);
    pilot.ceiling = long.then_some(pilot.ceiling.unwrap_or(asked).max(1));
}

/// New points of demand; the past where it has not been asked for.
async fn take_demand(shared: &Arc<Shared>, pilot: &mut Pilot, look: &Look, now: Timestamp) {
    let Some(target) = pilot
        .engine
        .as_ref()
        .map(|e| e.spec().targets()[0].id.clone())
    else {
        return;
    };
    let query = demand::query_of(&pilot.object).map(str::to_owned);
    let (Some(server), Some(query)) = (&shared.world.prometheus, query) else {
        let points = pilot.demand.minute_of(look.demand, now);
        feed_minutes(shared, pilot, &target, &points, now);
        return;
    };
    if let History::Fetching(receiver) = &mut pilot.demand.history {
        match receiver.try_recv() {
            Ok(past) => take_past(shared, pilot, &target, past, now),
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) => return,
            Err(_) => pilot.demand.history = History::Known,
        }
    }
    if matches!(pilot.demand.history, History::Unasked) {
        begin_history(shared, pilot, std::sync::Arc::clone(server), query, now);
        return;
    }
    let points = pilot.demand.minutes(server, &query, now).await;
    feed_minutes(shared, pilot, &target, &points, now);
}

fn begin_history(
    shared: &Arc<Shared>,
    pilot: &mut Pilot,
    server: Arc<foresail_adapters::prometheus::Prometheus>,
    query: String,
    now: Timestamp,
) {
    let Some(engine) = &pilot.engine else { return };
    let remembered = engine
        .target_history(0)
        .is_some_and(|h| h.points(foresail_core::observe::Metric::Demand).len() > 60);
    if remembered {
        // The store had it: only what is missing since is asked for.
        let last = engine.target_history(0).and_then(|h| {
            h.points(foresail_core::observe::Metric::Demand)
                .back()
                .map(|p| p.at)
        });
        pilot.demand.known_until = last;
        pilot.demand.history = History::Known;
        return;
    }
    let spec = engine.spec().written().clone();
    let span = Span::from_seconds(i64::from(pilot.object.spec.forecast.history_seconds));
    let (send, receive) = tokio::sync::oneshot::channel();
    pilot.demand.history = History::Fetching(receive);
    let (shared, name) = (Arc::clone(shared), pilot.name());
    tokio::spawn(async move {
        let Ok(_turn) = shared.slow_work.acquire().await else {
            return;
        };
        match demand::fetch(server, query, spec, span, now).await {
            // The object may be gone by now; nobody waits then.
            Ok(past) => drop(send.send(past)),
            Err(why) => tracing::warn!(object = name, why, "the past of the demand is not known"),
        }
    });
}

fn take_past(shared: &Shared, pilot: &mut Pilot, target: &TargetId, past: Past, now: Timestamp) {
    pilot.demand.history = History::Known;
    pilot.demand.known_until = past.minutes.last().map(|(at, _)| *at);
    tracing::info!(object = %pilot.name(), minutes = past.minutes.len(), "the past of the demand is known");
    feed_minutes(shared, pilot, target, &past.minutes, now);
    if let (Some(engine), Some(taught)) = (&mut pilot.engine, past.taught) {
        let mut snapshot = engine.snapshot();
        snapshot.proposers = taught.proposers;
        snapshot.fallbacks = taught.fallbacks;
        if let Err(error) = engine.restore(snapshot) {
            tracing::warn!(object = %pilot.name(), %error, "forecasters begin without the past");
        }
        // What was learnt outside the record of inputs is kept as a whole.
        pilot.inputs = u32::MAX;
    }
}

fn feed_minutes(
    shared: &Shared,
    pilot: &mut Pilot,
    target: &TargetId,
    points: &[(Timestamp, f64)],
    now: Timestamp,
) {
    if points.is_empty() {
        return;
    }
    let samples = Samples {
        at: now,
        health: Health::default(),
        leading: true,
        targets: Vec::new(),
        values: past::samples(target, points),
    };
    shared.input(pilot, Input::Samples(samples));
}

fn health(shared: &Shared, pilot: &mut Pilot, look: &Look, story: &mut Story) -> Health {
    let now = story.now;
    let silent = shared.world.silent_for();
    let limit = std::time::Duration::from_nanos(API_SILENT_MAX.nanos().unsigned_abs());
    // A quiet watch is ended by the server after a minute: silence alone is no outage before that.
    let away = shared.api_trouble() && silent.is_none_or(|s| s > limit);
    let freeze = if away {
        Some(Freeze::ApiAway)
    } else if shared.jumped() {
        Some(Freeze::ClockJump)
    } else if pilot.foreign.holds(now) || matches!(story.claim, Claim::Rival(_)) {
        Some(Freeze::Rival)
    } else {
        None
    };
    if freeze == Some(Freeze::ClockJump) {
        pilot.ladder.hold_until(now + WINDOW_AFTER_JUMP);
    }
    let stale_after = i64::from(pilot.object.spec.guardrails.stale_after_seconds);
    let astray = shared.world.astray();
    let facts = Facts {
        invalid: look.has_invalid_metric(now, Span::from_seconds(stale_after)),
        store_down: !shared.store_usable(),
        astray: astray.is_some(),
        freeze,
    };
    story.health = pilot.ladder.look(&facts, now);
    story.hold = match (facts.freeze, astray, pilot.ladder.holds_until(now)) {
        (Some(freeze), ..) => Hold::Frozen(freeze),
        (None, Some(ahead), _) => Hold::Astray(ahead),
        (None, None, Some(until)) => Hold::Jumped(until),
        (None, None, None) => Hold::None,
    };
    story.health
}

fn feed(
    shared: &Shared,
    pilot: &mut Pilot,
    look: &Look,
    target: &TargetId,
    health: Health,
    now: Timestamp,
) -> Option<Tick> {
    let to_zero = pilot.hpa_status.holds("ScaledToZero") || pilot.telling.was_scaled_to_zero();
    let mut state = look.state(target.clone(), to_zero);
    state.taken_over_at = Some(pilot.since);
    let samples = Samples {
        at: now,
        health,
        leading: true,
        targets: vec![state],
        values: Vec::new(),
    };
    shared.input(pilot, Input::Samples(samples));
    shared.record(pilot, &Input::Tick { now });
    pilot.engine.as_mut()?.feed(Input::Tick { now })
}

/// Whether the forecast was good, by the engine's own gate as if nothing else held it.
fn judge_forecast(pilot: &mut Pilot, tick: &Tick, now: Timestamp) {
    let Some(engine) = &pilot.engine else { return };
    let spec = engine.spec().written();
    let scene = GateScene {
        spec: &spec.combine.gate,
        interval: spec.interval,
        startup: Span::ZERO,
        slo_broken: false,
        health: Health::Predict,
        now,
    };
    let mut good = None;
    for judged in &tick.judged {
        match &judged.proposal.basis {
            Basis::Forecast(_) => {
                let passed = gate::judge(&judged.proposal, &scene).is_none();
                good = Some(good.unwrap_or(true) && passed);
            }
            Basis::Absent(Absence::Failed) => {
                pilot.ladder.distrust(now);
                return;
            }
            _ => {}
        }
    }
    pilot.ladder.judge(good, now);
}

/// Models that are ready.
fn take_fits(pilot: &mut Pilot, shared: &Shared) {
    for bytes in pilot.telling.fits.ready() {
        let Some(engine) = &mut pilot.engine else {
            return;
        };
        let artifact = engine.store(bytes);
        shared.input(pilot, Input::Installed { artifact });
    }
}

/// Models that are asked for are fitted beside the passes.
fn begin_fits(shared: &Arc<Shared>, pilot: &mut Pilot, tick: &Tick) {
    let Some(engine) = &pilot.engine else { return };
    for request in &tick.refits {
        let place = engine.spec().index_of(&request.target);
        let Some(history) = place.and_then(|p| engine.target_history(p)) else {
            continue;
        };
        let points = || history.points(request.metric).clone();
        let fits = &mut pilot.telling.fits;
        fits.begin(Arc::clone(shared), request.clone(), points);
    }
}

/// Writes what is decided, where it may be.
async fn act(
    shared: &Arc<Shared>,
    pilot: &mut Pilot,
    look: &Look,
    decision: &Decision,
    story: &mut Story,
) -> (Option<Outcome>, Write) {
    let fine = (None, Write::Fine);
    let now = story.now;
    let (Some(told), Some(decided)) = (&story.told, decision.setting.replicas) else {
        return fine;
    };
    let id = told.id.clone();
    let decided = decided.as_i32();
    if !decision.changes() && !matches!(story.claim, Claim::Ours(ActuationType::HpaFloor)) {
        return fine;
    }
    let allowed = match mode_of(&pilot.object, shared.options.max_mode) {
        Mode::Auto => true,
        Mode::Advise => {
            pilot.advise(Advised {
                id: id.clone(),
                at: now,
                decided,
            });
            pilot.is_approved(decided, now)
        }
        Mode::Off | Mode::Shadow => false,
    };
    let Claim::Ours(how) = story.claim.clone() else {
        return fine;
    };
    if !allowed || story.health == Health::Frozen || pilot.unresolved.is_some() || pilot.waits(now)
    {
        return fine;
    }
    let order = Order {
        namespace: pilot.key.0.clone(),
        uid: pilot.identity.uid.clone(),
        id,
        epoch: pilot.identity.epoch,
        seq: decision.seq.0,
        from: look.scale.asked,
        to: decided,
        expires: now + DECISION_LIFE,
    };
    let written = match how {
        ActuationType::Scale => write_scale(shared, pilot, look, &order, story).await,
        ActuationType::HpaFloor => match floor_order(look, &order) {
            Some(order) => write_floor(shared, pilot, look, &order, story).await,
            None => return fine,
        },
    };
    settle(shared, pilot, &order, decision, written, story, how).await
}

/// The order for an HPA's minReplicas; `None` where it has the right one already.
fn floor_order(look: &Look, order: &Order) -> Option<Order> {
    let (_, hpa) = look.hpa.as_ref()?;
    let most = hpa.spec.as_ref().map_or(i32::MAX, |s| s.max_replicas);
    let least = act::own_min(hpa);
    let to = order.to.clamp(least, most.max(least));
    let from = act::present_min(hpa);
    (to != from).then(|| Order {
        from,
        to,
        ..order.clone()
    })
}

/// Writes the intent down; a way up goes on without where that fails.
async fn announce(
    shared: &Shared,
    order: &Order,
    version: &str,
    story: &mut Story,
) -> Result<(), Written> {
    let dropped =
        |why: &str| Written::Dropped(format!("not written down, so nothing goes down: {why}"));
    if let Some(why) = shared.store_trouble().filter(|_| order.to < order.from) {
        return Err(dropped(&why));
    }
    // Where that fails it may be in the file nevertheless, so the outcome is owed to it.
    story.announced = true;
    match act::announce(shared, order, version).await {
        Ok(()) => Ok(()),
        // Dropped and not refused: the next way up must not wait for it.
        Err(why) if order.to < order.from => Err(dropped(&why)),
        Err(_) => Ok(()),
    }
}

async fn write_floor(
    shared: &Shared,
    pilot: &mut Pilot,
    look: &Look,
    order: &Order,
    story: &mut Story,
) -> Written {
    let Some((name, hpa)) = &look.hpa else {
        return Written::Stale("the HPA is gone".to_owned());
    };
    // Owed before it begins: a pass that is given up midway leaves an intent that nobody looks for.
    pilot.owe(&order.id, IntentState::Superseded);
    if let Err(refused) = announce(shared, order, "", story).await {
        return refused;
    }
    act::set_hpa_floor(shared, (name, hpa), order).await
}

async fn write_scale(
    shared: &Shared,
    pilot: &mut Pilot,
    look: &Look,
    order: &Order,
    story: &mut Story,
) -> Written {
    // Before anything is read: when all want to write at once, most of them wait here.
    if !shared.bucket() {
        return Written::Dropped("too many writes at once".to_owned());
    }
    let target = pilot.object.target();
    let api = match shared
        .world
        .kinds
        .api(&shared.world.clients.read, &order.namespace, &target)
        .await
    {
        Ok(api) => api,
        Err(fault) => return Written::before(&fault),
    };
    let fresh = match scale::read(&api, &target.name).await {
        Ok(fresh) => fresh,
        Err(fault) => return Written::before(&fault),
    };
    pilot.scale = Some(fresh.clone());
    story.version = Some(fresh.version.clone());
    if fresh.asked != look.scale.asked || fresh.uid != look.scale.uid {
        let told = format!("{} replicas are asked for by now", fresh.asked);
        story.fresh = Some(fresh);
        return Written::Stale(told);
    }
    // Noted before it begins: a pass that is given up midway leaves it to be looked for.
    pilot.unresolved = Some(Unresolved {
        id: order.id.clone(),
        seq: Seq(order.seq),
        from: order.from,
        to: order.to,
        version: fresh.version.clone(),
        at: shared.clock.wall(),
        life: UNANSWERED_LIFE,
    });
    if let Err(refused) = announce(shared, order, &fresh.version, story).await {
        return refused;
    }
    let written = act::set_scale(shared, &target, &fresh, order).await;
    if let Written::Applied(version) = &written {
        let (version, asked) = (version.clone(), order.to);
        pilot.scale = Some(ScaleSeen {
            version,
            asked,
            ..fresh
        });
    }
    written
}

/// What a write came to for the engine; `None` while that is not known.
fn outcome_of(written: &Written, how: ActuationType) -> Option<Outcome> {
    match written {
        Written::Applied(_) => Some(Outcome::Applied),
        Written::Stale(_) => Some(Outcome::Stale),
        Written::Unknown(..) if how == ActuationType::Scale => None,
        _ => Some(Outcome::Failed),
    }
}

async fn settle(
    shared: &Shared,
    pilot: &mut Pilot,
    order: &Order,
    decision: &Decision,
    written: Written,
    story: &mut Story,
    how: ActuationType,
) -> (Option<Outcome>, Write) {
    let now = story.now;
    let outcome = outcome_of(&written, how);
    if let Some(told) = &mut story.told {
        told.outcome = outcome;
    }
    // What was dropped before it was announced has no intent: to settle it would cost a commit and fail.
    if story.announced {
        // The decision lies in the store before anybody is told of it, and with its outcome.
        let told = story.told.as_ref().map(serde_json::to_vec);
        let bytes = told.and_then(Result::ok);
        let decision = bytes.as_ref().map(|bytes| (now, bytes.as_slice()));
        let intent = (order.id.as_str(), written.intent());
        let settled = settle_intent(shared, pilot, intent, decision).await;
        story.kept = settled && decision.is_some();
    }
    let under_way = pilot.unresolved.take();
    shared
        .meters
        .wrote(&pilot.key, order.from, order.to, &written);
    story.written = Some(written.clone());
    match written {
        Written::Applied(_) => {
            pilot.refused = None;
            pilot.wrote_at = Some(now);
            if how == ActuationType::Scale {
                pilot.foreign.wrote(order.to);
                pilot.wrote_against.clone_from(&story.version);
                pilot.last_step = u32::try_from(order.to - order.from).unwrap_or(pilot.last_step);
            }
            (outcome, Write::Fine)
        }
        Written::Stale(_) if story.fresh.is_some() => (outcome, Write::Fine),
        Written::Stale(_) => (outcome, Write::Failed),
        // What the HPA's floor is now, the next pass sees.
        Written::Unknown(..) if how == ActuationType::HpaFloor => (outcome, Write::Failed),
        Written::Unknown(_, life) => {
            pilot.unresolved =
                under_way
                    .map(|open| Unresolved { life, ..open })
                    .or(Some(Unresolved {
                        id: order.id.clone(),
                        seq: decision.seq,
                        from: order.from,
                        to: order.to,
                        version: String::new(),
                        at: now,
                        life,
                    }));
            (outcome, Write::Failed)
        }
        Written::Busy(why, after) => {
            let after =
                after.map(|a| Span::from_seconds(i64::try_from(a.as_secs()).unwrap_or(i64::MAX)));
            // From the answer on, not from the pass's begin.
            pilot.postpone(why, after, shared.clock.wall());
            (outcome, Write::Failed)
        }
        Written::Refused(why) => {
            pilot.refuse(why, now);
            (outcome, Write::Failed)
        }
        Written::Dropped(_) => (outcome, Write::Failed),
        Written::NotLeading(_) => (outcome, Write::Fine),
    }
}

/// An engine's own inputs, for those who look on.
pub(crate) fn points_known(engine: &Engine) -> usize {
    let history = engine.target_history(0);
    history.map_or(0, |h| {
        h.points(foresail_core::observe::Metric::Demand).len()
    })
}
