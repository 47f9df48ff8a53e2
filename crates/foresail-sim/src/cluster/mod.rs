//! What demand meets: pods, the nodes that they stand on, and where each is placed.

mod by_load;
mod node;
mod placement;
mod pod;

use foresail_core::propose::plan::Resources;
use foresail_core::quantity::time::Span;

pub(crate) use by_load::ByLoad;
pub(crate) use node::Nodes;
pub use placement::Placement;
pub(crate) use pod::{Life, NO_NODE, Pod, Waiting, victims};

/// What a pod asks for, or what a node has.
///
/// Units: thousandths of a core, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// CPU in thousandths of a core.
    pub cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
}

impl Size {
    /// The size of so many thousandths of a core and GiB.
    #[must_use]
    pub fn new(cpu_millicores: u32, memory_gib: f64) -> Self {
        Self {
            cpu: i64::from(cpu_millicores),
            memory: (memory_gib * GIB) as i64,
        }
    }

    /// This size with what is asked for in its place; what is not a size is left as it is.
    pub(crate) fn with(self, wanted: &Resources) -> Self {
        let amount = |name| wanted.get(name).map(|q| q.milli()).filter(|m| *m >= 0);
        Self {
            cpu: amount("cpu").unwrap_or(self.cpu),
            memory: amount("memory").map_or(self.memory, |m| m / 1000),
        }
    }

    /// `true` where this fits into `room`.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.cpu <= room.cpu && self.memory <= room.memory
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu - other.cpu,
            memory: self.memory - other.memory,
        }
    }
}

/// Bytes of a GiB.
pub(crate) const GIB: f64 = (1_u64 << 30) as f64;

/// The CPU that requests in service use, in thousandths of a core each.
pub(crate) fn millicores_per_request(cpu_per_request: Span, mean_service: Span) -> f64 {
    cpu_per_request.nanos() as f64 / mean_service.nanos() as f64 * 1000.0
}
