//! How measured values are laid out before a process sees them.

use foresail_core::quantity::units::larger;

use crate::forecast::quantile::of_values;

/// A growing function of measured values. A process has one length scale and one noise everywhere;
/// times and costs that span factors of a hundred have neither until they are bent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Warp {
    /// As they are.
    Plain,
    /// Their logarithm.
    Log,
    /// `±ln(1 + |value| / scale)`: zero stays, and beyond the scale factors count.
    /// Source: Eriksson & Poloczek 2021, Scalable constrained Bayesian optimization, "bilog".
    Bilog {
        /// Where factors begin to count.
        scale: f64,
    },
}

impl Warp {
    /// The warp of an objective: the logarithm where every value has one.
    pub(super) fn of_objectives(values: &[f64]) -> Self {
        if values.iter().all(|v| *v > 0.0) {
            Self::Log
        } else {
            Self::Plain
        }
    }

    /// Warps of how far a bound was missed, of which the likeliest is to be taken.
    ///
    /// A time whose noise is a share of it has the same noise everywhere once its logarithm is taken;
    /// with the bound itself for a scale, `bilog` is that logarithm around the bound. The bound is
    /// not told, only that it is no narrower than the widest margin that was seen; without one, a
    /// quarter of the misses are below the scale.
    pub(super) fn of_excesses(values: &[f64]) -> Vec<Self> {
        let margin = values.iter().fold(0.0, |margin, v| larger(margin, -v));
        let sizes = values.iter().map(|v| v.abs()).collect();
        let least = larger(margin, of_values(sizes, 0.25));
        if least > 0.0 {
            let scales = [1.0, 2.0, 4.0, 8.0].map(|factor| factor * least);
            scales.map(|scale| Self::Bilog { scale }).to_vec()
        } else {
            vec![Self::Plain]
        }
    }

    /// The logarithm of the slope at a value: by it densities before and after the warp differ.
    pub(super) fn log_slope(self, value: f64) -> f64 {
        match self {
            Self::Plain => 0.0,
            Self::Log => -larger(value, f64::MIN_POSITIVE).ln(),
            Self::Bilog { scale } => -(scale + value.abs()).ln(),
        }
    }

    /// A value as the process has it; a logarithm of what has none is that of the least number.
    pub(super) fn apply(self, value: f64) -> f64 {
        match self {
            Self::Plain => value,
            Self::Log => larger(value, f64::MIN_POSITIVE).ln(),
            Self::Bilog { scale } => (value.abs() / scale).ln_1p().copysign(value),
        }
    }

    /// The value that is laid out so.
    pub(super) fn undo(self, warped: f64) -> f64 {
        match self {
            Self::Plain => warped,
            Self::Log => warped.exp(),
            Self::Bilog { scale } => (warped.abs().exp_m1() * scale).copysign(warped),
        }
    }
}

/// A warp, and what standardises its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standard {
    pub(super) warp: Warp,
    mean: f64,
    /// Negative where less is better.
    deviation: f64,
}

impl Standard {
    /// Of values that are warped already; `sign` is −1 where less is better.
    ///
    /// The deviation is that of a sample, as BoTorch's `Standardize` has it; equal values are left
    /// at their size.
    pub(super) fn of(warp: Warp, warped: &[f64], sign: f64) -> Self {
        let n = warped.len() as f64;
        let mean = warped.iter().sum::<f64>() / larger(n, 1.0);
        let squares: f64 = warped.iter().map(|v| (v - mean) * (v - mean)).sum();
        let deviation = (squares / larger(n - 1.0, 1.0)).sqrt();
        let told = deviation > 1e-9 * (1.0 + mean.abs());
        Self {
            warp,
            mean,
            deviation: sign * if told { deviation } else { 1.0 },
        }
    }

    pub(super) fn apply(&self, value: f64) -> f64 {
        self.of_warped(self.warp.apply(value))
    }

    pub(super) fn undo(&self, standard: f64) -> f64 {
        self.warp.undo(self.to_warped(standard))
    }

    pub(super) fn of_warped(&self, warped: f64) -> f64 {
        (warped - self.mean) / self.deviation
    }

    pub(super) fn to_warped(self, standard: f64) -> f64 {
        self.mean + self.deviation * standard
    }

    /// The logarithm of the slope from a value to the standardised one.
    pub(super) fn log_slope(&self, value: f64) -> f64 {
        self.warp.log_slope(value) - self.deviation.abs().ln()
    }

    /// By what a standardised variance is multiplied to be one of `other`.
    pub(super) fn variance_in(&self, other: &Self) -> f64 {
        let ratio = self.deviation / other.deviation;
        ratio * ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warps_grow_and_are_undone() {
        for warp in [Warp::Plain, Warp::Log, Warp::Bilog { scale: 2.0 }] {
            let values = [0.01, 0.5, 3.0, 200.0];
            for pair in values.windows(2) {
                assert!(warp.apply(pair[0]) < warp.apply(pair[1]));
            }
            for value in values {
                assert!((warp.undo(warp.apply(value)) - value).abs() < 1e-9 * value);
            }
            if warp != Warp::Log {
                assert!(warp.apply(0.0).abs() < 1e-300);
                assert!((warp.undo(warp.apply(-3.0)) + 3.0).abs() < 1e-12);
            }
            let values = [1.0, 2.0, 7.0];
            let warped = values.map(|v| warp.apply(v));
            let standard = Standard::of(warp, &warped, -1.0);
            assert!(standard.apply(1.0) > standard.apply(2.0));
            assert!((standard.undo(standard.apply(7.0)) - 7.0).abs() < 1e-9);
            let slope = (warp.apply(2.0 + 1e-6) - warp.apply(2.0 - 1e-6)) / 2e-6;
            assert!((warp.log_slope(2.0) - slope.ln()).abs() < 1e-6);
            let all = values.map(|v| standard.apply(v));
            assert!(all.iter().sum::<f64>().abs() < 1e-9);
            assert!((all.iter().map(|v| v * v).sum::<f64>() - 2.0).abs() < 1e-9);
        }
        assert_eq!(Warp::of_objectives(&[1.0, -2.0]), Warp::Plain);
        assert_eq!(Warp::of_excesses(&[0.0, 0.0]), [Warp::Plain]);
        let first = Warp::of_excesses(&[-3.0, 9.0, 1.0])[0];
        assert_eq!(first, Warp::Bilog { scale: 3.0 });
    }
}
