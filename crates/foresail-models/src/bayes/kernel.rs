//! The Matérn-5/2 kernel with a length scale per dimension and an output scale.

/// √5, of the kernel's definition.
const ROOT_5: f64 = 2.236_067_977_499_79;

/// `k(x, x') = v · (1 + √5 r + 5/3 r²) · exp(−√5 r)`, `r² = Σ_m ((x_m − x'_m) / ℓ_m)²`.
///
/// Source: Rasmussen & Williams 2006, equation 4.17.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Length scale of each dimension, above zero.
    pub lengths: Vec<f64>,
    /// Output scale v: the variance of the process.
    pub output_scale: f64,
}

/// The correlation at a squared distance, and its slope.
///
/// The slope is that by which the gradient follows: `∂k/∂x_m = v · slope · (x_m − x'_m) / ℓ_m²` and
/// `∂k/∂ln ℓ_m = −v · slope · ((x_m − x'_m) / ℓ_m)²`.
#[must_use]
pub fn correlation(squared: f64) -> [f64; 2] {
    let r = ROOT_5 * squared.sqrt();
    let fall = (-r).exp();
    [
        (1.0 + r + r * r / 3.0) * fall,
        -5.0 / 3.0 * (1.0 + r) * fall,
    ]
}

impl Kernel {
    /// The covariance of two points; shapes `[dimensions]`.
    #[must_use]
    pub fn value(&self, a: &[f64], b: &[f64]) -> f64 {
        let (a, b) = (self.scaled(a), self.scaled(b));
        self.output_scale * correlation(squared_distance(&a, &b))[0]
    }

    /// A point in units of the length scales.
    pub(super) fn scaled(&self, point: &[f64]) -> Vec<f64> {
        let pairs = point.iter().zip(&self.lengths);
        pairs.map(|(x, length)| x / length).collect()
    }
}

/// The squared distance of two points that are scaled already.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += (a - b) * (a - b);
    }
    sum
}

/// Points in units of the length scales, with what their squared distances to others take.
#[derive(Clone, Debug)]
pub(super) struct Scaled {
    pub(super) dimensions: usize,
    /// Point by point.
    pub(super) points: Vec<f64>,
}

impl Scaled {
    pub(super) fn new<'a>(kernel: &Kernel, points: impl Iterator<Item = &'a [f64]>) -> Self {
        Self {
            dimensions: kernel.lengths.len(),
            points: points.flat_map(|p| kernel.scaled(p)).collect(),
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.points.chunks_exact(self.dimensions)
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.points[i * self.dimensions..(i + 1) * self.dimensions]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_value_and_the_slope_hold() {
        let kernel = Kernel {
            lengths: vec![0.5],
            output_scale: 1.0,
        };
        assert!((kernel.value(&[0.1], &[0.5]) - 0.644_456).abs() < 1e-6);
        for r2 in [0.01, 0.4, 3.0, 30.0] {
            let at = |r2: f64| correlation(r2)[0];
            let difference = (at(r2 + 1e-6) - at(r2 - 1e-6)) / 2e-6;
            // d/d(r²) is half the slope by definition of the gradient.
            assert!((difference - 0.5 * correlation(r2)[1]).abs() < 1e-6);
        }
        assert!((correlation(0.0)[0] - 1.0).abs() < 1e-15);
    }
}
