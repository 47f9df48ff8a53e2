//! Which of several controllers may write: the lease of `coordination.k8s.io/v1`, held like
//! Kubernetes' own controllers hold theirs, and usable as a fence.
//!
//! [`state`] judges, without a clock or a connection; this file only moves what it says. The lease
//! bounds who *believes* to lead: the believers' intervals do not overlap on one time line as long
//! as clocks run at the same rate within a fifth (`tests/lease_model.rs`). It cannot stop a write
//! that is under way; for that there is the version of what is written.

mod exchange;
mod leadership;
pub mod state;
mod timing;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::watch;

pub use leadership::{LEFT_MIN, Leadership, NotLeading, PROOF_AGE_MAX};
pub use state::{Epoch, Term};
pub use timing::{Timing, TimingError};

use crate::clock::Clock;
use exchange::Exchange;
use state::{Action, Answer, Event, LeaseState, Moment};

/// Which lease, and in whose name.
#[derive(Clone, Debug)]
pub struct Name {
    /// Where the lease lies.
    pub namespace: String,
    /// How it is called.
    pub lease: String,
    /// Who asks; no other process may ever have used it, not even this pod's one before.
    pub identity: String,
}

/// One that wants to lead; [`Candidate::run`] tries.
#[derive(Debug)]
pub struct Candidate {
    exchange: Exchange,
    state: LeaseState,
    term: watch::Sender<Option<Term>>,
}

/// An answer that is under way, with the number of its question.
type UnderWay = Pin<Box<dyn Future<Output = (u64, Answer)> + Send>>;

impl Candidate {
    /// A candidate, and what tells whether it leads. `client` must not ask again by itself: a
    /// renewal that is sent minutes later is of no use. `epoch_seen` is the highest epoch that is
    /// known from elsewhere, such as the objects' status; `seed` decides the jitter.
    ///
    /// # Errors
    /// [`TimingError`] where the times do not go together.
    pub fn new(
        client: Client,
        name: &Name,
        timing: Timing,
        clock: Arc<dyn Clock>,
        (epoch_seen, seed): (Epoch, u64),
    ) -> Result<(Self, Leadership), TimingError> {
        timing.check()?;
        let api = Api::<Lease>::namespaced(client, &name.namespace);
        let exchange = Exchange::new(api, name.lease.clone(), name.identity.clone(), clock);
        let mut state = LeaseState::new(name.identity.clone(), timing, seed);
        state.raise_epoch(epoch_seen);
        let (term, told) = watch::channel(None);
        let leadership = Leadership::new(told, exchange.clone());
        let candidate = Self {
            exchange,
            state,
            term,
        };
        Ok((candidate, leadership))
    }

    /// Tries to lead, and leads, until `stop` is there; then gives the lease back and ends. A lost
    /// lease is no end: it is tried again. Writes must have ended before `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let (mut stopped, mut event) = (false, Event::Wake);
        let mut under_way: Option<UnderWay> = None;
        loop {
            let mut wake = Duration::ZERO;
            for action in self.state.step(event, self.now()) {
                match action {
                    Action::Ask {
                        ticket,
                        question,
                        until,
                    } => {
                        let exchange = self.exchange.clone();
                        under_way = Some(Box::pin(async move {
                            (ticket, exchange.ask(question, until).await)
                        }));
                    }
                    Action::Wait(until) => wake = until,
                    Action::Lead(term) => self.lead(term),
                    Action::StepDown(why) => {
                        tracing::warn!(%why, "this process leads no more");
                        self.term.send_replace(None);
                    }
                    Action::End => return,
                }
            }
            let clock = self.exchange.clone();
            event = tokio::select! {
                biased;
                () = &mut stop, if !stopped => {
                    stopped = true;
                    Event::Stop
                }
                (ticket, answer) = next(&mut under_way) => {
                    under_way = None;
                    Event::Answer(ticket, answer)
                }
                () = clock.clock().wait(wake) => Event::Wake,
            };
        }
    }

    fn now(&self) -> Moment {
        let clock = self.exchange.clock();
        Moment {
            mono: clock.mono(),
            wall: clock.wall().nanos().div_euclid(1000),
        }
    }

    fn lead(&self, term: Term) {
        if (*self.term.borrow()).is_none_or(|before| before.epoch != term.epoch) {
            tracing::info!(epoch = term.epoch.0, "this process leads");
        }
        self.term.send_replace(Some(term));
    }
}

/// The answer under way; never where there is none.
async fn next(under_way: &mut Option<UnderWay>) -> (u64, Answer) {
    match under_way {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}
