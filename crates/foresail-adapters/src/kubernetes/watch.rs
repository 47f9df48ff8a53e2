//! Watches: each in a task of its own with a backoff of its own, into a map that others read.
//!
//! kube's `Controller` merges its watches under one backoff, and one that is refused for ever
//! starves the others (specs/reliability.md 0.1); so none are merged here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::fault::Fault;

/// The server ends a watch after so long, and it is begun again: a dead one is found soon.
pub const LIFE: Duration = Duration::from_secs(60);

/// Waits between two attempts: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// An object by namespace and name.
pub type Key = (String, String);

/// What a watch shows, pruned to `T`.
#[derive(Debug)]
pub struct Watched<T> {
    inner: Mutex<Inner<T>>,
    /// The kind, for people.
    pub what: &'static str,
}

#[derive(Debug)]
struct Inner<T> {
    objects: BTreeMap<Key, Arc<T>>,
    /// Objects of lists that are still being read, by namespace; the empty one is all.
    listing: BTreeMap<String, BTreeMap<Key, Arc<T>>>,
    /// Namespaces whose first list was whole.
    synced: BTreeSet<String>,
    /// So many of them are watched.
    scopes: usize,
    /// When the server last said anything.
    heard: Option<Instant>,
    /// Why it does not answer.
    trouble: Option<String>,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there, perhaps in another form.
    Applied(Key),
    /// It is gone.
    Deleted(Key),
}

impl<T> Watched<T> {
    /// Nothing is known yet; `scopes` is how many watches fill it (one for all namespaces).
    #[must_use]
    pub fn new(what: &'static str, scopes: usize) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            synced: BTreeSet::new(),
            scopes,
            heard: None,
            trouble: None,
        };
        Self {
            inner: Mutex::new(inner),
            what,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner<T>) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One object.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.with(|inner| inner.objects.get(&key).cloned())
    }

    /// The objects of a namespace that are chosen, by name.
    #[must_use]
    pub fn select(&self, namespace: &str, choose: impl Fn(&T) -> bool) -> Vec<(String, Arc<T>)> {
        let from = (namespace.to_owned(), String::new());
        self.with(|inner| {
            let all = inner.objects.range(from..);
            all.take_while(|((n, _), _)| n == namespace)
                .filter(|(_, object)| choose(object))
                .map(|((_, name), object)| (name.clone(), Arc::clone(object)))
                .collect()
        })
    }

    /// Every key.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.with(|inner| inner.objects.keys().cloned().collect())
    }

    /// How many objects there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|inner| inner.objects.len())
    }

    /// `true` once everything was seen at least once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.with(|inner| inner.synced.len() >= inner.scopes)
    }

    /// Time since the server last said anything; `None` before it first did.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.with(|inner| inner.heard.map(|at| at.elapsed()))
    }

    /// Why the server does not answer, while it does not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.with(|inner| inner.trouble.clone())
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Takes in an event; the answer is what changed.
    fn take<K: Resource>(
        &self,
        scope: &str,
        event: Event<K>,
        prune: &impl Fn(K, Option<&T>) -> T,
    ) -> Vec<Change> {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        self.with(|inner| {
            inner.heard = Some(Instant::now());
            inner.trouble = None;
            match event {
                Event::Init => {
                    inner.listing.insert(scope.to_owned(), BTreeMap::new());
                    Vec::new()
                }
                Event::InitApply(object) => {
                    let key = key(&object);
                    let before = inner.objects.get(&key).map(|old| &**old);
                    let kept = Arc::new(prune(object, before));
                    inner
                        .listing
                        .entry(scope.to_owned())
                        .or_default()
                        .insert(key, kept);
                    Vec::new()
                }
                Event::InitDone => {
                    let listed = inner.listing.remove(scope).unwrap_or_default();
                    let is_ours = |k: &Key| scope.is_empty() || k.0 == scope;
                    let gone = inner
                        .objects
                        .keys()
                        .filter(|k| is_ours(k) && !listed.contains_key(*k));
                    let gone: Vec<Key> = gone.cloned().collect();
                    for key in &gone {
                        inner.objects.remove(key);
                    }
                    let there: Vec<_> = listed.keys().cloned().map(Change::Applied).collect();
                    inner.objects.extend(listed);
                    inner.synced.insert(scope.to_owned());
                    let gone = gone.into_iter().map(Change::Deleted);
                    there.into_iter().chain(gone).collect()
                }
                Event::Apply(object) => {
                    let key = key(&object);
                    let before = inner.objects.get(&key).map(|old| &**old);
                    let kept = Arc::new(prune(object, before));
                    inner.objects.insert(key.clone(), kept);
                    vec![Change::Applied(key)]
                }
                Event::Delete(object) => {
                    let key = key(&object);
                    inner.objects.remove(&key);
                    vec![Change::Deleted(key)]
                }
            }
        })
    }

    fn fail(&self, why: String) {
        self.with(|inner| inner.trouble = Some(why));
    }
}

/// Runs a watch of one namespace, or of all, until its task is ended; what changes goes to `told`, where anybody listens.
///
/// `prune` makes what is kept of an object that came; it is shown what was kept of it before.
///
/// The server ends it after `life`, and it is begun again; `api`'s client gives up one that says nothing for longer.
/// A full channel makes the watch wait: nothing is dropped.
pub async fn run<K, T>(
    api: Api<K>,
    (scope, life): (Option<String>, Duration),
    watched: Arc<Watched<T>>,
    prune: impl Fn(K, Option<&T>) -> T,
    told: Option<mpsc::Sender<Change>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + Sync + 'static,
{
    let scope = scope.unwrap_or_default();
    let seconds = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
    let config = watcher::Config::default().timeout(seconds);
    let mut events = Box::pin(watcher::watcher(api, config));
    let mut wait = BACKOFF.0;
    // After an error the stream goes on from the version that it last saw.
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                if matches!(error, watcher::Error::WatchFailed(_)) {
                    // It had begun, so the server takes it: whoever cuts it is no reason to wait longer.
                    wait = BACKOFF.0;
                }
                let why = fault_of(error).to_string();
                tracing::debug!(watch = watched.what, why, "watch interrupted");
                watched.fail(why);
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
                continue;
            }
        };
        wait = BACKOFF.0;
        for change in watched.take(&scope, event, &prune) {
            if let Some(told) = &told
                && told.send(change).await.is_err()
            {
                return;
            }
        }
    }
}

fn fault_of(error: watcher::Error) -> Fault {
    match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => e.into(),
        watcher::Error::WatchError(status) => kube::Error::Api(status).into(),
        other => Fault::Unknown(other.to_string()),
    }
}
