//! Conditions of an object: every reason with what it means and what mends it.
//!
//! One list: the controller writes these words, `foresail describe` tells their mend, and
//! `docs/conditions.md` is made from it.

/// One reason of one condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The condition's type.
    pub condition: &'static str,
    /// The reason.
    pub reason: &'static str,
    /// `True` or `False`.
    pub status: &'static str,
    /// What is so.
    pub meaning: &'static str,
    /// What to do; empty where nothing is to be done.
    pub mend: &'static str,
}

/// The conditions, and what it means that one is true.
pub const CONDITIONS: &[(&str, &str)] = &[
    ("Ready", "the object is being served"),
    (
        "AbleToScale",
        "the target's scale can be read and written (an HPA's condition)",
    ),
    (
        "ScalingActive",
        "at least one metric can be read (an HPA's condition)",
    ),
    (
        "ScalingLimited",
        "a limit that an HPA knows is in the way (an HPA's condition)",
    ),
    (
        "ScaledToZero",
        "Foresail itself went to zero replicas (an HPA's condition)",
    ),
    ("Held", "a guard that only Foresail has is in the way"),
    ("ForecastReady", "a forecast is trusted and counts"),
    ("Conflicted", "another autoscaler owns the target"),
    (
        "RequestsSized",
        "requests are advised, and pods have them where that is asked for; absent where spec.vertical.mode is Off",
    ),
    ("CapacityConstrained", "pods find no place"),
    ("Suspended", "something is switched off by the user"),
    (
        "FeaturesPresent",
        "the cluster has everything that the spec asks for",
    ),
    ("LadderSkipped", "the object acts without a time in Shadow"),
    ("Stored", "decisions are kept"),
];

const fn reason(
    condition: &'static str,
    reason: &'static str,
    status: &'static str,
    meaning: &'static str,
    mend: &'static str,
) -> Reason {
    Reason {
        condition,
        reason,
        status,
        meaning,
        mend,
    }
}

