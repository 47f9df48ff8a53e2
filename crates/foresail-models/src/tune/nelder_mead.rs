//! `nelder-mead`: a simplex that walks downhill, one trial at a time.

use foresail_core::propose::advice::{Best, Measurement, Trial, Tuner};
use foresail_core::quantity::units::{larger, smaller};
use rand_chacha::ChaCha8Rng;

use super::axes::{Axes, Layout};
use super::space::Space;
use super::told::Told;
use super::{TRIALS, TunerBuilt, TunerEntry};
use crate::knobs::Knobs;
use crate::rng::{Seed, child, uniform};

/// Length of the first simplex's edges, in boxes.
const EDGE: f64 = 0.25;

/// Width of a simplex below which it is begun elsewhere.
const COLLAPSED: f64 = 0.01;

/// The registry's entry.
pub const ENTRY: TunerEntry = TunerEntry {
    name: "nelder-mead",
    summary: "a simplex that walks downhill, begun elsewhere where it has collapsed",
    knobs: &[TRIALS],
    build,
};

fn build(knobs: &Knobs, space: &Space, seed: Seed) -> TunerBuilt {
    let axes = Axes::new(space, Layout::Linear)?;
    let mut stream = child(seed, "tune nelder-mead");
    let walk = Walk::new(axes.dimensions(), None, &mut stream);
    Ok(Box::new(NelderMead {
        axes,
        stream,
        walk,
        waiting: None,
        left: knobs.whole("trials"),
        asked: 0,
        told: Told::default(),
    }))
}

/// What a measurement is worth: those that keep the constraint come before those that do not,
/// among the first the cheaper, among the others the one that misses it by less. A simplex only
/// compares, so that no penalty has to be chosen.
///
/// Source: Deb 2000, An efficient constraint handling method for genetic algorithms.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worth {
    misses: bool,
    by: f64,
}

impl Worth {
    fn of(measurement: &Measurement) -> Self {
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let (objective, excess) = (finite(measurement.objective), finite(measurement.excess));
        match (objective, excess) {
            (Some(objective), Some(excess)) if excess <= 0.0 && measurement.slo_met => Self {
                misses: false,
                by: objective,
            },
            (_, Some(excess)) => Self {
                misses: true,
                by: larger(excess, 0.0),
            },
            // What cannot be measured is worse than all that can.
            _ => Self {
                misses: true,
                by: f64::INFINITY,
            },
        }
    }

    fn before(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by = self.by.total_cmp(&other.by);
        self.misses.cmp(&other.misses).then(by)
    }
}

type Corner = (Vec<f64>, Worth);

/// What the point that is waited for is.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// A corner of the first simplex.
    Corner,
    /// The worst corner, mirrored at the middle of the others.
    Reflected,
    /// Twice as far, since the mirrored one is the best.
    Expanded(Corner),
    /// Half way, since it is not.
    Contracted(Worth),
    /// A corner that was drawn to the best.
    Shrunk,
}

/// The simplex.
#[derive(Clone, Debug)]
struct Walk {
    corners: Vec<Corner>,
    /// Points that are to be measured, the next one last.
    open: Vec<Vec<f64>>,
    stage: Stage,
}

/// A point of the line from `a` through `b`, at `reach` times their distance, inside the box.
fn along(a: &[f64], b: &[f64], reach: f64) -> Vec<f64> {
    let one = |(a, b): (&f64, &f64)| smaller(1.0, larger(0.0, a + reach * (b - a)));
    a.iter().zip(b).map(one).collect()
}

impl Walk {
    /// A simplex of equal edges around a point, one of chance where none is given.
    fn new(dimensions: usize, around: Option<Vec<f64>>, stream: &mut ChaCha8Rng) -> Self {
        let first = around.unwrap_or_else(|| (0..dimensions).map(|_| uniform(stream)).collect());
        let mut open: Vec<Vec<f64>> = (0..dimensions)
            .map(|d| {
                let mut corner = first.clone();
                let inwards = if corner[d] > 0.5 { -EDGE } else { EDGE };
                corner[d] += inwards;
                corner
            })
            .collect();
        open.push(first);
        Self {
            corners: Vec::new(),
            open,
            stage: Stage::Corner,
        }
    }

    /// `true` where a whole simplex is as small as a point.
    fn collapsed(&self) -> bool {
        let Some((first, _)) = self.corners.first() else {
            return false;
        };
        let near = |corner: &Corner| {
            let pairs = corner.0.iter().zip(first);
            pairs.fold(0.0, |far, (a, b)| larger(far, (a - b).abs())) < COLLAPSED
        };
        self.stage == Stage::Reflected && self.corners.iter().all(near)
    }

    /// The middle of all corners but the worst.
    fn middle(&self) -> Vec<f64> {
        let best = &self.corners[..self.corners.len() - 1];
        let mean = |d: usize| best.iter().map(|c| c.0[d]).sum::<f64>() / best.len() as f64;
        (0..self.corners[0].0.len()).map(mean).collect()
    }

    fn worst(&self) -> &Corner {
        &self.corners[self.corners.len() - 1]
    }

    fn replace_worst(&mut self, corner: Corner) {
        self.corners.pop();
        self.corners.push(corner);
        self.reflect();
    }

    fn reflect(&mut self) {
        self.corners.sort_by(|a, b| a.1.order(&b.1));
        self.stage = Stage::Reflected;
        self.open = vec![along(&self.worst().0, &self.middle(), 2.0)];
    }

