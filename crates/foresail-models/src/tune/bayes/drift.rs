//! By how much the world has drifted since a search ended.

use foresail_core::quantity::units::{larger, smaller};

use super::warp::Standard;
use crate::bayes::gp::{Gp, Moments};

/// The least variance that values of before a drift are given, standardised: a tenth of their
/// spread is not known to be the same.
const DRIFT_MIN: f64 = 0.01;

/// The most: beyond it an old value says nothing.
const DRIFT_MAX: f64 = 4.0;

/// By what the world has shifted since a process was fitted, and the variance of what is left,
/// standardised as that process is.
///
/// Of the differences between new values and what the process says there, the mean is the shift,
/// drawn towards none by one value's worth; what they vary beyond the process's own doubt is the
/// drift. Few values give it a wide berth. Without any, the old values are held for half as sure as
/// they are spread.
pub(super) fn drift(gp: &Gp, scale: &Standard, points: &[Vec<f64>], warped: &[f64]) -> [f64; 2] {
    let n = points.len() as f64;
    if points.is_empty() {
        return [0.0, 1.0];
    }
    let held: Vec<Moments> = points.iter().map(|p| gp.posterior(p)).collect();
    let pairs = held.iter().zip(warped);
    let gaps: Vec<f64> = pairs.map(|(m, w)| scale.of_warped(*w) - m.mean).collect();
    let shift = gaps.iter().sum::<f64>() / (n + 1.0);
    let squares: f64 = gaps.iter().map(|g| (g - shift) * (g - shift)).sum();
    let doubt = held
        .iter()
        .map(|m| m.variance + gp.hyper().noise)
        .sum::<f64>()
        / n;
    let wide = (n + 3.0) / n;
    let variance = larger(squares / n - doubt, DRIFT_MIN) * wide;
    [shift, smaller(variance, DRIFT_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bayes::gp::{Hyper, Rows};
    use crate::bayes::kernel::Kernel;
    use crate::tune::bayes::warp::Warp;

    #[test]
    fn a_world_that_moved_as_a_whole_is_told_from_one_that_changed_its_shape() {
        let points: Vec<Vec<f64>> = (0..8).map(|i| vec![f64::from(i) / 7.0]).collect();
        let value = |x: &[f64]| (3.0 * x[0]).sin();
        let values: Vec<f64> = points.iter().map(|p| value(p)).collect();
        let scale = Standard::of(Warp::Plain, &values, 1.0);
        let standard = values.iter().map(|v| scale.of_warped(*v)).collect();
        let hyper = Hyper {
            kernel: Kernel {
                lengths: vec![0.5],
                output_scale: 1.0,
            },
            noise: 1e-4,
            mean: 0.0,
        };
        let gp = Gp::new(hyper, Rows::of(points, standard)).unwrap();
        let asked: Vec<Vec<f64>> = [0.1, 0.35, 0.6, 0.9].iter().map(|x| vec![*x]).collect();
        let moved: Vec<f64> = asked.iter().map(|p| value(p) + 0.7).collect();
        let [shift, variance] = drift(&gp, &scale, &asked, &moved);
        // One fifth is kept back, of four values.
        let whole = scale.of_warped(0.7) - scale.of_warped(0.0);
        assert!((shift - 0.8 * whole).abs() < 0.05, "{shift} {whole}");
        let turned: Vec<f64> = asked.iter().map(|p| -value(p)).collect();
        let [_, other] = drift(&gp, &scale, &asked, &turned);
        assert!(other > 10.0 * variance, "{other} {variance}");
        let same: Vec<f64> = asked.iter().map(|p| value(p)).collect();
        let [shift, variance] = drift(&gp, &scale, &asked, &same);
        assert!(shift.abs() < 0.02 && variance < 0.05, "{shift} {variance}");
        let nothing = drift(&gp, &scale, &[], &[]);
        assert!((nothing[1] - 1.0).abs() < 1e-12);
    }
}
