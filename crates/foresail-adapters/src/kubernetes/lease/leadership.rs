//! What the controller holds in its hand: whether it leads, and whether that may be relied upon for
//! a write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::exchange::Exchange;
use super::state::{Answer, Epoch, Question, Term};

/// What must be left of the lease for a write to begin.
/// Source: a write is given up after 5 s at most, and a second before the lease is over.
pub const LEFT_MIN: Duration = Duration::from_secs(2);

/// How old the last proof may be that the lease is still ours.
pub const PROOF_AGE_MAX: Duration = Duration::from_secs(2);

/// Why nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLeading {
    /// Another leads, or nobody.
    #[error("this process does not lead")]
    NoLease,
    /// A write could end after the lease.
    #[error("{left:?} are left of the lease, fewer than {LEFT_MIN:?}")]
    TooLate {
        /// What is left.
        left: Duration,
    },
    /// The lease must be read again first.
    #[error("the lease was last confirmed {age:?} ago, longer than {PROOF_AGE_MAX:?}")]
    Unconfirmed {
        /// How long ago.
        age: Duration,
    },
}

/// Whether this process leads; clones tell the same.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: watch::Receiver<Option<Term>>,
    /// The last read that showed the lease as ours: its epoch, and when it was asked for.
    confirmed: Arc<Mutex<Option<(Epoch, Duration)>>>,
    exchange: Exchange,
}

impl Leadership {
    pub(super) fn new(term: watch::Receiver<Option<Term>>, exchange: Exchange) -> Self {
        Self {
            term,
            confirmed: Arc::default(),
            exchange,
        }
    }

    /// The epoch under which this process leads at `now`; `None` where it does not.
    ///
    /// Units: `now` on the clock that the candidate was given, [`crate::clock::Clock::mono`].
    #[must_use]
    pub fn leads(&self, now: Duration) -> Option<Epoch> {
        self.term_at(now).map(|term| term.epoch)
    }

    fn term_at(&self, now: Duration) -> Option<Term> {
        (*self.term.borrow()).filter(|term| now < term.valid_until)
    }

    /// What is left of the lease at `now`; zero where this process does not lead.
    #[must_use]
    pub fn left(&self, now: Duration) -> Duration {
        let term = self.term_at(now);
        term.map_or(Duration::ZERO, |term| term.valid_until.saturating_sub(now))
    }

    /// The last thing before a write: the epoch, if enough of the lease is left and it was proved
    /// ours a moment ago.
    ///
    /// # Errors
    /// [`NotLeading`]; after [`NotLeading::Unconfirmed`] it may be true again after
    /// [`Leadership::confirm`].
    pub fn fence(&self, now: Duration) -> Result<Epoch, NotLeading> {
        let term = self.term_at(now).ok_or(NotLeading::NoLease)?;
        let left = term.valid_until.saturating_sub(now);
        if left < LEFT_MIN {
            return Err(NotLeading::TooLate { left });
        }
        let confirmed = *self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let confirmed = confirmed.filter(|(epoch, _)| *epoch == term.epoch);
        let proof = confirmed.map_or(term.renewed, |(_, at)| at.max(term.renewed));
        let age = now.saturating_sub(proof);
        if age > PROOF_AGE_MAX {
            return Err(NotLeading::Unconfirmed { age });
        }
        Ok(term.epoch)
    }

    /// Reads the lease, so that [`Leadership::fence`] rests on what stands there; for when the last
    /// renewal is some time ago, or the time of day jumped.
    ///
    /// # Errors
    /// [`NotLeading`] where the lease is another's, cannot be read, or is too short by now.
    pub async fn confirm(&self) -> Result<Epoch, NotLeading> {
        let asked = self.exchange.clock().mono();
        let term = self.term_at(asked).ok_or(NotLeading::NoLease)?;
        let until = term.valid_until;
        if let Answer::Seen(seen) = self.exchange.ask(Question::Get, until).await {
            if seen.record.holder != self.exchange.identity() || seen.record.epoch != term.epoch {
                return Err(NotLeading::NoLease);
            }
            let mut confirmed = self
                .confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *confirmed = Some((term.epoch, asked));
        }
        self.fence(self.exchange.clock().mono())
    }

    /// Waits until the leadership may have changed: taken, renewed, or lost. Whether it has run out
    /// meanwhile only [`Leadership::leads`] tells.
    pub async fn changed(&mut self) {
        // The candidate is gone: nothing changes any more, and nobody leads.
        if self.term.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
