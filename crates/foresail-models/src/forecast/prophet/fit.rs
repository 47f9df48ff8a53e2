//! The maximum a posteriori of Prophet's model, without Stan.
//!
//! Minimised is, over k, m, δ, β and ln σ, Prophet's own function
//!
//! `Σ(y − μ)²/(2σ²) + n·ln σ + (k² + m²)/50 + Σ|δ|/τ + Σ β²/(2s²) + 2σ²`,
//!
//! without the Jacobian of the logarithm, as Stan optimises it. For a fixed σ the additive model is
//! a quadratic with an absolute penalty, solved exactly from the normal equations ([`lasso`]); for
//! fixed coefficients σ² is the positive root of `4u² + n·u − RSS = 0`. The two alternate until the
//! objective rests. A logistic trend or a part that multiplies makes μ bend: there the same steps
//! run on its linearisation, damped until the objective falls (Levenberg–Marquardt), which handles
//! |δ| exactly where a gradient method stalls at its kink.
//! Source of the function: facebook/prophet 1.5.0: python/stan/prophet.stan.

use super::gram::{Gram, Rows, gram};
use super::lasso::{self, Penalty};
use super::trend::{Growth, Pieces, first_offset, logistic};

/// Standard deviation of the priors of k and m.
const TREND_SCALE: f64 = 5.0;

/// The least σ; Prophet gives a constant series the same.
pub(super) const SIGMA_MIN: f64 = 1e-9;

/// Rounds of the alternation, and of the linearisation.
const ROUNDS_MAX: usize = 500;

/// The history as the fit sees it.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) growth: Growth,
    /// Times from 0 to 1, rising.
    pub(super) t: Vec<f64>,
    /// Scaled values.
    pub(super) y: Vec<f64>,
    /// Scaled caps; empty unless growth is logistic.
    pub(super) cap: Vec<f64>,
    /// Columns beside the trend, row by row.
    pub(super) x: Vec<f64>,
    /// Whether each of them multiplies.
    pub(super) multiplies: Vec<bool>,
    /// Standard deviation of each one's prior.
    pub(super) scales: Vec<f64>,
    /// Changepoints, rising.
    pub(super) bends: Vec<f64>,
    /// τ, the scale of the changepoints' prior.
    pub(super) bend_scale: f64,
}

/// Coefficients `[k, m, δ…, β…]`, the noise and the objective there.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub(super) theta: Vec<f64>,
    pub(super) sigma: f64,
    pub(super) objective: f64,
}

impl Problem {
    fn columns(&self) -> usize {
        self.scales.len()
    }

    /// First row of each piece of the trend, and the number of rows.
    fn pieces(&self) -> Vec<usize> {
        let mut first = vec![0];
        first.extend(self.bends.iter().map(|s| self.t.partition_point(|t| t < s)));
        first.push(self.t.len());
        first
    }

    fn penalty(&self) -> Penalty {
        let trend = 1.0 / (TREND_SCALE * TREND_SCALE);
        let mut ridge = vec![trend, trend];
        ridge.extend(self.bends.iter().map(|_| 0.0));
        ridge.extend(self.scales.iter().map(|s| 1.0 / (s * s)));
        let mut lasso = vec![0.0; ridge.len()];
        lasso[2..2 + self.bends.len()].fill(1.0 / self.bend_scale);
        Penalty { ridge, lasso }
    }

    fn is_linear(&self) -> bool {
        self.growth != Growth::Logistic && !self.multiplies.contains(&true)
    }

    /// The objective where the squares sum to `squares`.
    fn objective(&self, penalty: &Penalty, theta: &[f64], u: f64, squares: f64) -> f64 {
        let n = self.y.len() as f64;
        squares / (2.0 * u) + 0.5 * n * u.ln() + penalty.of(theta) + 2.0 * u
    }

    /// The best variance where the squares sum to `squares`.
    fn variance(&self, squares: f64) -> f64 {
        let n = self.y.len() as f64;
        // The root without the difference of two large numbers.
        let u = 2.0 * squares / (n + (n * n + 16.0 * squares).sqrt());
        let least = SIGMA_MIN * SIGMA_MIN;
        if u > least { u } else { least }
    }

    /// Calls `each` with row, trend, trend's slope in `a`, and the two sums of the other parts.
    fn walk(&self, theta: &[f64], mut each: impl FnMut(usize, [f64; 4])) {
        let s = self.bends.len();
        let k = self.columns();
        let (delta, beta) = theta[2..].split_at(s);
        let rate = if self.growth == Growth::Flat {
            0.0
        } else {
            theta[0]
        };
        let offset = first_offset(self.growth, theta[0], theta[1]);
        let pieces = Pieces::new(rate, offset, delta, &self.bends);
        let multiplies = self.multiplies.contains(&true);
        for (q, piece) in self.pieces().windows(2).enumerate() {
            for i in piece[0]..piece[1] {
                let a = pieces.at(q, self.t[i]);
                let (trend, slope) = match self.growth {
                    Growth::Logistic => {
                        let share = logistic(a);
                        let cap = self.cap[i];
                        (cap * share, cap * share * (1.0 - share))
                    }
                    Growth::Linear | Growth::Flat => (a, 1.0),
                };
                let row = &self.x[i * k..(i + 1) * k];
                let mut sums = [0.0, 0.0];
                if multiplies {
                    for ((x, b), m) in row.iter().zip(beta).zip(&self.multiplies) {
                        sums[usize::from(*m)] += x * b;
                    }
                } else {
                    sums[0] = row.iter().zip(beta).map(|(x, b)| x * b).sum();
                }
                each(i, [trend, slope, sums[0], sums[1]]);
            }
        }
    }

