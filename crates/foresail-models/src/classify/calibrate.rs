//! Probabilities that come true: what a model says, mapped to how often it is right.
//!
//! Each map is monotone in the probability of its class; the mapped ones are made to sum to one again.
//! Sources: Kull, Silva Filho & Flach 2017, beta calibration; Zadrozny & Elkan 2002, isotonic
//! regression class by class; Guo et al. 2017, temperature.

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

/// Probabilities are taken for no less than this, and for no more than one without it.
const SHARE_MIN: f64 = 1e-12;

/// Weight of the identity map in a fit of beta, as if so many rows spoke for it: rows that part
/// wholly would drive the slopes to infinity.
const IDENTITY_ROWS: f64 = 1e-3;

/// Probabilities nearer than this are one; source: scikit-learn, the resolution of a double.
const SAME: f64 = 1e-15;

/// Newton's steps at most.
const STEPS_MAX: usize = 100;

/// How probabilities are calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Not at all.
    None,
    /// A curve of three parameters for each class.
    Beta,
    /// Any rising curve for each class.
    Isotonic,
    /// One exponent for all.
    Temperature,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Beta, Self::Isotonic, Self::Temperature, Self::None];

    /// Its name as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Beta => "beta",
            Self::Isotonic => "isotonic",
            Self::Temperature => "temperature",
        }
    }
}

fn held(share: f64) -> f64 {
    smaller(larger(share, SHARE_MIN), 1.0 - SHARE_MIN)
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The beta map of one class: σ(a ln p − b ln(1 − p) + m).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beta {
    /// Slope at small probabilities, not below zero.
    pub a: f64,
    /// Slope at large ones, not below zero.
    pub b: f64,
    /// Shift.
    pub m: f64,
}

impl Beta {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self {
        a: 1.0,
        b: 1.0,
        m: 0.0,
    };

    /// The calibrated probability.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        let p = held(share);
        sigmoid(self.a * p.ln() - self.b * (1.0 - p).ln() + self.m)
    }

    /// The most likely map with a, b ≥ 0 for probabilities and whether each came true.
    ///
    /// The problem is convex: of its four ways to hold slopes at zero the best that keeps the bounds is
    /// the answer.
    #[must_use]
    pub fn fit(pairs: &[(f64, bool)]) -> Self {
        let rows: Vec<([f64; 3], f64)> = pairs
            .iter()
            .map(|(share, came)| {
                let p = held(*share);
                ([p.ln(), -(1.0 - p).ln(), 1.0], f64::from(u8::from(*came)))
            })
            .collect();
        let free = [
            [true, true, true],
            [false, true, true],
            [true, false, true],
            [false, false, true],
        ];
        let fits = free.map(|free| newton(&rows, free));
        let kept = fits.into_iter().filter(|x| x[0] >= 0.0 && x[1] >= 0.0);
        let best = kept.min_by(|x, y| loss(&rows, x).total_cmp(&loss(&rows, y)));
        best.map_or(Self::IDENTITY, |[a, b, m]| Self { a, b, m })
    }
}

/// The start of every fit, and what few rows are drawn to.
const IDENTITY: [f64; 3] = [1.0, 1.0, 0.0];

/// Log-loss of all rows and the pull to the identity.
fn loss(rows: &[([f64; 3], f64)], x: &[f64; 3]) -> f64 {
    let of_row = |(features, came): &([f64; 3], f64)| {
        let z: f64 = features.iter().zip(x).map(|(f, x)| f * x).sum();
        // ln(1 + e^z) − y z, without overflow.
        larger(z, 0.0) + (-z.abs()).exp().ln_1p() - came * z
    };
    let pull: f64 = x
        .iter()
        .zip(IDENTITY)
        .map(|(x, one)| (x - one).powi(2))
        .sum();
    rows.iter().map(of_row).sum::<f64>() + IDENTITY_ROWS / 2.0 * pull
}

