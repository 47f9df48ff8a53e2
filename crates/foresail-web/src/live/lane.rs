//! A bounded series: values by equal steps of time, the oldest forgotten or the steps doubled.

use std::collections::VecDeque;

use foresail_core::quantity::time::{Span, Timestamp};

/// A value that several of one step become one of.
pub(super) trait Gather: Clone {
    /// Takes in a later one of the same step.
    fn gather(&mut self, later: &Self);
}

/// Values by steps of time, never more than so many.
#[derive(Clone, Debug)]
pub(super) struct Lane<T> {
    step: i64,
    /// The longest step; at it the oldest value gives way.
    step_max: i64,
    most: usize,
    cells: VecDeque<(i64, T)>,
}

impl<T: Gather> Lane<T> {
    /// An empty lane of at most `most` values; steps double until they are `step_max` long.
    pub(super) fn new(step: Span, step_max: Span, most: usize) -> Self {
        let step = step.nanos().max(1);
        Self {
            step,
            step_max: step_max.nanos().max(step),
            most: most.max(2),
            cells: VecDeque::new(),
        }
    }

    /// Takes in a value; one that lies before the newest step is as if it had never come.
    pub(super) fn push(&mut self, at: Timestamp, value: &T) {
        let cell = at.nanos().div_euclid(self.step);
        match self.cells.back_mut() {
            Some((last, there)) if *last == cell => there.gather(value),
            Some((last, _)) if *last > cell => {}
            _ => {
                if self.cells.len() >= self.most {
                    self.make_room();
                }
                // The step may be longer now.
                let cell = at.nanos().div_euclid(self.step);
                match self.cells.back_mut() {
                    Some((last, there)) if *last == cell => there.gather(value),
                    _ => self.cells.push_back((cell, value.clone())),
                }
            }
        }
    }

    fn make_room(&mut self) {
        while self.cells.len() >= self.most && self.step.saturating_mul(2) <= self.step_max {
            self.step *= 2;
            let mut halved: VecDeque<(i64, T)> = VecDeque::with_capacity(self.most);
            for (cell, value) in self.cells.drain(..) {
                let cell = cell.div_euclid(2);
                match halved.back_mut() {
                    Some((last, there)) if *last == cell => there.gather(&value),
                    _ => halved.push_back((cell, value)),
                }
            }
            self.cells = halved;
        }
        while self.cells.len() >= self.most {
            self.cells.pop_front();
        }
    }

    /// Length of a step at present.
    #[cfg(test)]
    fn step(&self) -> Span {
        Span::from_nanos(self.step)
    }

    /// Every value with the begin of its step, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, &T)> {
        let at = |cell: i64| Timestamp::from_nanos(cell.saturating_mul(self.step));
        self.cells
            .iter()
            .map(move |(cell, value)| (at(*cell), value))
    }
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    /// Of one value.
    pub(super) fn of(value: f64) -> Self {
        Self {
            sum: value,
            count: 1.0,
        }
    }

    /// The mean so far.
    pub(super) fn value(self) -> f64 {
        self.sum / self.count
    }
}

impl Gather for Mean {
    fn gather(&mut self, later: &Self) {
        self.sum += later.sum;
        self.count += later.count;
    }
}

impl Gather for super::model::ForecastPoint {
    fn gather(&mut self, later: &Self) {
        *self = *later;
    }
}

impl Gather for super::model::ReplicaPoint {
    /// The later one; a guard that bound in the same step stays visible.
    fn gather(&mut self, later: &Self) {
        let limit = later.limit.or(self.limit);
        *self = Self { limit, ..*later };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: i64) -> Span {
        Span::from_seconds(n)
    }

    #[test]
    fn steps_double_and_the_mean_of_all_that_came_stays() {
        let mut lane = Lane::new(seconds(1), seconds(64), 16);
        for i in 0..1000 {
            lane.push(Timestamp::from_seconds(i), &Mean::of(i as f64));
        }
        assert_eq!(lane.step(), seconds(64));
        assert!(lane.iter().count() <= 16);
        let all: Vec<f64> = lane.iter().map(|(_, m)| m.value()).collect();
        // 64 whole numbers from 64·k on have the mean 64·k + 31.5; the last step is not full.
        for (k, mean) in all.iter().take(15).enumerate() {
            assert!(
                (mean - (64.0 * k as f64 + 31.5)).abs() < 1e-9,
                "{k}: {mean}"
            );
        }
    }

    #[test]
    fn at_the_longest_step_the_oldest_gives_way() {
        let mut lane = Lane::new(seconds(10), seconds(10), 4);
        for i in 0..10 {
            lane.push(Timestamp::from_seconds(10 * i), &Mean::of(i as f64));
        }
        let all: Vec<(i64, f64)> = lane
            .iter()
            .map(|(at, m)| (at.seconds_floor(), m.value()))
            .collect();
        assert_eq!(all, [(60, 6.0), (70, 7.0), (80, 8.0), (90, 9.0)]);
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let mut lane = Lane::new(seconds(1), seconds(8), 8);
        lane.push(Timestamp::from_seconds(5), &Mean::of(1.0));
        lane.push(Timestamp::from_seconds(3), &Mean::of(9.0));
        assert_eq!(lane.iter().count(), 1);
    }
}