    /// `Σ (y − μ)²` at any coefficients.
    fn squares(&self, theta: &[f64]) -> f64 {
        let mut squares = 0.0;
        self.walk(theta, |i, [trend, _, added, factor]| {
            let r = self.y[i] - (trend * (1.0 + factor) + added);
            squares += r * r;
        });
        squares
    }

    /// The objective at given coefficients and noise.
    pub(super) fn objective_at(&self, theta: &[f64], sigma: f64) -> f64 {
        self.objective(&self.penalty(), theta, sigma * sigma, self.squares(theta))
    }

    fn rows<'a>(&'a self, pieces: &'a [usize]) -> Rows<'a> {
        Rows {
            t: &self.t,
            bends: &self.bends,
            pieces,
            x: &self.x,
            columns: self.columns(),
        }
    }
}

/// The minimum, from `(k, m)` on; `None` where the numbers ran out of range.
pub(super) fn fit(problem: &Problem, (k, m): (f64, f64)) -> Option<Solution> {
    let mut theta = vec![0.0; 2 + problem.bends.len() + problem.columns()];
    (theta[0], theta[1]) = (k, m);
    let solution = if problem.is_linear() {
        alternate(problem, theta)
    } else {
        linearise(problem, theta)
    }?;
    let finite = solution.theta.iter().all(|v| v.is_finite());
    (finite && solution.objective.is_finite()).then_some(solution)
}

/// The additive model: coefficients and noise in turn, from one pass over the rows.
fn alternate(problem: &Problem, mut theta: Vec<f64>) -> Option<Solution> {
    let pieces = problem.pieces();
    let mut normal = gram(problem.rows(&pieces), |i, _| (1.0, problem.y[i]));
    if problem.growth == Growth::Flat {
        normal.silence(0);
        theta[0] = 0.0;
    }
    let penalty = problem.penalty();
    // The sum of squares loses all digits where the fit is perfect; then the rows are asked.
    let squares = |theta: &[f64]| {
        let quick = normal.squares(theta);
        if quick > 1e-7 * normal.rr {
            quick
        } else {
            problem.squares(theta)
        }
    };
    let mut u = problem.variance(squares(&theta));
    let mut last = f64::INFINITY;
    for _ in 0..ROUNDS_MAX {
        if !lasso::minimise(&normal, &penalty, u, &mut theta) {
            return None;
        }
        let rest = squares(&theta);
        u = problem.variance(rest);
        let objective = problem.objective(&penalty, &theta, u, rest);
        if last - objective < 1e-9 + 1e-14 * objective.abs() {
            break;
        }
        last = objective;
    }
    let sigma = u.sqrt();
    let objective = problem.objective_at(&theta, sigma);
    Some(Solution {
        theta,
        sigma,
        objective,
    })
}

/// The normal equations of the linearisation at `theta`; its aim is the coefficients themselves.
fn linearised(problem: &Problem, pieces: &[usize], theta: &[f64]) -> Gram {
    let n = problem.y.len();
    let mut local: Vec<[f64; 3]> = vec![[0.0; 3]; n];
    problem.walk(theta, |i, [trend, slope, added, factor]| {
        let r = problem.y[i] - (trend * (1.0 + factor) + added);
        local[i] = [slope * (1.0 + factor), trend, r];
    });
    let mut normal = gram(problem.rows(pieces), |i, z| {
        let [weight, trend, r] = local[i];
        for (z, m) in z.iter_mut().zip(&problem.multiplies) {
            if *m {
                *z *= trend;
            }
        }
        (weight, r)
    });
    match problem.growth {
        Growth::Logistic => normal.logistic(theta[0], theta[1]),
        Growth::Flat => normal.silence(0),
        Growth::Linear => {}
    }
    let here = normal.times(theta);
    for (b, here) in normal.b.iter_mut().zip(here) {
        *b += here;
    }
    normal
}

/// A logistic trend or parts that multiply: damped steps on the linearisation.
fn linearise(problem: &Problem, mut theta: Vec<f64>) -> Option<Solution> {
    let pieces = problem.pieces();
    let penalty = problem.penalty();
    if problem.growth == Growth::Flat {
        theta[0] = 0.0;
    }
    let mut rest = problem.squares(&theta);
    let mut u = problem.variance(rest);
    let mut best = problem.objective(&penalty, &theta, u, rest);
    let mut damping = 1e-3;
    for _ in 0..ROUNDS_MAX {
        let normal = linearised(problem, &pieces, &theta);
        let before = best;
        loop {
            let damped = damp(&normal, &theta, damping);
            let mut aim = theta.clone();
            let solved = lasso::minimise(&damped, &penalty, u, &mut aim);
            let squares = problem.squares(&aim);
            let variance = problem.variance(squares);
            let objective = problem.objective(&penalty, &aim, variance, squares);
            if solved && objective < best {
                (theta, u, best, rest) = (aim, variance, objective, squares);
                damping *= 0.1;
                break;
            }
            damping = 4.0 * if damping > 1e-9 { damping } else { 1e-9 };
            if damping > 1e9 {
                break;
            }
        }
        if before - best < 1e-8 {
            break;
        }
    }
    rest.is_finite().then(|| Solution {
        theta,
        sigma: u.sqrt(),
        objective: best,
    })
}

/// The equations held back towards `theta`, each coefficient in its own measure.
fn damp(normal: &Gram, theta: &[f64], damping: f64) -> Gram {
    let mut damped = normal.clone();
    for (a, here) in theta.iter().enumerate() {
        let place = a * normal.size + a;
        let hold = damping * (normal.g[place] + 1e-12);
        damped.g[place] += hold;
        damped.b[a] += hold * here;
    }
    damped
}
