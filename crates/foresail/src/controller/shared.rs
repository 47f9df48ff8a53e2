//! What all passes share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foresail_adapters::clock::Clock;
use foresail_adapters::kubernetes::event::Events;
use foresail_adapters::kubernetes::lease::Leadership;
use foresail_adapters::kubernetes::watch::Key;
use foresail_adapters::store::{Batch, Kind, Store};
use foresail_core::admit::{Admission, Budgets, Decision, admit_one};
use foresail_core::engine::{Engine, Input, Snapshot, Tick};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::Mode;
use foresail_web::live::LiveStore;
use tokio::sync::Semaphore;

use super::jumps::Jumps;
use super::meters::Meters;
use super::options::Options;
use super::pilot::Pilot;
use super::vertical;
use super::world::World;
use crate::vertical::adviser::Learnt;

/// Writes a second, and how many at once.
/// Source: specs/reliability.md 1.1 S10b.
const WRITES: (f64, f64) = (10.0, 20.0);

/// Passes between two snapshots; between them inputs are kept.
const PASSES_PER_SNAPSHOT: u32 = 20;

/// Without any pass for so long the process is not alive.
/// Source: specs/reliability.md 1.5.
const SILENT_MAX: Duration = Duration::from_secs(120);

/// Time between two cuts of the store.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);

/// Slow work at once: fits, and the past of a demand.
const SLOW_MAX: usize = 2;

/// Replicas of every object.
#[derive(Debug, Default)]
struct Fleet {
    of: BTreeMap<Key, u32>,
    all: u64,
}

impl Fleet {
    /// Takes in an object's replicas; the answer is the sum over all.
    fn set(&mut self, key: &Key, replicas: u32) -> u64 {
        let before = self.of.insert(key.clone(), replicas).unwrap_or(0);
        self.all = self.all + u64::from(replicas) - u64::from(before);
        self.all
    }

    fn forget(&mut self, key: &Key) {
        self.all -= u64::from(self.of.remove(key).unwrap_or(0));
    }
}

/// A bucket of writes.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

