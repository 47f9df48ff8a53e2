//! Series and parallel parts: a workflow put together from its stages, where it can be.

use std::collections::BTreeMap;

use foresail_core::value::workflow::Workflow;

use super::front::{Front, Fronts};

/// A part between two joints.
#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    front: Front,
}

/// The joint where every request begins.
const SOURCE: usize = 0;

/// The joint where every request ends.
const SINK: usize = 1;

/// The front of the whole workflow from those of its stages, shape `[stages]`; `None` where it is
/// not series-parallel.
///
/// Stages are edges between joints; stages that wait for the same ones begin at one joint. Edges in
/// a row and edges side by side become one, until one is left.
/// Source: Valdes, Tarjan & Lawler 1982, "The recognition of series parallel digraphs".
pub(super) fn whole(workflow: &Workflow, stages: &[Front], fronts: &mut Fronts) -> Option<Front> {
    let mut edges = edges(workflow, stages, fronts);
    loop {
        if let Some((i, j)) = side_by_side(&edges) {
            let other = edges.remove(j);
            edges[i].front = fronts.parallel(&edges[i].front, &other.front);
        } else if let Some((i, j)) = in_a_row(&edges) {
            let front = fronts.series(&edges[i].front, &edges[j].front);
            edges[i] = Edge {
                from: edges[i].from,
                to: edges[j].to,
                front,
            };
            edges.remove(j);
        } else {
            break;
        }
    }
    match edges.as_slice() {
        [only] => Some(only.front.clone()),
        _ => None,
    }
}

fn edges(workflow: &Workflow, stages: &[Front], fronts: &Fronts) -> Vec<Edge> {
    let end = |place: usize| 2 + place;
    let mut joints: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let mut edges = Vec::new();
    let mut next = 2 + stages.len();
    let link = |from, to| Edge {
        from,
        to,
        front: fronts.nothing(),
    };
    for (place, stage) in workflow.stages().iter().enumerate() {
        let mut after = stage.after.clone();
        after.sort_unstable();
        let from = match after.as_slice() {
            [] => SOURCE,
            [only] => end(*only),
            _ => *joints.entry(after.clone()).or_insert_with(|| {
                let joint = next;
                next += 1;
                edges.extend(after.iter().map(|a| link(end(*a), joint)));
                joint
            }),
        };
        edges.push(Edge {
            from,
            to: end(place),
            front: stages[place].clone(),
        });
    }
    let waited = |place: &usize| {
        let mut all = workflow.stages().iter();
        all.any(|s| s.after.contains(place))
    };
    let last = (0..stages.len()).filter(|p| !waited(p));
    edges.extend(last.map(|p| link(end(p), SINK)));
    edges
}

/// Two edges between the same joints, the earlier first.
fn side_by_side(edges: &[Edge]) -> Option<(usize, usize)> {
    let mut seen: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (j, edge) in edges.iter().enumerate() {
        if let Some(i) = seen.insert((edge.from, edge.to), j) {
            return Some((i, j));
        }
    }
    None
}

/// Two edges whose joint has no other.
fn in_a_row(edges: &[Edge]) -> Option<(usize, usize)> {
    let mut into: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, edge) in edges.iter().enumerate() {
        into.entry(edge.to).or_default().push(i);
        out.entry(edge.from).or_default().push(i);
    }
    let mut joints = into.iter().filter(|(joint, _)| **joint > SINK);
    joints.find_map(|(joint, before)| {
        let behind = out.get(joint)?;
        match (before.as_slice(), behind.as_slice()) {
            ([i], [j]) => Some((*i, *j)),
            _ => None,
        }
    })
}
