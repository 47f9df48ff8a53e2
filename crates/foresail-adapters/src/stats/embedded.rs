//! The store in this process: the same keys as in Redis, as maps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foresail_core::quantity::time::{Span, Timestamp};

use super::{Batch, Retention, Stat};

#[derive(Debug, Default)]
struct Kept {
    /// `stats:<name>` with the end of `name:<name>`.
    names: BTreeMap<String, (VecDeque<Stat>, Timestamp)>,
    /// `ip:<ip>` with its end.
    machines: BTreeMap<String, (serde_json::Value, Timestamp)>,
}

/// Samples in this process; gone with it.
#[derive(Debug)]
pub struct Embedded {
    retention: Retention,
    kept: Mutex<Kept>,
}

impl Embedded {
    /// An empty one.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// What is kept, and for how long.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a batch; a sample that is not newer than the newest is one that came before.
    pub fn put(&self, batch: &Batch, now: Timestamp) {
        let life = i64::try_from(self.retention.life.as_nanos()).unwrap_or(i64::MAX);
        let until = now + Span::from_nanos(life);
        let mut kept = self.kept();
        let machine = (batch.machine.clone(), until);
        kept.machines.insert(batch.ip.clone(), machine);
        for stat in &batch.stats {
            let (list, end) = kept.names.entry(stat.name.clone()).or_default();
            *end = until;
            if list.front().is_some_and(|s| s.timestamp >= stat.timestamp) {
                continue;
            }
            let mut stat = stat.clone();
            stat.ts = now.nanos() as f64 / 1e9;
            list.push_front(stat);
            list.truncate(self.retention.kept);
        }
    }

    /// The newest samples of one name, newest first.
    #[must_use]
    pub fn newest(&self, name: &str, most: usize) -> Vec<Stat> {
        let kept = self.kept();
        let found = kept.names.get(name);
        found.map_or_else(Vec::new, |(list, _)| {
            list.iter().take(most).cloned().collect()
        })
    }

    /// Every name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.kept().names.keys().cloned().collect()
    }

    /// Forgets what was silent for too long; how many names that were.
    pub fn purge(&self, now: Timestamp) -> usize {
        let mut kept = self.kept();
        let before = kept.names.len();
        kept.names.retain(|_, (_, until)| *until > now);
        kept.machines.retain(|_, (_, until)| *until > now);
        before - kept.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::stat;
    use super::*;

    fn batch(name: &str, second: i64) -> Batch {
        Batch {
            ip: "10.0.0.1".to_owned(),
            machine: serde_json::json!({}),
            stats: vec![stat(name, second, second as f64)],
        }
    }

    #[test]
    fn of_1500_samples_1440_are_kept_and_a_silent_name_goes_after_a_day() {
        let store = Embedded::new(Retention::default());
        for minute in 0..1500 {
            let at = Timestamp::from_seconds(minute * 60);
            store.put(&batch("a/b/c", minute * 60), at);
            store.put(&batch("a/b/c", minute * 60), at);
        }
        let all = store.newest("a/b/c", 5000);
        assert_eq!(all.len(), 1440, "each once, the newest");
        assert_eq!(all[0].timestamp, Timestamp::from_seconds(1499 * 60));
        let last = 1499 * 60 + 86_400;
        assert_eq!(store.purge(Timestamp::from_seconds(last - 1)), 0);
        assert_eq!(store.purge(Timestamp::from_seconds(last)), 1);
        assert!(store.names().is_empty() && store.newest("a/b/c", 1).is_empty());
    }
}