/// Every reason, in the order of [`CONDITIONS`].
pub const REASONS: &[Reason] = &[
    reason(
        "Ready",
        "Reconciled",
        "True",
        "The object is being served.",
        "",
    ),
    reason(
        "Ready",
        "ConfigInvalid",
        "False",
        "The spec cannot be carried out; the message names each field.",
        "Mend the fields that the message names; `foresail lint FILE` tells them before they are applied.",
    ),
    reason(
        "Ready",
        "TargetNotFound",
        "False",
        "There is no such object to scale.",
        "Check spec.scaleTargetRef: apiVersion, kind and name, in the object's own namespace.",
    ),
    reason(
        "Ready",
        "Forbidden",
        "False",
        "The controller may not read the target.",
        "Grant what the message names to the controller's service account; `foresail doctor --as` shows what it lacks.",
    ),
    reason(
        "Ready",
        "ApiUnavailable",
        "False",
        "The API server gave no usable answer.",
        "Wait; it is tried again. If it lasts, look at the API server and at the network policy of the controller.",
    ),
    reason(
        "Ready",
        "Conflicted",
        "False",
        "Another autoscaler scales the target, so nothing is decided here.",
        "See the condition Conflicted.",
    ),
    reason(
        "AbleToScale",
        "SucceededGetScale",
        "True",
        "The target's scale can be read.",
        "",
    ),
    reason(
        "AbleToScale",
        "ReadyForNewScale",
        "True",
        "The recommended size is what the target has.",
        "",
    ),
    reason(
        "AbleToScale",
        "ScaleUpStabilized",
        "True",
        "The way up waits for its stabilization window.",
        "Shorten behavior.scaleUp.stabilizationWindowSeconds if it is too slow.",
    ),
    reason(
        "AbleToScale",
        "ScaleDownStabilized",
        "True",
        "The way down waits for its stabilization window.",
        "Shorten behavior.scaleDown.stabilizationWindowSeconds if it is too slow.",
    ),
    reason(
        "AbleToScale",
        "SucceededRescale",
        "True",
        "The target was scaled.",
        "",
    ),
    reason(
        "AbleToScale",
        "FailedGetScale",
        "False",
        "The target's scale cannot be read.",
        "Check that the target exists and that its kind has the subresource scale.",
    ),
    reason(
        "AbleToScale",
        "FailedUpdateScale",
        "False",
        "The target's scale could not be written.",
        "Read the message: a quota, an admission policy or a missing right; it is tried again by itself.",
    ),
    reason(
        "ScalingActive",
        "ValidMetricFound",
        "True",
        "At least one metric was read.",
        "",
    ),
    reason(
        "ScalingActive",
        "FailedGetResourceMetric",
        "False",
        "CPU or memory of the pods could not be read.",
        "Check metrics-server (`foresail doctor`) and that pods request the resource.",
    ),
    reason(
        "ScalingActive",
        "FailedGetContainerResourceMetric",
        "False",
        "CPU or memory of one container could not be read.",
        "Check metrics-server (`foresail doctor`) and the container's name.",
    ),
    reason(
        "ScalingActive",
        "FailedGetPodsMetric",
        "False",
        "A metric of the pods could not be read.",
        "Check the adapter that serves custom.metrics.k8s.io.",
    ),
    reason(
        "ScalingActive",
        "FailedGetObjectMetric",
        "False",
        "A metric of an object could not be read.",
        "Check the adapter that serves custom.metrics.k8s.io, and the object's name.",
    ),
    reason(
        "ScalingActive",
        "FailedGetExternalMetric",
        "False",
        "A metric of the outside, or a query to Prometheus, could not be read.",
        "Check the adapter that serves external.metrics.k8s.io, or the query and the controller's --prometheus-url.",
    ),
    reason(
        "ScalingActive",
        "InvalidSelector",
        "False",
        "The target's selector of pods cannot be used.",
        "Give the target a selector; a scale without one has no pods to look at.",
    ),
    reason(
        "ScalingActive",
        "InvalidMetricSourceType",
        "False",
        "A metric has a type that is not known.",
        "Write Resource, ContainerResource, Pods, Object, External or Prometheus.",
    ),
    reason(
        "ScalingActive",
        "AmbiguousSelector",
        "False",
        "Pods are selected by more than one HPA.",
        "Give each target a selector of its own, or delete one of the HPAs; a disabled one counts too.",
    ),
    reason(
        "ScalingActive",
        "ScalingDisabled",
        "False",
        "The target has zero replicas that no autoscaler asked for.",
        "Scale it to 1 by hand: zero set by a person means off.",
    ),
    reason(
        "ScalingLimited",
        "DesiredWithinRange",
        "False",
        "No bound of the spec was in the way.",
        "",
    ),
    reason(
        "ScalingLimited",
        "TooManyReplicas",
        "True",
        "More is wanted than maxReplicas.",
        "Raise spec.maxReplicas if the cluster can carry it.",
    ),
    reason(
        "ScalingLimited",
        "TooFewReplicas",
        "True",
        "Less is wanted than minReplicas.",
        "Lower spec.minReplicas if fewer replicas are enough.",
    ),
    reason(
        "ScalingLimited",
        "ScaleUpLimit",
        "True",
        "The way up is as fast as behavior.scaleUp allows.",
        "Loosen behavior.scaleUp.policies if it is too slow.",
    ),
    reason(
        "ScalingLimited",
        "ScaleDownLimit",
        "True",
        "The way down is as fast as behavior.scaleDown allows.",
        "Loosen behavior.scaleDown.policies if it is too slow.",
    ),
    reason(
        "ScaledToZero",
        "ScaledToZero",
        "True",
        "Foresail itself went to zero replicas.",
        "",
    ),
    reason(
        "ScaledToZero",
        "NotScaledToZero",
        "False",
        "The target is not at zero by Foresail's doing.",
        "",
    ),
    reason(
        "Held",
        "NotBinding",
        "False",
        "No guard that only Foresail has is in the way.",
        "",
    ),
    reason(
        "Held",
        "HoldDown",
        "True",
        "Nothing goes down while a metric or the store is missing.",
        "See ScalingActive and Stored for what is missing.",
    ),
    reason(
        "Held",
        "StaleMetric",
        "True",
        "The newest sample is too old to scale down by.",
        "Find out why the metric is late; guardrails.staleAfterSeconds says what counts as late.",
    ),
    reason(
        "Held",
        "Vetoed",
        "True",
        "Something else forbids the way down: missing pods, a rollout, or a target that is sick.",
        "Read the message; the veto ends with its cause.",
    ),
    reason(
        "Held",
        "BudgetExceeded",
        "True",
        "guardrails.budget of this object is spent.",
        "Wait for the period's end, or raise guardrails.budget.",
    ),
    reason(
        "Held",
        "FleetBudget",
        "True",
        "The controller's budget over all objects is spent.",
        "Wait: it refills every minute.",
    ),
    reason(
        "Held",
        "Frozen",
        "True",
        "Nothing is written: paused, frozen, or not leading.",
        "See Ready and the controller's health; `foresail describe` tells which.",
    ),
    reason(
        "Held",
        "ClockAstray",
        "True",
        "The time of day jumped, or is not the API server's: nothing goes down by it.",
        "Set the clock of the controller's node (NTP); after a jump it ends by itself within five minutes.",
    ),
    reason(
        "ForecastReady",
        "Calibrated",
        "True",
        "A forecast is trusted and counts.",
        "",
    ),
    reason(
        "ForecastReady",
        "FetchingHistory",
        "False",
        "The past of the demand is being fetched.",
        "Wait; if it lasts, check that Prometheus answers range queries.",
    ),
    reason(
        "ForecastReady",
        "GateFailed",
        "False",
        "The forecast is dropped for now: it did not come true often enough, or is out of proportion.",
        "Nothing: the reactive floor acts, and the forecast comes back when it is right again.",
    ),
    reason(
        "ForecastReady",
        "DemandUnavailable",
        "False",
        "The demand cannot be read.",
        "Check the query of the metric with role Forecast or Both, and the controller's --prometheus-url.",
    ),
    reason(
        "ForecastReady",
        "NoForecast",
        "False",
        "There is no forecast yet: too little history, or none that fits.",
        "Wait until enough minutes of demand are known; the message counts them.",
    ),
    reason(
        "ForecastReady",
        "NotAsked",
        "False",
        "No proposer forecasts.",
        "Give one metric the role Forecast or Both and name the proposer predictive.",
    ),
    reason(
        "Conflicted",
        "NoRival",
        "False",
        "Nobody else scales the target.",
        "",
    ),
    reason(
        "Conflicted",
        "HPAFound",
        "True",
        "A HorizontalPodAutoscaler scales the target.",
        "`foresail migrate hpa NAME --cutover` takes over; actuation HPAFloor works beside it.",
    ),
    reason(
        "Conflicted",
        "ScaledObjectFound",
        "True",
        "KEDA scales the target.",
        "Pause or delete the ScaledObject.",
    ),
    reason(
        "Conflicted",
        "AutoscalerFound",
        "True",
        "An older PredictiveAutoscaler has the same target.",
        "Delete one of the two.",
    ),
    reason(
        "Conflicted",
        "HPAsUnreadable",
        "True",
        "HorizontalPodAutoscalers cannot be read, so whether one scales the target is not known.",
        "Allow the controller to list and watch them.",
    ),
    reason(
        "Conflicted",
        "HPAMissing",
        "True",
        "actuation HPAFloor names an HPA that is not there or moves nothing.",
        "Name a live HPA in spec.actuation.hpaName, or use actuation Scale.",
    ),
    reason(
        "Conflicted",
        "ReplicasReverted",
        "True",
        "Somebody sets the replicas again and again; the target is left alone for 15 minutes.",
        "Take spec.replicas out of the manifest that the message's field manager applies.",
    ),
    reason(
        "RequestsSized",
        "Recommended",
        "True",
        "Requests are advised in status.vertical; nothing is resized.",
        "",
    ),
    reason(
        "RequestsSized",
        "Kept",
        "True",
        "What the pods ask for is kept: it is within its bounds, or was lowered a moment ago.",
        "",
    ),
    reason(
        "RequestsSized",
        "Applied",
        "True",
        "Every pod has the requests that were decided.",
        "",
    ),
    reason(
        "RequestsSized",
        "Resizing",
        "True",
        "Pods are being resized, a tenth of them at once.",
        "",
    ),
    reason(
        "RequestsSized",
        "NotAuto",
        "False",
        "Requests are advised, and nothing is resized: the object does not act.",
        "Write mode Auto, and let the controller's --max-mode be auto; or vertical.mode Recommend.",
    ),
    reason(
        "RequestsSized",
        "Suspended",
        "False",
        "Nothing is resized while the object is suspended.",
        "`foresail resume NAME` lets go.",
    ),
    reason(
        "RequestsSized",
        "Frozen",
        "False",
        "Nothing is written at present, so nothing is resized.",
        "See Ready, Conflicted and Held.",
    ),
    reason(
        "RequestsSized",
        "ResizeAbsent",
        "False",
        "The server cannot resize pods in place, and no pod is made anew for it.",
        "Upgrade to Kubernetes 1.33 or newer, or write vertical.mode Recommend and change the template yourself.",
    ),
    reason(
        "RequestsSized",
        "TargetUnsupported",
        "False",
        "Requests of such a target are not looked at.",
        "Name a Deployment, StatefulSet or ReplicaSet, or write vertical.mode Off in quotes.",
    ),
    reason(
        "RequestsSized",
        "NoPods",
        "False",
        "No pod of the target runs, so nothing is known of what they use.",
        "Nothing, where it is scaled to zero; else see CapacityConstrained.",
    ),
    reason(
        "RequestsSized",
        "NoContainer",
        "False",
        "No policy is for any container of the pods.",
        "Name the containers as the pods do in vertical.containers; the message lists them.",
    ),
    reason(
        "RequestsSized",
        "PolicyInvalid",
        "False",
        "The bounds of a policy cannot be used.",
        "Mend vertical.containers as the message says.",
    ),
    reason(
        "RequestsSized",
        "NoUsage",
        "False",
        "What the pods use cannot be read, so nothing new is advised.",
        "Check metrics-server (`foresail doctor`).",
    ),
    reason(
        "RequestsSized",
        "PodLevelResources",
        "False",
        "The pods are sized as a whole, which is not changed.",
        "Size them by hand, or size their containers instead of the pod.",
    ),
    reason(
        "RequestsSized",
        "Rollout",
        "False",
        "A rollout is on; nothing is resized before its end.",
        "Nothing; if it lasts, look at the rollout.",
    ),
    reason(
        "RequestsSized",
        "LowHistory",
        "False",
        "Samples span too short a time to resize by.",
        "Wait, or lower vertical.minHistorySeconds.",
    ),
    reason(
        "RequestsSized",
        "TemplateSilent",
        "False",
        "The pod template does not ask for what would be changed.",
        "Write requests into the pod template: a resize and a utilization begin at them.",
    ),
    reason(
        "RequestsSized",
        "VPAFound",
        "False",
        "A VerticalPodAutoscaler changes the same requests.",
        "Set its updateMode to Off, or delete it.",
    ),
    reason(
        "RequestsSized",
        "HPAReckons",
        "False",
        "An HPA's target is a share of a request that would be changed.",
        "Take that resource out of controlledResources, or let Foresail scale: `foresail migrate hpa NAME --cutover`.",
    ),
    reason(
        "RequestsSized",
        "Forbidden",
        "False",
        "The controller lacks a right that resizing needs.",
        "Install with vertical.apply=true (`foresail manifests --vertical`); `foresail doctor --as` shows what lacks.",
    ),
    reason(
        "RequestsSized",
        "ApiUnavailable",
        "False",
        "The API server gave no usable answer to a question about the pods.",
        "Wait; it is tried again. If it lasts, look at the API server.",
    ),
    reason(
        "RequestsSized",
        "Refused",
        "False",
        "The server refuses the size that was decided.",
        "Read the message: a quota, a LimitRange or an admission policy; bound it with maxAllowed.",
    ),
    reason(
        "RequestsSized",
        "QosClass",
        "False",
        "What is advised would change the pods' QoS class, which no resize may.",
        "Write controlledValues RequestsAndLimits, or bound requests below the limits with maxAllowed.",
    ),
    reason(
        "RequestsSized",
        "NoRoom",
        "False",
        "The namespace's LimitRange or quota leaves nothing of what is advised.",
        "Raise the LimitRange or the quota that the message names, or bound the advice with maxAllowed.",
    ),
    reason(
        "RequestsSized",
        "Infeasible",
        "False",
        "A node can never give a pod as much; that pod keeps its size.",
        "Lower maxAllowed, or give the pods larger nodes; it is tried again after an hour.",
    ),
    reason(
        "RequestsSized",
        "Deferred",
        "False",
        "A node has no room at present.",
        "Nothing: after five minutes the pod keeps its size, and it is tried again after an hour. Add nodes if it lasts.",
    ),
    reason(
        "RequestsSized",
        "Late",
        "False",
        "A resize did not get done within an hour; that pod keeps its size.",
        "Look at the pod; memory above the wished limit is not taken from it.",
    ),
    reason(
        "CapacityConstrained",
        "Recovered",
        "False",
        "Every pod has a place.",
        "",
    ),
    reason(
        "CapacityConstrained",
        "PodsPending",
        "True",
        "Pods find no place; nothing more is added until they run.",
        "Add nodes, or lower what the pods request.",
    ),
    reason(
        "CapacityConstrained",
        "QuotaExceeded",
        "True",
        "Pods cannot be made: a quota or an admission refuses them.",
        "Raise the quota of the namespace, or lower spec.maxReplicas.",
    ),
    reason(
        "Suspended",
        "NotSuspended",
        "False",
        "Nothing is switched off.",
        "",
    ),
    reason(
        "Suspended",
        "HoldAt",
        "True",
        "The number of replicas is held by spec.suspend.holdAt.",
        "`foresail resume NAME` lets go.",
    ),
    reason(
        "Suspended",
        "Both",
        "True",
        "Both directions are switched off by spec.suspend.",
        "`foresail resume NAME` lets go.",
    ),
    reason(
        "Suspended",
        "ScaleUp",
        "True",
        "The way up is switched off by spec.suspend.",
        "`foresail resume NAME` lets go.",
    ),
    reason(
        "Suspended",
        "ScaleDown",
        "True",
        "The way down is switched off by spec.suspend.",
        "`foresail resume NAME` lets go.",
    ),
    reason(
        "FeaturesPresent",
        "AllPresent",
        "True",
        "The cluster has everything that the spec asks for.",
        "",
    ),
    reason(
        "FeaturesPresent",
        "KubernetesTooOld",
        "False",
        "The cluster is older than Kubernetes 1.30.",
        "Upgrade it; what is decided here may not be what an HPA of that version would.",
    ),
    reason(
        "FeaturesPresent",
        "ToleranceUnknownToHPA",
        "False",
        "behavior.*.tolerance counts here, but for no HPA of this cluster.",
        "Nothing, unless the floor is to equal that of an HPA: then take the tolerance out.",
    ),
    reason(
        "FeaturesPresent",
        "ScaleToZeroUnknownToHPA",
        "False",
        "Zero replicas count here, but for no HPA of this cluster.",
        "Nothing, unless the floor is to equal that of an HPA: then write minReplicas 1.",
    ),
    reason(
        "LadderSkipped",
        "NoShadowData",
        "True",
        "The object acts without ever having run in Shadow.",
        "Nothing; to be safe write mode Shadow for a day and look at `foresail describe NAME`.",
    ),
    reason(
        "LadderSkipped",
        "ShadowPassed",
        "False",
        "The object ran in Shadow before it acted.",
        "",
    ),
    reason("Stored", "Usable", "True", "Decisions are kept.", ""),
    reason(
        "Stored",
        "StoreUnusable",
        "False",
        "Nothing can be kept: nothing goes down until it can.",
        "Give the controller's --store a volume with space that it may write; a file of a newer version needs that version, or another folder.",
    ),
    reason(
        "Stored",
        "BegunAnew",
        "True",
        "The file of the store was damaged or not Foresail's; it lies aside, and memory begins anew.",
        "Nothing: forecasts are trusted again once they have proved right. Find out why from the file that the message names; the next start ends this.",
    ),
];

