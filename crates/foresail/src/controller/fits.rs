//! Models that are fitted beside the passes; what comes too late is dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foresail_core::history::Point;
use foresail_core::propose::refit::RefitRequest;
use foresail_models::refit;

use super::Shared;

/// The most fits of one object at a time.
const WAITING_MAX: usize = 4;

/// A fit that ended: what was asked for, and the artifact where there is one.
type Ended = (RefitRequest, Option<Vec<u8>>);

/// Fits of one object. A channel would take 5 KB of an object that asks for none.
#[derive(Debug, Default)]
pub(crate) struct Fits {
    asked: Vec<RefitRequest>,
    ended: Arc<Mutex<Vec<Ended>>>,
}

fn lock(ended: &Mutex<Vec<Ended>>) -> MutexGuard<'_, Vec<Ended>> {
    ended.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fits {
    /// Begins a fit to `points`, unless it is under way or too many are.
    pub(crate) fn begin(
        &mut self,
        shared: Arc<Shared>,
        request: RefitRequest,
        points: impl FnOnce() -> VecDeque<Point>,
    ) {
        if self.asked.contains(&request) || self.asked.len() >= WAITING_MAX {
            return;
        }
        self.asked.push(request.clone());
        let (ended, points) = (Arc::clone(&self.ended), points());
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
            lock(&ended).push((request, fitted));
        });
    }

    /// Artifacts that are ready, in the order in which they came.
    pub(crate) fn ready(&mut self) -> Vec<Vec<u8>> {
        let ended = std::mem::take(&mut *lock(&self.ended));
        self.asked
            .retain(|asked| !ended.iter().any(|(request, _)| request == asked));
        ended.into_iter().filter_map(|(_, fitted)| fitted).collect()
    }
}
