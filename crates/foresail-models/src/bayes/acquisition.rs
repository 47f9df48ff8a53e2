//! Noisy expected improvement under a constraint, of several candidates together, by draws.
//!
//! In each draw the measured points have noiseless values; the best utility among them is what a
//! candidate must beat. The same draws serve every candidate, so that the value is a smooth function
//! with a gradient in closed form.
//! Source: Letham et al. 2019, Constrained Bayesian optimization with noisy experiments; Balandat et
//! al. 2020, BoTorch, `qNoisyExpectedImprovement`.

use foresail_core::quantity::units::larger;
use rand_chacha::ChaCha8Rng;

use super::constraint::Utility;
use super::drawn::Drawn;
use super::gp::{Gp, GpError};
use super::sobol::normals;

/// How much is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// Draws: Monte-Carlo samples.
    pub count: usize,
    /// Candidates that are judged together.
    pub batch: usize,
}

/// The function whose maximum says where to measure next.
#[derive(Clone, Debug)]
pub struct Acquisition {
    objective: Drawn,
    constraint: Drawn,
    /// Numbers of the candidates, of the objective and of the constraint; shape `[draws · q]`.
    normals: [Vec<f64>; 2],
    utility: Utility,
    /// Best utility among the measured points in each draw.
    best: Vec<f64>,
    dimensions: usize,
}

impl Acquisition {
    /// Draws from both processes.
    ///
    /// `measured` pairs the rows of the objective with those of the constraint that are one point.
    /// More of the objective is better. Candidates have the first coordinates of the net, since they
    /// count most.
    ///
    /// # Errors
    /// Processes that cannot be drawn from.
    pub fn new(
        objective: &Gp,
        constraint: &Gp,
        measured: &[(usize, usize)],
        utility: Utility,
        draws: Draws,
        stream: &mut ChaCha8Rng,
    ) -> Result<Self, GpError> {
        let q = draws.batch;
        let rows = [objective.rows().count(), constraint.rows().count()];
        let numbers = normals(draws.count, 2 * q + rows[0] + rows[1], stream);
        let part = |from: usize, count: usize| -> Vec<Vec<f64>> {
            let cut = |z: &Vec<f64>| z[from..from + count].to_vec();
            numbers.iter().map(cut).collect()
        };
        let objective = Drawn::new(objective, &part(2 * q, rows[0]))?;
        let constraint = Drawn::new(constraint, &part(2 * q + rows[0], rows[1]))?;
        let best_of = |s: usize| {
            let worth = |(f, g): &(usize, usize)| {
                utility.value(objective.values[s][*f], constraint.values[s][*g])
            };
            let values = measured.iter().map(worth);
            values.fold(-utility.infeasible_cost, larger)
        };
        let best = (0..draws.count).map(best_of).collect();
        Ok(Self {
            dimensions: objective.dimensions(),
            best,
            objective,
            constraint,
            normals: [part(0, q).concat(), part(q, q).concat()],
            utility,
        })
    }

    /// Candidates that are judged together.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.normals[0].len() / self.best.len()
    }

    /// Dimensions of one candidate.
    #[must_use]
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The mean improvement by the best of the candidates, and its gradient.
    ///
    /// `points` and `gradient` have shape `[q · dimensions]`. Not below zero; NaN where a coordinate
    /// is none.
    pub fn value(&self, points: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let objective = self.objective.at(points, &self.normals[0]);
        let constraint = self.constraint.at(points, &self.normals[1]);
        let (Some(f), Some(g)) = (objective, constraint) else {
            return f64::NAN;
        };
        let q = self.batch();
        let share = 1.0 / self.best.len() as f64;
        let mut by = [vec![0.0; f.values.len()], vec![0.0; f.values.len()]];
        let mut sum = 0.0;
        for (s, best) in self.best.iter().enumerate() {
            let mut top = (*best, None);
            for place in s * q..(s + 1) * q {
                let worth = self.utility.value(f.values[place], g.values[place]);
                if worth > top.0 {
                    top = (worth, Some(place));
                }
            }
            if let (worth, Some(place)) = top {
                sum += worth - best;
                let slopes = self.utility.slopes(f.values[place], g.values[place]);
                by[0][place] = share * slopes[0];
                by[1][place] = share * slopes[1];
            }
        }
        if sum > 0.0 {
            self.objective.back(&f, &self.normals[0], &by[0], gradient);
            self.constraint.back(&g, &self.normals[1], &by[1], gradient);
        }
        share * sum
    }
}