/// The best parameters where only some are free; the others are zero.
fn newton(rows: &[([f64; 3], f64)], free: [bool; 3]) -> [f64; 3] {
    let mut x = std::array::from_fn(|i| if free[i] { IDENTITY[i] } else { 0.0 });
    let mut value = loss(rows, &x);
    for _ in 0..STEPS_MAX {
        let (gradient, hessian) = derivatives(rows, &x, free);
        let Some(step) = hessian.lu().solve(&gradient) else {
            break;
        };
        // Half a step until it lowers the loss: Newton alone may leap too far.
        let mut share = 1.0;
        let next = loop {
            let tried: [f64; 3] = std::array::from_fn(|i| x[i] - share * step[i]);
            let tried_value = loss(rows, &tried);
            if tried_value <= value {
                break Some((tried, tried_value));
            }
            share /= 2.0;
            if share < 1e-10 {
                break None;
            }
        };
        let Some((moved, lower)) = next else { break };
        let done = value - lower <= 1e-14 * value.abs();
        (x, value) = (moved, lower);
        if done {
            break;
        }
    }
    x
}

type Vector = nalgebra::SVector<f64, 3>;
type Matrix = nalgebra::SMatrix<f64, 3, 3>;

fn derivatives(rows: &[([f64; 3], f64)], x: &[f64; 3], free: [bool; 3]) -> (Vector, Matrix) {
    let mut gradient = Vector::from_fn(|i, _| IDENTITY_ROWS * (x[i] - IDENTITY[i]));
    let mut hessian = Matrix::identity() * IDENTITY_ROWS;
    for (features, came) in rows {
        let z: f64 = features.iter().zip(x).map(|(f, x)| f * x).sum();
        let p = sigmoid(z);
        let features = Vector::from_column_slice(features);
        gradient += features * (p - came);
        hessian += features * features.transpose() * (p * (1.0 - p));
    }
    for held in (0..3).filter(|i| !free[*i]) {
        gradient[held] = 0.0;
        hessian.row_mut(held).fill(0.0);
        hessian.column_mut(held).fill(0.0);
        hessian[(held, held)] = 1.0;
    }
    (gradient, hessian)
}

/// A rising curve through points, straight between them and flat beyond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    points: Vec<(f64, f64)>,
}

impl Isotonic {
    /// The rising steps nearest to what came true, by pooling neighbours that fall.
    #[must_use]
    pub fn fit(pairs: &[(f64, bool)]) -> Self {
        let mut sorted = pairs.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Blocks of first and last place, sum and number of rows; equal places are one block.
        let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
        for same in sorted.chunk_by(|a, b| b.0 - a.0 < SAME) {
            let came = same.iter().filter(|p| p.1).count() as f64;
            blocks.push((same[0].0, same[0].0, came, same.len() as f64));
            while let [.., before, last] = &blocks[..]
                && before.2 * last.3 >= last.2 * before.3
            {
                let pooled = (before.0, last.1, before.2 + last.2, before.3 + last.3);
                blocks.truncate(blocks.len() - 2);
                blocks.push(pooled);
            }
        }
        let ends = |(first, last, came, rows): (f64, f64, f64, f64)| {
            let mean = came / rows;
            let both = [(first, mean), (last, mean)];
            both.into_iter().take(if first < last { 2 } else { 1 })
        };
        Self {
            points: blocks.into_iter().flat_map(ends).collect(),
        }
    }

    /// The calibrated probability; the same where nothing was learnt.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        let place = self.points.partition_point(|p| p.0 <= share);
        match (
            place.checked_sub(1).map(|i| self.points[i]),
            self.points.get(place),
        ) {
            (None, None) => share,
            (None, Some(next)) => next.1,
            (Some(before), None) => before.1,
            (Some(before), Some(next)) => {
                let along = (share - before.0) / (next.0 - before.0);
                before.1 + along * (next.1 - before.1)
            }
        }
    }

    fn is_sound(&self) -> bool {
        let rising = |w: &[(f64, f64)]| w[0].0 < w[1].0 && w[0].1 <= w[1].1;
        let shares = self.points.iter().all(|p| (0.0..=1.0).contains(&p.1));
        shares && self.points.windows(2).all(rising)
    }
}

