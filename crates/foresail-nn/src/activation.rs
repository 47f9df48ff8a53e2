//! Activation functions on rows, and how gradients go back through them.

use pulp::Simd;

use crate::kernel::function::{sigmoid, tanh};
use crate::kernel::{Kernel, LANES, Row, dispatch};
use crate::real::Real;

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x where it is above zero, else zero.
    Relu,
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Puts the function's value in place of each number.
    pub fn forward<R: Real>(self, rows: &mut [Row<R>]) {
        dispatch(Apply(self, rows));
    }

    /// From the gradient of the output to that of the input, in place.
    ///
    /// Shapes: `outputs` is what [`Self::forward`] left, `gradient` the same number of rows.
    pub fn backward<R: Real>(self, outputs: &[Row<R>], gradient: &mut [Row<R>]) {
        for (out, gradient) in outputs.iter().zip(gradient) {
            for l in 0..LANES {
                let slope = match self {
                    Self::Relu if out[l] > R::ZERO => R::ONE,
                    Self::Relu => R::ZERO,
                    Self::Sigmoid => out[l] * (R::ONE - out[l]),
                    Self::Tanh => R::ONE - out[l] * out[l],
                };
                gradient[l] = gradient[l] * slope;
            }
        }
    }
}

struct Apply<'a, R>(Activation, &'a mut [Row<R>]);

impl<R: Real> Kernel for Apply<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        match self.0 {
            Activation::Relu => each(self.1, |x| if x > R::ZERO { x } else { R::ZERO }),
            Activation::Sigmoid => each(self.1, sigmoid::<R, FUSED>),
            Activation::Tanh => each(self.1, tanh::<R, FUSED>),
        }
    }
}

#[inline(always)]
fn each<R: Real>(rows: &mut [Row<R>], of: impl Fn(R) -> R) {
    for row in rows {
        for x in row {
            *x = of(*x);
        }
    }
}
