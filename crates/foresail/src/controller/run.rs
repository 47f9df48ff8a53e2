//! The loop: who is due gets a pass, eight at a time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use foresail_adapters::clock::Clock;
use foresail_adapters::kubernetes::autoscaler;
use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::discover;
use foresail_adapters::kubernetes::lease::{Candidate, Epoch, Name};
use foresail_adapters::kubernetes::server_time::ServerTime;
use foresail_adapters::kubernetes::watch::{Change, Key};
use foresail_adapters::prometheus::Prometheus;
use foresail_adapters::store::{DiskFile, Limits, Opened, Store};
use foresail_models::rng::{Seed, child_seed};
use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::options::Options;
use super::pass;
use super::pilot::{Pilot, uid_of};
use super::shared::Shared;
use super::world::World;
use super::{clock, floors, http};
use crate::serve::{self, token_review::TokenReviewer};

/// A pass that takes longer is given up.
/// Source: specs/reliability.md 1.5.
const PASS_MAX: Duration = Duration::from_secs(10);

/// How long an object waits again whose pass under an earlier seat has not ended.
const LEAVING: Duration = Duration::from_millis(250);

/// How often housekeeping is done: notices of the store, floors that nobody holds any more.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How long passes under way are waited for at the end.
const LAST_PASSES: Duration = Duration::from_secs(3);

/// Runs the controller until `stop`.
///
/// # Errors
/// Where there is no cluster, an address cannot be taken, or the store is another's.
pub async fn run(options: Options, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let clock = clock::of_process();
    let time = ServerTime::new(Arc::clone(&clock));
    let clients = Clients::timed(&options.place, options.watch_life, &time).await?;
    let features = discover::features(&clients.read)
        .await
        .context("the API server does not answer")?;
    anyhow::ensure!(
        features.our_kind,
        "the server does not know PredictiveAutoscaler; install it: foresail manifests --crd | kubectl apply --server-side -f -"
    );
    tracing::info!(
        kubernetes = features.version,
        resize = features.resize,
        "connected"
    );
    let prometheus = options
        .prometheus
        .clone()
        .map(Prometheus::new)
        .transpose()?;
    let name = Name {
        namespace: options
            .own_namespace
            .clone()
            .unwrap_or_else(|| clients.namespace.clone()),
        lease: options.lease.clone(),
        identity: options.identity.clone(),
    };
    let epoch = epoch_told(&clients, &options).await;
    let seed = child_seed(Seed(0), &options.identity).0;
    let (candidate, leadership) = Candidate::new(
        clients.write.clone(),
        &name,
        options.timing,
        Arc::clone(&clock),
        (epoch, seed),
    )?;
    let store = open_store(&options, &clock)?;
    let time = (time, options.watch_life);
    let world = World::new(clients, features, prometheus, time, &options.namespaces);
    let shared = Arc::new(Shared::new(world, options, clock, leadership, store));
    let (ended, ends) = watch::channel(false);
    let ending = |mut ends: watch::Receiver<bool>| async move {
        // The sender is dropped only at the end.
        let _ = ends.wait_for(|e| *e).await;
    };
    let mut side = JoinSet::new();
    let router = http::metrics(Arc::clone(&shared));
    if let Some(address) = shared.options.metrics {
        side.spawn(http::serve(address, router, ending(ends.clone())).await?);
    }
    if let Some(address) = shared.options.probes {
        side.spawn(http::serve(address, http::probes(&shared), ending(ends.clone())).await?);
    }
    if let Some(web) = &shared.options.web {
        let mut options = web.clone();
        if shared.options.web_reviews_tokens {
            let reviewer = TokenReviewer::new(shared.world.clients.read.clone());
            options.authorizer = Some(Arc::new(reviewer));
        }
        let bound = serve::bind(options).await?;
        tracing::info!(address = %bound.address, "live pages");
        let source = Arc::clone(&shared.live);
        side.spawn(bound.serve(source, ending(ends.clone())));
    }
    let (released, release) = watch::channel(false);
    let lease = tokio::spawn(candidate.run(ending(release)));
    let (changes, changed) = mpsc::channel(1024);
    let mut watches = JoinSet::new();
    shared
        .world
        .watch(&shared.options.namespaces, &mut watches, &changes);
    drop(changes);
    Loop::new(Arc::clone(&shared)).run(changed, stop).await;
    // The order matters: no pass writes any more, then the lease is given back.
    released.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(1), lease).await;
    ended.send_replace(true);
    watches.shutdown().await;
    shared.close();
    side.shutdown().await;
    tracing::info!("ended");
    Ok(())
}

