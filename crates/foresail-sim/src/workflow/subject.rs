//! What a search over sizes is about: a workflow, its promise, the sizes that are allowed.

use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::units::{Quantity, Unit, larger, smaller};
use foresail_core::value::workflow::{Promise, Size};
use foresail_models::tune::space::{Range, Space};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::Model;

/// Bytes of a mebibyte.
pub const MEBI: f64 = 1_048_576.0;

/// The most values of one dimension of the grid.
pub const VALUES_MAX: f64 = 100_000.0;

/// Values of one resource: whole multiples of a step between two ends, and the ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Steps {
    /// The least.
    pub from: f64,
    /// The most.
    pub to: f64,
    /// Distance of two values.
    pub step: f64,
}

impl Steps {
    /// CPU of the published manager, in cores.
    /// Source: specs/aapa_aquatope.md 2.5.
    pub const CPU: Self = Self {
        from: 0.1,
        to: 6.0,
        step: 0.1,
    };

    /// Memory of the published manager, in MiB.
    /// Source: specs/aapa_aquatope.md 2.5.
    pub const MEMORY: Self = Self {
        from: 128.0,
        to: 10_240.0,
        step: 1.0,
    };

    /// Every value, least first; in thousandths exact.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        let first = (self.from / self.step + 1e-9).floor() as i64 + 1;
        let last = (self.to / self.step - 1e-9).ceil() as i64 - 1;
        let exact = |v: f64| (v * 1000.0).round() / 1000.0;
        let inside = (first..=last).map(|k| exact(k as f64 * self.step));
        let ends = (self.to > self.from).then_some(exact(self.to));
        std::iter::once(exact(self.from))
            .chain(inside)
            .chain(ends)
            .collect()
    }

    /// What is wrong with it; `None` where nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let (from, to, step) = (self.from, self.to, self.step);
        let finite = [from, to, step].iter().all(|v| v.is_finite());
        if !finite || from <= 0.0 || step <= 0.0 || to < from {
            return Some(format!(
                "from {from} to {to} by {step}: from and step must be above 0, to not below from"
            ));
        }
        let count = (to - from) / step;
        (count > VALUES_MAX).then(|| format!("{count:.0} values: take a larger step"))
    }
}

/// Sizes that one stage may have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sizes {
    /// CPU in cores.
    pub cpu_cores: Steps,
    /// Memory in MiB.
    pub memory_mib: Steps,
}

impl Default for Sizes {
    /// Those of the published manager.
    fn default() -> Self {
        Self {
            cpu_cores: Steps::CPU,
            memory_mib: Steps::MEMORY,
        }
    }
}

impl Sizes {
    /// The size that the published deployment creates a function with, within what is allowed.
    /// Source: specs/aapa_aquatope.md 2.4, `create_action`: 1 core, 256 MB.
    #[must_use]
    pub fn created(&self) -> Size {
        let within = |value: f64, steps: Steps| larger(steps.from, smaller(value, steps.to));
        Size {
            cpu_cores: within(1.0, self.cpu_cores),
            memory_mib: within(256.0, self.memory_mib),
        }
    }
}

/// What a search over sizes is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The workflow as it can be called.
    pub model: Model,
    /// Its promise.
    pub promise: Promise,
    /// Sizes that each stage may have, shape `[stages]`.
    pub sizes: Vec<Sizes>,
    /// Size of each stage before the search, shape `[stages]`.
    pub former: Vec<Size>,
    /// Parameters of each call; the simulator reads none of them.
    pub params: Map<String, Value>,
}

impl Subject {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.model.workflow.name()
    }

    /// The targets: one per stage, `workflow/stage`.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetId> {
        let stages = self.model.workflow.stages().iter();
        stages
            .map(|s| TargetId::new(&format!("{}/{}", self.name(), s.name)))
            .collect()
    }

    /// The box that is searched: CPU and memory of each stage in turn.
    #[must_use]
    pub fn space(&self) -> Space {
        let both = |(target, sizes): (TargetId, &Sizes)| {
            let range = |resource: &str, steps: Steps, unit: f64| Range {
                target: target.clone(),
                resource: resource.to_owned(),
                from: steps.from * unit,
                to: steps.to * unit,
                step: steps.step * unit,
            };
            [
                range("cpu", sizes.cpu_cores, 1.0),
                range("memory", sizes.memory_mib, MEBI),
            ]
        };
        let ranges = self.targets().into_iter().zip(&self.sizes).flat_map(both);
        Space {
            ranges: ranges.collect(),
        }
    }

    /// The plan of these sizes, shape `[stages]`.
    #[must_use]
    pub fn plan(&self, sizes: &[Size]) -> Plan {
        let one = |(target, size): (TargetId, &Size)| {
            let mut setting = Setting::default();
            let cpu = Quantity::from_f64(size.cpu_cores, Unit::Count);
            let memory = Quantity::from_f64((size.memory_mib * MEBI).round(), Unit::Bytes);
            setting.per_pod.set("cpu", cpu);
            setting.per_pod.set("memory", memory);
            (target, setting)
        };
        self.targets().into_iter().zip(sizes).map(one).collect()
    }

    /// The sizes of a plan, shape `[stages]`; `None` where it leaves one open.
    #[must_use]
    pub fn sizes_of(&self, plan: &Plan) -> Option<Vec<Size>> {
        let one = |target: TargetId| {
            let (_, setting) = plan.iter().find(|(id, _)| *id == target)?;
            Some(Size {
                cpu_cores: setting.per_pod.get("cpu")?.value(),
                memory_mib: setting.per_pod.get("memory")?.value() / MEBI,
            })
        };
        self.targets().into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_a_search_can_reach() {
        let cpu = Steps::CPU.values();
        assert_eq!((cpu.len(), cpu[0], cpu[59]), (60, 0.1, 6.0));
        assert!((cpu[28] - 2.9).abs() < 1e-15);
        assert_eq!(Steps::MEMORY.values().len(), 10_113);
        let odd = Steps {
            from: 0.25,
            to: 1.1,
            step: 0.5,
        };
        assert_eq!(odd.values(), [0.25, 0.5, 1.0, 1.1]);
        let one = Steps {
            from: 2.0,
            to: 2.0,
            step: 1.0,
        };
        assert_eq!(one.values(), [2.0]);
    }
}
