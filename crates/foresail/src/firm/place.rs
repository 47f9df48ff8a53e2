//! Where a component runs: what is looked at, and the one write.

use std::fmt::Debug;
use std::future::Future;

use foresail_core::observe::TargetState;
use foresail_core::propose::plan::{Resources, Setting};
use foresail_core::quantity::time::Timestamp;

/// A pod with what its scaled container asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodAsked {
    /// Its name.
    pub name: String,
    /// The container whose requests are changed.
    pub container: String,
    /// What it asks for.
    pub requests: Resources,
    /// What it may use at most.
    pub limits: Resources,
    /// The kubelet will not carry out what was asked: why.
    pub infeasible: Option<String>,
    /// The kubelet has not carried it out yet: why.
    pub waits: Option<String>,
}

/// A component at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// The target as the engine is told it; its requests are those that most pods have.
    pub state: TargetState,
    /// What a write has to name: the unique name and the version of the scale.
    pub scale: (String, String),
    /// Its pods, in the order of the state's.
    pub pods: Vec<PodAsked>,
    /// Requests per second that arrive.
    pub demand: Option<(f64, Timestamp)>,
    /// Share of the requests that kept the promise, 0 to 1.
    pub kept: Option<(f64, Timestamp)>,
    /// What is not known and why.
    pub trouble: Vec<String>,
    /// Who else scales it.
    pub rival: Option<String>,
}

impl Sight {
    /// `true` where a pod asks for something else than the setting says.
    #[must_use]
    pub fn differs(&self, setting: &Setting) -> bool {
        self.pods.iter().any(|pod| pod.differs(setting))
    }
}

impl PodAsked {
    /// `true` where it asks for something else than the setting says.
    #[must_use]
    pub fn differs(&self, setting: &Setting) -> bool {
        let mut wished = setting.per_pod.iter();
        wished.any(|(name, amount)| {
            let has = self.requests.get(name);
            has.is_some_and(|has| has.milli() != amount.milli())
        })
    }
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is there.
    Applied,
    /// Somebody changed it first; nothing was written.
    Stale(String),
    /// Not written, or in part: why.
    Refused(String),
    /// It is not known.
    Unknown(String),
}

/// Where a component runs.
pub trait Place: Debug + Send + Sync + 'static {
    /// What is so now.
    ///
    /// # Errors
    /// Why it cannot be seen; what is merely not measured is told within [`Sight::trouble`].
    fn look(&self, now: Timestamp) -> impl Future<Output = Result<Sight, String>> + Send;

    /// Makes it so, against what was seen; never sends a number again.
    fn write(&self, seen: &Sight, to: &Setting) -> impl Future<Output = Written> + Send;
}