/// The temperature that makes what came true most likely: probabilities to the power 1/T.
///
/// Shapes: each row of `shares` has a probability for each class.
#[must_use]
pub fn temperature(shares: &[Vec<f64>], labels: &[usize]) -> f64 {
    let logs: Vec<Vec<f64>> = shares
        .iter()
        .map(|row| row.iter().map(|p| held(*p).ln()).collect())
        .collect();
    // The slope of the log-loss in 1/T rises with it: its zero is halved into.
    let slope = |power: f64| -> f64 {
        let each = logs.iter().zip(labels).map(|(logs, label)| {
            let mut told: Vec<f64> = logs.iter().map(|l| l * power).collect();
            crate::trees::softmax(&mut told);
            let mean: f64 = told.iter().zip(logs).map(|(p, l)| p * l).sum();
            mean - logs[*label]
        });
        each.sum()
    };
    let (mut low, mut high) = (1e-2, 1e2);
    for _ in 0..STEPS_MAX {
        let middle = f64::sqrt(low * high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    1.0 / f64::sqrt(low * high)
}

/// A fitted calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibration {
    /// Nothing is changed.
    None,
    /// A map for each class.
    Beta(Vec<Beta>),
    /// A curve for each class.
    Isotonic(Vec<Isotonic>),
    /// One temperature for all.
    Temperature(f64),
}

impl Calibration {
    /// Fits a method to probabilities and the classes that came.
    ///
    /// Shapes: each row of `shares` has a probability for each class; `labels` one class a row. Rows
    /// must be others than the model has learnt from.
    #[must_use]
    pub fn fit(method: Method, shares: &[Vec<f64>], labels: &[usize]) -> Self {
        let classes = shares.first().map_or(0, Vec::len);
        let pairs = |class: usize| -> Vec<(f64, bool)> {
            let rows = shares.iter().zip(labels);
            rows.map(|(row, label)| (row[class], *label == class))
                .collect()
        };
        match method {
            Method::None => Self::None,
            Method::Beta => Self::Beta((0..classes).map(|c| Beta::fit(&pairs(c))).collect()),
            Method::Isotonic => {
                Self::Isotonic((0..classes).map(|c| Isotonic::fit(&pairs(c))).collect())
            }
            Method::Temperature => Self::Temperature(temperature(shares, labels)),
        }
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::None => Method::None,
            Self::Beta(_) => Method::Beta,
            Self::Isotonic(_) => Method::Isotonic,
            Self::Temperature(_) => Method::Temperature,
        }
    }

    /// Maps the probabilities of one row; they sum to one again. Where the maps leave nothing to any
    /// class they stay as they are.
    pub fn apply(&self, shares: &mut [f64]) {
        let mapped: Vec<f64> = match self {
            Self::None => return,
            Self::Beta(maps) => maps.iter().zip(&*shares).map(|(m, p)| m.at(*p)).collect(),
            Self::Isotonic(maps) => maps.iter().zip(&*shares).map(|(m, p)| m.at(*p)).collect(),
            Self::Temperature(t) => {
                let mut logs: Vec<f64> = shares.iter().map(|p| held(*p).ln() / t).collect();
                crate::trees::softmax(&mut logs);
                logs
            }
        };
        let sum: f64 = mapped.iter().sum();
        if sum > 0.0 {
            shares
                .iter_mut()
                .zip(mapped)
                .for_each(|(s, m)| *s = m / sum);
        }
    }

    /// Whether what was read back can be used for so many classes.
    #[must_use]
    pub fn is_sound(&self, classes: usize) -> bool {
        let slopes = |b: &Beta| b.a >= 0.0 && b.b >= 0.0 && b.a.is_finite() && b.b.is_finite();
        match self {
            Self::None => true,
            Self::Beta(maps) => {
                maps.len() == classes && maps.iter().all(|b| slopes(b) && b.m.is_finite())
            }
            Self::Isotonic(maps) => maps.len() == classes && maps.iter().all(Isotonic::is_sound),
            Self::Temperature(t) => *t > 0.0 && t.is_finite(),
        }
    }
}