/// The highest epoch that any object's status tells: a lease that somebody deleted begins above it.
async fn epoch_told(clients: &Clients, options: &Options) -> Epoch {
    let mut highest = 0;
    let scopes: Vec<Option<&str>> = match options.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().map(|n| Some(n.as_str())).collect(),
    };
    for scope in scopes {
        highest = highest.max(autoscaler::highest_epoch(&clients.read, scope).await);
    }
    Epoch(u64::try_from(highest).unwrap_or(0))
}

fn open_store(options: &Options, clock: &Arc<dyn Clock>) -> Result<Store> {
    let folder = &options.store;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder of the store, {}", folder.display()))?;
    let file = DiskFile::new(folder.join("foresail.redb"));
    let (limits, clock) = (Limits::default(), Arc::clone(clock));
    let (store, opened) = match options.strict_store {
        true => Store::open(file, limits, clock)?,
        false => Store::open_or_wait(file, limits, clock)?,
    };
    match (&opened, store.trouble()) {
        (Some(Opened::New | Opened::Kept), None) => tracing::info!(?opened, "store"),
        (_, why) => tracing::warn!(?opened, why, "store"),
    }
    Ok(store)
}

/// A pass that ended: the pilot comes back to its seat, unless it broke down.
type Ended = (Key, u64, Option<Box<Pilot>>);

/// The place of one object: another pass under it begins only when the pilot is back.
struct Seat {
    /// Tells this seat from one that the same key had before.
    number: u64,
    /// `None` while a pass is under way.
    pilot: Option<Box<Pilot>>,
}

/// Passes by their time.
struct Loop {
    shared: Arc<Shared>,
    pilots: BTreeMap<Key, Seat>,
    /// Objects of seats that are gone, while their last pass is under way.
    leaving: BTreeMap<Key, usize>,
    /// When who is due, with the number of the order: only the newest counts.
    due: BinaryHeap<Reverse<(Duration, u64, Key)>>,
    orders: BTreeMap<Key, u64>,
    next_order: u64,
    running: JoinSet<Ended>,
    /// The epoch under which the pilots were built.
    epoch: Option<u64>,
    /// Objects that are to be looked at again once their pass ends.
    again: std::collections::BTreeSet<Key>,
    /// Objects whose next pass was due while the one before was under way.
    overdue: std::collections::BTreeSet<Key>,
}

/// A share between 0 and 1 that is an object's own.
fn share_of(text: &str) -> f64 {
    let hash = foresail_core::engine::Hash::of(text.as_bytes());
    let digits = u32::from_str_radix(&hash.as_str()[..8], 16).unwrap_or(0);
    f64::from(digits) / f64::from(u32::MAX)
}

