//! Watches: each in a task of its own with a backoff of its own, into a map that others read.
//!
//! kube's `Controller` merges its watches under one backoff, and one that is refused for ever
//! starves the others (specs/reliability.md 0.1); so none are merged here.

use std::collections::BTreeMap;
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

/// The server ends a watch after so many seconds, and it is begun again: a dead one is found soon.
const TIMEOUT_SECONDS: u32 = 60;

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
    /// Objects of a list that is still being read.
    listing: Option<BTreeMap<Key, Arc<T>>>,
    /// `true` once a first list was whole.
    synced: bool,
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
    /// Nothing is known yet.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            listing: None,
            synced: false,
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

    /// Every object of a namespace.
    #[must_use]
    pub fn of_namespace(&self, namespace: &str) -> Vec<(String, Arc<T>)> {
        let from = (namespace.to_owned(), String::new());
        self.with(|inner| {
            let all = inner.objects.range(from..);
            all.take_while(|((n, _), _)| n == namespace)
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
        self.with(|inner| inner.synced)
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
    fn take<K: Resource>(&self, event: Event<K>, prune: &impl Fn(&K) -> T) -> Vec<Change> {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        self.with(|inner| {
            inner.heard = Some(Instant::now());
            inner.trouble = None;
            match event {
                Event::Init => {
                    inner.listing = Some(BTreeMap::new());
                    Vec::new()
                }
                Event::InitApply(object) => {
                    let entry = (key(&object), Arc::new(prune(&object)));
                    inner.listing.get_or_insert_default().extend([entry]);
                    Vec::new()
                }
                Event::InitDone => {
                    let listed = inner.listing.take().unwrap_or_default();
                    let old = std::mem::replace(&mut inner.objects, listed);
                    inner.synced = true;
                    let gone = old.keys().filter(|k| !inner.objects.contains_key(*k));
                    let gone = gone.cloned().map(Change::Deleted);
                    let there = inner.objects.keys().cloned().map(Change::Applied);
                    there.chain(gone).collect()
                }
                Event::Apply(object) => {
                    let key = key(&object);
                    inner.objects.insert(key.clone(), Arc::new(prune(&object)));
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

/// Runs a watch until its task is ended; what changes goes to `told`, where anybody listens.
///
/// A full channel makes the watch wait: nothing is dropped.
pub async fn run<K, T>(
    api: Api<K>,
    watched: Arc<Watched<T>>,
    prune: impl Fn(&K) -> T,
    told: Option<mpsc::Sender<Change>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + Sync + 'static,
{
    let config = watcher::Config::default().timeout(TIMEOUT_SECONDS);
    let mut events = Box::pin(watcher::watcher(api, config));
    let mut wait = BACKOFF.0;
    // After an error the stream goes on from the version that it last saw.
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let why = fault_of(error).to_string();
                tracing::debug!(watch = watched.what, why, "watch interrupted");
                watched.fail(why);
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
                continue;
            }
        };
        wait = BACKOFF.0;
        for change in watched.take(event, &prune) {
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
