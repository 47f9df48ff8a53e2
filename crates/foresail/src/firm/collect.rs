//! The collector's loop: scrape each kubelet, queue, write to the store, purge.

use std::sync::Arc;
use std::time::Duration;

use foresail_adapters::clock::Clock;
use foresail_adapters::stats::{Batch, Kubelets, NodeSeen, Queue, Store};
use futures_util::future::join_all;

/// Batches that wait while the store is away: an hour of a node's minutes, or ten minutes of six nodes.
pub const ROOM: usize = 60;

/// Waits for a store that is away: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What is collected, how often, and where it goes.
#[derive(Debug)]
pub struct Collector {
    /// The kubelets; absent: only what is posted.
    pub kubelets: Option<Kubelets>,
    /// These nodes; all where empty.
    pub nodes: Vec<String>,
    /// Time between two scrapes of a node.
    pub every: Duration,
    /// Where samples go.
    pub store: Store,
    /// What waits to be written.
    pub queue: Arc<Queue<Batch>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Collector {
    /// Collects until it is dropped.
    pub async fn run(&self) {
        tokio::join!(self.scrape(), self.write(), self.purge());
    }

    async fn scrape(&self) {
        let Some(kubelets) = &self.kubelets else {
            return;
        };
        let mut tick = tokio::time::interval(self.every);
        // A late scrape is not made up for: two at once say no more than one.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut known: Vec<NodeSeen> = Vec::new();
        loop {
            tick.tick().await;
            match kubelets.nodes(&self.nodes).await {
                Ok(nodes) => known = nodes,
                Err(fault) => tracing::warn!(%fault, "the nodes are those that were seen before"),
            }
            join_all(known.iter().map(|node| self.scrape_one(kubelets, node))).await;
        }
    }

    async fn scrape_one(&self, kubelets: &Kubelets, node: &NodeSeen) {
        match kubelets.scrape(node, self.clock.wall()).await {
            Ok(batch) => {
                let before = self.queue.dropped();
                self.queue.push(batch);
                let dropped = self.queue.dropped();
                if dropped > before {
                    tracing::warn!(
                        dropped,
                        "the store is away for so long that old samples give way"
                    );
                }
            }
            // Nothing was measured, so nothing is kept: a gap is no zero.
            Err(error) => tracing::warn!(%error, "not scraped"),
        }
    }

    async fn write(&self) {
        // Nothing has failed yet.
        let mut wait = Duration::ZERO;
        loop {
            let (number, batch) = self.queue.first().await;
            let again = !wait.is_zero();
            match self.store.put(&batch, self.clock.wall(), again).await {
                Ok(()) => {
                    if again {
                        tracing::info!(waiting = self.queue.len(), "the store is back");
                    }
                    wait = Duration::ZERO;
                    self.queue.done(number);
                }
                Err(error) => {
                    wait = (wait * 2).clamp(WAITS.0, WAITS.1);
                    tracing::warn!(%error, waiting = self.queue.len(), "samples wait");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn purge(&self) {
        let mut tick = tokio::time::interval(self.store.retention().purge);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.store.purge(self.clock.wall()).await {
                Ok(0) => {}
                Ok(names) => tracing::info!(names, "silent for too long, forgotten"),
                Err(error) => tracing::warn!(%error, "not purged"),
            }
        }
    }
}
