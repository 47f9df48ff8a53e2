//! What runs functions, behind one trait: their sizes, the containers that are kept for them, how
//! many were busy, and one request.
//!
//! OpenWhisk (`openwhisk::functions`) and Kubernetes (`kubernetes::functions`) implement it; a search
//! over sizes drives it through [`Live`], a pool scheduler as it is. What a provider cannot tell is
//! absent, never zero.

mod live;
mod peaks;
mod stop;

use foresail_core::quantity::time::{Span, Timestamp};

pub use crate::workflow::SystemError;
pub use live::{Live, LiveStage, Tally};
pub use peaks::{Run, peaks};
pub use stop::Stop;

/// What one container of a function has; absent = it is not told or not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FunctionSize {
    /// Cores of CPU.
    pub cpu_cores: Option<f64>,
    /// Memory in MiB.
    pub memory_mib: Option<f64>,
}

/// A function at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FunctionSeen {
    /// What each container has.
    pub size: FunctionSize,
    /// Containers that are kept without demand, as they are set.
    pub pool: Option<u32>,
    /// Containers that are ready.
    pub ready: Option<u32>,
}

/// Whole steps of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Begin of the first.
    pub start: Timestamp,
    /// Length of each.
    pub step: Span,
    /// How many.
    pub count: usize,
}

impl Steps {
    /// The end of the last.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end_of(self.count.saturating_sub(1))
    }

    /// The end of one.
    #[must_use]
    pub fn end_of(&self, index: usize) -> Timestamp {
        let steps = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
        self.start + Span::from_nanos(self.step.nanos().saturating_mul(steps))
    }
}

/// What a function did in some steps, oldest first; shape `[steps]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// The most containers that were busy at once; absent where nobody knows.
    pub peaks: Vec<Option<f64>>,
    /// Calls that began, all steps together; absent where nobody counts them.
    pub calls: Option<u64>,
    /// Those of them that failed.
    pub failed: Option<u64>,
    /// Those of them that met a container which had to be initialised.
    pub cold: Option<u64>,
}

/// What one request of a workflow came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// End-to-end seconds; absent where no answer came in time.
    pub latency: Option<f64>,
    /// Seconds of each copy of each stage, shape `[stages][copies]`.
    pub seconds: Vec<Vec<f64>>,
    /// `true` where a container had to be initialised for it.
    pub cold: bool,
    /// Why it failed, where it did: such a reply is no sample of a time.
    pub failed: Option<String>,
}

/// What runs some functions.
pub trait Provider {
    /// Its name: `openwhisk`, `kubernetes`.
    fn name(&self) -> &'static str;

    /// The functions, in the order of every list here.
    fn functions(&self) -> &[String];

    /// Each function as it is.
    ///
    /// # Errors
    /// Where one is not there, or cannot be asked for.
    fn look(&mut self) -> Result<Vec<FunctionSeen>, SystemError>;

    /// What each function did.
    ///
    /// # Errors
    /// Where it cannot be asked for.
    fn activity(&mut self, steps: &Steps) -> Result<Vec<Activity>, SystemError>;

    /// Sets how many containers are kept; absent = as it is. Nothing is waited for.
    ///
    /// # Errors
    /// Where one could not be set; others may be.
    fn set_pools(&mut self, pools: &[Option<u32>]) -> Result<(), SystemError>;

    /// Sets what each container has; absent = as it is. All have it when this returns.
    ///
    /// # Errors
    /// Where one could not be set; others may be.
    fn set_sizes(&mut self, sizes: &[Option<FunctionSize>]) -> Result<(), SystemError>;

    /// Sends one request of the workflow and waits for its answer, for so long at most. It is sent
    /// once.
    ///
    /// # Errors
    /// Where it could not be sent.
    fn request(&mut self, wait: Span) -> Result<Reply, SystemError>;
}

/// An error of a provider.
#[allow(
    clippy::needless_pass_by_value,
    reason = "texts, errors and references to either are told alike"
)]
pub(crate) fn error(attempted: impl Into<String>, why: impl ToString) -> SystemError {
    SystemError::new(attempted, why.to_string())
}
