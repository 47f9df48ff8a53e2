//! The exact minimum of a quadratic with an absolute penalty on some coefficients.
//!
//! `½·θᵀGθ − bᵀθ + u·Σ (½·ridge·θ² + lasso·|θ|)`. With the signs of the penalised coefficients
//! fixed this is a linear system; an active set of those that are not zero is grown and shrunk until
//! no coefficient outside wants in. It ends after finitely many steps, where coordinate descent on
//! the same columns needs tens of thousands of rounds, since neighbouring changepoints are nearly
//! collinear. Source: Lee, Battle, Raina & Ng, Efficient sparse coding algorithms, NIPS 2006,
//! algorithm 1 (feature-sign search).

use nalgebra::{DMatrix, DVector};

use super::gram::{Gram, dot};

/// Steps of the active set after which the best that is there is taken.
const STEPS_MAX: usize = 2000;

/// What the priors ask of each coefficient, per unit of variance.
#[derive(Clone, Debug)]
pub(super) struct Penalty {
    /// Inverse variance of a normal prior; 0 for none.
    pub(super) ridge: Vec<f64>,
    /// Inverse scale of a Laplace prior; 0 for none.
    pub(super) lasso: Vec<f64>,
}

impl Penalty {
    /// `Σ (½·ridge·θ² + lasso·|θ|)`.
    pub(super) fn of(&self, theta: &[f64]) -> f64 {
        let priors = self.ridge.iter().zip(&self.lasso);
        let each = priors
            .zip(theta)
            .map(|((ridge, lasso), v)| 0.5 * ridge * v * v + lasso * v.abs());
        each.sum()
    }
}

/// Moves `theta` to the minimum for the variance `u`; `false` where the numbers ran out of range.
pub(super) fn minimise(gram: &Gram, penalty: &Penalty, u: f64, theta: &mut [f64]) -> bool {
    let mut signs: Vec<f64> = theta
        .iter()
        .map(|v| if *v == 0.0 { 0.0 } else { v.signum() })
        .collect();
    let mut entered = None;
    for _ in 0..STEPS_MAX {
        let inside = |a: &usize| penalty.lasso[*a] == 0.0 || signs[*a] != 0.0;
        let active: Vec<usize> = (0..gram.size).filter(inside).collect();
        let Some(aim) = solve(gram, penalty, u, (&active, &signs)) else {
            return false;
        };
        if let Some(stopped) = step(penalty, (&active, &aim), &mut signs, theta) {
            // What has just come in and goes at once wanted in by rounding alone.
            if entered == Some(stopped) && theta[stopped] == 0.0 {
                return true;
            }
            entered = None;
            continue;
        }
        let Some((enters, sign)) = wants_in(gram, penalty, u, theta, &signs) else {
            return true;
        };
        signs[enters] = sign;
        entered = Some(enters);
    }
    true
}

/// The minimum over the active coefficients with their signs as they are.
fn solve(gram: &Gram, penalty: &Penalty, u: f64, set: (&[usize], &[f64])) -> Option<Vec<f64>> {
    let (active, signs) = set;
    let q = active.len();
    let mut a = DMatrix::<f64>::zeros(q, q);
    let mut rhs = DVector::<f64>::zeros(q);
    for (i, at) in active.iter().enumerate() {
        let row = gram.row(*at);
        for (j, other) in active.iter().enumerate().take(i + 1) {
            a[(i, j)] = row[*other];
        }
        a[(i, i)] += u * penalty.ridge[*at];
        rhs[i] = gram.b[*at] - u * penalty.lasso[*at] * signs[*at];
    }
    // A column that another one repeats to the last bit is held by a breath of ridge.
    let breath = 1e-14 * (0..q).map(|i| a[(i, i)]).sum::<f64>() / q.max(1) as f64;
    let factored = a.clone().cholesky().or_else(|| {
        (0..q).for_each(|i| a[(i, i)] += breath + f64::MIN_POSITIVE);
        a.cholesky()
    })?;
    let aim = factored.solve(&rhs);
    aim.iter()
        .all(|v| v.is_finite())
        .then(|| aim.as_slice().to_vec())
}

/// Moves towards the aim, as far as no sign changes; the coefficient that stopped the way.
fn step(
    penalty: &Penalty,
    (active, aim): (&[usize], &[f64]),
    signs: &mut [f64],
    theta: &mut [f64],
) -> Option<usize> {
    let mut way = 1.0;
    let mut stopped = None;
    for (at, aim) in active.iter().zip(aim) {
        let penalised = penalty.lasso[*at] > 0.0;
        if penalised && aim * signs[*at] <= 0.0 {
            let part = theta[*at] / (theta[*at] - aim);
            let part = if part.is_finite() { part } else { 0.0 };
            if part < way {
                (way, stopped) = (part, Some(*at));
            }
        }
    }
    for (at, aim) in active.iter().zip(aim) {
        theta[*at] += way * (aim - theta[*at]);
    }
    if let Some(at) = stopped {
        theta[at] = 0.0;
        signs[at] = 0.0;
    }
    stopped
}

/// The coefficient at zero whose slope exceeds its penalty most, with the sign that it takes.
fn wants_in(
    gram: &Gram,
    penalty: &Penalty,
    u: f64,
    theta: &[f64],
    signs: &[f64],
) -> Option<(usize, f64)> {
    let mut best = None;
    let mut most = 0.0;
    for a in (0..gram.size).filter(|a| penalty.lasso[*a] > 0.0 && signs[*a] == 0.0) {
        let slope = dot(gram.row(a), theta) - gram.b[a];
        let edge = u * penalty.lasso[a];
        // The rounding of the sum of products, far below any penalty that decides something.
        let noise = 1e-12 * gram.b[a].abs();
        let excess = (slope.abs() - edge * (1.0 + 1e-9) - noise) / edge;
        if excess > most {
            most = excess;
            best = Some((a, -slope.signum()));
        }
    }
    best
}
