//! Time against cost: what no other choice of sizes beats in both, for a stage and for parts of a
//! workflow put together.

use foresail_core::quantity::units::larger;
use foresail_core::value::cost::Price;
use foresail_core::value::workflow::Size;

use super::subject::Sizes;
use super::surface::Surface;

/// Pairs that are looked at one by one when two fronts are joined; more are thinned first.
/// 4 million labels are 96 MB.
const PAIRS_MAX: usize = 4_000_000;

/// Cells of time that a thinned front has: 2,000² is [`PAIRS_MAX`].
const CELLS: usize = 2000;

/// One choice of sizes for a part of a workflow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) seconds: f64,
    pub(super) cost: f64,
    node: u32,
}

/// Labels of which none beats another: seconds rise, cost falls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Front(Vec<Label>);

impl Front {
    pub(super) fn labels(&self) -> &[Label] {
        &self.0
    }

    /// The cheapest that takes at most so long.
    pub(super) fn within(&self, seconds: f64) -> Option<Label> {
        let count = self.0.partition_point(|l| l.seconds <= seconds);
        count.checked_sub(1).map(|i| self.0[i])
    }

    /// The same choices as if they took no time: the cheapest alone.
    pub(super) fn timeless(&self) -> Self {
        let cheapest = self.0.last().map(|l| Label { seconds: 0.0, ..*l });
        Self(cheapest.into_iter().collect())
    }
}

/// How a label came about.
#[derive(Clone, Copy, Debug)]
enum Node {
    /// Nothing was chosen.
    Nothing,
    /// A size for the stage at this place.
    Size(usize, Size),
    /// Two labels together.
    Both(u32, u32),
}

/// Makes fronts and remembers how their labels came about.
#[derive(Clone, Debug)]
pub(super) struct Fronts {
    nodes: Vec<Node>,
    /// Labels that take longer are of no use.
    seconds_max: f64,
    thinned: u32,
}

/// A label in the making.
#[derive(Clone, Copy, Debug)]
struct Pair {
    seconds: f64,
    cost: f64,
    of: (u32, u32),
}

/// Keeps what no other beats, in the order of seconds.
fn unbeaten<T: Copy>(mut all: Vec<T>, key: impl Fn(&T) -> (f64, f64)) -> Vec<T> {
    all.sort_by(|a, b| {
        let ((s, c), (t, d)) = (key(a), key(b));
        s.total_cmp(&t).then(c.total_cmp(&d))
    });
    let mut least = f64::INFINITY;
    all.retain(|x| {
        let cost = key(x).1;
        let better = cost < least;
        if better {
            least = cost;
        }
        better
    });
    all
}

impl Fronts {
    pub(super) fn new(seconds_max: f64) -> Self {
        Self {
            nodes: vec![Node::Nothing],
            seconds_max,
            thinned: 0,
        }
    }

    /// Seconds by which a label may be told as quicker than it is.
    pub(super) fn slack(&self) -> f64 {
        f64::from(self.thinned) * self.cell()
    }

    fn cell(&self) -> f64 {
        self.seconds_max / CELLS as f64
    }

    fn node(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    /// The front of a part without any choice.
    pub(super) fn nothing(&self) -> Front {
        Front(vec![Label {
            seconds: 0.0,
            cost: 0.0,
            node: 0,
        }])
    }

    /// The front of one stage, whose cost is paid `calls` times a request in the mean.
    pub(super) fn stage(
        &mut self,
        place: usize,
        (surface, sizes): (&Surface, &Sizes),
        calls: f64,
        price: &Price,
    ) -> Front {
        let memories = sizes.memory_mib.values();
        let mut all: Vec<(f64, f64, Size)> = Vec::new();
        for cpu_cores in sizes.cpu_cores.values() {
            let mut before = f64::INFINITY;
            for memory_mib in memories.iter().copied() {
                let size = Size {
                    cpu_cores,
                    memory_mib,
                };
                let seconds = surface.seconds(size);
                // More memory that makes nothing quicker only costs.
                if seconds < before && seconds <= self.seconds_max {
                    all.push((seconds, calls * size.cost(seconds, price), size));
                }
                before = seconds;
            }
        }
        let kept = unbeaten(all, |x| (x.0, x.1));
        let label = |(seconds, cost, size)| Label {
            seconds,
            cost,
            node: self.node(Node::Size(place, size)),
        };
        Front(kept.into_iter().map(label).collect())
    }

    /// One part after another.
    pub(super) fn series(&mut self, a: &Front, b: &Front) -> Front {
        let (a, b) = self.few_enough(a, b);
        let mut pairs = Vec::new();
        for x in &a.0 {
            for y in &b.0 {
                let seconds = x.seconds + y.seconds;
                if seconds > self.seconds_max {
                    break;
                }
                let (cost, of) = (x.cost + y.cost, (x.node, y.node));
                pairs.push(Pair { seconds, cost, of });
            }
        }
        self.front(pairs)
    }

    /// Two parts at the same time: of each length the cheapest of both that is no longer.
    pub(super) fn parallel(&mut self, a: &Front, b: &Front) -> Front {
        let mut pairs = Vec::with_capacity(a.0.len() + b.0.len());
        let ends = a.0.iter().chain(&b.0).map(|l| l.seconds);
        for end in ends {
            if let (Some(x), Some(y)) = (a.within(end), b.within(end)) {
                pairs.push(Pair {
                    seconds: larger(x.seconds, y.seconds),
                    cost: x.cost + y.cost,
                    of: (x.node, y.node),
                });
            }
        }
        self.front(pairs)
    }

    fn front(&mut self, pairs: Vec<Pair>) -> Front {
        let kept = unbeaten(pairs, |p| (p.seconds, p.cost));
        let label = |p: Pair| Label {
            seconds: p.seconds,
            cost: p.cost,
            node: self.node(Node::Both(p.of.0, p.of.1)),
        };
        Front(kept.into_iter().map(label).collect())
    }

    fn few_enough(&mut self, a: &Front, b: &Front) -> (Front, Front) {
        if a.0.len() * b.0.len() <= PAIRS_MAX {
            return (a.clone(), b.clone());
        }
        (self.thin(a), self.thin(b))
    }

    /// Of each cell of time the cheapest, told as if it took only the cell's begin: the front of a
    /// world in which everything is a little quicker.
    fn thin(&mut self, front: &Front) -> Front {
        if front.0.len() <= CELLS {
            return front.clone();
        }
        self.thinned += 1;
        let cell = self.cell();
        let begin = |l: &Label| Label {
            seconds: (l.seconds / cell).floor() * cell,
            ..*l
        };
        let all = front.0.iter().map(begin).collect();
        Front(unbeaten(all, |l: &Label| (l.seconds, l.cost)))
    }

    /// The size of each stage in a label, by place; shape `[stages]`, `None` for what it leaves
    /// open.
    pub(super) fn sizes(&self, label: Label, stages: usize) -> Vec<Option<Size>> {
        let mut sizes = vec![None; stages];
        let mut open = vec![label.node];
        while let Some(node) = open.pop() {
            match self.nodes[node as usize] {
                Node::Nothing => {}
                Node::Size(place, size) => sizes[place] = Some(size),
                Node::Both(a, b) => open.extend([a, b]),
            }
        }
        sizes
    }
}
