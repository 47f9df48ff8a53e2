//! A workflow that is really there, as a search over its stages' sizes drives it.
//!
//! The simulator's stands in the binary; OpenWhisk and Kubernetes are driven through
//! `provider::Live`.

use foresail_core::propose::plan::Plan;
use foresail_core::quantity::time::Span;

/// What one request came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// End-to-end seconds; `None` where no answer came within the time that was waited for.
    pub latency: Option<f64>,
    /// Seconds that each copy of each stage ran and is paid for, shape `[stages][copies]`; empty
    /// where a stage did not run. Of one that never ended, the time that was waited.
    pub seconds: Vec<Vec<f64>>,
    /// `true` where it failed: it has no latency then, and its seconds are paid for but are no
    /// sample of what a request costs.
    pub failed: bool,
}

/// A workflow whose stages' sizes can be set, and which can be called.
pub trait System {
    /// What each stage has at present.
    ///
    /// # Errors
    /// Where the system cannot be asked.
    fn current(&mut self) -> Result<Plan, SystemError>;

    /// Gives the stages other sizes; every stage has its own when this returns.
    ///
    /// # Errors
    /// Where a stage could not be changed; stages may then have the old or the new size.
    fn apply(&mut self, plan: &Plan) -> Result<(), SystemError>;

    /// Sends one request and waits for its answer, for so long at most.
    ///
    /// # Errors
    /// Where the request could not be sent. One that is not answered in time is no error.
    fn request(&mut self, wait: Span) -> Result<Answer, SystemError>;

    /// A search goes on: so many requests were sent before this process began, and this plan was in
    /// force at the end. A live system knows by itself and has nothing to do.
    ///
    /// # Errors
    /// Where the system cannot be brought there.
    fn resume(&mut self, requests: u64, in_force: &Plan) -> Result<(), SystemError> {
        let _ = (requests, in_force);
        Ok(())
    }
}

/// Why a system did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}: {why}")]
pub struct SystemError {
    /// What was attempted, on what.
    pub attempted: String,
    /// Why it failed, and the mend.
    pub why: String,
    /// `true` where it was ended on the way, because somebody asked for the end: whether it took effect
    /// is not known.
    pub stopped: bool,
}

impl SystemError {
    /// What was attempted, and why it failed with the mend.
    #[must_use]
    pub fn new(attempted: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            attempted: attempted.into(),
            why: why.into(),
            stopped: false,
        }
    }
}