    /// Draws all corners half way to the best, which is not measured again.
    fn shrink(&mut self) {
        let best = self.corners.remove(0);
        let drawn = self.corners.drain(..).map(|c| along(&c.0, &best.0, 0.5));
        self.open = drawn.collect();
        self.corners = vec![best];
        self.stage = Stage::Shrunk;
    }

    /// Takes in what the point that was asked for last is worth.
    ///
    /// Source: Nelder & Mead 1965, with factors 1, 2, ½ and ½.
    fn take(&mut self, point: Vec<f64>, worth: Worth) {
        let here = (point, worth);
        match self.stage.clone() {
            Stage::Corner | Stage::Shrunk => {
                self.corners.push(here);
                if self.open.is_empty() {
                    self.reflect();
                }
            }
            Stage::Reflected => self.reflected(here),
            Stage::Expanded(reflected) => {
                let better = here.1.before(&reflected.1);
                self.replace_worst(if better { here } else { reflected });
            }
            Stage::Contracted(bar) => {
                if here.1.before(&bar) {
                    self.replace_worst(here);
                } else {
                    self.shrink();
                }
            }
        }
    }

    fn reflected(&mut self, here: Corner) {
        let second = self.corners.len().saturating_sub(2);
        if here.1.before(&self.corners[0].1) {
            self.open = vec![along(&self.middle(), &here.0, 2.0)];
            self.stage = Stage::Expanded(here);
        } else if here.1.before(&self.corners[second].1) {
            self.replace_worst(here);
        } else {
            let outside = here.1.before(&self.worst().1);
            let from = if outside { &here } else { self.worst() };
            let (point, bar) = (along(&from.0, &self.middle(), 0.5), from.1);
            self.open = vec![point];
            self.stage = Stage::Contracted(bar);
        }
    }
}

/// The tuner.
#[derive(Debug)]
struct NelderMead {
    axes: Axes,
    stream: ChaCha8Rng,
    walk: Walk,
    /// The trial that was asked for and not told of, with its point.
    waiting: Option<(Trial, Vec<f64>)>,
    left: u64,
    asked: u64,
    told: Told,
}

impl Tuner for NelderMead {
    fn ask(&mut self) -> Vec<Trial> {
        if let Some((trial, _)) = &self.waiting {
            return vec![trial.clone()];
        }
        if self.left == 0 {
            return Vec::new();
        }
        if self.walk.collapsed() {
            self.walk = Walk::new(self.axes.dimensions(), None, &mut self.stream);
        }
        let Some(point) = self.walk.open.pop() else {
            return Vec::new();
        };
        self.left -= 1;
        self.asked += 1;
        let trial = Trial {
            number: self.asked,
            plan: self.axes.plan(&point),
            spend_milli: 0,
        };
        self.waiting = Some((trial.clone(), point));
        vec![trial]
    }

    fn tell(&mut self, trial: &Trial, measurement: &Measurement) {
        self.told.add(trial, measurement);
        let asked = self
            .waiting
            .take_if(|(asked, _)| asked.number == trial.number);
        if let Some((_, point)) = asked {
            self.walk.take(point, Worth::of(measurement));
        }
    }

    fn best(&self) -> Option<Best> {
        self.told.best()
    }

    /// Begins anew around the best, whose worth is measured again.
    fn reopen(&mut self, trials: u64) {
        self.left += trials;
        self.waiting = None;
        let best = self
            .told
            .best()
            .and_then(|best| self.axes.point(&best.plan));
        self.walk = Walk::new(self.axes.dimensions(), best, &mut self.stream);
        self.told = Told::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tuner's simplex on a function that is known everywhere.
    fn lowest(dimensions: usize, count: usize, worth: impl Fn(&[f64]) -> Worth) -> Corner {
        let mut stream = child(Seed(2), "simplex");
        let mut walk = Walk::new(dimensions, None, &mut stream);
        for _ in 0..count {
            let Some(point) = walk.open.pop() else { break };
            let here = worth(&point);
            walk.take(point, here);
        }
        walk.corners
            .into_iter()
            .min_by(|a, b| a.1.order(&b.1))
            .unwrap()
    }

    fn feasible(by: f64) -> Worth {
        Worth { misses: false, by }
    }

    #[test]
    fn a_bowl_is_walked_down_to_its_bottom() {
        let (point, worth) = lowest(3, 300, |x| {
            let d = |i: usize, at: f64| (x[i] - at) * (x[i] - at);
            feasible(d(0, 0.3) + 2.0 * d(1, 0.6) + d(2, 0.9))
        });
        assert!(worth.by < 1e-6, "{point:?} {worth:?}");
    }

    #[test]
    fn a_corner_of_the_box_and_an_edge_of_what_is_allowed_are_found() {
        let (point, _) = lowest(2, 300, |x| feasible(x[0] + x[1]));
        assert!(point.iter().all(|x| *x < 0.01), "{point:?}");
        let (point, worth) = lowest(2, 300, |x| {
            let miss = 0.5 - x[0];
            if miss > 0.0 {
                Worth {
                    misses: true,
                    by: miss,
                }
            } else {
                feasible(x[0] + (x[1] - 0.4) * (x[1] - 0.4))
            }
        });
        assert!(!worth.misses && worth.by < 0.52, "{point:?} {worth:?}");
    }

    #[test]
    fn one_dimension_is_enough() {
        let (point, _) = lowest(1, 100, |x| feasible((x[0] - 0.7).abs()));
        assert!((point[0] - 0.7).abs() < 1e-3, "{point:?}");
    }
}
