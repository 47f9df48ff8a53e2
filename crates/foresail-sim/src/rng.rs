//! Fast streams of chance for the inner loops, each of its own component.
//!
//! xoshiro256++ (Blackman & Vigna 2018), seeded from the ChaCha8 stream of its component: value
//! stable on every platform, and three times as fast where a stream is drawn from once per request.
//! Every distribution but the gamma is by inversion, so that a value costs one draw of bits.

use foresail_models::rng::{Seed, child};
use rand_chacha::rand_core::Rng;

/// One stream.
#[derive(Clone, Debug)]
pub struct Stream([u64; 4]);

impl Stream {
    /// The stream of a component.
    #[must_use]
    pub fn of(seed: Seed, component: &str) -> Self {
        let mut source = child(seed, component);
        Self([
            source.next_u64(),
            source.next_u64(),
            source.next_u64(),
            source.next_u64() | 1,
        ])
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in (0, 1), never an end.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Exponential with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Standard normal, by inversion.
    ///
    /// Relative error below 1.2e-9. Source: P. J. Acklam's rational approximation.
    pub fn normal(&mut self) -> f64 {
        inverse_normal(self.uniform())
    }

    /// Gamma with this shape and scale 1, by rejection: a value costs more than one draw of bits.
    ///
    /// Source: Marsaglia & Tsang 2000, "A simple method for generating gamma variables"; a shape
    /// below 1 by the power of a uniform, as they say in section 6.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let power = self.uniform().powf(1.0 / shape);
            return power * self.gamma(shape + 1.0);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            let limit = 0.5 * x * x + d - d * v + d * v.ln();
            if v > 0.0 && self.uniform().ln() < limit {
                return d * v;
            }
        }
    }

    /// Poisson with the given mean, by inversion (and in parts of 500 above that).
    ///
    /// Zero for a mean that is not above zero.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let mut left = mean;
        let mut count = 0;
        while left > 500.0 {
            count += self.poisson_small(500.0);
            left -= 500.0;
        }
        count + self.poisson_small(left)
    }

    fn poisson_small(&mut self, mean: f64) -> u64 {
        if mean.is_nan() || mean <= 0.0 {
            return 0;
        }
        let (u, mut k) = (self.uniform(), 0);
        let mut p = (-mean).exp();
        let mut sum = p;
        while u > sum && k < 2000 {
            k += 1;
            p *= mean / k as f64;
            sum += p;
        }
        k
    }
}

/// The normal quantile of `p` in (0, 1).
fn inverse_normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let horner = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| horner(&C, q) / (horner(&D, q) * q + 1.0);
    if p < 0.024_25 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.024_25 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_agrees_with_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_985),
            (0.01, -2.326_347_874),
            (0.999, 3.090_232_306),
        ] {
            assert!((inverse_normal(p) - z).abs() < 1e-8, "{p}");
        }
    }

    #[test]
    fn means_are_those_asked_for() {
        let mut stream = Stream::of(Seed(7), "test");
        let n = 200_000;
        for mean in [0.3, 4.0, 700.0] {
            let sum: u64 = (0..n).map(|_| stream.poisson(mean)).sum();
            let got = sum as f64 / f64::from(n);
            let sigma = (mean / f64::from(n)).sqrt();
            assert!((got - mean).abs() < 4.0 * sigma, "Poisson {mean}: {got}");
        }
        let sum: f64 = (0..n).map(|_| stream.exponential()).sum();
        assert!((sum / f64::from(n) - 1.0).abs() < 0.01);
    }
}
