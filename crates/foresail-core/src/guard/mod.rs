//! What is allowed: an ordered list of guards, each of which may move a wanted setting and must
//! say why.
//!
//! A new guard is one file here and one line in [`GUARDS`]. The order matters: freshness and vetoes
//! hold the way down, then the HPA's own stabilization and rate, then the budget, the bounds, what
//! requests of a pod may be changed, and last the pause, so that the chain still shows what would have happened.

mod bounds;
mod budget;
mod freshness;
mod paused;
mod rate;
mod resize;
mod stabilization;
mod veto;

use serde::{Deserialize, Serialize};

use crate::explain::why::Why;
use crate::history::TargetHistory;
use crate::hpa::{Rules, Shortcut};
use crate::observe::{Health, TargetState};
use crate::propose::plan::{Axis, Setting, TargetId};
use crate::quantity::time::Timestamp;
use crate::quantity::units::{Quantity, Replicas};
use crate::spec::{GuardSpec, ValidTarget};

/// The guards by name; `Admission` is the arbiter over all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GuardName {
    /// Stale data never scales down.
    Freshness,
    /// Conditions under which nothing goes down.
    Veto,
    /// The HPA's windows over its own past raw values.
    Stabilization,
    /// The HPA's `behavior` policies.
    Rate,
    /// What may be spent and changed.
    Budget,
    /// The smallest and the largest allowed.
    Bounds,
    /// Which requests of a pod may be changed now.
    Resize,
    /// Paused, frozen, not leading.
    Paused,
    /// Budgets over all targets.
    Admission,
    /// A wish's own tolerance.
    Tolerance,
    /// A wish waits for pods that are starting.
    Readiness,
    /// A wish's own panic.
    Panic,
    /// A wish's own cooldown.
    Cooldown,
}

impl std::fmt::Display for GuardName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One binding of one guard on one axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Which guard.
    pub by: GuardName,
    /// On which target.
    pub target: TargetId,
    /// On which axis.
    pub axis: Axis,
    /// From where.
    pub from: Quantity,
    /// To where; never the same as `from`.
    pub to: Quantity,
    /// Why.
    pub why: Why,
}

/// What a guard may look at besides the setting.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The target with its compiled rules.
    pub target: &'a ValidTarget,
    /// What the user allows.
    pub guards: &'a GuardSpec,
    /// Its state as last reported.
    pub state: &'a TargetState,
    /// What is remembered of it.
    pub history: &'a TargetHistory,
    /// The reactive floor at the wanted requests.
    pub floor: Option<Replicas>,
    /// Where the HPA goes without looking at metrics.
    pub shortcut: Shortcut,
    /// `true` where somebody wishes something; without a wish only the bounds and a pause bind.
    pub wish: bool,
    /// `true` where a required metric could not be read.
    pub metric_invalid: bool,
    /// `true` where the decision must equal Kubernetes' own.
    pub hpa_alone: bool,
    /// What the controller allows itself.
    pub health: Health,
    /// `true` while this process may write.
    pub leading: bool,
    /// The time of this tick.
    pub now: Timestamp,
}

impl Scene<'_> {
    /// Replicas asked for at present.
    #[must_use]
    pub fn current(&self) -> Replicas {
        self.state.current_replicas()
    }

    /// The target's compiled HPA.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.target.rules
    }

    /// A limit on the replicas of this target.
    #[must_use]
    pub fn limit(&self, by: GuardName, from: Replicas, to: Replicas, why: Why) -> Limit {
        self.limit_on(Axis::Replicas, by, (from.into(), to.into()), why)
    }

    /// A limit on any axis of this target, from one amount to another.
    #[must_use]
    pub fn limit_on(
        &self,
        axis: Axis,
        by: GuardName,
        (from, to): (Quantity, Quantity),
        why: Why,
    ) -> Limit {
        Limit {
            by,
            target: self.target.id.clone(),
            axis,
            from,
            to,
            why,
        }
    }

    /// `true` where fewer replicas or smaller requests are wanted than there are.
    #[must_use]
    pub fn goes_down(&self, wanted: &Setting) -> bool {
        let current = &self.state.current.per_pod;
        let cut = |(name, amount): (&str, Quantity)| {
            let now = current.get(name);
            now.is_some_and(|c| amount.milli() < c.milli())
        };
        let fewer = wanted.replicas.is_some_and(|r| r < self.current());
        fewer || (self.counts_pods() && wanted.per_pod.iter().any(cut))
    }

    /// Limits that hold replicas and requests where they would go down; none holds a rise.
    #[must_use]
    pub fn hold_down(&self, by: GuardName, wanted: &Setting, why: &Why) -> Vec<Limit> {
        let fewer = wanted.replicas.filter(|r| *r < self.current());
        let replicas = fewer.map(|r| self.limit(by, r, self.current(), why.clone()));
        replicas
            .into_iter()
            .chain(self.hold_cuts(by, wanted, why))
            .collect()
    }

    /// `true` where the target has replicas, so that samples of its pods say something of its requests;
    /// the stages of a workflow and functions are measured by whoever calls them.
    fn counts_pods(&self) -> bool {
        self.state.current.replicas.is_some()
    }

    /// Limits that hold every request of a pod that would be cut.
    fn hold_cuts(&self, by: GuardName, wanted: &Setting, why: &Why) -> Vec<Limit> {
        let cut = |(name, from): (&str, Quantity)| {
            let to = self.state.current.per_pod.get(name)?;
            let axis = Axis::PerPod(name.to_owned());
            (from.milli() < to.milli()).then(|| self.limit_on(axis, by, (from, to), why.clone()))
        };
        let held = wanted.per_pod.iter().filter(|_| self.counts_pods());
        held.filter_map(cut).collect()
    }

    /// `true` where the current number is outside the bounds: the HPA then goes straight there.
    #[must_use]
    pub fn straight_to_bound(&self) -> bool {
        matches!(self.shortcut, Shortcut::AboveMax | Shortcut::BelowMin)
    }
}

/// May move a wanted setting and must say why.
pub trait Guard: Sync {
    /// Which one it is.
    fn name(&self) -> GuardName;
    /// `false` where the guard stays out of this scene.
    fn applies(&self, scene: &Scene<'_>) -> bool;
    /// Its limits on the joint setting; none where it did not bind.
    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit>;
}

/// Every guard, in the order in which they run.
pub static GUARDS: [&dyn Guard; 8] = [
    &freshness::Freshness,
    &veto::Veto,
    &stabilization::Stabilization,
    &rate::Rate,
    &budget::Budget,
    &bounds::Bounds,
    &resize::RequestChange,
    &paused::Paused,
];

/// Runs every guard over one target's wanted setting.
///
/// Returns the setting that is left and the chain of limits; each limit starts where the one
/// before it on the same axis ended.
#[must_use]
pub fn run(
    wanted: &Setting,
    scene: &Scene<'_>,
    without: Option<GuardName>,
) -> (Setting, Vec<Limit>) {
    let mut setting = wanted.clone();
    let mut chain = Vec::new();
    for guard in GUARDS
        .iter()
        .filter(|g| Some(g.name()) != without && g.applies(scene))
    {
        for limit in guard.limits(&setting, scene) {
            debug_assert_ne!(
                limit.from, limit.to,
                "a limit that moves nothing: {limit:?}"
            );
            setting.set(&limit.axis, limit.to);
            chain.push(limit);
        }
    }
    (setting, chain)
}

/// Age of the newest measurement of the scene's target.
fn sample_age(scene: &Scene<'_>) -> Option<crate::quantity::time::Span> {
    scene.history.sample_age(scene.now)
}
