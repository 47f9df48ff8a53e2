//! What is believed of hyper-parameters before anything is measured.

use foresail_core::quantity::units::larger;
use statrs::function::gamma::ln_gamma;

/// A belief about one positive number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// Nothing is believed.
    Flat,
    /// A gamma distribution.
    Gamma {
        /// Its shape.
        shape: f64,
        /// Its rate.
        rate: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Mean of the logarithm.
        location: f64,
        /// Standard deviation of the logarithm.
        scale: f64,
    },
}

impl Prior {
    /// The logarithm of the density at `x`, and its derivative by `ln x`.
    #[must_use]
    pub fn log_density(self, x: f64) -> [f64; 2] {
        match self {
            Self::Flat => [0.0, 0.0],
            Self::Gamma { shape, rate } => [
                shape * rate.ln() - ln_gamma(shape) + (shape - 1.0) * x.ln() - rate * x,
                shape - 1.0 - rate * x,
            ],
            Self::LogNormal { location, scale } => {
                let z = (x.ln() - location) / scale;
                let norm = (scale * (2.0 * std::f64::consts::PI).sqrt()).ln();
                [-0.5 * z * z - x.ln() - norm, -1.0 - z / scale]
            }
        }
    }

    /// The most likely value; one where nothing is believed, and not nearer to zero than 0.001.
    #[must_use]
    pub fn mode(self) -> f64 {
        let mode = match self {
            Self::Flat => 1.0,
            Self::Gamma { shape, rate } => (shape - 1.0) / rate,
            Self::LogNormal { location, scale } => (location - scale * scale).exp(),
        };
        larger(mode, 1e-3)
    }
}

/// What is believed of a process over standardised values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priors {
    /// Of each length scale.
    pub length: Prior,
    /// Of the output scale.
    pub output_scale: Prior,
    /// Of the variance of the noise.
    pub noise: Prior,
    /// The least variance of the noise.
    pub noise_floor: f64,
}

impl Priors {
    /// Those that BoTorch's `SingleTaskGP` had when the paper used it. They mean standardised
    /// values.
    pub const CLASSIC: Self = Self {
        length: Prior::Gamma {
            shape: 3.0,
            rate: 6.0,
        },
        output_scale: Prior::Gamma {
            shape: 2.0,
            rate: 0.15,
        },
        noise: Prior::Gamma {
            shape: 1.1,
            rate: 0.05,
        },
        noise_floor: 1e-4,
    };

    /// Nothing is believed; the floor stays, without which a matrix may have no factor.
    pub const NONE: Self = Self {
        length: Prior::Flat,
        output_scale: Prior::Flat,
        noise: Prior::Flat,
        noise_floor: 1e-4,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_and_slopes_hold() {
        // scipy.stats: gamma(3, scale=1/6).logpdf(.7), gamma(1.1, scale=20).logpdf(.01),
        // lognorm(s=1, scale=exp(-4)).logpdf(.02).
        let cases = [
            (Priors::CLASSIC.length, 0.7, -0.231_218_660_753_245_15),
            (Priors::CLASSIC.noise, 0.01, -3.706_450_078_248_36),
            (
                Prior::LogNormal {
                    location: -4.0,
                    scale: 1.0,
                },
                0.02,
                2.989_214_496_436_526_5,
            ),
        ];
        for (prior, x, want) in cases {
            let [value, slope] = prior.log_density(x);
            assert!((value - want).abs() < 1e-9, "{prior:?} {value} {want}");
            let at = |t: f64| prior.log_density(t.exp())[0];
            let difference = (at(x.ln() + 1e-6) - at(x.ln() - 1e-6)) / 2e-6;
            assert!((difference - slope).abs() < 1e-6, "{prior:?}");
        }
    }
}