impl Loop {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            pilots: BTreeMap::new(),
            leaving: BTreeMap::new(),
            due: BinaryHeap::new(),
            orders: BTreeMap::new(),
            next_order: 0,
            running: JoinSet::new(),
            epoch: None,
            again: std::collections::BTreeSet::new(),
            overdue: std::collections::BTreeSet::new(),
        }
    }

    fn order(&mut self, key: &Key, at: Duration) {
        self.next_order += 1;
        self.orders.insert(key.clone(), self.next_order);
        self.due.push(Reverse((at, self.next_order, key.clone())));
    }

    async fn run(
        mut self,
        mut changed: mpsc::Receiver<Change>,
        stop: impl Future<Output = ()> + Send,
    ) {
        let mut stop = std::pin::pin!(stop);
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        let mut leadership = self.shared.leadership.clone();
        loop {
            self.follow_leadership();
            self.start_due();
            let wait = self.until_next();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => self.end(ended),
                change = changed.recv() => match change {
                    Some(change) => self.take(change),
                    None => break,
                },
                () = leadership.changed() => {}
                _ = housekeeping.tick() => self.keep_house(),
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.finish().await;
    }

    /// Whoever begins to lead begins with fresh pilots; whoever ends to lead drops them.
    fn follow_leadership(&mut self) {
        let epoch = self
            .shared
            .epoch()
            .filter(|_| self.shared.world.is_synced());
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        for (key, seat) in std::mem::take(&mut self.pilots) {
            self.leave(&key, &seat);
        }
        self.due.clear();
        self.orders.clear();
        if let Some(epoch) = epoch {
            tracing::info!(epoch, identity = self.shared.options.identity, "leads");
            for key in self.shared.world.autoscalers.keys() {
                self.meet(&key);
            }
        }
    }

    /// A seat is gone; its last pass may still be under way, and no other of the object begins before
    /// that has ended.
    fn leave(&mut self, key: &Key, seat: &Seat) {
        if seat.pilot.is_none() {
            *self.leaving.entry(key.clone()).or_default() += 1;
        }
    }

    /// An object that was not seen before gets its first pass at a time of its own.
    fn meet(&mut self, key: &Key) {
        let Some(seen) = self.shared.world.autoscalers.get(&key.0, &key.1) else {
            return;
        };
        let now = self.shared.clock.mono();
        let pilot = Pilot::new(key.clone(), &seen, self.shared.clock.wall());
        let crowd = self.shared.world.autoscalers.count() > 50;
        let offset = if crowd {
            share_of(&pilot.identity.uid)
        } else {
            0.0
        };
        let first = pilot.period().seconds() * offset;
        let seat = Seat {
            number: self.next_order,
            pilot: Some(Box::new(pilot)),
        };
        self.pilots.insert(key.clone(), seat);
        self.order(key, now + Duration::from_secs_f64(first));
    }

    fn take(&mut self, change: Change) {
        if self.epoch.is_none() {
            return;
        }
        match change {
            Change::Applied(key) => self.applied(&key),
            Change::Deleted(key) => {
                self.orders.remove(&key);
                let Some(seat) = self.pilots.remove(&key) else {
                    return;
                };
                self.leave(&key, &seat);
                if let Some(pilot) = seat.pilot {
                    self.shared.forget(&pilot);
                    floors::give_back(&self.shared, &pilot);
                }
            }
        }
    }

    /// Only another generation or approval is looked at before its time: a status is our own.
    fn applied(&mut self, key: &Key) {
        let Some(object) = self.shared.world.autoscaler(key) else {
            return;
        };
        match self.pilots.get(key).map(|seat| seat.pilot.as_ref()) {
            None => self.meet(key),
            Some(None) => {
                self.again.insert(key.clone());
            }
            Some(Some(pilot)) => {
                let other = pilot.object.metadata.generation != object.metadata.generation
                    || pilot.object.metadata.annotations != object.metadata.annotations
                    || pilot.identity.uid != uid_of(&object);
                if other {
                    self.order(key, self.shared.clock.mono());
                }
            }
        }
    }

    fn start_due(&mut self) {
        let Some(epoch) = self.epoch else { return };
        let now = self.shared.clock.mono();
        while self.running.len() < self.shared.options.workers {
            let Some(Reverse((at, ..))) = self.due.peek() else {
                return;
            };
            if *at > now {
                return;
            }
            let Some(Reverse((at, order, key))) = self.due.pop() else {
                return;
            };
            if self.orders.get(&key) != Some(&order) {
                continue;
            }
            if self.leaving.contains_key(&key) {
                self.order(&key, now + LEAVING);
                continue;
            }
            let Some(seat) = self.pilots.get_mut(&key) else {
                continue;
            };
            let (Some(pilot), number) = (seat.pilot.take(), seat.number) else {
                // The pass before outlasts the period: the next begins when it ends.
                self.overdue.insert(key);
                continue;
            };
            self.shared.meters.began(now.saturating_sub(at));
            let next = at.max(now.saturating_sub(Duration::from_secs(1)));
            self.spawn(pilot, number, epoch);
            self.plan(&key, next);
        }
    }

    /// The pass after the one that begins now.
    fn plan(&mut self, key: &Key, from: Duration) {
        let object = self.shared.world.autoscaler(key);
        let period = object.map_or(15, |o| o.spec.sync_period_seconds.clamp(1, 300));
        let order = self.next_order.to_string();
        let jitter = 0.9 + 0.2 * share_of(&format!("{}/{}/{order}", key.0, key.1));
        self.order(
            key,
            from + Duration::from_secs_f64(f64::from(period) * jitter),
        );
    }

    fn spawn(&mut self, mut pilot: Box<Pilot>, seat: u64, epoch: u64) {
        let shared = Arc::clone(&self.shared);
        self.running.spawn(async move {
            let key = pilot.key.clone();
            let began = shared.clock.mono();
            let one = AssertUnwindSafe(tokio::time::timeout(
                PASS_MAX,
                pass::run(&shared, &mut pilot, epoch),
            ));
            let ended = one.catch_unwind().await;
            shared.meters.took(shared.clock.mono().saturating_sub(began));
            match ended {
                Ok(Ok(())) => (key, seat, Some(pilot)),
                Ok(Err(_)) => {
                    tracing::warn!(object = %pilot.name(), "a pass took too long and was given up");
                    (key, seat, Some(pilot))
                }
                Err(_) => {
                    tracing::error!(object = %pilot.name(), "a pass broke down; the object begins anew");
                    (key, seat, None)
                }
            }
        });
    }

    fn end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        self.shared.passed(self.pilots.len());
        let Ok((key, number, pilot)) = ended else {
            return;
        };
        let (again, overdue) = (self.again.remove(&key), self.overdue.remove(&key));
        let now = self.shared.clock.mono();
        let Some(seat) = self
            .pilots
            .get_mut(&key)
            .filter(|seat| seat.number == number)
        else {
            self.left(&key, pilot.as_deref());
            return;
        };
        match pilot {
            Some(pilot) => seat.pilot = Some(pilot),
            None => {
                self.pilots.remove(&key);
                self.meet(&key);
                // What broke down may do so again: not before its time.
                self.plan(&key, now);
                return;
            }
        }
        if overdue {
            self.order(&key, now);
        }
        if again {
            self.applied(&key);
        }
    }

    /// The last pass of a seat that is gone: the object was deleted meanwhile, or the leadership was
    /// another's.
    fn left(&mut self, key: &Key, pilot: Option<&Pilot>) {
        if let Some(count) = self.leaving.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.leaving.remove(key);
            }
        }
        let there = self.shared.world.autoscaler(key);
        if let (Some(pilot), None) = (pilot, there) {
            self.shared.forget(pilot);
            floors::give_back(&self.shared, pilot);
        }
    }

    fn until_next(&self) -> Duration {
        let now = self.shared.clock.mono();
        let full = self.running.len() >= self.shared.options.workers;
        let next = self.due.peek().filter(|_| !full && self.epoch.is_some());
        let wait = next.map(|Reverse((at, ..))| at.saturating_sub(now));
        wait.unwrap_or(Duration::from_secs(1))
            .min(Duration::from_secs(1))
    }

    fn keep_house(&self) {
        self.shared.store_notices();
        self.shared.compact();
        if self.epoch.is_some() {
            floors::sweep(&self.shared);
        }
    }

    /// Lets passes under way end, and keeps what each pilot knows.
    async fn finish(mut self) {
        let last = async {
            while let Some(ended) = self.running.join_next().await {
                self.end(ended);
            }
        };
        let _ = tokio::time::timeout(LAST_PASSES, last).await;
        self.running.abort_all();
        for pilot in self
            .pilots
            .values_mut()
            .filter_map(|seat| seat.pilot.as_mut())
        {
            let mut batch = foresail_adapters::store::Batch::new();
            pilot.inputs = u32::MAX;
            self.shared.keep(pilot, &mut batch);
            if let Some(vertical) = &mut pilot.vertical {
                vertical.keep(&pilot.identity.uid, &mut batch);
            }
            self.shared.post(&batch);
        }
    }
}
