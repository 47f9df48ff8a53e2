//! The box that is searched: one dimension per target and resource.

use std::collections::BTreeMap;

use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::units::{Quantity, Unit, larger, smaller};

/// One dimension: how much of a resource one pod of a target may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Whose pods.
    pub target: TargetId,
    /// Which resource: `cpu` in cores, `memory` in bytes.
    pub resource: String,
    /// The least, in the resource's unit.
    pub from: f64,
    /// The most.
    pub to: f64,
    /// Values are whole multiples of it; above zero.
    pub step: f64,
}

impl Range {
    /// The unit that the resource is counted in.
    fn unit(&self) -> Unit {
        match self.resource.as_str() {
            "memory" => Unit::Bytes,
            _ => Unit::Count,
        }
    }

    /// The value at a share of the range, 0 to 1: rounded to a step, never outside.
    #[must_use]
    pub fn value(&self, share: f64) -> f64 {
        let raw = self.from + share * (self.to - self.from);
        let rounded = (raw / self.step).round() * self.step;
        larger(self.from, smaller(rounded, self.to))
    }

    /// The share of the range at which a value stands.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        if self.to > self.from {
            (value - self.from) / (self.to - self.from)
        } else {
            0.0
        }
    }
}

/// Every dimension, in an order that does not change: `cpu` and `memory` of the first stage, then
/// those of the second.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Space {
    /// The dimensions.
    pub ranges: Vec<Range>,
}

impl Space {
    /// Number of dimensions.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.ranges.len()
    }

    /// The plan at a point of the unit box; shape `[dimensions]`.
    #[must_use]
    pub fn plan(&self, point: &[f64]) -> Plan {
        let mut order: Vec<TargetId> = Vec::new();
        let mut settings: BTreeMap<TargetId, Setting> = BTreeMap::new();
        for (range, share) in self.ranges.iter().zip(point) {
            if !order.contains(&range.target) {
                order.push(range.target.clone());
            }
            let milli = (range.value(*share) * 1000.0).round() as i64;
            let amount = Quantity::from_milli(milli, range.unit());
            let setting = settings.entry(range.target.clone()).or_default();
            setting.per_pod.set(&range.resource, amount);
        }
        order
            .into_iter()
            .filter_map(|id| settings.remove(&id).map(|setting| (id, setting)))
            .collect()
    }

    /// The point of a plan; `None` where it leaves a dimension open.
    #[must_use]
    pub fn point(&self, plan: &Plan) -> Option<Vec<f64>> {
        let one = |range: &Range| {
            let (_, setting) = plan.iter().find(|(id, _)| *id == range.target)?;
            let amount = setting.per_pod.get(&range.resource)?;
            Some(range.share(amount.milli() as f64 / 1000.0))
        };
        self.ranges.iter().map(one).collect()
    }

    /// The nearest point that a plan can be made of: each dimension rounded to its step.
    #[must_use]
    pub fn rounded(&self, point: &[f64]) -> Vec<f64> {
        let one = |(range, share): (&Range, &f64)| range.share(range.value(*share));
        self.ranges.iter().zip(point).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPU and memory as the published manager has them: 0.1 to 6 cores, 128 to 10,240 MiB.
    fn published() -> Space {
        let range = |stage: &str, resource: &str, [from, to, step]: [f64; 3]| Range {
            target: TargetId::new(stage),
            resource: resource.to_owned(),
            from,
            to,
            step,
        };
        let mebi = f64::from(1 << 20);
        let both = |stage| {
            [
                range(stage, "cpu", [0.1, 6.0, 0.1]),
                range(stage, "memory", [128.0 * mebi, 10_240.0 * mebi, mebi]),
            ]
        };
        Space {
            ranges: ["a", "b"].into_iter().flat_map(both).collect(),
        }
    }

    #[test]
    fn the_published_map_of_shares_to_resources_holds() {
        // Source: specs/aapa_aquatope.md 3.4, resource map.
        let space = published();
        let plan = space.plan(&[0.2, 0.1, 1.0, 0.0]);
        let of = |place: usize, resource: &str| plan[place].1.per_pod.get(resource).unwrap();
        assert_eq!(of(0, "cpu").milli(), 1300);
        assert_eq!(of(1, "cpu").milli(), 6000);
        assert_eq!(of(0, "memory").milli(), 1139 * 1000 * (1 << 20));
        assert_eq!(of(1, "memory").milli(), 128 * 1000 * (1 << 20));
        let point = space.point(&plan).unwrap();
        assert_eq!(space.plan(&point), plan);
    }
}
