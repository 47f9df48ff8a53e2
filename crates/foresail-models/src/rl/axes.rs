//! Joint actions: on each axis of a target one of hold, up and down.
//!
//! The axes are the replicas and every resource that the target allows to be changed, so the set is
//! open. A learner's output has three places per axis in the order hold, up, down.
//! Source: FIRM (OSDI 2020), `actions.py`: index ÷ 3 is the resource, index mod 3 one of (0, +, −).

use foresail_core::propose::plan::{Axis, Setting};
use foresail_core::quantity::units::{Quantity, Unit};
use foresail_core::spec::{Resize, ValidTarget};
use serde::{Deserialize, Serialize};

/// Outputs of a learner per axis.
pub const MOVES: usize = 3;

/// One step of the replicas, as a share of what there is, in percent; at least one replica.
const REPLICAS_STEP_PERCENT: i64 = 10;

/// What is done on one axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// Nothing.
    #[default]
    Hold,
    /// One step up.
    Up,
    /// One step down.
    Down,
}

impl Move {
    /// Every move, in the order of a learner's outputs.
    pub const ALL: [Self; MOVES] = [Self::Hold, Self::Up, Self::Down];

    /// The move from one amount to another.
    #[must_use]
    pub fn between(from: Quantity, to: Quantity) -> Self {
        match to.milli().cmp(&from.milli()) {
            std::cmp::Ordering::Greater => Self::Up,
            std::cmp::Ordering::Less => Self::Down,
            std::cmp::Ordering::Equal => Self::Hold,
        }
    }

    /// +1, 0 or −1.
    #[must_use]
    pub const fn sign(self) -> i8 {
        match self {
            Self::Hold => 0,
            Self::Up => 1,
            Self::Down => -1,
        }
    }
}

/// One move per axis, in the order of the [`Axes`].
pub type Moves = Vec<Move>;

/// How a learner's outputs become moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Joint {
    /// On each axis the largest of its three outputs.
    #[default]
    Each,
    /// The largest of all outputs; every other axis holds. FIRM's and AWARE's form.
    One,
}

impl Joint {
    /// Outputs that share one softmax, for `outputs` in all.
    #[must_use]
    pub const fn group(self, outputs: usize) -> usize {
        match self {
            Self::Each => MOVES,
            Self::One => outputs,
        }
    }

    /// The moves of these outputs, of those that `legal` allows; three outputs per axis.
    #[must_use]
    pub fn choose(self, outputs: &[f32], legal: &[bool]) -> Moves {
        let axes = outputs.len() / MOVES;
        let mut moves = vec![Move::Hold; axes];
        match self {
            Self::Each => {
                for (axis, chosen) in moves.iter_mut().enumerate() {
                    let places = axis * MOVES..(axis + 1) * MOVES;
                    if let Some(best) = best(outputs, legal, places) {
                        *chosen = Move::ALL[best % MOVES];
                    }
                }
            }
            Self::One => {
                if let Some(best) = best(outputs, legal, 0..axes * MOVES) {
                    moves[best / MOVES] = Move::ALL[best % MOVES];
                }
            }
        }
        moves
    }
}

/// The place of the largest legal output; of equals the first.
fn best(outputs: &[f32], legal: &[bool], places: std::ops::Range<usize>) -> Option<usize> {
    let mut best: Option<usize> = None;
    for place in places.filter(|p| legal.get(*p).copied().unwrap_or(false)) {
        if best.is_none_or(|b| outputs[place] > outputs[b]) {
            best = Some(place);
        }
    }
    best
}

/// The axes of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes(Vec<Axis>);

impl Axes {
    /// The replicas, then every resource that may be changed, in the order of the names.
    #[must_use]
    pub fn of(target: &ValidTarget) -> Self {
        let resources = target.resources.keys().cloned().map(Axis::PerPod);
        Self(std::iter::once(Axis::Replicas).chain(resources).collect())
    }

    /// The axes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Axis> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// `false`: there are always the replicas.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Outputs of a learner for these axes.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.0.len() * MOVES
    }

    /// Which outputs are legal from a setting: within bounds, known, and no other requests where the
    /// one replica would have to be made anew.
    #[must_use]
    pub fn legal(&self, target: &ValidTarget, now: &Setting) -> Vec<bool> {
        let of = |axis: &Axis| Move::ALL.map(|m| self.after(target, now, axis, m).is_some());
        self.0.iter().flat_map(of).collect()
    }

    /// The amount on one axis after a move; `None` where that is not legal.
    fn after(
        &self,
        target: &ValidTarget,
        now: &Setting,
        axis: &Axis,
        one: Move,
    ) -> Option<Quantity> {
        let from = now.get(axis);
        if one == Move::Hold {
            return Some(from.unwrap_or(Quantity::from_milli(0, Unit::Count)));
        }
        let from = from?;
        let (step, least, most) = match axis {
            Axis::PerPod(resource) => {
                let only = now.replicas.is_none_or(|r| r.get() <= 1);
                if target.resize == Resize::Recreate && only {
                    return None;
                }
                let bounds = target.resources.get(resource)?;
                (bounds.step.milli(), bounds.min.milli(), bounds.max.milli())
            }
            _ => {
                let replicas = from.milli() / 1000;
                let step = ((replicas * REPLICAS_STEP_PERCENT + 99) / 100).max(1);
                let bound = |n: i32| i64::from(n) * 1000;
                let rules = &target.rules;
                (step * 1000, bound(rules.min().max(1)), bound(rules.max()))
            }
        };
        let to = match one {
            Move::Hold => from.milli(),
            // The last step to a bound may be a short one.
            Move::Up => (from.milli() + step).min(most.max(from.milli())),
            Move::Down => (from.milli() - step).max(least.min(from.milli())),
        };
        (to != from.milli()).then(|| Quantity::from_milli(to, from.unit()))
    }

    /// The setting that these moves lead to; an illegal move holds.
    #[must_use]
    pub fn wish(&self, target: &ValidTarget, now: &Setting, moves: &[Move]) -> Setting {
        let mut wish = Setting::default();
        for (axis, one) in self.0.iter().zip(moves) {
            if now.get(axis).is_none() {
                continue;
            }
            let held = now.get(axis);
            if let Some(to) = self.after(target, now, axis, *one).or(held) {
                wish.set(axis, to);
            }
        }
        wish
    }

    /// The moves that led from one setting to another: what was executed.
    #[must_use]
    pub fn executed(&self, from: &Setting, to: &Setting) -> Moves {
        let between = |axis: &Axis| match (from.get(axis), to.get(axis)) {
            (Some(from), Some(to)) => Move::between(from, to),
            _ => Move::Hold,
        };
        self.0.iter().map(between).collect()
    }
}

