//! What containers and nodes use, as AWARE's collector keeps it: the published keys, bounded.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `ip:<ip>` | the machine that reports, JSON | [`Retention::life`] |
//! | `name:<name>` | `{"remote_ip": ip}` | [`Retention::life`] |
//! | `names` | every name | until it is purged |
//! | `stats:<name>` | the newest samples, newest first, JSON | [`Retention::kept`] of them |
//!
//! A name is `NAMESPACE/POD/CONTAINER`, or `node/NODE`. The published collector trims its lists with
//! `LTRIM 0 1440` and so keeps 1441; here a day of minutes is 1440. Its reader asks for `GET id` where
//! its writer pushes to `stats:<name>`; here both use one schema ([`Store`]).
//! Source: FIRM, `metrics/collector/collector.py`; specs/hpa_aware_studies.md 2.4.

mod embedded;
mod exposition;
mod kubelet;
mod queue;
mod redis_store;

use std::time::Duration;

use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

pub use embedded::Embedded;
pub use exposition::{NODE, name_of, parse as parse_resource_metrics};
pub use kubelet::{Kubelets, NodeSeen, Route, ScrapeError};
pub use queue::Queue;
pub use redis_store::{RedisAccess, RedisStore};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Samples of one name.
    pub kept: usize,
    /// How long a name lives without a new sample.
    pub life: Duration,
    /// Time between two purges.
    pub purge: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            kept: 1440,
            life: Duration::from_secs(86_400),
            purge: Duration::from_secs(60),
        }
    }
}

/// One sample of one container or node, in cAdvisor's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stat {
    /// Whose.
    pub name: String,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// Processor time; absent where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuStat>,
    /// Memory; absent where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStat>,
    /// When it was taken in, in seconds since 1970: the published collector adds it.
    #[serde(default)]
    pub ts: f64,
    /// Whatever else was posted: cache, network, diskio.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// Processor time as cAdvisor writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuStat {
    /// What was used.
    pub usage: CpuUsage,
}

/// Processor time since the container began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuUsage {
    /// In nanoseconds.
    pub total: u64,
}

/// Memory as cAdvisor writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryStat {
    /// Bytes that cannot be taken away: what the HPA and the kubelet look at.
    pub working_set: u64,
}

/// Samples of one machine, taken at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its address.
    pub ip: String,
    /// What it says of itself.
    pub machine: serde_json::Value,
    /// Its samples.
    pub stats: Vec<Stat>,
}

/// Why the store did not do it; the text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metric store: {0}")]
pub struct StoreError(pub String);

/// Where samples are kept: in this process, or in Redis where processes share them.
#[derive(Clone, Debug)]
pub enum Store {
    /// In this process.
    Embedded(std::sync::Arc<Embedded>),
    /// In Redis.
    Redis(std::sync::Arc<RedisStore>),
}

impl Store {
    /// Keeps a batch; with `again` it may have been kept before, and what was is not kept twice.
    ///
    /// # Errors
    /// [`StoreError`] where Redis is away: it is then not known whether the batch was kept.
    pub async fn put(&self, batch: &Batch, now: Timestamp, again: bool) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => {
                store.put(batch, now);
                Ok(())
            }
            Self::Redis(store) => store.put(batch, now, again).await,
        }
    }

    /// The newest samples of each name, newest first; none of a name that is not known.
    ///
    /// # Errors
    /// [`StoreError`] where Redis is away.
    pub async fn newest(
        &self,
        names: &[String],
        most: usize,
    ) -> Result<Vec<Vec<Stat>>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(names.iter().map(|n| store.newest(n, most)).collect()),
            Self::Redis(store) => store.newest(names, most).await,
        }
    }

    /// Every name that is known.
    ///
    /// # Errors
    /// [`StoreError`] where Redis is away.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.names()),
            Self::Redis(store) => store.names().await,
        }
    }

    /// Forgets names that were silent for too long; how many they were.
    ///
    /// # Errors
    /// [`StoreError`] where Redis is away.
    pub async fn purge(&self, now: Timestamp) -> Result<usize, StoreError> {
        match self {
            Self::Embedded(store) => Ok(store.purge(now)),
            Self::Redis(store) => store.purge().await,
        }
    }

    /// What is kept, and for how long.
    #[must_use]
    pub fn retention(&self) -> Retention {
        match self {
            Self::Embedded(store) => store.retention(),
            Self::Redis(store) => store.retention(),
        }
    }
}

/// What a container used between its two newest samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSeen {
    /// In thousandths of a core.
    pub cpu_milli: i64,
    /// In bytes, by the newest sample.
    pub memory: u64,
    /// When the newest was measured.
    pub at: Timestamp,
    /// Time between the two.
    pub window: Span,
}

/// The usage of samples, newest first; `None` with fewer than two of different times, or where the
/// counter began anew: a rate is not known then, and what is not known is not zero.
#[must_use]
pub fn usage_of(newest_first: &[Stat]) -> Option<UsageSeen> {
    let newest = newest_first.first()?;
    let before = newest_first
        .iter()
        .find(|s| s.timestamp < newest.timestamp)?;
    let (now, then) = (newest.cpu.as_ref()?, before.cpu.as_ref()?);
    let used = now.usage.total.checked_sub(then.usage.total)?;
    let window = newest.timestamp - before.timestamp;
    let milli = u128::from(used) * 1000 / u128::try_from(window.nanos()).ok()?;
    Some(UsageSeen {
        cpu_milli: i64::try_from(milli).ok()?,
        memory: newest.memory.as_ref()?.working_set,
        at: newest.timestamp,
        window,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn stat(name: &str, second: i64, cpu_seconds: f64) -> Stat {
        Stat {
            name: name.to_owned(),
            timestamp: Timestamp::from_seconds(second),
            cpu: Some(CpuStat {
                usage: CpuUsage {
                    total: (cpu_seconds * 1e9) as u64,
                },
            }),
            memory: Some(MemoryStat {
                working_set: 1 << 20,
            }),
            ts: 0.0,
            rest: serde_json::Map::new(),
        }
    }

    #[test]
    fn usage_is_a_rate_between_two_samples_and_unknown_without() {
        let all = [stat("a", 20, 3.5), stat("a", 20, 3.5), stat("a", 10, 1.0)];
        let seen = usage_of(&all).unwrap();
        assert_eq!((seen.cpu_milli, seen.memory), (250, 1 << 20));
        assert_eq!(seen.window, Span::from_seconds(10));
        assert_eq!(usage_of(&all[..2]), None, "one moment is no rate");
        let restarted = [stat("a", 30, 0.1), stat("a", 20, 3.5)];
        assert_eq!(usage_of(&restarted), None, "a counter that began anew");
        assert_eq!(usage_of(&[]), None);
    }

    #[test]
    fn what_else_is_posted_is_kept_as_it_came() {
        let text = r#"{"name":"a","timestamp":"2026-01-01T00:00:00Z","cpu":{"usage":{"total":5}},
            "memory":{"working_set":7},"network":{"rx_bytes":9}}"#;
        let stat: Stat = serde_json::from_str(text).unwrap();
        assert_eq!(stat.rest["network"]["rx_bytes"], 9);
        let again: Stat = serde_json::from_str(&serde_json::to_string(&stat).unwrap()).unwrap();
        assert_eq!(again, stat);
    }
}
