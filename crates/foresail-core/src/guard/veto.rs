//! Conditions under which nothing goes down.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::hpa::{Phase, Pod, Reading};
use crate::observe::Health;
use crate::propose::plan::Setting;

/// Keeps replicas and requests where they are while there is a reason to mistrust less load.
///
/// Reasons, the first found is told: the controller holds down, a required metric could not be
/// read, too many pods without samples, a rollout, a sick target, a recent take-over. Moves to
/// `current`; never holds a rise.
/// Source: specs/reliability.md 1.1 S6.
#[derive(Debug)]
pub(crate) struct Veto;

impl Guard for Veto {
    fn name(&self) -> GuardName {
        GuardName::Veto
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        !scene.hpa_alone && !scene.straight_to_bound()
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        if !scene.goes_down(wanted) {
            return Vec::new();
        }
        match reason(scene) {
            Some(why) => scene.hold_down(self.name(), wanted, &why),
            None => Vec::new(),
        }
    }
}

fn reason(scene: &Scene<'_>) -> Option<Why> {
    if scene.health >= Health::HoldDown {
        return Some(Why::HoldDown);
    }
    if scene.metric_invalid {
        return Some(Why::MetricInvalid);
    }
    let missing = missing_percent(&scene.state.pods, &scene.state.readings);
    if missing > scene.guards.missing_pods_percent_max {
        return Some(Why::PodsMissing(missing));
    }
    if scene.state.rollout {
        return Some(Why::Rollout);
    }
    if scene.state.sick {
        return Some(Why::Sick);
    }
    let uptime = scene.state.taken_over_at.map(|at| scene.now - at);
    uptime
        .filter(|u| *u < scene.guards.min_uptime)
        .map(Why::TakenOver)
}

/// The largest share, over all pod metrics, of running pods without a sample, in percent (up).
///
/// Pods that are going away or not started are left out: the HPA does not expect samples of them.
fn missing_percent(pods: &[Pod], readings: &[Reading]) -> u8 {
    let expected =
        |pod: &Pod| !pod.deleting && matches!(pod.phase, Phase::Running | Phase::Unknown);
    let mut worst = 0;
    for reading in readings {
        let Reading::Pods(of_pods) = reading else {
            continue;
        };
        let (mut all, mut without) = (0_u64, 0_u64);
        for (place, pod) in pods.iter().enumerate().filter(|(_, p)| expected(p)) {
            let count = u64::from(pod.count);
            all += count;
            if of_pods.get(place).is_some_and(|r| r.sample.is_none()) {
                without += count;
            }
        }
        if all > 0 {
            worst = worst.max((without * 100).div_ceil(all));
        }
    }
    u8::try_from(worst).unwrap_or(100)
}