/// Everything that passes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) leadership: Leadership,
    pub(crate) meters: Meters,
    pub(crate) events: tokio::sync::Mutex<Events>,
    pub(crate) slow_work: Semaphore,
    /// What the live pages show.
    pub(crate) live: Arc<LiveStore>,
    store: Store,
    admission: Mutex<Admission>,
    fleet: Mutex<Fleet>,
    bucket: Mutex<Bucket>,
    jumps: Mutex<Jumps>,
    /// The last write of a status did not get through.
    api_trouble: Mutex<bool>,
    passed_at: Mutex<Duration>,
    objects: Mutex<usize>,
    compacted_at: Mutex<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        world: World,
        options: Options,
        clock: Arc<dyn Clock>,
        leadership: Leadership,
        store: Store,
    ) -> Self {
        let now = clock.mono();
        Self {
            world,
            events: tokio::sync::Mutex::new(Events::new(&options.identity)),
            options,
            clock,
            leadership,
            meters: Meters::new(),
            slow_work: Semaphore::new(SLOW_MAX),
            live: Arc::new(LiveStore::new("Foresail")),
            store,
            admission: Mutex::new(Admission::new(Budgets::of_fleet())),
            fleet: Mutex::default(),
            bucket: Mutex::new(Bucket {
                left: WRITES.1,
                at: now,
            }),
            jumps: Mutex::default(),
            api_trouble: Mutex::new(false),
            passed_at: Mutex::new(now),
            objects: Mutex::new(0),
            compacted_at: Mutex::new(now),
        }
    }

    /// The arbiter's word on a tick. What is only told takes nothing out of the fleet's budget.
    pub(crate) fn admit(&self, key: &Key, engine: &Engine, tick: &Tick) -> Decision {
        let current = tick.targets.first().and_then(|t| t.current.replicas);
        let fleet = lock(&self.fleet).set(key, current.map_or(0, Replicas::get));
        let mut decisions = if tick.mode == Mode::Auto {
            let mut admission = lock(&self.admission);
            admission.fleet_has(fleet);
            admit_one(&mut *admission, engine, tick)
        } else {
            let mut admission = Admission::new(Budgets::of_fleet());
            admission.fleet_has(fleet);
            admit_one(&mut admission, engine, tick)
        };
        // An engine of the controller has one target, and there is a decision for each.
        decisions.swap_remove(0)
    }

    /// Gives back what the fleet's budget was charged for a way down that was not carried out: a write
    /// that is refused again and again must not use up what others may remove.
    pub(crate) fn give_back(&self, tick: &Tick, decision: &Decision) {
        // What is only told was charged nothing.
        if tick.mode == Mode::Auto {
            lock(&self.admission).refund(tick.at, decision);
        }
    }

    /// Takes a write out of the bucket; `false` where there is none left.
    pub(crate) fn bucket(&self) -> bool {
        let now = self.clock.mono();
        let mut bucket = lock(&self.bucket);
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        let filled = bucket.left + passed * WRITES.0;
        bucket.left = foresail_core::quantity::units::smaller(filled, WRITES.1);
        bucket.at = now;
        let there = bucket.left >= 1.0;
        if there {
            bucket.left -= 1.0;
        }
        there
    }

    /// `true` for one pass after the time of day jumped.
    pub(crate) fn jumped(&self) -> bool {
        lock(&self.jumps).look(&*self.clock)
    }

    /// The server answered a write, or did not.
    pub(crate) fn heard(&self, answered: bool) {
        *lock(&self.api_trouble) = !answered;
    }

    /// `true` while the server does not answer writes.
    pub(crate) fn api_trouble(&self) -> bool {
        *lock(&self.api_trouble)
    }

    /// `true` while decisions can be kept.
    pub(crate) fn store_usable(&self) -> bool {
        self.store.usable()
    }

    /// Why decisions cannot be kept, while they cannot.
    pub(crate) fn store_trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    /// Where a store that was damaged or not ours lies, and why, if this process began anew for it.
    pub(crate) fn store_set_aside(&self) -> Option<String> {
        self.store.set_aside()
    }

    /// What is stored of an object: a snapshot, and what was fed since.
    pub(crate) fn stored(&self, uid: &str) -> Option<(Snapshot, Vec<Input>)> {
        let flight = self.store.flight(uid).ok()?;
        let snapshot = serde_json::from_slice(&flight.snapshot?).ok()?;
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).ok();
        let inputs: Option<Vec<Input>> = flight.inputs.iter().map(read).collect();
        Some((snapshot, inputs.unwrap_or_default()))
    }

    /// What was learnt of an object's requests.
    pub(crate) fn learnt(&self, uid: &str) -> Option<Learnt> {
        let flight = self.store.flight(&vertical::stored_as(uid)).ok()?;
        serde_json::from_slice(&flight.snapshot?).ok()
    }

    /// Rows of the score as they were kept.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub(crate) fn score_rows(
        &self,
        uid: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Vec<u8>>, String> {
        let rows = self.store.rows(uid, Kind::Score, from, to);
        let rows = rows.map_err(|e| e.to_string())?;
        Ok(rows.into_iter().map(|r| r.bytes).collect())
    }

    /// Intents of an object that were open when a process ended.
    pub(crate) fn open_intents(&self, uid: &str) -> Vec<foresail_adapters::store::Intent> {
        let all = self.store.intents(uid).unwrap_or_default();
        all.into_iter().filter(|i| i.state.is_open()).collect()
    }

    /// Writes a batch, and waits until it is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), String> {
        let receipt = self.store.post(&batch);
        let waited = tokio::task::spawn_blocking(move || receipt.wait()).await;
        waited
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())
    }

    /// Hands a batch over; whether it reaches the disk only [`Shared::store_usable`] tells.
    pub(crate) fn post(&self, batch: &Batch) {
        if !batch.is_empty() {
            drop(self.store.post(batch));
        }
    }

    /// Hands a batch over for which nobody waits: it is on disk within a second, and what a crash takes of
    /// it is looked at anew.
    pub(crate) fn post_later(&self, batch: Batch) {
        if !batch.is_empty() {
            self.store.post_later(batch);
        }
    }

    /// Records an input that is about to be fed by other hands.
    pub(crate) fn record(&self, pilot: &mut Pilot, input: &Input) {
        if let Ok(bytes) = serde_json::to_vec(input) {
            pilot.unsaved.push(bytes);
        }
    }

    /// Records and feeds an input that yields no tick.
    pub(crate) fn input(&self, pilot: &mut Pilot, input: Input) {
        self.record(pilot, &input);
        pilot.feed(input);
    }

    /// Keeps what a restart needs: inputs, and every now and then a snapshot in their place.
    pub(crate) fn keep(&self, pilot: &mut Pilot, batch: &mut Batch) {
        let Some(engine) = &pilot.engine else { return };
        pilot.inputs = pilot.inputs.saturating_add(1);
        // While the file was closed inputs were lost: without a snapshot they would be a gap.
        let opening = self.store.openings();
        if pilot.opening != opening {
            (pilot.opening, pilot.inputs) = (opening, u32::MAX);
        }
        if pilot.inputs >= PASSES_PER_SNAPSHOT {
            if let Ok(bytes) = serde_json::to_vec(&engine.snapshot()) {
                batch.snapshot(&pilot.identity.uid, &bytes);
                pilot.inputs = 0;
            }
            pilot.unsaved.clear();
        }
        for bytes in pilot.unsaved.drain(..) {
            batch.input(&pilot.identity.uid, &bytes);
        }
    }

    /// A pass ended.
    pub(crate) fn passed(&self, objects: usize) {
        *lock(&self.passed_at) = self.clock.mono();
        *lock(&self.objects) = objects;
    }

    /// `true` while passes end, or there is nothing to do.
    pub(crate) fn is_alive(&self) -> bool {
        let idle = *lock(&self.objects) == 0 || self.epoch().is_none();
        let since = self.clock.mono().saturating_sub(*lock(&self.passed_at));
        idle || since < SILENT_MAX
    }

    /// The epoch under which this process leads.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.leadership.leads(self.clock.mono()).map(|e| e.0)
    }

    /// Brings the process's own metrics up to date.
    pub(crate) fn show_process(&self) {
        let objects = self.world.autoscalers.count();
        self.meters
            .process(objects, self.epoch().is_some(), self.store_usable());
        for (what, _, silent, _) in self.world.watches() {
            self.meters.watch(what, silent);
        }
    }

    /// Ends the store.
    pub(crate) fn close(&self) {
        if let Err(error) = self.store.clone().close() {
            tracing::warn!(%error, "the store did not close well");
        }
    }

    /// Cuts what is too old, where an hour has passed since the last time.
    pub(crate) fn compact(self: &Arc<Self>) {
        let now = self.clock.mono();
        let mut at = lock(&self.compacted_at);
        if now.saturating_sub(*at) < COMPACT_EVERY {
            return;
        }
        *at = now;
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || match shared.store.compact(shared.clock.wall()) {
            Ok(done) => tracing::debug!(?done, "store cut"),
            Err(error) => tracing::warn!(%error, "the store cannot be cut"),
        });
    }

    /// What became of the store since this was asked last.
    pub(crate) fn store_notices(&self) {
        for notice in self.store.notices() {
            tracing::warn!(?notice, "store");
        }
    }

    /// An object is gone: nothing of it is shown or kept any more.
    pub(crate) fn forget(&self, pilot: &Pilot) {
        self.meters.forget(&pilot.key);
        lock(&self.fleet).forget(&pilot.key);
        self.live.forget(&pilot.key.0, &pilot.key.1);
        let mut batch = Batch::new();
        batch.forget(&pilot.identity.uid);
        batch.forget(&vertical::stored_as(&pilot.identity.uid));
        self.post(&batch);
    }
}
