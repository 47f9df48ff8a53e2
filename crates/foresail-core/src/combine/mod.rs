//! What is wanted: the gate drops wishes that are not trusted, the rule picks one of the rest, the
//! reactive floor lies under it.

pub(crate) mod floor;
pub mod gate;

use crate::propose::plan::{Axis, Setting, TargetId};
use crate::propose::{Proposal, Reactive};
use crate::quantity::units::Replicas;
use crate::spec::{CombineRule, CombineSpec, Floor, ValidTarget};

use crate::guard::Limit;
use gate::Gate;

/// A proposal with what became of it before it met the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The wish as it was made.
    pub proposal: Proposal,
    /// What its own shape steps did to it.
    pub shape: Vec<Limit>,
    /// Why it was dropped, where it was.
    pub gate: Option<Gate>,
}

impl Judged {
    /// What is left of the wish for the target at `place` in the spec, where it was not dropped.
    #[must_use]
    pub fn wish(&self, place: usize, target: &TargetId) -> Option<Setting> {
        let mut setting = self
            .gate
            .is_none()
            .then(|| self.proposal.wish_at(place, target).cloned())??;
        for limit in self.shape.iter().filter(|l| l.target == *target) {
            setting.set(&limit.axis, limit.to);
        }
        Some(setting)
    }
}

/// Whose number is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// That of a proposer, by its place in the spec.
    Proposer(usize),
    /// The reactive floor.
    Floor,
}

/// What is wanted of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The joint setting, not yet limited.
    pub setting: Setting,
    /// Whose number it is; `None` where nobody wishes anything.
    pub chosen: Option<Chosen>,
    /// The floor at the wanted requests.
    pub reactive: Reactive,
}

/// Makes one wanted setting of many wishes.
///
/// `reactive_at` answers the reactive floor at a setting's requests: a cut of the CPU request makes
/// the same usage a larger share of it, so the floor rises.
pub(crate) fn combine(
    spec: &CombineSpec,
    (place, target): (usize, &ValidTarget),
    judged: &[Judged],
    current: &Setting,
    reactive_at: impl Fn(&Setting) -> Reactive,
) -> Wanted {
    let picked = pick(spec.rule, (place, &target.id), judged);
    let chosen = picked.as_ref().map(|(i, _)| Chosen::Proposer(*i));
    let mut setting = picked.map(|(_, s)| s).unwrap_or_default();
    fill_requests(&mut setting, (place, &target.id), judged);
    setting.per_pod = target.supported(&setting.per_pod);
    let reactive = reactive_at(&setting);
    let under = reactive.replicas.map(|r| share(spec.floor, r));
    let wished = setting.replicas;
    // A share of the floor is for a wish that is trusted to go below; without one the floor is whole.
    let fallback = reactive.replicas.filter(|_| chosen.is_none());
    let below = under.filter(|floor| wished.is_some_and(|w| w < *floor));
    match below
        .or(fallback)
        .filter(|floor| *floor > Replicas::ZERO || chosen.is_none())
    {
        Some(floor) if wished != Some(floor) => {
            setting.replicas = Some(floor);
            Wanted {
                setting,
                chosen: Some(Chosen::Floor),
                reactive,
            }
        }
        _ => {
            // A wish about other axes alone still must not leave the floor: the current number
            // stands in for the replicas that nobody wished.
            if setting.replicas.is_none() {
                setting.replicas = lifted(current.replicas, under);
            }
            Wanted {
                setting,
                chosen,
                reactive,
            }
        }
    }
}

/// Fills requests that the picked wish is silent about from the others, in the order of the spec:
/// one proposer may size pods while another counts them.
fn fill_requests(setting: &mut Setting, (place, target): (usize, &TargetId), judged: &[Judged]) {
    for wish in judged.iter().filter_map(|j| j.wish(place, target)) {
        for (resource, amount) in wish.per_pod.iter() {
            if setting.per_pod.get(resource).is_none() {
                setting.set(&Axis::PerPod(resource.to_owned()), amount);
            }
        }
    }
}

/// The current number, or the floor where that is higher.
fn lifted(current: Option<Replicas>, floor: Option<Replicas>) -> Option<Replicas> {
    current.map(|c| floor.map_or(c, |f| c.max(f)))
}

/// The part of the floor that always holds.
fn share(floor: Floor, reactive: Replicas) -> Replicas {
    match floor {
        Floor::Strict => reactive,
        Floor::Relaxed { min_share_percent } => {
            let part = reactive.as_i64() * i64::from(min_share_percent);
            Replicas::saturating((part + 99) / 100)
        }
    }
}

/// The wish that the rule takes, with its place in the spec.
fn pick(
    rule: CombineRule,
    (place, target): (usize, &TargetId),
    judged: &[Judged],
) -> Option<(usize, Setting)> {
    let mut wishes = judged
        .iter()
        .enumerate()
        .filter_map(|(i, j)| Some((i, j.wish(place, target)?)));
    match rule {
        CombineRule::First => wishes.next(),
        CombineRule::Largest => {
            let mut best: Option<(usize, Setting)> = None;
            for wish in wishes {
                if best.as_ref().is_none_or(|b| size(&wish.1) > size(&b.1)) {
                    best = Some(wish);
                }
            }
            best
        }
        CombineRule::Median => {
            let mut all: Vec<_> = wishes.collect();
            all.sort_by_key(|(i, setting)| (size(setting), *i));
            let middle = all.len() / 2;
            (!all.is_empty()).then(|| all.swap_remove(middle))
        }
    }
}

/// What makes one wish larger than another: replicas first, then the pool.
fn size(setting: &Setting) -> (Option<Replicas>, Option<Replicas>) {
    (setting.replicas, setting.pool)
}
