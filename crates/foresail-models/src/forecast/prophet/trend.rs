//! The trend: straight pieces that bend at changepoints, as they are or through a logistic curve.
//!
//! Both kinds share one function, `a(t) = r_q·t + o_q` with rate and offset of the piece that `t`
//! lies in. The linear trend is `a(t)`, the logistic one `cap / (1 + exp(−a(t)))`: Prophet's
//! offsets γ are just what keeps `a` without a jump, so that they need not be computed.
//! Source: Taylor & Letham 2018, Forecasting at Scale, 3.1; facebook/prophet 1.5.0:
//! python/prophet/forecaster.py (`set_changepoints`, `piecewise_linear`, `piecewise_logistic`).

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

/// Which form the trend has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// Straight pieces.
    #[default]
    Linear,
    /// Saturating between a floor and a cap.
    Logistic,
    /// A constant.
    Flat,
}

/// Rows where the trend may bend: spread evenly over the first `share` of `rows` rows.
///
/// Fewer than `count` where the rows do not suffice; the first row is never one. numpy's
/// `linspace(0, last, count + 1).round()[1:]`, halves to even.
#[must_use]
pub fn changepoint_rows(rows: usize, count: usize, share: f64) -> Vec<usize> {
    let within = (rows as f64 * share).floor() as usize;
    let count = count.min(within.saturating_sub(1));
    let Some(last) = within.checked_sub(1).filter(|_| count > 0) else {
        return Vec::new();
    };
    let step = last as f64 / count as f64;
    let row = |j: usize| (j as f64 * step).round_ties_even() as usize;
    (1..=count)
        .map(|j| if j == count { last } else { row(j) })
        .collect()
}

/// Rate and offset of each piece, from the first to the one after the last changepoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pieces {
    rates: Vec<f64>,
    offsets: Vec<f64>,
}

impl Pieces {
    /// The pieces of `rate·t + offset` that bends by `delta[j]` at `bends[j]`.
    pub(super) fn new(rate: f64, offset: f64, delta: &[f64], bends: &[f64]) -> Self {
        let mut pieces = Self {
            rates: vec![rate],
            offsets: vec![offset],
        };
        let (mut rate, mut offset) = (rate, offset);
        for (change, at) in delta.iter().zip(bends) {
            rate += change;
            offset -= change * at;
            pieces.rates.push(rate);
            pieces.offsets.push(offset);
        }
        pieces
    }

    /// The value of piece `q` at `t`.
    pub(super) fn at(&self, q: usize, t: f64) -> f64 {
        self.rates[q] * t + self.offsets[q]
    }
}

/// The offset of the first piece: `m` itself, and `−k·m` where the trend is logistic.
pub(super) fn first_offset(growth: Growth, k: f64, m: f64) -> f64 {
    match growth {
        Growth::Logistic => -k * m,
        Growth::Linear | Growth::Flat => m,
    }
}

/// The logistic curve, `1 / (1 + exp(−a))`.
pub(super) fn logistic(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// Rate and offset to begin with: through the first and the last row, as Prophet does.
///
/// Shapes: `y` and `cap` are scaled, `t` runs from 0 to 1; `cap` counts for logistic growth alone.
pub(super) fn begin(growth: Growth, y: &[f64], cap: &[f64]) -> (f64, f64) {
    let (first, last) = (y[0], y[y.len() - 1]);
    match growth {
        Growth::Linear => (last - first, first),
        Growth::Flat => (0.0, y.iter().sum::<f64>() / y.len() as f64),
        Growth::Logistic => {
            let (c0, c1) = (cap[0], cap[cap.len() - 1]);
            let inside = |y: f64, c: f64| larger(0.01 * c, smaller(0.99 * c, y));
            let (mut r0, r1) = (c0 / inside(first, c0), c1 / inside(last, c1));
            if (r0 - r1).abs() <= 0.01 {
                r0 *= 1.05;
            }
            let (l0, l1) = ((r0 - 1.0).ln(), (r1 - 1.0).ln());
            (l0 - l1, l0 / (l0 - l1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changepoints_lie_at_the_rows_that_numpy_gives() {
        // np.linspace(0, np.floor(0.8 * n) - 1, 26).round().astype(int)[1:] of numpy 2.4.6.
        let rows = changepoint_rows(672, 25, 0.8);
        assert_eq!((rows.len(), rows[0], rows[24]), (25, 21, 536));
        assert_eq!(changepoint_rows(10, 25, 0.8), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(changepoint_rows(2, 25, 0.8), [0_usize; 0]);
        assert_eq!(changepoint_rows(100, 0, 0.8), [0_usize; 0]);
    }

    #[test]
    fn a_bend_leaves_no_jump() {
        let pieces = Pieces::new(0.4, 0.1, &[-0.3, 0.9], &[0.25, 0.5]);
        for (q, at) in [(0, 0.25), (1, 0.5)] {
            assert!((pieces.at(q, at) - pieces.at(q + 1, at)).abs() < 1e-15);
        }
    }
}
