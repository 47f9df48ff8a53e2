//! How far an ETS forecast may be off, step by step.
//!
//! Source: Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (2008), chapter
//! 6: class 1 (additive errors; table 6.1 by its sums), class 2 (multiplicative errors, additive or
//! no season) and class 3 (multiplicative errors and season; exact within the first season, the
//! book's approximation later). A multiplicative season with additive errors has no closed form:
//! there each error is followed to first order.

use super::form::{Error, Form, SeasonForm};
use super::state::{Smoothing, State};

/// The fade φ + φ² + … of each step up to `horizon`, first step first.
#[must_use]
pub fn fades(phi: f64, horizon: usize) -> Vec<f64> {
    let (mut power, mut sum) = (1.0, 0.0);
    let next = |_| {
        power *= phi;
        sum += power;
        sum
    };
    (0..horizon).map(next).collect()
}

/// What a unit error does to the base 1, 2, … steps later, apart from the season.
fn base_weights(smoothing: &Smoothing, fades: &[f64]) -> Vec<f64> {
    let weight = |fade: &f64| smoothing.alpha + smoothing.beta * fade;
    fades.iter().map(weight).collect()
}

/// The standard deviation of each step's forecast error, first step first.
///
/// Shapes: `points` are the forecasts, one per step; so is the result. Units: those of the points.
#[must_use]
pub fn deviations(
    form: Form,
    smoothing: &Smoothing,
    state: &State,
    variance: f64,
    points: &[f64],
) -> Vec<f64> {
    let fades = fades(smoothing.phi, points.len());
    let weights = base_weights(smoothing, &fades);
    let variances = match (form.error, form.season) {
        (Error::Additive, SeasonForm::Multiplicative) => {
            first_order(smoothing, state, variance, &fades, &weights)
        }
        (Error::Additive, _) => additive(smoothing, state, variance, &weights),
        (Error::Multiplicative, SeasonForm::Multiplicative) => {
            factors(smoothing, state, variance, &fades, &weights)
        }
        (Error::Multiplicative, _) => {
            let weights = with_season(smoothing, state, weights);
            relative(variance, points, &weights)
        }
    };
    let root = |v: f64| if v > 0.0 { v.sqrt() } else { 0.0 };
    variances.into_iter().map(root).collect()
}

/// Weights with what an error does to its own season, one cycle and more later.
fn with_season(smoothing: &Smoothing, state: &State, mut weights: Vec<f64>) -> Vec<f64> {
    let steps = state.season.len();
    if steps > 0 {
        for weight in weights.iter_mut().skip(steps - 1).step_by(steps) {
            *weight += smoothing.gamma;
        }
    }
    weights
}

/// Class 1: each error adds its square.
fn additive(smoothing: &Smoothing, state: &State, variance: f64, weights: &[f64]) -> Vec<f64> {
    let weights = with_season(smoothing, state, weights.to_vec());
    let mut sum = 1.0;
    let mut variances = Vec::with_capacity(weights.len());
    for weight in weights {
        variances.push(variance * sum);
        sum += weight * weight;
    }
    variances
}

/// The second moments of class 2 by their recursion, of the points' own.
fn moments(variance: f64, points: &[f64], weights: &[f64]) -> Vec<f64> {
    let squares: Vec<f64> = weights.iter().map(|w| variance * w * w).collect();
    let mut moments: Vec<f64> = Vec::with_capacity(points.len());
    for (step, point) in points.iter().enumerate() {
        let past = moments.iter().rev().zip(&squares[..step]);
        let carried: f64 = past.map(|(m, s)| m * s).sum();
        moments.push(point * point + carried);
    }
    moments
}

/// Class 2.
fn relative(variance: f64, points: &[f64], weights: &[f64]) -> Vec<f64> {
    let moments = moments(variance, points, weights);
    let pairs = moments.iter().zip(points);
    pairs
        .map(|(moment, point)| (1.0 + variance) * moment - point * point)
        .collect()
}

/// Class 3: the base by class 2, the season's own error by what it has gathered in whole cycles.
fn factors(
    smoothing: &Smoothing,
    state: &State,
    variance: f64,
    fades: &[f64],
    weights: &[f64],
) -> Vec<f64> {
    let bases: Vec<f64> = fades
        .iter()
        .map(|fade| state.level + fade * state.trend)
        .collect();
    let moments = moments(variance, &bases, weights);
    let wider = 1.0 + smoothing.gamma * smoothing.gamma * variance;
    let variance_of = |step: usize| {
        let season = state.season_at(step + 1);
        let cycles = i32::try_from(step / state.season.len()).unwrap_or(i32::MAX);
        let gathered = moments[step] * (1.0 + variance) * wider.powi(cycles);
        season * season * (gathered - bases[step] * bases[step])
    };
    (0..fades.len()).map(variance_of).collect()
}

/// A factor of the season with additive errors, each error followed to first order.
fn first_order(
    smoothing: &Smoothing,
    state: &State,
    variance: f64,
    fades: &[f64],
    weights: &[f64],
) -> Vec<f64> {
    let steps = state.season.len();
    let season: Vec<f64> = (1..=fades.len()).map(|a| state.season_at(a)).collect();
    let base = |step: usize| state.level + fades[step] * state.trend;
    let variance_of = |step: usize| {
        let mut sum = 1.0;
        for error in 0..step {
            let back = step - error - 1;
            let mut weight = weights[back] * season[step] / season[error];
            if (back + 1).is_multiple_of(steps) {
                weight += smoothing.gamma * base(step) / base(error);
            }
            sum += weight * weight;
        }
        variance * sum
    };
    (0..fades.len()).map(variance_of).collect()
}
