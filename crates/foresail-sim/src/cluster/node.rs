//! Nodes: ordered when pods find no room, given back when they stand empty, lost.

use super::{Placement, Size};
use crate::config::NodeConfig;
use crate::rng::Stream;
use crate::service::Sampler;

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeLife {
    /// Ordered, not there yet.
    Ordered,
    Ready,
    Gone,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) life: NodeLife,
    room: Size,
    pods: u32,
    /// Since when it is empty.
    empty_since: i64,
    /// When the image is there; `None` before the first pod came.
    image_at: Option<i64>,
    /// How long the image takes to come.
    pull: i64,
}

/// All nodes; one keeps its number for ever.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    live: Vec<u32>,
    whole: Size,
    placement: Placement,
    fewest: u32,
    most: u32,
    provisioning: Sampler,
    provisionings: Stream,
    pull: Option<Sampler>,
    pulls: Stream,
}

impl Nodes {
    /// The nodes at the begin, ready.
    pub(crate) fn new(
        config: &NodeConfig,
        pull: Option<Sampler>,
        provisionings: Stream,
        pulls: Stream,
    ) -> Self {
        let mut nodes = Self {
            nodes: Vec::new(),
            live: Vec::new(),
            whole: Size::new(config.cpu_millicores, config.memory_gib),
            placement: config.placement,
            fewest: config.initial,
            most: config.max,
            provisioning: Sampler::new(config.provisioning),
            provisionings,
            pull,
            pulls,
        };
        for _ in 0..config.initial {
            nodes.add(NodeLife::Ready);
        }
        nodes
    }

    fn add(&mut self, life: NodeLife) -> u32 {
        let number = self.nodes.len() as u32;
        // Drawn for each node in turn, so that the n-th pulls as long under every policy.
        let pull = match &self.pull {
            Some(sampler) => sampler.draw(&mut self.pulls),
            None => 0,
        };
        self.nodes.push(Node {
            life,
            room: self.whole,
            pods: 0,
            empty_since: 0,
            image_at: None,
            pull,
        });
        self.live.push(number);
        number
    }

    /// Nodes that are paid for: from their order to their end.
    pub(crate) fn paid(&self) -> usize {
        self.live.len()
    }

    /// What one node has in all.
    pub(crate) fn whole(&self) -> Size {
        self.whole
    }

    fn rooms(&self, life: NodeLife) -> impl Iterator<Item = (u32, Size)> {
        let of_life = move |n: &&u32| self.nodes[**n as usize].life == life;
        self.live
            .iter()
            .filter(of_life)
            .map(|n| (*n, self.nodes[*n as usize].room))
    }

    /// Places a pod; `None` where no ready node has room.
    pub(crate) fn place(&mut self, pod: Size) -> Option<u32> {
        let rooms = self.rooms(NodeLife::Ready);
        let node = self.placement.choose(pod, self.whole, rooms)?;
        let chosen = &mut self.nodes[node as usize];
        chosen.room = chosen.room.minus(pod);
        chosen.pods += 1;
        Some(node)
    }

    /// When a pod that was placed at `now` has its image; the first one pulls it for all after it.
    pub(crate) fn image_ready(&mut self, node: u32, now: i64, cached: bool) -> i64 {
        let node = &mut self.nodes[node as usize];
        let pulled = if cached { now } else { now + node.pull };
        (*node.image_at.get_or_insert(pulled)).max(now)
    }

    /// Takes a pod off its node; when the node is then empty, the time since which.
    pub(crate) fn release(&mut self, node: u32, pod: Size, now: i64) -> bool {
        let node = &mut self.nodes[node as usize];
        node.room = node.room.plus(pod);
        node.pods -= 1;
        node.empty_since = now;
        node.pods == 0 && node.life == NodeLife::Ready
    }

    /// Changes what a pod holds of its node; `false` where the node has no room for that.
    pub(crate) fn resize(&mut self, node: u32, from: Size, to: Size) -> bool {
        let node = &mut self.nodes[node as usize];
        let room = node.room.plus(from);
        let fits = to.fits(room);
        if fits {
            node.room = room.minus(to);
        }
        fits
    }

    /// Orders what pods of these sizes need beyond the nodes that are already ordered; the number
    /// of each new node and how long it takes to come.
    pub(crate) fn order_for(&mut self, pending: &[Size]) -> Vec<(u32, i64)> {
        let mut rooms: Vec<Size> = self
            .rooms(NodeLife::Ordered)
            .map(|(_, room)| room)
            .collect();
        let mut ordered = Vec::new();
        let whole = self.whole;
        for pod in pending.iter().filter(|p| p.fits(whole)) {
            if let Some(room) = rooms.iter_mut().find(|room| pod.fits(**room)) {
                *room = room.minus(*pod);
            } else if self.live.len() < self.most as usize {
                rooms.push(whole.minus(*pod));
                let takes = self.provisioning.draw(&mut self.provisionings);
                ordered.push((self.add(NodeLife::Ordered), takes));
            }
        }
        ordered
    }

    /// An ordered node is there.
    pub(crate) fn arrive(&mut self, node: u32, now: i64) {
        let node = &mut self.nodes[node as usize];
        if node.life == NodeLife::Ordered {
            node.life = NodeLife::Ready;
            node.empty_since = now;
        }
    }

    /// Gives a node back that has stood empty since `since`, where more than the fewest are there.
    pub(crate) fn give_back(&mut self, node: u32, since: i64) {
        let idle = &self.nodes[node as usize];
        let empty = idle.life == NodeLife::Ready && idle.pods == 0 && idle.empty_since == since;
        if empty && self.live.len() > self.fewest as usize {
            self.end(node);
        }
    }

    fn end(&mut self, node: u32) {
        self.nodes[node as usize].life = NodeLife::Gone;
        self.live.retain(|n| *n != node);
    }

    /// Loses the oldest ready nodes, at most `count`; their numbers.
    pub(crate) fn lose(&mut self, count: u32) -> Vec<u32> {
        let lost: Vec<u32> = self
            .rooms(NodeLife::Ready)
            .map(|(node, _)| node)
            .take(count as usize)
            .collect();
        for node in &lost {
            self.end(*node);
        }
        lost
    }
}
