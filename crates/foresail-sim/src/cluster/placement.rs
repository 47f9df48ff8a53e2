//! On which node a pod is placed.

use serde::{Deserialize, Serialize};

use super::Size;

/// Which of the nodes with room is taken; of equals the oldest.
///
/// Source: kubernetes/kubernetes:pkg/scheduler/framework/plugins/noderesources, scoring strategies
/// LeastAllocated and MostAllocated over CPU and memory of equal weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Placement {
    /// The one with the least allocated, as Kubernetes does where nothing else is said.
    #[default]
    LeastAllocated,
    /// The one with the most allocated, so that nodes become empty.
    MostAllocated,
    /// The oldest.
    FirstFit,
}

impl Placement {
    /// Places `pod` on one of the nodes, given as their number and the room that they have left of
    /// `whole`; `None` where it fits nowhere.
    pub(crate) fn choose(
        self,
        pod: Size,
        whole: Size,
        nodes: impl Iterator<Item = (u32, Size)>,
    ) -> Option<u32> {
        let mut best: Option<(f64, u32)> = None;
        for (node, room) in nodes.filter(|(_, room)| pod.fits(*room)) {
            let score = match self {
                Self::FirstFit => return Some(node),
                Self::LeastAllocated => free(room.minus(pod), whole),
                Self::MostAllocated => -free(room.minus(pod), whole),
            };
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, node));
            }
        }
        best.map(|(_, node)| node)
    }
}

/// Mean share of CPU and memory that is left free.
fn free(room: Size, whole: Size) -> f64 {
    let share = |of: i64, all: i64| if all > 0 { of as f64 / all as f64 } else { 0.0 };
    (share(room.cpu, whole.cpu) + share(room.memory, whole.memory)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_takes_its_own_node_and_none_where_nothing_fits() {
        let whole = Size {
            cpu: 4000,
            memory: 8,
        };
        let rooms = [(0, 2000), (1, 3000), (2, 1000), (3, 3000), (4, 500)];
        let choose = |way: Placement, cpu| {
            let nodes = rooms.iter().map(|(n, cpu)| {
                let room = Size {
                    cpu: *cpu,
                    memory: 4,
                };
                (*n, room)
            });
            way.choose(Size { cpu, memory: 1 }, whole, nodes)
        };
        assert_eq!(choose(Placement::FirstFit, 1000), Some(0));
        assert_eq!(choose(Placement::LeastAllocated, 1000), Some(1));
        assert_eq!(choose(Placement::MostAllocated, 1000), Some(2));
        assert_eq!(choose(Placement::MostAllocated, 1001), Some(0));
        assert_eq!(choose(Placement::FirstFit, 3001), None);
    }
}
