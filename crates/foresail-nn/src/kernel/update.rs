//! Steps of optimizers over flat numbers, on the widest registers.
//!
//! Nothing is fused and nothing summed, so that the width changes no bit.

use pulp::Simd;

use super::Kernel;
use crate::real::Real;

/// Constants of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamConstants<R> {
    /// Learning rate over the first moment's correction.
    pub(crate) rate: R,
    /// One over the root of the second moment's correction.
    pub(crate) scale: R,
    pub(crate) epsilon: R,
    pub(crate) coupled: R,
    pub(crate) kept: R,
    /// Decay of each moment, and one minus it.
    pub(crate) first: (R, R),
    pub(crate) second: (R, R),
}

/// One step of Adam on one parameter.
#[derive(Debug)]
pub struct AdamStep<'a, R> {
    pub(crate) constants: AdamConstants<R>,
    pub(crate) value: &'a mut [R],
    pub(crate) gradient: &'a [R],
    pub(crate) first: &'a mut [R],
    pub(crate) second: &'a mut [R],
}

impl<R: Real> Kernel for AdamStep<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        let c = self.constants;
        let values = self.value.iter_mut().zip(self.gradient);
        for (((value, gradient), first), second) in values.zip(self.first).zip(self.second) {
            let gradient = *gradient + c.coupled * *value;
            *first = c.first.0 * *first + c.first.1 * gradient;
            *second = c.second.0 * *second + c.second.1 * gradient * gradient;
            let length = second.root() * c.scale + c.epsilon;
            *value = c.kept * *value - c.rate * *first / length;
        }
    }
}

/// `target ← (1 − share) · target + share · source`.
#[derive(Debug)]
pub struct Blend<'a, R> {
    pub(crate) target: &'a mut [R],
    pub(crate) source: &'a [R],
    pub(crate) share: R,
    pub(crate) kept: R,
}

impl<R: Real> Kernel for Blend<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        for (target, source) in self.target.iter_mut().zip(self.source) {
            *target = self.kept * *target + self.share * *source;
        }
    }
}
