//! To whom requests go: a list that may change while they do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is called in tables: a pod, or its address.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Servers that take turns.
#[derive(Debug, Default)]
pub struct Targets {
    version: AtomicU64,
    list: Mutex<Vec<Target>>,
}

impl Targets {
    /// A list that may be replaced.
    #[must_use]
    pub fn new(list: Vec<Target>) -> Self {
        Self {
            version: AtomicU64::new(1),
            list: Mutex::new(list),
        }
    }

    /// Replaces the list: from here on requests go to these alone, those under way come to their end.
    pub fn set(&self, list: Vec<Target>) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = list;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The list as it is.
    #[must_use]
    pub fn list(&self) -> Vec<Target> {
        self.list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A number that changes with the list.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
