//! Gate functions by one exponential each, without a branch.

use crate::real::Real;

/// 1 / (1 + e^−x); errs by at most 2e-7 absolute in `f32`.
#[inline(always)]
pub(crate) fn sigmoid<R: Real, const FUSED: bool>(x: R) -> R {
    R::ONE / (R::ONE + (-x).exp::<FUSED>())
}

/// The hyperbolic tangent; errs by at most 3e-7 absolute in `f32`.
#[inline(always)]
pub(crate) fn tanh<R: Real, const FUSED: bool>(x: R) -> R {
    R::TWO.times_plus::<FUSED>(sigmoid::<R, FUSED>(R::TWO * x), -R::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Greatest difference to the wide function over ±90.
    fn worst(fast: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let points = (-900_000..=900_000).map(|i| i as f32 * 1e-4);
        let differ = points.map(|x| (f64::from(fast(x)) - exact(f64::from(x))).abs());
        differ.fold(0.0, |most, d| if d > most { d } else { most })
    }

    fn wide_sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn sigmoid_and_tanh_are_as_close_to_the_wide_ones_as_said() {
        assert!(worst(sigmoid::<f32, false>, wide_sigmoid) < 2e-7);
        assert!(worst(sigmoid::<f32, true>, wide_sigmoid) < 2e-7);
        assert!(worst(tanh::<f32, false>, f64::tanh) < 3e-7);
        assert!(worst(tanh::<f32, true>, f64::tanh) < 3e-7);
    }

    #[test]
    fn the_exponential_errs_by_less_than_3e7_relative() {
        for i in -790_000..=790_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            for fast in [Real::exp::<false>(x), Real::exp::<true>(x)] {
                let error = (f64::from(fast) - exact).abs() / exact;
                assert!(error < 3e-7, "exp({x}): {error:e}");
            }
        }
    }
}