/// A reason by condition and word.
#[must_use]
pub fn find(condition: &str, reason: &str) -> Option<&'static Reason> {
    REASONS
        .iter()
        .find(|r| r.condition == condition && r.reason == reason)
}

/// `true` where a condition of this status is nothing to worry about.
#[must_use]
pub fn is_well(condition: &str, status: &str) -> bool {
    let good_is_true = matches!(
        condition,
        "Ready"
            | "AbleToScale"
            | "ScalingActive"
            | "ForecastReady"
            | "RequestsSized"
            | "FeaturesPresent"
            | "Stored"
    );
    match status {
        "True" => good_is_true || condition == "ScaledToZero",
        "False" => !good_is_true,
        _ => false,
    }
}

/// The list as a page of the documents.
#[must_use]
pub fn page() -> String {
    let mut page = "# Conditions\n\nWhat `foresail describe NAME` and `kubectl describe pas NAME` show, what each reason means, and what mends it.\nMade from `crates/foresail/src/controller/conditions.rs`; a test keeps it current.\n".to_owned();
    for (condition, meaning) in CONDITIONS {
        page.push_str(&format!(
            "\n## {condition}\n\nTrue: {meaning}.\n\n| reason | status | meaning | mend |\n|---|---|---|---|\n"
        ));
        for r in REASONS.iter().filter(|r| r.condition == *condition) {
            let mend = if r.mend.is_empty() { "–" } else { r.mend };
            page.push_str(&format!(
                "| {} | {} | {} | {mend} |\n",
                r.reason, r.status, r.meaning
            ));
        }
    }
    page
}

#[cfg(test)]
mod tests;
