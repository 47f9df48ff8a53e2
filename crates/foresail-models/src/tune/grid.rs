//! `grid` and `exhaustive`: points at equal distances, in an order of chance or all of them.

use std::collections::VecDeque;

use foresail_core::propose::advice::{Best, Measurement, Trial, Tuner};

use super::axes::{Axes, Layout};
use super::space::Space;
use super::told::Told;
use super::{TRIALS, TunerBuilt, TunerEntry};
use crate::bayes::sobol::shuffle;
use crate::knobs::{Knob, Knobs};
use crate::rng::{Seed, child};

/// Points of an exhaustive search at most: at a minute each they take ten weeks.
const POINTS_MAX: u64 = 100_000;

/// The registry's entry of the grid.
pub const GRID: TunerEntry = TunerEntry {
    name: "grid",
    summary: "the middles of equal cells, as many per dimension as the trials allow",
    knobs: &[TRIALS],
    build: |knobs, space, seed| {
        let trials = knobs.whole("trials");
        let axes = Axes::new(space, Layout::Linear)?;
        let levels = levels_within(trials, axes.dimensions());
        let middle = move |level: u64| (level as f64 + 0.5) / levels as f64;
        let count = levels.saturating_pow(axes.dimensions() as u32);
        Ok(Box::new(Grid::new(
            axes, seed, levels, count, trials, middle,
        )))
    },
};

/// The registry's entry of the exhaustive search.
pub const EXHAUSTIVE: TunerEntry = TunerEntry {
    name: "exhaustive",
    summary: "every point of a coarse grid, edges included",
    knobs: &[Knob::whole(
        "levels",
        [3, 2, 100],
        "values of each dimension",
    )],
    build: build_exhaustive,
};

fn build_exhaustive(knobs: &Knobs, space: &Space, seed: Seed) -> TunerBuilt {
    let levels = knobs.whole("levels");
    let axes = Axes::new(space, Layout::Linear)?;
    let count = levels.saturating_pow(axes.dimensions() as u32);
    if count > POINTS_MAX {
        return Err(format!(
            "levels = {levels} in {} dimensions are {count} points: at most {POINTS_MAX}; \
             take fewer levels",
            axes.dimensions()
        ));
    }
    let edge = move |level: u64| level as f64 / (levels - 1) as f64;
    Ok(Box::new(Grid::new(axes, seed, levels, count, count, edge)))
}

/// Levels per dimension so that as many points as asked for are on the grid: the fewest that do.
///
/// A grid of all that are within the trials would have one level from seven dimensions on.
fn levels_within(trials: u64, dimensions: usize) -> u64 {
    let enough = |levels: &u64| levels.saturating_pow(dimensions as u32) >= trials;
    (2..=trials).find(enough).unwrap_or(trials)
}

/// Points of a grid, one after the other.
#[derive(Debug)]
struct Grid {
    axes: Axes,
    /// Which points are left, each the digits of a number to the base of the levels.
    open: VecDeque<u64>,
    coordinates: Vec<f64>,
    asked: u64,
    told: Told,
}

impl Grid {
    /// So many points of a grid of `count`, in an order of chance.
    fn new(
        axes: Axes,
        seed: Seed,
        levels: u64,
        count: u64,
        trials: u64,
        coordinate: impl Fn(u64) -> f64,
    ) -> Self {
        let mut stream = child(seed, "tune grid");
        // Of a grid too large to be put in order, every so-manyth point.
        let stride = count.div_ceil(POINTS_MAX);
        let mut open: Vec<u64> = (0..count).step_by(stride as usize).collect();
        shuffle(&mut open, &mut stream);
        open.truncate(trials as usize);
        Self {
            axes,
            open: open.into(),
            coordinates: (0..levels).map(coordinate).collect(),
            asked: 0,
            told: Told::default(),
        }
    }

    fn point(&self, mut number: u64) -> Vec<f64> {
        let levels = self.coordinates.len() as u64;
        let mut digit = |_| {
            let digit = number % levels;
            number /= levels;
            self.coordinates[digit as usize]
        };
        (0..self.axes.dimensions()).map(&mut digit).collect()
    }
}

impl Tuner for Grid {
    fn ask(&mut self) -> Vec<Trial> {
        let Some(number) = self.open.pop_front() else {
            return Vec::new();
        };
        self.asked += 1;
        vec![Trial {
            number: self.asked,
            plan: self.axes.plan(&self.point(number)),
            spend_milli: 0,
        }]
    }

    fn tell(&mut self, trial: &Trial, measurement: &Measurement) {
        self.told.add(trial, measurement);
    }

    fn best(&self) -> Option<Best> {
        self.told.best()
    }

    /// A grid knows no more than its points: the best of them are measured again.
    fn reopen(&mut self, trials: u64) {
        let levels = self.coordinates.len() as u64;
        let all = levels.saturating_pow(self.axes.dimensions() as u32);
        let mut tried: Vec<(f64, u64)> = Vec::new();
        let known = self.told.tried();
        for number in (0..all.min(POINTS_MAX)).filter(|n| !self.open.contains(n)) {
            let plan = self.axes.plan(&self.point(number));
            if let Some(tried_plan) = known.iter().find(|t| t.plan == plan) {
                let penalty = if tried_plan.feasible() {
                    0.0
                } else {
                    f64::INFINITY
                };
                tried.push((tried_plan.objective() + penalty, number));
            }
        }
        tried.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let again = tried.into_iter().take(trials as usize);
        self.open = again.map(|(_, number)| number).collect();
        self.told = Told::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_the_fewest_levels_that_hold_the_trials() {
        for (trials, dimensions, levels) in
            [(70, 1, 70), (70, 2, 9), (64, 6, 2), (70, 6, 3), (1, 3, 1)]
        {
            assert_eq!(
                levels_within(trials, dimensions),
                levels,
                "{trials} {dimensions}"
            );
        }
    }
}