/// Moves as a learner's outputs: one where it is done, zero elsewhere.
#[must_use]
pub fn one_hot(moves: &[Move]) -> Vec<f32> {
    let of = |one: &Move| Move::ALL.map(|m| if m == *one { 1.0 } else { 0.0 });
    moves.iter().flat_map(of).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use foresail_core::hpa::HpaSpec;
    use foresail_core::propose::plan::TargetId;
    use foresail_core::quantity::units::Replicas;
    use foresail_core::spec::{ResourceSpec, Spec, ValidSpec};

    /// The bounds of AWARE's artifact: 1 to 20 replicas, 128 to 2048 m, 256 to 3072 Mi.
    pub(crate) fn spec(resize: Resize) -> ValidSpec {
        let hpa = HpaSpec {
            min_replicas: Some(1),
            max_replicas: 20,
            ..HpaSpec::default()
        };
        let mut spec = Spec::of_hpa(TargetId::new("web"), hpa);
        let bounds = |min: &str, max: &str, step: &str| ResourceSpec {
            min: min.parse().unwrap(),
            max: max.parse().unwrap(),
            step: step.parse().unwrap(),
        };
        let target = &mut spec.targets[0];
        target.resize = resize;
        let cpu = bounds("128m", "2048m", "128m");
        target.resources.insert("cpu".to_owned(), cpu);
        let memory = bounds("256Mi", "3072Mi", "128Mi");
        target.resources.insert("memory".to_owned(), memory);
        ValidSpec::new(spec).unwrap()
    }

    fn setting(replicas: u32, cpu: &str, memory: &str) -> Setting {
        let mut setting = Setting::replicas(Replicas::new(replicas));
        setting.per_pod.set("cpu", cpu.parse().unwrap());
        setting.per_pod.set("memory", memory.parse().unwrap());
        setting
    }

    #[test]
    fn vertical_moves_are_illegal_where_the_one_replica_would_be_made_anew() {
        let spec = spec(Resize::Recreate);
        let target = &spec.targets()[0];
        let axes = Axes::of(target);
        let legal = axes.legal(target, &setting(1, "1024m", "2048Mi"));
        let want = [true, true, false, true, false, false, true, false, false];
        assert_eq!(legal, want);
        let legal = axes.legal(target, &setting(2, "1024m", "2048Mi"));
        assert!(legal.iter().all(|l| *l));
        let held = axes.wish(
            target,
            &setting(1, "1024m", "2048Mi"),
            &[Move::Hold, Move::Up, Move::Down],
        );
        assert_eq!(held, setting(1, "1024m", "2048Mi"), "state unchanged");
    }

    #[test]
    fn steps_end_at_the_bounds_of_their_own_axis() {
        let spec = spec(Resize::InPlace);
        let target = &spec.targets()[0];
        let axes = Axes::of(target);
        let least = setting(1, "128m", "256Mi");
        let legal = axes.legal(target, &least);
        let want = [true, true, false, true, true, false, true, true, false];
        assert_eq!(
            legal, want,
            "the bound of CPU is its own, not that of replicas"
        );
        let up = axes.wish(target, &least, &[Move::Up; 3]);
        assert_eq!(up, setting(2, "256m", "384Mi"));
        let most = setting(20, "2048m", "3072Mi");
        let down = axes.wish(target, &most, &[Move::Down; 3]);
        assert_eq!(down, setting(18, "1920m", "2944Mi"));
        assert_eq!(axes.executed(&most, &down), [Move::Down; 3]);
    }

    #[test]
    fn one_moves_one_axis_and_each_moves_all() {
        let outputs = [0.1, 0.2, 0.7, 0.5, 0.1, 0.4, 0.0, 0.9, 0.1];
        let all = [true; 9];
        let each = Joint::Each.choose(&outputs, &all);
        assert_eq!(each, [Move::Down, Move::Hold, Move::Up]);
        let one = Joint::One.choose(&outputs, &all);
        assert_eq!(one, [Move::Hold, Move::Hold, Move::Up]);
        let mut legal = all;
        legal[7] = false;
        let masked = Joint::One.choose(&outputs, &legal);
        assert_eq!(masked, [Move::Down, Move::Hold, Move::Hold]);
        assert_eq!(one_hot(&masked), [0., 0., 1., 1., 0., 0., 1., 0., 0.]);
    }
}
