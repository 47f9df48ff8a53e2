//! Objects that are pushed to and read from at once; the fleet is made once per revision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::LiveSource;
use super::build::LiveObject;
use super::model::{Fleet, FleetRow, ObjectPage, VERSION};

/// Namespace and name.
type Key = (String, String);

/// An object with its row, which is made once per change.
#[derive(Debug)]
struct Shelved {
    object: LiveObject,
    row: Option<FleetRow>,
}

/// A fleet as it was at a revision.
type Kept = Option<(u64, Arc<Fleet>)>;

/// Every object of a source; whoever fills it calls [`LiveStore::update`], whoever shows it asks
/// it as a [`LiveSource`].
#[derive(Debug, Default)]
pub struct LiveStore {
    title: String,
    objects: RwLock<BTreeMap<Key, Shelved>>,
    revision: AtomicU64,
    fleet: RwLock<Kept>,
}

impl LiveStore {
    /// An empty store of this title.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            ..Self::default()
        }
    }

    /// Changes an object, which `begin` makes where there is none yet.
    pub fn update(
        &self,
        namespace: &str,
        name: &str,
        begin: impl FnOnce() -> LiveObject,
        change: impl FnOnce(&mut LiveObject),
    ) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let shelved = objects.entry(key).or_insert_with(|| Shelved {
            object: begin(),
            row: None,
        });
        change(&mut shelved.object);
        shelved.row = shelved.object.row();
        drop(objects);
        self.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes a whole object in; one of the same name gives way.
    pub fn put(&self, object: LiveObject) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let key = (object.namespace().to_owned(), object.name().to_owned());
        let row = object.row();
        objects.insert(key, Shelved { object, row });
        drop(objects);
        self.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets an object.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        if objects.remove(&key).is_some() {
            drop(objects);
            self.revision.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Objects that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.len()
    }

    /// `true` where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make(&self) -> Fleet {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<_> = objects.values().filter_map(|s| s.row.clone()).collect();
        let priced = objects.values().next().map(|s| s.object.cost_unit());
        Fleet {
            v: VERSION,
            at: rows.iter().map(|r| r.at).max().unwrap_or_default(),
            title: self.title.clone(),
            cost_unit: priced.unwrap_or("replica-hours").to_owned(),
            rows,
        }
    }
}

impl LiveSource for LiveStore {
    fn fleet(&self) -> Arc<Fleet> {
        // Read first: what changes meanwhile has a later revision and is made again.
        let revision = self.revision();
        let kept = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, fleet)) = &*kept
            && *at == revision
        {
            return Arc::clone(fleet);
        }
        drop(kept);
        let fleet = Arc::new(self.make());
        let mut kept = self.fleet.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((revision, Arc::clone(&fleet)));
        fleet
    }

    fn object(&self, namespace: &str, name: &str) -> Option<ObjectPage> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        objects.get(&key).and_then(|s| s.object.page())
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }
}
