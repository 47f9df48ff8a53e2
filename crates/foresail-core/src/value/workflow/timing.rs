//! How long a request takes, and which stages it was waited for.

use super::Workflow;

/// How long one request took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// Seconds from its begin to the end of its last stage.
    pub latency: f64,
    /// Places of the stages on the critical path, first to last: had one of them been quicker, the
    /// request would have been (unless another path is as long).
    pub critical: Vec<usize>,
}

/// One copy of a stage.
type Copy = (usize, usize);

impl Workflow {
    /// End-to-end latency: the longest path through the stages that ran.
    ///
    /// `seconds[stage][copy]`, shape `[stages][copies]`; empty where a stage did not run. A copy
    /// waits for the copy of the same number where the stage before has as many (each chunk goes
    /// its own way), else for all of them.
    #[must_use]
    pub fn timing(&self, seconds: &[Vec<f64>]) -> Timing {
        debug_assert_eq!(seconds.len(), self.stages.len(), "times of every stage");
        let mut ends: Vec<Vec<f64>> = vec![Vec::new(); seconds.len()];
        let mut before: Vec<Vec<Option<Copy>>> = vec![Vec::new(); seconds.len()];
        for place in self.order.iter().copied() {
            for (copy, own) in seconds[place].iter().enumerate() {
                let waited = self.waited(place, copy, seconds[place].len(), &ends);
                let start = waited.map_or(0.0, |(a, k)| ends[a][k]);
                ends[place].push(start + own);
                before[place].push(waited);
            }
        }
        let all = (0..seconds.len()).flat_map(|s| (0..ends[s].len()).map(move |k| (s, k)));
        let last = latest(all, &ends);
        let latency = last.map_or(0.0, |(s, k)| ends[s][k]);
        let mut critical = Vec::new();
        let mut at = last;
        while let Some((stage, copy)) = at {
            critical.push(stage);
            at = before[stage][copy];
        }
        critical.reverse();
        Timing { latency, critical }
    }

    /// The copy for which one copy of a stage waits longest.
    fn waited(&self, place: usize, copy: usize, copies: usize, ends: &[Vec<f64>]) -> Option<Copy> {
        let after = self.stages[place].after.iter().copied();
        let pairs = after.flat_map(|a| {
            let own_way = ends[a].len() == copies && copies > 1;
            let range = if own_way {
                copy..copy + 1
            } else {
                0..ends[a].len()
            };
            range.map(move |k| (a, k))
        });
        latest(pairs, ends)
    }
}

/// The copy that ends last; of equals the first.
fn latest(copies: impl Iterator<Item = Copy>, ends: &[Vec<f64>]) -> Option<Copy> {
    let mut last: Option<Copy> = None;
    for (stage, copy) in copies {
        if last.is_none_or(|(s, k)| ends[stage][copy] > ends[s][k]) {
            last = Some((stage, copy));
        }
    }
    last
}
