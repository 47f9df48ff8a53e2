//! The limited-memory BFGS method without bounds; callers transform what is bounded.
//!
//! Source: Nocedal & Wright, Numerical Optimization (2nd ed.), algorithms 7.4 and 7.5; the line
//! search is the bisection of Lewis & Overton 2013 for the weak Wolfe conditions, with the minimum
//! of the parabola in place of the first halving. Why it is ours: docs/decisions, page 10.

use std::collections::VecDeque;

use foresail_core::quantity::units::{larger, smaller};

/// Share of the promised decrease that a step must bring (Nocedal & Wright, section 3.1).
const DECREASE: f64 = 1e-4;

/// Share of the first slope that may be left at the end of a step.
const SLOPE_LEFT: f64 = 0.9;

/// Evaluations of one line search.
const TRIES: usize = 20;

/// When to stop, and how far to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Pairs of step and change of the gradient that are kept.
    pub memory: usize,
    /// Steps at most.
    pub steps: usize,
    /// Decrease below which a step counts as none; two such steps in a row end the search.
    pub tolerance: f64,
    /// The most that one coordinate moves in one step.
    pub reach: f64,
}

/// Where the search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum {
    /// The least value found.
    pub value: f64,
    /// Steps taken.
    pub steps: usize,
    /// Evaluations of the function.
    pub evaluations: usize,
}

/// One step, the change of the gradient over it, and one over their product.
#[derive(Clone, Debug)]
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    rho: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(a: &mut [f64], factor: f64, b: &[f64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

/// Lowers `function` from `x` on, and leaves the best point in `x`.
///
/// `function` gives the value and fills in the gradient; infinity or NaN refuses a point. Where the
/// first point is refused already, nothing moves.
pub fn minimise(
    x: &mut [f64],
    limits: Limits,
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let mut search = Search::new(x, limits, function);
    if !search.value.is_finite() {
        return search.end(0);
    }
    let mut idle = 0;
    for step in 0..limits.steps {
        let before = search.value;
        if !search.step(x, function) {
            return search.end(step);
        }
        idle = if before - search.value < limits.tolerance {
            idle + 1
        } else {
            0
        };
        if idle == 2 {
            return search.end(step + 1);
        }
    }
    search.end(limits.steps)
}

/// The state of a search.
struct Search {
    limits: Limits,
    value: f64,
    gradient: Vec<f64>,
    pairs: VecDeque<Pair>,
    evaluations: usize,
}

impl Search {
    fn new(
        x: &[f64],
        limits: Limits,
        function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> Self {
        let mut gradient = vec![0.0; x.len()];
        let value = function(x, &mut gradient);
        Self {
            limits,
            value,
            gradient,
            pairs: VecDeque::with_capacity(limits.memory),
            evaluations: 1,
        }
    }

    fn end(&self, steps: usize) -> Minimum {
        Minimum {
            value: self.value,
            steps,
            evaluations: self.evaluations,
        }
    }

    /// The direction of the two-loop recursion, cut to the reach.
    fn direction(&self) -> Vec<f64> {
        let mut direction: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let factor = pair.rho * dot(&pair.step, &direction);
            add_scaled(&mut direction, -factor, &pair.change);
            factors.push(factor);
        }
        let scale = match self.pairs.back() {
            Some(pair) => 1.0 / (pair.rho * dot(&pair.change, &pair.change)),
            None => 1.0,
        };
        direction.iter_mut().for_each(|d| *d *= scale);
        for (pair, factor) in self.pairs.iter().zip(factors.iter().rev()) {
            let back = pair.rho * dot(&pair.change, &direction);
            add_scaled(&mut direction, factor - back, &pair.step);
        }
        let most = direction.iter().fold(0.0, |most, d| larger(most, d.abs()));
        if most > self.limits.reach {
            let cut = self.limits.reach / most;
            direction.iter_mut().for_each(|d| *d *= cut);
        }
        direction
    }

    /// One step; `false` where none lowers the function.
    fn step(
        &mut self,
        x: &mut [f64],
        function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> bool {
        let mut direction = self.direction();
        let mut slope = dot(&direction, &self.gradient);
        if slope >= 0.0 {
            // Rounding has spoilt the memory: begin anew, downhill.
            self.pairs.clear();
            direction = self.direction();
            slope = dot(&direction, &self.gradient);
        }
        if slope >= 0.0 || slope.is_nan() {
            return false;
        }
        let first = x.to_vec();
        let mut gradient = vec![0.0; x.len()];
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
        let mut found = None;
        for _ in 0..TRIES {
            x.copy_from_slice(&first);
            add_scaled(x, length, &direction);
            let value = function(x, &mut gradient);
            self.evaluations += 1;
            let promised = self.value + DECREASE * length * slope;
            if value > promised || !value.is_finite() {
                high = length;
                let bend = value - self.value - length * slope;
                let parabola = -0.5 * slope * length * length / bend;
                length = if low == 0.0 && parabola.is_finite() {
                    larger(0.1 * length, smaller(0.5 * length, parabola))
                } else {
                    0.5 * (low + high)
                };
                continue;
            }
            found = Some((length, value, gradient.clone()));
            if dot(&gradient, &direction) >= SLOPE_LEFT * slope {
                break;
            }
            low = length;
            length = if high.is_finite() {
                0.5 * (low + high)
            } else {
                2.0 * length
            };
        }
        x.copy_from_slice(&first);
        let Some((length, value, gradient)) = found else {
            return false;
        };
        add_scaled(x, length, &direction);
        self.remember(&first, x, &gradient);
        (self.value, self.gradient) = (value, gradient);
        true
    }

    fn remember(&mut self, first: &[f64], x: &[f64], gradient: &[f64]) {
        let step: Vec<f64> = x.iter().zip(first).map(|(a, b)| a - b).collect();
        let pairs = gradient.iter().zip(&self.gradient);
        let change: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
        let product = dot(&step, &change);
        // Only a bend upwards keeps the memory positive definite.
        if product > 1e-12 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            if self.pairs.len() == self.limits.memory {
                self.pairs.pop_front();
            }
            let rho = 1.0 / product;
            self.pairs.push_back(Pair { step, change, rho });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory: 8,
        steps: 500,
        tolerance: 1e-14,
        reach: 10.0,
    };

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let mut x = [-1.2, 1.0];
        let end = minimise(&mut x, LIMITS, &mut |x, g| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!(
            end.value < 1e-12 && (x[0] - 1.0).abs() < 1e-6,
            "{end:?} {x:?}"
        );
        assert!(end.evaluations < 100, "{end:?}");
    }

    #[test]
    fn points_that_are_refused_are_stepped_back_from() {
        let mut x = [3.0];
        let end = minimise(&mut x, LIMITS, &mut |x, g| {
            g[0] = 1.0 - 1.0 / x[0];
            if x[0] > 0.0 {
                x[0] - x[0].ln()
            } else {
                f64::INFINITY
            }
        });
        assert!((x[0] - 1.0).abs() < 1e-6 && (end.value - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_first_point_that_is_refused_does_not_move() {
        let mut x = [2.0];
        let end = minimise(&mut x, LIMITS, &mut |_, _| f64::NAN);
        assert!(end.value.is_nan() && x[0] == 2.0 && end.evaluations == 1);
    }
}
