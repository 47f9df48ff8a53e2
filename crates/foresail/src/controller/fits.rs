//! Models that are fitted beside the passes; what comes too late is dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use foresail_core::history::Point;
use foresail_core::propose::refit::RefitRequest;
use foresail_models::refit;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::Shared;

/// The most fits of one object at a time.
const WAITING_MAX: usize = 4;

/// Fits of one object.
#[derive(Debug)]
pub(crate) struct Fits {
    asked: Vec<RefitRequest>,
    send: UnboundedSender<(RefitRequest, Option<Vec<u8>>)>,
    receive: UnboundedReceiver<(RefitRequest, Option<Vec<u8>>)>,
}

impl Default for Fits {
    fn default() -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        Self {
            asked: Vec::new(),
            send,
            receive,
        }
    }
}

impl Fits {
    /// Begins a fit, unless it is under way or too many are.
    pub(crate) fn begin(
        &mut self,
        shared: Arc<Shared>,
        request: RefitRequest,
        points: VecDeque<Point>,
    ) {
        if self.asked.contains(&request) || self.asked.len() >= WAITING_MAX {
            return;
        }
        self.asked.push(request.clone());
        let send = self.send.clone();
        tokio::spawn(async move {
            let Ok(turn) = shared.slow_work.acquire().await else {
                return;
            };
            let asked = request.clone();
            let work = move || {
                refit::run(&asked, points.iter())
                    .inspect_err(|error| tracing::warn!(target = %asked.target, %error, "no model"))
                    .ok()
            };
            let fitted = tokio::task::spawn_blocking(work).await.ok().flatten();
            drop(turn);
            // The object may be gone by now.
            drop(send.send((request, fitted)));
        });
    }

    /// Artifacts that are ready, in the order in which they came.
    pub(crate) fn ready(&mut self) -> Vec<Vec<u8>> {
        let mut ready = Vec::new();
        while let Ok((request, fitted)) = self.receive.try_recv() {
            self.asked.retain(|r| *r != request);
            ready.extend(fitted);
        }
        ready
    }
}
