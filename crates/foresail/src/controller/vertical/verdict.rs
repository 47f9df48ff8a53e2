//! What is told of an object's requests as the condition `RequestsSized`; pure.

use foresail_adapters::kubernetes::crd::status::ResizeState;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_core::explain::why::Why;

use super::goal::Next;
use crate::vertical::fit::Fitted;
use crate::vertical::group::Owner;
use crate::vertical::subject::HpaTarget;

/// The condition before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

fn yes(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict {
        status: true,
        reason,
        message: message.into(),
    }
}

fn no(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict {
        status: false,
        reason,
        message: message.into(),
    }
}

impl Default for Verdict {
    fn default() -> Self {
        no("NoPods", "no pod was looked at yet")
    }
}

impl Verdict {
    pub(super) fn recommended() -> Self {
        yes("Recommended", "mode Recommend: nothing is resized")
    }

    pub(super) fn kept() -> Self {
        yes("Kept", "what the pods ask for is within its bounds")
    }

    pub(super) fn not_auto() -> Self {
        let told =
            "nothing is resized: the object's mode, or the controller's --max-mode, is not Auto";
        no("NotAuto", told)
    }

    pub(super) fn suspended() -> Self {
        no("Suspended", "nothing is resized while spec.suspend holds")
    }

    pub(super) fn frozen() -> Self {
        no(
            "Frozen",
            "nothing is written at present, so nothing is resized",
        )
    }

    pub(super) fn no_resize() -> Self {
        let told =
            "the server has no pods/resize, so nothing is resized; pods are never made anew for it";
        no("ResizeAbsent", told)
    }

    pub(super) fn unsupported(owner: Owner<'_>) -> Self {
        let told = format!(
            "{}/{}: requests are looked at for Deployments, StatefulSets and ReplicaSets alone",
            owner.kind, owner.name
        );
        no("TargetUnsupported", told)
    }

    pub(super) fn no_pods() -> Self {
        no("NoPods", "no pod of the target runs")
    }

    pub(super) fn no_container(containers: &[String]) -> Self {
        let told = format!(
            "no policy is for any of the pods' containers: {}",
            containers.join(", ")
        );
        no("NoContainer", told)
    }

    pub(super) fn policy_invalid(why: &str) -> Self {
        no("PolicyInvalid", why)
    }

    pub(super) fn no_usage(why: &str) -> Self {
        let told = format!("what the pods use is not known from metrics.k8s.io: {why}");
        no("NoUsage", told)
    }

    pub(super) fn sized_as_a_whole() -> Self {
        let told = "the pods are sized as a whole (spec.resources), which is not changed here";
        no("PodLevelResources", told)
    }

    pub(super) fn rollout() -> Self {
        no(
            "Rollout",
            "a rollout is on; nothing is resized before its end",
        )
    }

    pub(super) fn template_silent(container: &str, resource: &str) -> Self {
        let told = format!(
            "the template asks for no {resource} of {container}, so it is not known what a share of it would be"
        );
        no("TemplateSilent", told)
    }

    pub(super) fn low_history(known: i64, needed: i64) -> Self {
        let told = format!("samples span {known} s, less than minHistorySeconds {needed}");
        no("LowHistory", told)
    }

    pub(super) fn lowered_lately() -> Self {
        let told = "requests were lowered less than 10 minutes ago; the next decrease waits";
        yes("Kept", told)
    }

    pub(super) fn vpa(name: &str) -> Self {
        let told = format!("the VerticalPodAutoscaler {name} sets these requests too");
        no("VPAFound", told)
    }

    pub(super) fn reckoned_with(hpa: &HpaTarget) -> Self {
        let told = format!(
            "the HorizontalPodAutoscaler {} aims at {} % of the {} request, so a resize would move its replicas",
            hpa.name, hpa.percent, hpa.resource
        );
        no("HPAReckons", told)
    }

    /// What cannot be read or asked for.
    pub(super) fn unread(fault: &Fault) -> Self {
        match fault {
            Fault::Forbidden(why) => no("Forbidden", why.clone()),
            other => no("ApiUnavailable", other.to_string()),
        }
    }

    pub(super) fn refused(pod: &str, fault: &Fault) -> Self {
        no(
            "Refused",
            format!("pod {pod}: {fault}; tried again in 10 minutes"),
        )
    }

    /// Nothing was left of what is advised.
    pub(super) fn no_room(fitted: &Fitted) -> Self {
        let class = fitted.cuts.iter().any(|c| c.why == Why::QosClass);
        let cuts = fitted
            .cuts
            .iter()
            .map(|c| format!("{} {}: {}", c.container, c.resource, c.why));
        let told: Vec<String> = cuts.chain(fitted.notes.iter().cloned()).collect();
        let reason = if class { "QosClass" } else { "NoRoom" };
        no(reason, told.join("; "))
    }

    /// How far the pods are.
    pub(super) fn of(next: &Next) -> Self {
        let far = format!("{} of {} pods have what was decided", next.done, next.all);
        match &next.worst {
            None => yes("Applied", far),
            Some((ResizeState::Infeasible, why)) => no("Infeasible", format!("{far}; {why}")),
            Some((ResizeState::Deferred, why)) => no("Deferred", format!("{far}; {why}")),
            Some((_, why)) if next.due == 0 => no("Late", format!("{far}; {why}")),
            Some((_, why)) => yes("Resizing", format!("{far}; {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_that_is_least_far_says_what_is_told() {
        let of = |due, worst: Option<(ResizeState, &str)>| {
            let worst = worst.map(|(state, why)| (state, why.to_owned()));
            let next = Next {
                done: 1,
                all: 2,
                due,
                worst,
                ..Next::default()
            };
            let verdict = Verdict::of(&next);
            (verdict.status, verdict.reason)
        };
        assert_eq!(of(0, None), (true, "Applied"));
        assert_eq!(of(1, Some((ResizeState::Pending, ""))), (true, "Resizing"));
        assert_eq!(
            of(1, Some((ResizeState::Deferred, ""))),
            (false, "Deferred")
        );
        assert_eq!(
            of(0, Some((ResizeState::Infeasible, ""))),
            (false, "Infeasible")
        );
        assert_eq!(of(0, Some((ResizeState::InProgress, ""))), (false, "Late"));
    }
}
