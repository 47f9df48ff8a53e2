//! Why a limit bound: data with units, one variant per fact, and its clause.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::time::Span;
use crate::quantity::units::{Quantity, Replicas};

/// Why a setting was moved. `Display` gives one clause of at most 60 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Why {
    /// The newest sample is this old.
    StaleFor(Span),
    /// There is no sample at all.
    NoSample,
    /// A metric could not be read.
    MetricInvalid,
    /// This share of the pods has no samples, in percent.
    PodsMissing(u8),
    /// A rollout is in progress.
    Rollout,
    /// Less is served, with more errors or latency.
    Sick,
    /// The target was taken over this long ago.
    TakenOver(Span),
    /// The controller holds every way down.
    HoldDown,
    /// Raw values of the down window disagree; the largest is given.
    StabilizedDown(Replicas),
    /// Raw values of the up window disagree; the smallest is given.
    StabilizedUp(Replicas),
    /// At most so many more within the period.
    RateUp {
        /// Replicas that may be added.
        step: Replicas,
        /// The period.
        #[serde(rename = "perSeconds")]
        per: Span,
    },
    /// At most so many fewer within the period.
    RateDown {
        /// Replicas that may be removed.
        step: Replicas,
        /// The period.
        #[serde(rename = "perSeconds")]
        per: Span,
    },
    /// Kubernetes' limit without `behavior`: twice the current number, at least 4.
    RateUpLegacy(Replicas),
    /// This direction is switched off.
    Disabled,
    /// More than can be paid for.
    Unaffordable(Replicas),
    /// So many were already removed within the period.
    RemovalsSpent {
        /// Replicas that may be removed.
        allowed: Replicas,
        /// The period.
        #[serde(rename = "perSeconds")]
        per: Span,
    },
    /// So many changes were already made within the period.
    ChangesSpent {
        /// Changes that may be made.
        allowed: u32,
        /// The period.
        #[serde(rename = "perSeconds")]
        per: Span,
    },
    /// Above the largest allowed.
    AboveMax(Quantity),
    /// Below the smallest allowed.
    BelowMin(Quantity),
    /// Containers of the pool are busy.
    PoolBusy(Replicas),
    /// Fewer replicas are left than the reactive floor at the wanted requests.
    FloorUnmet(Replicas),
    /// The one replica would have to be made anew.
    OnlyReplica,
    /// Pods with this much memory were killed for it.
    KilledWith(Quantity),
    /// The namespace's LimitRanges allow no more.
    NamespaceMax(Quantity),
    /// The namespace's LimitRanges allow no less.
    NamespaceMin(Quantity),
    /// The namespace's quotas leave no more for each pod.
    QuotaLeft(Quantity),
    /// The container's limit, which is not to change, allows no more.
    AboveLimit(Quantity),
    /// A memory limit that follows the request would be below what was used.
    LimitUnderUse(Quantity),
    /// Pods would get another QoS class.
    QosClass,
    /// Paused by the user.
    Paused,
    /// The controller is frozen.
    Frozen,
    /// Another process leads.
    NotLeader,
    /// Scaling is off: zero replicas that no autoscaler asked for.
    ScalingDisabled,
    /// Removals over all targets are spent.
    FleetRemovals {
        /// Replicas that may be removed in all.
        allowed: u32,
        /// The period.
        #[serde(rename = "perSeconds")]
        per: Span,
    },
    /// Warm memory over all pools is spent.
    WarmMemory(Quantity),
    /// The ratio is this close to 1, in thousandths.
    WithinTolerance(i64),
    /// Pods that are starting already cover the wish.
    Starting(Replicas),
    /// In a panic nothing goes below its largest wish.
    Panic(Replicas),
    /// The last change was this long ago.
    Cooldown(Span),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleFor(age) => write!(f, "newest sample is {} s old", age.whole_seconds()),
            Self::NoSample => f.write_str("no sample yet"),
            Self::MetricInvalid => f.write_str("a metric could not be read"),
            Self::PodsMissing(percent) => write!(f, "{percent} % of the pods have no samples"),
            Self::Rollout => f.write_str("a rollout is in progress"),
            Self::Sick => f.write_str("less is served with more errors or latency"),
            Self::TakenOver(ago) => write!(f, "taken over {} s ago", ago.whole_seconds()),
            Self::HoldDown => f.write_str("the controller holds every way down"),
            Self::StabilizedDown(most) => write!(f, "{most} was wanted within the down window"),
            Self::StabilizedUp(least) => write!(f, "{least} was wanted within the up window"),
            Self::RateUp { step, per } => {
                write!(f, "at most +{step} per {} s", per.whole_seconds())
            }
            Self::RateDown { step, per } => {
                write!(f, "at most −{step} per {} s", per.whole_seconds())
            }
            Self::RateUpLegacy(limit) => {
                write!(f, "at most twice the current, at least 4: {limit}")
            }
            Self::Disabled => f.write_str("this direction is switched off"),
            Self::Unaffordable(most) => write!(f, "the budget pays for {most}"),
            Self::RemovalsSpent { allowed, per } => {
                write!(f, "at most {allowed} removed per {} s", per.whole_seconds())
            }
            Self::ChangesSpent { allowed, per } => {
                write!(f, "at most {allowed} changes per {} s", per.whole_seconds())
            }
            Self::AboveMax(most) => write!(f, "above the largest allowed, {most}"),
            Self::BelowMin(least) => write!(f, "below the smallest allowed, {least}"),
            Self::PoolBusy(busy) => write!(f, "{busy} containers are busy"),
            Self::FloorUnmet(floor) => write!(f, "a cut needs {floor} replicas"),
            Self::OnlyReplica => f.write_str("the one replica would be made anew"),
            Self::KilledWith(memory) => write!(f, "pods with {memory} were killed for it"),
            Self::NamespaceMax(most) => write!(f, "the namespace allows at most {most}"),
            Self::NamespaceMin(least) => write!(f, "the namespace allows at least {least}"),
            Self::QuotaLeft(most) => write!(f, "the namespace's quota leaves {most} a pod"),
            Self::AboveLimit(limit) => write!(f, "its limit of {limit} stays"),
            Self::LimitUnderUse(used) => write!(f, "the limit would be below {used} of use"),
            Self::QosClass => f.write_str("pods would get another QoS class"),
            Self::Paused => f.write_str("paused"),
            Self::Frozen => f.write_str("the controller is frozen"),
            Self::NotLeader => f.write_str("another process leads"),
            Self::ScalingDisabled => f.write_str("scaling is off at zero replicas"),
            Self::FleetRemovals { allowed, per } => {
                write!(
                    f,
                    "all targets: at most {allowed} removed per {} s",
                    per.whole_seconds()
                )
            }
            Self::WarmMemory(most) => write!(f, "warm memory of all pools is {most}"),
            Self::WithinTolerance(ratio) => write!(f, "ratio {ratio}m is within tolerance"),
            Self::Starting(pods) => write!(f, "{pods} pods are starting"),
            Self::Panic(most) => write!(f, "panic: not below {most}"),
            Self::Cooldown(ago) => write!(f, "last change was {} s ago", ago.whole_seconds()),
        }
    }
}
